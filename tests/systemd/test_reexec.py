"""What may happen to the units of jobs while the daemon is re-executed (issue 5, D191-D194, D229-D238)."""
from __future__ import annotations

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Tuple

import pytest

from tests.daemon.running import MANAGER, PATIENCE, Failed, U, alive, eventually, process_status
from tests.reexec import test_daemons as daemons
from tests.reexec.re_executing import Waiting, descriptors, re_execute, runs, text
from tests.reexec.test_cases import SLEEP, WAIT
from tests.systemd.conftest import Launch
from tests.systemd.upstart import SYSTEMD, Upstart, shown, systemctl, unit_of, units

#: With a main process in a scope, which the daemon itself is the parent of.
_IN_A_SCOPE = "console output\n"


# -- what happens between the two runs ---------------------------------------------------------------------------------------


class Window:
    """A program for the daemon whose next runs begin only when they may, and what can be done until then."""

    def __init__(self, place: pathlib.Path, more: str = "") -> None:
        self._open, self._over = place / "window-open", place / "window-over"
        wait = (f"{more}\nimport time\nif '--state-fd' in sys.argv:\n    open({str(self._open)!r}, 'w').close()\n"
                f"    while not os.path.exists({str(self._over)!r}): time.sleep(0.01)")
        self.program = daemons.script(place, wait)

    @contextmanager
    def between(self, daemon: Upstart) -> Iterator[None]:
        """The old run is over, and the new one has not begun."""
        for path in (self._open, self._over):
            path.unlink(missing_ok=True)
        before = runs(daemon)
        restart = Waiting(daemon.connect(), MANAGER, U, "Restart")
        eventually(self._open.exists, daemon.log)
        yield
        self._over.touch()
        with pytest.raises(Failed):
            restart.wait()
        eventually(lambda: runs(daemon) > before, daemon.log)


@pytest.fixture
def window(place: pathlib.Path) -> Window:
    return Window(place)


#: Units for systemctl are asked about at any time, and with a systemd that stands still each question takes five seconds.
_PLAIN = (*SYSTEMD, "--expose-units", "no")
_ENDS = "script\n%s\nexit 7\nend script"
_SEEN = ("task\nstart on stopped JOB!=seen\ninstance $JOB\nscript\n"
         "echo \"$JOB:$RESULT:$PROCESS:$EXIT_STATUS:$EXIT_SIGNAL\" >> %s\nend script\n")


def test_d194_d236_d237_what_ends_meanwhile_ended_as_it_did(launch: Launch, place: pathlib.Path, window: Window) -> None:
    """Whoever is its parent, systemd or the daemon; and a unit that systemd was told to stop is no job that died."""
    go, seen = place / "go", place / "seen"
    texts = {"ends": _ENDS % WAIT % go, "ends-scope": _IN_A_SCOPE + _ENDS % WAIT % go, "task": "task\n" + _ENDS % WAIT % go,
             "pre": f"pre-start script\n{WAIT % go}\nexit 3\nend script\n{SLEEP}", "killed": SLEEP, "killed-scope": _IN_A_SCOPE + SLEEP,
             "respawns": "respawn\n" + SLEEP, "respawns-scope": _IN_A_SCOPE + "respawn\n" + SLEEP, "stopped": "respawn\n" + SLEEP,
             "stopped-scope": f"{_IN_A_SCOPE}respawn\npre-stop exec sh -c 'echo pre-stop >> {seen}'\n{SLEEP}"}
    daemon = launch({"seen.conf": _SEEN % seen, **{f"{name}.conf": job for name, job in texts.items()}}, python=(str(window.program),))
    for name in texts:
        daemon.start(name, wait=name not in ("task", "pre"))
    eventually(lambda: daemon.pid_of("pre", "pre-start") and daemon.pid_of("task", "main"))
    pids = {name: daemon.main(name).pid for name in texts if name != "pre"}
    with window.between(daemon):
        go.touch()
        for name in ("killed", "killed-scope", "respawns", "respawns-scope"):
            os.kill(pids[name], signal.SIGKILL)
        assert systemctl("stop", "--no-block", unit_of(pids["stopped"]))[0] == 0
        # Nobody is asked about it, nothing in it is signalled, and it is over at once.
        scope = unit_of(pids["stopped-scope"])
        assert systemctl("stop", scope)[0] == 0 and units().get(scope) in (None, "inactive") and alive(pids["stopped-scope"])
        eventually(lambda: not alive(pids["ends"]))
    eventually(lambda: {
        "ends:failed:main:7:", "ends-scope:failed:main:7:", "task:failed:main:7:", "pre:failed:pre-start:3:", "killed:failed:main::KILL",
        "killed-scope:failed:main::KILL", "stopped:ok:::", "pre-stop", "stopped-scope:ok:::"} <= set(text(seen).split()),
        lambda: text(seen) + daemon.log())
    for name in ("respawns", "respawns-scope"):
        daemon.wait_respawned(name, pids[name])
    assert len(text(seen).split()) == 9 and daemon.instances("stopped") == {} == daemon.instances("stopped-scope")
    assert not alive(pids["stopped-scope"])
    daemon.stop("respawns")
    daemon.stop("respawns-scope")
    eventually(lambda: not units(), units)


def test_d238_forks_meanwhile_are_counted(launch: Launch, place: pathlib.Path, window: Window) -> None:
    go = place / "go"
    forks = {"fork": "sleep 1000 &", "daemon": "(sleep 1000 & exit 0) &"}
    texts = {f"{expect}{kind}": f"{more}expect {expect}\nrespawn\nscript\n{WAIT % go}\n{fork}\nexit 0\nend script"
             for expect, fork in forks.items() for kind, more in (("", ""), ("-scope", _IN_A_SCOPE))}
    daemon = launch({f"{name}.conf": job for name, job in texts.items()}, python=(str(window.program),))
    for name in texts:
        daemon.start(name, wait=False)
        eventually(lambda name=name: daemon.instances(name) == {"": ("start", "spawned")})  # type: ignore[misc]
    pids = {name: daemon.main(name).pid for name in texts}
    with window.between(daemon):
        go.touch()
        # Each stands in the stop of its fork, which nobody handles.
        for pid in pids.values():
            eventually(lambda pid=pid: process_status(pid, "State").startswith("t"))  # type: ignore[misc]
    for name in texts:
        daemon.wait_running(name)
        main = daemon.main(name)
        assert main.arguments == [b"sleep", b"1000"] and main.status("TracerPid") == "0"
        unit = unit_of(main.pid)
        if unit.endswith(".service"):
            eventually(lambda unit=unit, main=main: shown(unit, "MainPID") == str(main.pid))  # type: ignore[misc]
        daemon.stop(name)
        assert not alive(main.pid)


_libc = ctypes.CDLL(None, use_errno=True)
_SEIZE, _INTERRUPT, _DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000


@contextmanager
def systemd_stands_still() -> Iterator[Callable[[], None]]:
    """It cannot be sent SIGSTOP, but it can be traced. Gives what lets it go on before the end."""
    for request in (_SEIZE, _INTERRUPT):
        assert _libc.ptrace(request, 1, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(1, _WALL)
    ended = False

    def end() -> None:
        nonlocal ended
        ended = ended or _libc.ptrace(_DETACH, 1, None, None) == 0

    try:
        yield end
    finally:
        end()


def test_x258_the_parent_is_held_until_systemd_knows_the_child(launch: Launch, place: pathlib.Path) -> None:
    """systemd says so when the old run of the daemon is over, and nobody hears it."""
    go = place / "go"
    # For as long as it takes until that run is over, which on a busy machine are more than the two seconds that it would wait.
    window = Window(place, "from compat.backends import transient_services\ntransient_services._MAIN_PID_SECONDS = 600.0")
    daemon = launch({"j.conf": f"expect fork\nrespawn\nscript\n{WAIT % go}\nsleep 1000 &\nexit 0\nend script"}, _PLAIN,
                    python=(str(window.program),))
    daemon.start("j", wait=False)
    eventually(lambda: daemon.instances("j") == {"": ("start", "spawned")})
    parent = daemon.main("j").pid
    unit = unit_of(parent)
    with systemd_stands_still() as end:
        go.touch()
        eventually(lambda: daemon.main("j").pid != parent)
        child = daemon.main("j").pid
        with window.between(daemon):
            end()
            eventually(lambda: shown(unit, "MainPID") == str(child))
            assert process_status(parent, "State").startswith("t") and process_status(child, "State").startswith("t")
    daemon.wait_running("j")
    assert daemon.main("j").pid == child and "does not take" not in daemon.errors
    eventually(lambda: not alive(parent))
    os.kill(child, signal.SIGKILL)
    daemon.wait_respawned("j", child)


@pytest.fixture
def slow(place: pathlib.Path) -> Iterator[pathlib.Path]:
    """Services of jobs wait for this file before their main process is made."""
    folder = pathlib.Path("/run/systemd/system/upstart-.service.d")
    folder.mkdir(parents=True)
    go = place / "be-born"
    (folder / "slow.conf").write_text(f"[Service]\nExecStartPre=/bin/sh -c 'while ! test -e {go}; do sleep 0.05; done'\n")
    assert systemctl("daemon-reload")[0] == 0
    yield go
    shutil.rmtree(folder)
    assert systemctl("daemon-reload")[0] == 0


@pytest.mark.parametrize("action", ["left alone", "stopped", "killed"])
def test_d231_a_launcher_that_has_not_said_its_pid(launch: Launch, place: pathlib.Path, slow: pathlib.Path, action: str) -> None:
    """It gets lost in none of several re-execs, and nothing runs twice."""
    went = place / "went"
    daemon = launch({"j.conf": f"expect fork\nenv A=b\nscript\necho $A >> {went}\nsleep 1000 &\nexit 0\nend script",
                     "k.conf": f"script\necho k >> {went}\nexec sleep 1000\nend script"})
    for name in ("j", "k"):
        daemon.start(name, wait=False)
    eventually(lambda: set(units("upstart-[jk]-*").values()) == {"activating"} and len(units("upstart-[jk]-*")) == 2, units)
    callers = [Waiting(daemon.connect(), daemon.job(name), U + ".Job", "Stop", "asb", [], True) for name in "jk" if action == "stopped"]
    before = descriptors(daemon.pid)
    for _ in range(3):
        re_execute(daemon)
    if action == "killed":
        assert systemctl("kill", "--signal=KILL", *units("upstart-[jk]-*"))[0] == 0
    slow.touch()
    if action == "stopped":
        for caller in callers:
            caller.wait()
        assert daemon.instances("j") == daemon.instances("k") == {}
        # They have leave to run when they are stopped (X25), and may have come so far; but once.
        assert sorted(text(went).split()) in ([], ["b"], ["k"], ["b", "k"])
        return
    for name in ("j", "k"):
        daemon.wait_running(name)
        # A script that runs has still to come so far.
        eventually(lambda: daemon.main(name).arguments == [b"sleep", b"1000"])  # noqa: B023
    assert sorted(text(went).split()) == ["b", "k"]
    assert unit_of(daemon.main("k").pid).endswith(".service") is (action == "left alone")
    daemon.stop("j")
    daemon.stop("k")
    eventually(lambda: not units("upstart-[jk]-*") and descriptors(daemon.pid) <= before, units)


@pytest.mark.parametrize("options", [SYSTEMD, ("--no-dbus",)], ids=["systemd", "auto"])
def test_d228_without_pystemd_jobs_are_supervised_by_pid(
        launch: Launch, place: pathlib.Path, slow: pathlib.Path, options: Tuple[str, ...]) -> None:
    """An upgrade has taken it away. Nothing ends for that, and nothing runs twice."""
    program = daemons.script(place, "if '--state-fd' in sys.argv: sys.modules['pystemd'] = None")
    went, go = place / "went", place / "go"
    unborn = f"script\necho unborn >> {went}\nexec sleep 1000\nend script"
    daemon = launch({"a.conf": "respawn\n" + SLEEP, "b.conf": "respawn\n" + _IN_A_SCOPE + SLEEP, "unborn.conf": unborn,
                     "pre.conf": f"pre-start script\n{WAIT % go}\nend script\n{_IN_A_SCOPE}{SLEEP}"}, options, python=(str(program),))
    slow.touch()
    daemon.start("a")
    daemon.start("b")
    daemon.start("pre", wait=False)
    pids = {name: daemon.main(name).pid for name in ("a", "b")}
    slow.unlink()
    daemon.start("unborn", wait=False)
    eventually(lambda: list(units("upstart-unborn-*").values()) == ["activating"], units)
    re_execute(daemon)
    daemon.wait_errors("jobs run without units")
    slow.touch()
    go.touch()
    for name in ("unborn", "pre"):
        daemon.wait_running(name)
    # The launcher that nobody listens to has come to its end.
    eventually(lambda: not {"activating", "active"} & set(units("upstart-unborn-*").values()), units)
    assert text(went) == "unborn\n" and {name: daemon.main(name).pid for name in pids} == pids
    for name, pid in pids.items():
        os.kill(pid, signal.SIGKILL)
        daemon.wait_respawned(name, pid)
        daemon.stop(name)
    assert "Internal error" not in daemon.output + daemon.errors


@pytest.mark.parametrize("how", ["daemon-reexec", "daemon-reload"])
def test_d229_systemd_itself_is_executed_anew_meanwhile(launch: Launch, window: Window, how: str) -> None:
    daemon = launch({"a.conf": "respawn\n" + SLEEP, "b.conf": "respawn\n" + _IN_A_SCOPE + SLEEP}, python=(str(window.program),))
    for name in ("a", "b"):
        daemon.start(name)
    pids = {name: daemon.main(name).pid for name in ("a", "b")}
    with window.between(daemon):
        assert systemctl(how)[0] == 0
    for name, pid in pids.items():
        assert daemon.main(name).pid == pid
        os.kill(pid, signal.SIGKILL)
        daemon.wait_respawned(name, pid)
        assert unit_of(daemon.main(name).pid)


def test_x250_systemd_that_does_not_answer_meanwhile(launch: Launch, window: Window) -> None:
    """The new run begins without it, and has it again when it is back."""
    daemon = launch({"a.conf": "respawn\n" + SLEEP, "b.conf": SLEEP, "c.conf": SLEEP}, _PLAIN, python=(str(window.program),))
    daemon.start("a")
    daemon.start("b")
    pids = [daemon.main(name).pid for name in ("a", "b")]
    with systemd_stands_still():
        with window.between(daemon):
            os.kill(pids[1], signal.SIGKILL)
        assert [daemon.main("a").pid] == pids[:1]
    daemon.wait_stopped("b")
    daemon.start("c")
    eventually(lambda: unit_of(daemon.main("c").pid), daemon.log)
    os.kill(pids[0], signal.SIGKILL)
    daemon.wait_respawned("a", pids[0])


@pytest.mark.parametrize("kind", ["service", "scope"])
def test_x257_a_stop_by_systemctl_afterwards(launch: Launch, place: pathlib.Path, kind: str) -> None:
    """The job is stopped as its file says, and not respawned."""
    stopped = place / "stopped"
    more = _IN_A_SCOPE if kind == "scope" else ""
    daemon = launch({"a.conf": f"{more}respawn\npre-stop exec touch {stopped}\n{SLEEP}"})
    daemon.start("a")
    pid = daemon.main("a").pid
    for _ in range(2):
        re_execute(daemon)
    assert daemon.main("a").pid == pid and unit_of(pid) == f"upstart-a-main.{kind}"
    assert systemctl("daemon-reload")[0] == 0
    assert systemctl("stop", unit_of(pid))[0] == 0
    daemon.wait_stopped("a")
    assert not alive(pid) and stopped.exists() and "respawn" not in daemon.errors
    eventually(lambda: not units(), units)


def test_x261_what_show_backend_says_is_the_same(launch: Launch) -> None:
    daemon = launch({"a.conf": SLEEP, "b.conf": _IN_A_SCOPE + SLEEP})
    for name in ("a", "b"):
        daemon.start(name)
    said = [daemon.initctl("show-backend", name) for name in ("a", "b")]
    re_execute(daemon)
    assert [daemon.initctl("show-backend", name) for name in ("a", "b")] == said
    assert "upstart-a-main.service" in said[0][1] and "upstart-b-main.scope" in said[1][1]


# -- as with processes of the daemon's own -----------------------------------------------------------------------------------


# -- what systemctl has asked for --------------------------------------------------------------------------------------------


def asking(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["systemctl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(command: "subprocess.Popen[str]") -> int:
    command.communicate(timeout=PATIENCE)
    return command.returncode


def test_d239_systemctl_gets_its_answers(launch: Launch, place: pathlib.Path) -> None:
    """A start, a stop, and tasks; nothing is done twice, whether it ends before the next run has begun or after."""
    go, ran = place / "go", place / "ran"
    task = f"task\nscript\necho $UPSTART_JOB >> {ran}\n{WAIT % go}\n%s\nend script"
    daemon = launch({"good.conf": task % "true", "bad.conf": task % "exit 3",
                     "slow.conf": f"pre-start script\n{WAIT % go}\nend script\n{SLEEP}",
                     "deaf.conf": f"kill timeout 300\nscript\ntrap '' TERM\necho deaf >> {ran}\n{WAIT % go}\nend script",
                     "held.conf": SLEEP})
    assert systemctl("start", "deaf", "held")[0] == 0
    eventually(lambda: "deaf" in text(ran))
    starts = {name: asking("start", name) for name in ("good", "bad", "slow")}
    stop = asking("stop", "deaf")
    eventually(lambda: set(text(ran).split()) == {"deaf", "good", "bad"} and daemon.instances("deaf")[""][0] == "stop"
               and daemon.instances("slow"), daemon.log)
    pid = daemon.main("held").pid
    for _ in range(3):
        re_execute(daemon)
    assert all(command.poll() is None for command in (*starts.values(), stop))
    assert shown("held.service", "ActiveState") == "active"
    go.touch()
    assert {name: ended(command) for name, command in starts.items()} == {"good": 0, "bad": 1, "slow": 0} and ended(stop) == 0
    assert sorted(text(ran).split()) == ["bad", "deaf", "good"]
    assert daemon.running("slow") and not daemon.instances("deaf") and daemon.main("held").pid == pid
    assert shown("bad.service", "ActiveState") == "failed" and shown("slow.service", "ActiveState") == "active"
    # The units still end with their jobs.
    daemon.stop("held")
    eventually(lambda: shown("held.service", "ActiveState") == "inactive")
    assert systemctl("stop", "slow")[0] == 0 and not daemon.instances("slow")

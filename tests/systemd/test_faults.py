"""What systemd, its bus and administrators may do behind the daemon's back: no job is lost and none runs twice (X250-X260)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.daemon.running import alive, eventually
from tests.systemd.conftest import Launch
from tests.systemd.upstart import SYSTEMD, Process, Upstart, shown, systemctl, unit_of, units

COUNT = 8
RUNTIME = pathlib.Path("/run/systemd/system")


def starts(daemon: Upstart) -> list[str]:
    """The names that processes wrote when they started, one for each start."""
    path = daemon.directory / "starts"
    return sorted(path.read_text().split()) if path.exists() else []


@contextmanager
def again_and_again(*command: str) -> Iterator[None]:
    """A command of systemctl's is repeated all the while, and at least once. In between systemd has time for others."""
    over = threading.Event()
    codes: list[int] = []

    def run() -> None:
        while not (codes and over.is_set()):
            codes.append(systemctl(*command)[0])
            over.wait(0.5)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert set(codes) == {0}


def assert_calm(daemon: Upstart) -> None:
    assert "Internal error" not in daemon.output + daemon.errors


@pytest.mark.parametrize("what", ["daemon-reload", "daemon-reexec"])
def test_systemd_reads_its_files_or_executes_itself_anew(launch: Launch, what: str) -> None:
    """While jobs start, respawn, end and stop."""
    daemon = launch()
    wanted = [f"n{number}" for number in range(COUNT)]
    daemon.define("many", f"instance $N\nrespawn\nrespawn limit 5 600\npre-start exec true\n"
                          f"exec sh -c 'echo $N >> {daemon.directory}/starts; exec sleep 1000'")
    daemon.define("ends", "instance $N\nexec sh -c 'exit 7'")
    daemon.define("seen", f"task\ninstance $INSTANCE\nstart on stopped ends\nexec sh -c 'echo $EXIT_STATUS >> {daemon.directory}/statuses'")
    with again_and_again(what):
        for name in wanted:
            daemon.start("many", f"N={name}", wait=False)
            daemon.start("ends", f"N={name}", wait=False)
        eventually(lambda: len(starts(daemon)) >= COUNT and all(daemon.running("many", name) for name in wanted), daemon.log)
    assert starts(daemon) == sorted(wanted)
    pids = {name: daemon.main("many", name).pid for name in wanted}
    statuses = daemon.directory / "statuses"
    eventually(lambda: statuses.exists() and len(statuses.read_text().split()) >= COUNT, daemon.log)
    assert statuses.read_text().split() == ["7"] * COUNT

    with again_and_again(what):
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(starts(daemon)) >= 2 * COUNT and all(daemon.running("many", name) for name in wanted), daemon.log)
    assert starts(daemon) == sorted(wanted * 2)
    later = {name: daemon.main("many", name).pid for name in wanted}
    assert all(alive(pid) for pid in later.values()) and not any(alive(pid) for pid in pids.values())

    with again_and_again(what):
        for name in wanted:
            daemon.stop("many", f"N={name}", wait=False)
        daemon.wait_stopped("many")
    assert not any(alive(pid) for pid in later.values())
    eventually(lambda: not units(), units)
    assert starts(daemon) == sorted(wanted * 2)
    assert_calm(daemon)
    # And it is still systemd that the next one is handed to.
    daemon.start("many", "N=last")
    assert unit_of(daemon.main("many", "last").pid) == "upstart-many-last-main.service"


@pytest.mark.parametrize("what", ["daemon-reload", "daemon-reexec"])
def test_x252_a_scope_is_stopped_afterwards(launch: Launch, what: str) -> None:
    daemon = launch({"j.conf": "console output\nrespawn\nexec sleep 1000\n"})
    daemon.start("j")
    pid = daemon.main("j").pid
    assert systemctl(what)[0] == 0
    # At any time: also before the daemon has noticed.
    eventually(lambda: systemctl("stop", "--no-block", unit_of(pid))[0] == 0)
    daemon.wait_stopped("j")
    eventually(lambda: not units("upstart-j*"), units)
    assert not alive(pid) and "respawn" not in daemon.errors


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_the_bus_is_restarted(launch: Launch, how: str) -> None:
    """Services need no bus. A scope's stop request comes over it; where it cannot, that the scope is over shows the same."""
    daemon = launch({f"{name}.conf": f"console {console}\nrespawn\npre-stop exec sh -c 'echo stop {name} >> {{}}/trace'\nexec sleep 1000\n"
                     for name, console in (("service", "none"), ("scope", "output"))})
    daemon.define("before", f"console output\nrespawn\npre-stop exec sh -c 'echo before >> {daemon.directory}/seen'\nexec sleep 1000\n")
    daemon.start("before")
    for name in ("service", "scope"):
        daemon.write(f"{name}.conf", (daemon.conf / f"{name}.conf").read_text().replace("{}", str(daemon.directory)))
    daemon.reload_configuration()
    for name in ("service", "scope"):
        daemon.start(name)
    pids = [daemon.main(name).pid for name in ("service", "scope")]
    if how == "restart":
        assert systemctl("restart", "dbus.service")[0] == 0
    else:
        assert systemctl("kill", "--signal=KILL", "dbus.service")[0] == 0
    # It is started again by its socket. systemd then comes back to it; scopes made until then have nobody to be asked.
    eventually(lambda: subprocess.run(
        ["busctl", "--system", "status", "org.freedesktop.systemd1"], capture_output=True, check=False).returncode == 0)
    assert [daemon.main(name).pid for name in ("service", "scope")] == pids and all(map(alive, pids))
    assert systemctl("stop", "upstart-before-main.scope")[0] == 0
    daemon.wait_stopped("before")
    assert (daemon.directory / "seen").read_text() == "before\n"
    for name, kind in (("service", "service"), ("scope", "scope")):
        daemon.restart(name)
        eventually(lambda name=name: daemon.running(name), daemon.log)  # type: ignore[misc]
        unit = unit_of(daemon.main(name).pid)
        assert unit.startswith(f"upstart-{name}-main") and unit.endswith("." + kind)
        (daemon.directory / "trace").unlink(missing_ok=True)
        assert systemctl("stop", unit)[0] == 0
        daemon.wait_stopped(name)
        assert (daemon.directory / "trace").read_text() == f"stop {name}\n"
    assert_calm(daemon)


@pytest.mark.parametrize("kind, text", [("service", ""), ("scope", "console output")])
@pytest.mark.parametrize("how", ["systemctl kill", "systemctl kill -s KILL", "kill -9"])
def test_x257_a_process_killed_behind_our_back_is_respawned(upstart_of_its_own: Upstart, kind: str, text: str, how: str) -> None:
    daemon = upstart_of_its_own
    daemon.define("victim", f"{text}\nrespawn\nexec sleep 1000")
    daemon.start("victim")
    pid = daemon.main("victim").pid
    unit = unit_of(pid)
    assert unit.endswith("." + kind)
    if how == "kill -9":
        os.kill(pid, signal.SIGKILL)
    else:
        assert systemctl(*how.split()[1:], unit)[0] == 0
    daemon.wait_respawned("victim", pid)
    daemon.wait_errors(f"init: victim main process ({pid}) killed by {'TERM' if how == 'systemctl kill' else 'KILL'} signal")
    daemon.stop("victim")
    eventually(lambda: not units(), units)


@pytest.fixture
def upstart_of_its_own(launch: Launch) -> Upstart:
    return launch()


def test_x257_the_slice_is_stopped(launch: Launch) -> None:
    """All jobs are, each with its pre-stop."""
    daemon = launch()
    for name, text in (("one", ""), ("two", "console output"), ("three", "expect stop")):
        body = "exec sleep 1000" if name != "three" else "exec sh -c 'kill -STOP $$; exec sleep 1000'"
        daemon.define(name, f"{text}\nrespawn\npre-stop exec sh -c 'echo {name} >> {daemon.directory}/stopped'\n{body}")
        daemon.start(name)
    assert systemctl("stop", "upstart.slice")[0] == 0
    for name in ("one", "two", "three"):
        daemon.wait_stopped(name)
    assert sorted((daemon.directory / "stopped").read_text().split()) == ["one", "three", "two"]
    daemon.start("one")
    assert unit_of(daemon.main("one").pid) == "upstart-one-main.service"
    assert_calm(daemon)


def test_x257_a_stop_by_systemctl_while_pre_stop_hangs_is_no_second_one(launch: Launch) -> None:
    daemon = launch()
    go = daemon.directory / "go"
    daemon.define("slow", f"pre-stop exec sh -c 'echo pre-stop >> {daemon.directory}/trace; until test -e {go}; do sleep 0.02; done'\n"
                          "exec sleep 1000")
    daemon.start("slow")
    unit = unit_of(daemon.main("slow").pid)
    for _ in range(3):
        assert systemctl("stop", "--no-block", unit)[0] == 0
    eventually(lambda: daemon.instances("slow") == {"": ("stop", "pre-stop")}, daemon.log)
    assert systemctl("stop", "--no-block", unit)[0] == 0
    go.touch()
    daemon.wait_stopped("slow")
    assert (daemon.directory / "trace").read_text() == "pre-stop\n"


def test_x251_a_name_that_is_taken(launch: Launch) -> None:
    """By a unit of somebody else's, which is left alone."""
    for name in ("upstart-taken-main.service", "upstart-taken-main-2.service"):
        subprocess.run(["systemd-run", "--quiet", f"--unit={name}", "sleep", "1000"], check=True)
    others = [int(shown(name, "MainPID")) for name in ("upstart-taken-main.service", "upstart-taken-main-2.service")]
    try:
        daemon = launch({"taken.conf": "respawn\nrespawn limit 9 600\nexec sleep 1000\n"})
        daemon.start("taken")
        pid = daemon.main("taken").pid
        assert unit_of(pid) == "upstart-taken-main-3.service"
        os.kill(pid, signal.SIGKILL)
        daemon.wait_respawned("taken", pid)
        assert unit_of(daemon.main("taken").pid).startswith("upstart-taken-main-")
        daemon.stop("taken")
        assert all(map(alive, others))
        assert "runs without" not in daemon.errors
    finally:
        for pid in others:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "[Service]\nExecStart=sleep 1001\n"], ids=["masked", "a file"])
def test_x251_a_file_of_that_name(launch: Launch, text: str) -> None:
    path = RUNTIME / "upstart-filed-main.service"
    if text:
        path.write_text(text)
    else:
        path.symlink_to("/dev/null")
    try:
        daemon = launch({"filed.conf": "exec sleep 1000\n"})
        daemon.start("filed")
        assert daemon.main("filed").arguments == [b"sleep", b"1000"]
        assert unit_of(daemon.main("filed").pid) == "upstart-filed-main-2.service"
    finally:
        path.unlink()
        systemctl("daemon-reload")


def test_x250_systemd_refuses(launch: Launch) -> None:
    """The job runs as without systemd, and one warning says so."""
    path = RUNTIME / "upstart.slice"
    before = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/null")
    systemctl("stop", "upstart.slice")
    systemctl("daemon-reload")
    try:
        daemon = launch({"masked.conf": f"respawn\nexec sh -c 'echo started >> $TRACE; exec sleep 1000'\nenv TRACE={path.parent}/trace\n"})
        daemon.start("masked")
        pid = daemon.main("masked").pid
        assert not unit_of(pid).startswith("upstart-")
        assert daemon.errors.count("runs without a unit of systemd: ") == 1 and "masked main process runs without" in daemon.errors
        trace = path.parent / "trace"
        eventually(lambda: trace.exists() and trace.read_text() == "started\n")
        os.kill(pid, signal.SIGKILL)
        daemon.wait_respawned("masked", pid)
        assert daemon.errors.count("runs without a unit of systemd: ") == 1
        eventually(lambda: trace.read_text() == "started\nstarted\n")
        daemon.stop("masked")
    finally:
        (path.parent / "trace").unlink(missing_ok=True)
        path.unlink()
        if before is not None:
            path.write_bytes(before)
        systemctl("daemon-reload")


def _damage() -> dict[str, Callable[[pathlib.Path], None]]:
    def cut(path: pathlib.Path, part: float) -> None:
        content = path.read_bytes()
        path.write_bytes(content[:int(len(content) * part)])

    def flip(path: pathlib.Path) -> None:
        content = bytearray(path.read_bytes())
        for place in range(10, len(content), 50):
            content[place] ^= 0x15
        path.write_bytes(content)

    return {"removed": lambda path: path.unlink(), "empty": lambda path: path.write_bytes(b""),
            "garbage": lambda path: path.write_bytes(os.urandom(5000)), "nul": lambda path: path.write_bytes(bytes(5000)),
            "first third": lambda path: cut(path, 0.33), "two thirds": lambda path: cut(path, 0.66),
            "nearly all": lambda path: cut(path, 0.99), "flipped": flip,
            "other JSON": lambda path: path.write_text('{"format": 1}\n[1, 2]\n"x"\n')}


@pytest.mark.parametrize("damage", sorted(_damage()))
def test_b204_the_state_file_is_damaged(launch: Launch, damage: str) -> None:
    """Main processes in services are found again by their units: not lost, and not doubled by the event that starts them."""
    first = launch()
    first.define("plain", f"start on startup or go\nrespawn\nexec sh -c 'echo plain >> {first.directory}/starts; exec sleep 1000'")
    first.define("many-named", f"instance $N\nrespawn\nexec sh -c 'echo $N >> {first.directory}/starts; exec sleep 1000'")
    first.start("plain")
    for name in ("a", "b/c d"):
        first.start("many-named", f"N={name}", "EXTRA=two words")
    eventually(lambda: len(starts(first)) == 4, first.log)
    pids = [first.main("plain").pid, first.main("many-named", "a").pid, first.main("many-named", "b/c d").pid]
    first.kill()
    [path] = first.runtime.rglob("*.json")
    _damage()[damage](path)
    second = launch(None, directory=first.directory)
    second.emit("go")
    assert [second.main("plain").pid, second.main("many-named", "a").pid, second.main("many-named", "b/c d").pid] == pids
    assert len(starts(second)) == 4 and all(map(alive, pids))
    assert b"EXTRA=two words" in Process(pids[1]).environment
    os.kill(pids[1], signal.SIGKILL)
    second.wait_respawned("many-named", pids[1], "a")
    assert b"EXTRA=two words" in second.main("many-named", "a").environment
    second.stop("plain")
    assert not alive(pids[0]) and alive(pids[2])
    assert_calm(second)


_HIDDEN = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run/systemd; mkdir /run/systemd/system; exec "$@"', "sh")


def test_x250_systemd_does_not_answer_at_first(launch: Launch) -> None:
    """auto: without it. The bus is hidden, too."""
    hidden = (*_HIDDEN[:4], "mount -t tmpfs none /run/dbus; " + _HIDDEN[4], "sh")
    daemon = launch({"j.conf": "exec sleep 1000\n"}, ("--no-dbus",), prefix=hidden)
    daemon.wait_errors("systemd cannot be reached, jobs run without units: ")
    daemon.start("j")
    assert not unit_of(daemon.main("j").pid).startswith("upstart-")
    other = launch({}, SYSTEMD, prefix=hidden, wait=False)
    assert other.wait_end() == 1 and "systemd cannot be reached: " in other.errors


def test_x250_the_bus_will_do(launch: Launch) -> None:
    daemon = launch({"j.conf": "respawn\nexec sleep 1000\n"}, prefix=_HIDDEN)
    daemon.start("j")
    pid = daemon.main("j").pid
    assert unit_of(pid) == "upstart-j-main.service"
    os.kill(pid, signal.SIGKILL)
    daemon.wait_respawned("j", pid)
    daemon.wait_errors(f"j main process ({pid}) killed by KILL signal")
    assert systemctl("stop", unit_of(daemon.main("j").pid))[0] == 0
    daemon.wait_stopped("j")

"""Processes of a daemon that is no more: found again by pid and start time, never mistaken for another (X260, D229)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from compat.backends.identity import start_time
from compat.engine.actions import AdoptProcess
from compat.engine.inputs import (
    ProcessEnded,
    ProcessExecuted,
    ProcessForked,
    ProcessLost,
    ProcessNeverRan,
    ProcessReady,
    ProcessSpawned,
    ProcessStopped,
)
from compat.parser import parse_job
from compat.parser.definition import PROCESS_NAMES

from .native_host import PATH, Host, exactly, status

MakeHost = Callable[..., Host]

_YAMA = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
needs_trace = pytest.mark.skipif(
    os.getuid() != 0 and _YAMA.exists() and int(_YAMA.read_text()) > 0, reason="this user may trace nothing but children")


class Orphans:
    """Processes that have lost their parent, and are not ours either."""

    def __init__(self) -> None:
        self.pids: List[int] = []

    def __call__(self, script: str) -> int:
        """Run a shell script as such a process; its pid."""
        started = subprocess.run(
            ["sh", "-c", 'setsid sh -c "$1" <&- >&- 2>&- & echo $!', "sh", script], stdout=subprocess.PIPE, check=True)
        pid = int(started.stdout)
        self.pids.append(pid)
        return pid


@pytest.fixture
def orphan() -> Iterator[Orphans]:
    orphans = Orphans()
    yield orphans
    for pid in orphans.pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def handle(pid: int, executed: bool = True, forks: int = 0) -> Dict[str, Any]:
    return {"started": (start_time(pid) or b"").decode(), "executed": executed, "forks": forks}


def adopt(host: Host, pid: int, known: Optional[Dict[str, Any]], process: str = "main", text: str = "exec x", spawn: int = 7,
          expect: str = "none") -> int:
    definition = parse_job((text if process == "main" else f"{process} exec x").encode())
    environment = (PATH, f"UPSTART_JOB=web{os.getpid()}", "UPSTART_INSTANCE=")
    host.backend.adopt(AdoptProcess(spawn, "web", "", PROCESS_NAMES.index(process), definition, environment, (), expect, pid, known))
    return spawn


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_x260_a_living_process_is_followed_to_its_end(orphan: Orphans, make_host: MakeHost) -> None:
    pid = orphan("exec sleep 1000")
    known = handle(pid)
    host = make_host()
    spawn = adopt(host, pid, known)
    assert host.course(spawn) == [exactly(ProcessSpawned(spawn, pid)), exactly(ProcessExecuted(spawn))]
    assert host.backend.handle(spawn) == known
    host.kill(spawn, signal.SIGTERM)
    host.run(lambda: len(host.of(spawn)) == 3)
    assert host.saw(ProcessLost(spawn)) and host.backend.handle(spawn) is None
    host.kill(spawn, signal.SIGTERM, must_exist=False)
    assert len(host.of(spawn)) == 3


def test_d229_a_stranger_with_the_same_pid_is_left_alone(orphan: Orphans, make_host: MakeHost) -> None:
    pid = orphan("exec sleep 1000")
    host = make_host()
    adopt(host, pid, {"started": "1", "executed": True}, spawn=7)
    adopt(host, pid, {"started": "1", "executed": False}, spawn=8)
    adopt(host, pid, {"started": 1}, spawn=9)
    assert [exactly(each) for each in host.fed] == [exactly(ProcessLost(7)), exactly(ProcessNeverRan(8)), exactly(ProcessNeverRan(9))]
    host.kill(7, signal.SIGKILL)
    assert status(pid)


def test_b204_what_nobody_knew_of_never_ran(make_host: MakeHost) -> None:
    host = make_host()
    adopt(host, 0, None, spawn=7)
    adopt(host, os.getppid(), None, spawn=8)
    adopt(host, os.getppid(), {}, spawn=9)
    assert [type(each) for each in host.fed] == [ProcessNeverRan] * 3


@needs_trace
@pytest.mark.parametrize(("script", "expected"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 9 << 8)])
@pytest.mark.parametrize("process", ["pre-start", "post-start", "pre-stop", "post-stop", "task"])
def test_x260_scripts_and_tasks_keep_their_status(orphan: Orphans, make_host: MakeHost, tmp_path: pathlib.Path, process: str, script: str,
                                                  expected: int) -> None:
    pid = orphan(f"until test -e {tmp_path}/go; do sleep 0.01; done; {script}")
    known = handle(pid)
    host = make_host()
    if process == "task":
        spawn = adopt(host, pid, known, text="task\nexec x")
    else:
        spawn = adopt(host, pid, known, process)
    (tmp_path / "go").touch()
    assert host.end(spawn) == expected
    assert len(host.of(spawn)) == 3


@needs_trace
def test_x260_a_seized_script_gets_its_signals_and_can_be_stopped(orphan: Orphans, make_host: MakeHost, tmp_path: pathlib.Path) -> None:
    pid = orphan(f"trap 'echo usr1 > {tmp_path}/got' USR1; touch {tmp_path}/ready; while :; do sleep 0.01; done")
    wait_for((tmp_path / "ready").exists)
    known = handle(pid)
    host = make_host()
    spawn = adopt(host, pid, known, "pre-start")
    host.kill(spawn, signal.SIGUSR1, group=False)
    host.run((tmp_path / "got").exists)
    host.kill(spawn, signal.SIGSTOP, group=False)
    host.run(lambda: status(pid)["State"].startswith("t"))
    host.turn(0.05)
    (tmp_path / "got").unlink()
    host.kill(spawn, signal.SIGUSR1, group=False)
    host.turn(0.05)
    assert not (tmp_path / "got").exists(), "it is stopped"
    host.kill(spawn, signal.SIGCONT, group=False)
    host.run((tmp_path / "got").exists)
    host.kill(spawn, signal.SIGTERM)
    assert host.end(spawn) == signal.SIGTERM << 8


def test_x260_without_permission_to_trace_the_end_is_still_seen(orphan: Orphans, make_host: MakeHost,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    pid = orphan("exec sleep 1000")
    known = handle(pid)
    host = make_host()

    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr("compat.backends.exit_trace.ptrace", refuse)
    spawn = adopt(host, pid, known, "pre-start")
    os.kill(pid, signal.SIGKILL)
    host.run(lambda: host.saw(ProcessLost(spawn)))


def test_x260_without_pidfds_it_is_looked_at_once_a_second(orphan: Orphans, make_host: MakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = orphan("exec sleep 1000")
    known = handle(pid)
    host = make_host()

    def missing(*arguments: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", missing)
    spawn = adopt(host, pid, known)
    assert host.fire() == [1.0] and len(host.of(spawn)) == 2
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: start_time(pid) is None)
    host.fire()
    assert host.saw(ProcessLost(spawn)) and host.fire() == []


def test_x260_expect_stop_is_seen_before_and_after(orphan: Orphans, make_host: MakeHost) -> None:
    stopped, going = orphan("kill -STOP $$; exec sleep 1000"), orphan("exec sleep 1000")
    wait_for(lambda: status(stopped)["State"].startswith("T"))
    known = handle(stopped), handle(going)
    host = make_host()
    adopt(host, stopped, known[0], spawn=7, expect="stop")
    assert host.course(7)[2:] == [exactly(ProcessStopped(7, signal.SIGSTOP))]
    adopt(host, going, known[1], spawn=8, expect="stop")
    assert len(host.of(8)) == 2
    os.kill(going, signal.SIGSTOP)
    wait_for(lambda: status(going)["State"].startswith("T"))
    assert host.fire() == [0.1]
    assert host.course(8)[2:] == [exactly(ProcessStopped(8, signal.SIGSTOP))]


@pytest.mark.parametrize(("expect", "forks"), [("fork", 1), ("daemon", 2)])
def test_x260_what_has_forked_enough_is_ready(orphan: Orphans, make_host: MakeHost, expect: str, forks: int) -> None:
    pid = orphan("exec sleep 1000")
    known = handle(pid, forks=forks)
    host = make_host()
    adopt(host, pid, known, expect=expect)
    assert host.course(7)[2:] == [exactly(ProcessReady(7))]


#: As ``daemon`` does: the parent ends at once, the child has a session of its own. Its pid is in the file.
_DAEMONIZE = ("UPSTART_JOB=web%d UPSTART_INSTANCE= setsid sh -c 'echo $$ > %s/new; mv %s/new %s/child; exec sleep 1000' <&- >&- 2>&- & "
              "exit 0")


@pytest.mark.parametrize("expect", ["fork", "daemon"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_x260_forks_that_nobody_saw(orphan: Orphans, make_host: MakeHost, tmp_path: pathlib.Path, expect: str, when: str) -> None:
    pid = orphan(f"until test -e {tmp_path}/go; do sleep 0.01; done; {_DAEMONIZE % (os.getpid(), *[tmp_path] * 3)}")
    known = handle(pid)
    host = make_host()

    def let_go() -> None:
        (tmp_path / "go").touch()
        wait_for(lambda: (tmp_path / "child").exists() and start_time(pid) is None)
        orphan.pids.append(int((tmp_path / "child").read_text()))

    if when == "before":
        let_go()
    adopt(host, pid, known, expect=expect)
    assert host.course(7) == [exactly(ProcessSpawned(7, pid)), exactly(ProcessExecuted(7))]
    if when == "after":
        let_go()
    host.run(lambda: host.timers)
    assert host.fire() == [1.0]
    child = orphan.pids[-1]
    assert host.course(7)[2:] == [exactly(ProcessForked(7, child)), exactly(ProcessReady(7))]
    assert host.backend.handle(7) == handle(child, forks=1)
    host.kill(7, signal.SIGTERM)
    host.run(lambda: host.saw(ProcessLost(7)))
    assert host.fire() == []


@pytest.mark.parametrize("given_up", [False, True])
def test_x260_a_process_that_ends_without_an_heir(orphan: Orphans, make_host: MakeHost, given_up: bool) -> None:
    pid = orphan("exec sleep 1000")
    known = handle(pid)
    host = make_host()
    adopt(host, pid, known, expect="fork")
    if given_up:
        host.detach(7)
    os.kill(pid, signal.SIGKILL)
    host.run(lambda: host.timers or len(host.of(7)) > 2)
    assert host.fire() == ([] if given_up else [1.0])
    assert host.course(7)[2:] == [exactly(ProcessLost(7))]


def test_b204_a_launcher_that_waits_in_vain(orphan: Orphans, make_host: MakeHost, tmp_path: pathlib.Path) -> None:
    """It is neither adopted nor given up before it ended; signals wait with it."""
    pids = orphan("exec sleep 1000"), orphan("exec sleep 1000")
    known = [handle(pid, executed=False) for pid in pids]
    host = make_host(passage=str(tmp_path / "passed"))
    for spawn, pid, each in zip((7, 8), pids, known):
        adopt(host, pid, each, spawn=spawn)
        host.kill(spawn, signal.SIGUSR1)
    assert host.fed == []
    os.kill(pids[0], signal.SIGKILL)
    wait_for(lambda: start_time(pids[0]) is None)
    (tmp_path / "passed").write_text("8\n")
    host.fire()
    assert host.course(7) == [exactly(ProcessNeverRan(7))]
    assert host.course(8) == [exactly(ProcessSpawned(8, pids[1])), exactly(ProcessExecuted(8))]
    host.run(lambda: host.saw(ProcessLost(8)))


def test_b204_a_launcher_that_does_not_end_is_adopted_in_time(orphan: Orphans, make_host: MakeHost) -> None:
    pid = orphan("exec sleep 1000")
    known = handle(pid, executed=False)
    host = make_host()
    adopt(host, pid, known)
    waited = 0.0
    while host.timers:
        waited += sum(host.fire())
    assert waited < 5 and host.saw(ProcessSpawned(7, pid))


def test_b204_a_launcher_notes_its_leave_before_anything_else(make_host: MakeHost, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "passed"
    host = make_host(passage=str(path))
    noted: List[str] = []
    host.react = lambda happened: noted.append(path.read_text()) if isinstance(happened, ProcessSpawned) else None
    spawn = host.running("exec sleep 1000", job="sleeper")
    assert noted == [""] and path.read_text() == f"{spawn}\n"
    assert host.backend.handle(spawn) == handle(host.pids[spawn])


def test_b204_without_leave_nothing_runs_and_nothing_is_noted(make_host: MakeHost, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "passed"
    host = make_host(passage=str(path))

    class Killed(BaseException):
        pass

    def die(happened: Any) -> None:
        raise Killed

    host.react = die
    with pytest.raises(Killed):
        host.spawn(f"exec touch {tmp_path}/ran", job="j")
    pid = host.pids[1]
    assert host.backend.handle(1) == {**handle(pid), "executed": False}
    host.backend.close()
    wait_for(lambda: start_time(pid) is None)
    assert path.read_text() == "" and not (tmp_path / "ran").exists()


def test_b204_notes_are_cleared_when_nothing_is_under_way(make_host: MakeHost, tmp_path: pathlib.Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.backends.passage._MOST_NOTES", 2)
    path = tmp_path / "passed"
    host = make_host(passage=str(path))
    for number in range(5):
        host.running("exec sleep 1000", job=f"j{number}")
        assert len(path.read_text().splitlines()) < 3


def test_x260_a_child_of_ours_is_adopted_with_its_status(make_host: MakeHost) -> None:
    """After the daemon was replaced in place."""
    host = make_host()
    living = subprocess.Popen(["sleep", "1000"])
    ended = subprocess.Popen(["sh", "-c", "exit 5"])
    known = handle(living.pid)
    wait_for(lambda: status(ended.pid).get("State", "Z").startswith("Z"))
    adopt(host, living.pid, known, spawn=7)
    adopt(host, ended.pid, {"started": "gone", "executed": True}, spawn=8)
    assert host.end(8) == 5
    living.kill()
    assert host.end(7) == signal.SIGKILL << 8
    assert host.saw(ProcessEnded(8, 5))
    living.returncode = ended.returncode = 0

"""What happens when the host has no room or the launcher is broken: X32-X34, X46, X86."""
from __future__ import annotations

import errno
import os
import pathlib
import resource
import signal
from typing import Any, List, Sequence

import pytest

from compat.backends import descriptor_reserve, launch_server
from compat.backends.launch_server import LaunchServer
from compat.backends.native import ATTEMPTS, LAUNCHER
from compat.backends.spawn_errors import ANSWER
from compat.engine.inputs import ProcessExecuted, ProcessSpawned, ProcessSpawnFailed, SignalNotSent
from tests.backends.conftest import MakeHost
from tests.backends.native_host import Host, as_ordinary_user, children, descriptors, exactly, status

PROGRAMS = pathlib.Path(__file__).parent / "programs"
SLEEP = "exec /bin/sleep 1000"
WARNING = "W Temporary process spawn error: "


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> List[int]:
    """Processes cannot be made for these reasons, one after the other, and then they can."""
    left: List[int] = []
    real = LaunchServer.start

    def start(server: LaunchServer, descriptors: Sequence[int]) -> int:
        if left:
            number = left.pop(0)
            raise OSError(number, os.strerror(number))
        return real(server, descriptors)

    monkeypatch.setattr(LaunchServer, "start", start)
    return left


def test_x33_three_attempts_at_once(host: Host, refusals: List[int]) -> None:
    refusals += [errno.EAGAIN] * 2
    spawn = host.running(SLEEP)
    assert host.lines == [WARNING + "Resource temporarily unavailable"] * 2
    assert host.timers == []
    assert host.course(spawn) == [exactly(ProcessSpawned(spawn, host.pids[spawn])), exactly(ProcessExecuted(spawn))]


def test_x33_then_one_a_second(host: Host, refusals: List[int]) -> None:
    refusals += [errno.EAGAIN] * 3 + [errno.ENOMEM]
    spawn = host.spawn(SLEEP)
    assert host.of(spawn) == []
    assert host.fire() == [1.0]
    assert host.of(spawn) == []
    assert host.fire() == [1.0]
    host.run(lambda: host.saw(ProcessExecuted(spawn)))
    assert host.lines == [WARNING + "Resource temporarily unavailable"] * 3 + [WARNING + "Cannot allocate memory"]
    assert host.timers == []


def test_x33_at_last_a_permanent_failure(host: Host, refusals: List[int]) -> None:
    refusals += [errno.EAGAIN] * 100
    spawn = host.spawn(SLEEP)
    waited: List[float] = []
    while host.timers:
        waited += host.fire()
    assert waited == [1.0] * (ATTEMPTS - 3)
    assert len(refusals) == 100 - ATTEMPTS
    assert host.course(spawn) == [exactly(ProcessSpawnFailed(spawn, "unable to fork: Resource temporarily unavailable"))]
    assert host.lines == [WARNING + "Resource temporarily unavailable"] * ATTEMPTS
    assert not os.listdir(host.logs)


def test_x56_the_next_start_begins_from_scratch(host: Host, refusals: List[int]) -> None:
    refusals += [errno.EAGAIN] * ATTEMPTS
    host.spawn(SLEEP)
    while host.timers:
        host.fire()
    host.running(SLEEP)


def test_what_is_to_be_killed_is_not_started_any_more(host: Host, refusals: List[int]) -> None:
    refusals += [errno.EAGAIN] * 3
    spawn = host.spawn(SLEEP)
    host.kill(spawn, signal.SIGTERM)
    assert host.course(spawn) == [exactly(ProcessSpawnFailed(spawn, "stopped before it could be started"))]
    host.fire()
    assert len(host.fed) == 1 and not host.timers


def test_x81_what_is_detached_before_it_was_started_is_not_traced(host: Host, refusals: List[int]) -> None:
    refusals += [errno.EAGAIN] * 3
    spawn = host.spawn("expect fork\n" + SLEEP)
    host.detach(spawn)
    host.fire()
    host.run(lambda: host.saw(ProcessExecuted(spawn)))
    assert status(host.pids[spawn])["TracerPid"] == "0"


def test_a_failed_attempt_leaves_no_descriptor(host: Host, refusals: List[int]) -> None:
    host.output("exec echo warm")
    before = os.listdir("/proc/self/fd")
    for text in (SLEEP, "script\ntrue\ntrue\nend script"):
        refusals += [errno.EAGAIN] * 3
        host.spawn(text)
    assert os.listdir("/proc/self/fd") == before


def test_x33_no_descriptors_left(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backs off, says so, and starts the job when there is room again; its log is not given up for that."""
    monkeypatch.setattr(descriptor_reserve, "RESERVE", 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(int, os.listdir("/proc/self/fd"))) + 1
    plugs: List[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 5, hard))
    try:
        try:
            while True:
                plugs.append(os.dup(0))
        except OSError:
            pass
        spawns = []
        # With every number of descriptors that is too small: something else fails each time.
        for _ in range(5):
            spawns.append(host.spawn("script\ntrue\necho hello\nend script"))
            assert host.of(spawns[-1]) == []
            os.close(plugs.pop())
    finally:
        for fd in plugs:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert host.lines == [WARNING + "Too many open files"] * 15
    assert host.fire() == [1.0] * 5
    assert [host.end(spawn) for spawn in spawns] == [0] * 5
    assert host.printed("web") == ["hello"] * 5


@pytest.mark.parametrize("serving", [False, True])
def test_x33_no_processes_left(serving: bool) -> None:
    def check(host: Host) -> Any:
        if serving:
            host.output("exec echo warm")
        before = resource.getrlimit(resource.RLIMIT_NPROC)
        for pid in [0, *children()]:
            resource.prlimit(pid, resource.RLIMIT_NPROC, (0, before[1]))
        spawn = host.spawn("exec /bin/echo hello")
        lines, early = list(host.lines), list(host.of(spawn))
        for pid in [0, *children()]:
            resource.prlimit(pid, resource.RLIMIT_NPROC, before)
        host.fire()
        return lines, early, host.end(spawn), host.printed("web")

    assert as_ordinary_user(check) == ([WARNING + "Resource temporarily unavailable"] * 3, [], 0, ["hello"])


def server_of(host: Host) -> int:
    """The pid of the launch server: a child that belongs to no job."""
    return next(pid for pid in children() if pid not in host.pids.values())


def test_a_launch_server_that_died_is_started_again(host: Host) -> None:
    for _ in range(3):
        spawn = host.running(SLEEP)
        server = server_of(host)
        os.kill(server, signal.SIGKILL)
        host.reaped(server)
        assert host.output("exec echo on") == ["on"]
        # The others have nothing to do with it.
        assert status(host.pids[spawn])["State"][0] in "SRD"
        assert status(host.pids[spawn])["PPid"] == str(os.getpid())
    assert host.lines == []


def test_a_launch_server_that_does_not_answer_is_killed(host: Host) -> None:
    host.backend._server = LaunchServer(LAUNCHER, patience=2.0)
    host.output("exec echo warm")
    server = server_of(host)
    os.kill(server, signal.SIGSTOP)
    os.waitid(os.P_PID, server, os.WSTOPPED | os.WNOWAIT)
    spawn = host.running(SLEEP)
    host.reaped(server)
    # Started once, although it was asked for twice.
    assert sorted(children()) == sorted([server_of(host), host.pids[spawn]])


def test_the_launch_server_is_in_no_session_of_ours_and_holds_nothing(host: Host) -> None:
    host.running("script\ntrue\nsleep 1000\nend script")
    server = server_of(host)
    assert os.getsid(server) == server
    # Its socket; and what the test's own process was given by whoever started it.
    inherited = [fd for fd in descriptors(os.getpid()) if os.get_inheritable(fd)]
    assert [what.partition(":")[0] for fd, what in descriptors(server).items() if fd not in inherited] == ["socket"]


def test_more_descriptors_than_one_message_carries(host: Host) -> None:
    fds = tuple(os.dup(0) for _ in range(launch_server.MOST_PASSED))
    try:
        assert host.end(host.spawn(f"exec sh -c 'test -e /proc/self/fd/{fds[-1]}'", fds=fds)) == 0
    finally:
        for fd in fds:
            os.close(fd)


def test_the_launcher_is_missing(make_host: MakeHost) -> None:
    host = make_host(launcher="/nonexistent/launcher")
    spawn = host.spawn(SLEEP)
    # Not from within spawn(): the engine is in the middle of a change of state.
    assert host.fed == []
    assert host.fire() == [0.0]
    assert host.course(spawn) == [exactly(ProcessSpawnFailed(
        spawn, "unable to execute launcher /nonexistent/launcher: No such file or directory"))]
    assert host.lines == []


def test_the_launcher_may_not_be_executed(make_host: MakeHost, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "launcher"
    path.write_text("")
    host = make_host(launcher=str(path))
    host.spawn(SLEEP)
    host.fire()
    assert host.fed[-1].reason == f"unable to execute launcher {path}: Permission denied"


def test_a_program_that_is_no_launcher(make_host: MakeHost) -> None:
    """It says nothing and ends: as when the launcher is killed, nobody can tell that from a program's end."""
    host = make_host(launcher="/bin/false")
    assert host.end(host.spawn(SLEEP)) == 1


@pytest.mark.parametrize("said", [b"x", b"x" * 11, ANSWER.pack(77, 2, 0)])
def test_x46_an_answer_that_makes_no_sense(make_host: MakeHost, tmp_path: pathlib.Path, said: bytes) -> None:
    answer = tmp_path / "answer"
    answer.write_bytes(said)
    launcher = tmp_path / "launcher"
    # The socket among the descriptors from 3 up is the one to answer through.
    launcher.write_text(
        "#!/bin/bash\n[ \"$1\" != serve ] || exit 255\nfor fd in /proc/$$/fd/*; do\n"
        f"case $fd:$(readlink $fd) in */[012]:*) ;; *:socket:*) cat {answer} >&${{fd##*/}}; exit 255;; esac\ndone\n")
    launcher.chmod(0o755)
    host = make_host(launcher=str(launcher), console="none")
    spawn = host.spawn(SLEEP)
    host.run(lambda: len(host.of(spawn)) >= 2)
    failed = host.of(spawn)[-1]
    assert isinstance(failed, ProcessSpawnFailed)
    assert failed.reason == ("launcher gave an unknown answer (77): No such file or directory" if len(said) == ANSWER.size
                             else "launcher gave an answer of the wrong size")


def test_x86_without_permission_to_trace(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: int, pid: int, data: int = 0) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("compat.backends.tracee.ptrace", refuse)
    assert host.failure("expect fork\nexec /bin/true") == "unable to set trace: Operation not permitted"
    assert len(host.backend.tracees) == 0
    # Not left waiting for leave.
    [launcher] = [each.pid for each in host.fed if isinstance(each, ProcessSpawned)]
    host.run(lambda: not status(launcher))
    assert host.end(host.spawn("exec /bin/true")) == 0


def test_a_feed_that_kills_what_was_just_spawned(host: Host) -> None:
    """The engine may answer ProcessSpawned with a signal, from within spawn()."""
    def react(happened: Any) -> None:
        if isinstance(happened, ProcessSpawned):
            host.kill(happened.spawn, signal.SIGKILL)

    host.react = react
    assert host.end(host.spawn(SLEEP)) == 9 << 8
    assert not any(isinstance(each, SignalNotSent) for each in host.fed)

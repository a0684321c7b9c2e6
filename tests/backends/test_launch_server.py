"""The launch server: starts each process exactly once, whatever becomes of it, and every descriptor under its number."""
from __future__ import annotations

import array
import contextlib
import os
import pathlib
import resource
import signal
import socket
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.backends import process_spec
from compat.backends.launch_server import MOST_PASSED, LaunchServer
from compat.backends.native import LAUNCHER
from compat.backends.process_spec import ProcessSpec
from tests.backends.native_host import PATIENCE, Host, as_ordinary_user, children, descriptors, status

_WALL = 0x40000000


def specification(*argv: str, keep: Sequence[int] = (), status_fd: int = -1) -> bytes:
    spec = ProcessSpec()
    spec.strings(process_spec.ARGV, [os.fsencode(each) for each in argv])
    spec.strings(process_spec.ENVIRONMENT, [b"PATH=/usr/bin:/bin"])
    if keep:
        spec.numbers(process_spec.KEEP_FDS, tuple(keep))
    if status_fd >= 0:
        spec.number(process_spec.STATUS_FD, status_fd)
    return spec.encode()


@contextlib.contextmanager
def spec_file(data: bytes) -> Iterator[int]:
    fd = os.memfd_create("specification", os.MFD_CLOEXEC)
    os.write(fd, data)
    try:
        yield fd
    finally:
        os.close(fd)


def start(server: LaunchServer, *argv: str, fds: Sequence[int] = ()) -> int:
    """A process that keeps some descriptors; it has executed its program when this returns."""
    answer, theirs = os.pipe2(os.O_CLOEXEC)
    try:
        with spec_file(specification(*argv, keep=fds, status_fd=theirs)) as spec:
            pid = server.start([spec, theirs, *fds])
        os.close(theirs)
        theirs = -1
        assert os.read(answer, 100) == b""
        return pid
    finally:
        os.close(answer)
        if theirs >= 0:
            os.close(theirs)


def end(pid: int) -> int:
    """Wait for a child; its exit status, or minus its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, _WALL)[1])


def server_of(pids: Sequence[int] = ()) -> int:
    """The one living child that is none of these."""
    living = [pid for pid in children() if pid not in pids and not status(pid)["State"].startswith("Z")]
    assert len(living) == 1, living
    return living[0]


def bury(pid: int) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = descriptors(os.getpid())
    yield
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    while children():
        try:
            os.waitpid(-1, _WALL)
        except ChildProcessError:
            break
    assert descriptors(os.getpid()) == before


def keeps(pid: int, expected: Dict[int, str]) -> None:
    """The process has these descriptors and no others, once the dynamic linker of its program is done."""
    end_of_patience = time.monotonic() + PATIENCE
    found = descriptors(pid)
    while found != expected and time.monotonic() < end_of_patience:
        os.sched_yield()
        found = descriptors(pid)
    assert found == expected


def keeps_numbers(pid: int, expected: Sequence[int]) -> None:
    """Likewise, whatever is behind the numbers."""
    end_of_patience = time.monotonic() + PATIENCE
    found = sorted(descriptors(pid))
    while found != sorted(expected) and time.monotonic() < end_of_patience:
        os.sched_yield()
        found = sorted(descriptors(pid))
    assert found == sorted(expected)


@pytest.fixture
def server() -> Iterator[LaunchServer]:
    server = LaunchServer(LAUNCHER)
    yield server
    server.close()


# -- what a process is ---------------------------------------------------------------------------------------


def test_x36_the_process_is_our_child_in_a_session_of_its_own(server: LaunchServer) -> None:
    pid = start(server, "sleep", "1000")
    assert status(pid)["PPid"] == str(os.getpid())
    assert os.getsid(pid) == os.getpgid(pid) == pid
    keeps(pid, dict.fromkeys(range(3), "/dev/null"))
    assert pid not in children(server_of([pid]))


def test_its_group_can_be_signalled_at_once(server: LaunchServer) -> None:
    for _ in range(50):
        with spec_file(specification("sleep", "1000")) as spec:
            pid = server.start([spec])
        os.killpg(pid, signal.SIGKILL)
        assert end(pid) == -signal.SIGKILL


@pytest.mark.parametrize(("script", "expected"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)])
def test_x98_its_exit_status_comes_to_us(server: LaunchServer, script: str, expected: int) -> None:
    assert end(start(server, "sh", "-c", script)) == expected


def test_no_descriptors_grow(server: LaunchServer) -> None:
    end(start(server, "true"))
    other = server_of()
    ours, theirs = descriptors(os.getpid()), descriptors(other)
    for _ in range(200):
        assert end(start(server, "true", fds=(0, 1))) == 0
    assert descriptors(os.getpid()) == ours
    assert server_of() == other
    assert descriptors(other) == theirs


def test_close_ends_the_server_and_nothing_else(server: LaunchServer) -> None:
    pid = start(server, "sleep", "1000")
    other = server_of([pid])
    server.close()
    assert end(other) == 0
    assert status(pid)["State"][0] in "SRD"
    # It may be used again.
    assert end(start(server, "sh", "-c", "exit 3")) == 3


# -- a server in trouble ---------------------------------------------------------------------------------------


def test_a_server_killed_between_starts(server: LaunchServer) -> None:
    seen = set()
    for _ in range(5):
        pid = start(server, "sleep", "1000")
        assert status(pid)["PPid"] == str(os.getpid())
        other = server_of([pid])
        seen.add(other)
        os.kill(other, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        assert end(pid) == -signal.SIGKILL
        bury(other)
    assert len(seen) == 5


def test_a_killed_server_whose_end_nobody_waited_for(server: LaunchServer) -> None:
    """Its pid is still taken; that hinders neither the next start nor a process that waits for it to be done."""
    for _ in range(5):
        end(start(server, "true"))
        other = server_of()
        os.kill(other, signal.SIGKILL)
        os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
        assert end(start(server, "sh", "-c", "exit 4")) == 4


def count_of(path: pathlib.Path) -> int:
    return path.read_text().count("x") if path.exists() else 0


@pytest.mark.parametrize("pidfd", [True, False])
def test_a_stopped_server_is_killed_and_the_process_started_once(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, pidfd: bool) -> None:
    if not pidfd:
        def refuse(pid: int, flags: int = 0) -> int:
            raise OSError(38, "as before Linux 5.3")

        monkeypatch.setattr(os, "pidfd_open", refuse)
    traces = tmp_path / "traces"
    server = LaunchServer(LAUNCHER, patience=2.0)
    try:
        end(start(server, "true"))
        other = server_of()
        os.kill(other, signal.SIGSTOP)
        os.waitid(os.P_PID, other, os.WSTOPPED)
        begin = time.monotonic()
        pid = start(server, "sh", "-c", f"echo x >> {traces}; exec sleep 1000")
        assert time.monotonic() - begin >= 2
        assert status(pid)["PPid"] == str(os.getpid())
        assert end(other) == -signal.SIGKILL
        wait_for(lambda: count_of(traces))
        assert start_and_end(server) == 0
        assert count_of(traces) == 1
    finally:
        server.close()


def start_and_end(server: LaunchServer) -> int:
    return end(start(server, "true"))


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class LateAnswer:
    """A server, played by the test, whose answer comes at a chosen moment."""

    def __init__(self, server: LaunchServer) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0.2)
        server._socket = ours

    def close(self) -> None:
        self.theirs.close()


def test_an_answer_that_came_with_the_last_of_the_patience_counts(server: LaunchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process lives, so it must not be started again."""
    late = LateAnswer(server)
    monkeypatch.setattr(server, "_kill", lambda: late.theirs.send(array.array("i", [12345])))
    with spec_file(b"") as spec:
        assert server.start([spec]) == 12345
    late.close()


def test_an_answer_after_that_cannot_be_given(server: LaunchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    late = LateAnswer(server)
    refused: List[bool] = []
    real = server.close

    def close() -> None:
        # Before the socket is closed, but after it was decided that there is no answer.
        if not refused:
            try:
                late.theirs.send(array.array("i", [12345]), socket.MSG_NOSIGNAL)
                refused.append(False)
            except BrokenPipeError:
                refused.append(True)
            # With it goes the request, and the descriptors in it.
            late.close()
        real()

    monkeypatch.setattr(server, "close", close)
    assert end(start(server, "sh", "-c", "exit 5")) == 5
    assert refused == [True]


def test_a_server_that_ends_at_once(tmp_path: pathlib.Path) -> None:
    """Twice; then the launcher is executed for the process alone."""
    program = tmp_path / "launcher"
    program.write_text(f'#!/bin/sh\n[ "$1" != serve ] || exit 1\nexec {LAUNCHER} "$@"\n')
    program.chmod(0o755)
    server = LaunchServer(str(program))
    pid = start(server, "sleep", "1000")
    assert status(pid)["PPid"] == str(os.getpid())
    assert os.getsid(pid) == pid
    gone = [each for each in children() if each != pid]
    assert [end(each) for each in gone] == [1, 1]
    server.close()


def test_x32_a_process_cannot_be_made() -> None:
    def check(host: Host) -> List[object]:
        server = LaunchServer(host.backend._launcher)
        found: List[object] = [start_and_end(server)]
        other = server_of()
        before = resource.prlimit(other, resource.RLIMIT_NPROC, (0, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
        held = descriptors(os.getpid())
        for _ in range(3):
            try:
                start(server, "true")
            except OSError as error:
                found.append(type(error))
        resource.prlimit(other, resource.RLIMIT_NPROC, before)
        found += [descriptors(os.getpid()) == held, start_and_end(server), server_of() == other]
        server.close()
        return found

    assert as_ordinary_user(check) == [0, BlockingIOError, BlockingIOError, BlockingIOError, True, 0, True]


@pytest.mark.parametrize("limit", ["received", "wanted"])
def test_x33_a_server_without_descriptors(server: LaunchServer, limit: str) -> None:
    """It refuses, and no process is left half made: neither when they cannot come in nor when their numbers are too high."""
    end(start(server, "true"))
    other = server_of()
    high: List[int] = []
    if limit == "wanted":
        while not high or high[-1] < 100:
            high.append(os.dup(0))
    before = resource.prlimit(other, resource.RLIMIT_NOFILE)
    held = descriptors(other)
    resource.prlimit(other, resource.RLIMIT_NOFILE, (100 if high else min(set(range(100)) - set(held)), before[1]))
    with pytest.raises(OSError, match="Too many open files"):
        start(server, "sleep", "1000", fds=high[-1:])
    resource.prlimit(other, resource.RLIMIT_NOFILE, before)
    assert descriptors(other) == held
    for pid in children():
        if pid != other:
            assert end(pid) == 255
    pid = start(server, "sleep", "1000", fds=high[-1:])
    keeps_numbers(pid, [0, 1, 2, *high[-1:]])
    for fd in high:
        os.close(fd)


# -- descriptors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [0, 1])
def test_as_many_as_a_message_carries_and_one_more(server: LaunchServer, more: int) -> None:
    # The specification and the pipe to answer through are among them.
    fds = [os.dup(0) for _ in range(MOST_PASSED - 2 + more)]
    flags = [os.get_inheritable(fd) for fd in fds]
    pid = start(server, "sleep", "1000", fds=fds)
    keeps_numbers(pid, [0, 1, 2, *fds])
    assert status(pid)["PPid"] == str(os.getpid())
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert [os.get_inheritable(fd) for fd in fds] == flags == [False] * len(fds)
    # With one too many there is no server.
    assert len(children()) == 2 - more
    os.kill(pid, signal.SIGKILL)
    assert end(pid) == -signal.SIGKILL
    for fd in fds:
        os.close(fd)


Numbers = Tuple[int, List[int], List[int]]


@st.composite
def numbers(draw: st.DrawFn) -> Numbers:
    """The number of the server's socket, what else is open in it, so that received ones come between, and the wanted ones."""
    own = draw(st.integers(3, 14))
    taken = draw(st.lists(st.integers(3, 14).filter(lambda fd: fd != own), unique=True, max_size=8))
    wanted = draw(st.lists(st.one_of(st.integers(3, 16), st.integers(3, 40)), unique=True, min_size=2, max_size=14))
    return own, taken, wanted


def serve(own: int, taken: Sequence[int]) -> Tuple[socket.socket, int]:
    """A server with its socket at ``own`` and other descriptors open; the test's end and the server's pid."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    high = 200
    with theirs:
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), high), *((os.POSIX_SPAWN_DUP2, 0, fd) for fd in taken),
                   (os.POSIX_SPAWN_DUP2, high, own), (os.POSIX_SPAWN_CLOSE, high)]
        pid = os.posix_spawn(LAUNCHER, ("launcher", "serve", str(own)), {}, setsid=True, file_actions=actions)
    ours.settimeout(PATIENCE)
    return ours, pid


@settings(max_examples=300)
@given(numbers())
def test_x21_descriptors_get_their_numbers_whatever_they_were_received_as(given: Numbers) -> None:
    own, taken, wanted = given
    check_numbers(own, taken, wanted)


@pytest.mark.parametrize("wanted", [[4, 5, 6, 7], [5, 4, 7, 6], [5, 6, 7, 4], [7, 6, 5, 4], [3, 4], [4, 3], [9, 3, 10], [10, 9, 11, 8]])
def test_x21_numbers_that_collide(wanted: List[int]) -> None:
    """Rotations and swaps of those received, 4 5 6 7; that of the socket, 3; that of a script."""
    check_numbers(3, [], wanted)


def check_numbers(own: int, taken: Sequence[int], wanted: Sequence[int]) -> None:
    inherited = [fd for fd in descriptors(os.getpid()) if os.get_inheritable(fd)]
    ours, other = serve(own, taken)
    answer, theirs = os.pipe2(os.O_CLOEXEC)
    files: Dict[int, int] = {}
    pid: Optional[int] = None
    try:
        for number in wanted[2:]:
            files[number] = os.memfd_create(f"number {number}", os.MFD_CLOEXEC)
        with spec_file(specification("sleep", "1000", keep=wanted[2:], status_fd=wanted[1])) as spec:
            sent = array.array("i", [spec, theirs, *files.values()])
            ours.sendmsg([array.array("i", wanted)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
            pid = int(array.array("i", ours.recv(4))[0])
        os.close(theirs)
        theirs = -1
        assert os.read(answer, 100) == b""
        expected = {number: f"/memfd:number {number} (deleted)" for number in files}
        keeps(pid, {**dict.fromkeys(range(3), "/dev/null"), **expected})
        # The process did not execute its program before the server had closed its copies.
        assert set(descriptors(other)) == {own, *taken, *inherited}
    finally:
        for fd in (answer, theirs, *files.values()):
            if fd >= 0:
                os.close(fd)
        ours.close()
        assert end(other) == 0
        if pid is not None and pid > 0:
            os.kill(pid, signal.SIGKILL)
            assert end(pid) == -signal.SIGKILL

"""Whether a descriptor that came over an exec is what it is said to be (D192, D229)."""
from __future__ import annotations

import os
import pathlib
import socket
from typing import Callable, Iterator, List

import pytest

from compat.backends import kept_descriptors
from compat.backends.identity import Identity
from compat.backends.job_log import HeldOutput, JobLog
from compat.state.processes import LogState
from tests.backends.job_log.job_output import open_slave


@pytest.fixture
def opened(tmp_path: pathlib.Path) -> Iterator[dict]:  # type: ignore[type-arg]
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    reading, writing = os.pipe()
    one, other = (end.detach() for end in socket.socketpair())
    found = {
        "master": master, "pipe": writing, "socket": one, "file": os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT),
        "read-only file": os.open(tmp_path / "log", os.O_RDONLY), "directory": os.open(tmp_path, os.O_RDONLY), "closed": 10 ** 5,
        "none": -1, "impossible": 2 ** 40}
    yield found
    for fd in (*found.values(), reading, other):
        if 0 <= fd < 10 ** 5:
            os.close(fd)


@pytest.mark.parametrize("check, good", [
    (kept_descriptors.is_pty_master, ["master"]), (kept_descriptors.is_log_file, ["file", "pipe"]),
    (kept_descriptors.is_channel, ["socket", "pipe"]), (kept_descriptors.is_pipe, ["pipe"])])
def test_d229_only_the_right_kind_is_taken(opened: dict, check: Callable[[int], bool], good: List[str]) -> None:  # type: ignore[type-arg]
    for name, fd in opened.items():
        if name in good:
            os.set_inheritable(fd, True)
        assert check(fd) == (name in good), name
        assert name not in good or not os.get_inheritable(fd), "closed on the next exec again"


def test_d229_a_pidfd_is_that_of_the_process() -> None:
    fd = os.pidfd_open(os.getpid())
    try:
        assert kept_descriptors.is_pidfd_of(fd, os.getpid())
        assert not kept_descriptors.is_pidfd_of(fd, os.getppid()) and not kept_descriptors.is_pidfd_of(10 ** 5, os.getpid())
    finally:
        os.close(fd)


def test_d229_an_identity_goes_on_with_either_of_what_it_had() -> None:
    first = Identity(os.getpid())
    pidfd, started = first.state()
    assert started
    assert Identity.restored(os.getpid(), pidfd, "").holds()
    assert Identity.restored(os.getpid(), -1, started).holds()
    assert not Identity.restored(os.getpid(), -1, str(int(started) + 1)).holds()
    assert not Identity.restored(os.getpid(), -1, "").holds()
    first.close()


def test_d206_a_log_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    said: List[str] = []
    path = str(tmp_path / "none" / "job.log")
    log = JobLog.create(path, lambda priority, text: said.append(text))
    slave = open_slave(log)
    os.write(slave, b"before\n")
    assert log.readable() and log.unwritten
    state = log.state()
    assert state == LogState(path, log.master, unwritten=b"before\r\n", open_error=2)
    again = JobLog.restored(state, lambda priority, text: said.append(text), None)
    assert again is not None
    (tmp_path / "none").mkdir()
    os.write(slave, b"after\n")
    os.close(slave)
    again.readable()
    again.finish()
    assert pathlib.Path(path).read_bytes() == b"before\r\nafter\r\n"


def test_d206_held_output_is_held_again(tmp_path: pathlib.Path) -> None:
    held = HeldOutput(lambda priority, text: None)
    path = str(tmp_path / "job.log")
    logs = held.restore([LogState(path, -1, unwritten=b"kept\n", dropped=3, ended=True, hung_up=True, open_error=30),
                         LogState(str(tmp_path / "lost.log"), 10 ** 5, unwritten=b"too\n", ended=True)])
    assert len(logs) == len(held) == 2 and [log.master for log in logs] == [-1, -1]
    held.write_all()
    assert pathlib.Path(path).read_bytes() == b"[3 bytes of output could not be kept]\r\nkept\n"
    assert (tmp_path / "lost.log").read_bytes() == b"too\n"

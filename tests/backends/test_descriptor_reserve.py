"""Jobs do not get the last descriptors: X33, X121."""
from __future__ import annotations

import contextlib
import os
import pathlib
import resource
from typing import Iterator, List

import pytest

from compat.backends import identity
from compat.backends.descriptor_reserve import RESERVE, exhausted, in_reserve
from compat.backends.job_log import HeldOutput
from tests.backends.job_log.job_output import Process
from tests.backends.native_host import Host

WARNING = "W Temporary process spawn error: Too many open files"


class Room:
    """So many descriptors are left before the reserve begins, until ``widen``."""

    def __init__(self, count: int) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.plugs: List[int] = []
        # From a number on where the reserve is the whole one; and no gap is left below.
        while not self.plugs or self.plugs[-1] < 4 * RESERVE:
            self.plugs.append(os.dup(0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.plugs[-1] + 1 + count + RESERVE, self.before[1]))

    def widen(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self.before)

    def close(self) -> None:
        self.widen()
        for fd in self.plugs:
            os.close(fd)
        self.plugs.clear()


@contextlib.contextmanager
def room(count: int) -> Iterator[Room]:
    made = Room(count)
    try:
        yield made
    finally:
        made.close()


def openable() -> int:
    """How many descriptors can still be opened."""
    opened: List[int] = []
    try:
        while True:
            opened.append(os.dup(0))
    except OSError:
        return len(opened)
    finally:
        for fd in opened:
            os.close(fd)


@pytest.mark.parametrize(("limit", "first"), [(1024, 992), (128, 96), (64, 48), (256, 224)])
def test_where_the_reserve_begins(monkeypatch: pytest.MonkeyPatch, limit: int, first: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit * 2))
    assert [in_reserve(fd) for fd in (0, first - 1, first, limit - 1)] == [False, False, True, True]


def test_without_a_limit_there_is_no_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert not in_reserve(1_000_000)


def test_it_says_what_the_kernel_would_say() -> None:
    with room(0) as made:
        made.plugs += [os.dup(0) for _ in range(RESERVE)]
        with pytest.raises(OSError) as caught:
            os.dup(0)
    assert (caught.value.errno, caught.value.strerror) == (exhausted().errno, exhausted().strerror)


def test_x33_a_process_is_not_started_with_the_last_descriptors(host: Host) -> None:
    host.output("exec echo warm")
    with room(1):
        before = os.listdir("/proc/self/fd")
        spawn = host.spawn("exec echo hello")
        assert host.of(spawn) == []
        assert host.lines == [WARNING] * 3
        assert os.listdir("/proc/self/fd") == before
        assert openable() == RESERVE + 1
    assert host.fire() == [1.0]
    assert host.end(spawn) == 0
    assert host.printed("web") == ["hello"]


@pytest.mark.parametrize("text", ["exec sleep 1000", "script\ntrue\nsleep 1000\nend script", "console none\nexec sleep 1000",
                                  "expect fork\nscript\nsleep 1000 &\nend script"])
def test_x33_however_many_are_started_a_reserve_is_left(host: Host, text: str) -> None:
    with room(20):
        while not host.lines:
            host.spawn(text)
            assert host.serial < 100
        # What the last one had opened beyond its first descriptor may be missing.
        assert openable() >= RESERVE - 4
        host.run(lambda: all(len(host.of(each)) >= 2 for each in host.pids))
        assert openable() >= RESERVE - 1
        assert [line for line in host.lines if line != WARNING] == []


def test_x121_output_is_kept_while_only_the_reserve_is_left(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "web.log"
    with room(1) as made:
        process = Process(path, [])
        process.prints(b"one\n")
        process.prints(b"two\n")
        assert process.log.unwritten == len(b"one\r\ntwo\r\n")
        # Its other end was opened by this test and is in the reserve.
        assert openable() == RESERVE - 1
        made.widen()
        process.prints(b"three\n")
        assert process.log.unwritten == 0
        assert path.read_bytes() == b"one\r\ntwo\r\nthree\r\n"
        process.prints(b"four\n")
        assert process.end()
    assert path.read_bytes() == b"one\r\ntwo\r\nthree\r\nfour\r\n"


def test_x124_at_the_end_of_the_process_its_output_is_written_all_the_same(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "web.log"
    lines: List[object] = []
    with room(1):
        process = Process(path, lines)  # type: ignore[arg-type]
        process.prints(b"one\n")
        os.write(process.slave, b"two\n")
        assert process.end()
        assert path.read_bytes() == b"one\r\ntwo\r\n"
        assert openable() == RESERVE + 1
    assert lines == []


def test_x127_a_full_table_is_not_a_read_only_disk(tmp_path: pathlib.Path) -> None:
    """Nothing is held for later because of it."""
    held = HeldOutput(lambda priority, text: None)
    with room(1):
        process = Process(tmp_path / "web.log", [], held)
        process.prints(b"one\n")
        assert process.end()
    assert len(held) == 0


def test_x120_a_file_that_is_open_stays_open(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "web.log"
    process = Process(path, [])
    process.prints(b"one\n")
    with room(0):
        process.prints(b"two\n")
        assert path.read_bytes() == b"one\r\ntwo\r\n"
        path.unlink()
        # Its number is free again, and is none of the last.
        process.prints(b"three\n")
        assert path.read_bytes() == b"three\r\n"
    assert process.end()


def test_x80_a_followed_process_is_known_by_its_start_time_instead() -> None:
    with room(0):
        myself = identity.Identity(os.getpid())
        assert openable() == RESERVE
        assert myself.holds()
        myself.close()
    with room(1):
        myself = identity.Identity(os.getpid())
        assert openable() == RESERVE
        assert myself.holds()
        myself.close()

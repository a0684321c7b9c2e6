"""A backend in small around a TraceeTable, with real processes, and what /proc says of these."""
from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from compat.backends.tracee import TraceeTable
from compat.engine.inputs import ProcessForked, ProcessReady

PROGRAMS = Path(__file__).parent / "programs"
WALL = 0x40000000
SUBREAPER, GET_SUBREAPER = 36, 37
libc = ctypes.CDLL(None, use_errno=True)
SPAWN = 7


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name in ("traced", "victim"):
        subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-o", folder / name, PROGRAMS / f"{name}.c"], check=True)
    return folder


class Pump:
    """A backend in small: starts victims, collects every status, and notes what the table feeds."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.fed: List[tuple] = []  # type: ignore[type-arg]
        self.pids: List[Tuple[int, int, int]] = []
        self.lines: List[Tuple[int, str]] = []
        self.ordinary: List[Tuple[int, int]] = []
        self.reports: List[Tuple[int, int]] = []
        self.tracked: Dict[int, int] = {}
        self.table = TraceeTable(self.feed, lambda priority, text: self.lines.append((priority, text)), self.on_pid)
        self.gate_read, self.gate = os.pipe()
        self.report_read, self.report_write = os.pipe()
        self.wake_read, self.wake_write = os.pipe()
        for descriptor in (self.report_read, self.wake_read, self.wake_write):
            os.set_blocking(descriptor, False)
        for descriptor in (self.gate, self.report_read, self.wake_read, self.wake_write):
            fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        self.text = b""
        self.seen: List[int] = []

    def feed(self, happened: tuple) -> None:  # type: ignore[type-arg]
        self.fed.append(happened)

    def on_pid(self, spawn: int, old: int, new: int) -> None:
        # X72: before ProcessForked is fed.
        assert ProcessForked(spawn, new) not in self.fed
        assert self.tracked[spawn] == old
        self.tracked[spawn] = new
        self.pids.append((spawn, old, new))

    def start(self, *steps: str, expect: str = "fork", spawn: int = SPAWN, traced: bool = True, before_exec: str = "",
              job_control: bool = False) -> int:
        """Start a victim; its pid. ``job_control``: as a shell would, so that SIGTSTP stops it wherever the tests were started from."""
        victim = str(self.programs / "victim")
        argv = [victim, *steps]
        if traced:
            argv = [str(self.programs / "traced"), *([before_exec] if before_exec else []), *argv]
        theirs, ours = socket.socketpair()
        pid = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=[
            (os.POSIX_SPAWN_DUP2, self.gate_read, 0), (os.POSIX_SPAWN_DUP2, self.report_write, 1),
            *([(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)] if traced else [])],
            setsigdef=range(1, 32), **({"setpgroup": 0} if job_control else {}))
        self.tracked[spawn] = pid
        if traced:
            assert ours.recv(1)
            self.table.seize(spawn, pid, expect, "web main process")
            ours.send(b"l")
        theirs.close()
        ours.close()
        return pid

    def next_status(self) -> Tuple[int, int]:
        pid, status = os.waitpid(-1, WALL | os.WUNTRACED | os.WCONTINUED)
        self.seen.append(pid)
        return pid, status

    def handle(self, pid: int, status: int) -> None:
        if not self.table.handle(pid, status):
            self.ordinary.append((pid, status))

    def collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, WALL | os.WUNTRACED | os.WCONTINUED | os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.seen.append(pid)
            self.handle(pid, status)

    def run(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                os.read(self.wake_read, 4096)
            except BlockingIOError:
                pass
            self.collect()
            try:
                self.text += os.read(self.report_read, 65536)
            except BlockingIOError:
                pass
            *whole, self.text = self.text.split(b"\n")
            for line in whole:
                pid, count = map(int, line.split())
                self.reports.append((pid, count))
            if until():
                return
            left = deadline - time.monotonic()
            assert left > 0, (self.fed, self.ordinary, self.lines, self.reports, list(self.table.early))
            select.select([self.wake_read, self.report_read], [], [], left)

    def run_until_report(self, number: int = 1) -> int:
        """Until so many reports came; the pid of the last."""
        self.run(lambda: len(self.reports) >= number)
        return self.reports[number - 1][0]

    def run_until_end(self, pid: int) -> int:
        """Until this process ended; its status."""
        self.run(lambda: any(each == pid and not os.WIFSTOPPED(status) for each, status in self.ordinary))
        return next(status for each, status in self.ordinary if each == pid and not os.WIFSTOPPED(status))

    def open_gate(self, times: int = 1) -> None:
        os.write(self.gate, b"g" * times)

    @property
    def ready(self) -> bool:
        return ProcessReady(SPAWN) in self.fed

    def close(self) -> None:
        while True:
            # As this process adopts orphans, all that is left becomes its child sooner or later.
            for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
                os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, WALL)
            except ChildProcessError:
                break
        for descriptor in (self.gate_read, self.gate, self.report_read, self.report_write, self.wake_read, self.wake_write):
            os.close(descriptor)


def status_field(pid: int, name: str) -> str:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""
    return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(name + ":"))


def tracer(pid: int) -> int:
    return int(status_field(pid, "TracerPid") or 0)


def parent(pid: int) -> int:
    return int(status_field(pid, "PPid") or 0)


def is_stopped(pid: int) -> bool:
    return status_field(pid, "State")[:1] in ("T", "t")


@pytest.fixture
def pump(programs: Path) -> Iterator[Pump]:
    before = ctypes.c_int()
    libc.prctl(GET_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    pump = Pump(programs)
    old_handler = signal.signal(signal.SIGCHLD, lambda number, frame: None)
    old_wakeup = signal.set_wakeup_fd(pump.wake_write, warn_on_full_buffer=False)
    try:
        yield pump
    finally:
        signal.set_wakeup_fd(old_wakeup)
        signal.signal(signal.SIGCHLD, old_handler)
        pump.close()
        libc.prctl(SUBREAPER, before.value, 0, 0, 0)


def forked(*pids: int) -> List[ProcessForked]:
    return [ProcessForked(SPAWN, pid) for pid in pids]


def both_reports(pump: Pump) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """The fork event of the parent and the first stop of the child, neither handled yet."""
    main = pump.tracked[SPAWN]
    first, second = pump.next_status(), pump.next_status()
    assert all(os.WIFSTOPPED(status) for _, status in (first, second))
    return (first, second) if first[0] == main else (second, first)

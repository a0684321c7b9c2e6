"""Processes as /proc shows them, and how the benchmarks end what they started. Measures nothing itself."""
from __future__ import annotations

import ctypes
import os
import pathlib
import select
import signal
import subprocess
import time
from typing import Callable, Iterable, List

_PR_SET_CHILD_SUBREAPER = 36


def children(pid: int) -> List[int]:
    """The children of a process, zombies too; none if it is gone."""
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def program(pid: int) -> str:
    """The name of the program that a process runs, empty if it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def total(key: str, pids: Iterable[int]) -> int:
    """The sum of a number in /proc/PID/status, such as VmRSS (in KiB), over processes."""
    result = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                result += int(line.split()[1])
    return result


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process that was started here and all its descendants, and wait until none is left to disturb what is measured next."""
    killed = _kill_tree(process.pid)
    process.wait()
    # A parent is reaped before its children, which are ours only then.
    for pid in killed:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass


def adopt_orphans() -> None:
    """Make what loses its parent a child of this process, so that ``end`` can wait for it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill_tree(pid: int) -> List[int]:
    """Returns what was killed, parents before children."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return []
    # Under a stopped parent an ended child stays a zombie, so its number cannot become another's.
    killed = [descendant for child in children(pid) for descendant in _kill_tree(child)]
    os.kill(pid, signal.SIGKILL)
    return [pid, *killed]


class Stamps:
    """A FIFO to which programs/stamp.c writes the time of its first instruction."""

    def __init__(self, path: pathlib.Path) -> None:
        os.mkfifo(path)
        self.path = path
        # Open for both, so that a writer never waits for a reader and the end is never seen.
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def next(self, limit: float = 30.0) -> float:
        """Wait for the next start; its CLOCK_MONOTONIC time in seconds. Raises TimeoutError."""
        if not select.select([self._fd], [], [], limit)[0]:
            raise TimeoutError("the service did not start")
        return int(os.read(self._fd, 4096).split()[-1]) / 1e9

    def close(self) -> None:
        """Give up the descriptor."""
        os.close(self._fd)


def wait_for(condition: Callable[[], bool], what: str, limit: float = 60.0, pause: float = 0.01) -> None:
    """Ask until it holds; the pauses leave the processor to what is measured. Raises TimeoutError."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(pause)

"""Namespaces of their own for tests on the real kernel, which need root; and a loop that waits for a source by hand."""
from __future__ import annotations

import contextlib
import ctypes
import os
import select
import subprocess
import time
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

_CLONE_NEWNET, _CLONE_NEWNS = 0x40000000, 0x00020000
_libc = ctypes.CDLL(None, use_errno=True)
#: Seconds until a test gives up.
PATIENCE = 20.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")


class Namespace:
    """A process that keeps network and mount namespaces alive."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.pid = self._process.pid

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Sockets made here are in the namespace."""
        with open("/proc/self/ns/net", "rb") as own, open(f"/proc/{self.pid}/ns/net", "rb") as other:
            _check(_libc.setns(other.fileno(), _CLONE_NEWNET))
            try:
                yield
            finally:
                _check(_libc.setns(own.fileno(), _CLONE_NEWNET))

    def run(self, *command: str) -> None:
        """Run a command in the namespaces. The test fails if it does."""
        subprocess.run(["nsenter", f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt", "--", *command], check=True)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def own_mounts() -> None:
    """Give this process, which ends soon, mounts of its own."""
    _check(_libc.unshare(_CLONE_NEWNS))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class HandLoop:
    """What sources want of the main loop, turned by hand."""

    def __init__(self) -> None:
        self._timers: List[Tuple[float, "HandTimer"]] = []
        self._urgent: Dict[int, Callable[[], None]] = {}

    def later(self, seconds: float, callback: Callable[[], None]) -> Any:
        timer = HandTimer(callback)
        self._timers.append((time.monotonic() + seconds, timer))
        return timer

    def add_urgent_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self._urgent[fd] = callback

    def remove_urgent_reader(self, fd: int) -> None:
        del self._urgent[fd]

    def turn_until(self, source: Any, condition: Callable[[], bool]) -> None:
        """Dispatch the source, if any, what is urgent and timers until the condition holds; fails after PATIENCE."""
        end = time.monotonic() + PATIENCE
        poll = select.poll()
        if source is not None:
            poll.register(source.fileno(), select.POLLIN)
        for fd in self._urgent:
            poll.register(fd, select.POLLPRI)
        while not condition():
            now = time.monotonic()
            assert now < end, "it did not happen"
            due = min((when for when, timer in self._timers if timer.callback is not None), default=end)
            for fd, _ in poll.poll(max(0.0, min(due, end) - now) * 1000 + 1):
                self._urgent.get(fd, source.dispatch if source is not None else None)()  # type: ignore[misc]
            for when, timer in list(self._timers):
                if when <= time.monotonic():
                    self._timers.remove((when, timer))
                    if timer.callback is not None:
                        timer.callback()

    def quiet(self, source: Any) -> bool:
        """Whether nothing is ready."""
        poll = select.poll()
        poll.register(source.fileno(), select.POLLIN)
        return not poll.poll(0)


class HandTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Any = callback

    def cancel(self) -> None:
        self.callback = None


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

"""Makes sure that a pid is still the process it was (X80).

A child of ours needs no such care: its pid is not given to another process before we waited for it.
But the process that a fork was followed to is at first its parent's child. If that parent waits for it,
the pid may belong to a stranger the next day, and nobody tells us.
"""
from __future__ import annotations

import os
import select
from typing import List, Optional, Tuple

from .descriptor_reserve import in_reserve
from .kept_descriptors import is_pidfd_of


def _status(pid: int) -> List[bytes]:
    """The fields of the process from the third on; empty if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The name, which comes second, may contain anything.
            return file.read(1024).rpartition(b")")[2].split()
    except OSError:
        return []


def start_time(pid: int) -> Optional[bytes]:
    """When the process started, in ticks since boot; None if there is none, or if it has ended."""
    fields = _status(pid)
    return fields[19] if len(fields) > 19 and fields[0] not in (b"Z", b"X") else None


def environment_of(pid: int) -> List[str]:
    """The environment that its program was started with, as far as it has not written over it; empty if there is none."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            entries = file.read(1 << 20).split(b"\0")
    except OSError:
        return []
    return [os.fsdecode(entry) for entry in entries if b"=" in entry]


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped it."""
    return _status(pid)[:1] == [b"T"]


def is_child(pid: int) -> bool:
    """Whether our own waitpid will tell of it, alive or ended."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _is_ours_to_wait_for(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


class Identity:
    """Holds on to the process that has ``pid`` now, by a pidfd, or by its start time before Linux 5.3."""

    __slots__ = ("_pid", "_pidfd", "_started")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pidfd = -1
        self._started: Optional[bytes] = None
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError:
            # ENOSYS, EPERM in some containers, EMFILE; or it is gone, which the start time says as well.
            self._started = start_time(pid)
        else:
            if in_reserve(self._pidfd):
                self.close()
                self._started = start_time(pid)

    @classmethod
    def restored(cls, pid: int, pidfd: int, started: str) -> Identity:
        """That of a daemon that this one replaces, from what ``state`` gave it."""
        found = cls.__new__(cls)
        found._pid = pid
        found._pidfd = pidfd if is_pidfd_of(pidfd, pid) else -1
        found._started = started.encode("ascii", "replace") or None
        return found

    def state(self) -> Tuple[int, str]:
        """The pidfd, -1 for none, and the start time."""
        started = self._started if self._started is not None else start_time(self._pid)
        return self._pidfd, (started or b"").decode("ascii")

    def holds(self) -> bool:
        """Whether the process lives, or has ended and waits for our own waitpid."""
        if self._pidfd >= 0:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            living = not poll.poll(0)
        else:
            living = self._started is not None and start_time(self._pid) == self._started
        return living or _is_ours_to_wait_for(self._pid)

    def fileno(self) -> int:
        """A descriptor that is readable when the process has ended; -1 if there is none."""
        return self._pidfd

    def close(self) -> None:
        """Let go."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

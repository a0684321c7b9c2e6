"""The daemon's own log.

On a terminal or a pipe, debug, info and message go to standard output as they are, and warn and above
to standard error behind ``init: `` (D65). Where standard error is the journal's, every line goes
there with the priority in the form of sd-daemon(3).

A daemon must not hang because nobody reads its output. A line that would block is kept, up to a
bound, and written once there is room; what does not fit is dropped and counted.
"""
from __future__ import annotations

import os
import select
import stat
from collections import deque
from typing import Deque, Mapping, Optional, Tuple

from .engine.actions import DEBUG, ERROR, FATAL, INFO, MESSAGE, WARN

#: The words of log_priority, by priority (D64).
PRIORITY_NAMES: Tuple[str, ...] = ("debug", "info", "message", "warn", "error", "fatal")
_SYSLOG = {DEBUG: 7, INFO: 6, MESSAGE: 5, WARN: 4, ERROR: 3, FATAL: 2}

_MOST_KEPT = 1 << 20
_STDOUT, _STDERR = 1, 2


class Log:
    """Call it with a priority and a text. ``priority`` is the lowest that is shown."""

    def __init__(self, priority: int = MESSAGE, environment: Optional[Mapping[str, str]] = None) -> None:
        self.priority = priority
        self._kept: Deque[Tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        self._dropped = 0
        self._journal = _is_journal(_STDERR, (environment or {}).get("JOURNAL_STREAM", ""))
        self._may_block = {fd: _may_block(fd) for fd in (_STDOUT, _STDERR)}

    def __call__(self, priority: int, text: str) -> None:
        """Write one line. Never raises and never blocks."""
        if priority < self.priority:
            return
        text = text.replace("\n", " ")
        if self._journal:
            line, fd = f"<{_SYSLOG[priority]}>{text}\n", _STDERR
        elif priority < WARN:
            line, fd = text + "\n", _STDOUT
        else:
            line, fd = _prefixed(text) + "\n", _STDERR
        self._write(fd, line.encode("utf-8", "surrogateescape"))

    def pending(self) -> bool:
        """Whether lines are kept that could not be written; ``flush`` tries again."""
        return bool(self._kept)

    def flush(self) -> None:
        """Write kept lines as far as there is room."""
        while self._kept:
            fd, data = self._kept[0]
            if not self._ready(fd):
                return
            self._kept.popleft()
            self._kept_bytes -= len(data)
            _put(fd, data)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self(WARN, f"{dropped} log messages were lost because nobody read them")

    def _write(self, fd: int, data: bytes) -> None:
        if self._kept:
            self.flush()
        if not self._kept and self._ready(fd):
            _put(fd, data)
        elif self._kept_bytes + len(data) <= _MOST_KEPT:
            self._kept.append((fd, data))
            self._kept_bytes += len(data)
        else:
            self._dropped += 1

    def _ready(self, fd: int) -> bool:
        if not self._may_block[fd]:
            return True
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return bool(poll.poll(0))


def _prefixed(text: str) -> str:
    """No blank after ``init:`` when the text's first word ends in a colon (D65, P25)."""
    colon, blank = text.find(":"), text.find(" ")
    return ("init:" if colon >= 0 and (blank < 0 or colon < blank) else "init: ") + text


def _may_block(fd: int) -> bool:
    try:
        return not stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def _is_journal(fd: int, stream: str) -> bool:
    """Whether a descriptor is the one that JOURNAL_STREAM names (systemd.exec(5))."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


def _put(fd: int, data: bytes) -> None:
    # POLLOUT promises room for PIPE_BUF bytes at least; longer lines go in pieces of that size.
    try:
        while data:
            data = data[os.write(fd, data[:4096]):]
    except OSError:
        pass

"""The daemon's own log.

On a terminal or a pipe, debug, info and message go to standard output as they are, and warn and above
to standard error behind ``init: `` (D65). Where standard error is the journal's, every line goes
there with the priority in the form of sd-daemon(3).

A daemon must not hang because nobody reads its output. What would block is kept, up to a bound, and
written once there is room; lines that do not fit are dropped and counted.
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
_PIECE = 4096


class Log:
    """Call it with a priority and a text. ``priority`` is the lowest that is shown."""

    def __init__(self, priority: int = MESSAGE, environment: Optional[Mapping[str, str]] = None,
                 output: int = 1, errors: int = 2) -> None:
        self.priority = priority
        self._journal = _is_journal(errors, (environment or {}).get("JOURNAL_STREAM", ""))
        self._errors = _Stream(errors)
        # One stream for one file, else lines that had to wait would change places with later ones.
        self._output = self._errors if _same_file(output, errors) else _Stream(output)

    def __call__(self, priority: int, text: str) -> None:
        """Write one line. Never raises and never blocks."""
        if priority < self.priority:
            return
        text = text.replace("\n", " ")
        if self._journal:
            line, stream = f"<{_SYSLOG[priority]}>{text}\n", self._errors
        elif priority < WARN:
            line, stream = text + "\n", self._output
        else:
            line, stream = _prefixed(text) + "\n", self._errors
        try:
            data = line.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = line.encode("utf-8", "backslashreplace")
        stream.write(data)
        if stream.dropped and not stream.kept:
            self._tell_dropped(stream)

    def pending(self) -> bool:
        """Whether lines are kept that could not be written; ``flush`` tries again."""
        return bool(self._output.kept or self._errors.kept)

    def flush(self) -> None:
        """Write kept lines as far as there is room."""
        for stream in (self._output, self._errors):
            stream.flush()
            if stream.dropped and not stream.kept:
                self._tell_dropped(stream)

    def state(self) -> Tuple[bytes, bytes]:
        """What is kept of output and errors, for the daemon that replaces this one."""
        return b"".join(self._output.kept), b"".join(self._errors.kept) if self._errors is not self._output else b""

    def restore(self, output: bytes, errors: bytes) -> None:
        """Write what another daemon kept, before anything else."""
        for stream, data in ((self._output, output), (self._errors, errors)):
            if data:
                stream.write(data)

    def _tell_dropped(self, stream: _Stream) -> None:
        dropped, stream.dropped = stream.dropped, 0
        self(WARN, f"{dropped} log messages were lost because nobody read them")


class _Stream:
    """A descriptor that is never waited for; ``kept`` is what it did not take, ``dropped`` how many lines did not fit."""

    def __init__(self, fd: int) -> None:
        self.kept: Deque[bytes] = deque()
        self.dropped = 0
        self._kept_bytes = 0
        self._fd = fd
        self._ask_first = False
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISFIFO(mode) or os.isatty(fd):
                self._ask_first = True
                # A description of our own: O_NONBLOCK on the given one would surprise all who share it.
                self._fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
                self._ask_first = False
            else:
                self._ask_first = stat.S_ISSOCK(mode)
        except OSError:
            pass

    def write(self, line: bytes) -> None:
        """Write a line after those that are kept, or keep it, or drop it."""
        self.flush()
        rest = line if self.kept else self._put(line)
        # The rest of a line that was begun is always kept.
        if rest and len(rest) == len(line) and self._kept_bytes + len(line) > _MOST_KEPT:
            self.dropped += 1
        elif rest:
            self.kept.append(rest)
            self._kept_bytes += len(rest)

    def flush(self) -> None:
        """Write what is kept as far as there is room."""
        while self.kept:
            before = self.kept[0]
            rest = self._put(before)
            self._kept_bytes -= len(before) - len(rest)
            if rest:
                self.kept[0] = rest
                return
            self.kept.popleft()

    def _put(self, data: bytes) -> bytes:
        """Write; returns what there was no room for. What can never be written counts as written."""
        while data and self._has_room():
            try:
                data = data[os.write(self._fd, data[:_PIECE]):]
            except BlockingIOError:
                return data
            except OSError:
                return b""
        return data

    def _has_room(self) -> bool:
        """Whether a piece can be written without waiting; where the descriptor does not wait, writing tells."""
        if not self._ask_first:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))


def _prefixed(text: str) -> str:
    """No blank after ``init:`` when a colon comes before any blank in the text (D65, P25)."""
    colon, blank = text.find(":"), text.find(" ")
    return ("init:" if colon >= 0 and (blank < 0 or colon < blank) else "init: ") + text


def _same_file(first: int, second: int) -> bool:
    try:
        return os.path.samestat(os.fstat(first), os.fstat(second))
    except OSError:
        return False


def _is_journal(fd: int, stream: str) -> bool:
    """Whether a descriptor is the one that JOURNAL_STREAM names (systemd.exec(5))."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"

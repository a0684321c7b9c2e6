"""Job files that are parsed before a re-exec, so that clients need not wait for it (D183).

After an exec the configuration is read as ever. With thousands of files that is most of the pause. But the new program is run
aside first (reexec/trial.py), while the daemon works on; there it also parses the files, and leaves what it found in a memfd:

1. the daemon makes the memfd and writes into it which files there are (``request``);
2. the trial, which has it as its standard input, replaces that by the definitions (``answer``);
3. the new run takes them (``receive``), and asks for each file that it finds (``ReadAhead.definition``).

A definition stands with what its file was. If the file is not exactly that any more, or has changed so lately that its time may
not tell, it is read as if there had been nothing. No other version of the program takes what one has found.
"""
from __future__ import annotations

import os
import pickle
import sys
import time
from typing import Dict, Iterable, Optional, Tuple

from .. import VERSION
from ..parser import JobDefinition, ParseError, parse_job
from .tree import NotRegular, read_regular

#: Tells the trial that its standard input is such a memfd.
VARIABLE = "UPSTART_COMPAT_READ_AHEAD"
#: Nanoseconds. A file system's clock may tick as slowly as that: two changes can have the same time.
_TICK = 3_000_000_000
_PROGRAM = (VERSION, sys.version)

_Stamp = Tuple[int, int, int, int, int]


class ReadAhead:
    """What was found, by the path of the file."""

    def __init__(self, found: Dict[bytes, Tuple[_Stamp, JobDefinition]]) -> None:
        self._found = found

    def definition(self, path: bytes) -> Optional[JobDefinition]:
        """What a file defines by itself, if it was parsed and is unchanged."""
        entry = self._found.get(path)
        if entry is None:
            return None
        try:
            return entry[1] if _stamp(path) == entry[0] else None
        except OSError:
            return None


def request(paths: Iterable[bytes]) -> int:
    """A descriptor of a memfd that asks for these files. Raises OSError."""
    fd = os.memfd_create("upstart-read-ahead", os.MFD_CLOEXEC)
    try:
        _replace(fd, b"\0".join(paths))
    except OSError:
        os.close(fd)
        raise
    return fd


def answer(fd: int) -> None:
    """Parse what is asked for. Whatever goes wrong, there is merely nothing read ahead."""
    try:
        found: Dict[bytes, Tuple[_Stamp, JobDefinition]] = {}
        for path in _content(fd).split(b"\0"):
            entry = _read(path)
            if entry is not None:
                found[path] = entry
        _replace(fd, pickle.dumps((_PROGRAM, found), pickle.HIGHEST_PROTOCOL))
    except OSError:
        pass


def receive(fd: int) -> Optional[ReadAhead]:
    """What the trial left in the memfd; None if that is nothing, or not of this very program."""
    try:
        program, found = pickle.loads(_content(fd))
    except Exception:
        # The trial ended before it had answered; or it was another version, which knows other classes.
        return None
    return ReadAhead(found) if program == _PROGRAM else None


def _read(path: bytes) -> Optional[Tuple[_Stamp, JobDefinition]]:
    begin = time.time_ns()
    try:
        before = _stamp(path)
        definition = parse_job(read_regular(path))
        if _stamp(path) != before or before[-1] > begin - _TICK:
            return None
        return before, definition
    except (OSError, NotRegular, ParseError):
        # What is wrong with it is said when it is loaded.
        return None


def _stamp(path: bytes) -> _Stamp:
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _content(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    data = os.pread(fd, size, 0)
    if len(data) != size:
        raise OSError("cut short")
    return data


def _replace(fd: int, data: bytes) -> None:
    os.ftruncate(fd, 0)
    rest = memoryview(data)
    while rest:
        rest = rest[os.pwrite(fd, rest, len(data) - len(rest)):]

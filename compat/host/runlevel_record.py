"""Writes the runlevel into utmp and wtmp, where this daemon is the init (C140).

``runlevel`` and ``who -r`` read it. On other hosts their own init does it. Files that are missing are not made.
"""
from __future__ import annotations

import os
import time
from typing import List

from ..utmp_record import BOOT_TIME, RECORD, RUNLEVEL, UTMP, WTMP

_LINE, _ID = b"~", b"~~"


def write_runlevel(level: str, previous: str, utmp: str = UTMP, wtmp: str = WTMP) -> None:
    """A record that the level was ``previous`` ("" or N for none) and is ``level``; of each the first character counts.

    A level that has no place in a record is not written. Failures are ignored, as in C139.
    """
    level, before = level[:1], previous[:1] if previous != "N" else ""
    if not level.isascii() or not before.isascii():
        return
    pid = ord(level) + (ord(before) << 8 if before else 0)
    change = _record(RUNLEVEL, pid, b"runlevel")
    for path in (utmp, wtmp):
        try:
            _append(path, [change] if _newest_level(path) == before else [_record(BOOT_TIME, 0, b"reboot"), change])
        except OSError:
            pass


def _newest_level(path: str) -> str:
    """The level that the last runlevel record of a file tells; "" if there is none."""
    with open(path, "rb") as file:
        content = file.read()
    for offset in range(len(content) // RECORD.size * RECORD.size - RECORD.size, -1, -RECORD.size):
        kind, pid = RECORD.unpack_from(content, offset)[:2]
        if kind == RUNLEVEL:
            return chr(pid & 0xFF) if pid & 0xFF else ""
        if kind == BOOT_TIME:
            return ""
    return ""


def _record(kind: int, pid: int, user: bytes) -> bytes:
    now = time.time()
    return RECORD.pack(kind, pid, _LINE, _ID, user, os.uname().release.encode(), 0, 0, 0, int(now) & 0x7FFFFFFF, int(now % 1 * 1000000),
                       b"", b"")


def _append(path: str, records: List[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"".join(records))
    finally:
        os.close(descriptor)

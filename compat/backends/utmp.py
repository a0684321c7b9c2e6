"""Marks the login records of ended processes as dead in utmp and wtmp (X100).

A getty or login leaves a record with its pid in utmp. Whoever started it has to close that record when
it ends, or ``who`` shows the user for ever. No libc function can be used for this: pututxline finds
the record by ut_id, and several may share one.

The file is read without a lock first, since nearly no process has a record. It is locked as libc does
it, with fcntl, but not waited for without end: anybody who may read utmp can hold a lock on it.
"""
from __future__ import annotations

import fcntl
import os
import struct
import time
from typing import Optional

from ..utmp_record import DEAD_PROCESS, INIT_PROCESS, LOGIN_PROCESS, RECORD, USER_PROCESS

_PID = struct.Struct("=i")
_PID_OFFSET = 4
_LIVING = (INIT_PROCESS, LOGIN_PROCESS, USER_PROCESS)

_LOCK_TRIES = 5
_LOCK_PAUSE = 0.01


def process_ended(pid: int, utmp_path: str = "/var/run/utmp", wtmp_path: str = "/var/log/wtmp") -> None:
    """Turn the first living record of this pid into DEAD_PROCESS and append it to wtmp.

    In utmp its user, host and time are emptied, in wtmp the time is the current one. Files that are
    missing or may not be written are left alone, and none is created: this never raises OSError.
    """
    try:
        with open(utmp_path, "rb", buffering=0) as file:
            offset = _find(file.read(), pid)
        if offset is None:
            return
        dead = _mark_dead(utmp_path, offset, pid)
    except OSError:
        return
    if dead is not None:
        try:
            _append(wtmp_path, dead)
        except OSError:
            pass


def _find(records: bytes, pid: int) -> Optional[int]:
    wanted = _PID.pack(pid)
    position = records.find(wanted, _PID_OFFSET)
    while position >= 0:
        offset = position - _PID_OFFSET
        if offset % RECORD.size == 0 and offset + RECORD.size <= len(records):
            if RECORD.unpack_from(records, offset)[0] in _LIVING:
                return offset
        position = records.find(wanted, position + 1)
    return None


def _mark_dead(path: str, offset: int, pid: int) -> Optional[bytes]:
    """Rewrite one record; the record as it is now, None if it was changed meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _lock(descriptor)
        record = os.pread(descriptor, RECORD.size, offset)
        if _find(record, pid) != 0:
            return None
        fields = list(RECORD.unpack(record))
        fields[0] = DEAD_PROCESS
        fields[4] = fields[5] = b""
        fields[9] = fields[10] = 0
        dead = RECORD.pack(*fields)
        os.pwrite(descriptor, dead, offset)
        return dead
    finally:
        os.close(descriptor)


def _append(path: str, record: bytes) -> None:
    now = time.time()
    fields = list(RECORD.unpack(record))
    fields[9], fields[10] = int(now) & 0xFFFFFFFF, int(now % 1 * 1000000)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        _lock(descriptor)
        size = os.fstat(descriptor).st_size
        if os.write(descriptor, RECORD.pack(*fields)) != RECORD.size:
            # A part of a record would shift all that follow.
            os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock the whole file; after a while go on without, for one record is written in one piece."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(_LOCK_PAUSE)

"""Finds the process that a daemon's parent left behind, where nobody saw the fork (X260).

Who daemonizes while its supervisor is dead has, when the next one looks, a pid that nobody was told of. What
it still has is the environment of its job: UPSTART_JOB and UPSTART_INSTANCE, and in a session UPSTART_SESSION,
whose value was another one for the daemon before. Of the processes with these that are no older than the one
that was started, the main process is the oldest whose parent is none of them.
"""
from __future__ import annotations

import os
from typing import Dict, List, Optional, Sequence, Tuple

_MARKS = ("UPSTART_JOB=", "UPSTART_INSTANCE=")
_SESSION = "UPSTART_SESSION="
_PARENT, _START = 1, 19


def heir_of(environment: Sequence[str], since: int) -> Optional[int]:
    """The pid of the main process of the job with this environment, started at ``since`` (ticks since boot) or later."""
    marks = {os.fsencode(entry) for entry in environment if entry.startswith(_MARKS)}
    in_session = any(entry.startswith(_SESSION) for entry in environment)
    found: Dict[int, Tuple[int, int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent, started = _parent_and_start(name)
            if started >= since:
                theirs = _environment(name)
                if marks <= theirs and in_session == any(entry.startswith(_SESSION.encode()) for entry in theirs):
                    found[int(name)] = parent, started
    tops: List[Tuple[int, int]] = [(started, pid) for pid, (parent, started) in found.items() if parent not in found]
    return min(tops)[1] if tops else None


def _parent_and_start(pid: str) -> Tuple[int, int]:
    """(0, -1) if there is no such process, or if it has ended."""
    # The name, which comes second, may contain anything.
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) <= _START or fields[0] in (b"Z", b"X"):
        return 0, -1
    return int(fields[_PARENT]), int(fields[_START])


def _environment(pid: str) -> "set[bytes]":
    return set(_read(f"/proc/{pid}/environ").split(b"\0"))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        # It ended, or it is another user's.
        return b""

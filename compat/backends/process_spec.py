"""Writes the specification that launcher.c reads: its head says what the format is and why there is one.

The tags are those of launcher_process.c; a test compares the two.
"""
from __future__ import annotations

import struct
from typing import Iterable, List, Optional, Tuple

from ..parser.definition import SECURITY, JobDefinition
from .command import as_bytes
from .protocol import ProcessDefaults
from .spawn_errors import RESOURCES

MAGIC = 0x31434C55

(STATUS_FD, ARGV, ENVIRONMENT, FALLBACK_ARGV, KEEP_FDS, CONSOLE, PTY_FD, SCRIPT_FD, APPARMOR, APPARMOR_INVALID, LIMIT, UMASK, NICE,
 OOM_SCORE, OOM_RESET, CHROOT, CHDIR, USER, GROUP, DEBUG_STOP, PASSAGE_FD, PASSAGE) = range(1, 23)

#: In the order of enum console.
CONSOLES: Tuple[str, ...] = ("none", "log", "output", "owner")

_HEAD = struct.Struct("=II")
_SIGNED = struct.Struct("=IIi")
_LIMIT = struct.Struct("=IIiQQ")
_UNLIMITED = (1 << 64) - 1


class ProcessSpec:
    """Collects records; ``encode`` gives the whole."""

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: List[bytes] = []

    def number(self, tag: int, value: int) -> None:
        """A record of one i32. Raises struct.error if it does not fit."""
        self._records.append(_SIGNED.pack(tag, 4, value))

    def flag(self, tag: int) -> None:
        """A record without payload."""
        self._records.append(_HEAD.pack(tag, 0))

    def string(self, tag: int, value: str) -> None:
        """A record of one string."""
        self.strings(tag, (as_bytes(value),))

    def strings(self, tag: int, values: Iterable[bytes]) -> None:
        """A record of strings; each ends at its first NUL, as it does in C."""
        values = list(values)
        payload = b"\0".join(values) + b"\0" if values else b""
        if payload.count(b"\0") != len(values):
            payload = b"".join(value.partition(b"\0")[0] + b"\0" for value in values)
        self._records += (_HEAD.pack(tag, len(payload)), payload)

    def numbers(self, tag: int, values: Tuple[int, ...]) -> None:
        """A record of i32s."""
        self._records.append(struct.pack(f"=II{len(values)}i", tag, 4 * len(values), *values))

    def limit(self, resource: str, soft: Optional[int], hard: Optional[int]) -> None:
        """A resource limit; None and -1 mean unlimited."""
        soft, hard = (_UNLIMITED if value is None or value < 0 else min(value, _UNLIMITED) for value in (soft, hard))
        self._records.append(_LIMIT.pack(LIMIT, 20, RESOURCES.index(resource), soft, hard))

    def encode(self) -> bytes:
        """The specification."""
        body = b"".join(self._records)
        return _HEAD.pack(MAGIC, len(body) + _HEAD.size) + body

    def surroundings(self, definition: JobDefinition, process: int, defaults: ProcessDefaults, reset_oom: bool) -> None:
        """What the definition says of limits, directories, identity... (X36 steps 9-22).

        The security process has none of it but the limit that the daemon gives back (X37).
        """
        limits = () if process == SECURITY else definition.limits
        if defaults.nofile is not None and not any(limit.resource == "nofile" for limit in limits):
            self.limit("nofile", *defaults.nofile)
        if process == SECURITY:
            return
        for limit in limits:
            self.limit(*limit)
        self.number(UMASK, defaults.umask if definition.umask is None else definition.umask)
        if definition.nice is not None:
            self.number(NICE, definition.nice)
        if definition.oom_score_adj:
            self.number(OOM_SCORE, definition.oom_score_adj)
        elif reset_oom:
            self.flag(OOM_RESET)
        if definition.chroot is not None:
            self.string(CHROOT, definition.chroot)
        self.string(CHDIR, defaults.chdir if definition.chdir is None else definition.chdir)
        if definition.setuid is not None:
            self.string(USER, definition.setuid)
        if definition.setgid is not None:
            self.string(GROUP, definition.setgid)

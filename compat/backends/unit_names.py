"""Names of the units that job processes run in (X251, X254).

``upstart-JOB-main.service``, ``upstart-JOB-INSTANCE-main.service``, ``upstart-JOB-pre\\x2dstart.scope``…: each part is escaped
as systemd.unit(5) says, ``/`` included, so a ``-`` separates parts and nothing else.
"""
from __future__ import annotations

import hashlib
import string

_OF_THE_PROGRAM = frozenset(("upstart-compat.service", "upstart-host-bridge.service", "upstart-shutdown.service"))
#: The slice that all of them are in.
SLICE = "upstart.slice"

_PLAIN = frozenset((string.ascii_letters + string.digits + ":_.").encode())
# systemd's limit is 255 with the suffix; the digest and the number after UnitExists need room.
_LONGEST = 220


def escape(text: str) -> str:
    """One part of a unit's name."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _PLAIN and (byte != 0x2E or position) else f"\\x{byte:02x}" for position, byte in enumerate(data))


def base_name(job: str, instance: str, process: str) -> str:
    """The name without suffix; one that is too long keeps its head and ends in a digest."""
    parts = [job, instance, process] if instance else [job, process]
    name = "upstart-" + "-".join(map(escape, parts))
    if len(name) > _LONGEST:
        digest = hashlib.sha256(name.encode("ascii")).hexdigest()[:16]
        # Not in the middle of an escape sequence, which is four characters long.
        head = name[:_LONGEST - 17]
        cut = head.rfind("\\", len(head) - 3)
        name = f"{head if cut < 0 else head[:cut]}-{digest}"
    return name


def is_of_the_program(unit: str) -> bool:
    """Whether a unit is one of the program itself, with a name that looks like those of jobs: those of hooks have an ``@`` (B232)."""
    return unit in _OF_THE_PROGRAM or "@" in unit


def scope_of(pid: int) -> str:
    """The scope of ours that a process is in, "" for none."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            # Any part of a path: below a scope there may be groups of the job's own.
            parts = [part for line in file for part in line.rstrip("\n").split("/")]
    except OSError:
        return ""
    return next((part for part in parts if part.startswith("upstart-") and part.endswith(".scope") and part.isascii()), "")


def is_in_unit(pid: int, unit: str) -> bool:
    """Whether a process is in the cgroup of a unit, as far as can be seen."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            return any(unit in line.rstrip("\n").split("/") for line in file)
    except OSError:
        return False

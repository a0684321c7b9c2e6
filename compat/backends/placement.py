"""Which of systemd's units a process of a job gets: a service, a scope around a process of ours, or none (X250, X261).

A service is the rule for main processes: systemd is their parent and keeps their exit status over the
daemon's death. What only a process of our own can have exactly gets a scope. The other processes of a job
are ours, too, and short; a scope puts them where the job's processes are accounted.
"""
from __future__ import annotations

from typing import NamedTuple, Tuple

from ..parser.definition import MAIN, JobDefinition

SERVICE, SCOPE, NATIVE = "service", "scope", "native"


class Placement(NamedTuple):
    """``kind`` is SERVICE, SCOPE or NATIVE; ``reason`` says why, for people."""

    kind: str
    reason: str


def placement(definition: JobDefinition, process: int, console: str, fds: Tuple[int, ...], debug_stanza: bool) -> Placement:
    """Where a process belongs; ``console`` is what it gets (X60), ``fds`` are descriptors of events (X21)."""
    if process != MAIN:
        return Placement(SCOPE, "not the main process")
    if console in ("output", "owner"):
        return Placement(SCOPE, f"console {console}")
    if definition.chroot is not None and (definition.setuid is not None or definition.setgid is not None):
        return Placement(SCOPE, "chroot with setuid or setgid")
    if definition.debug and debug_stanza:
        return Placement(SCOPE, "debug stanza")
    if fds:
        return Placement(SCOPE, "descriptors of an event")
    if definition.expect in ("fork", "daemon"):
        return Placement(SERVICE, f"expect {definition.expect}, its forks are followed")
    return Placement(SERVICE, "main process")

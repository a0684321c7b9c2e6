"""The job ``rc`` that runlevel changes had, as events, where no class of that name exists (B217)."""
from __future__ import annotations

from typing import Tuple

from ..bridges.host.fact import HostEvent

Events = Tuple[HostEvent, ...]


def rc_begins(level: str, previous: str, with_previous: bool) -> Events:
    """``starting`` and ``started``. ``with_previous`` False: without PREVLEVEL, as in profile rhel."""
    levels = _levels(level, previous, with_previous)
    return (HostEvent("starting", ("JOB=rc", "INSTANCE=", *levels), True), HostEvent("started", ("JOB=rc", "INSTANCE=", *levels)))


def rc_ends(level: str, previous: str, with_previous: bool) -> Events:
    """``stopping`` and ``stopped``."""
    levels = ("RESULT=ok", *_levels(level, previous, with_previous))
    return (HostEvent("stopping", ("JOB=rc", "INSTANCE=", *levels), True), HostEvent("stopped", ("JOB=rc", "INSTANCE=", *levels)))


def runlevel_event(level: str, previous: str) -> HostEvent:
    """``runlevel`` itself."""
    return HostEvent("runlevel", (f"RUNLEVEL={level}", f"PREVLEVEL={previous}"))


def whole_rc(level: str, previous: str, with_previous: bool, virtual: bool) -> Events:
    """A change of level with nothing in between: the event, and ``rc`` from its start to its end if it is ``virtual``."""
    events: Events = (runlevel_event(level, previous),)
    if virtual:
        events += rc_begins(level, previous, with_previous) + rc_ends(level, previous, with_previous)
    return events


def _levels(level: str, previous: str, with_previous: bool) -> Tuple[str, ...]:
    return (f"RUNLEVEL={level}", *((f"PREVLEVEL={previous}",) if with_previous else ()))

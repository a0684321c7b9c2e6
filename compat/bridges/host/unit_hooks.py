"""Takes the daemon's announcements of hooked units and tells what they mean to jobs (B232, B249).

What the model of the units was told last may be behind what systemd does, so systemd is asked first, and all that it had to say
has come when it answers. From then on an announced start or stop is a step like any other: whoever sees it first tells it, and
the other has nothing to tell.
"""
from __future__ import annotations

from typing import Callable, List, Optional, Protocol, Sequence

from .fact import Fact
from .host_units import mount_unit
from .mounts import Mounts
from .native_units import NativeUnits, UnitSeen, object_of
from .unit_phases import STARTING


class Daemon(Protocol):
    """What is asked of the connection to the daemon."""

    def take_announcement(self, again: bool, taken: Callable[[int, str, str], None]) -> None:
        """See daemon_link."""

    def announcement_told(self, number: int, objects: Sequence[str]) -> None:
        """See daemon_link."""


class Manager(Protocol):
    """What is asked of systemd."""

    def when_current(self, done: Callable[[], None]) -> None:
        """See systemd."""

    def unit(self, name: str) -> Optional[UnitSeen]:
        """See systemd."""


class UnitHooks:
    """``mounts()``: the mounts, while they are watched. Works until the connection to the daemon is gone."""

    def __init__(self, daemon: Daemon, manager: Manager, native: NativeUnits, mounts: Callable[[], Optional[Mounts]],
                 tell: Callable[[Sequence[Fact]], None]) -> None:
        self._daemon = daemon
        self._manager = manager
        self._native = native
        self._mounts = mounts
        self._tell = tell

    def begin(self) -> None:
        """Take what there is, also what was taken by a bridge before this one."""
        self._daemon.take_announcement(True, self._taken)

    def _taken(self, number: int, unit: str, state: str) -> None:
        self._manager.when_current(lambda: self._announced(number, unit, state))
        self._daemon.take_announcement(False, self._taken)

    def _announced(self, number: int, unit: str, state: str) -> None:
        seen = self._manager.unit(unit)
        objects = [object_of(unit)]
        facts: List[Fact] = [] if seen is None else self._native.announced(seen, state)
        mounts = self._mounts()
        if mounts is not None and state == STARTING:
            for place in mounts.expected():
                if mount_unit(place) == unit:
                    about = mounts.activating(place)
                    facts += about
                    objects += [fact.object for fact in about]
        self._tell(facts)
        self._daemon.announcement_told(number, objects)

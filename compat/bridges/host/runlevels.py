"""Which runlevel a host is in, and what changes of it jobs are told of (B212-B216)."""
from __future__ import annotations

from typing import Callable, List, Optional

from ...host.profile import RHEL, UBUNTU
from ...host.virtual_rc import whole_rc
from .boot import GRAPHICAL, MULTI_USER, Seen, UnitState
from .fact import Fact, Known

_SINGLE_USER = ("1", "S")


def boot_level(configured: Optional[str], inittab: str, profile: str, graphical: bool) -> str:
    """The level that a boot ends in (B212). ``inittab``: the text of that file. ``graphical``: the host has, or will have, a desktop."""
    if configured is not None:
        return configured
    level = initdefault(inittab, profile)
    if level is not None:
        return level
    if profile == RHEL:
        return "5" if graphical else "3"
    return "2"


def initdefault(inittab: str, profile: str) -> Optional[str]:
    """The level that /etc/inittab names: the last of the lines on Ubuntu (B180), the first elsewhere (B189)."""
    found = None
    for line in inittab.split("\n"):
        fields = line.split(":")
        if line.startswith("#") or len(fields) < 3 or fields[2] != "initdefault" or len(fields[1]) != 1 or fields[1] not in "0123456sS":
            continue
        if found is None or profile == UBUNTU:
            found = fields[1].upper()
    return found


class Runlevels:
    """Changes after the boot. ``known`` is the daemon's table at connection; ``emitted`` keeps the level current (B215).

    ``level_of_boot(graphical)`` as boot_level gives it. ``virtual_rc()``: whether no class ``rc`` is registered.
    """

    def __init__(self, profile: str, known: Known, level_of_boot: Callable[[bool], str], virtual_rc: Callable[[], bool]) -> None:
        self._profile = profile
        self._level = known.get("runlevel", "")
        self._level_of_boot = level_of_boot
        self._virtual_rc = virtual_rc
        self._graphical: Optional[bool] = None

    def emitted(self, level: str) -> None:
        """Somebody emitted ``runlevel``."""
        self._level = level

    def update(self, seen: Seen) -> List[Fact]:
        """The host as it is now."""
        graphical = seen.units.get(GRAPHICAL, UnitState()).active
        # Also while the level is not known yet: nothing else may change between that and the end of the desktop.
        before, self._graphical = self._graphical, graphical
        multi_user = seen.units.get(MULTI_USER, UnitState())
        if not self._level or not multi_user.active or multi_user.leaving or seen.state == "stopping":
            return []
        if self._level in _SINGLE_USER:
            # Back from rescue.target; the boot is not repeated.
            return self._change(self._level_of_boot(graphical))
        if self._profile == RHEL and before is not None and before != graphical:
            if graphical and self._level == "3":
                return self._change("5")
            if not graphical and self._level == "5":
                return self._change("3")
        return []

    def _change(self, level: str) -> List[Fact]:
        previous, self._level = self._level, level
        return [Fact("runlevel", level, whole_rc(level, previous, self._profile != RHEL, self._virtual_rc()))]

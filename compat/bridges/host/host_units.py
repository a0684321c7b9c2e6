"""What the session wants to hear of systemd's units beside those that stand for jobs: targets of the boot, and mounts (B208, B249)."""
from __future__ import annotations

from typing import Callable, Dict, FrozenSet, List, Optional, Sequence

from .boot import UNITS, Seen, UnitState
from .fact import Fact
from .mounts import Mounts
from .native_units import UnitSeen

_UP = frozenset(("active", "reloading", "refreshing"))
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.")


class BootTargets:
    """A systemd.Watcher: keeps the state of the units that the boot is told by. ``changed`` is called when there is news."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._units: Dict[str, UnitState] = {}
        #: whether all of them have been looked at: what was not is not there
        self.known = False

    def seen_with(self, state: str) -> Seen:
        """What there is, with SystemState."""
        return Seen(state, dict(self._units))

    def needed(self) -> FrozenSet[str]:
        """As systemd.Watcher."""
        return frozenset(UNITS)

    def takes(self, unit: str) -> bool:
        """As systemd.Watcher."""
        return unit in UNITS

    def seen(self, units: Sequence[UnitSeen], complete: bool, new: bool) -> None:
        """As systemd.Watcher."""
        for unit in units:
            # default.target and the like are other names of these.
            for name in {unit.unit, *unit.names} & set(UNITS):
                active = unit.active in _UP
                self._units[name] = UnitState(unit.loaded, active, unit.job and not active, unit.job and active)
        self.known = self.known or complete
        self._changed()

    def removed(self, unit: str) -> None:
        """As systemd.Watcher."""


class MountUnits:
    """A systemd.Watcher: mounts of fstab that are about to be, for who waits for ``mounting`` (B249)."""

    def __init__(self, mounts: Callable[[], Optional[Mounts]], tell: Callable[[Sequence[Fact]], None]) -> None:
        self._mounts = mounts
        self._tell = tell

    def needed(self) -> FrozenSet[str]:
        """As systemd.Watcher."""
        return frozenset(self._places())

    def takes(self, unit: str) -> bool:
        """As systemd.Watcher."""
        return unit in self._places()

    def seen(self, units: Sequence[UnitSeen], complete: bool, new: bool) -> None:
        """As systemd.Watcher."""
        mounts = self._mounts()
        if mounts is None:
            return
        places = self._places()
        facts: List[Fact] = []
        for unit in units:
            if unit.unit in places:
                if unit.active == "activating":
                    facts += mounts.activating(places[unit.unit])
                elif unit.active == "failed":
                    facts += mounts.failed(places[unit.unit])
        self._tell(facts)

    def removed(self, unit: str) -> None:
        """As systemd.Watcher."""

    def _places(self) -> Dict[str, str]:
        mounts = self._mounts()
        return {} if mounts is None else {mount_unit(place): place for place in mounts.expected()}


def mount_unit(path: str) -> str:
    r"""The name of the unit of a mount point, as systemd escapes it: ``/srv/my data`` is ``srv-my\x20data.mount``."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "-.mount"
    out = []
    for place, byte in enumerate("/".join(parts).encode("utf-8", "surrogateescape")):
        char = chr(byte)
        if char == "/":
            out.append("-")
        elif char in _PLAIN and not (char == "." and place == 0):
            out.append(char)
        else:
            out.append(f"\\x{byte:02x}")
    return "".join(out) + ".mount"

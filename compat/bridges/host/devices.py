"""What devices mean to jobs: SUBSYSTEM-device-added and the like (B252-B256).

Of each subsystem that an operand names, stock is taken once: in the first pass of a boot every device is told as if it
was added now, parents first; a subsystem that is asked for later is only known from then on. Later every message is
told once, and after a gap the differences. A device that is there cannot be added again.

Objects in the daemon's table are

    dev:DEVPATH                  added:SUBSYSTEM:NUMBER:DISK with the number of the last message, and of its medium
    watched:devices:SUBSYSTEM    stock was taken
"""
from __future__ import annotations

from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Set, Tuple

from .fact import GONE, Fact, HostEvent, Known
from .uevents import Device
from .wanted import Wanted

_KEY, _WATCHED = "dev:", "watched:devices:"
_INFIX = "-device-"
_NAMES = {"add": "added", "change": "changed", "remove": "removed"}
#: What comes first among the variables, in this order (B148).
_FIRST = ("DEVPATH", "DEVNAME", "SUBSYSTEM", "ACTION")
_NET = "net"
#: These are about addresses, and not of devices (B242).
_OTHERS = frozenset(("net-device-up", "net-device-down"))
_DISPLAYS = frozenset(("drm", "graphics"))
_LOOPBACK = "lo"


class _Told(NamedTuple):
    """What the table has of a device."""

    subsystem: str
    number: str
    disk: str

    def __str__(self) -> str:
        return f"added:{self.subsystem}:{self.number}:{self.disk}"


class Devices:
    """The devices of the host. ``booting``: the first pass of a boot. ``udev``: it runs; else links are rtnetlink's (B245)."""

    def __init__(self, wanted: Wanted, known: Known, booting: bool, udev: bool) -> None:
        self._wanted = wanted
        self._booting = booting
        self._udev = udev
        self._told: Dict[str, _Told] = {}
        #: the subsystems of which stock was taken
        self._stocked: Set[str] = set()
        for key, phase in known.items():
            if key.startswith(_WATCHED):
                self._stocked.add(key[len(_WATCHED):])
            elif key.startswith(_KEY) and phase.count(":") == 3:
                self._told[key[len(_KEY):]] = _Told(*phase.split(":")[1:])
        self._followed = subsystems(wanted, udev)

    # -- what is asked -------------------------------------------------------------------------------------------

    @staticmethod
    def asked_for(wanted: Wanted, udev: bool) -> bool:
        """Whether some operand needs to know of devices at all (B196)."""
        return bool(subsystems(wanted, udev))

    def followed(self) -> FrozenSet[str]:
        """The subsystems that operands name."""
        return self._followed

    # -- what happens ----------------------------------------------------------------------------------------------

    def stock(self, there: Sequence[Device], of: FrozenSet[str]) -> List[Fact]:
        """All devices of some subsystems that there are: when watching begins, and after messages were lost (B253, B255)."""
        facts: List[Fact] = []
        paths = {device.path for device in there}
        for path, told in sorted(self._told.items(), reverse=True):
            if told.subsystem in of and path not in paths:
                facts += self._removed(path, self._event(_vanished(path, told)))
        for device in sorted(there, key=lambda device: (device.name != _LOOPBACK, device.path)):
            if device.subsystem in of and device.subsystem in self._followed:
                facts += self._found(device)
        for subsystem in sorted(of & self._followed - self._stocked):
            self._stocked.add(subsystem)
            facts.append(Fact(_WATCHED + subsystem, "done"))
        self._booting = False
        return facts

    def update(self, device: Device) -> List[Fact]:
        """Something has happened to a device."""
        if device.subsystem not in self._followed:
            return []
        if device.action == "add":
            return self._added(device)
        if device.action == "remove":
            return self._removed(device.path, self._event(device))
        old = device.properties.get("DEVPATH_OLD")
        facts: List[Fact] = []
        if device.action == "move" and old:
            if device.path in self._told and old not in self._told:
                # It was told by its final name already (B256).
                return []
            if self._told.pop(old, None) is not None:
                facts.append(Fact(_KEY + old, GONE))
        return facts + [self._tell(device, self._event(device))]

    def reconsider(self) -> List[Fact]:
        """Conditions came or went. Stock of what is new is for the caller to take (``unstocked``)."""
        self._followed = subsystems(self._wanted, self._udev)
        facts: List[Fact] = []
        for subsystem in sorted(self._stocked - self._followed):
            self._stocked.discard(subsystem)
            gone = [path for path, told in self._told.items() if told.subsystem == subsystem]
            for path in gone:
                del self._told[path]
            facts += [Fact(_KEY + path, GONE) for path in gone] + [Fact(_WATCHED + subsystem, GONE)]
        return facts

    def unstocked(self) -> FrozenSet[str]:
        """The subsystems of which stock is still to be taken."""
        return self._followed - self._stocked

    # -- inside ------------------------------------------------------------------------------------------------------

    def _found(self, device: Device) -> List[Fact]:
        told = self._told.get(device.path)
        if told is None:
            silent = not self._booting and device.subsystem not in self._stocked
            return [self._tell(device, None if silent else self._event(device))]
        return self._exchanged(device, told)

    def _added(self, device: Device) -> List[Fact]:
        told = self._told.get(device.path)
        return [self._tell(device, self._event(device))] if told is None else self._exchanged(device, told)

    def _exchanged(self, device: Device, told: _Told) -> List[Fact]:
        """Nothing, unless it is another disk than the one that was told in this place."""
        disk = device.properties.get("DISKSEQ", "")
        if not disk or not told.disk or disk == told.disk:
            return []
        return self._removed(device.path, self._event(_vanished(device.path, told))) + [self._tell(device, self._event(device))]

    def _tell(self, device: Device, event: Optional[HostEvent]) -> Fact:
        told = _Told(device.subsystem, device.properties.get("SEQNUM", ""), device.properties.get("DISKSEQ", ""))
        self._told[device.path] = told
        return Fact(_KEY + device.path, str(told), (event,) if event is not None else ())

    def _removed(self, path: str, event: Optional[HostEvent]) -> List[Fact]:
        if self._told.pop(path, None) is None:
            return []
        return [Fact(_KEY + path, GONE, (event,) if event is not None else ())]

    def _event(self, device: Device) -> Optional[HostEvent]:
        name, env = event_of(device)
        return HostEvent(name, env) if self._wanted.could_match(name, env) else None


def subsystems(wanted: Wanted, udev: bool) -> FrozenSet[str]:
    """The subsystems whose events operands name."""
    found = {name.partition(_INFIX)[0] for name in wanted.event_names() if _INFIX in name and name not in _OTHERS}
    return frozenset(found if udev else found - {_NET})


def event_of(device: Device) -> Tuple[str, Tuple[str, ...]]:
    """The event about a device: name and variables in order (B147, B148, B254)."""
    properties = device.properties
    if device.primary and device.subsystem in _DISPLAYS:
        properties = {**properties, "PRIMARY_DEVICE_FOR_DISPLAY": "1"}
    env = [f"KERNEL={device.name}"]
    env += [f"{key}={properties[key]}" for key in _FIRST if key in properties]
    env += [f"{key}={properties[key]}" for key in sorted(properties) if key not in _FIRST]
    return f"{device.subsystem or '(null)'}{_INFIX}{_NAMES.get(device.action, device.action)}", tuple(env)


def _vanished(path: str, told: _Told) -> Device:
    """What can be said of a device that went while nobody looked."""
    properties = {"DEVPATH": path, "SUBSYSTEM": told.subsystem, "ACTION": "remove"}
    device = Device("remove", path, properties)
    if told.subsystem == _NET:
        properties["INTERFACE"] = device.name
    return device

"""Events of the administrator's own: ``on SOURCE emit EVENT`` in host.conf, and a few that come with the host (B216, B268, B270).

A mapping hangs on an event that a model makes anyway: ``mounted``, ``net-device-up``, a line of the boot, or the events of a
job. It says to ``Wanted`` that it waits for that one, like a condition would, and puts its own event behind it into the same
fact; so it is emitted as often as what it hangs on. A unit gets a job name that no file can have, and what is told of that
name is replaced.
"""
from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ...host.configuration import Mapping
from ...parser.definition import Condition, Match, Or
from .fact import Fact, HostEvent, event
from .wanted import Wanted

#: The class that stands for all mappings among the conditions; not a name that a file can have.
_CLASS = "/mappings"
_UNIT_JOB = "/unit "
_UNIT_EVENTS = {"starting": "starting", "up": "started", "stopping": "stopping", "down": "stopped"}
_LINK_EVENTS = {"up": "net-device-up", "down": "net-device-down"}
_BOOT = "boot:"

#: With the host, where a job waits for the event. %u is cut to the display manager's name.
_DISPLAY_MANAGER = Mapping(("unit", "display-manager.service", "up"), "login-session-start", ("DISPLAY_MANAGER=%u",))
BUILT_IN = (
    Mapping(("unit", "sigpwr.target", "up"), "power-status-changed"),
    Mapping(("unit", "kbrequest.target", "up"), "keyboard-request"),
    _DISPLAY_MANAGER,
)


class Mappings:
    """``lines`` are those of host.conf."""

    def __init__(self, lines: Iterable[Mapping]) -> None:
        self._lines = tuple(lines)
        self._active: Tuple[Mapping, ...] = self._lines
        #: families of addresses that an interface is up with
        self._families: Dict[str, Dict[str, None]] = {}

    def define(self, wanted: Wanted) -> None:
        """Say what is waited for; again whenever conditions came or went."""
        wanted.forget(_CLASS)
        self._active = self._lines + tuple(each for each in BUILT_IN if wanted.event(each.event))
        operands = [operand for each in self._active for operand in _operands(each)]
        condition: Optional[Condition] = None
        for operand in operands:
            condition = operand if condition is None else Or(condition, operand)
        wanted.define(_CLASS, condition, None)

    def events(self) -> Tuple[str, ...]:
        """The events that have a source by this."""
        return tuple(dict.fromkeys(each.event for each in self._active))

    def aliases(self) -> Tuple[Tuple[str, Tuple[str, ...]], ...]:
        """Job names that stand for the units of mappings, as lines for Aliases."""
        units = dict.fromkeys(each.source[1] for each in (*self._lines, *BUILT_IN) if each.source[0] == "unit")
        return tuple((_UNIT_JOB + unit, (unit,)) for unit in units)

    def apply(self, facts: Sequence[Fact]) -> List[Fact]:
        """The facts with the mapped events in them."""
        if not self._active:
            return list(facts)
        return [fact._replace(events=tuple(told for each in fact.events for told in self._told(fact, each))) for fact in facts]

    def up_again(self, unit: str) -> List[HostEvent]:
        """What is emitted when that is told of a unit which is up already."""
        return [_mapped(each, unit=unit) for each in self._active if each.source == ("unit", unit, "up")]

    def _told(self, fact: Fact, told: HostEvent) -> Iterable[HostEvent]:
        values = dict(entry.partition("=")[::2] for entry in told.env)
        job = values.get("JOB", "")
        if job.startswith(_UNIT_JOB):
            unit = values.get("HOST_UNIT", "")
            source = ("unit", job[len(_UNIT_JOB):])
            for mapping in self._active:
                if mapping.source[:2] == source and _UNIT_EVENTS[mapping.source[2]] == told.name:
                    yield _mapped(mapping, unit=unit.rpartition(".")[0] if mapping is _DISPLAY_MANAGER else unit)
            return
        yield told
        if told.name == "mounted":
            point = values.get("MOUNTPOINT", "")
            yield from (_mapped(each, mount=point) for each in self._active if each.source == ("mount", point))
        elif told.name in ("net-device-up", "net-device-down"):
            yield from self._of_link(told.name, values.get("IFACE", ""), values.get("ADDRFAM", ""))
        elif fact.object == _BOOT + told.name:
            yield from (_mapped(each) for each in self._active if each.source == ("boot", told.name))

    def _of_link(self, name: str, interface: str, family: str) -> Iterable[HostEvent]:
        """A link is up with its first family of addresses, and down without the last."""
        families = self._families.setdefault(interface, {})
        before = bool(families)
        if name == "net-device-up":
            families[family] = None
        else:
            families.pop(family, None)
        if before != bool(families):
            for mapping in self._active:
                if mapping.source[:2] == ("link", interface) and _LINK_EVENTS[mapping.source[2]] == name:
                    yield _mapped(mapping, interface=interface)


def _mapped(mapping: Mapping, unit: str = "", mount: str = "", interface: str = "") -> HostEvent:
    return event(mapping.event, *mapping.values(unit, mount, interface), hold=mapping.wait)


def _operands(mapping: Mapping) -> List[Match]:
    kind = mapping.source[0]
    if kind == "unit":
        return [Match(_UNIT_EVENTS[mapping.source[2]], ("JOB=" + _UNIT_JOB + mapping.source[1],))]
    if kind == "mount":
        return [Match("mounted", ("MOUNTPOINT=" + mapping.source[1],))]
    if kind == "link":
        # Both, since which family is the first or the last shows only then.
        return [Match(name, ("IFACE=" + mapping.source[1],)) for name in _LINK_EVENTS.values()]
    return []

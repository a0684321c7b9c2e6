"""The fact table: what the daemon was told of the host, so that each event of a boot is emitted once (B200-B203).

The bridge tells facts as often as it likes: an object and the phase that it is in, with the events that lead
there. The table emits them only if it does not have the object in that phase already. That makes every restart
of the bridge, the daemon or both silent.

Events go through *lanes*. A lane emits in order, and an event with ``hold`` keeps what follows waiting until it
is finished, HOLD_SECONDS at most. Each object is a lane of its own, but for the steps of the boot and the
runlevels, which share one because their order matters (B208).

The table is pure. ``take`` hands out what is to be done, one thing at a time; the caller tells ``finished`` and ``overdue``.
What has not been handed out yet is part of what is saved, and so is not lost when the daemon dies in between.
"""
from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Tuple

from ..bridges.host.fact import GONE, Fact, HostEvent

#: How long an event with ``hold`` may keep what follows waiting (B200).
HOLD_SECONDS = 30.0
_BOOT_LANE = "boot"
_RUNLEVEL = "runlevel"
_UNIT = "unit:"


class Emit(NamedTuple):
    """Queue an event. With a ``ticket`` other than 0, tell ``finished(ticket)`` when it is finished."""

    event: HostEvent
    ticket: int = 0


class Watch(NamedTuple):
    """Tell ``overdue(ticket)`` after so many seconds."""

    ticket: int
    seconds: float


class Overdue(NamedTuple):
    """An event was not finished in time; a warning is due (B200)."""

    name: str


class _Lane:
    __slots__ = ("events", "held_by", "ticket")

    def __init__(self) -> None:
        self.events: Deque[HostEvent] = deque()
        #: the event that is being waited for, and its ticket; 0 for none
        self.held_by: Optional[HostEvent] = None
        self.ticket = 0


class FactTable:
    """Objects, their phases, and the events that are still to be emitted."""

    def __init__(self) -> None:
        self._phases: Dict[str, str] = {}
        self._lanes: Dict[str, _Lane] = {}
        self._tickets: Dict[int, str] = {}
        #: the same of those that were taken as overdue and are still not finished
        self._overdue: Dict[int, str] = {}
        self._last_ticket = 0
        #: unit object → the variables of the ``started`` events that told that it is up, in the order of activation
        self._started: Dict[str, Tuple[Tuple[str, ...], ...]] = {}
        #: lanes that may have something to emit, and what is to be done besides
        self._ready: Deque[str] = deque()
        self._todo: Deque[Any] = deque()
        #: whether something that is saved has changed since ``saved``
        self.changed = False

    # -- what is told ------------------------------------------------------------------------------------

    def tell(self, fact: Fact) -> bool:
        """Take a fact; whether it was news (B200)."""
        if fact.phase == self._phases.get(fact.object, GONE):
            return False
        self.changed = True
        if fact.phase == GONE:
            del self._phases[fact.object]
            self._started.pop(fact.object, None)
        else:
            self._phases[fact.object] = fact.phase
            self._remember_started(fact)
        name = _lane_of(fact.object)
        lane = self._lanes.setdefault(name, _Lane())
        lane.events.extend(fact.events)
        self._ready.append(name)
        return True

    def runlevel_emitted(self, level: str) -> None:
        """Somebody emitted ``runlevel``: the next PREVLEVEL is this level (B215)."""
        if self._phases.get(_RUNLEVEL) != level:
            self._phases[_RUNLEVEL] = level
            self.changed = True

    def forget(self, object: str) -> None:
        """Take an object out, without any event."""
        if self._phases.pop(object, None) is not None:
            self.changed = True

    def clear(self) -> None:
        """The host has gone down: what comes after is another boot, even if the kernel stays."""
        self._phases.clear()
        self._started.clear()
        self.drop_pending()
        self.changed = True

    def drop_pending(self) -> None:
        """The host goes down: what the boot was still to emit is not emitted any more (B222)."""
        self.changed = self.changed or any(lane.events for lane in self._lanes.values())
        self._lanes.clear()
        self._tickets.clear()
        self._overdue.clear()
        self._ready.clear()
        self._todo.clear()

    def finished(self, ticket: int) -> None:
        """An event that was waited for is finished."""
        self._overdue.pop(ticket, None)
        self._release(ticket)

    def overdue(self, ticket: int) -> None:
        """HOLD_SECONDS are over; nothing if the event has finished."""
        lane = self._lanes.get(self._tickets.get(ticket, ""))
        if lane is not None and lane.held_by is not None:
            self._todo.append(Overdue(lane.held_by.name))
            self._overdue[ticket] = self._tickets[ticket]
            self._release(ticket)

    # -- what is asked -------------------------------------------------------------------------------------

    def take(self) -> Optional[Any]:
        """The next thing to be done: Emit, Watch or Overdue; None if there is nothing."""
        if self._todo:
            return self._todo.popleft()
        while self._ready:
            name = self._ready[0]
            lane = self._lanes.get(name)
            if lane is not None and lane.events and not lane.ticket:
                return self._emit(name, lane)
            self._ready.popleft()
            if lane is not None and not lane.ticket:
                del self._lanes[name]
        return None

    def phases(self) -> Dict[str, str]:
        """Every object that is known, with its phase."""
        return dict(self._phases)

    def phase(self, object: str) -> str:
        """The phase of an object; GONE if it is not known."""
        return self._phases.get(object, GONE)

    def busy(self, object: str) -> bool:
        """Whether events of this object are still to come, or held ones not finished, in time or not (B232)."""
        name = _lane_of(object)
        lane = self._lanes.get(name)
        return (lane is not None and bool(lane.events or lane.ticket)) or name in self._overdue.values()

    def stopping_units(self) -> List[Fact]:
        """For every native unit that is up, latest first: that it is about to be stopped (B219 step 2)."""
        facts = []
        for object in reversed(list(self._started)):
            phase, _, invocation = self._phases[object].partition(":")
            if phase == "up":
                events = tuple(HostEvent("stopping", _with_result(env), True) for env in self._started[object])
                facts.append(Fact(object, f"stopping:{invocation}", events))
        return facts

    def note(self, fact: Fact) -> None:
        """Take a fact whose events the caller emits himself."""
        if self._phases.get(fact.object) != fact.phase:
            self._phases[fact.object] = fact.phase
            self.changed = True

    # -- saving ----------------------------------------------------------------------------------------------

    def state(self) -> Dict[str, Any]:
        """What ``restore`` needs, as JSON can hold it."""
        return {
            "phases": dict(self._phases),
            "started": {object: [list(env) for env in events] for object, events in self._started.items()},
            "pending": {name: [list(event) for event in lane.events] for name, lane in self._lanes.items() if lane.events},
        }

    def restore(self, state: Dict[str, Any]) -> None:
        """Take over a saved state. What was held is not known any more, so what waited goes on.

        Raises ValueError, TypeError, KeyError or AttributeError where the state makes no sense; the table is empty then.
        """
        phases = {_text(object): _text(phase) for object, phase in state["phases"].items()}
        started = {_text(object): tuple(_texts(env) for env in events) for object, events in state["started"].items()}
        pending = {_text(name): [HostEvent(_text(event), _texts(env), bool(hold)) for event, env, hold in events]
                   for name, events in state["pending"].items()}
        self._phases = phases
        self._started = {object: events for object, events in started.items() if object in phases}
        for name, events in pending.items():
            lane = self._lanes.setdefault(name, _Lane())
            lane.events.extend(events)
            self._ready.append(name)

    def held_state(self) -> Dict[str, Any]:
        """What of a re-exec ``restore_held`` needs besides: the events that are being waited for."""
        return {
            "held": [[name, list(lane.held_by), lane.ticket] for name, lane in self._lanes.items() if lane.held_by is not None],
            "overdue": [[ticket, name] for ticket, name in self._overdue.items()], "last_ticket": self._last_ticket}

    def restore_held(self, state: Dict[str, Any]) -> None:
        """After ``restore``: go on waiting. Raises ValueError, TypeError or KeyError as it does; then nothing is waited for."""
        held = [(_text(name), HostEvent(_text(event), _texts(env), bool(hold)), int(ticket))
                for name, (event, env, hold), ticket in state["held"]]
        overdue = {int(ticket): _text(name) for ticket, name in state["overdue"]}
        self._last_ticket = max([int(state["last_ticket"]), *overdue, *(ticket for _, _, ticket in held)])
        for name, event, ticket in held:
            lane = self._lanes.setdefault(name, _Lane())
            lane.held_by, lane.ticket = event, ticket
            self._tickets[ticket] = name
        self._overdue = overdue

    # -- inside --------------------------------------------------------------------------------------------------

    def _remember_started(self, fact: Fact) -> None:
        if fact.object.startswith(_UNIT) and fact.phase.startswith("up"):
            started = tuple(event.env for event in fact.events if event.name == "started")
            if started:
                self._started.pop(fact.object, None)
                self._started[fact.object] = started

    def _release(self, ticket: int) -> None:
        name = self._tickets.pop(ticket, "")
        lane = self._lanes.get(name)
        if lane is not None and lane.ticket == ticket:
            lane.held_by, lane.ticket = None, 0
            self._ready.append(name)

    def _emit(self, name: str, lane: _Lane) -> Emit:
        event = lane.events.popleft()
        self.changed = True
        if not event.hold:
            return Emit(event)
        self._last_ticket += 1
        lane.held_by, lane.ticket = event, self._last_ticket
        self._tickets[lane.ticket] = name
        self._todo.append(Watch(lane.ticket, HOLD_SECONDS))
        return Emit(event, lane.ticket)


def _lane_of(object: str) -> str:
    return _BOOT_LANE if object == _RUNLEVEL or object.startswith("boot:") else object


def _with_result(env: Tuple[str, ...]) -> Tuple[str, ...]:
    """RESULT=ok in its place: after JOB and INSTANCE, before what is only ours (B227)."""
    place = 2 if len(env) > 1 and env[1].startswith("INSTANCE=") else min(1, len(env))
    return (*env[:place], "RESULT=ok", *env[place:])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _texts(values: Any) -> Tuple[str, ...]:
    return tuple(_text(value) for value in values)

"""The interface org.upstartcompat.Host1 of the manager object, for the host bridge (B200-B206, B218-B221, B232).

There in host mode only, and for callers on the private socket only, whom libdbus has found to be root: no bus policy
can give it away. Everybody else gets PermissionDenied.

Calls that are answered later are answered from here, not by the engine, so they have no number of it. They do not outlive a
re-exec: the bridge is told to ask again, the others lose the connection, as when the daemon dies, and call again.
"""
from __future__ import annotations

from typing import Any, Callable, List, Sequence, Set, Tuple

from ..bridges.host.fact import Fact, HostEvent
from ..bridges.host.unit_phases import ASK_AGAIN, STARTING, STOPPING
from ..engine.view import Refused
from .calls import Call
from .interfaces import Interface, Method, Property
from .services import HostServices
from .wire import HOST_INTERFACE


class HostObject:
    """``is_private(connection)``: whether a call came over the private socket."""

    def __init__(self, host: HostServices, is_private: Callable[[Any], bool]) -> None:
        self._host = host
        self._is_private = is_private
        self._waiting: Set[Call] = set()
        #: those of them by which the bridge waits for an announcement
        self._takers: Set[Call] = set()

    @property
    def waiting(self) -> Sequence[Call]:
        """The calls that are still to be answered."""
        return tuple(self._waiting)

    def ask_again(self) -> None:
        """Before a re-exec: the bridge, which may be telling something over the same connection, is to ask once more after it."""
        for call in self._takers & self._waiting:
            self._waiting.discard(call)
            call.fail(ASK_AGAIN, "Ask again")
        self._takers.clear()

    def drop_connection(self, connection: Any) -> None:
        """Forget every call that came over a connection that is closed."""
        self._waiting = {call for call in self._waiting if call.connection is not connection}

    def interface(self) -> Interface:
        """The interface's members."""
        return Interface(HOST_INTERFACE, (
            Method("Fact", "object:s phase:s events:a(sasb)", "news:b", self._fact),
            Method("GetFacts", "", "facts:a(ss)", self._get_facts),
            Method("Announce", "unit:s state:s", "", self._announce, later=True),
            Method("TakeAnnouncement", "again:b", "number:u unit:s state:s", self._take_announcement, later=True),
            Method("AnnouncementTold", "number:u objects:as", "", self._announcement_told),
            Method("ShutDown", "level:s env:as first_step_only:b", "", self._shut_down, later=True),
            Method("ShutdownCancelled", "", "", self._shutdown_cancelled),
        ), (
            Property("kind", "s", lambda target: self._host.kind),
            Property("profile", "s", lambda target: self._host.profile),
            Property("masked", "as", lambda target: list(self._host.masked())),
        ))

    def _check(self, call: Call) -> None:
        if not self._is_private(call.connection):
            raise Refused("PermissionDenied", "Only the host bridge, on the private socket, may do this")

    def _fact(self, call: Call, target: None, object: str, phase: str, events: Any) -> bool:
        self._check(call)
        if not object:
            raise Refused("InvalidArgs", "Object may not be empty string")
        told = tuple(HostEvent(str(name), tuple(map(str, env)), bool(hold)) for name, env, hold in events)
        for event in told:
            if not event.name:
                raise Refused("InvalidArgs", "Name may not be empty string")
            for entry in event.env:
                if "=" not in entry:
                    raise Refused("InvalidArgs", "Env must be KEY=VALUE pairs")
        return self._host.fact(Fact(object, phase, told))

    def _get_facts(self, call: Call, target: None) -> List[Tuple[str, str]]:
        self._check(call)
        return list(self._host.facts().items())

    def _announce(self, call: Call, target: None, unit: str, state: str) -> None:
        self._check(call)
        if not unit:
            raise Refused("InvalidArgs", "Unit may not be empty string")
        if state not in (STARTING, STOPPING):
            raise Refused("InvalidArgs", f"Not a state that is announced: {state}")
        answer = self._answer_later(call)
        self._host.announce(unit, state, lambda: answer(None))

    def _take_announcement(self, call: Call, target: None, again: bool) -> None:
        self._check(call)
        answer = self._answer_later(call)
        self._takers = {call}
        self._host.take_announcement(again, lambda announcement: answer(tuple(announcement)))

    def _announcement_told(self, call: Call, target: None, number: int, objects: Tuple[str, ...]) -> None:
        self._check(call)
        self._host.announcement_told(number, objects)

    def _shut_down(self, call: Call, target: None, level: str, env: Tuple[str, ...], first_step_only: bool) -> None:
        self._check(call)
        if level not in ("", "0", "1", "6"):
            raise Refused("InvalidArgs", f"Not a level that hosts go down to: {level}")
        if not level and first_step_only:
            raise Refused("InvalidArgs", "A plain stop has no first step")
        answer = self._answer_later(call)
        self._host.shut_down(level, env, first_step_only, lambda: answer(None))

    def _answer_later(self, call: Call) -> Callable[[Any], None]:
        """What answers the call with a value, if the caller is still there."""
        self._waiting.add(call)

        def answer(value: Any) -> None:
            if call in self._waiting:
                self._waiting.discard(call)
                call.succeed(value)

        return answer

    def _shutdown_cancelled(self, call: Call, target: None) -> None:
        self._check(call)
        self._host.shutdown_cancelled()

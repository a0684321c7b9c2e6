"""The interface org.upstartcompat.Host1 of the manager object, for the host bridge (B200-B206, B218-B221).

There in host mode only, and for callers on the private socket only, whom libdbus has found to be root: no bus policy
can give it away. Everybody else gets PermissionDenied.
"""
from __future__ import annotations

from typing import Any, Callable, List, Tuple

from ..bridges.host.fact import Fact, HostEvent
from ..engine.view import Refused
from .calls import Call, PendingCalls
from .interfaces import Interface, Method, Property
from .services import HostServices
from .wire import HOST_INTERFACE


class HostObject:
    """``is_private(connection)``: whether a call came over the private socket."""

    def __init__(self, pending: PendingCalls, host: HostServices, is_private: Callable[[Any], bool]) -> None:
        self._pending = pending
        self._host = host
        self._is_private = is_private

    def interface(self) -> Interface:
        """The interface's members."""
        return Interface(HOST_INTERFACE, (
            Method("Fact", "object:s phase:s events:a(sasb)", "news:b", self._fact),
            Method("GetFacts", "", "facts:a(ss)", self._get_facts),
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

    def _shut_down(self, call: Call, target: None, level: str, env: Tuple[str, ...], first_step_only: bool) -> None:
        self._check(call)
        if level not in ("", "0", "1", "6"):
            raise Refused("InvalidArgs", f"Not a level that hosts go down to: {level}")
        if not level and first_step_only:
            raise Refused("InvalidArgs", "A plain stop has no first step")
        number = self._pending.enter(call)

        def done() -> None:
            waiting = self._pending.leave(number)
            if waiting is not None:
                waiting.succeed_with_instance(None)

        self._host.shut_down(level, env, first_step_only, done)

    def _shutdown_cancelled(self, call: Call, target: None) -> None:
        self._check(call)
        self._host.shutdown_cancelled()

"""Clients over a re-exec: their connections stay open, and the calls that they wait for are answered (D239).

Before the exec ``hand_over`` says which sockets are to be kept, and which calls wait for the engine's
answer, by serial. After it ``join`` makes a relay of each socket (relays.py). The first thing that a relay says on
its new connection is, for each call, a bare call with the serial that the client gave it; ``call`` knows
it again and puts it among the pending ones, and so the answer carries the right serial. An answer that
the engine gives before that is kept until then.
"""
from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..loop import MainLoop
from ..state.reading import Record, Unreadable, array, count, flag, natural, optional, text
from .calls import Call, PendingCalls
from .interfaces import Method
from .relays import Relay, Relays
from .wire import KEPT_CALL, bare_call, peer_address, writable

#: Clients have so long to say who they are and to read what they are sent; what they write later waits in their sockets.
_SECONDS = 0.05
_MOMENT = 0.001
_MOST_SERIAL = 2 ** 32 - 1


class _Kept(NamedTuple):
    """A call from before the exec. ``results``: as in Method."""

    number: int
    serial: int
    no_reply: bool
    method: str
    results: str
    job: Optional[str]


class KeptClients:
    """Both sides of it. ``answer(call, action)`` carries out an action that is an answer to a call."""

    def __init__(self, pending: PendingCalls, loop: MainLoop, answer: Callable[[Call, Any], None]) -> None:
        self._pending = pending
        self._loop = loop
        self._answer = answer
        self._relays: Optional[Relays] = None
        self._relay_of: Dict[Any, Relay] = {}
        #: By the name of a relay, then by the connection: the calls that it is still to hand on.
        self._expected: Dict[bytes, Deque[_Kept]] = {}
        self._arriving: Dict[Any, Deque[_Kept]] = {}
        #: Numbers of calls that did not arrive yet, with the answer if there is one already.
        self._early: Dict[int, Optional[Any]] = {}
        self._clients: List[Tuple[int, List[_Kept]]] = []

    # -- before the exec -------------------------------------------------------------------------------------

    def hand_over(self, last_words: Callable[[], None], connections: Callable[[], Iterable[Any]], busy: Callable[[], bool],
                  listening: int, at_once: bool) -> Optional[Dict[str, Any]]:
        """Plain data for ``take_over``, after everything that was read from clients was seen to.

        ``last_words`` says what clients are still to be told; whatever they answer is for the next run.
        ``connections`` gives the private ones that can be kept. While ``busy`` is true there is one more to come, which
        would be lost, and so would be a client that is in the midst of something: then None, unless it has to be ``at_once``. From
        the first time on until ``go_on`` nobody new is let in at the socket ``listening``, so it is soon over.
        """
        self._loop.leave_out(listening)
        self._pause(True)
        end = time.monotonic() + _SECONDS
        while True:
            self._loop.work_off_calls(_SECONDS)
            carried = self._relays is not None and self._relays.carry()
            if time.monotonic() > end or not (carried or busy()):
                break
            if not carried:
                time.sleep(_MOMENT)
        self._loop.finish_calls()
        last_words()
        self.write(_SECONDS)
        sockets = {connection: self._socket_of(connection) for connection in connections()}
        if not at_once and (busy() or min(sockets.values(), default=0) < 0):
            self._pause(False)
            return None
        return {"last_call": self._pending.last, "clients": [
            {"fd": fd, "calls": [self._describe(call) for call in self._pending.of_connection(connection)]}
            for connection, fd in sockets.items() if fd >= 0]}

    def write(self, seconds: float) -> None:
        """Send what is queued for anybody, as far as it is read within so long."""
        end = time.monotonic() + seconds
        while True:
            left = self._loop.write_calls(seconds)
            carried = self._relays is not None and self._relays.carry()
            if not (left or carried) or time.monotonic() > end:
                return
            if not carried:
                time.sleep(_MOMENT)

    def go_on(self) -> None:
        """There was no exec."""
        self._loop.leave_out(-1)
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        if self._relays is not None:
            self._relays.pause(paused)

    def _socket_of(self, connection: Any) -> int:
        """The client's own socket; -1 if something is on its way that would be lost."""
        relay = self._relay_of.get(connection)
        if relay is not None:
            return relay.outer.fileno() if relay.idle else -1
        fd = connection.get_unix_fd()
        # Whoever does not take what it is sent may have got half a message.
        return fd if fd is not None and writable(connection) else -1

    @staticmethod
    def _describe(call: Call) -> Dict[str, Any]:
        method = call.method
        return {"number": call.number, "serial": call.message.get_serial(), "no_reply": int(call.message.get_no_reply()),
                "method": method.name if method is not None else "", "job": call.job,
                "results": " ".join(f"{each.name}:{each.type}" for each in method.results) if method is not None else ""}

    # -- after it ----------------------------------------------------------------------------------------------

    def take_over(self, section: Record, last_call: int, usable: Callable[[int], bool]) -> List[int]:
        """Know the clients and calls again; returns the descriptors. ``last_call`` is the engine's highest number.

        What is wrong with a client loses only that one.
        """
        last = last_call
        try:
            last = max(last, section.get("last_call", count))
            listed = section.get("clients", array)
        except Unreadable:
            listed = []
        self._pending.go_on_after(last)
        for entry in listed:
            try:
                client = Record(entry)
                fd, calls = client.get("fd", natural), [_kept(Record(each)) for each in client.get("calls", array)]
            except Unreadable:
                continue
            if usable(fd):
                self._clients.append((fd, calls))
                self._early.update((call.number, None) for call in calls)
        return [fd for fd, _ in self._clients]

    def join(self, address: str) -> None:
        """Serve the clients again; the private socket listens already."""
        clients, self._clients = self._clients, []
        if not clients:
            return
        self._relays = relays = Relays()
        for fd, calls in clients:
            relay = relays.add(fd, address, b"".join(bare_call(call.serial, call.no_reply) for call in calls))
            if relay is None:
                self._forget(calls)
            else:
                self._expected[relay.name] = deque(calls)
        self._loop.add_reader(relays.fileno(), relays.dispatch)
        # They are to hear of what follows.
        self._loop.work_off_calls(_SECONDS)

    def answered(self, number: int, action: Any) -> None:
        """The engine answered a call that is not among the pending ones."""
        if number in self._early:
            self._early[number] = action

    def accepted(self, connection: Any) -> None:
        """A new private connection: perhaps that of a relay."""
        if self._expected:
            name = peer_address(connection)
            calls = self._expected.pop(name, None)
            relay = self._relays.at(name) if self._relays is not None else None
            if calls is not None and relay is not None:
                self._relay_of[connection] = relay
                if calls:
                    self._arriving[connection] = calls

    def disconnected(self, connection: Any) -> None:
        """A connection is closed."""
        self._relay_of.pop(connection, None)
        self._forget(self._arriving.pop(connection, ()))

    def call(self, connection: Any, message: Any) -> bool:
        """Whether a message was one of ours."""
        if not self._arriving or connection not in self._arriving or message.get_member() != KEPT_CALL:
            return False
        calls = self._arriving[connection]
        kept = calls.popleft()
        if not calls:
            del self._arriving[connection]
        call = Call(connection, message, Method(kept.method, "", kept.results, _nothing))
        call.job = kept.job
        action = self._early.pop(kept.number, None)
        if action is None:
            self._pending.enter_again(call, kept.number, kept.job)
        else:
            self._answer(call, action)
        return True

    def close(self) -> None:
        """Close every relay."""
        if self._relays is not None:
            self._relays.close()
            self._relays = None

    def _forget(self, calls: Iterable[_Kept]) -> None:
        for call in calls:
            self._early.pop(call.number, None)


def _nothing() -> None:
    """No call arrives by such a method."""


def _kept(call: Record) -> _Kept:
    serial = call.get("serial", count)
    results = call.get("results", text)
    if not 0 < serial <= _MOST_SERIAL or results not in ("", "instance:o"):
        raise Unreadable("not a call")
    return _Kept(call.get("number", count), serial, call.get("no_reply", flag), call.get("method", text), results,
                 call.get("job", optional(text)))

"""One method call from its arrival to its answer, and the calls that wait for the engine's.

Every call is answered at most once. What comes for a call whose client is gone is dropped, and so
is a success that the client did not ask to be told of (C25).
"""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Protocol

from .interfaces import Method
from .paths import instance_path
from .wire import ErrorMessage, MethodReturn, error_name, outgoing, text


class Call:
    """A method call.

    ``uid`` is the caller's user id, -1 if it cannot be known or nothing depends on it. ``number`` is
    what the engine knows the call by, 0 as long as it was not told of it. ``job`` is the class whose
    instance the engine's answer will name.
    """

    __slots__ = ("answered", "connection", "job", "message", "method", "number", "uid")

    def __init__(self, connection: Any, message: Any, method: Optional[Method] = None, uid: int = -1) -> None:
        self.connection = connection
        self.message = message
        self.method = method
        self.uid = uid
        self.number = 0
        self.job: Optional[str] = None
        self.answered = False

    def succeed(self, value: Any = None) -> None:
        """Reply with the method's result: nothing, one value, or a tuple of several."""
        self.answered = True
        if self.message.get_no_reply():
            return
        reply = MethodReturn(self.message)
        if self.method is not None and self.method.results:
            values = value if len(self.method.results) > 1 else (value,)
            reply.append(*map(outgoing, values), signature=self.method.result_signature)
        self.connection.send_message(reply)

    def succeed_with_instance(self, instance: Optional[str]) -> None:
        """Reply as the engine answered: with an instance of ``job`` or with nothing."""
        self.succeed(None if self.job is None or instance is None else instance_path(self.job, instance))

    def fail(self, error: str, message: str) -> None:
        """Reply with an error; ``error`` is a full name or as in actions.Refuse. Sent even if no reply was asked for (C25)."""
        self.answered = True
        self.connection.send_message(ErrorMessage(self.message, error_name(error), text(message)))


class Caller(Protocol):
    """Who waits for the engine's answer; ``number`` and ``job`` as of Call."""

    number: int
    job: Optional[str]

    @property
    def connection(self) -> Any:
        """What it came over."""

    def succeed_with_instance(self, instance: Optional[str]) -> None:
        """The engine did it."""

    def fail(self, error: str, message: str) -> None:
        """The engine refused it, or it failed; ``error`` as in actions.Refuse."""


class PendingCalls:
    """The calls that the engine has been told of and has not answered."""

    def __init__(self) -> None:
        self._calls: Dict[int, Caller] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._calls)

    def enter(self, call: Caller, job: Optional[str] = None) -> int:
        """Give the call its number. ``job``: as Call.job."""
        self._last += 1
        call.number = self._last
        call.job = job
        self._calls[call.number] = call
        return call.number

    def of_connection(self, connection: Any) -> List[Call]:
        """Every call that came over a connection."""
        return [call for call in self._calls.values() if isinstance(call, Call) and call.connection is connection]

    def all_of(self, connection: Any) -> List[Caller]:
        """The same, whatever kind of caller it is."""
        return [call for call in self._calls.values() if call.connection is connection]

    @property
    def last(self) -> int:
        """The highest number that was given."""
        return self._last

    def go_on_after(self, last: int) -> None:
        """Give no number up to ``last``: calls from before a re-exec have those."""
        self._last = max(self._last, last)

    def enter_again(self, call: Caller, number: int, job: Optional[str]) -> None:
        """A call from before a re-exec, under the number that it had."""
        call.number, call.job = number, job
        self._calls[number] = call

    def leave(self, number: int) -> Optional[Caller]:
        """The call of that number, which is forgotten; None if its client is gone."""
        return self._calls.pop(number, None)

    def drop_connection(self, connection: Any) -> None:
        """Forget every call that came over a connection that is closed."""
        gone: List[int] = [number for number, call in self._calls.items() if call.connection is connection]
        for number in gone:
            del self._calls[number]

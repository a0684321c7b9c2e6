"""Who waits for an event or an instance: Blocked objects (D201).

Upstart names callers but never writes them down. Here they are written with the number that the engine
knows the call by; the control side keeps the rest of it (D239).
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from .reading import Record, Unreadable, array, caller, natural, optional, text

_JOB, _EVENT, _EMIT = "BLOCKED_JOB", "BLOCKED_EVENT", "BLOCKED_EMIT_METHOD"
#: By the text of the failure that the caller would be told.
_METHODS = {"Job failed to start": "START", "Job failed while stopping": "STOP", "Job failed to restart": "RESTART"}


class OfInstance(NamedTuple):
    """An instance waits."""

    job: str
    name: str


class OfEvent(NamedTuple):
    """The event at this place of the list waits."""

    place: int


class OfCall(NamedTuple):
    """A caller waits; ``failure`` and ``result`` are None for one of EmitEvent."""

    call: int
    failure: Optional[str]
    result: Optional[str]


Blocked = Union[OfInstance, OfEvent, OfCall]


def encode_waiter(waiter: Tuple[Any, ...]) -> Dict[str, Any]:
    """One of Event.waiters."""
    if waiter[0] == "call":
        return {"data": {"call": waiter[1]}, "type": _EMIT}
    return {"data": {"session": 0, "class": waiter[1], "name": waiter[2]}, "type": _JOB}


def encode_owner(owner: Tuple[Any, ...], places: Mapping[int, int]) -> Dict[str, Any]:
    """One of Instance.owners."""
    if owner[0] == "event":
        return {"data": {"index": places[owner[1]]}, "type": _EVENT}
    _, call, failure, result = owner
    kind = "INSTANCE" if result is None else "JOB"
    return {"data": {"call": call, "failure": failure, "result": result}, "type": f"BLOCKED_{kind}_{_METHODS.get(failure, 'START')}_METHOD"}


def blocked(value: Any) -> List[Blocked]:
    """The kind of a list of Blocked; what cannot be understood is left out (D201)."""
    found: List[Blocked] = []
    for entry in array(value):
        try:
            found.append(_one(Record(entry)))
        except Unreadable:
            # Upstart leaves those out too, without a word: what they waited for goes on all the same.
            pass
    return found


def _one(entry: Record) -> Blocked:
    what, data = entry.get("type", text), entry.get("data", Record)
    make = _KINDS.get(what)
    if make is not None:
        return make(data)
    if what.startswith("BLOCKED_") and what.endswith("_METHOD"):
        return OfCall(data.get("call", caller), data.get("failure", optional(text), None), data.get("result", optional(text), None))
    raise Unreadable("unknown")


def _instance(data: Record) -> Blocked:
    if data.get("session", natural, 0):
        raise Unreadable("of a chroot session")
    return OfInstance(data.get("class", text), data.get("name", text))


_KINDS: Dict[str, Callable[[Record], Blocked]] = {
    _JOB: _instance,
    _EVENT: lambda data: OfEvent(data.get("index", natural)),
}

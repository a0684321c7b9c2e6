"""The event queue: Event objects in the order of their numbers (D200).

An event's place in the list stands for it wherever it is referred to. How many hold it is counted anew
when the text is read: what a lost class held must not be held for ever.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..engine.events import HANDLING, PENDING, Event, EventQueue
from ..engine.history import EventHistory, Happening
from .blocked import Blocked, blocked, encode_waiter
from .reading import Record, Unreadable, array, count, flag, integer, natural, seconds, strings, text, tuple_of, word

_PROGRESS = {"EVENT_PENDING": PENDING, "EVENT_HANDLING": HANDLING, "EVENT_FINISHED": HANDLING}
_WORDS = {PENDING: "EVENT_PENDING", HANDLING: "EVENT_HANDLING"}


class ReadEvent(NamedTuple):
    """An event that was read, and what waits for it."""

    event: Event
    waiters: List[Blocked]


def encode(queue: EventQueue) -> List[Dict[str, Any]]:
    """Every event, oldest first."""
    out: List[Dict[str, Any]] = []
    for number, event in sorted(queue.events.items()):
        record: Dict[str, Any] = {"session": 0, "name": event.name}
        if event.env:
            record["env"] = list(event.env)
        record.update(
            fd=event.fd, progress=_WORDS[event.progress], failed=int(event.failed), blockers=event.blockers,
            blocking=[encode_waiter(waiter) for waiter in event.waiters], number=number)
        out.append(record)
    return out


def places(queue: EventQueue) -> Dict[int, int]:
    """From the number of each event to its place."""
    return {number: place for place, number in enumerate(sorted(queue.events))}


def encode_queue(queue: EventQueue) -> Dict[str, Any]:
    """How far the queue was worked off (E84, E90)."""
    ahead, next_pass, position, visits = queue.progress()
    return {"last_number": queue.last_number, "ahead": ahead, "next_pass": next_pass, "position": position, "visits": visits}


def encode_history(history: EventHistory) -> List[Dict[str, Any]]:
    """When events last happened that some condition asks for, the latest last."""
    return [{"time": each.time, "name": each.name, "env": list(each.env)} for each in history.all()]


def happenings(value: Any) -> List[Happening]:
    """The kind of such a list."""
    found = map(Record, array(value))
    return [Happening(each.get("time", seconds), each.get("name", text), each.get("env", strings)) for each in found]


def decode(entries: List[Any], queue: EventQueue, is_open: Callable[[int], bool], lost: List[str]) -> List[Optional[ReadEvent]]:
    """Put the events into an empty queue; None stands in the place of one that is lost."""
    found: List[Optional[ReadEvent]] = []
    for place, entry in enumerate(entries):
        try:
            found.append(_one(Record(entry), is_open, lost))
        except Unreadable as fault:
            found.append(None)
            lost.append(f"Event {place} is lost: {fault}")
    known = [each.event for each in found if each is not None]
    numbers = [event.number for event in known]
    if any(later <= earlier for earlier, later in zip([0, *numbers], numbers)):
        # Upstart has none; they only have to keep the order.
        for number, event in enumerate(known, 1):
            event.number = number
    for event in known:
        queue.events[event.number] = event
        queue.last_number = event.number
    return found


def _one(entry: Record, is_open: Callable[[int], bool], lost: List[str]) -> ReadEvent:
    if entry.get("session", natural):
        raise Unreadable("it is of a chroot session")
    event = Event(entry.get("number", count, 0), entry.get("name", text), entry.get("env", strings, ()), entry.get("fd", integer))
    event.progress = entry.get("progress", word(_PROGRESS))
    event.failed = entry.get("failed", flag)
    if event.fd >= 0 and not is_open(event.fd):
        lost.append(f"The descriptor of event {event.name} is lost")
        event.fd = -1
    return ReadEvent(event, entry.get("blocking", blocked, []))


def decode_queue(value: Optional[Record], queue: EventQueue) -> None:
    """Go on where the queue was; without a record, or with a bad one, every event that is free is visited."""
    if value is not None:
        numbers = tuple_of(count)
        try:
            last = value.get("last_number", count)
            ahead, next_pass = value.get("ahead", numbers), value.get("next_pass", numbers)
            position, visits = value.get("position", count), value.get("visits", count)
        except Unreadable:
            pass
        else:
            queue.last_number = max(last, queue.last_number)
            queue.go_on_from(ahead, next_pass, position, visits)
    queue.visit_free()

"""Events and the queue that they go through (E82-E91).

The queue is polled in passes from front to back; a pass visits what is pending or has nothing left
that holds it, and passes are repeated until one finds nothing to do (E84). Visiting every held event
in every pass would make a thousand waiting jobs cost a million visits, so the queue keeps the numbers
of the events worth a visit in two heaps: those ahead in the pass that is under way, and those for the
next pass. The order of visits is the same, but that a pass which new events keep alive is ended after
PASS_LIMIT visits: what got free behind it would wait for ever otherwise (E90).
"""
from __future__ import annotations

import heapq
from typing import Dict, Iterable, List, Optional, Tuple

PENDING, HANDLING = "pending", "handling"

#: Far more visits than any boot needs in one pass.
PASS_LIMIT = 10000


class Event:
    """One event. ``blockers`` counts what keeps it from finishing; ``waiters`` wait for that.

    A waiter is ("instance", job name, instance name) or ("call", call number).
    """

    __slots__ = ("blockers", "env", "failed", "fd", "name", "number", "progress", "waiters")

    def __init__(self, number: int, name: str, env: Tuple[str, ...], fd: int = -1) -> None:
        self.number = number
        self.name = name
        self.env = env
        self.progress = PENDING
        self.failed = False
        self.blockers = 0
        self.waiters: List[Tuple[object, ...]] = []
        self.fd = fd

    def value(self, key: str) -> Optional[str]:
        """The value of the first variable of that name (P104)."""
        prefix = key + "="
        for entry in self.env:
            if entry.startswith(prefix):
                return entry[len(prefix):]
        return None


class EventQueue:
    """Every event that is not finished, and which to visit next."""

    __slots__ = ("_ahead", "_next_pass", "_position", "_visits", "events", "last_number")

    def __init__(self) -> None:
        self.events: Dict[int, Event] = {}
        self.last_number = 0
        self._ahead: List[int] = []
        self._next_pass: List[int] = []
        self._position = 0
        self._visits = 0

    def add(self, name: str, env: Tuple[str, ...], fd: int = -1) -> Event:
        """Append a pending event."""
        self.last_number += 1
        event = Event(self.last_number, name, env, fd)
        self.events[event.number] = event
        heapq.heappush(self._ahead, event.number)
        return event

    def bring_back(self, name: str, env: Tuple[str, ...], handled: bool, failed: bool) -> Event:
        """Append an event of an engine before this one: pending, or handled and so finished as soon as nothing holds it."""
        event = self.add(name, env)
        if handled:
            event.progress = HANDLING
        event.failed = failed
        return event

    def block(self, event: Event) -> None:
        """One more holder."""
        event.blockers += 1

    def unblock(self, number: int, failed: bool = False) -> None:
        """One holder less; the last one makes the event worth a visit."""
        event = self.events[number]
        event.blockers -= 1
        if failed:
            event.failed = True
        if not event.blockers and event.progress != PENDING:
            heapq.heappush(self._ahead if number > self._position else self._next_pass, number)

    def next(self) -> Optional[Event]:
        """The next event to visit, or None when nothing is to be done."""
        while True:
            if not self._ahead:
                self._visits = 0
                if not self._next_pass:
                    self._position = 0
                    return None
                self._ahead, self._next_pass = self._next_pass, self._ahead
            elif self._visits >= PASS_LIMIT:
                self._visits = 0
                self._ahead = sorted(self._ahead + self._next_pass)
                self._next_pass = []
            self._visits += 1
            number = heapq.heappop(self._ahead)
            self._position = number
            event = self.events.get(number)
            # Held again since it was put here: it comes back when it is free.
            if event is not None and (event.progress == PENDING or not event.blockers):
                return event

    def has_work(self) -> bool:
        """Whether ``next`` may give something."""
        return bool(self._ahead or self._next_pass)

    def progress(self) -> Tuple[List[int], List[int], int, int]:
        """Where the pass is: numbers ahead in it, numbers for the next one, the last number visited, visits made."""
        return sorted(self._ahead), sorted(self._next_pass), self._position, self._visits

    def go_on_from(self, ahead: Iterable[int], next_pass: Iterable[int], position: int, visits: int) -> None:
        """Be where another queue was; the arguments are what its ``progress`` gave."""
        # A sorted list is a heap.
        self._ahead, self._next_pass = sorted(ahead), sorted(next_pass)
        self._position, self._visits = position, visits

    def visit_free(self) -> None:
        """Make sure that each event that nothing holds is visited."""
        known = {*self._ahead, *self._next_pass}
        for number, event in self.events.items():
            if number not in known and (event.progress == PENDING or not event.blockers):
                heapq.heappush(self._next_pass, number)

    def remove(self, event: Event) -> None:
        """Destroy a finished event."""
        del self.events[event.number]

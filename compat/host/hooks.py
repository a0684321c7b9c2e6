"""Commands of hooked units, which hold a native unit up until the events of its change are finished (B232).

Such a command says which unit is about to start or stop, and is answered when the jobs are done with that. What a change of a
unit means to jobs the bridge alone knows: it takes the announcements one by one, tells facts as ever, and says which objects of
the table they were about. When no event of these is left the command is answered. A bridge that connects anew is given again
what it has not told yet.

An event that is taken as overdue (30 seconds) lets the next events go, but not the unit: how long that waits its own time-outs say.
"""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

Answer = Callable[[], None]


class Announcement(NamedTuple):
    """``state`` is STARTING or STOPPING of unit_phases; ``number`` tells announcements apart."""

    number: int
    unit: str
    state: str


class Hooks:
    """``busy(object)``: whether events of a fact's object are not finished."""

    def __init__(self, busy: Callable[[str], bool]) -> None:
        self._busy = busy
        #: the highest number that was given; never lower after a re-exec
        self.last = 0
        #: what the bridge has not told yet, and what of it was not handed out
        self._untold: Dict[int, Tuple[Announcement, Answer]] = {}
        self._fresh: List[Announcement] = []
        self._taker: Optional[Callable[[Announcement], None]] = None
        #: objects whose events are waited for
        self._told: List[Tuple[Tuple[str, ...], Answer]] = []

    def announce(self, unit: str, state: str, done: Answer) -> None:
        """A unit is about to change; ``done`` is called when the jobs are done with that."""
        self.last += 1
        announcement = Announcement(self.last, unit, state)
        self._untold[announcement.number] = (announcement, done)
        self._fresh.append(announcement)
        self._hand_out()

    def take(self, again: bool, taker: Callable[[Announcement], None]) -> None:
        """The bridge asks for the next announcement, now or when there is one. ``again``: also for what was handed out and not told."""
        if again:
            self._fresh = [announcement for announcement, _ in self._untold.values()]
        self._taker = taker
        self._hand_out()

    def told(self, number: int, objects: Sequence[str]) -> None:
        """The bridge has told what there was to tell of an announcement; no matter if it is not known any more."""
        found = self._untold.pop(number, None)
        if found is not None:
            self._fresh = [each for each in self._fresh if each.number != number]
            self._told.append((tuple(objects), found[1]))
            self.review()

    def review(self) -> None:
        """Events are finished."""
        told, self._told = self._told, []
        for objects, done in told:
            if any(map(self._busy, objects)):
                self._told.append((objects, done))
            else:
                done()

    def release(self) -> None:
        """The host goes down, and its steps are what jobs are told by: no unit waits here any more."""
        waiting = [done for _, done in self._untold.values()] + [done for _, done in self._told]
        self._untold.clear()
        self._fresh.clear()
        self._told.clear()
        for done in waiting:
            done()

    def _hand_out(self) -> None:
        taker = self._taker
        if taker is not None and self._fresh:
            self._taker = None
            taker(self._fresh.pop(0))

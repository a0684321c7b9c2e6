"""When an event last happened that some condition asks for.

Who wonders why a job does not start wants to know whether the event came at all. A condition keeps only
what made it true, and forgets that when it fires (E101). So this remembers the latest time of each event
with its variables, the latest ones only, and no event that nobody could have been waiting for.
"""
from __future__ import annotations

from collections import OrderedDict
from typing import Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ..parser.definition import Match
from .conditions import matches
from .events import Event

#: As many different events as are remembered, and the longest variables of one, in characters.
MOST_EVENTS = 1000
LONGEST_VARIABLES = 2000


class Happening(NamedTuple):
    """An event that was handled at a monotonic time in seconds."""

    time: float
    name: str
    env: Tuple[str, ...]


class EventHistory:
    """The latest events, each once."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: "OrderedDict[Tuple[str, Tuple[str, ...]], float]" = OrderedDict()

    def note(self, event: Event, now: float) -> None:
        """An event is handled that some condition may match."""
        if sum(map(len, event.env)) > LONGEST_VARIABLES:
            return
        key = (event.name, event.env)
        self._times[key] = now
        self._times.move_to_end(key)
        if len(self._times) > MOST_EVENTS:
            self._times.popitem(last=False)

    def all(self) -> List[Happening]:
        """What is remembered, the latest last."""
        return [Happening(time, name, env) for (name, env), time in self._times.items()]

    def go_on_from(self, happenings: Iterable[Happening]) -> None:
        """Remember what another one did."""
        for time, name, env in happenings:
            self.note(Event(0, name, env), time)

    def last(self, leaf: Match, environment: Mapping[str, str]) -> Optional[Happening]:
        """The latest event that is remembered and that the leaf matches, if there is one."""
        for (name, env), time in reversed(self._times.items()):
            if name == leaf.event and matches(leaf, Event(0, name, env), environment):
                return Happening(time, name, env)
        return None

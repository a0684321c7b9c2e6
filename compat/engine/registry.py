"""The registered job classes: in upstream's order, and indexed by the events they ask for.

Order (E83): 17 bins by a hash of the name, inside a bin by time of registration; here both are one
sortable number. The index leads from an event to the classes with a leaf that could match it: by the
event's name and, where a leaf fixes the value of the first variable (``started dbus``), by that value
too. So an event that nobody asks for costs the same with ten classes and with five thousand.
"""
from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ..parser.definition import Match
from .conditions import Postfix, first_literal, postfix
from .events import Event
from .jobs import JobClass, place

#: event name -> fixed value of the first variable (None: any) -> names of classes
_Index = Dict[str, Dict[Optional[str], Dict[str, None]]]
#: the leaves of a condition as places in an index
_Keys = List[Tuple[str, Optional[str]]]


class Registry:
    """All registered classes, by name."""

    __slots__ = ("_starts", "_stops", "classes", "serial")

    def __init__(self) -> None:
        self.classes: Dict[str, JobClass] = {}
        self.serial = 0
        self._starts: _Index = {}
        self._stops: _Index = {}

    def next_order(self, name: str) -> int:
        """A place at the end of the name's bin."""
        self.serial += 1
        return place(name, self.serial)

    def add(self, job: JobClass) -> None:
        """Register a class whose name is free."""
        self.classes[job.name] = job
        _enter(self._starts, _start_keys(job), job.name)
        _enter(self._stops, _stop_keys(job), job.name)

    def remove(self, job: JobClass) -> None:
        """Unregister a class."""
        del self.classes[job.name]
        _leave(self._starts, _start_keys(job), job.name)
        _leave(self._stops, _stop_keys(job), job.name)

    def ordered(self) -> List[JobClass]:
        """Every class in the order of E83."""
        return sorted(self.classes.values(), key=_order)

    def interested(self, event: Event) -> List[JobClass]:
        """The classes with a condition that the event might match, in the order of E83."""
        first = event.env[0].partition("=")[2] if event.env else None
        found: Dict[str, None] = {}
        for index in (self._starts, self._stops):
            by_value = index.get(event.name)
            if by_value:
                found.update(by_value.get(None, {}))
                if first is not None:
                    found.update(by_value.get(first, {}))
        classes = self.classes
        jobs = [classes[name] for name in found]
        if len(jobs) > 1:
            jobs.sort(key=_order)
        return jobs

    def names_event(self, name: str) -> bool:
        """Whether some condition names this event."""
        return name in self._starts or name in self._stops


def _order(job: JobClass) -> int:
    return job.order


def _start_keys(job: JobClass) -> _Keys:
    return _keys(job.start_on.nodes) if job.start_on is not None else []


def _stop_keys(job: JobClass) -> _Keys:
    condition = job.definition.stop_on
    return _keys(postfix(condition)) if condition is not None else []


def _keys(nodes: Postfix) -> _Keys:
    return [(leaf.event, first_literal(leaf)) for leaf in nodes if isinstance(leaf, Match)]


def _enter(index: _Index, keys: _Keys, name: str) -> None:
    for event, value in keys:
        index.setdefault(event, {}).setdefault(value, {})[name] = None


def _leave(index: _Index, keys: _Keys, name: str) -> None:
    for event, value in keys:
        by_value = index.get(event)
        if by_value is None:
            continue
        names = by_value.get(value)
        if names is None:
            continue
        names.pop(name, None)
        if not names:
            del by_value[value]
            if not by_value:
                del index[event]

"""What the conditions of the loaded jobs ask of the host (B196, B224, B250).

A source opens nothing that no operand needs, and reports nothing that no operand could match. So this
keeps every operand of every class, told as classes come and go, and answers questions about them. Equal
operands of many jobs are kept once: a thousand jobs that wait for ``runlevel [2345]`` are one operand.

``$VARIABLES`` of a ``stop on`` are known to the running instance alone, so here they stand for anything.
Those of a ``start on`` are never set (E97): such an operand matches only by the defaults that it gives.
"""
from __future__ import annotations

from typing import Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from ...engine.conditions import Argument, matches, postfix, split_argument
from ...engine.events import Event
from ...engine.expansion import ExpansionError, expand
from ...engine.globs import glob_match, is_literal
from ...parser.definition import Condition, Match

#: The events of jobs, and of what stands for a job (E92).
JOB_EVENTS: Tuple[str, ...] = ("starting", "started", "stopping", "stopped")
START_ON, STOP_ON = "start on", "stop on"
_MOUNT_EVENTS = ("mounting", "mounted")
#: Where MOUNTPOINT stands among the variables of such an event (B178).
_MOUNT_POINT_POSITION = 1
_ANYTHING = "*"


class Operand(NamedTuple):
    """A leaf of a condition; ``stanza`` is START_ON or STOP_ON."""

    job: str
    stanza: str
    leaf: Match


def operands(job: str, start_on: Optional[Condition], stop_on: Optional[Condition]) -> Tuple[Operand, ...]:
    """The operands of a job's two conditions, from left to right."""
    return tuple(Operand(job, stanza, node)
                 for stanza, condition in ((START_ON, start_on), (STOP_ON, stop_on)) if condition is not None
                 for node in postfix(condition) if isinstance(node, Match))


def possible(operand: Operand) -> Optional[Match]:
    """The operand with ``*`` for what only an instance knows; None if it can match nothing (E97).

    In the result every value is a pattern without variables.
    """
    args: List[str] = []
    for text in operand.leaf.args:
        key, negated, value = split_argument(text)
        if "$" in value:
            if operand.stanza == STOP_ON:
                # A negated test of an unknown value tells nothing either, only that the variable has to be there.
                negated, value = False, _ANYTHING
            else:
                try:
                    value = expand(value, {})
                except ExpansionError:
                    return None
            text = value if key is None else key + ("!=" if negated else "=") + value
        args.append(text)
    return Match(operand.leaf.event, tuple(args))


def job_argument(leaf: Match) -> Optional[Argument]:
    """Which argument of an operand on a job event says whose; None if it means every job (B224).

    Positional ones count by their place, and JOB is the first variable of these events (P104, E92).
    """
    if leaf.args:
        first = split_argument(leaf.args[0])
        if first.key is None:
            return first
    for text in leaf.args:
        argument = split_argument(text)
        if argument.key == "JOB":
            return argument
    return None


def job_name(leaf: Match) -> Optional[str]:
    """The one job that an operand on a job event is about; None if it is about no job or many."""
    if leaf.event not in JOB_EVENTS:
        return None
    argument = job_argument(leaf)
    if argument is None or argument.negated or "$" in argument.value or not is_literal(argument.value):
        return None
    return argument.value


class Wanted:
    """All operands of all registered classes."""

    def __init__(self) -> None:
        self._by_job: Dict[str, Tuple[Match, ...]] = {}
        #: event -> operand -> how many conditions have it
        self._by_event: Dict[str, Dict[Match, int]] = {}

    def define(self, job: str, start_on: Optional[Condition], stop_on: Optional[Condition]) -> None:
        """A class was registered, or replaces the one of that name. ``from_postfix`` makes conditions of D-Bus properties (C65)."""
        self.forget(job)
        leaves = tuple(leaf for leaf in map(possible, operands(job, start_on, stop_on)) if leaf is not None)
        self._by_job[job] = leaves
        for leaf in leaves:
            counts = self._by_event.setdefault(leaf.event, {})
            counts[leaf] = counts.get(leaf, 0) + 1

    def forget(self, job: str) -> None:
        """A class is gone; no matter if it was not known."""
        for leaf in self._by_job.pop(job, ()):
            counts = self._by_event[leaf.event]
            counts[leaf] -= 1
            if not counts[leaf]:
                del counts[leaf]
                if not counts:
                    del self._by_event[leaf.event]

    def registered(self, job: str) -> bool:
        """Whether a class has this name: no native unit stands for it then (B228)."""
        return job in self._by_job

    def event(self, name: str) -> bool:
        """Whether some operand names this event; ``name`` may be a pattern, as ``*-device-added``."""
        if is_literal(name):
            return name in self._by_event
        return any(glob_match(name, each) for each in self._by_event)

    def event_names(self) -> FrozenSet[str]:
        """Every event that some operand names. In conditions names are taken as they are, never as patterns (E96)."""
        return frozenset(self._by_event)

    def could_match(self, name: str, env: Tuple[str, ...]) -> bool:
        """Whether an event of this name and these variables, in this order, could make some operand true."""
        leaves = self._by_event.get(name)
        if not leaves:
            return False
        event = Event(0, name, env)
        return any(matches(leaf, event, {}) for leaf in leaves)

    def native_jobs(self) -> Tuple[FrozenSet[str], bool]:
        """The names without a class that operands on job events name, and whether every service unit is wanted besides (B224)."""
        names = set()
        everything = False
        for event in JOB_EVENTS:
            for leaf in self._by_event.get(event, ()):
                name = job_name(leaf)
                if name is None:
                    everything = True
                elif name not in self._by_job:
                    names.add(name)
        return frozenset(names), everything

    def mount_points(self) -> FrozenSet[str]:
        """The patterns that operands on mounting and mounted ask of MOUNTPOINT (B250)."""
        found = set()
        for event in _MOUNT_EVENTS:
            for leaf in self._by_event.get(event, ()):
                for position, text in enumerate(leaf.args):
                    key, negated, pattern = split_argument(text)
                    if not negated and (key == "MOUNTPOINT" or key is None and position == _MOUNT_POINT_POSITION):
                        found.add(pattern)
        return frozenset(found)

    def names_mount_point(self, path: str) -> bool:
        """Whether some operand asks for this mount point by name or pattern (B250)."""
        return any(glob_match(pattern, path) for pattern in self.mount_points())

"""Why a job starts or does not: the interface org.upstartcompat.Job1 of class objects, which Upstart does not have.

What it tells is for people and for the host bridge; nothing is changed by it, and everybody may ask.
"""
from __future__ import annotations

import time
from typing import Callable, List, Optional, Tuple

from ..engine.condition_report import ConditionReport, NodeReport
from ..engine.history import Happening
from ..engine.view import EngineView, JobView
from ..parser.definition import Match
from ..parser.emitted_events import emitted_events
from .calls import Call
from .interfaces import Interface, Method
from .wire import EXPLANATION_INTERFACE

#: words, met, variables of the event that met it, time and variables of the latest one, who emits it
_Node = Tuple[List[str], bool, List[str], int, List[str], str]
_MICROSECONDS = 1000000


class JobConditions:
    """Serves the methods; their target is the JobView. ``source(job, stanza, operand)`` says who emits what an operand waits for."""

    def __init__(self, engine: EngineView, source: Callable[[str, str, Match], str],
                 clock: Callable[[], float] = time.monotonic, date: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._source = source
        self._clock = clock
        self._date = date

    def interface(self) -> Interface:
        """Conditions are as in C65, each node with what is known of it; times in microseconds since 1970, 0 for never."""
        return Interface(EXPLANATION_INTERFACE, (
            Method("GetConditions", "", "conditions:a(ssa(asbasxass))", self._get_conditions),
            Method("GetEmittedEvents", "", "events:as", self._get_emitted_events),
        ))

    def _get_conditions(self, call: Call, job: JobView) -> List[Tuple[str, str, List[_Node]]]:
        def tell(report: ConditionReport) -> Tuple[str, str, List[_Node]]:
            return report.stanza, report.instance, [self._node(job.name, report.stanza, node) for node in report.nodes]

        return list(map(tell, self._engine.conditions(job.name)))

    def _get_emitted_events(self, call: Call, job: JobView) -> List[str]:
        return list(emitted_events(job.definition))

    def _node(self, job: str, stanza: str, node: NodeReport) -> _Node:
        source = self._source(job, stanza, Match(node.words[0], node.words[1:])) if node.is_operand else ""
        last: Tuple[str, ...] = node.last.env if node.last is not None else ()
        return list(node.words), node.met, list(node.met_by), self._microseconds(node.last), list(last), source

    def _microseconds(self, happening: Optional[Happening]) -> int:
        """The date of what happened at a monotonic time."""
        return 0 if happening is None else int((self._date() - self._clock() + happening.time) * _MICROSECONDS)

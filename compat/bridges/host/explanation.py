"""What there is to say about the conditions of jobs: lines of the log, and ``upstart-host-bridge --explain`` (B199, B278).

Both judge with the same table. The log tells only what nobody on this host emits, each once; the explanation
tells the source of everything.
"""
from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Tuple

from ...parser.definition import Condition
from ...parser.notation import to_infix, to_postfix
from .event_sources import EventSources, Source
from .wanted import START_ON, STOP_ON, Operand, operands

#: What an event that nobody emits is called (B199).
NOBODY = "nothing on this host emits this event"


class JobText(NamedTuple):
    """A job and its two conditions."""

    job: str
    start_on: Optional[Condition] = None
    stop_on: Optional[Condition] = None


class Complaints:
    """Says of each operand that nobody meets so once, also if its job is read again and again."""

    def __init__(self) -> None:
        self._told: Dict[str, FrozenSet[str]] = {}

    def about(self, job: JobText, sources: EventSources) -> List[str]:
        """The lines that are new. To be asked when all jobs are loaded, for any of them may be who emits."""
        lines = [complaint(operand, source) for operand, source in sources.unmet(*job)]
        before = self._told.get(job.job, frozenset())
        if lines or before:
            self._told[job.job] = frozenset(lines)
        return [line for line in dict.fromkeys(lines) if line not in before]


def complaint(operand: Operand, source: Source) -> str:
    """One line about an operand that nobody meets."""
    return f"{_text(operand)}: {NOBODY}" + (f" ({source.note})" if source.note else "")


def explanation(jobs: Iterable[JobText], sources: EventSources) -> Tuple[List[str], int]:
    """A line for each operand with its source, and the exit status: 1 if a condition can never be met."""
    lines: List[str] = []
    status = 0
    for each in jobs:
        lines += [f"{_text(operand)}: {sources.source(operand)}" for operand in operands(*each)]
        for stanza, condition in ((START_ON, each.start_on), (STOP_ON, each.stop_on)):
            if condition is not None and not sources.reachable(each.job, stanza, condition):
                status = 1
    return lines, status


def _text(operand: Operand) -> str:
    return f"{operand.job}: {operand.stanza} {to_infix(to_postfix(operand.leaf))}"

"""What models are asked and what they tell, in short."""
from __future__ import annotations

from typing import Dict, Iterable, List

from compat.bridges.host.fact import GONE, Fact
from compat.bridges.host.wanted import Wanted
from compat.parser import parse_job


def wanted(*texts: str) -> Wanted:
    """The conditions of jobs a0, a1, ... Each text is what stands after ``start on``."""
    found = Wanted()
    for number, text in enumerate(texts):
        define(found, f"a{number}", text)
    return found


def define(found: Wanted, job: str, text: str) -> None:
    """A class comes, with this after ``start on``."""
    found.define(job, parse_job(f"start on {text}\n".encode()).start_on, None)


class Table:
    """The daemon's table, as far as a model can tell."""

    def __init__(self) -> None:
        self.known: Dict[str, str] = {}

    def take(self, facts: Iterable[Fact]) -> List[str]:
        """The events of those facts that are news, held ones with a ``!``."""
        events: List[str] = []
        for fact in facts:
            if self.known.get(fact.object, GONE) == fact.phase:
                continue
            if fact.phase == GONE:
                del self.known[fact.object]
            else:
                self.known[fact.object] = fact.phase
            events += [" ".join((event.name + ("!" if event.hold else ""), *event.env)) for event in fact.events]
        return events

"""The jobs that are loaded, as far as it matters to who emits an event: their names, and what they emit (B276).

The bridge is told of classes over D-Bus and keeps what it was told; the daemon looks at the classes themselves.
"""
from __future__ import annotations

from typing import Dict, Iterable, Optional, Protocol, Sequence, Tuple

from ...engine.globs import glob_match, is_literal
from ...engine.view import EngineView
from ...parser.definition import JobDefinition
from ...parser.emitted_events import emitted_events


class Jobs(Protocol):
    """What there is to ask."""

    def loaded(self, job: str) -> bool:
        """Whether there is a class of this name."""

    def names(self) -> Iterable[str]:
        """The names of all classes."""

    def emitter(self, event: str) -> Optional[str]:
        """A job that emits this event, by what its file says; None if there is none."""


class LoadedJobs:
    """Jobs that are told as classes come and go."""

    def __init__(self) -> None:
        self._emits: Dict[str, Tuple[str, ...]] = {}
        #: event -> the jobs that emit it, by name and by pattern
        self._by_name: Dict[str, Dict[str, None]] = {}
        self._by_pattern: Dict[str, Dict[str, None]] = {}

    def define(self, job: str, emits: Sequence[str] = ()) -> None:
        """A class is registered, or replaces the one of that name; ``emits`` as ``emitted_events`` gives them."""
        self.forget(job)
        self._emits[job] = tuple(emits)
        for event in self._emits[job]:
            self._index(event).setdefault(event, {})[job] = None

    def forget(self, job: str) -> None:
        """A class is gone; no matter if it was not known."""
        for event in dict.fromkeys(self._emits.pop(job, ())):
            index = self._index(event)
            del index[event][job]
            if not index[event]:
                del index[event]

    def loaded(self, job: str) -> bool:
        """As Jobs."""
        return job in self._emits

    def names(self) -> Iterable[str]:
        """As Jobs."""
        return self._emits

    def emitter(self, event: str) -> Optional[str]:
        """As Jobs."""
        for job in self._by_name.get(event, ()):
            return job
        for pattern, jobs in self._by_pattern.items():
            if glob_match(pattern, event):
                return next(iter(jobs))
        return None

    def _index(self, event: str) -> Dict[str, Dict[str, None]]:
        return self._by_name if is_literal(event) else self._by_pattern


class RegisteredJobs:
    """The classes of an engine, as they are at the moment."""

    def __init__(self, engine: EngineView) -> None:
        self._engine = engine

    def loaded(self, job: str) -> bool:
        """As Jobs."""
        return self._engine.job(job) is not None

    def names(self) -> Iterable[str]:
        """As Jobs."""
        return self._engine.job_names()

    def emitter(self, event: str) -> Optional[str]:
        """As Jobs."""
        for name in self._engine.job_names():
            job = self._engine.job(name)
            if job is not None and _may_emit(job.definition, event) and any(
                    each == event or glob_match(each, event) for each in emitted_events(job.definition)):
                return name
        return None


def _may_emit(definition: JobDefinition, event: str) -> bool:
    """Whether it is worth to read the commands: of thousands of jobs hardly one has the event's name in them."""
    return bool(definition.emits) or any(process is not None and event in process.command for process in definition.processes)

"""What the lines of a journal say, and what is left of it where some of them are damaged.

Each line is one JSON object, and holds for the keys that it has::

    {"format": 1, "boot": "…", "init": "…"}             first line: the version, and what it belongs to
    {"serial": 7,                                        the highest number given to a spawn so far
     "started": true,                                    the start-up event was emitted
     "environment": {KEY: VALUE} | null,                 the global job environment table, if it was changed
     "events": {NUMBER: record | null},                  null: finished
     "conditions": {JOB: [NUMBER, …]},                   the events that its ``start on`` holds
     "definitions": {NUMBER: record},
     "instances": {JOB: {NAME: record | null}}}          with the number of its definition

The records are those of engine/records.py. A line is what one input changed, so it is true as a whole or
not at all: the end of a daemon in the middle of a write leaves a line that cannot be read.
"""
from __future__ import annotations

import json
import operator
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..engine.inputs import Restore
from ..engine.records import (
    EventRecord,
    InstanceRecord,
    RecordError,
    decode_definition,
    decode_event,
    decode_instance,
    decode_numbers,
    decode_table,
)
from ..parser.definition import JobDefinition

FORMAT = 1


class Content(NamedTuple):
    """A journal that was read. ``problems`` are what was wrong with it, in the file's order."""

    boot: Optional[Dict[str, str]]
    started: bool
    restore: Restore
    problems: List[str]


def read(data: bytes) -> Content:
    """Everything in it that can be used. Never raises."""
    reader = _Reader()
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if line:
            reader.line(line, number, complete=number < len(lines))
    return reader.content()


class _Reader:
    def __init__(self) -> None:
        self._problems: List[str] = []
        self._boot: Optional[Dict[str, str]] = None
        self._started = False
        self._serial = 0
        self._environment: Any = None
        self._events: Dict[int, Any] = {}
        self._conditions: Dict[str, Any] = {}
        self._definitions: Dict[int, Any] = {}
        self._decoded: Dict[int, JobDefinition] = {}
        self._instances: Dict[Tuple[str, str], Any] = {}

    def line(self, line: bytes, number: int, complete: bool) -> None:
        try:
            value = json.loads(line.decode("ascii"))
            if type(value) is not dict or not complete:
                raise ValueError
        except (ValueError, RecursionError):
            self._problems.append(f"line {number} cannot be read" if complete else f"line {number} is cut off")
            return
        try:
            self._take(value, number == 1)
        except (ValueError, TypeError, AttributeError):
            self._problems.append(f"line {number} is not of this format")

    def _take(self, value: Dict[str, Any], first: bool) -> None:
        if first:
            if value.get("format") != FORMAT:
                self._problems.append(f"format {value.get('format')!r:.20} is not {FORMAT}")
            boot = value.get("boot"), value.get("init")
            if all(type(each) is str for each in boot):
                self._boot = {"boot": str(boot[0]), "init": str(boot[1])}
        self._serial = max(self._serial, operator.index(value.get("serial", 0)))
        self._started = self._started or value.get("started") is True
        self._environment = value.get("environment", self._environment)
        self._events.update((int(number), record) for number, record in value.get("events", {}).items())
        self._conditions.update(value.get("conditions", {}))
        self._definitions.update((int(number), record) for number, record in value.get("definitions", {}).items())
        for job, instances in value.get("instances", {}).items():
            self._instances.update(((job, name), record) for name, record in instances.items())

    def content(self) -> Content:
        events: List[EventRecord] = []
        for number, record in self._events.items():
            if record is not None:
                with _Noting(self._problems, f"event {number}"):
                    events.append(decode_event(number, record))
        conditions: List[Tuple[str, Tuple[int, ...]]] = []
        for job, numbers in self._conditions.items():
            with _Noting(self._problems, f"conditions of {job}"):
                conditions.append((job, decode_numbers(numbers)))
        instances: List[InstanceRecord] = []
        for (job, name), record in self._instances.items():
            if record is not None:
                with _Noting(self._problems, f"instance {job} ({name})" if name else f"instance {job}"):
                    instances.append(decode_instance(job, name, self._definition(record), record))
        environment = None
        if self._environment is not None:
            with _Noting(self._problems, "environment"):
                environment = decode_table(self._environment)
        return Content(self._boot, self._started, Restore(
            self._serial, environment, tuple(events), tuple(conditions), tuple(instances)), self._problems)

    def _definition(self, record: Any) -> JobDefinition:
        number = record.get("definition") if type(record) is dict else None
        if type(number) is not int or number not in self._definitions:
            raise RecordError("definition: missing")
        if number not in self._decoded:
            self._decoded[number] = decode_definition(self._definitions[number])
        return self._decoded[number]


class _Noting:
    """Turns a RecordError into a line of the list of problems."""

    def __init__(self, problems: List[str], what: str) -> None:
        self._problems = problems
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if isinstance(error, RecordError):
            self._problems.append(f"{self._what}: {error}")
            return True
        return False

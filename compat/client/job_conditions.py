"""What show-config and check-config read of a job: its name, the events it emits, its two conditions.

A condition stays the reverse Polish array that the daemon sends (C65). Read forwards it gives the
text and the events from left to right; read backwards it is the walk of C129: the root, the right
side, the left side. So no tree is made, and no depth of brackets is too deep.
"""
from __future__ import annotations

from .connection import JOB, UNKNOWN_METHOD, Connection, InvalidReply, Refusal, ahead

# What typing.TYPE_CHECKING says, without the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, TypeVar
    Value = TypeVar("Value")

#: The events whose arguments name a job (C126).
_JOB_EVENTS = ("starting", "started", "stopping", "stopped")


class Event:
    """An event in a condition. ``job`` is the job that it is about, "" if none; ``env`` its other arguments (C126)."""

    def __init__(self, words: list[str]) -> None:
        self.name, *self.arguments = words
        self.job = ""
        self.env = self.arguments
        if self.name in _JOB_EVENTS:
            for position, argument in enumerate(self.arguments):
                if argument.startswith("JOB=") or "=" not in argument:
                    self.job = argument[4:] if "=" in argument else argument
                    self.env = self.arguments[:position] + self.arguments[position + 1:]
                    break

    def __str__(self) -> str:
        return " ".join([self.name, *self.arguments])


_OPERATORS = {"/AND": "and", "/OR": "or"}


class Condition:
    """A ``start on`` or ``stop on``; false if there is none. ``nodes`` are events, and ``and`` or ``or`` behind their operands."""

    def __init__(self, nodes: list[list[str]]) -> None:
        """Raises InvalidReply where the array does not make one condition."""
        self.nodes: list[Event | str] = []
        for words in nodes:
            if not words:
                raise InvalidReply
            self.nodes.append(_OPERATORS.get(words[0]) or Event(words))
        self.fold(lambda event: None, lambda word, left, right: None)

    def __bool__(self) -> bool:
        return bool(self.nodes)

    def __str__(self) -> str:
        return "".join(self.fold(str, lambda word, left, right: f"({left} {word} {right})")[-1:])

    def events(self) -> list[Event]:
        """Its events, from left to right."""
        return [node for node in self.nodes if isinstance(node, Event)]

    def fold(self, leaf: Callable[[Event], Value], join: Callable[[str, Value, Value], Value]) -> list[Value]:
        """The value of each node, from those of its operands: ``leaf(event)`` or ``join(operator, left, right)``."""
        values: list[Value] = []
        operands: list[Value] = []
        for node in self.nodes:
            if isinstance(node, Event):
                value = leaf(node)
            else:
                if len(operands) < 2:
                    raise InvalidReply
                right = operands.pop()
                value = join(node, operands.pop(), right)
            operands.append(value)
            values.append(value)
        if len(operands) > 1:
            raise InvalidReply
        return values


class JobConditions:
    """A job as the daemon has it. ``conditions`` holds ("start on", …) and ("stop on", …)."""

    def __init__(self, name: str, emits: list[str], start_on: list[list[str]], stop_on: list[list[str]]) -> None:
        self.name = name
        self.emits = emits
        self.conditions = (("start on", Condition(start_on)), ("stop on", Condition(stop_on)))


class _Reading:
    def __init__(self, connection: Connection, path: str) -> None:
        self._name = connection.begin_get(path, JOB, "name")
        self._emits = connection.begin_get(path, JOB, "emits")
        # Conditions may be long; there is no limit on how long they take (C79).
        self._start_on = connection.begin_get(path, JOB, "start_on", forever=True)
        self._stop_on = connection.begin_get(path, JOB, "stop_on", forever=True)

    def result(self) -> JobConditions | None:
        try:
            name = self._name.text()
        except Refusal as refusal:
            if refusal.name == UNKNOWN_METHOD:
                return None
            raise
        return JobConditions(name, self._emits.texts(), self._start_on.lists(), self._stop_on.lists())


def read_conditions(connection: Connection, paths: list[str]) -> Iterator[JobConditions]:
    """The jobs of these paths, in that order; one that has gone meanwhile is left out. Raises Refusal, InvalidReply."""
    def ask(path: str) -> _Reading:
        return _Reading(connection, path)

    for reading in ahead(paths, ask, connection.ahead):
        job = reading.result()
        if job is not None:
            yield job

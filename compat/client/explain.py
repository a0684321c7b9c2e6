"""explain: why a job starts, or does not: what its conditions wait for and who would emit it (B199).

Upstart has no such command, and a daemon that is not this project's does not answer it.
"""
from __future__ import annotations

import time

from .connection import JOB, UNKNOWN_METHOD, InvalidReply, Refusal, ahead, connect
from .job_commands import StatusQuery, Target
from .options import Invocation
from .output import Failure

# What typing.TYPE_CHECKING says, without the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EXPLANATION = "org.upstartcompat.Job1"
_CONDITIONS = "a(ssa(asbasxass))"
_OPERATORS = {"/AND": "all of", "/OR": "one of"}
_NOBODY = "none"
_INDENT = "  "


def explain(invocation: Invocation) -> int:
    """explain JOB: its state, and its conditions operand by operand."""
    target = Target(invocation)
    connection = connect(invocation)
    job = connection.job(target.name)
    asked = connection.begin(job, _EXPLANATION, "GetConditions", reply=_CONDITIONS)
    instances = connection.begin(job, JOB, "GetAllInstances", reply="ao").texts()
    queries = ahead(instances or [None], lambda instance: StatusQuery(connection, job, instance), connection.ahead)
    lines = [query.text() for query in queries]
    try:
        conditions = asked.result()
    except Refusal as refusal:
        if refusal.name == UNKNOWN_METHOD:
            raise Failure("The init daemon cannot explain conditions") from None
        raise
    stanzas = [str(condition[0]) for condition in conditions]
    if "start on" not in stanzas:
        lines.append(_INDENT + "start on: nothing, it is started by command")
    for stanza, instance, nodes in conditions:
        about = f" of {instance}" if instance else ""
        lines.append(f"{_INDENT}{stanza}{about}: {'met' if nodes and nodes[-1][1] else 'not met'}")
        lines += _tree(nodes)
    if "stop on" not in stanzas:
        lines.append(_INDENT + "stop on: nothing, it is stopped by command")
    invocation.say("\n".join(lines))
    return 0


class _Part:
    """An operand, or an operator with its parts: those of equal operators below it are its own."""

    def __init__(self, text: str, met: bool, operator: str = "") -> None:
        self.text = text
        self.met = met
        self.operator = operator
        self.parts: list[_Part] = []

    def join(self, other: _Part) -> None:
        if other.operator == self.operator:
            self.parts += other.parts
        else:
            self.parts.append(other)


def _tree(nodes: Any) -> list[str]:
    """A line for each node, indented by its depth. Raises InvalidReply where they do not make one condition."""
    operands: list[_Part] = []
    for words, met, met_by, last, variables, source in nodes:
        if not words:
            raise InvalidReply
        operator = _OPERATORS.get(words[0], "")
        if operator:
            if len(operands) < 2:
                raise InvalidReply
            part = _Part(operator, bool(met), operator)
            right = operands.pop()
            part.join(operands.pop())
            part.join(right)
        else:
            part = _Part(_operand(words, bool(met), met_by, int(last), variables, str(source)), bool(met))
        operands.append(part)
    if len(operands) != 1:
        raise InvalidReply
    lines: list[str] = []
    pending = [(operands[0], 2)]
    while pending:
        part, depth = pending.pop()
        lines.append(f"{_INDENT * depth}[{'x' if part.met else ' '}] {part.text}")
        pending += [(each, depth + 1) for each in reversed(part.parts)]
    return lines


def _operand(words: Any, met: bool, met_by: Any, last: int, variables: Any, source: str) -> str:
    """``EVENT ARG…: what it waits for, or what met it``."""
    about = []
    if met:
        about.append(" ".join(["met by", words[0], *met_by]))
    nobody = source == _NOBODY or source.startswith(_NOBODY + " ")
    if nobody:
        about.append("nothing on this host emits this event" + source[len(_NOBODY):])
    else:
        about.append("from " + source)
    if last:
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last / 1000000))
        about.append(f"last {date}" + (": " + " ".join(variables) if variables and not met else ""))
    elif not met and not nobody:
        about.append("not seen yet")
    return " ".join(words) + " -- " + ", ".join(about)

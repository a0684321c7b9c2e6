"""How far the conditions of a job are met, for those who ask why it does not start or stop."""
from __future__ import annotations

from typing import Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ..parser.definition import Condition, Match
from ..parser.notation import AND, OR
from .conditions import ConditionState, postfix
from .core import Core
from .history import Happening
from .jobs import JobClass

START_ON, STOP_ON = "start on", "stop on"


class NodeReport(NamedTuple):
    """An operand, or an operator after its operands.

    ``words`` are the event and its arguments, or ``/AND`` or ``/OR`` alone (P112). ``met_by`` are the variables of
    the event that an operand holds. ``last`` is the latest event that it matches, held or not.
    """

    words: Tuple[str, ...]
    met: bool
    met_by: Tuple[str, ...] = ()
    last: Optional[Happening] = None

    @property
    def is_operand(self) -> bool:
        """Whether it is an operand; no event can have the names of the operators."""
        return self.words[0] not in (AND, OR)


class ConditionReport(NamedTuple):
    """One condition; that of ``stop on`` belongs to an instance, whose name is ``instance``."""

    stanza: str
    instance: str
    nodes: Tuple[NodeReport, ...]

    @property
    def met(self) -> bool:
        """Whether the whole is true: then it fires, so this is seen only while the daemon is at work on it."""
        return self.nodes[-1].met


def report(core: Core, job: JobClass) -> List[ConditionReport]:
    """The class's ``start on``, then ``stop on`` of each instance; without instances that of the definition, unmet."""
    found: List[ConditionReport] = []
    definition = job.definition
    if definition.start_on is not None:
        found.append(ConditionReport(START_ON, "", tuple(_nodes(core, definition.start_on, job.start_on, {}))))
    for instance in job.ordered_instances():
        if instance.definition.stop_on is not None:
            nodes = _nodes(core, instance.definition.stop_on, instance.stop_on, instance.env)
            found.append(ConditionReport(STOP_ON, instance.name, tuple(nodes)))
    if not job.instances and definition.stop_on is not None:
        found.append(ConditionReport(STOP_ON, "", tuple(_nodes(core, definition.stop_on, None, {}))))
    return found


def _nodes(core: Core, condition: Condition, state: Optional[ConditionState], environment: Mapping[str, str]) -> Iterator[NodeReport]:
    held = state.held if state is not None else None
    operand = 0
    values: List[bool] = []
    for node in postfix(condition):
        if isinstance(node, Match):
            number = held[operand] if held else 0
            operand += 1
            values.append(bool(number))
            yield NodeReport((node.event, *node.args), bool(number), core.queue.events[number].env if number else (),
                             core.history.last(node, environment))
        else:
            right, left = values.pop(), values.pop()
            values.append(left and right if node == "and" else left or right)
            yield NodeReport((AND if node == "and" else OR,), values[-1])

"""Conditions as Operator arrays (D204): postfix order, each leaf with the event that it holds.

An event is written as its place in the text's list of events. Up to Upstart 1.8 a condition was text, as
it stands in the job file (D224); it says nothing of held events.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..engine.conditions import ConditionState, postfix
from ..parser import ParseError, parse_job
from ..parser.conditions import DEEPEST
from ..parser.definition import And, Condition, Match, Or
from .reading import Record, Unreadable, array, flag, natural, strings, text

_MATCH, _AND, _OR = "EVENT_MATCH", "EVENT_AND", "EVENT_OR"


class Seen(NamedTuple):
    """A condition that was read, and for each leaf the number of the event that it holds, 0 for none."""

    condition: Condition
    held: Tuple[int, ...]

    def of(self, state: Optional[ConditionState]) -> None:
        """Give what was seen to the state of the same condition."""
        if state is not None and any(self.held):
            state.held = list(self.held)


def encode(condition: Condition, state: Optional[ConditionState], places: Mapping[int, int]) -> List[Dict[str, Any]]:
    """The Operator array; ``places`` leads from the number of an event to its place."""
    held = state.held if state is not None else None
    out: List[Dict[str, Any]] = []
    values: List[bool] = []
    leaf = 0
    for node in postfix(condition):
        if isinstance(node, Match):
            number = held[leaf] if held else 0
            leaf += 1
            entry: Dict[str, Any] = {"type": _MATCH, "value": int(bool(number)), "name": node.event}
            if node.args:
                entry["env"] = list(node.args)
            if number:
                entry["event"] = places[number]
            values.append(bool(number))
        else:
            right, left = values.pop(), values.pop()
            values.append(left and right if node == "and" else left or right)
            entry = {"type": _AND if node == "and" else _OR, "value": int(values[-1])}
        out.append(entry)
    return out


def seen(number_at: Callable[[int], int]) -> "Callable[[Any], Optional[Seen]]":
    """The kind of an Operator array, or of a condition's text; an empty one is no condition.

    ``number_at`` leads from the place of an event to its number, 0 if there is none.
    """

    def kind(value: Any) -> Optional[Seen]:
        if type(value) is str:
            return _from_text(text(value))
        stack: List[Tuple[Condition, int]] = []
        held: List[int] = []
        for node in array(value):
            fields = Record(node)
            what = fields.get("type", text)
            if what == _MATCH:
                stack.append((Match(fields.get("name", text), fields.get("env", strings, ())), 0))
                held.append(number_at(fields.get("event", natural, -1)) if fields.get("value", flag) else 0)
                continue
            if what not in (_AND, _OR) or len(stack) < 2:
                raise Unreadable("not a condition")
            right, left = stack.pop(), stack.pop()
            depth = max(left[1], right[1]) + 1
            if depth > DEEPEST:
                raise Unreadable("nested too deeply")
            stack.append(((And if what == _AND else Or)(left[0], right[0]), depth))
        if len(stack) > 1:
            raise Unreadable("not a condition")
        return Seen(stack[0][0], tuple(held)) if stack else None

    return kind


def _from_text(stanza: str) -> Optional[Seen]:
    if not stanza:
        return None
    try:
        condition = parse_job(("start on " + stanza).encode("utf-8", "surrogateescape")).start_on
    except ParseError as error:
        raise Unreadable(f"not a condition: {error}") from None
    return Seen(condition, ()) if condition is not None else None

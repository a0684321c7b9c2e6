"""``start on`` and ``stop on``: which events have been seen, and whether the condition holds (E94-E104).

A condition is kept as a postfix tuple of its leaves and operators, shared by everybody who uses the
definition. What changes is one list: for each leaf, the number of the event that made it true, or 0.
Operators need no memory, their values follow from the leaves. While nothing has matched there is
no list at all; most conditions of most hosts are in that state most of the time.

A leaf that is true holds its event: the event cannot finish (E94, E102). The functions here only say
which events became held or free; counting is the caller's.
"""
from __future__ import annotations

from functools import lru_cache
from typing import List, Mapping, NamedTuple, Optional, Tuple, Union

from ..parser.definition import And, Condition, Match, Or
from .events import Event
from .expansion import ExpansionError, expand
from .globs import glob_match, is_literal

_AND, _OR = "and", "or"
Postfix = Tuple[Union[Match, str], ...]


class Argument(NamedTuple):
    """One argument of a leaf: compared by position if ``key`` is None (E96)."""

    key: Optional[str]
    negated: bool
    value: str


def postfix(condition: Condition) -> Postfix:
    """The condition with operands before operators (without recursion: files may nest at will)."""
    out: List[Union[Match, str]] = []
    stack: List[Union[Condition, str]] = [condition]
    while stack:
        node = stack.pop()
        if isinstance(node, (And, Or)):
            stack.append(_AND if isinstance(node, And) else _OR)
            stack.append(node.right)
            stack.append(node.left)
        else:
            out.append(node)
    return tuple(out)


@lru_cache(maxsize=8192)
def split_argument(text: str) -> Argument:
    """KEY!=VALUE, KEY=VALUE or VALUE: the first ``!=`` anywhere, else the first ``=`` (P106)."""
    key, separator, value = text.partition("!=")
    if separator:
        return Argument(key, True, value)
    key, separator, value = text.partition("=")
    if separator:
        return Argument(key, False, value)
    return Argument(None, False, text)


def first_literal(leaf: Match) -> Optional[str]:
    """The value that an event's first variable must have for the leaf to match, if that is fixed."""
    if not leaf.args:
        return None
    argument = split_argument(leaf.args[0])
    if argument.key is None and "$" not in argument.value and is_literal(argument.value):
        return argument.value
    return None


def matches(leaf: Match, event: Event, environment: Mapping[str, str]) -> bool:
    """Whether the event makes the leaf true; values are expanded with ``environment`` (E96, E97)."""
    if leaf.event != event.name:
        return False
    for position, text in enumerate(leaf.args):
        key, negated, pattern = split_argument(text)
        if key is None:
            if position >= len(event.env):
                return False
            value: Optional[str] = event.env[position].partition("=")[2]
        else:
            value = event.value(key)
            if value is None:
                return False
        try:
            pattern = expand(pattern, environment)
        except ExpansionError:
            return False
        found = pattern == value if is_literal(pattern) else glob_match(pattern, value or "")
        if found == negated:
            return False
    return True


class ConditionState:
    """What one owner of a condition (a class, or an instance's own copy) has seen of it."""

    __slots__ = ("held", "nodes")

    def __init__(self, nodes: Postfix) -> None:
        self.nodes = nodes
        self.held: Optional[List[int]] = None

    def offer(self, event: Event, environment: Mapping[str, str]) -> int:
        """Show an event to every leaf that is still false; returns how many it made true (E95)."""
        taken = 0
        leaf = 0
        held = self.held
        for node in self.nodes:
            if isinstance(node, Match):
                if node.event == event.name and not (held and held[leaf]) and matches(node, event, environment):
                    if held is None:
                        held = self.held = [0] * sum(isinstance(each, Match) for each in self.nodes)
                    held[leaf] = event.number
                    taken += 1
                leaf += 1
        return taken

    def true_events(self) -> Optional[List[int]]:
        """The events of the true part, left to right, or None while the condition is false (E100)."""
        if self.held is None:
            return None
        stack: List[Optional[List[int]]] = []
        leaf = 0
        for node in self.nodes:
            if isinstance(node, Match):
                stack.append([self.held[leaf]] if self.held[leaf] else None)
                leaf += 1
                continue
            right, left = stack.pop(), stack.pop()
            if node == _AND:
                stack.append(left + right if left is not None and right is not None else None)
            else:
                stack.append((left or []) + (right or []) if left is not None or right is not None else None)
        return stack[0]

    def held_events(self) -> List[int]:
        """Every event that a leaf holds, once a leaf."""
        return [number for number in self.held if number] if self.held else []

    def reset(self) -> List[int]:
        """Make every leaf false; returns the events that were held (E101)."""
        freed = self.held_events()
        self.held = None
        return freed

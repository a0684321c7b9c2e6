"""fnmatch(3) with flags 0, as event matching uses it (E97, P107).

Python's fnmatch differs (no backslash quoting, no ``[^``), and its regular expressions can take
exponential time on hostile patterns; this goes back to the last ``*`` only, which is enough.
A pattern is compiled once into a tuple of steps and kept.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Callable, FrozenSet, List, Optional, Tuple, Union

#: One step: a literal character, ANY (``?``), STAR (``*``) or a set of a bracket expression.
_Set = Tuple[bool, FrozenSet[str], Tuple[Tuple[str, str], ...], Tuple[str, ...]]
_Step = Union[str, int, _Set]
_ANY, _STAR = 0, 1

_CLASSES: "dict[str, Callable[[str], bool]]" = {
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "digit": lambda c: c.isascii() and c.isdigit(),
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "upper": lambda c: c.isascii() and c.isupper(),
    "lower": lambda c: c.isascii() and c.islower(),
    "space": lambda c: c in " \t\n\v\f\r",
    "blank": lambda c: c in " \t",
    "punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "print": lambda c: " " <= c <= "~",
    "graph": lambda c: "!" <= c <= "~",
    "cntrl": lambda c: c < " " or c == "\x7f",
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}

_SPECIAL = frozenset("*?[\\")


def is_literal(pattern: str) -> bool:
    """Whether the pattern can match nothing but itself."""
    return _SPECIAL.isdisjoint(pattern)


def glob_match(pattern: str, text: str) -> bool:
    """Whether ``text`` as a whole matches ``pattern``."""
    steps = _compile(pattern)
    if steps is None:
        return False
    step = char = 0
    star, resume = -1, 0
    while char < len(text):
        if step < len(steps):
            wanted = steps[step]
            if wanted == _STAR:
                star, resume = step, char
                step += 1
                continue
            if _fits(wanted, text[char]):
                step += 1
                char += 1
                continue
        if star < 0:
            return False
        resume += 1
        step, char = star + 1, resume
    while step < len(steps) and steps[step] == _STAR:
        step += 1
    return step == len(steps)


def _fits(wanted: _Step, char: str) -> bool:
    if isinstance(wanted, str):
        return wanted == char
    if isinstance(wanted, int):
        return True
    negated, members, ranges, classes = wanted
    found = (char in members or any(low <= char <= high for low, high in ranges)
             or any(_CLASSES[name](char) for name in classes))
    return found != negated


@lru_cache(maxsize=4096)
def _compile(pattern: str) -> Optional[Tuple[_Step, ...]]:
    """The steps of a pattern; None for one that matches nothing (it ends in a lone backslash)."""
    steps: List[_Step] = []
    position, size = 0, len(pattern)
    while position < size:
        char = pattern[position]
        position += 1
        if char == "*":
            if not steps or steps[-1] != _STAR:
                steps.append(_STAR)
        elif char == "?":
            steps.append(_ANY)
        elif char == "\\":
            if position == size:
                return None
            steps.append(pattern[position])
            position += 1
        elif char == "[":
            bracket = _bracket(pattern, position)
            if bracket is None:
                steps.append("[")
            else:
                steps.append(bracket[0])
                position = bracket[1]
        else:
            steps.append(char)
    return tuple(steps)


def _bracket(pattern: str, position: int) -> Optional[Tuple[_Set, int]]:
    """A bracket expression from after its ``[``; None if it is never closed (then ``[`` is literal)."""
    size = len(pattern)
    negated = pattern[position:position + 1] in ("!", "^") and position < size
    if negated:
        position += 1
    members: List[str] = []
    ranges: List[Tuple[str, str]] = []
    classes: List[str] = []
    first = True
    while position < size:
        char = pattern[position]
        if char == "]" and not first:
            return (negated, frozenset(members), tuple(ranges), tuple(classes)), position + 1
        first = False
        if char == "[" and pattern[position + 1:position + 2] == ":":
            end = pattern.find(":]", position + 2)
            if end > 0 and pattern[position + 2:end] in _CLASSES:
                classes.append(pattern[position + 2:end])
                position = end + 2
                continue
        if char == "\\":
            position += 1
            if position == size:
                return None
            char = pattern[position]
        position += 1
        if pattern[position:position + 1] == "-" and position + 1 < size and pattern[position + 1] != "]":
            high = pattern[position + 1]
            position += 2
            if high == "\\":
                if position == size:
                    return None
                high = pattern[position]
                position += 1
            ranges.append((char, high))
        else:
            members.append(char)
    return None

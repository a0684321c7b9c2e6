"""The grammar of ``start on`` and ``stop on`` (P93-P102).

::

    EXPR    := OPERAND { ("and" | "or") OPERAND }        left to right, neither binds tighter (P95)
    OPERAND := EVENT { ARG } | "(" EXPR ")"

``_Builder`` is told token after token and keeps an explicit stack of open groups, so a file cannot exhaust Python's.
Most conditions are one line of bare words; those are cut up at once, and equal lines of different jobs share one tree.
"""
from __future__ import annotations

import re
from functools import lru_cache
from typing import Dict, List, Optional, Tuple, Type, Union

from .definition import And, Condition, Match, Or
from .errors import (
    EXPECTED_EVENT,
    EXPECTED_OPERATOR,
    EXPECTED_TOKEN,
    EXPECTED_VARIABLE,
    MISMATCHED_PARENTHESES,
    NESTED_TOO_DEEPLY,
)
from .tokens import BLANKS, Tokens

#: How many operators may stand above one another. Real files have ten; pickling a tree fails from some 400 on.
DEEPEST = 250
#: Longer lines than this are not worth remembering.
_LONGEST_SHARED = 500

_SIMPLE_LINE = re.compile(r"""([^\n#'"\\\0]+)(?:#[^\n]*)?(?:\n|\Z)""")
_SIMPLE_TOKEN = re.compile(r"[()]|[^ \t\r()]+")
_BLANK = re.compile(r"[ \t\r\0]*(?:\\\n[ \t\r\0]*)*")

_Operator = Union[Type[And], Type[Or]]
_Side = Tuple[Condition, int]
_OPERATORS: Dict[str, _Operator] = {"and": And, "or": Or}

_leaf = lru_cache(maxsize=4096)(Match)


class _Builder:
    """A condition read so far. Each method returns None, or the message of the error that the token is."""

    __slots__ = ("args", "event", "group", "groups", "keyed", "left", "operator")

    def __init__(self) -> None:
        self.groups: List[Tuple[Optional[_Side], Optional[_Operator]]] = []
        self.left: Optional[_Side] = None
        self.operator: Optional[_Operator] = None
        self.event: Optional[str] = None
        self.args: List[str] = []
        self.keyed = False
        self.group: Optional[_Side] = None

    def _join(self) -> Optional[str]:
        """Give the operand that is complete now to the operator before it."""
        if self.event is not None:
            operand: _Side = (_leaf(self.event, tuple(self.args)), 0)
        else:
            assert self.group is not None
            operand = self.group
        if self.operator is not None:
            assert self.left is not None
            depth = max(self.left[1], operand[1]) + 1
            if depth > DEEPEST:
                return NESTED_TOO_DEEPLY
            operand = (self.operator(self.left[0], operand[0]), depth)
        self.left = operand
        self.operator = self.event = self.group = None
        self.args = []
        self.keyed = False
        return None

    def word(self, text: str) -> Optional[str]:
        if self.event is not None:
            if "=" in text:
                self.keyed = True
            elif self.keyed:
                return EXPECTED_VARIABLE
            self.args.append(text)
        elif self.group is not None:
            return EXPECTED_OPERATOR
        else:
            self.event = text
        return None

    def combine(self, operator: _Operator) -> Optional[str]:
        if self.event is None and self.group is None:
            return EXPECTED_EVENT
        problem = self._join()
        self.operator = operator
        return problem

    def open(self) -> Optional[str]:
        if self.event is not None or self.group is not None:
            return EXPECTED_OPERATOR
        self.groups.append((self.left, self.operator))
        self.left = self.operator = None
        return None

    def close(self) -> Optional[str]:
        if self.event is None and self.group is None:
            return EXPECTED_EVENT
        if not self.groups:
            return MISMATCHED_PARENTHESES
        problem = self._join()
        self.group = self.left
        self.left, self.operator = self.groups.pop()
        return problem

    def end(self) -> Optional[str]:
        if self.event is None and self.group is None:
            return EXPECTED_EVENT
        if self.groups:
            return MISMATCHED_PARENTHESES
        return self._join()

    def condition(self) -> Condition:
        assert self.left is not None
        return self.left[0]


@lru_cache(maxsize=4096)
def _simple(line: str) -> Optional[Condition]:
    """The condition of one line without quotes, escapes and comments, or None if it is wrong or goes on."""
    builder = _Builder()
    for token in _SIMPLE_TOKEN.findall(line):
        if token == "(":
            problem = builder.open()
        elif token == ")":
            problem = builder.close()
        elif token in _OPERATORS:
            problem = builder.combine(_OPERATORS[token])
        else:
            problem = builder.word(token)
        if problem is not None:
            return None
    return None if builder.end() is not None else builder.condition()


def read_condition(tokens: Tokens) -> Condition:
    """The condition at ``tokens``, with the end of its last line; raises ParseError (P97, P98, P100)."""
    line = _SIMPLE_LINE.match(tokens.text, tokens.pos)
    if line is not None and line.end() - line.start() <= _LONGEST_SHARED:
        condition = _simple(line[1].rstrip(BLANKS))
        if condition is not None:
            tokens.pos = line.end()
            return condition
    if tokens.at_end_of_line():
        tokens.fail(EXPECTED_TOKEN, tokens.pos)
    builder = _Builder()
    text = tokens.text
    while True:
        char = text[tokens.pos:tokens.pos + 1]
        if not char:
            break
        if char in "\n#":
            if not builder.groups:
                break
            _next_line(tokens)
            continue
        if char in "()":
            tokens.start = tokens.pos
            blanks = _BLANK.match(text, tokens.pos + 1)
            assert blanks is not None
            tokens.pos = blanks.end()
            problem = builder.open() if char == "(" else builder.close()
        else:
            word, is_operator = tokens.operand()
            problem = builder.combine(_OPERATORS[word]) if is_operator else builder.word(word)
        if problem is not None:
            tokens.fail(problem, tokens.start)
    problem = builder.end()
    if problem == MISMATCHED_PARENTHESES:
        tokens.fail_at_end(problem)
    elif problem is not None:
        tokens.fail(problem, tokens.start)
    tokens.finish_stanza()
    return builder.condition()


def _next_line(tokens: Tokens) -> None:
    """Go to the first token of the next line inside parentheses; a line without any is an error (P98)."""
    line_break = tokens.text.find("\n", tokens.pos)
    if line_break < 0 or line_break + 1 == len(tokens.text):
        tokens.pos = len(tokens.text)
        return
    blanks = _BLANK.match(tokens.text, line_break + 1)
    assert blanks is not None
    tokens.pos = blanks.end()
    if tokens.at_end_of_line():
        tokens.fail(EXPECTED_TOKEN, tokens.pos)


def parse_condition(text: str) -> Condition:
    """A condition that stands by itself, as in the infix strings of old state files (P114); raises ParseError."""
    tokens = Tokens(text)
    blanks = _BLANK.match(text)
    assert blanks is not None
    tokens.pos = blanks.end()
    condition = read_condition(tokens)
    if tokens.pos < len(text):
        tokens.fail(EXPECTED_OPERATOR, tokens.pos)
    return condition

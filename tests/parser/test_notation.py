"""Reverse Polish and infix forms of conditions (P112, P113)."""
from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.parser.conditions import parse_condition
from compat.parser.definition import And, Condition, Match, Or
from compat.parser.notation import from_postfix, to_infix, to_postfix
from tests.parser.reading import start_on


@pytest.mark.parametrize("text, postfix", [
    ("a X=1", [["a", "X=1"]]),
    ("a and (b or c)", [["a"], ["b"], ["c"], ["/OR"], ["/AND"]]),
    ("a or b and c", [["a"], ["b"], ["/OR"], ["c"], ["/AND"]]),
    ('a "b c" D="$E f"', [["a", "b c", "D=$E f"]]),
])
def test_p112_postfix(text: str, postfix: List[List[str]]) -> None:
    assert start_on(text) == postfix


@pytest.mark.parametrize("text, infix", [
    ("a", "a"), ("((a))", "a"), ("a or b", "(a or b)"), ("(a or b) and c X=1", "((a or b) and c X=1)"), ('a "b c"', "a b c"),
    ("(one A=1 or two) and three X!=2", "((one A=1 or two) and three X!=2)"),
])
def test_p113_infix(text: str, infix: str) -> None:
    assert to_infix(start_on(text)) == infix


def test_p112_no_condition() -> None:
    assert to_postfix(None) == []
    assert from_postfix([]) is None
    assert to_infix([]) == ""


@pytest.mark.parametrize("nodes", [[["a"], ["b"]], [["/AND"]], [["a"], ["/OR"]], [[]], [["a"], ["b"], ["/AND", "x"]]])
def test_p112_what_is_no_condition(nodes: List[List[str]]) -> None:
    with pytest.raises(ValueError):
        from_postfix(nodes)


NAMES = st.text("abcxyz-/[]*!$", min_size=1, max_size=5)
LEAVES = st.builds(
    lambda event, positional, keyed: Match(event, (*positional, *keyed)),
    NAMES.map(lambda name: "e" + name), st.lists(NAMES.map(lambda name: "v" + name), max_size=2),
    st.lists(st.builds("{}={}".format, NAMES, NAMES), max_size=2))
CONDITIONS = st.recursive(LEAVES, lambda inner: st.one_of(st.builds(And, inner, inner), st.builds(Or, inner, inner)), max_leaves=12)


@given(CONDITIONS)
def test_p112_p113_written_conditions_read_the_same(condition: Condition) -> None:
    assert from_postfix(to_postfix(condition)) == condition
    assert parse_condition(to_infix(to_postfix(condition))) == condition

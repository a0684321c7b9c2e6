"""``start on`` and ``stop on`` (P93-P102; checklist 84-96)."""
from __future__ import annotations

import pickle

import pytest

from compat.parser import ParseError
from compat.parser.conditions import DEEPEST, parse_condition
from compat.parser.definition import And, Match, Or
from compat.parser.notation import to_infix
from tests.parser.reading import job, refused, start_on

AND, OR = ["/AND"], ["/OR"]


def test_p95_left_to_right() -> None:
    assert start_on("a or b and c") == [["a"], ["b"], OR, ["c"], AND]
    assert start_on("a and b or c") == [["a"], ["b"], AND, ["c"], OR]


def test_p96_parentheses() -> None:
    assert to_infix(start_on("a and(b or c)or d")) == "((a and (b or c)) or d)"
    assert start_on("((a))") == [["a"]]
    assert start_on('a K="x(y)"') == [["a", "K=x(y)"]]
    assert start_on("a K=x\\(y\\)") == [["a", "K=x\\(y\\)"]]


def test_p97_newlines_inside_parentheses() -> None:
    definition = job("start on (a\n and b # c\n or d\n)\nrespawn")
    assert definition.start_on == Or(And(Match("a"), Match("b")), Match("d"))
    assert definition.respawn
    assert start_on("(a\nb)") == [["a", "b"]]
    assert start_on("(\na\n)") == [["a"]]
    assert start_on("( # c\na # d\n)# e") == [["a"]]


def test_p97_the_condition_ends_with_its_line() -> None:
    assert refused("start on a\n and b") == "2: Unknown stanza"
    assert start_on("a \\\n and b") == [["a"], ["b"], AND]
    assert start_on("(a) # c") == [["a"]]
    assert job("start on x or \\\n   y\ntask").task


@pytest.mark.parametrize("blank", ["", " \t", "# c", "  # c"])
def test_p98_blank_lines_inside_parentheses(blank: str) -> None:
    assert refused(f"start on (a\n{blank}\n and b)") == "2: Expected token"


def test_p94_only_bare_words_are_operators() -> None:
    assert start_on('a "and" b') == [["a", "and", "b"]]
    assert start_on("a AND b") == [["a", "AND", "b"]]
    assert start_on("a \\or b") == [["a", "\\or", "b"]]
    assert start_on("a not b") == [["a", "not", "b"]]
    assert start_on('a an""d b') == [["a", "and", "b"]]
    assert start_on("a and\\\n b") == [["a"], ["b"], AND]
    assert start_on("a and\\\nb") == [["a", "and b"]]


@pytest.mark.parametrize("text", [
    "and a", "or", "a or", "a and", "()", "a and ()", ")", "(", "a or and b", "a and )", "(a) and", "(and",
])
def test_p100_expected_event(text: str) -> None:
    assert refused("start on " + text) == "1: Expected event"


@pytest.mark.parametrize("text", ["(a) b", "a (b)", "a(b)", "a K=x(y)", "(a) (b)", "(a) K=1", "(a)b"])
def test_p100_expected_operator(text: str) -> None:
    assert refused("start on " + text) == "1: Expected operator"


def test_p29_p100_lines_of_condition_errors() -> None:
    assert refused("start on (a\n(b))") == "2: Expected operator"
    assert refused("start on (a and\n)") == "2: Expected event"
    assert refused("start on a and\nexec x") == "1: Expected event"
    assert refused("start on (\n") == "1: Expected event"
    assert refused("start on a \\\n and \\\n\n") == "2: Expected event"
    assert refused("start on (a\n K=1\n b)") == "3: Expected variable name before value"


def test_p100_mismatched_parentheses() -> None:
    assert refused("start on a)") == "1: Mismatched parentheses"
    assert refused("start on (a))") == "1: Mismatched parentheses"
    assert refused("start on (a\nrespawn\n") == "3: Mismatched parentheses"
    assert refused("start on (a and b\nexec sleep 1000\n") == "3: Mismatched parentheses"
    assert refused("start on (a") == "1: Mismatched parentheses"
    assert refused("start on (a\nrespawn\n\nexec x\n") == "3: Expected token"


def test_p99_arguments() -> None:
    assert refused("start on a K=1 b") == refused("start on a K!=1 b") == "1: Expected variable name before value"
    assert start_on("a b K=1 =V L!=2 M=") == [["a", "b", "K=1", "=V", "L!=2", "M="]]
    assert start_on('a "x y"="z w"') == [["a", "x y=z w"]]
    assert start_on("a K=1 or b c") == [["a", "K=1"], ["b", "c"], OR]


def test_p101_the_later_condition_replaces() -> None:
    assert job("start on a\nstart on b").start_on == Match("b")
    assert job("stop on a\nstart on b").stop_on == Match("a")


def test_p91_manual() -> None:
    assert job("start on a\nstop on b\nmanual").start_on is None
    assert job("start on a\nstop on b\nmanual").stop_on == Match("b")
    assert job("manual\nstart on a").start_on == Match("a")


def test_p93_form() -> None:
    assert refused("start on") == refused("start") == refused("stop on # c") == "1: Expected token"
    assert refused("start foo") == refused("stop foo") == "1: Unknown stanza"


def test_p102_event_names_are_not_checked() -> None:
    assert start_on('"two words" [!2]* e*') == [["two words", "[!2]*", "e*"]]


def test_equal_leaves_are_shared() -> None:
    first, second = job("start on runlevel [2345]\n").start_on, job("start on (runlevel [2345]\n or x)\n").start_on
    assert isinstance(second, Or) and second.left is first


def test_depth_has_an_end() -> None:
    """What is accepted can be pickled and compared; one operator more is refused with the others' form of message."""
    deepest = " or ".join(["a"] * (DEEPEST + 1))
    definition = job(f"start on {deepest}")
    assert pickle.loads(pickle.dumps(definition)) == definition
    nested = "a and (" * DEEPEST + "b" + ")" * DEEPEST
    definition = job(f"start on {nested}")
    assert pickle.loads(pickle.dumps(definition)) == definition
    assert refused(f"\nstart on {deepest} or b") == "2: Condition nested too deeply"
    assert refused(f"start on a and ({nested})") == "1: Condition nested too deeply"
    assert start_on("(" * 100000 + "a" + ")" * 100000) == [["a"]]


def test_p114_condition_by_itself() -> None:
    assert parse_condition('((a or b K="x\ty") and c)') == And(Or(Match("a"), Match("b", ("K=x\ty",))), Match("c"))
    assert parse_condition(" a ") == Match("a")
    wrong = {"": "Expected token", "a and": "Expected event", "(a": "Mismatched parentheses", "a\nb": "Expected operator"}
    for text, message in wrong.items():
        with pytest.raises(ParseError) as caught:
            parse_condition(text)
        assert caught.value.message == message

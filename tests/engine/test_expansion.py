"""Variable expansion, row by row (E77-E81)."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.engine.expansion import ExpansionError, expand
from compat.testing import SimulatedMachine

TABLE = {"A": "aa", "E": "", "N": "A", "D": "$A", "A?x": "odd", "aa": "deep"}


@pytest.mark.parametrize(("text", "expected"), [
    ("x$A", "xaa"), ("${A}_b", "aa_b"), ("${E-d}", ""), ("${E:-d}", "d"), ("${U+d}", ""), ("${E+d}", "d"), ("${$N}", "aa"),
    ("${U:-$A-$N}", "aa-A"), ("${U-a}b}", "ab}"), ("${U:-a:b+c-d}", "a:b+c-d"), ("${}A", "$A"),
])
def test_e81_examples(text: str, expected: str) -> None:
    assert expand(text, TABLE) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("", ""), ("plain", "plain"), ("$A", "aa"), ("$A-$A", "aa-aa"), ("${A}", "aa"), ("$E", ""), ("${A:-d}", "aa"), ("${A-d}", "aa"),
    ("${U:-d}", "d"), ("${U-d}", "d"), ("${E-d}", ""), ("${A:+d}", "d"), ("${A+d}", "d"), ("${U:+d}", ""), ("${E:+d}", ""),
    ("${}", "$"), ("$$A", "$aa"), ("$1x", "$1x"), ("a$", "a$"), ("$ A", "$ A"), ("${U-}", ""), ("${U:-}", ""),
])
def test_e77_forms(text: str, expected: str) -> None:
    assert expand(text, TABLE) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("$D", "$A"), ("${D}", "$A"), ("${U-$D}", "$A"), ("${${N}}", "aa"), ("${$A}", "deep"), ("${A?x}", "odd"), ("${U-${V-${W-x}}}", "x"),
    ("${U-\\}", "\\"),
])
def test_e77_e78_values_are_not_scanned_again_and_names_are_expanded(text: str, expected: str) -> None:
    assert expand(text, TABLE) == expected


@pytest.mark.parametrize(("text", "message"), [
    ("$A_b", "Unknown parameter: A_b"), ("$U", "Unknown parameter: U"), ("${U}", "Unknown parameter: U"),
    ("${A:x}", "Expected operator"), ("${A", "Mismatched braces"), ("${A:-x", "Mismatched braces"), ("${U-${A}", "Mismatched braces"),
    ("${A:", "Mismatched braces"), ("${", "Mismatched braces"), ("${$U}", "Unknown parameter: U"), ("${$N-$U}", "Unknown parameter: U"),
    ("${A?y}", "Unknown parameter: A?y"),
])
def test_e80_errors(text: str, message: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        expand(text, TABLE)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["${A:-$U}", "${A-$U}", "${U+$U}", "${U:+$U}"])
def test_e79_the_argument_is_expanded_even_if_it_is_not_needed(text: str) -> None:
    with pytest.raises(ExpansionError, match="Unknown parameter: U"):
        expand(text, TABLE)


@given(st.text("${}:-+?AEU_ x1", max_size=40))
def test_e80_any_text_expands_or_gives_one_of_the_three_errors(text: str) -> None:
    try:
        expand(text, TABLE)
    except ExpansionError as error:
        message = str(error)
        assert message in ("Expected operator", "Mismatched braces") or message.startswith("Unknown parameter: ")


def test_e80_deep_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(ExpansionError):
        expand("${" * 100000, {})


@given(st.text("abc$_", max_size=8))
def test_e77_a_text_without_a_dollar_sign_is_itself(text: str) -> None:
    plain = text.replace("$", "")
    assert expand(plain, {}) == plain


def test_e75_an_instance_name_that_does_not_expand_on_an_event(machine: SimulatedMachine) -> None:
    machine.define("s", "start on ev\ninstance $X\nexec sleep 100")
    assert machine.emit("ev").ok
    assert machine.lines("W") == ["Failed to obtain s instance: Unknown parameter: X"]
    assert machine.engine.job("s").instance_names() == []
    machine.emit("ev", "X=1")
    assert machine.engine.job("s").instance_names() == ["1"]

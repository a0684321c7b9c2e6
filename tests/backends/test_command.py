"""From text to argv: X1-X9, checklist 1-9 and 12 of 3.19 as far as no process is needed."""
from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.backends.command import Command, command_of
from compat.parser.definition import ProcessDefinition

SHELL = b"/bin/sh"


def exec_line(text: str) -> Command:
    return command_of(ProcessDefinition(False, text))


def script(text: str) -> Command:
    return command_of(ProcessDefinition(True, text))


@pytest.mark.parametrize("text, words", [
    ("/bin/echo  a   b", (b"/bin/echo", b"a", b"b")),
    ("/bin/echo a#b %c @d", (b"/bin/echo", b"a#b", b"%c", b"@d")),
    ("echo # % @ + - , . / : _", (b"echo", b"#", b"%", b"@", b"+", b"-", b",", b".", b"/", b":", b"_")),
    ("\t/bin/echo\ta\r\nb ", (b"/bin/echo", b"a", b"b")),
    ("echo a\x0bb c\xa0d", (b"echo", b"a\x0bb", b"c\xc2\xa0d")),
    ("echo \udcff", (b"echo", b"\xff")),
    (" ", (b"",)),
])
def test_x1_direct_commands_are_split_at_blanks_only(text: str, words: tuple) -> None:  # type: ignore[type-arg]
    assert exec_line(text) == Command(words)


@pytest.mark.parametrize("character", "~`!$^&*()=|\\{}[];\"'<>?")
def test_x2_each_of_22_characters_needs_a_shell(character: str) -> None:
    assert exec_line(f"foo {character}") == Command((SHELL, b"-e", b"-c", b"exec foo " + character.encode(), SHELL))


@given(st.binary())
def test_x2_no_other_character_does(data: bytes) -> None:
    plain = data.translate(None, b"~`!$^&*()=|\\{}[];\"'<>?")
    command = exec_line(plain.decode("utf-8", "surrogateescape"))
    assert command == Command(tuple(word for word in re.split(rb"[ \t\r\n]", plain) if word) or (b"",))


def test_x3_script_text_is_unchanged_and_exec_gets_its_word() -> None:
    assert script("echo $0 $@ > F") == Command((SHELL, b"-e", b"-c", b"echo $0 $@ > F", SHELL))
    assert exec_line("a; b").argv == (SHELL, b"-e", b"-c", b"exec a; b", SHELL)


def test_x3_trailing_newlines_are_cut() -> None:
    assert script("echo\n\n\n") == Command((SHELL, b"-e", b"-c", b"echo", SHELL))
    assert exec_line("echo $A\n\n").argv[3] == b"exec echo $A"


def test_x3_a_line_of_blanks_counts_as_content() -> None:
    command = script("echo\n \n")
    assert command.argv == (SHELL, b"-e", b"/proc/self/fd/9")
    assert command.script == b"exec 9<&-\necho\n \n"


def test_x6_scripts_of_several_lines_come_through_descriptor_9() -> None:
    command = script("a\n\xe9\n\n")
    assert command.argv == (SHELL, b"-e", b"/proc/self/fd/9")
    assert command.script == b"exec 9<&-\na\n\xc3\xa9\n\n"
    assert exec_line("a;\nb").script == b"exec 9<&-\nexec a;\nb"


def test_x8_an_empty_script() -> None:
    assert script("").argv == (SHELL, b"-e", b"-c", b"", SHELL)
    assert script("\n\n").argv == (SHELL, b"-e", b"-c", b"", SHELL)


def test_x8_the_length_plays_no_part() -> None:
    assert script("x" * 500_000).script is None
    assert script("a\n" + "x" * 500_000).script is not None


def test_x13_what_fits_one_argument_has_a_way_without_descriptor_9() -> None:
    assert script("a\nb\n").fallback == (SHELL, b"-e", b"-c", b"\na\nb\n", b"/proc/self/fd/9")
    limit = 128 * 1024
    # The first newline and the NUL count.
    assert script("a\n" + "x" * (limit - 4)).fallback is not None
    assert script("a\n" + "x" * (limit - 3)).fallback is None

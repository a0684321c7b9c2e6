"""Script blocks (P47-P51; checklist 48-56)."""
from __future__ import annotations

import pytest

from compat.parser.definition import MAIN, POST_STOP, ProcessDefinition
from tests.parser.reading import job, refused, script


@pytest.mark.parametrize("body, stored", [
    ("  foo\n    bar\n", "foo\n  bar\n"),
    ("    foo\n  bar\n", "  foo\nbar\n"),
    ("  foo\n\n  bar\n", "  foo\n\n  bar\n"),
    ("\n  bar\n", "\n  bar\n"),
    ("  foo\n  \n  bar\n", "foo\n\nbar\n"),
    ("\tfoo\n        bar\n", "\tfoo\n        bar\n"),
    ("\t foo\n\t\tbar\n", " foo\n\tbar\n"),
    ("   \n  a\n", " \na\n"),
    ("", ""),
    ("  foo\n", "foo\n"),
    ("foo\n", "foo\n"),
])
def test_p50_shared_indentation(body: str, stored: str) -> None:
    assert script(body) == stored


@pytest.mark.parametrize("terminator", [
    "end script", "  end   script # x", "end script#x", "end\tscript", "end script\r", "\tend script  ", "end script # it's",
])
def test_p48_terminators(terminator: str) -> None:
    expected = ProcessDefinition(True, "a\n")
    assert job(f"script\n a\n{terminator}").processes[MAIN] == expected
    following = job(f"script\n a\n{terminator}\nrespawn\n")
    assert following.processes[MAIN] == expected and following.respawn


@pytest.mark.parametrize("line", [
    "end scriptfoo", "end script;", "end script foo", "endscript", "END SCRIPT", "end\\", "'end script'", "end \"script\"", "x end script",
])
def test_p48_what_does_not_end_a_block(line: str) -> None:
    assert script(line + "\n") == line + "\n"


def test_p48_the_first_terminator_counts() -> None:
    assert refused("script\ncat <<X\nend script\nX\nend script\n") == "4: Unknown stanza"


def test_p48_the_word_is_script_for_every_process() -> None:
    assert job("post-stop script\n a\nend script\n").processes[POST_STOP] == (True, "a\n")
    assert refused("post-stop script\n a\nend post-stop\n") == "4: Unterminated block"


def test_p48_the_body_is_not_lexed() -> None:
    body = "echo don't # \"\n\\\nx\\\n"
    assert script(body) == body


def test_p49_missing_terminator() -> None:
    assert refused("script\n x\n") == "3: Unterminated block"
    assert refused("script") == "1: Unterminated block"
    assert refused("script\n") == "2: Unterminated block"
    assert refused("script \\\n") == "2: Unterminated block"


def test_p47_opening() -> None:
    assert refused("script foo\n x\nend script") == "1: Unexpected token"
    assert refused("pre-start script foo\n x\nend script") == "1: Unexpected token"
    assert job("script  # c\n x\nend script").processes[MAIN] == (True, "x\n")


def test_p51_empty_block() -> None:
    assert job("script\nend script").processes[MAIN] == (True, "")


def test_p40_carriage_returns_stay_in_blocks() -> None:
    assert script("  a\r\n  b\r\n") == "a\r\nb\r\n"
    assert script("  a\r\n\r\n  b\r\n") == "  a\r\n\r\n  b\r\n"


def test_p32_nul_in_a_block_loses_the_rest_of_the_line() -> None:
    assert script("a\0b\nc\n") == "ac\n"
    assert script("a\n end\0script x\n") == "a\n end"
    assert job("script\na\n\0end\0script\0\n").processes[MAIN] == (True, "a\n")


def test_p50_much_indentation_takes_no_time() -> None:
    assert script(" " * 300000 + "a\n" + " " * 150000 + "b\n") == " " * 150000 + "a\nb\n"

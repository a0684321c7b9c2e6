"""Words, quotes, escapes, comments and lines (P31-P46; checklist 23-47)."""
from __future__ import annotations

import pytest

from tests.parser.reading import command, job, refused


@pytest.mark.parametrize("text, expected", [
    ('exec foo "a   b"   c', 'foo "a   b"   c'),
    ("exec a  \t b", "a  \t b"),
    ("exec \t foo \t \n", "foo"),
])
def test_p41_blanks_inside_a_command_stay(text: str, expected: str) -> None:
    assert command(text) == expected


@pytest.mark.parametrize("text, expected", [
    ("exec foo  # x", "foo"),
    ('exec foo "#x"', 'foo "#x"'),
    ("exec a#b", "a"),
    ("exec foo $#", "foo $"),
    ("exec x ${#y}", "x ${"),
])
def test_p34_comments_in_commands(text: str, expected: str) -> None:
    assert command(text) == expected


def test_p34_comment_in_the_middle_of_a_word() -> None:
    assert job("env A=b#c").env == ("A=b",)


def test_p34_nothing_has_a_meaning_inside_a_comment() -> None:
    assert job("# c \\\nrespawn").respawn
    assert job("# it's\ntask # don't \\\nrespawn").respawn


def test_p37_escaped_hash_in_a_command() -> None:
    assert command("exec foo bar\\#baz") == "foo bar\\#baz"


@pytest.mark.parametrize("text, expected", [
    ("exec foo \\\n   bar   \\\n  baz", "foo bar baz"),
    ("exec foo\\\nbar", "foo bar"),
    ("exec foo \\\n \\\n\\\n bar", "foo bar"),
    ("exec foo \\\n\nrespawn", "foo"),
    ("exec echo 'a\nb'", "echo 'a b'"),
    ("exec sh -c 'a\n   b'", "sh -c 'a b'"),
    ("exec sh -c 'a  \n\n   b  '", "sh -c 'a b  '"),
    ("exec a '\n'", "a ' '"),
    ("exec a \\ \n", "a \\ "),
    ("exec a \\\\\n", "a \\\\"),
])
def test_p38_newlines_in_commands(text: str, expected: str) -> None:
    assert command(text) == expected


def test_p38_newlines_in_tokens() -> None:
    assert job("env A=x\\\ny").env == ("A=x y",)
    assert job("export A\\\n  B").export == ("A", "B")
    assert job("export A\\\nB C").export == ("A B", "C")
    assert job('description "a  \n\n  b"').description == "a b"
    assert job("description a\\\n\n").description == "a"


def test_p39_continuation_between_arguments() -> None:
    assert job("export A \\\nB").export == ("A", "B")
    assert job("respawn \\\n limit 1 2").respawn_limit == 1
    assert job("task\\\n\n").task
    assert job("task \\\n \\\n # c\nrespawn").respawn


def test_p39_continuation_at_the_start_of_a_line() -> None:
    assert refused("\\\nexec foo") == "2: Unknown stanza"
    assert refused("\\\n exec foo") == "2: Unknown stanza"
    assert refused("\\\n") == "2: Unknown stanza"
    assert refused("respawn\\\nfoo") == "1: Unknown stanza"


@pytest.mark.parametrize("text, expected", [
    ("exec echo \\$HOME", "echo \\$HOME"),
    ('exec echo  \\"x', 'echo  \\"x'),
    ('exec sh -c "echo \\$A"', 'sh -c "echo \\$A"'),
    ('exec foo a\\$b "\\$c"', 'foo a\\$b "\\$c"'),
    ("exec a \\\n  \\$b", "a \\$b"),
    ("exec find -exec sh -c 'echo {}' \\;", "find -exec sh -c 'echo {}' \\;"),
    ("exec a\\$b", "a\\$b"),
])
def test_p42_blanks_before_an_escape_stay(text: str, expected: str) -> None:
    assert command(text) == expected


def test_p42_blanks_before_an_escape_stay_in_arguments() -> None:
    assert job('env X="a \\$b"').env == ("X=a \\$b",)


@pytest.mark.parametrize("argument, expected", [
    ("foo\\ bar", "foo bar"),
    ("foo\\\tbar", "foo\tbar"),
    ('"foo\\\\bar"', "foo\\bar"),
    ('"a\\"b"', 'a\\"b'),
    ('\\"a', '\\"a'),
    ("\\#a", "\\#a"),
    ('"a\\nb"', "a\\nb"),
    ("'a\\'b'", "a\\'b"),
    ("\\(", "\\("),
])
def test_p37_escapes_in_arguments(argument: str, expected: str) -> None:
    assert job("description " + argument).description == expected


@pytest.mark.parametrize("argument, expected", [
    ("'say \"hi\"'", 'say "hi"'),
    ('a"b c"d', "ab cd"),
    ("\"it's\"", "it's"),
    ("\"a\"'b'c", "abc"),
    ('"# ( ) "', "# ( ) "),
    ('" "', " "),
])
def test_p36_quotes(argument: str, expected: str) -> None:
    assert job("description " + argument).description == expected


def test_p36_an_escaped_quote_does_not_close() -> None:
    assert refused("description 'a\\'") == "1: Unterminated quoted string"


def test_p43_empty_arguments() -> None:
    for text in ('description ""', 'instance ""', 'export A ""', 'start on foo ""', 'cgroup cpu key ""', "env ''", 'start on ""'):
        assert refused(text) == "1: Expected token"
    assert job('env A=""').env == ("A=",)
    assert job("env A=").env == ("A=",)
    assert job('description " "').description == " "


def test_p54_extra_argument() -> None:
    assert refused("description a b") == "1: Unexpected token"
    assert refused("env A=b c") == "1: Unexpected token"


def test_p44_end_of_file_in_a_token() -> None:
    assert refused("exec echo don't\n") == "2: Unterminated quoted string"
    assert refused('exec foo "x\nrespawn\n') == "3: Unterminated quoted string"
    assert refused("exec foo\\") == "1: Trailing slash in file"
    assert refused('description "a\\') == "1: Trailing slash in file"
    assert refused("start on a\\") == "1: Trailing slash in file"
    assert refused("tas\\") == "1: Trailing slash in file"


def test_p44_an_apostrophe_swallows_lines() -> None:
    assert command("exec echo don't\nrespawn\nexec can't\n") == "echo don't respawn exec can't"


def test_p31_only_some_bytes_are_blanks() -> None:
    assert refused("\xef\xbb\xbfexec x") == "1: Unknown stanza"
    assert refused("task\x0b") == "1: Unknown stanza"
    assert refused("\x0ctask") == "1: Unknown stanza"
    assert job("env A=\xa0\x85").env == ("A=\udca0\udc85",)


def test_p45_bytes_pass_through() -> None:
    assert job("description caf\xe9").description == "caf\udce9"
    assert job("description caf\xc3\xa9").description == "caf\u00e9"
    assert job('description caf\xc3"\xa9"').description == "caf\u00e9"
    assert job('description caf\xc3"\xa9"\\\\').description == "caf\u00e9\\"


def test_p40_crlf_file() -> None:
    crlf = job("task\r\nrespawn\r\n# c\r\n\r\nkill timeout 3\r\nexec foo  \r\nenv A=b\r\nstart on a\r\n")
    assert crlf.task and crlf.respawn and crlf.kill_timeout == 3 and crlf.env == ("A=b",)
    assert crlf == job("task\nrespawn\nkill timeout 3\nexec foo\nenv A=b\nstart on a\n")


def test_p40_backslash_crlf_is_no_continuation() -> None:
    assert refused("exec foo \\\r\n bar\r\n") == "2: Unknown stanza"
    assert command("exec foo \\\r\n") == "foo \\\r"


def test_p32_nul() -> None:
    assert refused("description a\0b") == "1: Unexpected token"
    assert command("exec a\0b") == "a"
    assert command("exec a\0b'\n") == "a"
    assert job("\0task\0\0").task
    assert job('description "a\0b"').description == "a"
    assert command("exec x 'a\0b' c") == "x 'a"
    assert job("start on a\0b").start_on == job("start on a b").start_on


def test_p33_lines() -> None:
    assert command("\n  \n\t# c\n  exec foo") == "foo"
    assert command("exec foo") == "foo"
    assert len(command("exec " + "a" * 1000000)) == 1000000


def test_p35_quoted_keywords_are_unknown() -> None:
    for text in ('"exec" foo', 'kill "timeout" 5', 'pre-start "exec" x', 'start "on" x', 'respawn "limit" 1 2', "'task'", "e\\xec a"):
        assert refused(text) == "1: Unknown stanza"


def test_p35_quoted_values_are_known() -> None:
    assert job('expect "fork"').expect == "fork"
    assert job("console 'log'").console == "log"
    assert job('oom "score" "5"').oom_score_adj == 5
    assert job('limit "core" "0" "0"').limits == (("core", 0, 0),)

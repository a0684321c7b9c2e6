"""How errors are reported (P22-P24, P29)."""
from __future__ import annotations

import pytest

from compat.parser import ParseError
from tests.parser.reading import job, refused


@pytest.mark.parametrize("text, expected", [
    ("\nfoo bar\n", "2: Unknown stanza"),
    ("\nkill \\\n timeout \\\n foo\n", "4: Illegal interval, expected number of seconds"),
    ("script\n x\n", "3: Unterminated block"),
    ('exec foo "x\nrespawn\n', "3: Unterminated quoted string"),
    ("kill \\\n \\\n\nfoo", "3: Expected token"),
    ("script\n\n\nend script\nexec 'a\nb' # c\n\nnice 1 2", "8: Unexpected token"),
    ("kill \\\n foo 3", "2: Unknown stanza"),
    ('description \\\n "x\n y" z', "3: Unexpected token"),
    ("respawn limit 1 \\\n", "2: Expected token"),
    ("limit \\\nfoo", "2: Unknown stanza"),
])
def test_p29_lines(text: str, expected: str) -> None:
    assert refused(text) == expected


def test_p22_the_first_error_counts() -> None:
    assert refused("task\nfoo\nbar\nexec 'x") == "2: Unknown stanza"


def test_p23_ordinary_form() -> None:
    with pytest.raises(ParseError) as caught:
        job("task\nfoo")
    assert caught.value.describe("/etc/init/a b.conf") == "/etc/init/a b.conf:2: Unknown stanza"


def test_p24_hard_form() -> None:
    with pytest.raises(ParseError) as caught:
        job("\nkill signal NOSUCH\nexec sleep 1000\n")
    assert caught.value.line is None
    expected = "/d/f.conf: Error while loading configuration file: Illegal signal status, expected integer"
    assert caught.value.describe("/d/f.conf") == expected

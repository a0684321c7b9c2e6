"""What holds for every input: nothing but ParseError, errors at real lines, and tokens as P46 spells them out."""
from __future__ import annotations

import pickle
from typing import Optional

from hypothesis import example, given
from hypothesis import strategies as st

from compat.parser import JobDefinition, ParseError, parse_job
from compat.parser.notation import from_postfix, to_postfix
from tests.parser.job_texts import JOB_TEXTS, PIECES
from tests.parser.reference import BLANKS, read_token


def parse(data: bytes, base: Optional[JobDefinition] = None) -> Optional[JobDefinition]:
    """The definition, or None where the file is refused, with its line checked."""
    try:
        return parse_job(data, base)
    except ParseError as error:
        assert error.line is None or 1 <= error.line <= data.count(b"\n") + 1
        assert error.describe("P").startswith("P:")
        return None


@given(JOB_TEXTS)
@example(b"\\")
@example(b"script\n\0end script")
@example(b"start on (\\\n")
def test_any_bytes(data: bytes) -> None:
    definition = parse(data)
    if definition is not None:
        assert parse_job(data) == definition == pickle.loads(pickle.dumps(definition))
        for condition in (definition.start_on, definition.stop_on):
            assert from_postfix(to_postfix(condition)) == condition


@given(JOB_TEXTS, JOB_TEXTS)
def test_p12_an_override_equals_text_appended(conf: bytes, override: bytes) -> None:
    """Where the two files are valid by themselves, and nothing spans them (P12)."""
    conf += b"\n"
    first, alone = parse(conf), parse(override)
    if first is not None and alone is not None and not conf.endswith(b"\\\n\n"):
        assert parse(override, first) == parse(conf + override)


TOKENS = st.lists(st.sampled_from([piece for piece in PIECES if piece != b"# c\n"]), min_size=1, max_size=12).map(b"".join)

UNFINISHED = ("Trailing slash in file", "Unterminated quoted string")


def first_word(text: bytes) -> bytes:
    """The text from its first byte that can start a token."""
    while True:
        stripped = text.lstrip(BLANKS)
        stripped = stripped[2:] if stripped.startswith(b"\\\n") else stripped
        if stripped == text:
            return text
        text = stripped


@given(TOKENS)
def test_p46_arguments_are_read_byte_for_byte(text: bytes) -> None:
    text = first_word(text)
    stored, end = read_token(text, "argument")
    try:
        value = parse_job(b"env " + text[:end]).env[0].encode("utf-8", "surrogateescape")
    except ParseError as error:
        assert error.message in (("Expected token",) if stored == b"" else UNFINISHED)
        assert not stored
    else:
        assert stored is not None
        assert value == stored.partition(b"\0")[0]


@given(TOKENS)
def test_p46_operands_are_read_byte_for_byte(text: bytes) -> None:
    text = first_word(text)
    stored, end = read_token(text, "operand")
    if stored and stored not in (b"and", b"or"):
        leaf = to_postfix(parse_job(b"start on e " + text[:end]).start_on)[0]
        assert leaf[1].encode("utf-8", "surrogateescape") == stored.partition(b"\0")[0]


@given(TOKENS)
def test_p46_commands_are_read_byte_for_byte(text: bytes) -> None:
    text = first_word(text)
    if not text or text[:1] in b"\n#":
        return
    stored, end = read_token(text, "command")
    try:
        process = parse_job(b"exec " + text[:end]).processes[0]
    except ParseError as error:
        assert stored is None and error.message in UNFINISHED
    else:
        assert process is not None and stored is not None
        assert process.command.encode("utf-8", "surrogateescape") == stored.partition(b"\0")[0]

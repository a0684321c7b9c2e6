"""Script blocks: everything up to a line ``end script``, less the indentation that all lines share (P47-P51)."""
from __future__ import annotations

import re
from typing import List

from .errors import UNTERMINATED_BLOCK
from .tokens import Tokens

_TERMINATOR = re.compile(r"\n[ \t\r\0]*end[ \t\r\0]+script[ \t\r\0]*(?:#[^\n]*)?(?:\n|\Z)")
_INDENT = re.compile(r"[ \t\r\0]*")
_FROM_NUL = re.compile(r"\0[^\n]*\n")


def _shared_indent(lines: List[str]) -> str:
    """The leading blanks that every line begins with; an empty line has none (P50)."""
    found = _INDENT.match(lines[0])
    assert found is not None
    shared = found[0]
    for line in lines[1:]:
        length = 0
        for ours, theirs in zip(shared, line):
            if ours != theirs:
                break
            length += 1
        shared = shared[:length]
        if not shared:
            break
    return shared


def without_shared_indent(body: str) -> str:
    """The body of a block as it is stored; each of its lines ends in a line break (P50, P51)."""
    found = _INDENT.match(body)
    assert found is not None
    indent = found[0]
    if not indent:
        return body
    if body.count("\n" + indent) != body.count("\n") - 1:
        indent = _shared_indent(body[:-1].split("\n"))
        if not indent:
            return body
    return body[len(indent):].replace("\n" + indent, "\n")


def read_block(tokens: Tokens) -> str:
    """The script that follows the word ``script``; raises ``Unterminated block`` at the end of the file (P49)."""
    tokens.finish_stanza()
    start = tokens.pos
    found = _TERMINATOR.search(tokens.text, start - 1)
    if found is None:
        tokens.fail_at_end(UNTERMINATED_BLOCK)
    tokens.pos = found.end()
    body = without_shared_indent(tokens.text[start:found.start() + 1])
    # Upstream copies a line as a C string: from a NUL on it is lost, with its line break (P32).
    return _FROM_NUL.sub("", body) if "\0" in body else body

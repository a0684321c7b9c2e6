"""From the text of a job's ``exec`` or ``script`` to an argv (X1-X9).

Everything the launcher is given is bytes: the text's own, by the surrogateescape that the parser used.
"""
from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from ..parser.definition import ProcessDefinition

SHELL = b"/bin/sh"
#: Where a script of several lines is read from; also its ``$0`` (X5, X6).
SCRIPT_PATH = b"/proc/self/fd/9"

# Anything of this needs a shell (X2).
_SHELL_CHARACTERS = frozenset("~`!$^&*()=|\\{}[];\"'<>?")
_SEPARATORS = bytes.maketrans(b"\t\r\n", b"   ")
# The kernel's limit for one argument, its NUL included (X8).
_ARGUMENT_LIMIT = 128 << 10
# Closes the script's descriptor, so that the script's commands do not inherit it (X6).
_SCRIPT_HEAD = b"exec 9<&-\n"


class Command(NamedTuple):
    """What to execute.

    ``script``: what to feed through descriptor 9, None if nothing. ``fallback``: an argv that does
    the same without that descriptor, None if the text is too long for one argument (X13).
    """

    argv: Tuple[bytes, ...]
    script: Optional[bytes] = None
    fallback: Optional[Tuple[bytes, ...]] = None


def as_bytes(text: str) -> bytes:
    """The bytes that the parser made ``text`` from (P45)."""
    return text.encode("utf-8", "surrogateescape")


def command_of(process: ProcessDefinition) -> Command:
    """How to run a process of a job; the length of the text plays no part in the choice (X8)."""
    text = process.command
    if not process.script and _SHELL_CHARACTERS.isdisjoint(text):
        # These separators and no others: str.split would also take form feeds and Unicode blanks.
        words = as_bytes(text).translate(_SEPARATORS).split(b" ")
        return Command(tuple(word for word in words if word) or (b"",))
    if not process.script:
        text = "exec " + text
    content = text.rstrip("\n")
    if "\n" not in content:
        return Command((SHELL, b"-e", b"-c", as_bytes(content), SHELL))
    body = as_bytes(text)
    # The first line stands for the one that closes descriptor 9, so that line numbers are the same.
    inline = b"\n" + body
    fallback = (SHELL, b"-e", b"-c", inline, SCRIPT_PATH) if len(inline) < _ARGUMENT_LIMIT else None
    return Command((SHELL, b"-e", SCRIPT_PATH), _SCRIPT_HEAD + body, fallback)

"""What the client prints, as bytes on the two descriptors, and the two ways in which it fails.

``sys.stdout`` is not used: it would encode as the locale says, while all texts here are UTF-8 and
independent of the locale (C15), and file objects would have to be flushed at the end.
"""
from __future__ import annotations

import os
import sys


class UsageError(Exception):
    """A wrong command line: ``text`` is printed with a hint to --help, exit status 1 (C98)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Failure(Exception):
    """What was asked for did not happen: ``text`` is printed, exit status 1 (C108, C109)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def decoded(value: str) -> str:
    """An argument or environment value as UTF-8 with surrogates for stray bytes, whatever the locale is (C15)."""
    if sys.getfilesystemencoding() == "utf-8":
        return value
    return os.fsencode(value).decode("utf-8", "surrogateescape")


def environment(name: str) -> str | None:
    """An environment variable, or None."""
    value = os.environ.get(name)
    return None if value is None else decoded(value)


def printable(text: str) -> str:
    """A text with bytes that are not UTF-8 made visible as ``\\xNN``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def fill_standard_descriptors() -> None:
    """Open /dev/null where 0, 1 or 2 is closed, so that the socket cannot get that number and be printed to."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        while os.open(os.devnull, os.O_RDWR) < 2:
            pass


def write(descriptor: int, text: str) -> None:
    """Write all of a text. Raises OSError."""
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(descriptor, data):]


def complain(program: str, text: str) -> None:
    """One message on standard error; a text that begins ``WORD:`` gets no blank before it (C107)."""
    blank, colon = text.find(" "), text.find(":")
    gap = "" if colon >= 0 and (blank < 0 or colon < blank) else " "
    _write_error(f"{program}:{gap}{text}\n")


def hint(program: str) -> None:
    """The line that follows a complaint about the command line (C98)."""
    _write_error(f"Try `{program} --help' for more information.\n")


def _write_error(text: str) -> None:
    try:
        write(2, text)
    except OSError:
        # There is nowhere left to say so; the exit status tells.
        pass

"""``$VARIABLE`` expansion in instance names and condition values (E77-E81, P111).

One left-to-right scan. A substituted value is never scanned again, and there is no escape character.
"""
from __future__ import annotations

from typing import Mapping, Tuple

_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_REST = _FIRST | frozenset("0123456789")
#: Deeper nesting than any file has; it keeps hostile text from exhausting the stack.
_MAX_DEPTH = 100


class ExpansionError(Exception):
    """The text cannot be expanded; the message is one of E80."""


def expand(text: str, environment: Mapping[str, str]) -> str:
    """``text`` with its variables replaced by their values. Raises ExpansionError."""
    if "$" not in text:
        return text
    return _expand(text, 0, environment, "", 0)[0]


def _expand(text: str, position: int, environment: Mapping[str, str], ends: str, depth: int) -> Tuple[str, int]:
    """Expand from ``position`` up to the first unnested byte of ``ends``, or the end of the text."""
    if depth > _MAX_DEPTH:
        raise ExpansionError("Mismatched braces")
    out = []
    size = len(text)
    while position < size:
        char = text[position]
        if char in ends:
            break
        position += 1
        if char != "$" or position == size:
            out.append(char)
        elif text[position] == "{":
            value, position = _braces(text, position + 1, environment, depth + 1)
            out.append(value)
        elif text[position] in _FIRST:
            start = position
            while position < size and text[position] in _REST:
                position += 1
            out.append(_value(text[start:position], environment))
        else:
            out.append(char)
    return "".join(out), position


def _value(name: str, environment: Mapping[str, str]) -> str:
    try:
        return environment[name]
    except KeyError:
        raise ExpansionError("Unknown parameter: " + name) from None


def _braces(text: str, position: int, environment: Mapping[str, str], depth: int) -> Tuple[str, int]:
    name, position = _expand(text, position, environment, "}:-+", depth)
    operator = text[position:position + 1]
    if operator == "}":
        return (_value(name, environment) if name else "$"), position + 1
    if not operator:
        raise ExpansionError("Mismatched braces")
    empty_counts = operator == ":"
    if empty_counts:
        position += 1
        operator = text[position:position + 1]
        if not operator:
            raise ExpansionError("Mismatched braces")
        if operator not in "-+":
            raise ExpansionError("Expected operator")
    # Upstream expands the argument before it knows whether it is needed (E79).
    argument, position = _expand(text, position + 1, environment, "}", depth)
    if position == len(text):
        raise ExpansionError("Mismatched braces")
    value = environment.get(name)
    if empty_counts and not value:
        value = None
    if operator == "-":
        return (argument if value is None else value), position + 1
    return ("" if value is None else argument), position + 1

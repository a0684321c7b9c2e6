"""Reading plain JSON values that may be damaged, foreign or hostile.

A *kind* is a function that takes a value of the JSON text and returns what it stands for, or raises
Unreadable. ``Record`` applies kinds to the members of one object; the text of the fault then says where
it is. Nothing else is ever raised, so whoever reads can leave out one piece and go on with the next (D187).
"""
from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar

_T = TypeVar("_T")
Kind = Callable[[Any], _T]

_REQUIRED = object()
_INT_MAX = 2 ** 31 - 1
#: What no string of a job can hold: surrogates that stand for no byte.
_IMPOSSIBLE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class Unreadable(Exception):
    """A piece of the state is not what it should be; the text says what is wrong."""


class Record:
    """One object of the text."""

    __slots__ = ("_members",)

    def __init__(self, value: Any) -> None:
        if type(value) is not dict:
            raise Unreadable("not an object")
        self._members: Dict[str, Any] = value

    def get(self, key: str, kind: Kind[_T], default: Any = _REQUIRED) -> _T:
        """A member; ``default`` if there is none, else that is Unreadable too."""
        value = self._members.get(key, _REQUIRED)
        if value is _REQUIRED:
            if default is _REQUIRED:
                raise Unreadable(f"{key}: missing")
            return default  # type: ignore[no-any-return]
        try:
            return kind(value)
        except Unreadable as fault:
            raise Unreadable(f"{key}: {fault}") from None


def text(value: Any) -> str:
    """A string that a job can have."""
    if type(value) is not str:
        raise Unreadable("not a string")
    if not value.isascii() and _IMPOSSIBLE.search(value):
        raise Unreadable("an impossible string")
    return value


def integer(value: Any) -> int:
    """A whole number of 32 bits."""
    if type(value) is not int or not -_INT_MAX - 1 <= value <= _INT_MAX:
        raise Unreadable("not a whole number")
    return value


def natural(value: Any) -> int:
    """A whole number from 0 on."""
    if integer(value) < 0:
        raise Unreadable("a negative number")
    return int(value)


def count(value: Any) -> int:
    """A number that the engine gave out: from 0 on, of any size that the engine may reach."""
    if type(value) is not int or not 0 <= value < 2 ** 63:
        raise Unreadable("not a number from 0 on")
    return value


def caller(value: Any) -> int:
    """The number of a call: below 0 if the daemon itself waits for the answer."""
    if type(value) is not int or not -2 ** 63 < value < 2 ** 63:
        raise Unreadable("not the number of a call")
    return value


def seconds(value: Any) -> float:
    """A time, whole or not."""
    if type(value) not in (int, float) or not -1e15 < value < 1e15:
        raise Unreadable("not a time")
    return float(value)


def flag(value: Any) -> bool:
    """0 or 1."""
    if type(value) not in (int, bool):
        raise Unreadable("neither 0 nor 1")
    return bool(value)


def array(value: Any) -> List[Any]:
    """A list of anything."""
    if type(value) is not list:
        raise Unreadable("not an array")
    return value


def members(value: Any) -> Dict[str, Any]:
    """An object of anything."""
    if type(value) is not dict:
        raise Unreadable("not an object")
    return value


def strings(value: Any) -> Tuple[str, ...]:
    """A list of strings."""
    return tuple(map(text, array(value)))


def data(value: Any) -> bytes:
    """Bytes, written in hexadecimal digits."""
    try:
        return bytes.fromhex(text(value))
    except ValueError:
        raise Unreadable("not hexadecimal") from None


def table(value: Any) -> Dict[str, str]:
    """An environment table, written as ``KEY=VALUE`` strings; others are left out, as they are everywhere (E64)."""
    return {key: content for key, separator, content in (entry.partition("=") for entry in strings(value)) if separator}


def optional(kind: Kind[_T]) -> Kind[Optional[_T]]:
    """A kind, or null for None."""
    return lambda value: None if value is None else kind(value)


def tuple_of(kind: Kind[_T]) -> Kind[Tuple[_T, ...]]:
    """A list of one kind."""
    return lambda value: tuple(map(kind, array(value)))


def word(meanings: Mapping[str, _T]) -> Kind[_T]:
    """One of several words."""

    def kind(value: Any) -> _T:
        if type(value) is not str or value not in meanings:
            raise Unreadable(f"{str(value)[:40]!r} is not known")
        return meanings[value]

    return kind

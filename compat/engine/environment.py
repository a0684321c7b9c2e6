"""Environment tables: ordered KEY to VALUE, filled from ``KEY=VALUE`` entries (E64-E67).

A table is a plain dict: overwriting keeps a key's place, as E64 asks for.
"""
from __future__ import annotations

from typing import Dict, Iterable, Mapping, Tuple

Table = Dict[str, str]


def add_entry(table: Table, entry: str, inherited: Mapping[str, str], replace: bool = True) -> None:
    """Add ``KEY=VALUE``, or ``KEY`` with the daemon's own value in ``inherited`` (E64).

    A bare KEY that the daemon does not have removes an existing one when replacing.
    """
    key, separator, value = entry.partition("=")
    if not separator:
        found = inherited.get(key)
        if found is None:
            if replace:
                table.pop(key, None)
            return
        value = found
    if replace or key not in table:
        table[key] = value


def add_entries(table: Table, entries: Iterable[str], inherited: Mapping[str, str]) -> None:
    """Add several entries in order, each replacing (E66-E68)."""
    for entry in entries:
        add_entry(table, entry, inherited)


def as_entries(table: Mapping[str, str]) -> Tuple[str, ...]:
    """The table as ``KEY=VALUE`` strings in its order."""
    return tuple([key + "=" + value for key, value in table.items()])

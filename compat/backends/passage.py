"""Where launchers note that they had leave to go on, for a daemon that comes later (B204).

A daemon may die between giving leave and hearing that the exec worked. If the process is gone when the
next daemon looks for it, only this tells whether its program ran: each launcher appends the number of
its spawn here before it does anything else with its leave. No number: it never ran, and never will.

What is in the file matters for a moment only, so it is emptied now and then, when no launcher is under way.
"""
from __future__ import annotations

import os
from typing import Set

#: Notes after which the file is emptied as soon as nothing is under way.
_MOST_NOTES = 1000


class Passage:
    """The file at ``path``, which is kept from the daemon before. Raises OSError if it cannot be used."""

    def __init__(self, path: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self.fd = os.open(path, flags, 0o600)
        self._under_way: Set[int] = set()
        self._notes = 0

    @staticmethod
    def note(spawn: int) -> str:
        """What the launcher of a spawn is to append."""
        return f"{spawn}\n"

    def expect(self, spawn: int) -> None:
        """A launcher is about to be started."""
        self._under_way.add(spawn)
        self._notes += 1

    def settled(self, spawn: int) -> None:
        """It is known, and on record, what became of the launcher; harmless if repeated."""
        self._under_way.discard(spawn)
        if self._notes > _MOST_NOTES and not self._under_way:
            self._notes = 0
            os.ftruncate(self.fd, 0)

    def has(self, spawn: int) -> bool:
        """Whether the launcher of a spawn went on."""
        size = os.fstat(self.fd).st_size
        return str(spawn).encode("ascii") in os.pread(self.fd, size, 0).split(b"\n")


def clear(path: str) -> None:
    """What is noted there means nothing any more: numbers of spawns begin anew."""
    try:
        os.truncate(path, 0)
    except OSError:
        pass

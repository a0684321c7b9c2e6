"""What is to be in the scope that is put around a process of a daemon before this one (X252, X260).

It is all that is in the scope that the process has, so that this one is left empty. But systemd makes no scope at all
if one of the processes has ended when it looks, and gives it up if one ends while it puts them in; those that it came to
are in the new control group by then. So there are a few attempts with what still lives, wherever it is by then, and a last one
with the process alone.
"""
from __future__ import annotations

from typing import List, Set

from .child_setup import Process
from .systemd_connection import SystemdConnection, SystemdError
from .unit_names import scope_of

_ATTEMPTS = 4


class Enclosure:
    """``process`` is to be put into a scope."""

    def __init__(self, connection: SystemdConnection, process: Process) -> None:
        self._connection = connection
        self.process = process
        self._attempts = 0
        #: The scopes that it has been in, and what was seen inside.
        self._scopes: Set[str] = set()
        self._seen: Set[int] = set()

    @property
    def scope(self) -> str:
        """The one that the process is in, "" for none."""
        return scope_of(self.process.pid)

    def pids(self) -> List[int]:
        """For the next attempt; empty if there is to be none."""
        scope = self.scope
        if not scope or self._attempts == _ATTEMPTS:
            return []
        self._attempts += 1
        self._scopes.add(scope)
        if self._attempts == _ATTEMPTS:
            return [self.process.pid]
        for each in self._scopes:
            try:
                self._seen.update(self._connection.pids_in(each))
            except SystemdError:
                # It was stopped while no daemon ran, or given up, which ends nothing.
                pass
        inside = [pid for pid in sorted(self._seen) if scope_of(pid) in self._scopes]
        if self.process.pid in inside:
            return inside
        self._attempts = _ATTEMPTS
        return [self.process.pid]

"""logind's delay lock: jobs begin to stop as soon as a shutdown is announced (B221).

logind tells of a shutdown before it begins, and holds it back while somebody has a *delay* lock, for a few seconds. In
these the first step down is taken. It is a head start, never the guarantee: that is upstart-shutdown.service. So where
logind does not say which kind of shutdown it will be, as that of systemd 247, the lock is given back at once: a wrong
runlevel would be worse than a late one.

``DelayLock`` decides; ``logind_source`` talks D-Bus.
"""
from __future__ import annotations

from typing import Callable, Optional, Protocol

from .ways_down import way_of_logind

#: Seconds of logind's patience that are left to it.
_MARGIN = 0.5


class Logind(Protocol):
    """What is asked of logind."""

    def take_lock(self) -> None:
        """Ask for the lock."""

    def release_lock(self) -> None:
        """Give it back, as soon as it is there; nothing without one."""


class Down(Protocol):
    """What is asked of the daemon."""

    def take_first_step_down(self, level: str, extra: "tuple[str, ...]", done: Callable[[], None]) -> None:
        """Take the step."""

    def cancel_way_down(self) -> None:
        """Undo it."""


class Later(Protocol):
    """A timer of the main loop."""

    def cancel(self) -> None:
        """Do not call back."""


class DelayLock:
    """``later`` is the main loop's. ``if_up(done)`` asks the host's init, and calls ``done`` if the host does not go down."""

    def __init__(self, logind: Logind, down: Down, later: Callable[[float, Callable[[], None]], Later],
                 if_up: Callable[[Callable[[], None]], None]) -> None:
        self._logind = logind
        self._down = down
        self._later = later
        self._if_up = if_up
        self._asked_for = False
        self._going_down = False
        self._begun = False
        self._limit: Optional[Later] = None

    def wanted(self, wanted: bool) -> None:
        """Whether some condition names a level that a shutdown has: no lock without."""
        if wanted == self._asked_for:
            return
        self._asked_for = wanted
        if wanted and not self._going_down:
            self._logind.take_lock()
        elif not wanted:
            self._logind.release_lock()

    def prepare(self, begins: bool, kind: str, delay: float) -> None:
        """logind announces a shutdown, or that it was cancelled. ``kind``: its word for it, "" for none; ``delay`` in seconds."""
        if begins and not self._going_down:
            self._going_down = True
            way = way_of_logind(kind)
            if not self._asked_for:
                return
            if way is None:
                self._release()
                return
            self._begun = True
            self._limit = self._later(max(0.0, delay - _MARGIN), self._release)
            self._down.take_first_step_down(way.level, way.extra, self._release)
        elif not begins and self._going_down:
            self._going_down = False
            self._release()
            self._undo()
            if self._asked_for:
                self._logind.take_lock()

    def lost(self) -> None:
        """logind is gone, and with it the lock; it is asked for again when there is one to ask.

        What it had announced has begun by now, and then init knows of it, or it never will.
        """
        self._going_down = False
        self._release()
        if self._begun:
            self._if_up(lambda: None if self._going_down else self._undo())
        if self._asked_for:
            self._logind.take_lock()

    def _undo(self) -> None:
        if self._begun:
            self._begun = False
            self._down.cancel_way_down()

    def _release(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        self._logind.release_lock()

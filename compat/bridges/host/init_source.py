"""Watches the directories of another init and says when something in them has changed (B264, B265).

inotify tells; where there is none they are looked at every few seconds (B272).
"""
from __future__ import annotations

from typing import Callable, Optional

from ...config.inotify import CLOSE_WRITE, CREATE, DELETE, IGNORED, MOVED_FROM, MOVED_TO, Inotify
from ...loop import MainLoop, Timer
from .other_inits import Init

_MASK = CLOSE_WRITE | CREATE | DELETE | MOVED_FROM | MOVED_TO
_POLL_SECONDS = 5.0


class InitSource:
    """Watches until ``close``. ``changed`` is to look at the init itself; it may be called without need."""

    def __init__(self, init: Init, loop: MainLoop, changed: Callable[[], None], log: Callable[[str], None]) -> None:
        self._init = init
        self._loop = loop
        self._changed = changed
        self._timer: Optional[Timer] = None
        self._inotify: Optional[Inotify] = None
        if not init.directories():
            return
        try:
            self._inotify = Inotify()
        except (OSError, ImportError) as error:
            log(f"The host's services are looked at every {_POLL_SECONDS:.0f} s: {error}")
            self._timer = loop.later(_POLL_SECONDS, self._poll)
            return
        loop.add_reader(self._inotify.fileno(), self._dispatch)
        self._watch(self._inotify)

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._inotify is not None:
            self._loop.remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None

    def _watch(self, inotify: Inotify) -> None:
        """Directories come and go; those that are watched already stay so."""
        for directory in self._init.directories():
            try:
                inotify.add(directory.encode("utf-8", "surrogateescape"), _MASK)
            except OSError:
                # It is not there. Should it come, its parent says so.
                continue

    def _dispatch(self) -> None:
        inotify = self._inotify
        if inotify is None:
            return
        for event in inotify.read():
            if event.mask & IGNORED:
                inotify.forget(event.watch)
        self._watch(inotify)
        self._changed()

    def _poll(self) -> None:
        self._timer = self._loop.later(_POLL_SECONDS, self._poll)
        self._changed()

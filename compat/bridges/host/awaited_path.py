"""Waits until a file is there, woken by the kernel and not by a clock: a socket that may never come (B196).

The nearest directory above it that exists is watched, and the next one as soon as that comes. Where the kernel has no inotify
to give, it is looked every 30 seconds.
"""
from __future__ import annotations

import os
from typing import Callable, Optional

from ...config.inotify import CREATE, DELETE, IGNORED, MOVE_SELF, MOVED_FROM, MOVED_TO, Inotify
from ...loop import MainLoop, Timer

_MASK = CREATE | MOVED_TO | DELETE | MOVED_FROM | MOVE_SELF
_POLL_SECONDS = 30.0


class AwaitedPath:
    """Calls ``come`` once, from the main loop, when ``path`` exists; ``close`` ends the wait."""

    def __init__(self, path: str, loop: MainLoop, come: Callable[[], None]) -> None:
        self._path = os.path.abspath(path)
        self._loop = loop
        self._come = come
        self._timer: Optional[Timer] = None
        self._inotify: Optional[Inotify] = None
        self._watch = -1
        try:
            self._inotify = Inotify()
        except (OSError, ImportError):
            self._timer = loop.later(0.0, self._poll)
            return
        loop.add_reader(self._inotify.fileno(), self._dispatch)
        # Not from in here, though it may be there by now.
        self._timer = loop.later(0.0, self._look)

    def close(self) -> None:
        """Do not wait any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._inotify is not None:
            self._loop.remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None

    def _dispatch(self) -> None:
        if self._inotify is not None:
            for event in self._inotify.read():
                if event.mask & IGNORED:
                    self._inotify.forget(event.watch)
            self._look()

    def _look(self) -> None:
        if not self._has_come():
            self._watch_nearest()

    def _has_come(self) -> bool:
        if not os.path.exists(self._path):
            return False
        self.close()
        self._come()
        return True

    def _watch_nearest(self) -> None:
        inotify = self._inotify
        directory = self._path
        while inotify is not None and directory != "/":
            directory = os.path.dirname(directory)
            try:
                watch = inotify.add(os.fsencode(directory), _MASK)
            except OSError:
                continue
            if watch == self._watch:
                return
            if self._watch >= 0:
                inotify.remove(self._watch)
            self._watch = watch
            # What came before the watch was set: the file, or a directory that is nearer to it.
            if self._has_come():
                return
            inotify, directory = self._inotify, self._path

    def _poll(self) -> None:
        if not self._has_come():
            self._timer = self._loop.later(_POLL_SECONDS, self._poll)

"""Gives a shell its script through a pipe, without ever waiting for it (X6)."""
from __future__ import annotations

import fcntl
import os

_F_SETPIPE_SZ = 1031
_USUAL_ROOM, _MOST_ROOM = 1 << 16, 1 << 20


class ScriptFeed:
    """The writing end of a pipe and what is still to go into it. ``fd`` is -1 once it is closed."""

    __slots__ = ("_left", "fd")

    def __init__(self, fd: int, script: bytes) -> None:
        os.set_blocking(fd, False)
        if len(script) > _USUAL_ROOM:
            try:
                fcntl.fcntl(fd, _F_SETPIPE_SZ, min(len(script), _MOST_ROOM))
            except OSError:
                # More than a user may have; then it takes several steps.
                pass
        self.fd = fd
        self._left = memoryview(script)

    @property
    def left(self) -> bytes:
        """What is still to go into the pipe."""
        return bytes(self._left)

    def write(self) -> bool:
        """Write what there is room for; True when nothing is left to be done but to close it."""
        try:
            while self._left:
                self._left = self._left[os.write(self.fd, self._left):]
        except BlockingIOError:
            return False
        except OSError:
            # EPIPE: the shell ended before it read everything, as after ``exit``.
            pass
        return True

    def close(self) -> None:
        """Give up; harmless if repeated."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

"""The file by which a user finds the session daemon (C14, D145).

It is written after the socket listens and removed at every exit that the daemon controls (BEYOND:
upstream writes it before and leaves it behind in some cases). Whoever waits for it never finds half of it.
"""
from __future__ import annotations

import os
from typing import Callable, Mapping, Optional

from ..engine.actions import ERROR


class SessionFile:
    """``$XDG_RUNTIME_DIR/upstart/sessions/<pid>.session``."""

    def __init__(self, log: Callable[[int, str], None]) -> None:
        self._log = log
        self._path: Optional[str] = None

    def write(self, environment: Mapping[str, str], pid: int, address: str) -> None:
        """Write it; without an absolute XDG_RUNTIME_DIR do nothing. Failure is logged."""
        runtime = environment.get("XDG_RUNTIME_DIR", "")
        if not runtime.startswith("/"):
            return
        sessions = os.path.join(runtime, "upstart", "sessions")
        path, new = os.path.join(sessions, f"{pid}.session"), os.path.join(sessions, f".{pid}.new")
        try:
            for directory in (os.path.dirname(sessions), sessions):
                try:
                    os.mkdir(directory, 0o700)
                except FileExistsError:
                    pass
            # A left-over of another process with this pid goes; a link put there is not followed.
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError:
            self._log(ERROR, f"unable to create session file: {path}")
            return
        try:
            with open(fd, "w") as stream:
                stream.write(f"UPSTART_SESSION={address}\n")
            os.replace(new, path)
            self._path = path
        except OSError:
            self._log(ERROR, f"unable to write session file: {path}")

    def remove(self) -> None:
        """Remove the file if it was written."""
        path, self._path = self._path, None
        if path is not None:
            try:
                os.unlink(path)
            except OSError:
                pass

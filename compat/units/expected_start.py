"""The job whose unit the daemon itself has asked systemd to start, on file until the unit's process has asked for the job.

That process asks what it would ask if somebody had said ``systemctl start``. A daemon that comes after one that has died must
not take it for that, and start a job that has run and ended meanwhile.
"""
from __future__ import annotations

import os
from typing import Optional


class ExpectedStart:
    """``path``: of the file. What cannot be written or read is as if there were none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_there = True

    def note(self, job: str) -> None:
        """Before systemd is asked."""
        try:
            with open(self._path, "wb") as file:
                file.write(job.encode("utf-8", "surrogateescape"))
            self._is_there = True
        except OSError:
            pass

    def clear(self) -> None:
        """The unit's process has asked, or will not."""
        if self._is_there:
            self._is_there = False
            try:
                os.unlink(self._path)
            except OSError:
                pass

    def left(self) -> Optional[str]:
        """The job that a daemon before this one has left there."""
        try:
            with open(self._path, "rb") as file:
                return file.read().decode("utf-8", "surrogateescape") or None
        except OSError:
            return None

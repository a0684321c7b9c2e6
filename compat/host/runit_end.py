"""Whether a host with runit goes down, and how, when the daemon is told to end (B218, B265).

Nobody asks runit. Whoever ends the host sets permissions of two files for it (runit-init(8)): the one that says that stage 2 is to end,
which nothing else touches, and the one that says whether a new boot follows. So if the first has changed since the daemon was
started, this is the end.
"""
from __future__ import annotations

import os
import stat
from typing import Optional

from ..bridges.host.ways_down import TARGETS, WayDown

_STOP, _REBOOT = "etc/runit/stopit", "etc/runit/reboot"


class RunitEnd:
    """The files below ``root``, as they are now and when ``way`` is asked for."""

    def __init__(self, root: str = "/") -> None:
        self._stop = os.path.join(root, _STOP)
        self._reboot = os.path.join(root, _REBOOT)
        self._before = _changed_at(self._stop)

    def way(self) -> Optional[WayDown]:
        """How the host goes down; None if it stays up."""
        if _changed_at(self._stop) in (None, self._before):
            return None
        return TARGETS["reboot.target" if _is_executable(self._reboot) else "poweroff.target"]


def _changed_at(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return None


def _is_executable(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IXUSR)
    except OSError:
        return False

"""Who gets a signal of the engine's: the process, or the whole of its group (X102)."""
from __future__ import annotations

import os
import signal

_own_group = os.getpgrp()


def send(pid: int, number: int, group: bool) -> None:
    """kill(2), to the group that the process is in now if ``group``. Raises OSError or OverflowError."""
    if group:
        try:
            members = os.getpgid(pid)
        except OSError:
            members = 0
        # Our own group can only be meant by mistake.
        if members > 1 and members != _own_group:
            os.killpg(members, number)
            return
    os.kill(pid, number)


def kill(pid: int) -> None:
    """SIGKILL to a launcher of ours, which may have ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass

"""``upstart-host-bridge --announce STATE UNIT``, the command of a hook's unit: systemd waits for it (B232).

It tells the daemon that a native unit is about to start or stop, and ends when the jobs are done with that. The time-outs of
the hook's unit are its limits.
"""
from __future__ import annotations

import sys

from ...loop import MainLoop
from .patient_call import DAEMON_ADDRESS, PatientCall


def announce(state: str, unit: str, address: str = DAEMON_ADDRESS) -> int:
    """``state``: STARTING or STOPPING of unit_phases. The exit status: 0, or 1 if the daemon is not there or refused."""
    loop = MainLoop(lambda what, error: sys.excepthook(type(error), error, error.__traceback__))
    call = PatientCall(loop, address, "Announce", "ss", (unit, state))
    call.send()
    loop.run()
    return call.status

"""``upstart-host-bridge --shutdown``, the stop command of upstart-shutdown.service: systemd waits for it (B218-B220).

It finds out how the host goes down, has the daemon take the steps, and asks systemd for more time as long as that
goes on. The daemon keeps the limit. Where it is only the service that is stopped, nothing is done (B237). A daemon that has died
is replaced (stand_in.py).
"""
from __future__ import annotations

import os
import sys
from typing import Optional

from ...loop import MainLoop
from ...notify import Notifier
from . import systemd_question
from .patient_call import DAEMON_ADDRESS, PatientCall
from .stand_in import StandIn
from .ways_down import WayDown

#: Each so often, in seconds, so much more is asked for (B220).
_EVERY, _MORE = 5.0, 15


def shut_down(way: Optional[WayDown] = None, address: str = DAEMON_ADDRESS) -> int:
    """The exit status: 0, or 1 if the daemon could not do it. ``way``: as given, else systemd is asked."""
    stand_in: Optional[StandIn] = None
    if way is None:
        way, stand_in = systemd_question.ask(), StandIn()
    if way is None:
        return 0
    loop = MainLoop(lambda what, error: sys.excepthook(type(error), error, error.__traceback__))
    call = PatientCall(loop, address, "ShutDown", "sasb", (way.level, way.extra, False), stand_in.start if stand_in else lambda: 0.0)
    call.send()
    _ask_for_time(loop, Notifier(os.environ.get("NOTIFY_SOCKET")))
    loop.run()
    if stand_in is not None:
        stand_in.end()
    return call.status


def _ask_for_time(loop: MainLoop, manager: Notifier) -> None:
    manager.send(f"EXTEND_TIMEOUT_USEC={_MORE * 1000000}")
    loop.later(_EVERY, lambda: _ask_for_time(loop, manager))

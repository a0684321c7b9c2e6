"""``upstart-host-bridge --shutdown``, the stop command of upstart-shutdown.service: systemd waits for it (B218-B220).

It finds out how the host goes down, has the daemon take the steps, and asks systemd for more time as long as that
goes on. The daemon keeps the limit. Where it is only the service that is stopped, nothing is done (B237).
"""
from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any, Optional

from ...loop import MainLoop
from ...notify import Notifier
from . import systemd_question
from .ways_down import WayDown

DAEMON_ADDRESS = "unix:abstract=/com/ubuntu/upstart"
#: Each so often, in seconds, so much more is asked for (B220).
_EVERY, _MORE = 5.0, 15
#: What libdbus takes for "no limit"; the daemon has one.
_FOREVER = 0x7FFFFFFF / 1000

#: Seconds for another daemon to come, where one has died; and between looks for it.
_PATIENCE, _AGAIN = 5.0, 0.1
_LOST = ("org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Disconnected")

_bindings: Any = importlib.import_module("_dbus_bindings")


def shut_down(way: Optional[WayDown] = None, address: str = DAEMON_ADDRESS) -> int:
    """The exit status: 0, or 1 if the daemon could not do it. ``way``: as given, else systemd is asked."""
    way = way or systemd_question.ask()
    if way is None:
        return 0
    loop = MainLoop(lambda what, error: sys.excepthook(type(error), error, error.__traceback__))
    request = _Request(loop, way, address)
    request.send()
    _ask_for_time(loop, Notifier(os.environ.get("NOTIFY_SOCKET")))
    loop.run()
    return request.status


class _Request:
    """The call to the daemon; made again where the daemon dies over it and another takes its place (B204)."""

    def __init__(self, loop: MainLoop, way: WayDown, address: str) -> None:
        self.status = 1
        self._loop = loop
        self._way = way
        self._address = address
        self._glib: Any = importlib.import_module("_dbus_glib_bindings").DBusGMainLoop()
        self._connection: Any = None
        self._gives_up = time.monotonic()

    def send(self) -> None:
        """Connect and call."""
        try:
            self._connection = _bindings.Connection(self._address, self._glib)
        except systemd_question.dbus_failure() as error:
            if time.monotonic() < self._gives_up:
                self._loop.later(_AGAIN, self.send)
                return
            # Nothing is there that could stop any job.
            print(f"upstart-host-bridge: Could not connect to Upstart: {error.get_dbus_message()}", file=sys.stderr)
            self._loop.quit()
            return
        self._connection.set_exit_on_disconnect(False)
        self._connection.add_message_filter(self._heard)
        message = _bindings.MethodCallMessage(None, "/com/ubuntu/Upstart", "org.upstartcompat.Host1", "ShutDown")
        message.append(self._way.level, self._way.extra, False, signature="sasb")
        self._connection.send_message_with_reply(message, self._replied, _FOREVER)

    def _heard(self, connection: Any, message: Any) -> int:
        if connection is self._connection and message.get_interface() == _bindings.LOCAL_IFACE and message.get_member() == "Disconnected":
            self._connection = None
            self._gives_up = time.monotonic() + _PATIENCE
            self._loop.later(_AGAIN, self.send)
        return int(_bindings.HANDLER_RESULT_NOT_YET_HANDLED)

    def _replied(self, reply: Any) -> None:
        if isinstance(reply, _bindings.ErrorMessage):
            if reply.get_error_name() in _LOST:
                return
            print("upstart-host-bridge:", *reply.get_args_list(), file=sys.stderr)
        else:
            self.status = 0
        self._loop.quit()


def _ask_for_time(loop: MainLoop, manager: Notifier) -> None:
    manager.send(f"EXTEND_TIMEOUT_USEC={_MORE * 1000000}")
    loop.later(_EVERY, lambda: _ask_for_time(loop, manager))

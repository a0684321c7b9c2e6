"""``upstart-host-bridge --shutdown``, the stop command of upstart-shutdown.service: systemd waits for it (B218-B220).

It finds out how the host goes down, has the daemon take the steps, and asks systemd for more time as long as that
goes on. The daemon keeps the limit. Where it is only the service that is stopped, nothing is done (B237).
"""
from __future__ import annotations

import importlib
import os
import socket
import sys
from typing import Any, Optional

from ...loop import MainLoop
from . import systemd_question
from .ways_down import WayDown

DAEMON_ADDRESS = "unix:abstract=/com/ubuntu/upstart"
#: Each so often, in seconds, so much more is asked for (B220).
_EVERY, _MORE = 5.0, 15
#: What libdbus takes for "no limit"; the daemon has one.
_FOREVER = 0x7FFFFFFF / 1000

_bindings: Any = importlib.import_module("_dbus_bindings")


def shut_down(way: Optional[WayDown] = None, address: str = DAEMON_ADDRESS) -> int:
    """The exit status: 0, or 1 if the daemon could not do it. ``way``: as given, else systemd is asked."""
    way = way or systemd_question.ask()
    if way is None:
        return 0
    glib_loop = importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()
    failure = importlib.import_module("dbus.exceptions").DBusException
    try:
        connection = _bindings.Connection(address, glib_loop)
    except failure as error:
        # Nothing is there that could stop any job.
        print(f"upstart-host-bridge: Could not connect to Upstart: {error.get_dbus_message()}", file=sys.stderr)
        return 0
    loop = MainLoop(lambda what, error: sys.excepthook(type(error), error, error.__traceback__))
    status = 1

    def replied(reply: Any) -> None:
        nonlocal status
        if isinstance(reply, _bindings.ErrorMessage):
            print("upstart-host-bridge:", *reply.get_args_list(), file=sys.stderr)
        else:
            status = 0
        loop.quit()

    def ask_for_time() -> None:
        _notify(f"EXTEND_TIMEOUT_USEC={_MORE * 1000000}")
        loop.later(_EVERY, ask_for_time)

    message = _bindings.MethodCallMessage(None, "/com/ubuntu/Upstart", "org.upstartcompat.Host1", "ShutDown")
    message.append(way.level, way.extra, False, signature="sasb")
    connection.send_message_with_reply(message, replied, _FOREVER)
    ask_for_time()
    loop.run()
    return status


def _notify(text: str) -> None:
    """Tell the service manager, if there is one that listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        try:
            notify.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            pass

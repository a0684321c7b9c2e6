"""A call to the daemon from a command that systemd waits for; made again where the daemon dies over it and another comes (B204).

Loaded are only the bindings of libdbus themselves: a host that starts or goes down waits for such a command.
"""
from __future__ import annotations

import importlib
import sys
import time
from typing import Any, Callable, Tuple

from ...loop import MainLoop
from .peer import Peer
from .systemd_question import dbus_failure

DAEMON_ADDRESS = "unix:abstract=/com/ubuntu/upstart"
#: What libdbus takes for "no limit".
_FOREVER = 0x7FFFFFFF / 1000
#: Seconds for another daemon to come, where one has died; and between looks for it.
_PATIENCE, _AGAIN = 5.0, 0.1
_LOST = ("org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Disconnected")

_bindings: Any = importlib.import_module("_dbus_bindings")


class PatientCall:
    """Calls a method of org.upstartcompat.Host1 and ends the loop with the answer; ``status`` is 0 then, 1 in trouble.

    ``missing`` is called where there is no daemon, and says for how many seconds more one may come.
    """

    def __init__(self, loop: MainLoop, address: str, member: str, signature: str, arguments: Tuple[Any, ...],
                 missing: Callable[[], float] = lambda: 0.0) -> None:
        self.status = 1
        self._loop = loop
        self._missing = missing
        self._address = address
        self._call = member, signature, arguments
        self._glib: Any = importlib.import_module("_dbus_glib_bindings").DBusGMainLoop()
        self._connection: Any = None
        self._gives_up = time.monotonic()

    def send(self) -> None:
        """Connect and call."""
        try:
            self._connection = Peer(self._address, self._glib)
        except dbus_failure() as error:
            self._gives_up = max(self._gives_up, time.monotonic() + self._missing())
            if time.monotonic() < self._gives_up:
                self._loop.later(_AGAIN, self.send)
                return
            # Nothing is there that could start or stop any job.
            print(f"upstart-host-bridge: Could not connect to Upstart: {error.get_dbus_message()}", file=sys.stderr)
            self._loop.quit()
            return
        self._connection.set_exit_on_disconnect(False)
        self._connection.add_message_filter(self._heard)
        member, signature, arguments = self._call
        message = _bindings.MethodCallMessage(None, "/com/ubuntu/Upstart", "org.upstartcompat.Host1", member)
        message.append(*arguments, signature=signature)
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

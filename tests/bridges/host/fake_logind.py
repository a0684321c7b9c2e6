"""A logind that is made up, on a bus: as an object in the loop of a test, or as a program of its own.

    python -m tests.bridges.host.fake_logind ADDRESS

The program announces what it is told on its standard input: a line ``reboot`` a shutdown of that kind, an empty one that it is
cancelled. It prints ``inhibited`` each time somebody has taken a lock.
"""
from __future__ import annotations

import importlib
import os
import sys
from typing import Any, List

import _dbus_bindings as bindings

from compat.bridges.host.peer import Peer
from compat.loop import MainLoop

LOGIN, PATH = "org.freedesktop.login1", "/org/freedesktop/login1"


class FakeLogind:
    """On the bus at ``address``, in the loop of the test."""

    def __init__(self, address: str, glib: Any, kind: str) -> None:
        self.inhibited: List[Any] = []
        self._kind = kind
        self.connection = Peer(address, glib)
        self.connection.set_exit_on_disconnect(False)
        self.connection.add_message_filter(self._heard)
        hello = self._bus("Hello", "")
        self.connection.set_unique_name(str(hello.get_args_list()[0]))
        self._bus("RequestName", "su", LOGIN, 0)

    def _bus(self, member: str, signature: str, *arguments: Any) -> Any:
        message = bindings.MethodCallMessage("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member)
        if signature:
            message.append(*arguments, signature=signature)
        return self.connection.send_message_with_reply_and_block(message, 20.0)

    def _heard(self, connection: Any, message: Any) -> int:
        if not isinstance(message, bindings.MethodCallMessage):
            return int(bindings.HANDLER_RESULT_NOT_YET_HANDLED)
        reply = bindings.MethodReturnMessage(message)
        member, arguments = message.get_member(), message.get_args_list()
        if member == "Inhibit":
            read, write = os.pipe()
            self.inhibited.append((list(map(str, arguments)), read))
            reply.append(bindings.UnixFd(write), signature="h")
            os.close(write)
        elif member == "GetAll":
            text = {key: bindings.String(value, variant_level=1)
                    for key, value in (("Class", "user"), ("Type", "wayland"), ("Name", "eva"), ("Service", "gdm-password"))}
            reply.append(text, signature="a{sv}")
        elif arguments[1] == "InhibitDelayMaxUSec":
            reply.append(bindings.UInt64(5000000, variant_level=1), signature="v")
        else:
            reply.append(bindings.Struct((self._kind, bindings.UInt64(0)), signature="st", variant_level=1), signature="v")
        self.connection.send_message(reply)
        return int(bindings.HANDLER_RESULT_HANDLED)

    def say(self, member: str, signature: str, *arguments: Any) -> None:
        message = bindings.SignalMessage(PATH, LOGIN + ".Manager", member)
        message.append(*arguments, signature=signature)
        self.connection.send_message(message)

    def announce(self, begins: bool, kind: str) -> None:
        """A shutdown, or that it is cancelled, as versions from 255 on do."""
        self.say("PrepareForShutdownWithMetadata", "ba{sv}", begins, {"type": bindings.String(kind, variant_level=1)})
        self.say("PrepareForShutdown", "b", begins)

    def held(self, number: int) -> bool:
        """Whether the lock of that number is still held."""
        os.set_blocking(self.inhibited[number][1], False)
        try:
            return os.read(self.inhibited[number][1], 1) != b""
        except BlockingIOError:
            return True


def main() -> None:
    loop = MainLoop(lambda what, error: sys.excepthook(type(error), error, error.__traceback__))
    logind = FakeLogind(sys.argv[1], importlib.import_module("dbus.mainloop.glib").DBusGMainLoop(), "")
    told = 0

    def read() -> None:
        lines = os.read(0, 4096).decode()
        if not lines:
            loop.quit()
        for line in lines.splitlines():
            logind.announce(bool(line), line or "reboot")

    def look() -> bool:
        nonlocal told
        for _ in logind.inhibited[told:]:
            print("inhibited", flush=True)
        told = len(logind.inhibited)
        return False

    loop.add_reader(0, read)
    loop.events = look
    loop.run()


if __name__ == "__main__":
    main()

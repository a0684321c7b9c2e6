"""A D-Bus client that keeps every message it gets, in order."""
from __future__ import annotations

import os
import pickle
import select
import subprocess
import time
from typing import Any, Callable, List, Tuple

import _dbus_bindings as bindings
import pytest
from dbus.mainloop.glib import DBusGMainLoop

from compat.bridges.host.peer import Peer
from tests.received import plain, take_in

MANAGER = "/com/ubuntu/Upstart"
U = "com.ubuntu.Upstart0_6"
JOB = U + ".Job"
INSTANCE = U + ".Instance"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
F = "org.freedesktop.DBus.Error."
E = U + ".Error."
_PATIENCE = 20.0


class Failed(Exception):
    """An error reply."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


class Client:
    """One connection. ``destination``: None on a private socket, else the name to call on the bus."""

    def __init__(self, address: str, destination: str | None = None, bus: bool = False) -> None:
        self.connection = Peer(address, DBusGMainLoop())
        self.destination = destination
        self.messages: List[Any] = []
        self.closed = False
        self.connection.add_message_filter(self._got)
        if bus:
            hello = self.send("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", destination="org.freedesktop.DBus")
            self.unique_name = self.reply(hello)[0]
            self.connection.set_unique_name(self.unique_name)

    def _got(self, connection: Any, message: Any) -> int:
        if message.get_member() == "Disconnected":
            self.closed = True
        else:
            self.messages.append(message)
        return bindings.HANDLER_RESULT_NOT_YET_HANDLED if isinstance(message, bindings.MethodCallMessage) else 0

    def message(self, path: str, interface: str | None, member: str, signature: str = "", *arguments: Any,
                destination: str | None = None) -> Any:
        message = bindings.MethodCallMessage(destination=destination or self.destination, path=path, interface=interface, method=member)
        message.append(*arguments, signature=signature)
        return message

    def send(self, path: str, interface: str | None, member: str, signature: str = "", *arguments: Any,
             destination: str | None = None, no_reply: bool = False) -> int:
        """Send a call; its serial number."""
        message = self.message(path, interface, member, signature, *arguments, destination=destination)
        message.set_no_reply(no_reply)
        return self.connection.send_message(message)

    def wait(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Take messages in until the condition holds; its value."""
        deadline = time.monotonic() + _PATIENCE
        fd = self.connection.get_unix_fd()
        while True:
            take_in()
            result = condition()
            if result:
                return result
            left = deadline - time.monotonic()
            assert left > 0, f"timed out waiting for {what or condition}"
            select.select([fd] if fd is not None and not self.closed else [], [], [], min(left, 0.02))

    def answered(self, serial: int) -> Any:
        for message in self.messages:
            if message.get_reply_serial() == serial:
                return message
        return None

    def reply(self, serial: int) -> List[Any]:
        """The values of the reply to a call; raises Failed."""
        message = self.wait(lambda: self.answered(serial) or self.closed, f"reply to {serial}")
        if message is True:
            message = self.answered(serial)
            if message is None:
                raise Failed("closed", "")
        values = plain(message.get_args_list())
        if isinstance(message, bindings.ErrorMessage):
            raise Failed(message.get_error_name(), values[0] if values else "")
        return values

    def call(self, path: str, interface: str | None, member: str, signature: str = "", *arguments: Any) -> Any:
        """Call and wait: None, the value, or a tuple of the values; raises Failed."""
        values = self.reply(self.send(path, interface, member, signature, *arguments))
        return None if not values else values[0] if len(values) == 1 else tuple(values)

    def sync(self) -> None:
        """Wait until everything sent to this client so far is here."""
        self.reply(self.send(MANAGER, "org.freedesktop.DBus.Peer", "Ping"))

    def trace(self) -> List[Tuple[Any, ...]]:
        """All that came, in order: (signal, path, arguments) and ("reply",) or ("error", name)."""
        trace: List[Tuple[Any, ...]] = []
        for message in self.messages:
            values = plain(message.get_args_list())
            if isinstance(message, bindings.SignalMessage):
                trace.append((message.get_member(), message.get_path(), *values))
            elif isinstance(message, bindings.ErrorMessage):
                trace.append(("error", message.get_error_name()))
            else:
                trace.append(("reply", *values))
        return trace

    def signals(self, path: str = MANAGER) -> List[Tuple[Any, ...]]:
        """The signals of ``trace`` that the daemon sent, after everything sent before has come."""
        self.sync()
        return [each for each in self.trace() if each[0] not in ("reply", "error", "NameAcquired", "NameOwnerChanged")]

    def close(self) -> None:
        self.connection.close()
        self.wait(lambda: self.closed, "close")


def refusal(client: Client, *call: Any) -> Tuple[str, str]:
    """Name and text of the error that a call is answered with."""
    with pytest.raises(Failed) as caught:
        client.call(*call)
    return caught.value.name, caught.value.text


def as_user(uid: int, function: Callable[[], Any]) -> Any:
    """What ``function`` returns or raises (if it is Failed) in a child process that runs as ``uid``."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            try:
                result = (True, function())
            except Exception as error:
                result = (False, (type(error).__name__, str(error), getattr(error, "name", ""), getattr(error, "text", "")))
            with open(write, "wb") as stream:
                pickle.dump(result, stream)
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as stream:
        worked, result = pickle.load(stream)
    os.waitpid(child, 0)
    if worked:
        return result
    if result[0] == "Failed":
        raise Failed(result[2], result[3])
    raise AssertionError(result)


class BusDaemon:
    """A private dbus-daemon. ``policy``: what goes between <busconfig> and </busconfig>."""

    def __init__(self, directory: Any, type: str, policy: str, address: str) -> None:
        self.address = address
        self._config = os.path.join(str(directory), "bus.conf")
        with open(self._config, "w") as stream:
            stream.write(f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>{type}</type><listen>{address}</listen><auth>EXTERNAL</auth>{policy}</busconfig>""")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(["dbus-daemon", f"--config-file={self._config}", "--nofork", "--print-address=1"],
                                        stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


ALLOW_ALL = """<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/><allow user="*"/></policy>"""
#: The rules of a distribution's system bus, as far as they matter.
SYSTEM_RULES = """<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/></policy>"""

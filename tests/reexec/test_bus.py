"""A message bus that the daemon is on, over a re-exec (D183, D217)."""
from __future__ import annotations

import pathlib
from collections.abc import Iterator

import _dbus_bindings as bindings
import pytest
from _dbus_glib_bindings import DBusGMainLoop

from compat.bridges.host.peer import Peer
from tests.control.client import ALLOW_ALL, BusDaemon
from tests.daemon.conftest import Launch
from tests.daemon.running import MANAGER, PROPERTIES, Daemon, U, eventually
from tests.received import take_in
from tests.reexec.re_executing import re_execute

_BUS, _BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
NAME = "com.ubuntu.Upstart"


class Listener:
    """A client of the bus, who hears what the daemon says there."""

    def __init__(self, address: str) -> None:
        self._connection = Peer(address, DBusGMainLoop())
        self._connection.set_exit_on_disconnect(False)
        self._call(_BUS, _BUS_PATH, _BUS, "Hello")
        self._call(_BUS, _BUS_PATH, _BUS, "AddMatch", f"type='signal',interface='{U}'")
        self._heard: list[str] = []
        self._connection.add_message_filter(self._hear)

    def _hear(self, connection: bindings.Connection, message: bindings.Message) -> int:
        if isinstance(message, bindings.SignalMessage) and message.get_interface() == U:
            self._heard.append(message.get_member())
        return int(bindings.HANDLER_RESULT_NOT_YET_HANDLED)

    def heard(self) -> list[str]:
        """The names of all signals so far."""
        # What was said before the answer to this is here, but not yet handed out.
        self.owner()
        take_in()
        return self._heard

    def _call(self, name: str, path: str, interface: str, member: str, *words: str) -> list[object]:
        message = bindings.MethodCallMessage(name, path, interface, member)
        message.append(*words, signature="s" * len(words))
        return list(self._connection.send_message_with_reply_and_block(message, 20.0).get_args_list())

    def owner(self) -> str:
        """The unique name of whoever has the daemon's name, "" for nobody."""
        if not self._call(_BUS, _BUS_PATH, _BUS, "NameHasOwner", NAME)[0]:
            return ""
        return str(self._call(_BUS, _BUS_PATH, _BUS, "GetNameOwner", NAME)[0])

    def version(self) -> str:
        return str(self._call(NAME, MANAGER, PROPERTIES, "Get", U, "version")[0])

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def bus(place: pathlib.Path) -> Iterator[BusDaemon]:
    started = BusDaemon(place, "session", ALLOW_ALL, f"unix:path={place / 'bus'}")
    yield started
    started.stop()


def notified(launch: Launch, bus: BusDaemon) -> Daemon:
    daemon = launch({"a.conf": "exec sleep 100000\n"})
    daemon.client.call(MANAGER, U, "NotifyDBusAddress", "s", bus.address)
    return daemon


def test_d217_a_bus_that_was_notified_is_used_again(launch: Launch, bus: BusDaemon) -> None:
    daemon = notified(launch, bus)
    listener = Listener(bus.address)
    before = listener.owner()
    assert before and listener.version()
    for number in (1, 2):
        re_execute(daemon)
        eventually(lambda before=before: listener.owner() not in ("", before), daemon.log)  # type: ignore[misc]
        before = listener.owner()
        assert listener.version()
        # D183: for the clients of a bus as well, each time once.
        eventually(lambda number=number: listener.heard().count("Restarted") == number, daemon.log)  # type: ignore[misc]
    daemon.emit("e")
    eventually(lambda: listener.heard()[-1] == "EventEmitted", listener.heard)
    listener.close()


def test_d217_a_bus_that_is_away_meanwhile_is_waited_for(launch: Launch, bus: BusDaemon) -> None:
    daemon = notified(launch, bus)
    bus.stop()
    re_execute(daemon)
    assert daemon.client.get(MANAGER, U, "version")
    re_execute(daemon)
    bus.start()
    listener = Listener(bus.address)
    eventually(listener.owner, daemon.log)
    eventually(lambda: listener.version())
    listener.close()

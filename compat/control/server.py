"""The private socket: D-Bus without a bus (C2-C8).

libdbus does the SASL exchange and lets in root and the daemon's own user, nobody else (C5). A
connection exists here from its acceptance, so two things upstream lacks are looked after: who has
not identified himself after half a minute is put out, else strangers could use up all descriptors;
and who does not read what he is sent is put out before his queue fills the memory.
"""
from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional

from ..engine.actions import INFO, WARN
from ..loop import MainLoop, Timer
from . import listening_socket
from .wire import Connection, DBusException, Server, writable

SYSTEM_ADDRESS = "unix:abstract=/com/ubuntu/upstart"
#: How long a peer may take to say who it is.
AUTHENTICATION_SECONDS = 30.0
#: Signals after which it is looked whether a peer reads, and how many it may be behind.
_CHECK_EVERY = 1000
_MOST_BEHIND = 100_000


def session_address(uid: int, pid: int) -> str:
    """The address of the session daemon ``pid`` of a user (C3, D144)."""
    return f"unix:abstract=/com/ubuntu/upstart-session/{uid}/{pid}"


class _Peer:
    """What is kept of one connection: until when it must be authenticated and how far it is behind."""

    __slots__ = ("authenticated", "behind", "closing", "deadline")

    def __init__(self, deadline: Timer) -> None:
        self.deadline = deadline
        self.authenticated = False
        self.closing = False
        self.behind = 0


class PrivateServer:
    """The socket and its connections. ``export(connection)`` makes the objects callable on a new one."""

    def __init__(self, glib: Any, loop: MainLoop, log: Callable[[int, str], None], export: Callable[[Any], None]) -> None:
        self._glib = glib
        self._loop = loop
        self._log = log
        self._export = export
        self._peers: Dict[Any, _Peer] = {}
        self._server: Optional[Any] = None
        self._address = ""

    def listen(self, address: str, kept: bool = False) -> bool:
        """Open the socket; whether that worked. Failure is a warning (C4).

        ``kept``: it was kept open over an exec (listening_socket.py).
        """
        outer = self
        self._address = address

        class Listener(Server):
            # The method that dbus-python calls for each accepted connection.
            def _on_new_connection(self, connection: Any) -> None:
                outer._accepted(connection)

        if kept:
            listening_socket.offered()
            try:
                self._server = Listener(listening_socket.ADDRESS, Connection, self._glib, None)
                return True
            except DBusException:
                # A libdbus that does not know of that: whoever connected meanwhile is out of luck.
                os.close(listening_socket.DESCRIPTOR)
            finally:
                listening_socket.taken_back()
        try:
            self._server = Listener(address, Connection, self._glib, None)
        except DBusException as error:
            self._log(WARN, f"Unable to listen for private connections: {error.get_dbus_message()}")
            return False
        return True

    @property
    def listening_descriptor(self) -> int:
        """The socket that listens, -1 if there is none."""
        return listening_socket.find(self._address) if self._server is not None else -1

    def clients(self) -> List[Any]:
        """The connections of which everything is known: those that are authenticated and not about to be closed."""
        return [connection for connection, peer in self._peers.items()
                if not peer.closing and connection.get_is_connected() and connection.get_is_authenticated()]

    @property
    def authenticating(self) -> bool:
        """Whether somebody has not said yet who it is."""
        return any(connection.get_is_connected() and not connection.get_is_authenticated()
                   for connection, peer in self._peers.items() if not peer.closing)

    def heard(self, connection: Any) -> None:
        """A call came from a peer: libdbus lets it through only once the peer is authenticated."""
        peer = self._peers.get(connection)
        if peer is not None and not peer.authenticated:
            self._authenticated(peer)

    @staticmethod
    def _authenticated(peer: _Peer) -> None:
        peer.authenticated = True
        # An idle client must not cost a wake-up half a minute later.
        peer.deadline.cancel()

    @property
    def open(self) -> bool:
        """Whether any private connection is open."""
        return bool(self._peers)

    def send_signal(self, message: Any) -> None:
        """Send a signal to every peer that is authenticated by now (C1)."""
        for connection, peer in list(self._peers.items()):
            if peer.closing:
                continue
            if not peer.authenticated:
                # Sent before, it would wait in the queue of somebody who perhaps never is.
                if not connection.get_is_authenticated():
                    continue
                self._authenticated(peer)
            connection.send_message(message)
            peer.behind += 1
            if not peer.behind % _CHECK_EVERY:
                self._check_reading(connection, peer)

    def disconnected(self, connection: Any) -> bool:
        """Forget a connection that is closed; False if it was not one of these."""
        peer = self._peers.pop(connection, None)
        if peer is None:
            return False
        peer.deadline.cancel()
        return True

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.disconnect()
            self._server = None
        for connection, peer in self._peers.items():
            peer.deadline.cancel()
            connection.close()
        self._peers.clear()

    def _accepted(self, connection: Any) -> None:
        self._log(INFO, "Connection from private client")
        deadline = self._loop.later(AUTHENTICATION_SECONDS, lambda: self._check_authenticated(connection))
        self._peers[connection] = _Peer(deadline)
        self._export(connection)

    def _check_authenticated(self, connection: Any) -> None:
        if connection in self._peers and not connection.get_is_authenticated():
            connection.close()

    def _check_reading(self, connection: Any, peer: _Peer) -> None:
        if writable(connection):
            peer.behind = 0
        elif peer.behind >= _MOST_BEHIND:
            self._log(WARN, "Private client does not read what it is sent, closing its connection")
            # Its disconnection is dispatched later; until then it is sent nothing more.
            peer.closing = True
            connection.close()

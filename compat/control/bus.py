"""The connection to a message bus (C9-C13, C50, D61, D62, D147).

Nothing here waits: the bus may be a job of ours. Connecting takes three steps, each begun when the
reply to the one before comes: Hello, then the objects, then the name, which is asked for without
queueing. The connection counts as open when it has the name.

An open connection that breaks is tried again after 1, 2, 4 ... 60 seconds (C13 BEYOND). A first
attempt that fails is not (C11): whoever starts the bus sends SIGUSR1 or the address.
"""
from __future__ import annotations

import os
from typing import Any, Callable, List, Optional, Tuple

from ..engine.actions import DEBUG, INFO, WARN
from ..loop import MainLoop, Timer
from .wire import (
    BUS_INTERFACE,
    BUS_NAME,
    BUS_PATH,
    NAME_EXISTS,
    NAME_FLAG_DO_NOT_QUEUE,
    NAME_OWNED,
    UPSTART_NAME,
    Connection,
    DBusException,
    ErrorMessage,
    MethodCall,
    MethodReturn,
    text,
)

#: Why a connection could not be opened: D-Bus error name, text.
Failure = Optional[Tuple[str, str]]
Done = Callable[[Failure], None]

SYSTEM = "D-Bus system bus"
SESSION = "D-Bus session bus"
NOTIFIED = "notified D-Bus bus"
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0


def system_bus_address() -> str:
    """Where the system bus listens."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/var/run/dbus/system_bus_socket"


def session_bus_address() -> str:
    """Where the user's session bus listens. A bus is never started for it, as libdbus would."""
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
    if address:
        return address
    directory = os.environ.get("XDG_RUNTIME_DIR")
    return f"unix:path={directory}/bus" if directory else ""


class Bus:
    """At most one bus connection. ``export`` and ``withdraw`` put the objects on a connection and take them off."""

    def __init__(self, glib: Any, loop: MainLoop, log: Callable[[int, str], None],
                 export: Callable[[Any], None], withdraw: Callable[[Any], None]) -> None:
        self._glib = glib
        self._loop = loop
        self._log = log
        self._export = export
        self._withdraw = withdraw
        self._name = ""
        self._address: Callable[[], str] = lambda: ""
        #: The open connection, None while there is none.
        self.connection: Optional[Any] = None
        self._opening: Any = None
        self._waiting: List[Done] = []
        self._delay = _FIRST_DELAY
        self._retry: Optional[Timer] = None
        self._connected_again: Optional[Callable[[], None]] = None

    # -- what may be asked of it -----------------------------------------------------------------------

    def connect(self, name: str, address: Callable[[], str], again: Optional[Callable[[], None]] = None) -> None:
        """Use the bus called ``name`` (SYSTEM, SESSION or NOTIFIED) and make the first attempt, silently (C11).

        The address is asked for again at each attempt. ``again``: the daemon before this one, in its place, was connected, so it is
        tried until it works, and then this is called.
        """
        self._name = name
        self._address = address
        self._connected_again = again
        self._attempt(lambda failure: None if failure is None or again is None else self._retry_later())

    def connect_notified(self, address: str, done: Done) -> None:
        """Use the bus at ``address`` unless one is connected already, and say how that went (C50)."""
        if self.connection is not None:
            done(None)
            return
        if self._opening is None:
            self._cancel_retry()
            self._name = NOTIFIED
            self._address = lambda: address
        self._attempt(done)

    def reconnect(self) -> None:
        """SIGUSR1 (C12): one attempt now if there is a bus to connect to and it is not connected."""
        if not self._name or self.connection is not None or self._opening is not None:
            return
        self._log(INFO, f"Reconnecting to {self._name}")
        retrying = self._cancel_retry()

        def done(failure: Failure) -> None:
            if failure is None:
                return
            self._log(WARN, f"Unable to connect to the {self._name}: {failure[1]}")
            if retrying:
                self._retry_later()

        self._attempt(done)

    @property
    def notified_address(self) -> Optional[str]:
        """The address that NotifyDBusAddress told, None if there is none (D217)."""
        return self._address() if self._name == NOTIFIED else None

    @property
    def wanted(self) -> bool:
        """Whether there is a connection, or one is being made, or there was one and it is tried again."""
        return any(each is not None for each in (self.connection, self._opening, self._retry, self._connected_again))

    def give_up_opening(self) -> None:
        """Say to everybody who waits for a connection that there is none: before a re-exec, which they would not survive."""
        if self._opening is not None:
            self._finish(("Failed", "The daemon is being re-executed"))

    def send_signal(self, message: Any) -> None:
        """Send a signal if connected (C1)."""
        if self.connection is not None:
            self.connection.send_message(message)

    def update_activation_environment(self, name: str, value: str) -> None:
        """Tell the bus a variable for the services that it starts, if connected (C84)."""
        if self.connection is None:
            return

        def replied(reply: Any) -> None:
            if isinstance(reply, ErrorMessage):
                self._log(WARN, f"Unable to update the environment of the {self._name}: {_failure(reply)[1]}")

        self._ask(self.connection, "UpdateActivationEnvironment", "a{ss}", ({text(name): text(value)},), replied)

    def disconnected(self, connection: Any) -> bool:
        """The connection broke; False if it was not the open one."""
        if connection is not self.connection:
            return False
        self.connection = None
        self._log(WARN, f"Disconnected from {self._name}")
        self._delay = _FIRST_DELAY
        self._retry_later()
        return True

    def close(self) -> None:
        """Leave the bus for good; the name is given up with the connection."""
        self._cancel_retry()
        for connection in (self.connection, self._opening):
            if connection is not None:
                connection.close()
        self.connection = self._opening = None

    # -- connecting --------------------------------------------------------------------------------------

    def _attempt(self, done: Done) -> None:
        self._waiting.append(done)
        if self._opening is not None:
            return
        try:
            connection = Connection(text(self._address()), self._glib)
        except DBusException as error:
            self._finish((error.get_dbus_name() or "Failed", error.get_dbus_message() or str(error)))
            return
        self._opening = connection
        self._ask(connection, "Hello", "", (), lambda reply: self._said_hello(connection, reply))

    def _said_hello(self, connection: Any, reply: Any) -> None:
        if connection is not self._opening:
            return
        if not isinstance(reply, MethodReturn) or reply.get_signature() != "s":
            self._finish(_failure(reply))
            return
        connection.set_unique_name(str(reply.get_args_list()[0]))
        # Before the name is asked for: whoever sees it may call (C9).
        self._export(connection)
        self._ask(connection, "RequestName", "su", (UPSTART_NAME, NAME_FLAG_DO_NOT_QUEUE),
                  lambda reply: self._got_name(connection, reply))

    def _got_name(self, connection: Any, reply: Any) -> None:
        if connection is not self._opening:
            return
        if not isinstance(reply, MethodReturn) or reply.get_signature() != "u":
            self._finish(_failure(reply))
            return
        result = reply.get_args_list()[0]
        if result in NAME_OWNED:
            self._finish(None)
        else:
            self._finish(("Failed", "Name already taken" if result == NAME_EXISTS else f"Name not given: {int(result)}"))

    def _finish(self, failure: Failure) -> None:
        connection, self._opening = self._opening, None
        if failure is None:
            self.connection = connection
            self._delay = _FIRST_DELAY
            self._log(DEBUG, f"control_bus_open: Connected to {self._name}")
            again, self._connected_again = self._connected_again, None
            if again is not None:
                again()
        elif connection is not None:
            self._withdraw(connection)
            connection.close()
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(failure)

    def _ask(self, connection: Any, member: str, signature: str, arguments: Tuple[Any, ...], replied: Callable[[Any], None]) -> None:
        message = MethodCall(destination=BUS_NAME, path=BUS_PATH, interface=BUS_INTERFACE, method=member)
        message.append(*arguments, signature=signature)
        connection.send_message_with_reply(message, replied)

    # -- trying again -------------------------------------------------------------------------------------

    def _retry_later(self) -> None:
        self._retry = self._loop.later(self._delay, self._retry_now)
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _retry_now(self) -> None:
        self._retry = None
        self._attempt(lambda failure: None if failure is None else self._retry_later())

    def _cancel_retry(self) -> bool:
        retry, self._retry = self._retry, None
        if retry is None:
            return False
        retry.cancel()
        return True


def _failure(reply: Any) -> Tuple[str, str]:
    """Name and text of an error reply, or of a reply that makes no sense."""
    if not isinstance(reply, ErrorMessage):
        return "Failed", "Unexpected reply from the bus"
    arguments = reply.get_args_list()
    return str(reply.get_error_name()), str(arguments[0]) if arguments else str(reply.get_error_name())

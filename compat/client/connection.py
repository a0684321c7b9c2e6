"""Finding the daemon, calling it, reading its replies (C102-C105, C137, C138).

Built on ``_dbus_bindings``, the C part of dbus-python, alone: the ``dbus`` package in front of it
takes longer to import than Python takes to start. On the private socket a peer needs no Hello, and
messages have no destination. A call is sent by ``begin`` and its reply taken by ``Call.result``, so
commands that need many replies send ahead; error replies arrive as messages, not as exceptions of
the ``dbus`` package, which would have to be imported first.
"""
from __future__ import annotations

import os

import _dbus_bindings as bindings

from .options import DEBUG, Invocation
from .output import Failure, UsageError, environment, printable, write

# What typing.TYPE_CHECKING says, without the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, TypeVar
    Item = TypeVar("Item")
    Begun = TypeVar("Begun")

MANAGER = "/com/ubuntu/Upstart"
UPSTART = "com.ubuntu.Upstart0_6"
JOB = UPSTART + ".Job"
INSTANCE = UPSTART + ".Instance"
PROPERTIES = "org.freedesktop.DBus.Properties"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
UNKNOWN_INSTANCE = UPSTART + ".Error.UnknownInstance"

_NAME = "com.ubuntu.Upstart"
_SYSTEM_ADDRESS = "unix:abstract=/com/ubuntu/upstart"
_BUS = "org.freedesktop.DBus"
_NO_REPLY = ("Did not receive a reply. Possible causes include: the remote application did not send a reply, the message bus "
             "security policy blocked the reply, the reply timeout expired, or the network connection was broken.")
#: Seconds that libdbus takes for "no limit", and for its own default of 25 (C79).
_FOREVER, _DEFAULT = 0x7FFFFFFF / 1000, -1.0


class _Peer(bindings.Connection):  # type: ignore[misc]
    """A class of our own: see compat/control/wire.py."""


#: How many items a command that reads many sends for, ahead of the one that it reads. A message bus
#: allows as few as 128 unanswered calls, and an item takes up to four.
AHEAD, _AHEAD_ON_BUS = 96, 12


class Refusal(Failure):
    """An error reply: ``name`` is the D-Bus error, ``text`` what is printed."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


class InvalidReply(Failure):
    """A reply that is not what the interface says (C72)."""

    def __init__(self) -> None:
        super().__init__("Invalid arguments received in reply")


class Call:
    """A call on its way. ``signature`` is that of a good reply."""

    def __init__(self, connection: Any, pending: Any, replies: list[Any], signature: str) -> None:
        # Held because a connection that nobody holds is closed, and the reply would not come.
        self._connection = connection
        self._pending = pending
        self._replies = replies
        self._signature = signature

    def result(self) -> Any:
        """Wait for the reply: its only value, None if it has none. Raises Refusal, InvalidReply."""
        self._pending.block()
        reply = self._replies[0]
        values = reply.get_args_list()
        if reply.get_type() == bindings.MESSAGE_TYPE_ERROR:
            raise Refusal(str(reply.get_error_name()), str(values[0]) if values and isinstance(values[0], str) else "")
        if reply.get_signature() != self._signature:
            raise InvalidReply
        return values[0] if values else None

    def text(self) -> str:
        """The result where it is a text or a path."""
        return _text(self.result())

    def texts(self) -> list[str]:
        """The result where it is a list of texts or paths."""
        return _list(self.result(), _text)

    def lists(self) -> list[list[str]]:
        """The result where it is a list of lists of texts."""
        return _list(self.result(), _texts)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidReply
    return value


def _texts(value: Any) -> list[str]:
    return _list(value, _text)


def _list(value: Any, item: Callable[[Any], Item]) -> list[Item]:
    if not isinstance(value, list):
        raise InvalidReply
    return [item(each) for each in value]


class Connection:
    """A connection to the daemon. ``destination``: whom to call on a bus; None on a private socket."""

    def __init__(self, connection: Any, destination: str | None = None, debug: bool = False) -> None:
        self._connection = connection
        self._destination = destination
        self._debug = debug
        self._tracked: set[str] = set()
        self._owner: Call | None = None
        self.ahead = AHEAD if destination is None else _AHEAD_ON_BUS
        if destination is not None:
            # One match and one look-up for all objects: they have one owner.
            rule = (f"type='signal',sender='{_BUS}',path='{bindings.BUS_DAEMON_PATH}',interface='{_BUS}',"
                    f"member='NameOwnerChanged',arg0='{destination}'")
            self._send(self._message(_BUS, bindings.BUS_DAEMON_PATH, _BUS, "AddMatch", "s", rule), "", _DEFAULT)
            self._owner = self._send(self._message(_BUS, bindings.BUS_DAEMON_PATH, _BUS, "GetNameOwner", "s", destination), "s", _DEFAULT)

    def _message(self, destination: str | None, path: str, interface: str, member: str, signature: str, *arguments: object) -> Any:
        message = bindings.MethodCallMessage(destination, path, interface, member)
        message.set_auto_start(False)
        if signature:
            try:
                message.append(*arguments, signature=signature)
            except UnicodeError as error:
                raise Failure(f"Not valid UTF-8: {printable(getattr(error, 'object', ''))}") from None
        return message

    def _send(self, message: Any, reply: str, limit: float) -> Call:
        replies: list[Any] = []
        try:
            pending = self._connection.send_message_with_reply(message, replies.append, limit)
        except bindings_error() as error:
            # The other side went away, which nobody could know when the call was made.
            raise Failure(_NO_REPLY) from error
        return Call(self._connection, pending, replies, reply)

    def begin(self, path: str, interface: str, member: str, signature: str = "", *arguments: object, reply: str = "",
              forever: bool = False) -> Call:
        """Send a call. ``signature`` and ``reply`` are those of the arguments and of a good reply.

        Nothing waits longer than 25 s for a reply, unless ``forever`` (C79). Raises Failure.
        """
        if self._debug and path not in self._tracked:
            self._tell_owner(path)
        return self._send(self._message(self._destination, path, interface, member, signature, *arguments), reply,
                          _FOREVER if forever else _DEFAULT)

    def call(self, path: str, interface: str, member: str, signature: str = "", *arguments: object, reply: str = "",
             forever: bool = False) -> Any:
        """As ``begin``, but waits for the reply: its value. Raises Refusal and Failure."""
        return self.begin(path, interface, member, signature, *arguments, reply=reply, forever=forever).result()

    def begin_get(self, path: str, interface: str, name: str, forever: bool = False) -> Call:
        """Ask for a property."""
        return self.begin(path, PROPERTIES, "Get", "ss", interface, name, reply="v", forever=forever)

    def job(self, name: str) -> str:
        """The path of a job. Raises Refusal for one that is not known."""
        return self.begin(MANAGER, UPSTART, "GetJobByName", "s", name, reply="o").text()

    def all_jobs(self) -> list[str]:
        """The paths of all jobs, in the daemon's order."""
        return self.begin(MANAGER, UPSTART, "GetAllJobs", reply="ao").texts()

    def _tell_owner(self, path: str) -> None:
        """The line that Upstart's client prints for each object that it talks to on a bus (C105)."""
        self._tracked.add(path)
        if self._owner is None:
            return
        try:
            state = "currently owned by " + self._owner.text()
        except Refusal:
            state = "not currently owned"
        write(1, f"nih_dbus_proxy_name_track: {self._destination} is {state}\n")


def bindings_error() -> type[Exception]:
    """The exception class of the bindings. Only called when one is under way, as it is in the ``dbus`` package."""
    from dbus.exceptions import DBusException
    error: type[Exception] = DBusException
    return error


def ahead(items: Iterable[Item], begin: Callable[[Item], Begun], count: int) -> Iterator[Begun]:
    """What ``begin`` makes of each item, in order, with ``count`` begun before the first is handed out.

    This is what makes reading from thousands of objects quick: the daemon works on the next calls
    while the reply to the first is read. It may be nested: what the inner one hands out is read and
    gives rise to the calls of the outer one.
    """
    begun: list[Begun] = []
    for item in items:
        begun.append(begin(item))
        if len(begun) > count:
            yield begun.pop(0)
    yield from begun


def uses_private_socket(invocation: Invocation) -> bool:
    """Whether a session's daemon is meant, by option or by the environment (C102)."""
    return invocation.has("user") or (not invocation.bus and bool(environment("UPSTART_SESSION")))


def connect(invocation: Invocation) -> Connection:
    """A connection to the daemon that is meant (C102). Raises Failure where none is reached (C103), UsageError."""
    debug = invocation.loudness == DEBUG
    if uses_private_socket(invocation):
        address = environment("UPSTART_SESSION")
        if address is None:
            raise Failure("UPSTART_SESSION isn't set in the environment. Unable to locate the Upstart instance.")
        return Connection(_opened("Upstart", _Peer, address))
    if not invocation.bus and os.getuid() == 0:
        if invocation.destination is not None:
            raise UsageError("--dest given without --system")
        return Connection(_opened("Upstart", _Peer, _SYSTEM_ADDRESS))
    destination = _NAME if invocation.destination is None else invocation.destination
    try:
        bindings.validate_bus_name(destination)
    except (ValueError, UnicodeError):
        raise Failure(f"Invalid bus name: {printable(destination)}") from None
    bus = invocation.bus or "system"
    connection = _opened(f"{bus} bus", _Peer._new_for_bus, bindings.BUS_SESSION if bus == "session" else bindings.BUS_SYSTEM)
    connection.set_exit_on_disconnect(False)
    return Connection(connection, destination, debug)


def connect_system() -> Connection:
    """A connection to the system's daemon on its private socket, whatever the environment says (§4.19). Raises Failure."""
    return Connection(_opened("", _Peer, _SYSTEM_ADDRESS))


def _opened(what: str, opener: Callable[[Any], Any], address: object) -> Any:
    try:
        return opener(address)
    except UnicodeError:
        reason = "Address is not valid UTF-8"
    except bindings_error() as error:
        reason = str(error.args[0]) if error.args else str(error)
    raise Failure(f"Unable to connect to {what}: {reason}" if what else reason)

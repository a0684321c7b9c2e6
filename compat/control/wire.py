"""The one module that touches libdbus, by way of dbus-python's low-level bindings.

dbus-python has no type stubs, so its classes are ``Any`` here and plain types everywhere else.
``dbus.service`` is not used: it makes an object and a dozen callbacks for each exported path on
each connection, while this service answers for thousands of paths with one callback.
"""
from __future__ import annotations

import importlib
import os
import select
import socket
import struct
from typing import Any

_bindings: Any = importlib.import_module("_dbus_bindings")
_exceptions: Any = importlib.import_module("dbus.exceptions")

MethodCall: Any = _bindings.MethodCallMessage
MethodReturn: Any = _bindings.MethodReturnMessage
ErrorMessage: Any = _bindings.ErrorMessage
SignalMessage: Any = _bindings.SignalMessage
String: Any = _bindings.String
Array: Any = _bindings.Array
DBusException: Any = _exceptions.DBusException
validate_error_name: Any = _bindings.validate_error_name


# Classes of our own, because instances of dbus-python's base classes corrupt memory on Python 3.13 with dbus-python
# 1.4.0: these ask for weak references without being known to the garbage collector.


class Connection(_bindings.Connection):  # type: ignore[misc]
    """A connection to a bus or to a peer."""


class Server(_bindings._Server):  # type: ignore[misc]
    """A private socket."""


HANDLED: int = _bindings.HANDLER_RESULT_HANDLED
NOT_YET_HANDLED: int = _bindings.HANDLER_RESULT_NOT_YET_HANDLED
LOCAL_INTERFACE: str = _bindings.LOCAL_IFACE
BUS_NAME: str = _bindings.BUS_DAEMON_NAME
BUS_PATH: str = _bindings.BUS_DAEMON_PATH
BUS_INTERFACE: str = _bindings.BUS_DAEMON_IFACE
PROPERTIES_INTERFACE: str = _bindings.PROPERTIES_IFACE
INTROSPECTABLE_INTERFACE: str = _bindings.INTROSPECTABLE_IFACE
NAME_FLAG_DO_NOT_QUEUE: int = _bindings.NAME_FLAG_DO_NOT_QUEUE
#: RequestName replies that mean that the name is ours.
NAME_OWNED = (_bindings.REQUEST_NAME_REPLY_PRIMARY_OWNER, _bindings.REQUEST_NAME_REPLY_ALREADY_OWNER)
NAME_EXISTS: int = _bindings.REQUEST_NAME_REPLY_EXISTS
#: The document type of introspection data, as libdbus writes it.
INTROSPECTION_HEADER: str = _bindings.DBUS_INTROSPECT_1_0_XML_DOCTYPE_DECL_NODE

#: Upstart's own interfaces and errors.
INTERFACE = "com.ubuntu.Upstart0_6"
JOB_INTERFACE = INTERFACE + ".Job"
INSTANCE_INTERFACE = INTERFACE + ".Instance"
UPSTART_NAME = "com.ubuntu.Upstart"
#: Ours (chapter 6).
HOST_INTERFACE = "org.upstartcompat.Host1"
EXPLANATION_INTERFACE = "org.upstartcompat.Job1"
PLACEMENT_INTERFACE = "org.upstartcompat.Instance1"
#: Of the calls by which relays hand on calls that waited over a re-exec (kept_clients.py).
KEPT_CALL = "Kept"
_FREEDESKTOP_ERROR = "org.freedesktop.DBus.Error."
_FREEDESKTOP_ERRORS = frozenset(("InvalidArgs", "Failed", "UnknownMethod", "AccessDenied", "NoMemory"))


def glib_main_loop() -> Any:
    """What attaches a connection or a server to GLib's default context, which compat.loop runs."""
    return importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()


def error_name(error: str) -> str:
    """The full D-Bus name of an error that Refuse names by its last part; full names stay (C4.9)."""
    if "." in error:
        return error
    return (_FREEDESKTOP_ERROR if error in _FREEDESKTOP_ERRORS else INTERFACE + ".Error.") + error


def text(value: str) -> str:
    """A string as D-Bus takes it: valid UTF-8 without NUL; what is not becomes U+FFFD."""
    if value.isascii():
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in value else value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def outgoing(value: Any) -> Any:
    """A value to be sent: ``text`` applied to every plain string in it. What ``variant`` made stays as it is."""
    kind = type(value)
    if kind is str:
        return text(value)
    if kind is list or kind is tuple:
        return kind(map(outgoing, value))
    return value


def variant(signature: str, value: Any) -> Any:
    """The content of a variant, with a type that does not have to be guessed (of an empty array: could not)."""
    value = outgoing(value)
    return Array(value, signature=signature[1:]) if signature[0] == "a" else String(value)


def is_string_variant(value: Any) -> bool:
    """Whether a received variant holds exactly a string."""
    return type(value) is String and value.variant_level == 1


def incoming(signature: str, value: Any) -> Any:
    """A received argument without dbus-python's types; variants and descriptors stay as they are."""
    if signature == "s":
        return str(value)
    if signature == "b":
        return bool(value)
    if signature == "as":
        return tuple(map(str, value))
    return value


def writable(connection: Any) -> bool:
    """Whether the connection's socket takes more; if not, its peer is behind in reading."""
    fd = connection.get_unix_fd()
    if fd is None:
        return False
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))


def bare_call(serial: int, no_reply: bool) -> bytes:
    """A method call as it goes over a socket, that says nothing but its serial: member KEPT_CALL of object /."""
    def field(code: int, signature: bytes, value: str) -> bytes:
        return struct.pack("<BBcBI", code, 1, signature, 0, len(value)) + value.encode("ascii") + b"\0"

    fields = field(1, b"o", "/")
    fields += b"\0" * (-len(fields) % 8) + field(3, b"s", KEPT_CALL)
    header = struct.pack("<cBBBIII", b"l", 1, int(no_reply), 1, 0, serial, len(fields)) + fields
    return header + b"\0" * (-len(header) % 8)


def peer_address(connection: Any) -> bytes:
    """The address of the other end of a private connection, empty if it has none."""
    fd = connection.get_unix_fd()
    if fd is None:
        return b""
    try:
        with socket.socket(fileno=os.dup(fd)) as end:
            name = end.getpeername()
    except OSError:
        return b""
    return name if isinstance(name, bytes) else name.encode()

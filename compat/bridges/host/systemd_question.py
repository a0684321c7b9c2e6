"""Asks systemd whether, and how, the host goes down (B218, B223).

On root's private socket, which is there when the message bus is not any more.
"""
from __future__ import annotations

import importlib
from typing import Any, Callable, List, Optional, Tuple

from .ways_down import WayDown, way_down

PRIVATE_ADDRESS = "unix:path=/run/systemd/private"
SYSTEMD = "org.freedesktop.systemd1"
MANAGER = "/org/freedesktop/systemd1"
_MANAGER_INTERFACE = SYSTEMD + ".Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
#: In seconds.
_PATIENCE = 5.0

_bindings: Any = importlib.import_module("_dbus_bindings")


def dbus_failure() -> Any:
    """The exception of the bindings. Loading it loads the ``dbus`` package, which takes longer than all that is done here."""
    return importlib.import_module("dbus.exceptions").DBusException


def ask(address: str = PRIVATE_ADDRESS) -> Optional[WayDown]:
    """Ask and wait for the answer, five seconds at most; None also where systemd cannot be asked."""
    try:
        connection = _bindings.Connection(address)
    except dbus_failure():
        return None
    try:
        replies: List[Any] = []
        for call in [connection.send_message_with_reply(message, replies.append, _PATIENCE) for message in _questions()]:
            call.block()
        return _judge(replies)
    except dbus_failure():
        return None
    finally:
        connection.close()


def ask_later(done: Callable[[Optional[WayDown], bool], None], glib: Any, address: str = PRIVATE_ADDRESS) -> None:
    """Ask, and call back with the answer and whether there was one. ``glib`` attaches the connection to GLib's main loop."""
    try:
        connection = _bindings.Connection(address, glib)
    except dbus_failure():
        done(None, False)
        return
    replies: List[Any] = []

    def replied(reply: Any) -> None:
        replies.append(reply)
        if len(replies) == 2:
            # Not in a callback of its own: libdbus still needs it there.
            answer = _judge(replies)
            connection.close()
            done(answer, all(isinstance(each, _bindings.MethodReturnMessage) for each in replies))

    for message in _questions():
        connection.send_message_with_reply(message, replied, _PATIENCE)


def _questions() -> Tuple[Any, Any]:
    # In this order: systemd 252 leaves a first message that has no body lying until a second one comes.
    jobs = _bindings.MethodCallMessage(SYSTEMD, MANAGER, _MANAGER_INTERFACE, "ListJobs")
    state = _bindings.MethodCallMessage(SYSTEMD, MANAGER, _PROPERTIES, "Get")
    state.append(_MANAGER_INTERFACE, "SystemState", signature="ss")
    return state, jobs


def _judge(replies: List[Any]) -> Optional[WayDown]:
    jobs: List[Tuple[str, str]] = []
    state = ""
    for reply in replies:
        if isinstance(reply, _bindings.MethodReturnMessage):
            if reply.get_signature() == "a(usssoo)":
                jobs = [(str(job[1]), str(job[2])) for job in reply.get_args_list()[0]]
            elif reply.get_signature() == "v":
                state = str(reply.get_args_list()[0])
    return way_down(jobs, state)

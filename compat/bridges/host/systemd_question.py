"""Asks systemd whether, and how, the host goes down, or whether the daemon alone is started anew (B218, B223, B237).

On root's private socket, which is there when the message bus is not any more.
"""
from __future__ import annotations

import importlib
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from .peer import Peer
from .ways_down import DAEMON, WayDown, way_down

PRIVATE_ADDRESS = "unix:path=/run/systemd/private"
SYSTEMD = "org.freedesktop.systemd1"
MANAGER = "/org/freedesktop/systemd1"
_MANAGER_INTERFACE = SYSTEMD + ".Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
#: In seconds.
_PATIENCE = 5.0


class Answer(NamedTuple):
    """``way``: None if the host does not go down. ``answered``: False where systemd cannot be asked.

    ``restarts``: the daemon's service is being stopped to be started again.
    """

    way: Optional[WayDown] = None
    answered: bool = False
    restarts: bool = False


_bindings: Any = importlib.import_module("_dbus_bindings")


def dbus_failure() -> Any:
    """The exception of the bindings. Loading it loads the ``dbus`` package, which takes longer than all that is done here."""
    return importlib.import_module("dbus.exceptions").DBusException


def ask(address: str = PRIVATE_ADDRESS) -> Optional[WayDown]:
    """Ask and wait for the answer, five seconds at most; None also where systemd cannot be asked."""
    try:
        connection = Peer(address)
    except dbus_failure():
        return None
    try:
        replies: List[Any] = []
        for call in [connection.send_message_with_reply(message, replies.append, _PATIENCE) for message in _questions()]:
            call.block()
        return _judge(replies).way
    except dbus_failure():
        return None
    finally:
        connection.close()


def ask_later(done: Callable[[Answer], None], glib: Any, address: str = PRIVATE_ADDRESS) -> None:
    """Ask, and call back with the answer. ``glib`` attaches the connection to GLib's main loop."""
    try:
        connection = Peer(address, glib)
    except dbus_failure():
        done(Answer())
        return
    replies: List[Any] = []

    def replied(reply: Any) -> None:
        replies.append(reply)
        if len(replies) == 2:
            # Not in a callback of its own: libdbus still needs it there.
            answer = _judge(replies)
            connection.close()
            done(answer)

    for message in _questions():
        connection.send_message_with_reply(message, replied, _PATIENCE)


def _questions() -> Tuple[Any, Any]:
    # In this order: systemd 252 leaves a first message that has no body lying until a second one comes.
    jobs = _bindings.MethodCallMessage(SYSTEMD, MANAGER, _MANAGER_INTERFACE, "ListJobs")
    state = _bindings.MethodCallMessage(SYSTEMD, MANAGER, _PROPERTIES, "Get")
    state.append(_MANAGER_INTERFACE, "SystemState", signature="ss")
    return state, jobs


def _judge(replies: List[Any]) -> Answer:
    jobs: List[Tuple[str, str]] = []
    state = ""
    for reply in replies:
        if isinstance(reply, _bindings.MethodReturnMessage):
            if reply.get_signature() == "a(usssoo)":
                jobs = [(str(job[1]), str(job[2])) for job in reply.get_args_list()[0]]
            elif reply.get_signature() == "v":
                state = str(reply.get_args_list()[0])
    way = way_down(jobs, state)
    answered = all(isinstance(each, _bindings.MethodReturnMessage) for each in replies)
    return Answer(way, answered, way is None and (DAEMON, "restart") in jobs)

"""Talks to logind on the system bus: announcements of a shutdown, the delay lock, new sessions (B221, B268).

Nothing here waits. The bus, and logind on it, may come later, go and come again: the connection is made anew as soon as there
is a socket, with growing pauses if that does not answer, and everything that is needed is asked for again.
"""
from __future__ import annotations

import importlib
import os
from typing import Any, Callable, Optional

from ...loop import MainLoop, Timer
from .awaited_path import AwaitedPath
from .peer import Peer

_LOGIN = "org.freedesktop.login1"
_PATH = "/org/freedesktop/login1"
_MANAGER = _LOGIN + ".Manager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
_PATIENCE = 25.0
_DEFAULT_DELAY = 5.0
_BY_PATH = "unix:path="
_WITH_KIND, _WITHOUT_KIND = "PrepareForShutdownWithMetadata", "PrepareForShutdown"
_GRAPHICAL = ("x11", "wayland", "mir")

_bindings: Any = importlib.import_module("_dbus_bindings")
_exceptions: Any = importlib.import_module("dbus.exceptions")


class LogindSource:
    """``prepare(begins, kind, delay)`` as DelayLock's, ``lost`` too; ``session(user, display_manager)``: somebody's desktop is new."""

    def __init__(self, loop: MainLoop, glib: Any, prepare: Callable[[bool, str, float], None], lost: Callable[[], None],
                 session: Callable[[str, str], None], address: Optional[str] = None) -> None:
        self._loop = loop
        self._glib = glib
        self._prepare = prepare
        self._lost = lost
        self._session = session
        self._address = address or os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"
        self._connection: Any = None
        self._ready = False
        self._owner = ""
        self._pause = _FIRST_PAUSE
        self._retry: Optional[Timer] = None
        self._socket: Optional[AwaitedPath] = None
        self._want_lock = False
        self._lock_fd = -1
        #: the shutdown that was announced last, unless it was cancelled; and whether it has been told
        self._shutdown: Optional[object] = None
        self._told = False
        self._connect()

    def take_lock(self) -> None:
        """As logind.Logind."""
        self._want_lock = True
        if self._ready:
            self._ask_for_lock()

    def release_lock(self) -> None:
        """As logind.Logind."""
        self._want_lock = False
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def close(self) -> None:
        """Leave the bus."""
        self.release_lock()
        if self._retry is not None:
            self._retry.cancel()
        if self._socket is not None:
            self._socket.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # -- connecting ------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._retry = self._socket = None
        try:
            connection = Peer(self._address, self._glib)
        except _exceptions.DBusException:
            self._again()
            return
        self._connection = connection
        connection.set_exit_on_disconnect(False)
        connection.add_message_filter(self._on_message)
        self._call(_bindings.BUS_DAEMON_NAME, _bindings.BUS_DAEMON_PATH, _bindings.BUS_DAEMON_IFACE, "Hello", "", (), self._greeted)

    def _greeted(self, name: Any) -> None:
        self._connection.set_unique_name(str(name))
        self._pause = _FIRST_PAUSE
        self._bus("AddMatch", f"type='signal',sender='{_LOGIN}',path='{_PATH}',interface='{_MANAGER}'", lambda: None)
        self._bus("AddMatch", f"type='signal',sender='{_bindings.BUS_DAEMON_NAME}',member='NameOwnerChanged',arg0='{_LOGIN}'", lambda: None)
        self._bus("GetNameOwner", _LOGIN, self._owned)

    def _owned(self, owner: Any = "") -> None:
        self._owner = str(owner)
        self._ready = bool(owner)
        if self._ready and self._want_lock:
            self._ask_for_lock()

    def _gone(self) -> None:
        self._ready, self._owner, self._shutdown, self._told = False, "", None, False
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
        self._lost()

    def _again(self) -> None:
        path = self._address[len(_BY_PATH):].partition(",")[0] if self._address.startswith(_BY_PATH) else ""
        if path and not os.path.exists(path):
            self._pause = _FIRST_PAUSE
            self._socket = AwaitedPath(path, self._loop, self._connect)
            return
        self._retry = self._loop.later(self._pause, self._connect)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    # -- the lock ----------------------------------------------------------------------------------------------

    def _ask_for_lock(self) -> None:
        if self._lock_fd < 0:
            self._call(_LOGIN, _PATH, _MANAGER, "Inhibit", "ssss", ("shutdown", "upstart-compat", "Stopping Upstart jobs", "delay"),
                       self._locked)

    def _locked(self, fd: Any) -> None:
        taken = fd.take()
        if self._want_lock and self._lock_fd < 0:
            self._lock_fd = taken
        else:
            os.close(taken)

    # -- what comes ----------------------------------------------------------------------------------------------

    def _on_message(self, connection: Any, message: Any) -> int:
        if connection is self._connection and isinstance(message, _bindings.SignalMessage):
            member, interface, sender = message.get_member(), message.get_interface(), message.get_sender()
            arguments = message.get_args_list()
            if interface == _bindings.LOCAL_IFACE and member == "Disconnected":
                self._connection = None
                self._gone()
                self._again()
            elif sender == _bindings.BUS_DAEMON_NAME and member == "NameOwnerChanged":
                self._gone()
                self._owned(arguments[2])
            elif sender == self._owner and interface == _MANAGER:
                self._from_logind(str(member), arguments)
        return int(_bindings.HANDLER_RESULT_NOT_YET_HANDLED)

    def _from_logind(self, member: str, arguments: Any) -> None:
        if member in (_WITH_KIND, _WITHOUT_KIND):
            if not arguments[0]:
                self._cancelled()
            elif self._shutdown is None:
                # With the kind it comes first; the one without follows.
                self._announced(str(arguments[1].get("type", "")) if member == _WITH_KIND else None)
        elif member == "SessionNew":
            self._call(_LOGIN, str(arguments[1]), _PROPERTIES, "GetAll", "s", (_LOGIN + ".Session",), self._got_session)

    def _announced(self, kind: Optional[str]) -> None:
        """Ask what is not known yet, and then tell, unless it has been cancelled by then. ``kind`` None: it is asked for as well."""
        shutdown = self._shutdown = object()

        def tell(kind: str, delay: int) -> None:
            if self._shutdown is shutdown:
                self._told = True
                self._prepare(True, kind, delay / 1000000)

        def ask_for_delay(kind: str) -> None:
            self._get("InhibitDelayMaxUSec", lambda delay: tell(kind, delay))

        if kind is None:
            self._get("ScheduledShutdown", lambda scheduled: ask_for_delay(str(scheduled[0])))
        else:
            ask_for_delay(kind)

    def _cancelled(self) -> None:
        told, self._shutdown, self._told = self._told, None, False
        if told:
            self._prepare(False, "", _DEFAULT_DELAY)

    def _got_session(self, properties: Any) -> None:
        if properties.get("Class") == "user" and properties.get("Type") in _GRAPHICAL:
            # gdm-password, lightdm, sddm-autologin …
            self._session(str(properties.get("Name", "")), str(properties.get("Service", "")).partition("-")[0])

    # -- calls -----------------------------------------------------------------------------------------------------

    def _get(self, name: str, take: Callable[[Any], None]) -> None:
        self._call(_LOGIN, _PATH, _PROPERTIES, "Get", "ss", (_MANAGER, name), take)

    def _bus(self, member: str, argument: str, take: Callable[..., None]) -> None:
        self._call(_bindings.BUS_DAEMON_NAME, _bindings.BUS_DAEMON_PATH, _bindings.BUS_DAEMON_IFACE, member, "s", (argument,), take)

    def _call(self, destination: str, path: str, interface: str, member: str, signature: str, arguments: "tuple[Any, ...]",
              take: Callable[..., None]) -> None:
        """``take`` gets the values of a good reply; for any other it is as if nothing had been asked."""
        connection = self._connection
        message = _bindings.MethodCallMessage(destination, path, interface, member)
        message.set_auto_start(False)
        if signature:
            message.append(*arguments, signature=signature)

        def replied(reply: Any) -> None:
            if connection is self._connection and isinstance(reply, _bindings.MethodReturnMessage):
                take(*reply.get_args_list())

        try:
            connection.send_message_with_reply(message, replied, _PATIENCE)
        except _exceptions.DBusException:
            # Broken; that is told by a signal of its own.
            pass

"""The D-Bus service as the daemon sees it: one object that takes calls in and carries answers out.

Every connection has one callback, for all paths. A call goes path → kind of object and target →
(interface, member) → Method → handler. The handler answers from the engine's view, or it feeds the
engine an input that carries the call's number; then the answer comes back as an action, at once or
much later, and ``perform`` sends it.
"""
from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type, Union

from ..engine import actions
from ..engine.view import EngineView, Refused
from ..loop import MainLoop
from ..state.reading import Record, Unreadable, flag
from .announcements import SIGNALS
from .bus import NOTIFIED, SESSION, SYSTEM, Bus, session_bus_address, system_bus_address
from .calls import Call, Caller, PendingCalls
from .host_object import HostObject
from .instance_object import InstanceObject
from .instance_placement import InstancePlacement
from .interfaces import Interface, InvalidArguments, Method, ObjectKind, UnknownMember, bare_introspection
from .job_conditions import JobConditions
from .job_object import JobObject
from .kept_clients import KeptClients
from .manager_object import ManagerObject
from .paths import JOBS, MANAGER, escape, unescape
from .permissions import NOBODY, Callers, Permissions
from .properties import properties_interface
from .server import PrivateServer
from .services import DaemonServices, HostServices
from .wire import (
    HANDLED,
    INTERFACE,
    INTROSPECTABLE_INTERFACE,
    LOCAL_INTERFACE,
    NOT_YET_HANDLED,
    MethodCall,
    SignalMessage,
    glib_main_loop,
)

#: Nodes above the manager object, with the one child of each.
_ANCESTORS = {"/": "com", "/com": "ubuntu", "/com/ubuntu": "Upstart"}
_JOBS_PREFIX = JOBS + "/"
#: At the daemon's exit: how long who is slow to read what he is sent holds it up.
_LAST_SECONDS = 1.0


class Control:
    """The service.

    ``feed(input)`` hands an input to the engine and carries out what it answers before returning.
    ``log(priority, text)`` writes one line of the daemon's log. The engine may be exchanged for
    another view of the same jobs only by making a new Control. ``host`` is there in host mode.
    """

    def __init__(self, engine: EngineView, feed: Callable[[Any], None], services: DaemonServices,
                 log: Callable[[int, str], None], loop: MainLoop, host: Optional[HostServices] = None) -> None:
        glib = glib_main_loop()
        self._engine = engine
        self._services = services
        self._log = log
        self._permissions = Permissions(services)
        self._pending = PendingCalls()
        self._kept = KeptClients(self._pending, loop, self._answer_call)
        #: For each connection that objects are on: who its callers are, None on a private one.
        self._callers: Dict[Any, Optional[Callers]] = {}
        self._server = PrivateServer(glib, loop, log, self._export_private)
        self._bus = Bus(glib, loop, log, self._export_bus, self._withdraw)
        self._was_on_bus = False
        self._closing = False
        introspectable = Interface(INTROSPECTABLE_INTERFACE, (Method("Introspect", "", "data:s", self._introspect),))

        def kind(own: Interface, *further: Interface) -> ObjectKind:
            return ObjectKind(own, (properties_interface(own, *further), introspectable, *further))

        manager = ManagerObject(engine, feed, self._pending, self._permissions, services, self._bus, log)
        self._host = None if host is None else HostObject(host, self._is_private)
        further = () if self._host is None else (self._host.interface(),)
        self._manager_kind = kind(manager.interface(), *further)
        self._job_kind = kind(JobObject(engine, feed, self._pending, self._permissions).interface(),
                              JobConditions(engine, services.event_source).interface())
        self._instance_kind = kind(InstanceObject(feed, self._pending, self._permissions).interface(),
                                   InstancePlacement(services).interface())

    # -- what the daemon calls ---------------------------------------------------------------------------

    def listen(self, address: str, kept: bool = False) -> bool:
        """Open the private socket, after the configuration was read and before the bus (C4). False, and a warning, on failure.

        ``kept``: go on with the one that a daemon before this one had (listening_socket.py).
        """
        return self._server.listen(address, kept)

    def hand_over(self, leave_out: Sequence[Call], at_once: bool) -> Optional[Dict[str, Any]]:
        """Before a re-exec: see to everything that was asked for, then plain data for ``take_over`` (kept_clients.py).

        Everything that is said here later may be lost. The clients that made the calls ``leave_out`` are not kept (D176).
        None: somebody is just connecting, so ask again soon, unless it has to be ``at_once``.
        """
        on_bus = self._bus.wanted
        self._bus.give_up_opening()
        handed = self._kept.hand_over(self._ask_host_again, lambda: self._to_be_kept(leave_out),
                                      lambda: self._server.authenticating, self._server.listening_descriptor, at_once)
        return None if handed is None else {**handed, "on_bus": int(on_bus)}

    def _ask_host_again(self) -> None:
        if self._host is not None:
            self._host.ask_again()

    def _to_be_kept(self, leave_out: Sequence[Call]) -> List[Any]:
        """Clients whose calls the engine answers, if anybody does; what they have sent was read."""
        left_out = [call.connection for call in (*leave_out, *self._waiting_for_host())]
        return [each for each in self._server.clients() if each not in left_out]

    def go_on(self) -> None:
        """After ``hand_over``, if the exec failed."""
        self._kept.go_on()

    def take_over(self, section: Record, last_call: int, usable: Callable[[int], bool]) -> List[int]:
        """After a re-exec, before anything is fed: the clients' descriptors (KeptClients.take_over)."""
        try:
            self._was_on_bus = section.get("on_bus", flag, False)
        except Unreadable:
            pass
        return self._kept.take_over(section, last_call, usable)

    def join_clients(self, address: str) -> None:
        """After ``listen``: serve again who was connected before the re-exec, and tell them (D183)."""
        self._kept.join(address)
        self._server.send_signal(SignalMessage(MANAGER, INTERFACE, "Restarted"))

    def _on_bus_again(self) -> None:
        self._bus.send_signal(SignalMessage(MANAGER, INTERFACE, "Restarted"))

    def _use_bus(self, name: str, address: Callable[[], str]) -> None:
        self._bus.connect(name, address, self._on_bus_again if self._was_on_bus else None)

    @property
    def bus_address(self) -> Optional[str]:
        """The address that NotifyDBusAddress told (D217)."""
        return self._bus.notified_address

    def connect_notified_bus(self, address: str) -> None:
        """Connect to the bus that was notified before a re-exec (D217)."""
        self._use_bus(NOTIFIED, lambda: address)

    def connect_system_bus(self) -> None:
        """Connect to the system bus; done in system mode only (C10, D147 BEYOND)."""
        self._use_bus(SYSTEM, system_bus_address)

    def connect_session_bus(self) -> None:
        """Connect to the session bus instead: --session or UPSTART_USE_SESSION_BUS (C10)."""
        self._use_bus(SESSION, session_bus_address)

    def reconnect_bus(self) -> None:
        """SIGUSR1 (C12). Without effect where no bus was ever asked for (--no-dbus, --user)."""
        self._bus.reconnect()

    def perform(self, action: Any) -> None:
        """Carry out one of ``ACTIONS``."""
        try:
            build = SIGNALS.get(type(action))
            if build is None:
                _OTHER_ACTIONS[type(action)](self, action)
            elif self._server.open or self._bus.connection is not None:
                message = build(action)
                self._server.send_signal(message)
                self._bus.send_signal(message)
        except Exception as error:
            self._log(actions.ERROR, f"{type(action).__name__} on D-Bus: {_describe(error)}")

    def close(self) -> None:
        """Close everything, at the daemon's exit; what has been answered is sent first as far as its receiver reads."""
        self._closing = True
        self._kept.write(_LAST_SECONDS)
        self._server.close()
        self._bus.close()
        self._kept.close()

    @property
    def pending(self) -> PendingCalls:
        """Whom the engine's answers go to, for callers that come another way than by D-Bus."""
        return self._pending

    @property
    def pending_calls(self) -> int:
        """How many calls wait for an answer."""
        return len(self._pending) + len(self._waiting_for_host())

    def _waiting_for_host(self) -> Sequence[Call]:
        return () if self._host is None else self._host.waiting

    @property
    def connections(self) -> int:
        """How many connections objects are on."""
        return len(self._callers)

    # -- actions -------------------------------------------------------------------------------------------

    def _answer(self, action: Union[actions.Answer, actions.Refuse]) -> None:
        call = self._pending.leave(action.call)
        if call is None:
            self._kept.answered(action.call, action)
        else:
            self._answer_call(call, action)

    @staticmethod
    def _answer_call(call: Caller, action: Union[actions.Answer, actions.Refuse]) -> None:
        if isinstance(action, actions.Answer):
            call.succeed_with_instance(action.result)
        else:
            call.fail(action.error, action.message)

    def _update_activation_environment(self, action: actions.ActivationEnvironment) -> None:
        if self._services.user_mode:
            self._bus.update_activation_environment(action.name, action.value)

    # -- connections -----------------------------------------------------------------------------------------

    def _is_private(self, connection: Any) -> bool:
        return connection in self._callers and self._callers[connection] is None

    def _export_private(self, connection: Any) -> None:
        self._callers[connection] = None
        self._kept.accepted(connection)
        connection._register_object_path("/", self._on_message, fallback=True)

    def _export_bus(self, connection: Any) -> None:
        self._callers[connection] = Callers(connection, lambda message, uid: self._serve(connection, message, uid))
        connection._register_object_path("/", self._on_message, fallback=True)

    def _withdraw(self, connection: Any) -> None:
        if connection in self._callers:
            del self._callers[connection]
            connection._unregister_object_path("/")
            self._pending.drop_connection(connection)
            if self._host is not None:
                self._host.drop_connection(connection)
            self._kept.disconnected(connection)

    def _on_disconnected(self, connection: Any) -> None:
        self._withdraw(connection)
        if not self._server.disconnected(connection):
            self._bus.disconnected(connection)

    # -- calls -------------------------------------------------------------------------------------------------

    def _on_message(self, connection: Any, message: Any) -> int:
        if not isinstance(message, MethodCall):
            # libdbus makes this signal itself, and refuses it from a peer.
            if message.get_interface() == LOCAL_INTERFACE and message.get_member() == "Disconnected":
                self._on_disconnected(connection)
            return NOT_YET_HANDLED
        if self._closing:
            return HANDLED
        callers = self._callers.get(connection)
        if callers is None:
            self._server.heard(connection)
            if self._kept.call(connection, message):
                return HANDLED
            self._serve(connection, message, None)
        elif not callers.must_wait(message.get_sender(), message):
            self._serve(connection, message, None)
        return HANDLED

    def _serve(self, connection: Any, message: Any, uid: Optional[int]) -> None:
        """Serve one call, see to it that it is answered, and let no exception out. ``uid`` None: not asked for yet."""
        call = Call(connection, message)
        try:
            self._dispatch(call, uid)
            return
        except Refused as refused:
            error, text = refused.error, refused.message
        except UnknownMember:
            error, text = "UnknownMethod", _unknown_method(message)
        except InvalidArguments as invalid:
            error, text = "InvalidArgs", f"Invalid arguments to {invalid}"
        except MemoryError:
            error, text = "NoMemory", "Out of Memory"
        except Exception as failure:
            if isinstance(failure, OSError) and failure.strerror:
                error, text = "Failed", failure.strerror
            else:
                error, text = "Failed", f"Internal error: {_describe(failure)}"
                self._log(actions.ERROR, f"{message.get_member()} on {message.get_path()}: {_describe(failure)}")
        self._pending.leave(call.number)
        if not call.answered:
            call.fail(error, text)

    def _dispatch(self, call: Call, uid: Optional[int]) -> None:
        message = call.message
        path, interface, member = message.get_path(), message.get_interface(), message.get_member()
        kind, target = self._find(path)
        if kind is None:
            if member != "Introspect" or interface not in (None, INTROSPECTABLE_INTERFACE):
                raise UnknownMember
            method: Optional[Method] = self._manager_kind.method(INTROSPECTABLE_INTERFACE, member)
        else:
            method = kind.method(interface, member)
        if method is None:
            raise UnknownMember
        if message.get_signature() != method.signature:
            raise InvalidArguments(f"{method.name} method")
        if method.guarded and self._permissions.needed:
            if uid is None:
                uid = self._identify(call)
                if uid is None:
                    return
            call.uid = uid
        call.method = method
        arguments = method.plain_arguments(message.get_args_list()) if method.arguments else ()
        result = method.handler(call, target, *arguments)
        if not method.later:
            call.succeed(result)

    def _identify(self, call: Call) -> Optional[int]:
        """The caller's uid; None if the call was put aside until the bus tells it (C35)."""
        callers = self._callers.get(call.connection)
        if callers is None:
            uid = call.connection.get_peer_unix_user()
            return NOBODY if uid is None else int(uid)
        sender = call.message.get_sender()
        uid = callers.uid(sender)
        if uid is None:
            callers.ask(sender, call.message)
        return uid

    # -- objects -------------------------------------------------------------------------------------------------

    def _find(self, path: str) -> Tuple[Optional[ObjectKind], Any]:
        """The object at a path, (None, None) if there is none (C20)."""
        if path == MANAGER:
            return self._manager_kind, None
        if path.startswith(_JOBS_PREFIX):
            elements = path[len(_JOBS_PREFIX):].split("/")
            name = unescape(elements[0])
            job = None if name is None else self._engine.job(name)
            if job is not None:
                if len(elements) == 1:
                    return self._job_kind, job
                if len(elements) == 2:
                    name = unescape(elements[1])
                    instance = None if name is None else job.instance(name)
                    if instance is not None:
                        return self._instance_kind, (job, instance)
        return None, None

    def _introspect(self, call: Call, target: Any) -> str:
        path = call.message.get_path()
        kind, target = self._find(path)
        if kind is None:
            children = list(map(escape, self._engine.job_names())) if path == JOBS else []
            if path in _ANCESTORS:
                children = [_ANCESTORS[path]]
            return bare_introspection(children)
        children = []
        if kind is self._manager_kind and self._engine.job_names():
            children = ["jobs"]
        elif kind is self._job_kind:
            children = list(map(escape, target.instance_names()))
        return kind.introspection(path, children)


_OTHER_ACTIONS: Dict[Type[Any], Callable[[Control, Any], None]] = {
    actions.Answer: Control._answer,
    actions.Refuse: Control._answer,
    actions.ActivationEnvironment: Control._update_activation_environment,
}
#: The types of the actions that Control.perform carries out.
ACTIONS = frozenset((*SIGNALS, *_OTHER_ACTIONS))


def _unknown_method(message: Any) -> str:
    """The text of C22, newline included; an absent interface is printed as libdbus does."""
    return (f'Method "{message.get_member()}" with signature "{message.get_signature()}" '
            f'on interface "{message.get_interface() or "(null)"}" doesn\'t exist\n')


def _describe(error: BaseException) -> str:
    """One line that says what went wrong and where."""
    places: List[str] = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return f"{type(error).__name__}: {error} ({' '.join(places[-3:])})"

"""Hands the lifetime of the jobs' processes to systemd, and keeps all else with the engine (X250-X261).

A main process is made by systemd as a transient service; placement.py says which are not. The others are
made by the native backend, and a transient scope is put around each before it runs. If systemd refuses or
does not answer the process runs without a unit, and one warning says so.

A service goes through these steps; what happens at each is in the method of that name:

    _start        the launcher's request lies in a socket whose other end is the unit's standard input
    _said_pid     the launcher runs in the unit and said its pid: ProcessSpawned, then leave to go on
    _main_pid     a fork was followed (tracee.py): parent and child are held until systemd knows the new pid
    _ended        systemd says how the main process ended: ProcessEnded
    _left         the unit is let go, once systemd has come to rest with it

systemd is these processes' parent, so their end comes as a change of properties and not through waitpid.
Should the connection break, as when systemd executes itself anew, everything is looked up again once it
is back.
"""
from __future__ import annotations

import array
import errno
import os
import select
import signal
import socket
import sys
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..engine.actions import INFO, WARN, DetachTrace, SignalProcess, SpawnProcess
from ..engine.inputs import (
    ProcessContinued,
    ProcessEnded,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessVanished,
    SignalNotSent,
    StopFromOutside,
)
from ..parser.definition import PROCESS_NAMES
from . import main_pid, signal_delivery, upstart_slice
from .child_setup import Process, display_name
from .identity import Identity
from .native import LAUNCHER, NativeBackend
from .placement import NATIVE, SCOPE, SERVICE, Placement, placement
from .protocol import Feed, Later, Log, ProcessDefaults
from .scope_controller import ScopeController
from .systemd_connection import SystemdConnection, SystemdError
from .unit_names import base_name
from .unit_properties import Property, scope_properties, service_properties, unit_description

_SERVICE_INTERFACE, _UNIT_INTERFACE = b"org.freedesktop.systemd1.Service", b"org.freedesktop.systemd1.Unit"
_CLD_EXITED = 1
_Start = Callable[[str, List[Property]], Tuple[bytes, ...]]
#: Seconds between attempts to reach a systemd that does not answer, and how long a start waits for it.
_RECONNECT_SECONDS, _MOST_RECONNECTS = 0.2, 25
_PATIENT_SECONDS = 10.0
#: How long a process waits for its scope, and a followed fork for systemd's word, in seconds.
_SCOPE_SECONDS, _MAIN_PID_SECONDS = 5.0, 2.0
#: How long the daemon stands still for systemd to make one process, in seconds.
_PID_SECONDS = 1.0
_MOST_NAMES = 1000


class _Service:
    """A process in a transient service, from the request to its end."""

    __slots__ = ("awaited_pid", "channel", "invocation", "process", "request", "stop_requested", "unit")

    def __init__(self, request: SpawnProcess, process: Process, unit: str, channel: socket.socket) -> None:
        self.request = request
        self.process = process
        self.unit = unit
        #: where the launcher says its pid; None after that
        self.channel: Optional[socket.socket] = channel
        self.invocation = ""
        #: the child whose parent is held until systemd takes it for the main process
        self.awaited_pid = 0
        self.stop_requested = False


class SystemdBackend:
    """protocol.Backend. ``utmp`` and ``launcher`` as of NativeBackend."""

    def __init__(self, feed: Feed, log: Log, later: Later, defaults: ProcessDefaults, utmp: Optional[Callable[[int], None]] = None,
                 launcher: str = LAUNCHER, connection: Optional[SystemdConnection] = None) -> None:
        self._feed = feed
        self._log = log
        self._later = later
        self._defaults = defaults
        self._utmp = utmp
        self._launcher = launcher
        self._native = NativeBackend(feed, log, later, defaults, utmp, launcher, self._settle)
        self._setup = self._native.setup
        self._connection = connection or SystemdConnection()
        self._connection.job_removed = self._job_removed
        self._connection.unit_removed = self._unit_removed
        self._connection.reloaded = self._look_again
        self._connection.lost = self._lost
        self._controller = ScopeController(self._setup.watch, self._setup.unwatch, self._scope_is_stopped, self._connection)
        self._descriptor = -1
        self._dispatch_due = False
        self._reconnects = 0
        self._services: Dict[int, _Service] = {}
        #: Starts that wait for systemd to answer again.
        self._delayed: Dict[int, SpawnProcess] = {}
        #: Scopes that are being made: unit -> what gives the process leave.
        self._settling: Dict[str, Callable[[], None]] = {}
        #: Scopes by the path of the unit: the instance that is inside.
        self._scopes: Dict[bytes, SpawnProcess] = {}
        #: Every unit of ours that systemd has, or may still have.
        self._names: Set[str] = set()
        self._placements: Dict[int, Placement] = {}
        self._warned: Set[str] = set()

    # -- the connection ------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Make the connection. Raises SystemdError."""
        self._connection.open()
        try:
            upstart_slice.provide()
        except OSError as error:
            self._once(WARN, f"Failed to write {error.filename}: {error.strerror}")
        self._descriptor = self._connection.fileno()
        self._setup.watch(self._descriptor, self._connection.dispatch)
        self._dispatch_later()

    def _dispatch_later(self) -> None:
        """A call may have read what came before its answer."""
        if not self._dispatch_due:
            self._dispatch_due = True
            self._later(0.0, self._dispatch_now)

    def _dispatch_now(self) -> None:
        self._dispatch_due = False
        self._connection.dispatch()
        self._controller.dispatch()

    def _lost(self) -> None:
        self._setup.unwatch(self._descriptor)
        self._descriptor = -1
        self._log(INFO, "The connection to systemd is lost")
        for leave in self._take_settling():
            leave()
        self._reconnects = 0
        self._later(_RECONNECT_SECONDS, self._reconnect)

    def _take_settling(self) -> List[Callable[[], None]]:
        leaves = list(self._settling.values())
        self._settling.clear()
        return leaves

    def _reconnect(self) -> None:
        if self._connection.is_open:
            return
        try:
            self.connect()
        except SystemdError as error:
            self._reconnects += 1
            if self._reconnects == _MOST_RECONNECTS:
                self._log(WARN, f"systemd does not answer: {error}")
                for request in self._take_delayed():
                    self._native.spawn(request)
            self._later(_RECONNECT_SECONDS if self._reconnects < _MOST_RECONNECTS else _PATIENT_SECONDS, self._reconnect)
            return
        self._log(INFO, "The connection to systemd is back")
        self._look_again()
        for request in self._take_delayed():
            self.spawn(request)

    def _take_delayed(self) -> List[SpawnProcess]:
        delayed = list(self._delayed.values())
        self._delayed.clear()
        return delayed

    def _look_again(self) -> None:
        """Signals may have been lost: ask for what they would have said."""
        for service in list(self._services.values()):
            if service.channel is None:
                self._ask_about(service)
        for unit in self._names - {service.unit for service in self._services.values()} - set(self._settling):
            self._ask_left(unit)

    # -- starting --------------------------------------------------------------------------------------------------

    def spawn(self, request: SpawnProcess) -> None:
        """Start a process (protocol.Backend.spawn)."""
        definition = request.definition
        place = placement(definition, request.process, self._setup.console_of(definition), request.fds, self._defaults.debug_stanza)
        self._placements[request.spawn] = place
        if place.kind != SERVICE:
            self._native.spawn(request)
        elif not self._connection.is_open and self._reconnects < _MOST_RECONNECTS:
            self._delayed[request.spawn] = request
        elif not self._start(request):
            self._native.spawn(request)

    def _start(self, request: SpawnProcess) -> bool:
        """Whether systemd took it."""
        try:
            birth = self._setup.prepare(request, False, self._failed)
        except OSError:
            # Tried again, and complained of, by the native backend.
            self._placements[request.spawn] = Placement(SCOPE, "it could not be prepared at once")
            return False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            numbers = array.array("i", birth.passed)
            try:
                ours.sendmsg([numbers], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
                properties = service_properties(
                    request, self._defaults, unit_description(request, birth.process.name), self._launcher, theirs.fileno())
                unit = self._make_unit(request, ".service", properties, self._connection.start_transient)
            except (SystemdError, OSError) as error:
                ours.close()
                self._setup.abandon(birth)
                self._without_unit(request, str(error))
                return False
        birth.handed_over()
        service = self._services[request.spawn] = _Service(request, birth.process, unit, ours)
        self._connection.watch(unit, partial(self._changed, service))
        self._setup.watch(ours.fileno(), partial(self._said_pid, service))
        if not any(each.channel is not None for each in self._services.values() if each is not service):
            self._wait_for_pid(ours)
            self._said_pid(service)
        return True

    def _wait_for_pid(self, channel: socket.socket) -> None:
        """A start is one step of the engine's, as a fork is (X25): so nothing else happens until systemd has done it.

        Not if it takes long, nor for more starts then than the first: they go on when the pids are said.
        """
        ready = select.poll()
        ready.register(channel, select.POLLIN)
        ready.poll(_PID_SECONDS * 1000)

    def _make_unit(self, request: SpawnProcess, suffix: str, properties: List[Property], start: _Start) -> str:
        """Returns the name that it got. Raises SystemdError."""
        base = base_name(request.job, request.instance, PROCESS_NAMES[request.process])
        for number in range(1, _MOST_NAMES):
            unit = f"{base}-{number}{suffix}" if number > 1 else base + suffix
            if unit in self._names:
                continue
            try:
                left_out = start(unit, properties)
            except SystemdError as error:
                self._dispatch_later()
                if error.exists:
                    self._names.add(unit)
                    continue
                raise
            self._dispatch_later()
            self._names.add(unit)
            for name in left_out:
                self._once(INFO, f"systemd does not take the property {name.decode()}: left out")
            return unit
        raise SystemdError(0, f"all names like {base}{suffix} are taken")

    def _without_unit(self, request: SpawnProcess, reason: str) -> None:
        self._placements[request.spawn] = Placement(NATIVE, f"systemd did not make a unit: {reason}")
        self._once(WARN, f"{display_name(request)} {PROCESS_NAMES[request.process]} process runs without a unit of systemd: {reason}",
                   reason)

    def _once(self, priority: int, text: str, key: str = "") -> None:
        key = key or text
        if key not in self._warned:
            self._warned.add(key)
            self._log(priority, text)

    def _said_pid(self, service: _Service) -> None:
        channel = service.channel
        if channel is None:
            return
        try:
            said = channel.recv(64)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        pid = int.from_bytes(said[:4], sys.byteorder, signed=True)
        if pid <= 0:
            self._never_ran(service, os.strerror(-pid) if pid else self._why(service.unit))
            return
        self._close_channel(service)
        process = service.process
        process.pid = pid
        process.identity = Identity(pid)
        service.invocation = said[4:].decode("ascii", "replace")
        self._setup.begin(process, service.request)
        trouble = self._trace(service)
        self._feed(ProcessSpawned(process.spawn, pid))
        if trouble is not None:
            self._kill_launcher(pid)
            self._failed(process, trouble)
        elif self._services.get(process.spawn) is service:
            self._setup.give_leave(process)

    def _never_ran(self, service: _Service, reason: str) -> None:
        """It was never made, or ended before it did anything: it runs without a unit."""
        self._forget(service)
        self._setup.end(service.process, printed=False)
        self._ask_left(service.unit)
        self._without_unit(service.request, reason)
        self._native.spawn(service.request)

    def _trace(self, service: _Service) -> Optional[str]:
        request = service.request
        if request.expect == "none":
            return None
        try:
            self._native.tracees.seize(
                request.spawn, service.process.pid, request.expect, service.process.label, partial(self._main_pid, service))
        except OSError as error:
            return f"unable to set trace: {error.strerror}"
        return None

    def _kill_launcher(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass

    def _why(self, unit: str) -> str:
        try:
            result = self._connection.unit_property(unit, _SERVICE_INTERFACE, b"Result", b"s")
        except SystemdError as error:
            return str(error)
        return f"the unit's result is {result.decode('ascii', 'replace')}"

    def _close_channel(self, service: _Service) -> None:
        channel, service.channel = service.channel, None
        if channel is not None:
            self._setup.unwatch(channel.fileno())
            channel.close()

    def _failed(self, process: Process, reason: str) -> None:
        """The launcher could not set the process up (child_setup.Failed)."""
        service = self._services.get(process.spawn)
        if service is not None:
            self._forget(service)
        self._native.tracees.forget(process.spawn)
        self._setup.end(process, printed=False)
        self._feed(ProcessSpawnFailed(process.spawn, reason))

    # -- following forks --------------------------------------------------------------------------------------------

    def _main_pid(self, service: _Service, old: int, new: int) -> None:
        process = service.process
        process.pid = new
        if process.identity is not None:
            process.identity.close()
        process.identity = Identity(new)
        service.awaited_pid = new
        try:
            main_pid.announce(new)
        except OSError as error:
            self._log(WARN, f"Failed to tell systemd the main process of {service.unit} ({new}): {error.strerror}")
            # Not from within the tracer's step.
            self._later(0.0, partial(self._resume_held, service, new))
            return
        self._later(_MAIN_PID_SECONDS, partial(self._main_pid_overdue, service, new))

    def _main_pid_overdue(self, service: _Service, pid: int) -> None:
        if service.awaited_pid == pid:
            self._log(WARN, f"systemd does not take {pid} for the main process of {service.unit}")
            self._resume_held(service, pid)

    def _resume_held(self, service: _Service, pid: int) -> None:
        if service.awaited_pid == pid:
            service.awaited_pid = 0
            self._native.tracees.resume_held(service.request.spawn)

    # -- what systemd says ------------------------------------------------------------------------------------------

    def _changed(self, service: _Service, interface: bytes, properties: Dict[bytes, Any]) -> None:
        if interface == _SERVICE_INTERFACE:
            pid = properties.get(b"MainPID")
            if pid and pid == service.awaited_pid:
                self._resume_held(service, pid)
            code = properties.get(b"ExecMainCode")
            if pid == 0 and code:
                self._ended(service, code, properties.get(b"ExecMainStatus", 0))
        elif interface == _UNIT_INTERFACE and properties.get(b"ActiveState") == b"deactivating":
            self._is_stopped(service)

    def _is_stopped(self, service: _Service) -> None:
        """By somebody else, and the main process lives (X257)."""
        if not service.stop_requested and service.process.pid:
            service.stop_requested = True
            request = service.request
            self._log(INFO, f"{service.process.name} is stopped by systemd ({service.unit})")
            self._feed(StopFromOutside(request.job, request.instance))

    def _ask_about(self, service: _Service) -> None:
        ask = partial(self._connection.unit_property, service.unit)
        try:
            pid = ask(_SERVICE_INTERFACE, b"MainPID", b"u")
            code = 0 if pid else ask(_SERVICE_INTERFACE, b"ExecMainCode", b"i")
            status = ask(_SERVICE_INTERFACE, b"ExecMainStatus", b"i") if code else 0
            state = ask(_UNIT_INTERFACE, b"ActiveState", b"s")
        except SystemdError as error:
            self._log(WARN, f"Failed to ask systemd about {service.unit}: {error}")
            return
        finally:
            self._dispatch_later()
        self._changed(service, _SERVICE_INTERFACE, {b"MainPID": pid, b"ExecMainCode": code, b"ExecMainStatus": status})
        if self._services.get(service.request.spawn) is not service:
            return
        if pid:
            self._changed(service, _UNIT_INTERFACE, {b"ActiveState": state})
        elif not code and service.process.identity is not None and not service.process.identity.holds():
            # The unit is gone, and with it the status.
            self._vanished(service)

    def _ended(self, service: _Service, code: int, status: int) -> None:
        """In the order of X98; what the launcher said comes first (X28)."""
        process = service.process
        self._said_pid(service)
        if self._services.get(process.spawn) is service and not process.pid:
            self._never_ran(service, self._why(service.unit))
        if process.answer_fd >= 0:
            self._setup.read_answer(process)
        if self._services.get(process.spawn) is not service:
            return
        self._forget(service)
        self._native.tracees.forget(process.spawn)
        self._setup.end(process)
        if self._utmp is not None:
            self._utmp(process.pid)
        self._feed(ProcessEnded(process.spawn, status if code == _CLD_EXITED else status << 8))

    def _forget(self, service: _Service) -> None:
        """The process is over as far as the engine is concerned; systemd's unit is let go in time."""
        self._services.pop(service.request.spawn, None)
        self._placements.pop(service.request.spawn, None)
        service.awaited_pid = 0
        self._close_channel(service)
        self._connection.watch(service.unit, partial(self._left, service.unit))

    def _left(self, unit: str, interface: bytes, properties: Dict[bytes, Any]) -> None:
        """Let systemd forget a unit whose process ended and whose end is known."""
        state = properties.get(b"ActiveState")
        if interface != _UNIT_INTERFACE or state is None:
            return
        if state == b"active" and properties.get(b"SubState") == b"exited":
            self._call_about(unit, b"StopUnit", b"ss", b"replace")
        elif state == b"failed":
            self._call_about(unit, b"ResetFailedUnit", b"s")

    def _ask_left(self, unit: str) -> None:
        try:
            state = self._connection.unit_property(unit, _UNIT_INTERFACE, b"ActiveState", b"s")
            sub_state = self._connection.unit_property(unit, _UNIT_INTERFACE, b"SubState", b"s")
            loaded = self._connection.unit_property(unit, _UNIT_INTERFACE, b"LoadState", b"s")
        except SystemdError:
            return
        finally:
            self._dispatch_later()
        if loaded == b"not-found":
            self._unit_removed(unit)
        else:
            self._left(unit, _UNIT_INTERFACE, {b"ActiveState": state, b"SubState": sub_state})

    def _call_about(self, unit: str, method: bytes, signature: bytes, *more: bytes) -> None:
        try:
            self._connection.call(method, signature, unit.encode("ascii"), *more)
        except SystemdError:
            # It is gone already.
            pass
        self._dispatch_later()

    def _unit_removed(self, unit: str) -> None:
        if unit not in self._names:
            return
        self._names.discard(unit)
        path = self._connection.path(unit)
        self._scopes.pop(path, None)
        leave = self._settling.pop(unit, None)
        if leave is not None:
            leave()
        for service in list(self._services.values()):
            if service.unit == unit:
                self._said_pid(service)
                if self._services.get(service.request.spawn) is not service:
                    return
                identity = service.process.identity
                if not service.process.pid:
                    self._never_ran(service, "the unit was removed")
                elif identity is None or not identity.holds():
                    self._vanished(service)
                # Else systemd itself is going away, as at the end of a shutdown.
                return
        self._connection.unwatch(unit)

    def _vanished(self, service: _Service) -> None:
        process = service.process
        self._forget(service)
        self._native.tracees.forget(process.spawn)
        self._setup.end(process)
        self._feed(ProcessVanished(process.spawn))

    # -- scopes ------------------------------------------------------------------------------------------------------

    def _settle(self, process: Process, request: SpawnProcess, leave: Callable[[], None]) -> None:
        """Put a scope around one of our own processes before it runs (X251)."""
        place = self._placements.get(request.spawn)
        if place is None or place.kind != SCOPE or not self._connection.is_open:
            leave()
            return
        properties = scope_properties(request.definition, unit_description(request, process.name), process.pid)
        try:
            unit = self._make_unit(request, ".scope", properties, self._controller.start)
        except SystemdError as error:
            self._without_unit(request, str(error))
            leave()
            return
        self._scopes[self._connection.path(unit)] = request
        self._settling[unit] = leave
        self._later(_SCOPE_SECONDS, partial(self._settled, unit, leave, "systemd does not answer"))

    def _job_removed(self, unit: str, result: str) -> None:
        leave = self._settling.get(unit)
        if leave is not None:
            self._settled(unit, leave, "" if result == "done" else f"the unit's job was {result}")

    def _settled(self, unit: str, leave: Callable[[], None], trouble: str) -> None:
        if self._settling.get(unit) is not leave:
            return
        del self._settling[unit]
        request = self._scopes.get(self._connection.path(unit))
        if trouble and request is not None:
            self._without_unit(request, trouble)
        leave()

    def _scope_is_stopped(self, path: bytes) -> None:
        request = self._scopes.get(path)
        if request is not None:
            self._log(INFO, f"{display_name(request)} is stopped by systemd")
            self._feed(StopFromOutside(request.job, request.instance))

    # -- signals --------------------------------------------------------------------------------------------------------

    def signal(self, request: SignalProcess) -> None:
        """Send a signal (protocol.Backend.signal); never through systemd (X255)."""
        service = self._services.get(request.spawn)
        if service is None:
            if self._delayed.pop(request.spawn, None) is None:
                self._native.signal(request)
            elif request.must_exist:
                self._feed(ProcessSpawnFailed(request.spawn, "stopped before it could be started"))
            return
        process = service.process
        if not process.pid:
            self._stop_unborn(service, request)
            return
        if process.identity is None or not process.identity.holds():
            # Its end is on the way, unless systemd cannot be asked.
            return
        try:
            signal_delivery.send(process.pid, request.signal, request.group)
            if request.signal == signal.SIGCONT:
                # Only a parent is told by the kernel; after the lines of the present change of state (X70).
                self._later(0.0, partial(self._continued, service))
        except ProcessLookupError:
            pass
        except (OSError, OverflowError) as error:
            if request.must_exist:
                text = os.strerror((error.errno if isinstance(error, OSError) else None) or errno.EINVAL)
                self._feed(SignalNotSent(request.spawn, request.signal, text))

    def _continued(self, service: _Service) -> None:
        if self._services.get(service.request.spawn) is service:
            self._feed(ProcessContinued(service.request.spawn))

    def _stop_unborn(self, service: _Service, request: SignalProcess) -> None:
        """The launcher has not said its pid yet: without its channel it ends at once, and nothing runs."""
        self._forget(service)
        self._setup.end(service.process, printed=False)
        self._ask_left(service.unit)
        if request.must_exist:
            self._feed(ProcessSpawnFailed(request.spawn, "stopped before it could be started"))

    def detach(self, request: DetachTrace) -> None:
        """Stop tracing a process (protocol.Backend.detach)."""
        service = self._services.get(request.spawn)
        delayed = self._delayed.get(request.spawn)
        if service is not None:
            service.awaited_pid = 0
            service.request = service.request._replace(expect="none")
            self._native.tracees.detach(request.spawn)
        elif delayed is not None:
            self._delayed[request.spawn] = delayed._replace(expect="none")
        else:
            self._native.detach(request)

    # -- what can be asked ----------------------------------------------------------------------------------------------

    def placement(self, spawn: int) -> Placement:
        """Where a process is, and why (X261)."""
        return self._placements.get(spawn, Placement(NATIVE, "not known"))

    # -- the rest of protocol.Backend ------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """A descriptor that is readable while ``dispatch`` has something to do."""
        return self._setup.fileno()

    def dispatch(self) -> None:
        """Handle every ready descriptor (protocol.Backend.dispatch)."""
        self._setup.dispatch()

    def reap(self) -> None:
        """Handle every child that ended, stopped or continued (protocol.Backend.reap)."""
        self._native.reap()

    def write_held_output(self) -> None:
        """NotifyDiskWriteable (protocol.Backend.write_held_output)."""
        self._setup.write_held_output()

    def close(self) -> None:
        """Give up every descriptor; processes run on (protocol.Backend.close)."""
        for leave in self._take_settling():
            leave()
        self._controller.close()
        if self._connection.is_open:
            self._setup.unwatch(self._descriptor)
            self._connection.close()
        services = list(self._services.values())
        self._services.clear()
        for service in services:
            self._close_channel(service)
        self._native.close([service.process for service in services])

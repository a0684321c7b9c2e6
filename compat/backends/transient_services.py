"""Main processes in transient services (X254-X259).

What happens to one, and the method that is called then:

    begin         systemd makes the unit, whose standard input is a socket; the launcher's request is sent into that
    go_on         the engine waits for it, and so does the daemon, as long as that does not take long
    _said_pid     the launcher runs in the unit and said its pid: ProcessSpawned, then leave to go on
    _main_pid     a fork was followed (tracee.py): parent and child are held until systemd knows the new pid
    _ended        systemd says how the main process ended: ProcessEnded
    adopt         a service of a daemon before this one is found again (found_services.py)
    restore       this one replaces the daemon that had it, and has all that was known of it

systemd is these processes' parent, so their end comes as a change of properties and not through waitpid. Should
systemd not tell of an end that a pidfd shows, it is asked.
"""
from __future__ import annotations

import errno
import os
import signal
import socket
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ..engine.actions import INFO, WARN, AdoptProcess, SignalProcess, SpawnProcess
from ..engine.inputs import (
    ProcessContinued,
    ProcessEnded,
    ProcessExecuted,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessVanished,
    SignalNotSent,
    StopFromOutside,
)
from ..state.processes import ProcessState, UnitState, Waiting
from . import main_pid, signal_delivery, spawn_errors
from .child_setup import ChildSetup, Process, display_name
from .found_services import FoundServices, status_of
from .identity import Identity
from .kept_descriptors import is_channel
from .placement import SERVICE
from .protocol import Feed, Later, Log, ProcessDefaults, Stray
from .systemd_connection import SystemdConnection, SystemdError
from .tracee import TraceeTable
from .transient_scopes import Without
from .transient_units import TransientUnits
from .unit_channel import UnitChannel
from .unit_properties import service_properties, unit_description

_SERVICE_INTERFACE, _UNIT_INTERFACE = b"org.freedesktop.systemd1.Service", b"org.freedesktop.systemd1.Unit"
#: Active and sub state of a service whose process runs, and nobody is about to stop it.
_AT_WORK = (b"active", b"running")
# systemd's EXIT_NICE, EXIT_LIMITS, EXIT_OOM_ADJUST, EXIT_GROUP and EXIT_USER: it could not do what the job file asks for.
_JOBS_OWN_FAULT = (201, 205, 206, 216, 217)
#: How long a followed fork waits for systemd's word, and the daemon for systemd to make one process, in seconds.
_MAIN_PID_SECONDS, _PID_SECONDS = 2.0, 1.0
#: After how long a systemd that did not answer is asked again, in seconds.
_ASK_AGAIN_SECONDS = 5.0
#: How long after a process has ended systemd may take to say how, before it is asked, in seconds.
_STATUS_SECONDS = 2.0


class _Service:
    """A process in a transient service, from the request to its end."""

    __slots__ = ("awaited_pid", "channel", "invocation", "process", "request", "stop_requested", "unit")

    def __init__(self, request: SpawnProcess, process: Process, unit: str, channel: Optional[UnitChannel]) -> None:
        self.request = request
        self.process = process
        self.unit = unit
        #: where the launcher says its pid; None after that
        self.channel = channel
        self.invocation = ""
        #: the child whose parent is held until systemd takes it for the main process
        self.awaited_pid = 0
        self.stop_requested = False


class TransientServices:
    """``utmp`` and ``launcher`` as of NativeBackend.

    ``without`` is told of a process that systemd did not make, and ``otherwise`` starts it without systemd.
    """

    def __init__(self, feed: Feed, log: Log, later: Later, defaults: ProcessDefaults, connection: SystemdConnection, units: TransientUnits,
                 setup: ChildSetup, tracees: TraceeTable, launcher: str, utmp: Optional[Callable[[int], None]], without: Without,
                 otherwise: Callable[[SpawnProcess], None]) -> None:
        self._feed = feed
        self._log = log
        self._later = later
        self._defaults = defaults
        self._connection = connection
        self._units = units
        self._setup = setup
        self._tracees = tracees
        self._launcher = launcher
        self._utmp = utmp
        self._without = without
        self._otherwise = otherwise
        self._services: Dict[int, _Service] = {}
        #: Those that were waited for in vain.
        self._overdue: Set[int] = set()
        self._found = FoundServices(feed, log, connection, units, setup, self._failed, self._take_over)

    def __contains__(self, spawn: int) -> bool:
        return spawn in self._services

    def unit(self, spawn: int) -> str:
        """The unit that a process is in, "" if it is in none of these."""
        service = self._services.get(spawn)
        return "" if service is None else service.unit

    def uses(self, unit: str) -> bool:
        """Whether a process that is not over is in this unit."""
        return any(each.unit == unit for each in self._services.values())

    # -- starting --------------------------------------------------------------------------------------------------

    def begin(self, request: SpawnProcess) -> None:
        """Have systemd start a process; it is one of ours then, unless systemd does not take it.

        Raises OSError if nothing could be prepared for that, and SystemdError if the connection is lost: then it may be tried again.
        """
        ours, theirs = UnitChannel.pair()
        with theirs:
            properties = service_properties(
                request, self._defaults, unit_description(request, display_name(request)), self._launcher, theirs.fileno())
            try:
                unit = self._units.make(request, ".service", properties, self._connection.start_transient)
            except SystemdError as error:
                ours.close()
                if not self._connection.is_open:
                    raise
                self._without(request, str(error), WARN)
                return
            # While systemd is at it; the launcher waits for its request.
            try:
                birth = self._setup.prepare(request, self._failed)
                try:
                    ours.pass_on(birth.passed)
                except OSError:
                    self._setup.abandon(birth)
                    raise
            except OSError:
                # Without its channel the launcher ends.
                ours.close()
                self._units.release(unit)
                raise
        birth.handed_over()
        service = self._services[request.spawn] = _Service(request, birth.process, unit, ours)
        self._units.watch(unit, partial(self._changed, service))

    def go_on(self, spawn: int) -> None:
        """The engine waits for a process that systemd was asked for."""
        service = self._services[spawn]
        if service.channel is None:
            return
        self._setup.watch(service.channel.fileno(), partial(self._said_pid, service))
        if not self._overdue:
            # A start is one step of the engine's, as a fork is (X25): so nothing else happens until systemd has done it.
            # Not if it takes long, nor for more starts then: they go on when the pids are said.
            service.channel.wait(_PID_SECONDS)
        self._said_pid(service)
        if service.channel is not None:
            self._overdue.add(spawn)

    def _said_pid(self, service: _Service) -> None:
        said = None if service.channel is None else service.channel.read()
        if said is None:
            return
        if said.pid < 0:
            self._never_ran(service, os.strerror(-said.pid))
            return
        if said.pid == 0:
            self._did_not_start(service)
            return
        self._close_channel(service)
        process = service.process
        process.exists_as(said.pid)
        self._identify(service)
        service.invocation = said.invocation
        self._setup.begin(process, service.request)
        trouble = self._trace(service)
        self._feed(ProcessSpawned(process.spawn, said.pid))
        if trouble is not None:
            signal_delivery.kill(said.pid)
            self._failed(process, trouble)
        elif self._services.get(process.spawn) is service:
            self._setup.give_leave(process)

    def _identify(self, service: _Service) -> None:
        """Hold on to the process that is the main one now, and notice its end."""
        process = service.process
        if process.identity is not None:
            self._setup.unwatch(process.identity.fileno())
            process.identity.close()
        process.identity = Identity(process.pid)
        self._watch_end(service)

    def _watch_end(self, service: _Service) -> None:
        identity = service.process.identity
        descriptor = identity.fileno() if identity is not None else -1
        if descriptor >= 0:
            self._setup.watch(descriptor, partial(self._is_over, service, descriptor))

    def _is_over(self, service: _Service, descriptor: int) -> None:
        self._setup.unwatch(descriptor)
        self._later(_STATUS_SECONDS, partial(self._status_overdue, service, service.process.pid))

    def _status_overdue(self, service: _Service, pid: int) -> None:
        if self._services.get(service.request.spawn) is service and service.process.pid == pid and self._connection.is_open:
            self._ask_about(service)
            if self._services.get(service.request.spawn) is service:
                # systemd has not come to it yet.
                self._later(_ASK_AGAIN_SECONDS, partial(self._status_overdue, service, pid))

    def _did_not_start(self, service: _Service) -> None:
        """systemd did not come as far as the launcher."""
        try:
            result, status = self._connection.service_result(service.unit)
        except SystemdError as error:
            self._never_ran(service, str(error))
            return
        own_fault = result == "exit-code" and status in _JOBS_OWN_FAULT
        # What is wrong with the job is said when it is started without a unit (X256).
        self._never_ran(service, f"the unit's result is {result} ({status})", INFO if own_fault else WARN)

    def _never_ran(self, service: _Service, reason: str, priority: int = WARN) -> None:
        """It was never made, or ended before it did anything: it runs without a unit."""
        self._forget(service)
        self._setup.end(service.process, printed=False)
        self._units.release(service.unit)
        self._without(service.request, reason, priority)
        self._otherwise(service.request)

    def _trace(self, service: _Service) -> Optional[str]:
        request = service.request
        if request.expect == "none":
            return None
        try:
            self._tracees.seize(
                request.spawn, service.process.pid, request.expect, service.process.label, partial(self._main_pid, service))
        except OSError as error:
            return spawn_errors.not_traced(error)
        return None

    def _close_channel(self, service: _Service) -> None:
        self._overdue.discard(service.request.spawn)
        channel, service.channel = service.channel, None
        if channel is not None:
            self._setup.unwatch(channel.fileno())
            channel.close()

    def _failed(self, process: Process, reason: str) -> None:
        """The launcher could not set the process up (child_setup.Failed)."""
        service = self._services.get(process.spawn)
        if service is not None:
            self._forget(service)
        self._tracees.forget(process.spawn)
        self._setup.end(process, printed=False)
        self._feed(ProcessSpawnFailed(process.spawn, reason))

    # -- following forks --------------------------------------------------------------------------------------------

    def _main_pid(self, service: _Service, old: int, new: int) -> None:
        process = service.process
        process.exists_as(new)
        process.forks += 1
        self._identify(service)
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
            self._tracees.resume_held(service.request.spawn)

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
        try:
            found = self._connection.run_of(service.unit)
        except SystemdError as error:
            if self._connection.is_open:
                # Nobody else would ask again.
                self._log(WARN, f"Failed to ask systemd about {service.unit}: {error}")
                self._later(_ASK_AGAIN_SECONDS, partial(self._ask_again, service))
            return
        finally:
            self._units.dispatch_later()
        if found is None or (service.invocation and found.invocation != service.invocation):
            identity = service.process.identity
            if identity is not None and not identity.holds():
                # The unit is gone, and with it the status.
                self._vanished(service)
            return
        self._changed(service, _SERVICE_INTERFACE, {
            b"MainPID": found.pid, b"ExecMainCode": found.code, b"ExecMainStatus": found.status})
        if found.pid and self._services.get(service.request.spawn) is service:
            self._changed(service, _UNIT_INTERFACE, {b"ActiveState": found.state})

    def _ask_again(self, service: _Service) -> None:
        if self._services.get(service.request.spawn) is service and self._connection.is_open:
            self._ask_about(service)

    def _ended(self, service: _Service, code: int, status: int) -> None:
        """In the order of X98; what the launcher said comes first (X28)."""
        process = service.process
        self._said_pid(service)
        if self._services.get(process.spawn) is service and not process.pid:
            self._did_not_start(service)
        if process.answer_fd >= 0:
            self._setup.read_answer(process)
        if self._services.get(process.spawn) is not service:
            return
        self._forget(service)
        self._tracees.forget(process.spawn)
        self._setup.end(process)
        if self._utmp is not None:
            self._utmp(process.pid)
        self._feed(ProcessEnded(process.spawn, status_of(code, status)))

    def _forget(self, service: _Service) -> None:
        """The process is over as far as the engine is concerned; systemd's unit is let go in time."""
        self._services.pop(service.request.spawn, None)
        service.awaited_pid = 0
        self._close_channel(service)
        self._units.let_go(service.unit)

    def removed(self, unit: str) -> None:
        """systemd has the unit no more."""
        service = next((each for each in self._services.values() if each.unit == unit), None)
        if service is None:
            return
        self._said_pid(service)
        if self._services.get(service.request.spawn) is not service:
            return
        identity = service.process.identity
        if not service.process.pid:
            self._never_ran(service, "the unit was removed")
        elif identity is None or not identity.holds():
            self._vanished(service)
        # Else systemd itself is going away, as at the end of a shutdown.

    def _vanished(self, service: _Service) -> None:
        process = service.process
        self._forget(service)
        self._tracees.forget(process.spawn)
        self._setup.end(process)
        self._feed(ProcessVanished(process.spawn))

    def look_again(self) -> None:
        """Signals may have been lost: ask for what they would have said."""
        for service in list(self._services.values()):
            if service.channel is None:
                self._ask_again(service)

    def ask_about(self, unit: str) -> bool:
        """Ask for what may have changed about one unit; whether it is in use."""
        service = next((each for each in self._services.values() if each.unit == unit), None)
        if service is not None and service.channel is None:
            self._ask_again(service)
        return service is not None

    def in_use(self) -> Set[str]:
        """Units whose process lives."""
        return {service.unit for service in self._services.values()}

    # -- over a re-exec ----------------------------------------------------------------------------------------------

    def states(self) -> Dict[int, ProcessState]:
        """What ``restore`` goes on from, by spawn; placement.py knows what is missing in ``unit``."""
        found: Dict[int, ProcessState] = {}
        for spawn, service in self._services.items():
            request, channel = service.request, -1 if service.channel is None else service.channel.fileno()
            unit = UnitState(SERVICE, "", service.unit, service.invocation, channel, service.awaited_pid, service.stop_requested)
            waiting = Waiting(0, request.environment, request.fds, request.expect) if channel >= 0 else None
            found[spawn] = self._setup.state(service.process)._replace(
                trace=self._tracees.state(spawn), waiting=waiting, unit=unit)
        return found

    def restore(self, request: SpawnProcess, state: ProcessState, unit: UnitState) -> None:
        """Go on with a service of the daemon that this one replaces; ``take_stock`` follows."""
        spawn, waiting = request.spawn, state.waiting
        if waiting is not None:
            request = request._replace(environment=waiting.environment, fds=waiting.fds, expect=waiting.expect)
        process = self._setup.restored(request, state, self._failed)
        channel = UnitChannel(socket.socket(fileno=unit.channel)) if is_channel(unit.channel) else None
        service = self._services[spawn] = _Service(request, process, unit.name, channel)
        service.invocation, service.awaited_pid, service.stop_requested = unit.invocation, unit.awaited_pid, unit.stop_requested
        self._units.watch(unit.name, partial(self._changed, service))
        self._watch_end(service)
        if channel is not None:
            # It was waited for already.
            self._overdue.add(spawn)
            self._setup.watch(channel.fileno(), partial(self._said_pid, service))
        if state.trace is not None and state.trace.state:
            self._tracees.restore(spawn, state.pid, request.expect, process.label, state.trace, partial(self._main_pid, service))
        if service.awaited_pid:
            self._later(_MAIN_PID_SECONDS, partial(self._main_pid_overdue, service, service.awaited_pid))
        if state.pid and state.set_up is not None and state.set_up.answer_fd >= 0 > process.answer_fd:
            # Nothing is to come any more that would say so.
            self._later(0.0, partial(self._feed, ProcessExecuted(spawn)))

    def take_stock(self, listed: Dict[str, Tuple[bytes, bytes]]) -> None:
        """Go on from what systemd has, states of units by name, where something has happened that nobody was told of."""
        for service in list(self._services.values()):
            if self._services.get(service.request.spawn) is not service:
                continue
            process, identity = service.process, service.process.identity
            if not process.pid and service.channel is None:
                self._never_ran(service, "its launcher is lost")
                continue
            if service.unit not in listed:
                self.removed(service.unit)
            elif (not process.pid or service.awaited_pid or listed[service.unit] != _AT_WORK or identity is None
                  or not identity.holds()):
                self._ask_about(service)

    # -- of another daemon ----------------------------------------------------------------------------------------------

    def adopt(self, request: AdoptProcess, unit: str) -> bool:
        """Take over the service of a unit; False if what it says is not about this process, or not enough."""
        return self._found.adopt(request, unit)

    def _take_over(self, request: SpawnProcess, process: Process, unit: str, invocation: str) -> None:
        service = self._services[request.spawn] = _Service(request, process, unit, None)
        self._identify(service)
        service.invocation = invocation
        self._units.watch(unit, partial(self._changed, service))
        self._feed(ProcessSpawned(request.spawn, process.pid))
        self._feed(ProcessExecuted(request.spawn))
        if self._services.get(request.spawn) is service:
            # It may have ended, or systemd may be about to stop it, since it was asked about.
            self._ask_about(service)

    def stray(self, unit: str) -> Optional[Stray]:
        """What runs in a unit of a daemon before this one, if that is known to be of a job."""
        return self._found.stray(unit)

    def handle(self, spawn: int) -> Optional[Dict[str, Any]]:
        """What finds it again (protocol.Backend.handle)."""
        service = self._services[spawn]
        handle = service.process.handle()
        if handle is not None:
            handle["unit"], handle["invocation"] = service.unit, service.invocation
        return handle

    def unit_of(self, spawn: int) -> str:
        """The unit that a process is in."""
        return self._services[spawn].unit

    # -- signals --------------------------------------------------------------------------------------------------------

    def signal(self, request: SignalProcess) -> None:
        """Send a signal (protocol.Backend.signal); never through systemd (X255)."""
        service = self._services[request.spawn]
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
        self._units.release(service.unit)
        if request.must_exist:
            self._feed(ProcessSpawnFailed(request.spawn, "stopped before it could be started"))

    def detach(self, spawn: int) -> None:
        """Stop tracing a process (protocol.Backend.detach)."""
        service = self._services[spawn]
        service.awaited_pid = 0
        service.request = service.request._replace(expect="none")
        self._tracees.detach(spawn)

    def close(self) -> List[Process]:
        """Give up the channels; the processes, whose streams are still open."""
        services = list(self._services.values())
        self._services.clear()
        for service in services:
            self._close_channel(service)
        return [service.process for service in services]

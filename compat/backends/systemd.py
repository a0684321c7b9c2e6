"""Hands the lifetime of the jobs' processes to systemd, and keeps all else with the engine (X250-X261).

A main process is made by systemd as a transient service (transient_services.py); placement.py says which are
not. The others are made by the native backend, and a transient scope is put around each before it runs
(transient_scopes.py). If systemd refuses or does not answer the process runs without a unit, and one warning
says so.

Should the connection break, as when systemd executes itself anew, starts wait a few seconds for it, and
everything is looked up again once it is back.
"""
from __future__ import annotations

import errno
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from ..engine.actions import INFO, WARN, AdoptProcess, DetachTrace, SignalProcess, SpawnProcess
from ..engine.inputs import ProcessEnded, ProcessExecuted, ProcessLost, ProcessNeverRan, ProcessSpawned, ProcessSpawnFailed, ProcessVanished
from ..parser.definition import PROCESS_NAMES
from ..state.processes import LogState, ProcessState, UnitState, Waiting
from . import upstart_slice
from .child_setup import Process, display_name
from .descriptor_store import DescriptorStore
from .native import LAUNCHER, NativeBackend
from .placement import NATIVE, SCOPE, SERVICE, Placement, placement
from .protocol import Feed, Later, Log, ProcessDefaults, Stray
from .systemd_connection import SystemdConnection, SystemdError
from .systemd_reading import SystemdReading
from .transient_scopes import TransientScopes
from .transient_services import TransientServices
from .transient_units import TransientUnits
from .unit_names import SLICE, is_of_the_program
from .unit_resources import resources

#: Seconds between attempts to reach a systemd that does not answer, and how many of them a start waits for.
_RECONNECT_SECONDS, _MOST_RECONNECTS = 0.2, 25
_SILENT_SECONDS, _PATIENT_SECONDS = 2.0, 10.0
_TAKEN_OVER = "taken over from a daemon before this one"
#: After one of these there is nothing more about a process.
_LAST = (ProcessEnded, ProcessLost, ProcessNeverRan, ProcessSpawnFailed, ProcessVanished)


class SystemdBackend:
    """protocol.Backend. ``utmp``, ``launcher`` and ``store`` as of NativeBackend."""

    def __init__(self, feed: Feed, log: Log, later: Later, defaults: ProcessDefaults, utmp: Optional[Callable[[int], None]] = None,
                 launcher: str = LAUNCHER, connection: Optional[SystemdConnection] = None, store: Optional[DescriptorStore] = None) -> None:
        self._tell = feed
        self._log = log
        self._later = later
        self._defaults = defaults
        self._native = NativeBackend(self._feed, log, later, defaults, utmp, launcher, self._settle, store)
        self._setup = setup = self._native.setup
        self._connection = connection or SystemdConnection()
        self._connection.job_removed = lambda unit, result: self._scopes.job_removed(unit, result)
        self._connection.unit_removed = self._unit_removed
        self._connection.reloaded = self._look_again
        self._connection.made_anew = self._made_anew
        self._connection.lost = self._lost
        self._reading = SystemdReading(setup.watch, setup.unwatch, later, self._dispatch_connections)
        self._units = TransientUnits(self._connection, log, self._reading, self._unit_removed)
        self._scopes = TransientScopes(
            self._feed, log, later, self._connection, self._units, setup.watch, setup.unwatch, self._without_unit)
        self._services = TransientServices(
            self._feed, log, later, defaults, self._connection, self._units, setup, self._native.tracees, launcher, utmp,
            self._without_unit, self._native.spawn)
        #: called when systemd has read its files again, or is back
        self.looked_again: Callable[[], None] = lambda: None
        self._reconnects = 0
        #: Starts that were begun, or seen not to be systemd's, and have not been asked for yet.
        self._foreseen: Set[int] = set()
        #: Starts that wait for systemd to answer again.
        self._delayed: Dict[int, SpawnProcess] = {}
        self._placements: Dict[int, Placement] = {}
        #: Units that another daemon has left us and that were not looked at yet.
        self._left: Optional[Sequence[str]] = None
        #: Processes of another daemon that are looked for outside of services.
        self._adopted: Dict[int, AdoptProcess] = {}

    def _feed(self, happened: Any) -> None:
        if isinstance(happened, _LAST):
            self._placements.pop(happened.spawn, None)
            self._adopted.pop(happened.spawn, None)
            self._scopes.ended(happened.spawn)
        elif isinstance(happened, ProcessSpawned) and happened.spawn in self._adopted:
            # Not within a step of the engine's: it may be one of many.
            self._later(0.0, partial(self._enclose, self._adopted.pop(happened.spawn)))
        self._tell(happened)
        if isinstance(happened, ProcessSpawned) and happened.spawn in self._services:
            self._reading.hold()
        elif isinstance(happened, (ProcessExecuted, *_LAST)):
            self._reading.go_on()

    # -- the connection ------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Make the connection, and learn what is there. Raises SystemdError."""
        self._connect()
        self._know_scopes()

    def _connect(self) -> None:
        self._connection.open()
        self._provide_slice()
        self._reading.begin(self._connection.fileno())

    def _know_scopes(self) -> None:
        """Those of a daemon before this one, whose names are taken; one in which nothing runs is let go."""
        try:
            for unit in self._connection.units("upstart-*.scope"):
                if not self._units.knows(unit):
                    self._units.release(unit)
        except SystemdError as error:
            self._log(WARN, f"Failed to ask systemd for the scopes of jobs: {error}")

    def connect_later(self) -> bool:
        """After ``connect`` failed: go on trying, as if the connection had been lost. False if that would be of no use."""
        if self._connection.can_be_opened:
            self._later(_RECONNECT_SECONDS, self._reconnect)
        return self._connection.can_be_opened

    def _provide_slice(self) -> None:
        try:
            if upstart_slice.provide() and self._connection.run_of(SLICE) is not None:
                # Something is in it already, and it is not as it should be.
                self._connection.call(b"Reload")
        except (OSError, SystemdError) as error:
            self._units.once(WARN, f"Failed to provide {SLICE}: {error}")

    def _dispatch_connections(self) -> bool:
        complete = self._connection.dispatch()
        self._scopes.dispatch()
        return complete

    def _lost(self) -> None:
        self._reading.end()
        self._log(INFO, "The connection to systemd is lost")
        self._scopes.lost()
        self._reconnects = 0
        self._later(_RECONNECT_SECONDS, self._reconnect)

    def _reconnect(self) -> None:
        if self._connection.is_open:
            return
        try:
            self._connect()
        except SystemdError as error:
            self._reconnects += 1
            if self._reconnects == _MOST_RECONNECTS:
                self._log(WARN, f"systemd does not answer: {error}")
                for request in self._take_delayed():
                    self._without_unit(request, str(error))
                    self._native.spawn(request)
            # Where it is silent, each attempt takes a while in which nothing else is done.
            seconds = _SILENT_SECONDS if error.number == errno.ETIMEDOUT else _RECONNECT_SECONDS
            self._later(seconds if self._reconnects < _MOST_RECONNECTS else _PATIENT_SECONDS, self._reconnect)
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
        self._take_stock()
        self._services.look_again()
        self._units.release_others(self._services.in_use() | self._scopes.in_use())
        self._scopes.look_again()
        self.looked_again()

    def _made_anew(self, unit: str) -> None:
        if not (self._services.ask_about(unit) or self._scopes.ask_about(unit)):
            self._units.release(unit)

    def _unit_removed(self, unit: str) -> None:
        if (self._services.uses(unit) or unit in self._scopes.in_use()) and self._is_there(unit):
            # What went was one of the same name before it.
            return
        if self._units.removed(unit):
            self._scopes.removed(unit)
            self._services.removed(unit)

    def _is_there(self, unit: str) -> bool:
        try:
            return self._connection.has_unit(unit)
        except SystemdError:
            # It is asked about when there is somebody to ask.
            return True
        finally:
            self._reading.soon()

    @property
    def connection(self) -> SystemdConnection:
        """To systemd, for others; ``dispatch_later`` after every call."""
        return self._connection

    def dispatch_later(self) -> None:
        """A call may have read what came before its answer."""
        self._reading.soon()

    # -- starting --------------------------------------------------------------------------------------------------

    def foresee(self, requests: Sequence[SpawnProcess]) -> None:
        """Have systemd make all of them at once (protocol.Backend.foresee)."""
        for request in requests:
            self._begin(request)
            self._foreseen.add(request.spawn)

    def spawn(self, request: SpawnProcess) -> None:
        """Start a process (protocol.Backend.spawn)."""
        if request.spawn in self._foreseen:
            self._foreseen.discard(request.spawn)
        else:
            self._begin(request)
        if request.spawn in self._services:
            self._services.go_on(request.spawn)
        elif request.spawn not in self._delayed:
            self._native.spawn(request)

    def _begin(self, request: SpawnProcess) -> None:
        """Have systemd make it if it is to be in a service, or note that this has to wait for systemd."""
        definition = request.definition
        place = placement(definition, request.process, self._setup.console_of(definition), request.fds, self._defaults.debug_stanza)
        self._placements[request.spawn] = place
        for remark in resources(request.definition.cgroups).remarks:
            # Once for each job, not for each instance.
            self._units.once(remark.priority, f"{display_name(request)} {remark.text}", f"{request.job} {remark.text}")
        if place.kind != SERVICE:
            return
        if not self._connection.is_open and self._reconnects >= _MOST_RECONNECTS:
            self._without_unit(request, "systemd does not answer")
            return
        if not self._connection.is_open:
            self._delayed[request.spawn] = request
            return
        try:
            self._services.begin(request)
        except SystemdError:
            self._delayed[request.spawn] = request
        except OSError:
            # Tried again, and complained of, by the native backend.
            self._placements[request.spawn] = Placement(SCOPE, "it could not be prepared at once")

    def _settle(self, process: Process, request: SpawnProcess, leave: Callable[[], None]) -> None:
        place = self._placements.get(request.spawn)
        if place is None or place.kind != SCOPE or not self._connection.is_open:
            leave()
        else:
            self._scopes.settle(process, request, leave)

    def _without_unit(self, request: SpawnProcess, reason: str, priority: int = WARN) -> None:
        self._placements[request.spawn] = Placement(NATIVE, f"systemd did not make a unit: {reason}")
        what = f"{display_name(request)} {PROCESS_NAMES[request.process]} process"
        self._units.once(priority, f"{what} runs without a unit of systemd: {reason}", reason)
        if request.definition.cgroups:
            self._units.once(WARN, f"{what} runs without what its cgroup stanza asks for", f"{request.job} without cgroup")

    # -- processes of another daemon -------------------------------------------------------------------------------------

    def adopt(self, request: AdoptProcess) -> None:
        """Find and follow a process (protocol.Backend.adopt).

        What cannot be found in its service any more, or has still to be followed to its forks, is found by its pid.
        """
        unit = (request.handle or {}).get("unit")
        self._placements[request.spawn] = Placement(SERVICE if unit else NATIVE, _TAKEN_OVER)
        if not (isinstance(unit, str) and unit.isascii() and self._services.adopt(request, unit)):
            self._adopted[request.spawn] = request
            self._native.adopt(request)

    def _enclose(self, request: AdoptProcess) -> None:
        """A scope's process has its stop requests again."""
        process = self._native.process_of(request.spawn)
        if process is None or not self._connection.is_open:
            return
        inside = SpawnProcess(request.spawn, request.job, request.instance, request.process, request.definition, request.environment,
                              request.fds, request.expect)
        if self._scopes.take_over(inside, process):
            self._placements[request.spawn] = Placement(SCOPE, _TAKEN_OVER)

    def handle(self, spawn: int) -> Optional[Dict[str, Any]]:
        """What finds it again (protocol.Backend.handle)."""
        return self._services.handle(spawn) if spawn in self._services else self._native.handle(spawn)

    def strays(self) -> List[Stray]:
        """Those in services of ours (protocol.Backend.strays); services whose process has ended are let go."""
        try:
            units = self._connection.units("upstart-*.service")
        except SystemdError as error:
            self._log(WARN, f"Failed to ask systemd for the services of jobs: {error}")
            return []
        found = []
        for unit in units:
            if unit in self._services.in_use() or is_of_the_program(unit):
                continue
            stray = self._services.stray(unit)
            if stray is not None:
                found.append(stray)
            else:
                self._units.release(unit)
        return found

    # -- over a re-exec -------------------------------------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Whether ``states`` says all (protocol.LastingBackend.at_rest)."""
        return self._native.at_rest

    def states(self) -> Dict[int, ProcessState]:
        """What ``restore`` goes on from (protocol.LastingBackend.states)."""
        found = {**self._native.states(), **self._services.states()}
        for spawn, delayed in self._delayed.items():
            found[spawn] = ProcessState(0, waiting=Waiting(0, delayed.environment, delayed.fds, delayed.expect))
        for spawn, state in found.items():
            place = self.placement(spawn)
            unit = state.unit or UnitState(place.kind, "", self._scopes.unit(spawn), settling=self._scopes.is_settling(spawn))
            found[spawn] = state._replace(unit=unit._replace(kind=place.kind, reason=place.reason))
        return found

    def unit_names(self) -> List[str]:
        """protocol.LastingBackend.unit_names."""
        return self._units.names

    def held_states(self) -> List[LogState]:
        """protocol.LastingBackend.held_states."""
        return self._native.held_states()

    def restore_held(self, states: List[LogState]) -> None:
        """protocol.LastingBackend.restore_held."""
        self._native.restore_held(states)

    def restore(self, found: Iterable[Tuple[SpawnProcess, ProcessState]], units: Sequence[str] = ()) -> None:
        """Go on with processes and units (protocol.LastingBackend.restore); what systemd has to say of them is asked for later."""
        ours: List[Tuple[SpawnProcess, ProcessState]] = []
        for request, state in found:
            unit = state.unit
            self._placements[request.spawn] = Placement(unit.kind, unit.reason) if unit is not None else Placement(NATIVE, "not known")
            known = state.pid or state.waiting is not None
            if unit is None or unit.kind != SERVICE or not known or not (unit.name or state.waiting is not None):
                ours.append((request, state))
            elif unit.name:
                self._services.restore(request, state, unit)
            elif state.waiting is not None:
                _, environment, fds, expect = state.waiting
                self._delayed[request.spawn] = request._replace(environment=environment, fds=fds, expect=expect)
        self._native.restore(ours)
        for request, state in ours:
            process = self._native.process_of(request.spawn)
            if process is not None and state.unit is not None and state.unit.name:
                leave = partial(self._setup.give_leave, process) if state.unit.settling else None
                self._scopes.restore(process, request, state.unit.name, leave)
        self._left = units
        self._later(0.0, self._take_stock)

    def _take_stock(self) -> None:
        """Find out what has happened meanwhile to the units that another daemon had."""
        if not self._connection.is_open:
            # Again when it is.
            return
        left, self._left = self._left, None
        if left is None:
            return
        try:
            listed = self._connection.states("upstart-*")
        except SystemdError as error:
            self._log(WARN, f"Failed to ask systemd for the units of jobs: {error}")
            self._left = left
            self._later(_PATIENT_SECONDS, self._take_stock)
            return
        finally:
            self._reading.soon()
        self._services.take_stock(listed)
        self._scopes.take_stock(listed)
        self._units.restore(set(left) - self._services.in_use() - self._scopes.of_processes(), listed)
        for request in self._take_delayed():
            self.spawn(request)

    # -- signals --------------------------------------------------------------------------------------------------------

    def signal(self, request: SignalProcess) -> None:
        """Send a signal (protocol.Backend.signal)."""
        if request.spawn in self._services:
            self._services.signal(request)
        elif self._delayed.pop(request.spawn, None) is None:
            self._native.signal(request)
        elif request.must_exist:
            self._feed(ProcessSpawnFailed(request.spawn, "stopped before it could be started"))

    def detach(self, request: DetachTrace) -> None:
        """Stop tracing a process (protocol.Backend.detach)."""
        delayed = self._delayed.get(request.spawn)
        if request.spawn in self._services:
            self._services.detach(request.spawn)
        elif delayed is not None:
            self._delayed[request.spawn] = delayed._replace(expect="none")
        else:
            self._native.detach(request)

    # -- what can be asked ----------------------------------------------------------------------------------------------

    def placement(self, spawn: int) -> Placement:
        """Where a process is, and why (protocol.Backend.placement)."""
        return self._placements.get(spawn, Placement(NATIVE, "not known"))

    def unit(self, spawn: int) -> str:
        """The unit that it is in (protocol.Backend.unit)."""
        return "" if self.placement(spawn).kind == NATIVE else self._services.unit(spawn) or self._scopes.unit(spawn)

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
        self._scopes.close()
        if self._connection.is_open:
            self._reading.end()
            self._connection.close()
        self._native.close(self._services.close())

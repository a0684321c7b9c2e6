"""Transient scopes around processes of our own (X251-X253).

A process waits for leave until its scope is there. A scope that cannot be made is no reason not to run.

What is to be stopped systemd asks for (scope_controller.py), where it knows whom to ask. Else it takes the scope for stopped
at once, which does nothing to the process: that a scope is over and its process is not shows that somebody has stopped it.
"""
from __future__ import annotations

import errno
from functools import partial
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Set, Tuple

from ..engine.actions import INFO, WARN, SpawnProcess
from ..engine.inputs import StopFromOutside
from .child_setup import Process, display_name
from .enclosure import Enclosure
from .identity import start_time
from .protocol import Feed, Later, Log
from .scope_controller import ScopeController
from .systemd_connection import SystemdConnection, SystemdError
from .transient_units import TransientUnits
from .unit_names import is_in_unit
from .unit_properties import scope_properties, unit_description

_UNIT_INTERFACE = b"org.freedesktop.systemd1.Unit"
_DEACTIVATING = b"deactivating"
_NOT_AT_WORK = (_DEACTIVATING, b"inactive", b"failed")
#: How long a process waits for its scope, in seconds.
_PATIENCE = 5.0

Leave = Callable[[], None]
#: Told of a process that has no unit, why, and how loud that is to be said.
Without = Callable[[SpawnProcess, str, int], None]


class _Settling(NamedTuple):
    """A scope that is being made, and what gives its process leave. ``enclosure``: the process has it, and waits for nothing."""

    leave: Leave
    enclosure: Optional[Enclosure] = None


class TransientScopes:
    """``watch`` and ``unwatch`` belong to whoever waits for descriptors; ``without``: told of a process that got no scope."""

    def __init__(self, feed: Feed, log: Log, later: Later, connection: SystemdConnection, units: TransientUnits,
                 watch: Callable[[int, Callable[[], None]], None], unwatch: Callable[[int], None], without: Without) -> None:
        self._feed = feed
        self._log = log
        self._later = later
        self._connection = connection
        self._units = units
        self._without = without
        self._controller = ScopeController(watch, unwatch, self._is_stopped, self._nobody_is_asked, connection)
        #: Those that are being made.
        self._settling: Dict[str, _Settling] = {}
        #: By the path of the unit: what is inside.
        self._inside: Dict[bytes, SpawnProcess] = {}
        self._units_of: Dict[int, str] = {}
        self._processes: Dict[str, Process] = {}
        #: Those whose process lives, and whose controller is gone: that of a daemon before this one, or with the bus.
        self._uncontrolled: Set[str] = set()
        #: Those that are being made, but what was to be inside has ended.
        self._vain: Set[str] = set()

    def settle(self, process: Process, request: SpawnProcess, leave: Leave) -> None:
        """Put a scope around a process, and then give it leave."""
        properties = scope_properties(request, unit_description(request, process.name), process.pid)
        try:
            unit = self._units.make(request, ".scope", properties, self._controller.start)
        except SystemdError as error:
            self._without(request, str(error), WARN)
            leave()
            return
        self._know(unit, request, process)
        self._await(unit, _Settling(leave))

    def _know(self, unit: str, request: SpawnProcess, process: Process) -> None:
        self._inside[self._connection.path(unit)] = request
        self._units_of[request.spawn] = unit
        self._processes[unit] = process
        if not self._controller.is_asked:
            self._watch_end(unit)

    def _watch_end(self, unit: str) -> None:
        self._uncontrolled.add(unit)
        self._units.watch(unit, partial(self._changed, unit))

    def _nobody_is_asked(self) -> None:
        """The bus is gone, and systemd does not know us any more when it is back."""
        for unit in self._processes:
            self._watch_end(unit)

    def _await(self, unit: str, settling: _Settling) -> None:
        self._settling[unit] = settling
        self._later(_PATIENCE, partial(self._settled, unit, settling, "systemd does not answer"))

    def restore(self, process: Process, request: SpawnProcess, unit: str, leave: Optional[Leave]) -> None:
        """Know the scope again that the daemon before this one, in its place, had made; ``leave`` if the process waits for it."""
        self._inside[self._connection.path(unit)] = request
        self._units_of[request.spawn] = unit
        self._processes[unit] = process
        # Watched from ``take_stock`` on.
        self._uncontrolled.add(unit)
        if leave is not None:
            self._await(unit, _Settling(leave))

    def look_again(self) -> None:
        """Signals may have been lost: ask for what they would have said."""
        try:
            listed = self._connection.states("upstart-*.scope")
        except SystemdError as error:
            self._log(WARN, f"Failed to ask systemd for the scopes of jobs: {error}")
            self._watch_again()
            return
        finally:
            self._units.dispatch_later()
        self.take_stock(listed)

    def _watch_again(self) -> None:
        """After somebody else may have begun to watch the scopes."""
        for unit in self._uncontrolled:
            self._watch_end(unit)

    def take_stock(self, listed: Mapping[str, Tuple[bytes, bytes]]) -> None:
        """Go on from what systemd has, states of units by name."""
        self._watch_again()
        for unit in list(self._units_of.values()):
            if unit not in listed:
                self.removed(unit)
                continue
            settling = self._settling.get(unit)
            if settling is not None and listed[unit][0] == b"active":
                self._settled(unit, settling, "")
            self._changed(unit, _UNIT_INTERFACE, {b"ActiveState": listed[unit][0]})

    def ask_about(self, unit: str) -> bool:
        """Ask for what may have changed about one unit; whether a process that is not over is in it."""
        if self._connection.path(unit) not in self._inside:
            return False
        try:
            found = self._connection.run_of(unit)
        except SystemdError:
            # Looked at again when there is somebody to ask.
            return True
        finally:
            self._units.dispatch_later()
        if found is not None:
            self._changed(unit, _UNIT_INTERFACE, {b"ActiveState": found.state})
        return True

    def _changed(self, unit: str, interface: bytes, properties: Dict[bytes, Any]) -> None:
        state = properties.get(b"ActiveState")
        # While it is being made it may be inactive still, or have failed: then nothing was put into it.
        if interface == _UNIT_INTERFACE and state in _NOT_AT_WORK and not (state != _DEACTIVATING and unit in self._settling):
            self._is_left(unit)

    def _is_left(self, unit: str) -> None:
        """A scope is at its end. If that of its process was not the reason, somebody has stopped it; systemd does not even signal it."""
        pid = self._processes[unit].pid if unit in self._uncontrolled else 0
        # Not in it is one that was never put there, because systemd was executed anew just then.
        if pid and start_time(pid) is not None and is_in_unit(pid, unit):
            self._is_stopped(self._connection.path(unit))
        self._uncontrolled.discard(unit)

    def job_removed(self, unit: str, result: str) -> None:
        """A job of systemd's is done."""
        settling = self._settling.get(unit)
        if settling is None:
            return
        if result != "done" and settling.enclosure is not None and unit not in self._vain:
            del self._settling[unit]
            request = self._forget(unit)
            if request is not None and not self._enclose(request, settling.enclosure) and settling.enclosure.scope:
                self._without(request, f"the unit's job was {result}", WARN)
            return
        self._settled(unit, settling, "" if result == "done" else f"the unit's job was {result}")
        if result != "done":
            # The process is not in it: what becomes of the unit says nothing of that.
            self._forget(unit)

    def _forget(self, unit: str) -> Optional[SpawnProcess]:
        request = self._inside.pop(self._connection.path(unit), None)
        if request is not None:
            self._units_of.pop(request.spawn, None)
        self._processes.pop(unit, None)
        self._uncontrolled.discard(unit)
        return request

    def removed(self, unit: str) -> None:
        """systemd has the unit no more."""
        if unit not in self._settling:
            self._is_left(unit)
        request = self._forget(unit)
        self._vain.discard(unit)
        settling = self._settling.pop(unit, None)
        if settling is not None:
            if request is not None:
                self._without(request, "the unit was removed", WARN)
            settling.leave()

    def _settled(self, unit: str, settling: _Settling, trouble: str) -> None:
        if self._settling.get(unit) is not settling:
            return
        del self._settling[unit]
        request = self._inside.get(self._connection.path(unit))
        if trouble and request is not None:
            self._without(request, trouble, WARN)
        settling.leave()
        if unit in self._vain:
            self._vain.discard(unit)
            self._forget(unit)
            self._units.release(unit)

    def ended(self, spawn: int) -> None:
        """A process is over; its scope goes by itself, if it was in it, when what was left behind is over, too (X253)."""
        unit = self._units_of.get(spawn, "")
        if unit in self._settling:
            self._vain.add(unit)
        elif unit:
            # A stop of what was left behind is none of the job, which may run again.
            self._forget(unit)

    def take_over(self, request: SpawnProcess, process: Process) -> bool:
        """Put a scope around a process that is in one whose controller is gone: nobody would be asked to stop it (X252).

        False if the process is in none, or stays there.
        """
        return self._enclose(request, Enclosure(self._connection, process))

    def _enclose(self, request: SpawnProcess, enclosure: Enclosure) -> bool:
        trouble = ""
        for pids in iter(enclosure.pids, []):
            properties = scope_properties(request, unit_description(request, enclosure.process.name), *pids)
            try:
                unit = self._units.make(request, ".scope", properties, self._controller.start)
            except SystemdError as error:
                trouble = str(error)
                if error.number == errno.ETIMEDOUT or not self._connection.is_open:
                    break
                continue
            self._know(unit, request, enclosure.process)
            self._await(unit, _Settling(lambda: None, enclosure))
            return True
        scope = enclosure.scope
        if trouble and scope:
            self._log(INFO, f"{enclosure.process.name} is not stopped by a stop of {scope}: {trouble}")
        return False

    def lost(self) -> None:
        """Nobody will say any more that a scope is there: those that wait go on."""
        settling = list(self._settling.values())
        self._settling.clear()
        for unit in self._vain:
            self._forget(unit)
        self._vain.clear()
        for each in settling:
            each.leave()

    def unit(self, spawn: int) -> str:
        """The unit that a process is in, "" if it is in none of these."""
        return self._units_of.get(spawn, "")

    def is_settling(self, spawn: int) -> bool:
        """Whether a process waits for its scope."""
        return self._units_of.get(spawn) in self._settling

    def in_use(self) -> Set[str]:
        """Units that are being made."""
        return set(self._settling)

    def of_processes(self) -> Set[str]:
        """Units of all processes that were not told to have ended."""
        return set(self._units_of.values())

    def dispatch(self) -> None:
        """Handle what arrived before the answer to a call."""
        self._controller.dispatch()

    def close(self) -> None:
        """Give up the connection to the bus."""
        self.lost()
        self._controller.close()

    def _is_stopped(self, path: bytes) -> None:
        request = self._inside.get(path)
        if request is not None:
            self._log(INFO, f"{display_name(request)} is stopped by systemd")
            self._feed(StopFromOutside(request.job, request.instance))

"""Takes over the processes of a daemon that is no more (X260, D229).

A process is known by its pid and by when it was started. Such a process is not our child, unless the
daemon was replaced in place: nobody tells us that it stops or goes on, and when it ends, which a pidfd
shows, its status is not to be had, unless it can be traced for it (exit_trace.py). Where there are no pidfds
(Linux before 5.3) it is looked at once a second.

Three things may still be open when it is found:

* It is a launcher that never got leave (passage.py). Its answer channel ended with the old daemon, so it is
  about to end, and is looked at again until then. One that does not end in time is taken for what it was to become.
* ``expect stop``: whether it has stopped itself is seen in /proc.
* ``expect fork``, ``expect daemon``: the trace that followed forks ended with the old daemon. If the process ends
  before its forks were counted, what it left behind is looked for (heir.py), after a second, because
  there may be one more fork to come.
"""
from __future__ import annotations

import signal
from functools import partial
from typing import Callable, Dict, List, Optional, Tuple

from ..engine.actions import AdoptProcess, SignalProcess
from ..engine.inputs import (
    ProcessExecuted,
    ProcessForked,
    ProcessLost,
    ProcessNeverRan,
    ProcessReady,
    ProcessSpawned,
    ProcessStopped,
)
from ..parser.definition import MAIN
from ..state.processes import Adopted
from .child_setup import ChildSetup, Process
from .exit_trace import ExitTrace
from .heir import heir_of
from .identity import Identity, is_child, is_stopped
from .job_log import JobLog
from .protocol import Feed, Later

_LAUNCHER_INTERVAL, _STOP_INTERVAL, _END_INTERVAL, _HEIR_DELAY = 0.02, 0.1, 1.0, 1.0
_FORKS = {"fork": 1, "daemon": 2}
#: Looks at a launcher that does not end, such as one that is frozen.
_MOST_LOOKS = 100


class Adoption:
    """``taken`` puts a process into the backend's tables, ``moved`` (spawn, old pid, new pid) changes its pid there.

    ``lost`` is called when one ended whose status is not known.
    """

    def __init__(self, feed: Feed, later: Later, setup: ChildSetup, exits: ExitTrace, signal_again: Callable[[SignalProcess], None],
                 taken: Callable[[Process], None], moved: Callable[[int, int, int], None], lost: Callable[[Process], None]) -> None:
        self._feed = feed
        self._later = later
        self._setup = setup
        self._exits = exits
        self._signal_again = signal_again
        self._taken = taken
        self._moved = moved
        self._lost = lost
        #: What is yet to be found, with the signals that it is to get then.
        self._pending: Dict[int, Tuple[AdoptProcess, Optional[JobLog], List[SignalProcess]]] = {}
        #: Main processes that are still expected to fork.
        self._to_fork: Dict[int, AdoptProcess] = {}

    def adopt(self, request: AdoptProcess) -> None:
        """protocol.Backend.adopt."""
        # Now, because what nobody takes at first is given up.
        self._pending[request.spawn] = request, self._setup.log_of_another_daemon(request), []
        self._look(request.spawn, 1)

    def postpone(self, request: SignalProcess) -> bool:
        """Whether the process of a signal is yet to be found; it gets the signal then."""
        pending = self._pending.get(request.spawn)
        if pending is None:
            return False
        pending[2].append(request)
        return True

    def detach(self, spawn: int) -> None:
        """Nothing is expected of the process any more (protocol.Backend.detach)."""
        self._to_fork.pop(spawn, None)

    def _look(self, spawn: int, looks: int) -> None:
        request, log, signals = self._pending[spawn]
        if not request.pid or not request.handle:
            # Nobody was told of its pid, so it never got leave.
            self._gone(spawn, ran=False)
            return
        handle = request.handle
        # What its launcher may have had to say is lost.
        process = Process(request, -1, log, None, "", lambda process, reason: None)
        # Held on to first: then what is found out next is true of what is held.
        identity = Identity(request.pid)
        process.exists_as(request.pid)
        child = is_child(request.pid)
        ran = bool(handle.get("executed")) or self._setup.passed(spawn)
        forks = handle.get("forks")
        process.forks = forks if type(forks) is int else 0
        to_fork = request.expect in _FORKS and process.forks < _FORKS[request.expect]
        gone = not child and (not process.started or process.started != handle.get("started"))
        if gone:
            # Holds nothing from now on, whoever has the pid.
            identity.close()
            if not (ran and to_fork):
                self._gone(spawn, ran)
                return
        if not ran and not child and looks < _MOST_LOOKS:
            identity.close()
            self._later(_LAUNCHER_INTERVAL, partial(self._look, spawn, looks + 1))
            return
        del self._pending[spawn]
        if child:
            identity.close()
        else:
            process.identity = identity
        self._taken(process)
        matters = request.process != MAIN or (request.definition.task and request.expect == "none")
        if gone:
            self._later(_HEIR_DELAY, partial(self._inherit, process, identity))
        # What ended since it was looked at cannot be seized.
        elif not (matters and not child and self._exits.seize(process.pid)):
            self.follow(process)
        self._feed(ProcessSpawned(spawn, process.pid))
        self._feed(ProcessExecuted(spawn))
        if to_fork and not child:
            self._to_fork[spawn] = request
        elif request.expect in _FORKS:
            self._feed(ProcessReady(spawn))
        elif request.expect == "stop":
            self._watch_for_stop(process)
        for each in signals:
            self._signal_again(each)

    def _gone(self, spawn: int, ran: bool) -> None:
        log = self._pending.pop(spawn)[1]
        if log is not None:
            self._setup.end_log(log)
        self._feed(ProcessLost(spawn) if ran else ProcessNeverRan(spawn))

    @property
    def busy(self) -> bool:
        """Whether some process is yet to be found."""
        return bool(self._pending)

    def state(self, spawn: int) -> Optional[Adopted]:
        """What ``go_on`` needs after a re-exec; None for a process of which no fork is expected."""
        request = self._to_fork.get(spawn)
        return None if request is None else Adopted(request.environment, request.expect, str((request.handle or {}).get("started")))

    def go_on(self, process: Process, request: AdoptProcess) -> None:
        """Look after a process that the daemon before this one, in its place, had adopted before its forks were counted."""
        self._to_fork[process.spawn] = request
        identity = process.identity
        if identity is not None and not identity.holds():
            self._later(_HEIR_DELAY, partial(self._inherit, process, identity))
        else:
            self.follow(process)

    def follow(self, process: Process) -> None:
        """See when a process ends that is not our child."""
        identity = process.identity
        if identity is None:
            return
        if identity.fileno() >= 0:
            self._setup.watch(identity.fileno(), partial(self._check_end, process, identity))
        else:
            self._later(_END_INTERVAL, partial(self._check_end, process, identity))

    def _check_end(self, process: Process, identity: Identity) -> None:
        if process.identity is not identity:
            # The backend is done with it.
            return
        if not identity.holds():
            if process.spawn in self._to_fork:
                self._setup.unwatch(identity.fileno())
                self._later(_HEIR_DELAY, partial(self._inherit, process, identity))
            else:
                self._lost(process)
        elif identity.fileno() < 0:
            self._later(_END_INTERVAL, partial(self._check_end, process, identity))

    def _inherit(self, process: Process, identity: Identity) -> None:
        """The process has ended: go on with what it left behind."""
        request = self._to_fork.pop(process.spawn, None)
        if process.identity is not identity:
            return
        known = str((request.handle or {}).get("started")) if request is not None else ""
        heir = heir_of(request.environment, int(known)) if request is not None and known.isdigit() else None
        if heir is None:
            self._lost(process)
            return
        self._moved(process.spawn, process.pid, heir)
        self.follow(process)
        self._feed(ProcessForked(process.spawn, heir))
        self._feed(ProcessReady(process.spawn))

    def _watch_for_stop(self, process: Process) -> None:
        identity = process.identity
        if identity is None or not identity.holds():
            return
        if is_stopped(process.pid):
            self._feed(ProcessStopped(process.spawn, signal.SIGSTOP))
        else:
            self._later(_STOP_INTERVAL, partial(self._watch_for_stop, process))

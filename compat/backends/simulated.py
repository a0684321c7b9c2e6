"""A backend without processes: the twin of the real ones for tests and for trying out job files.

Processes are records that do what they are told. As on a real machine, what happens to them is seen
in the order of D47: confirmations of execs first, then ends, stops and continuations, each when
``dispatch`` and ``reap`` are called.
"""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..engine.actions import AdoptProcess, DetachTrace, SignalProcess, SpawnProcess
from ..engine.inputs import (
    ProcessContinued,
    ProcessEnded,
    ProcessExecuted,
    ProcessForked,
    ProcessLost,
    ProcessNeverRan,
    ProcessReady,
    ProcessReplaced,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessStopped,
    ProcessVanished,
    SignalNotSent,
)
from ..parser.definition import PROCESS_NAMES
from .placement import NATIVE, Placement
from .protocol import Feed, Stray

_SIGKILL, _SIGCONT, _SIGSTOP = 9, 18, 19
_FORKS = {"fork": 1, "daemon": 2}


class SimulatedProcess:
    """One process. It lives until it is told otherwise; every signal but CONT and those ignored kills it."""

    def __init__(self, backend: "SimulatedBackend", request: SpawnProcess, pid: int) -> None:
        self._backend = backend
        self.request = request
        self.pid = pid
        self.alive = True
        #: whether it got as far as its program, which it may not before the engine was told of it
        self.ran = False
        self.stopped = False
        self.ignores: Tuple[int, ...] = ()
        #: signals that reached it, in order
        self.received: List[int] = []
        self._traced = request.expect in _FORKS
        self._forks = 0

    @property
    def name(self) -> str:
        """main, pre-start …"""
        return PROCESS_NAMES[self.request.process]

    @property
    def command(self) -> str:
        """The text of its exec or script."""
        definition = self.request.definition.processes[self.request.process]
        return definition.command if definition else ""

    @property
    def environment(self) -> Dict[str, str]:
        """Its environment."""
        return {key: value for key, _, value in (entry.partition("=") for entry in self.request.environment)}

    def exit(self, status: int = 0) -> None:
        """End with an exit code."""
        self._end(status)

    def killed_by(self, signal: int) -> None:
        """End by a signal."""
        self._end(signal << 8)

    def stop(self, signal: int = _SIGSTOP) -> None:
        """Be stopped by a signal."""
        self.stopped = True
        self._backend.ends.append(ProcessStopped(self.request.spawn, signal))

    def fork(self, exec_after: bool = False) -> None:
        """Fork and let the parent end, as daemons do; followed while ``expect`` asks for it (X72)."""
        self._backend.pid += 1
        if not self._traced:
            self.exit(0)
            return
        self.pid = self._backend.pid
        self._forks += 1
        self._backend.ends.append(ProcessForked(self.request.spawn, self.pid))
        if self._forks == _FORKS[self.request.expect]:
            self._met()
        elif exec_after:
            self.replace()

    def replace(self) -> None:
        """Execute another program (X72, X73)."""
        if self._traced:
            self._backend.ends.append(ProcessReplaced(self.request.spawn))
            if self._forks:
                self._met()

    def detach(self) -> None:
        """Be followed no more."""
        self._traced = False

    def move(self, backend: "SimulatedBackend") -> None:
        """Be watched by another backend, which did not see its forks."""
        self._backend = backend
        self._traced = False

    def deliver(self, signal: int) -> None:
        """Receive a signal."""
        self.received.append(signal)
        if signal == _SIGCONT:
            if self.stopped:
                self.stopped = False
                self._backend.ends.append(ProcessContinued(self.request.spawn))
        elif signal and (signal == _SIGKILL or signal not in self.ignores):
            self.killed_by(signal)

    def _met(self) -> None:
        self._traced = False
        self._backend.ends.append(ProcessReady(self.request.spawn))

    def _end(self, status: int) -> None:
        if self.alive:
            self.alive = False
            self._backend.ends.append(ProcessEnded(self.request.spawn, status))


class SimulatedBackend:
    """protocol.Backend over SimulatedProcess. ``before`` is that of a daemon which is no more: its processes live on."""

    def __init__(self, feed: Feed, before: Optional["SimulatedBackend"] = None) -> None:
        self._feed = feed
        self.pid: int = before.pid if before else 100
        #: What another daemon started and this one has not adopted.
        self._left: Dict[int, SimulatedProcess] = {**before._left, **before.processes} if before else {}
        self.processes: Dict[int, SimulatedProcess] = {}
        self.ends: List[Any] = []
        self._unconfirmed: List[int] = []
        #: False: execs are not confirmed by ``dispatch`` until it is True again
        self.confirms = True
        #: command text -> reason, for programs that cannot be started
        self.failing: Dict[str, str] = {}
        #: pids that are gone without anybody having seen it (X80)
        self.vanished: List[int] = []
        #: signal that kill(2) refuses -> reason
        self.refused_signals: Dict[int, str] = {}

    def foresee(self, requests: Sequence[SpawnProcess]) -> None:
        """There is nothing to begin (protocol.Backend.foresee)."""

    def spawn(self, request: SpawnProcess) -> None:
        """Make a process."""
        self.pid += 1
        process = SimulatedProcess(self, request, self.pid)
        self.processes[request.spawn] = process
        self._unconfirmed.append(request.spawn)
        self._feed(ProcessSpawned(request.spawn, process.pid))
        process.ran = True

    def adopt(self, request: AdoptProcess) -> None:
        """Go on with a process of the backend before; how it ended is not known."""
        process = self._left.pop(request.spawn, None)
        if process is None or not process.ran:
            self._feed(ProcessNeverRan(request.spawn))
        elif not process.alive or process.pid in self.vanished:
            self._feed(ProcessLost(request.spawn))
        else:
            process.move(self)
            self.processes[request.spawn] = process
            self._feed(ProcessSpawned(request.spawn, process.pid))
            self._feed(ProcessExecuted(request.spawn))
            if request.expect in _FORKS:
                self._feed(ProcessReady(request.spawn))
            if process.stopped:
                self.ends.append(ProcessStopped(request.spawn, _SIGSTOP))

    def handle(self, spawn: int) -> Optional[Dict[str, Any]]:
        """Its pid."""
        process = self.processes.get(spawn)
        return {"pid": process.pid} if process is not None else None

    def placement(self, spawn: int) -> Placement:
        """Never in a unit (protocol.Backend.placement)."""
        return Placement(NATIVE, "simulated")

    def unit(self, spawn: int) -> str:
        """Always "" (protocol.Backend.unit)."""
        return ""

    def strays(self) -> List[Stray]:
        """None (protocol.Backend.strays)."""
        return []

    def signal(self, request: SignalProcess) -> None:
        """Deliver, or say why not."""
        process = self.processes.get(request.spawn)
        if process is None or process.pid in self.vanished:
            if process is not None:
                process.alive = False
            if request.must_exist:
                self._feed(ProcessVanished(request.spawn))
        elif not process.alive:
            # A zombie takes any signal; its end is about to be told.
            pass
        elif request.signal in self.refused_signals:
            if request.must_exist:
                self._feed(SignalNotSent(request.spawn, request.signal, self.refused_signals[request.signal]))
        else:
            process.deliver(request.signal)

    def detach(self, request: DetachTrace) -> None:
        """Stop following."""
        process = self.processes.get(request.spawn)
        if process is not None:
            process.detach()

    def fileno(self) -> int:
        """There is nothing to wait for."""
        return -1

    def dispatch(self) -> None:
        """Confirm execs, or report that they failed."""
        if not self.confirms:
            return
        waiting, self._unconfirmed = self._unconfirmed, []
        for spawn in waiting:
            self._confirm(spawn)

    def reap(self) -> None:
        """Report ends, stops and continuations; the exec of a process is always confirmed first (X28)."""
        while self.ends:
            happened = self.ends.pop(0)
            if happened.spawn in self._unconfirmed and type(happened) is ProcessEnded:
                self._unconfirmed.remove(happened.spawn)
                self._confirm(happened.spawn)
            self._feed(happened)

    def _confirm(self, spawn: int) -> None:
        process = self.processes[spawn]
        reason = self.failing.get(process.command)
        if reason is None:
            self._feed(ProcessExecuted(spawn))
        else:
            process.alive = False
            self._feed(ProcessSpawnFailed(spawn, reason))

    def busy(self) -> bool:
        """Whether ``dispatch`` or ``reap`` has something to report."""
        return bool(self.ends) or (self.confirms and bool(self._unconfirmed))

    def write_held_output(self) -> None:
        """There is no output."""

    def close(self) -> None:
        """There are no descriptors."""

    def left(self) -> List[SimulatedProcess]:
        """Live processes of a daemon before that ran and that nobody adopted."""
        return [each for each in self._left.values() if each.alive and each.ran]

    def find(self, job: str, process: str, instance: str) -> Optional[SimulatedProcess]:
        """The live process of an instance's slot."""
        for each in self.processes.values():
            if each.alive and (each.request.job, each.name, each.request.instance) == (job, process, instance):
                return each
        return None

"""Starts, follows and signals processes by itself: what an init does (X1-X67, X85-X88, X98-X114).

A process is made by the launch server (launch_server.py); child_setup.py prepares it and attends to its
streams. spawn() returns as soon as the process exists. The statuses of waitpid are taken in kernel order,
by ``reap`` alone (X85, X87).

Every call of ``feed`` may come back as spawn(), signal() or detach() before it returns. Tables are
therefore changed before ``feed`` is called and looked at again afterwards.
"""
from __future__ import annotations

import errno
import os
from functools import partial
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..engine.actions import WARN, AdoptProcess, DetachTrace, SignalProcess, SpawnProcess
from ..engine.inputs import (
    ProcessContinued,
    ProcessEnded,
    ProcessExecuted,
    ProcessLost,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessStopped,
    ProcessVanished,
    SignalNotSent,
)
from ..state.processes import LogState, ProcessState, Waiting
from . import signal_delivery, spawn_errors
from .adoption import Adoption
from .child_setup import NO_DESCRIPTORS, ChildSetup, Process
from .descriptor_store import DescriptorStore
from .exit_trace import ExitTrace
from .identity import Identity, is_child
from .launch_server import LaunchServer
from .placement import NATIVE, Placement
from .protocol import Feed, Later, Log, ProcessDefaults, Stray
from .tracee import TraceeTable

#: Attempts to start a process: so many at once, then one a second, so many in all (X33).
ATTEMPTS_AT_ONCE, ATTEMPTS = 3, 10
_RETRY_SECONDS = 1.0

LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "upstart-compat-launcher")

# What may be different the next second. Anything else is as wrong then as now.
_TEMPORARY = (*NO_DESCRIPTORS, errno.EAGAIN, errno.ETXTBSY, errno.ENOBUFS, errno.ETOOMANYREFS)

_TRACED = ("fork", "daemon")
_WAIT_FLAGS = os.WNOHANG | os.WUNTRACED | os.WCONTINUED | 0x40000000  # __WALL
# Statuses taken in one turn of the main loop; more are taken in the next.
_REAPED_A_TURN = 1000


Settle = Callable[[Process, SpawnProcess, Callable[[], None]], None]


class _Waiting(NamedTuple):
    """A process that could not be started yet, and how often that was tried."""

    request: SpawnProcess
    attempts: int


class NativeBackend:
    """protocol.Backend.

    ``utmp`` is called with the pid of each process that ended (X100); ``launcher`` is the program's path. ``settle`` is
    given each process that exists but has no leave yet, and what gives it leave, to be called once. ``store`` is where
    the ptys of logs outlive the daemon.
    """

    def __init__(self, feed: Feed, log: Log, later: Later, defaults: ProcessDefaults, utmp: Optional[Callable[[int], None]] = None,
                 launcher: str = LAUNCHER, settle: Optional[Settle] = None, store: Optional[DescriptorStore] = None) -> None:
        self._settle = settle
        self._feed = feed
        self._log = log
        self._later = later
        self._utmp = utmp
        self._launcher = launcher
        self._server = LaunchServer(launcher)
        self.setup = ChildSetup(feed, log, defaults, store)
        self._processes: Dict[int, Process] = {}
        self._by_pid: Dict[int, Process] = {}
        self._waiting: Dict[int, _Waiting] = {}
        self.tracees = TraceeTable(feed, log, self._on_followed)
        self._exits = ExitTrace()
        #: jobs of which it was said that nobody limits them
        self._cgroup_warned: Set[str] = set()
        self._adoption = Adoption(feed, later, self.setup, self._exits, self.signal, self._take_over, self._on_followed, self._lost)

    # -- starting ------------------------------------------------------------------------------------

    def foresee(self, requests: Sequence[SpawnProcess]) -> None:
        """There is nothing to begin (protocol.Backend.foresee)."""

    def spawn(self, request: SpawnProcess) -> None:
        """Start a process (protocol.Backend.spawn)."""
        self._try(request, 0, ATTEMPTS_AT_ONCE)

    def _try(self, request: SpawnProcess, attempts: int, at_once: int) -> None:
        for attempt in range(attempts + 1, attempts + at_once + 1):
            try:
                process = self._start(request)
            except OSError as error:
                reason = os.strerror(error.errno or errno.EIO)
                if error.errno not in _TEMPORARY:
                    self._waiting[request.spawn] = _Waiting(request, attempt)
                    what = f"unable to execute launcher {self._launcher}" if error.filename == self._launcher else "unable to fork"
                    # Not from within spawn(): the line belongs after those of the present change of state (X45).
                    self._later(0.0, partial(self._give_up, request.spawn, f"{what}: {reason}"))
                    return
                self._log(WARN, f"Temporary process spawn error: {reason}")
                if attempt == ATTEMPTS:
                    self._waiting[request.spawn] = _Waiting(request, attempt)
                    self._give_up(request.spawn, f"unable to fork: {reason}")
                    return
            else:
                self._waiting.pop(request.spawn, None)
                self._started(process, request)
                return
        self._waiting[request.spawn] = _Waiting(request, attempt)
        self._later(_RETRY_SECONDS, partial(self._retry, request.spawn))

    def _retry(self, spawn: int) -> None:
        waiting = self._waiting.get(spawn)
        if waiting is not None:
            self._try(waiting.request, waiting.attempts, 1)

    def _give_up(self, spawn: int, reason: str) -> None:
        if self._waiting.pop(spawn, None) is not None:
            self._feed(ProcessSpawnFailed(spawn, reason))

    def _start(self, request: SpawnProcess) -> Process:
        """One attempt. Raises OSError, and then nothing is left of it."""
        birth = self.setup.prepare(request, self._failed)
        try:
            birth.process.exists_as(self._server.start(birth.passed))
        except OSError:
            self.setup.abandon(birth)
            raise
        birth.handed_over()
        return birth.process

    def _started(self, process: Process, request: SpawnProcess) -> None:
        self._processes[process.spawn] = process
        self._by_pid[process.pid] = process
        self.setup.begin(process, request)
        trouble = self._trace(process, request)
        self._feed(ProcessSpawned(process.spawn, process.pid))
        if trouble is not None:
            signal_delivery.kill(process.pid)
            self._failed(process, trouble)
        elif self._settle is None:
            if request.definition.cgroups and request.job not in self._cgroup_warned:
                self._cgroup_warned.add(request.job)
                self._log(WARN, f"{process.name} cgroup stanza is not honoured by this backend")
            self.setup.give_leave(process)
        else:
            self._settle(process, request, partial(self.setup.give_leave, process))

    def _trace(self, process: Process, request: SpawnProcess) -> Optional[str]:
        if request.expect in _TRACED:
            try:
                self.tracees.seize(process.spawn, process.pid, request.expect, process.label)
            except OSError as error:
                return spawn_errors.not_traced(error)
        return None

    def _failed(self, process: Process, reason: str) -> None:
        self._forget(process)
        self.tracees.forget(process.spawn)
        self.setup.end(process, printed=False)
        self._feed(ProcessSpawnFailed(process.spawn, reason))

    # -- processes of another daemon -----------------------------------------------------------------------

    def adopt(self, request: AdoptProcess) -> None:
        """Find and follow a process (protocol.Backend.adopt)."""
        self._adoption.adopt(request)

    def handle(self, spawn: int) -> Optional[Dict[str, Any]]:
        """What finds it again (protocol.Backend.handle)."""
        process = self._processes.get(spawn)
        return process.handle() if process is not None else None

    def _take_over(self, process: Process) -> None:
        self._processes[process.spawn] = process
        self._by_pid[process.pid] = process

    def _lost(self, process: Process) -> None:
        """It ended, and was not our child."""
        if self._processes.get(process.spawn) is process:
            self._over(process)
            self._feed(ProcessLost(process.spawn))

    def write_held_output(self) -> None:
        """NotifyDiskWriteable (protocol.Backend.write_held_output)."""
        self.setup.write_held_output()

    # -- children ------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Handle every child that ended, stopped or continued (protocol.Backend.reap)."""
        for _ in range(_REAPED_A_TURN):
            try:
                pid, status = os.waitpid(-1, _WAIT_FLAGS)
            except ChildProcessError:
                return
            if not pid:
                return
            process = self._by_pid.get(pid)
            if process is not None and process.answer_fd >= 0:
                self.setup.read_answer(process)
            if self._exits.handle(pid, status) or self.tracees.handle(pid, status):
                continue
            process = self._by_pid.get(pid)
            if process is None:
                # An orphan of a job, a parent that was followed to its child, a launcher that failed (X30, X75, X27).
                continue
            if os.WIFSTOPPED(status):
                self._feed(ProcessStopped(process.spawn, os.WSTOPSIG(status)))
            elif os.WIFCONTINUED(status):
                self._feed(ProcessContinued(process.spawn))
            else:
                self._ended(process, os.WEXITSTATUS(status) if os.WIFEXITED(status) else os.WTERMSIG(status) << 8)
        self._later(0.0, self.reap)

    def _ended(self, process: Process, status: int) -> None:
        self._over(process)
        self._feed(ProcessEnded(process.spawn, status))

    def _over(self, process: Process) -> None:
        """In the order of X98."""
        pid = process.pid
        self._forget(process)
        self.setup.end(process)
        if self._utmp is not None:
            self._utmp(pid)

    def _on_followed(self, spawn: int, old: int, new: int) -> None:
        process = self._processes.get(spawn)
        if process is None:
            return
        if self._by_pid.get(old) is process:
            del self._by_pid[old]
        if process.identity is not None:
            process.identity.close()
        process.identity = Identity(new)
        process.exists_as(new)
        process.forks += 1
        self._by_pid[new] = process

    def _forget(self, process: Process) -> None:
        """Take it out of all tables."""
        self._processes.pop(process.spawn, None)
        if self._by_pid.get(process.pid) is process:
            del self._by_pid[process.pid]

    def placement(self, spawn: int) -> Placement:
        """Never in a unit (protocol.Backend.placement)."""
        return Placement(NATIVE, "the daemon itself runs the processes")

    def unit(self, spawn: int) -> str:
        """Always "" (protocol.Backend.unit)."""
        return ""

    def strays(self) -> List[Stray]:
        """None: nothing but the record tells them from other processes (protocol.Backend.strays)."""
        return []

    # -- signals ---------------------------------------------------------------------------------------------

    def signal(self, request: SignalProcess) -> None:
        """Send a signal (protocol.Backend.signal)."""
        process = self._processes.get(request.spawn)
        if process is None:
            if request.spawn in self._waiting and request.must_exist:
                # There is nothing to kill, and what is to be killed need not be started any more.
                self._give_up(request.spawn, "stopped before it could be started")
            elif request.must_exist and not self._adoption.postpone(request):
                self._feed(ProcessVanished(request.spawn))
            return
        if self._by_pid.get(process.pid) is not process or not (process.identity is None or process.identity.holds()):
            if request.must_exist:
                self._vanished(process)
            return
        try:
            signal_delivery.send(process.pid, request.signal, request.group)
        except ProcessLookupError:
            if request.must_exist:
                self._vanished(process)
        except (OSError, OverflowError) as error:
            if request.must_exist:
                text = os.strerror((error.errno if isinstance(error, OSError) else None) or errno.EINVAL)
                self._feed(SignalNotSent(request.spawn, request.signal, text))

    def _vanished(self, process: Process) -> None:
        self.tracees.forget(process.spawn)
        self._forget(process)
        self.setup.end(process)
        self._feed(ProcessVanished(process.spawn))

    def detach(self, request: DetachTrace) -> None:
        """Stop tracing a process (protocol.Backend.detach)."""
        waiting = self._waiting.get(request.spawn)
        if waiting is not None:
            self._waiting[request.spawn] = waiting._replace(request=waiting.request._replace(expect="none"))
        self._adoption.detach(request.spawn)
        self.tracees.detach(request.spawn)

    # -- over a re-exec --------------------------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Whether processes of a daemon before this one are not being looked for (protocol.LastingBackend.at_rest)."""
        return not self._adoption.busy

    def states(self) -> Dict[int, ProcessState]:
        """What ``restore`` goes on from (protocol.LastingBackend.states)."""
        found = {spawn: self.setup.state(process)._replace(trace=self.tracees.state(spawn), adopted=self._adoption.state(spawn))
                 for spawn, process in self._processes.items()}
        for spawn, (request, attempts) in self._waiting.items():
            found[spawn] = ProcessState(0, waiting=Waiting(attempts, request.environment, request.fds, request.expect))
        return found

    def unit_names(self) -> List[str]:
        """None (protocol.LastingBackend.unit_names)."""
        return []

    def process_of(self, spawn: int) -> Optional[Process]:
        """What is known of a process, if it is one of these."""
        return self._processes.get(spawn)

    def restore(self, found: Iterable[Tuple[SpawnProcess, ProcessState]], units: Sequence[str] = ()) -> None:
        """Go on with the processes of the daemon that this one replaces in place (protocol.LastingBackend.restore).

        What happened to them meanwhile is told by the next ``reap`` (D194). Who is gone is told of at once, but not
        before all are known: the engine may want to do something about the others.
        """
        told: List[Tuple[Callable[[Process], None], Process]] = []
        for request, state in found:
            if state.waiting is not None:
                _, environment, fds, expect = state.waiting
                request = request._replace(environment=environment, fds=fds, expect=expect)
                self._waiting[request.spawn] = _Waiting(request, min(state.waiting.attempts, ATTEMPTS - 1))
                self._later(_RETRY_SECONDS, partial(self._retry, request.spawn))
                if state.unit is not None:
                    # systemd was to make it, and cannot be asked any more: a launcher ends with its channels.
                    self.setup.drop(state)
                continue
            process = self.setup.restored(request, state, self._failed)
            self._processes[request.spawn] = process
            if state.adopted is not None:
                self._by_pid.setdefault(state.pid, process)
                environment, expect, started = state.adopted
                self._adoption.go_on(process, AdoptProcess(
                    request.spawn, request.job, request.instance, request.process, request.definition, environment, (), expect, state.pid,
                    {"started": started}))
                continue
            if self._settle is None and state.unit is not None and state.unit.settling:
                self.setup.give_leave(process)
            if state.pid in self._by_pid or not _is_there(process):
                told.append((self._lost, process))
                continue
            self._by_pid[state.pid] = process
            if state.trace is not None and state.trace.state:
                self.tracees.restore(request.spawn, state.pid, request.expect, process.label, state.trace)
            elif process.identity is not None and not self._exits.go_on(state.pid) and not is_child(state.pid):
                self._adoption.follow(process)
            if process.answer_fd < 0:
                # Nothing is to come that would say so (X26); where it was said already, it means nothing any more.
                told.append((lambda process: self._feed(ProcessExecuted(process.spawn)), process))
        for tell, process in told:
            if self._processes.get(process.spawn) is process:
                tell(process)

    def held_states(self) -> List[LogState]:
        """The output that is held of ended processes (X128)."""
        return self.setup.held_states()

    def restore_held(self, states: List[LogState]) -> None:
        """Hold it again."""
        self.setup.restore_held(states)

    # -- descriptors -----------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The epoll descriptor."""
        return self.setup.fileno()

    def dispatch(self) -> None:
        """Handle every ready descriptor (protocol.Backend.dispatch)."""
        self.setup.dispatch()

    def close(self, others: Sequence[Process] = ()) -> None:
        """Give up every descriptor, also those of ``others`` (protocol.Backend.close)."""
        self._waiting.clear()
        self._server.close()
        processes = [*self._processes.values(), *others]
        self._processes.clear()
        self._by_pid.clear()
        self.setup.close(processes)


def _is_there(process: Process) -> bool:
    """Whether a process that another daemon started in our place is still there, or its end still to be told."""
    if process.pid <= 0:
        return False
    return process.identity.holds() if process.identity is not None else is_child(process.pid)

"""Starts, follows and signals processes by itself: what an init does (X1-X67, X85-X88, X98-X114).

A process is made by the launch server (launch_server.py, launcher.c); it gets its specification through
a memfd and answers through a close-on-exec pipe. spawn() returns as soon as the process exists; the
rest comes in as

* the answer: end of file means that the exec succeeded, anything else why it did not. Until then the
  process has an ``answer_fd``. Before anything else about a process is handled its answer is read
  (X28), so the order is always ProcessSpawned, then ProcessExecuted or ProcessSpawnFailed, then
  the rest;
* output, room in the pipe of a script: one epoll set, whose descriptor is ``fileno``;
* the statuses of waitpid, taken in kernel order by ``reap`` alone (X85, X87).

Every call of ``feed`` may come back as spawn(), signal() or detach() before it returns. Tables are
therefore changed before ``feed`` is called and looked at again afterwards, and a descriptor that
was ready may be another one by the time that its turn comes: all of them are non-blocking, and none
is believed to have something to say before it was read.
"""
from __future__ import annotations

import errno
import os
import select
from functools import partial
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from ..engine.actions import ERROR, INFO, WARN, DetachTrace, SignalProcess, SpawnProcess
from ..engine.expansion import ExpansionError
from ..engine.inputs import (
    ProcessContinued,
    ProcessEnded,
    ProcessExecuted,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessStopped,
    ProcessVanished,
    SignalNotSent,
)
from ..parser.definition import MAIN, PROCESS_NAMES, JobDefinition
from . import apparmor, process_spec, spawn_errors
from .command import Command, as_bytes, command_of
from .descriptor_reserve import exhausted, in_reserve
from .identity import Identity
from .job_log import HeldOutput, JobLog, log_path
from .launch_server import LaunchServer
from .process_spec import ProcessSpec
from .protocol import Feed, Later, Log, ProcessDefaults
from .script_feed import ScriptFeed
from .tracee import TraceeTable

#: Attempts to start a process: so many at once, then one a second, so many in all (X33).
ATTEMPTS_AT_ONCE, ATTEMPTS = 3, 10
_RETRY_SECONDS = 1.0

LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "upstart-compat-launcher")

# What may be different the next second. Anything else is as wrong then as now.
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_TEMPORARY = (*_NO_DESCRIPTORS, errno.EAGAIN, errno.ETXTBSY, errno.ENOBUFS, errno.ETOOMANYREFS)

_SCRIPT_FD = 9
_WAIT_FLAGS = os.WNOHANG | os.WUNTRACED | os.WCONTINUED | 0x40000000  # __WALL
# Statuses taken in one turn of the main loop; more are taken in the next.
_REAPED_A_TURN = 1000
_MOST_UNLOGGED = 1000


class _Process:
    """A process that was started and whose end was not seen yet."""

    __slots__ = ("answer", "answer_fd", "cause", "feed", "identity", "log", "name", "pid", "spawn")

    def __init__(self, spawn: int, name: str, pid: int, answer_fd: int, log: Optional[JobLog], feed: Optional[ScriptFeed],
                 cause: str) -> None:
        self.spawn = spawn
        self.name = name
        self.pid = pid
        self.answer_fd = answer_fd
        self.answer = b""
        self.log = log
        self.feed = feed
        #: why the profile's name could not be expanded (X41)
        self.cause = cause
        #: only for one that a fork was followed to
        self.identity: Optional[Identity] = None


class _Waiting(NamedTuple):
    """A process that could not be started yet, and how often that was tried."""

    request: SpawnProcess
    attempts: int


class NativeBackend:
    """protocol.Backend.

    ``utmp`` is called with the pid of each process that ended (X100); ``launcher`` is the program's path.
    """

    def __init__(self, feed: Feed, log: Log, later: Later, defaults: ProcessDefaults, utmp: Optional[Callable[[int], None]] = None,
                 launcher: str = LAUNCHER) -> None:
        self._feed = feed
        self._log = log
        self._later = later
        self._defaults = defaults
        self._utmp = utmp
        self._launcher = launcher
        self._server = LaunchServer(launcher)
        self._epoll = select.epoll()
        self._readers: Dict[int, Callable[[], None]] = {}
        self._processes: Dict[int, _Process] = {}
        self._by_pid: Dict[int, _Process] = {}
        self._waiting: Dict[int, _Waiting] = {}
        self._tracees = TraceeTable(feed, log, self._on_followed)
        self._held = HeldOutput(log, self._unwatch)
        #: Classes (instance None) and instances that go without a log, with the definition for which that holds.
        self._unlogged: Dict[Tuple[str, Optional[str]], JobDefinition] = {}
        self._cgroup_warned: Set[str] = set()
        self._reset_oom = _own_oom_score() != 0
        self._group = os.getpgrp()

    # -- starting ------------------------------------------------------------------------------------

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

    def _start(self, request: SpawnProcess) -> _Process:
        """One attempt. Raises OSError, and then nothing is left of it."""
        definition = request.definition
        wanted = definition.processes[request.process]
        assert wanted is not None
        command = command_of(wanted)
        fds = tuple(fd for fd in request.fds if fd > 2 and _is_open(fd))
        if command.script is not None and _SCRIPT_FD in fds:
            # A descriptor of the event has the number that the script would come through.
            if command.fallback is not None:
                command = Command(command.fallback)
            else:
                fds = tuple(fd for fd in fds if fd != _SCRIPT_FD)
                self._log(WARN, f"{_name(request)} script is too long to be given beside descriptor {_SCRIPT_FD}, which is not passed on")
        console, log = self._console(request)
        ours: List[int] = []
        theirs: List[int] = []
        try:
            answer_fd, their_answer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            ours.append(answer_fd)
            theirs.append(their_answer)
            if in_reserve(answer_fd):
                raise exhausted()
            self._epoll.register(answer_fd, select.EPOLLIN)
            spec = ProcessSpec()
            feed = None
            if command.script is not None:
                their_script, script = os.pipe2(os.O_CLOEXEC)
                ours.append(script)
                theirs.append(their_script)
                feed = ScriptFeed(script, command.script)
                spec.number(process_spec.SCRIPT_FD, their_script)
                if definition.chroot is not None and command.fallback is not None:
                    spec.strings(process_spec.FALLBACK_ARGV, command.fallback)
            spec.number(process_spec.STATUS_FD, their_answer)
            spec.strings(process_spec.ARGV, command.argv)
            spec.strings(process_spec.ENVIRONMENT, map(as_bytes, request.environment))
            if fds:
                spec.numbers(process_spec.KEEP_FDS, fds)
            spec.number(process_spec.CONSOLE, process_spec.CONSOLES.index(console))
            if log is not None:
                spec.number(process_spec.PTY_FD, log.master)
            cause = self._profile(request, spec)
            spec.surroundings(definition, request.process, self._defaults, self._reset_oom)
            if definition.debug and self._defaults.debug_stanza:
                spec.flag(process_spec.DEBUG_STOP)
            if request.expect in ("fork", "daemon"):
                spec.flag(process_spec.TRACE)
            their_spec = os.memfd_create("process", os.MFD_CLOEXEC)
            theirs.append(their_spec)
            data = spec.encode()
            if os.write(their_spec, data) != len(data):
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            passed = [their_spec, *theirs[:-1], *fds]
            if log is not None:
                passed.append(log.master)
            pid = self._server.start(passed)
        except OSError:
            for fd in ours:
                os.close(fd)
            if log is not None:
                log.close()
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        return _Process(request.spawn, _name(request), pid, answer_fd, log, feed, cause)

    def _started(self, process: _Process, request: SpawnProcess) -> None:
        spawn, pid = process.spawn, process.pid
        self._processes[spawn] = process
        self._by_pid[pid] = process
        self._readers[process.answer_fd] = partial(self._read_answer, process)
        log = process.log
        if log is not None:
            self._watch(log.master, partial(self._read_output, process))
        if request.expect in ("fork", "daemon"):
            self._tracees.add(spawn, pid, request.expect, f"{process.name} {PROCESS_NAMES[request.process]} process")
        definition = request.definition
        if definition.debug and self._defaults.debug_stanza:
            self._log(INFO, f"Pausing {request.job} ({pid}) [pre-exec] for debug")
        if definition.cgroups and request.job not in self._cgroup_warned:
            self._cgroup_warned.add(request.job)
            self._log(WARN, f"{process.name} cgroup stanza is not honoured by this backend")
        self._feed(ProcessSpawned(spawn, pid))

    def _profile(self, request: SpawnProcess, spec: ProcessSpec) -> str:
        """X136, X138; what is wrong with the profile's name is reported when its turn comes (X36 step 8)."""
        name = request.definition.apparmor_switch
        if name is None or request.process != MAIN or not apparmor.usable():
            return ""
        try:
            spec.string(process_spec.APPARMOR, apparmor.profile(name, request.environment))
        except ExpansionError as error:
            spec.flag(process_spec.APPARMOR_INVALID)
            return str(error)
        return ""

    def _console(self, request: SpawnProcess) -> Tuple[str, Optional[JobLog]]:
        """Where standard streams go (X57-X63). Raises OSError where a log may be possible later."""
        defaults = self._defaults
        definition = request.definition
        console = definition.console or defaults.console
        if console != "log":
            return console, None
        if not defaults.logging or defaults.log_directory is None:
            return "none", None
        job, instance = request.job, request.instance
        # The same object: the class has a log again when its file was loaded again, even if it says the same.
        if self._unlogged and any(self._unlogged.get((job, which)) is definition for which in (None, instance)):
            return "none", None
        try:
            return "log", JobLog.create(log_path(defaults.log_directory, job, instance), self._log, self._held)
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                raise
            self._log(ERROR, "Failed to create pty - disabling logging for job")
            too_long = error.errno == errno.ENAMETOOLONG
            if not too_long:
                self._log(WARN, f"Temporary process spawn error: {error.strerror}")
            if len(self._unlogged) >= _MOST_UNLOGGED:
                self._unlogged.clear()
            # The name of one instance is too long for a path (X33), but no pty is no pty for all (X32).
            self._unlogged[job, instance if too_long else None] = definition
            return "none", None

    # -- the launcher's answer ---------------------------------------------------------------------------

    def _read_answer(self, process: _Process) -> None:
        while process.answer_fd >= 0:
            try:
                data = os.read(process.answer_fd, 4096)
            except BlockingIOError:
                return
            if not data:
                if process.answer:
                    self._failed(process, "launcher gave an answer of the wrong size")
                else:
                    self._executed(process)
                return
            process.answer += data
            for kind, error, detail in spawn_errors.answers(process.answer):
                if kind != spawn_errors.NOTICE:
                    self._failed(process, spawn_errors.reason(kind, error, detail, process.cause))
                    return
                self._log(WARN, f"Failed to open system console: {os.strerror(error)}")
            process.answer = process.answer[len(process.answer) // spawn_errors.ANSWER.size * spawn_errors.ANSWER.size:]

    def _executed(self, process: _Process) -> None:
        self._close_answer(process)
        feed = process.feed
        if feed is not None:
            # What there is room for goes before the engine hears of it (X31).
            self._watch(feed.fd, partial(self._feed_script, feed), select.EPOLLOUT)
            self._feed_script(feed)
        self._feed(ProcessExecuted(process.spawn))

    def _feed_script(self, feed: ScriptFeed) -> None:
        if feed.fd >= 0 and feed.write():
            self._unwatch(feed.fd)
            feed.close()

    def _failed(self, process: _Process, reason: str) -> None:
        self._forget(process)
        self._tracees.forget(process.spawn)
        log = process.log
        if log is not None:
            # Nothing was executed, so nothing was printed (X44).
            self._unwatch(log.master)
            log.close()
        self._feed(ProcessSpawnFailed(process.spawn, reason))

    def _close_answer(self, process: _Process) -> None:
        fd = process.answer_fd
        if fd >= 0:
            process.answer_fd = -1
            self._unwatch(fd)
            os.close(fd)

    # -- output -----------------------------------------------------------------------------------------

    def _read_output(self, process: _Process) -> None:
        log = process.log
        if log is not None and not log.readable():
            self._unwatch(log.master)

    def _finish_log(self, log: JobLog) -> None:
        self._unwatch(log.master)
        if not log.finish():
            self._watch(log.master, partial(self._read_held, log))

    def _read_held(self, log: JobLog) -> None:
        if not log.readable():
            self._finish_log(log)

    def write_held_output(self) -> None:
        """NotifyDiskWriteable (protocol.Backend.write_held_output)."""
        self._held.write_all()

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
                self._read_answer(process)
            if self._tracees.handle(pid, status):
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

    def _ended(self, process: _Process, status: int) -> None:
        """In the order of X98."""
        pid = process.pid
        self._forget(process)
        if process.log is not None:
            self._finish_log(process.log)
        if self._utmp is not None:
            self._utmp(pid)
        self._feed(ProcessEnded(process.spawn, status))

    def _on_followed(self, spawn: int, old: int, new: int) -> None:
        process = self._processes.get(spawn)
        if process is None:
            return
        if self._by_pid.get(old) is process:
            del self._by_pid[old]
        if process.identity is not None:
            process.identity.close()
        process.identity = Identity(new)
        process.pid = new
        self._by_pid[new] = process

    def _forget(self, process: _Process) -> None:
        """Take it out of all tables and close what belongs to it, but its log."""
        self._processes.pop(process.spawn, None)
        if self._by_pid.get(process.pid) is process:
            del self._by_pid[process.pid]
        self._close_answer(process)
        if process.feed is not None:
            self._unwatch(process.feed.fd)
            process.feed.close()
        if process.identity is not None:
            process.identity.close()

    # -- signals ---------------------------------------------------------------------------------------------

    def signal(self, request: SignalProcess) -> None:
        """Send a signal (protocol.Backend.signal)."""
        process = self._processes.get(request.spawn)
        if process is None:
            if request.spawn in self._waiting and request.must_exist:
                # There is nothing to kill, and what is to be killed need not be started any more.
                self._give_up(request.spawn, "stopped before it could be started")
            elif request.must_exist:
                self._feed(ProcessVanished(request.spawn))
            return
        if self._by_pid.get(process.pid) is not process or not (process.identity is None or process.identity.holds()):
            if request.must_exist:
                self._vanished(process)
            return
        try:
            self._kill(process.pid, request.signal, request.group)
        except ProcessLookupError:
            if request.must_exist:
                self._vanished(process)
        except (OSError, OverflowError) as error:
            if request.must_exist:
                text = os.strerror((error.errno if isinstance(error, OSError) else None) or errno.EINVAL)
                self._feed(SignalNotSent(request.spawn, request.signal, text))

    def _kill(self, pid: int, number: int, group: bool) -> None:
        if group:
            try:
                members = os.getpgid(pid)
            except OSError:
                members = 0
            # Our own group can only be meant by mistake.
            if members > 1 and members != self._group:
                os.killpg(members, number)
                return
        os.kill(pid, number)

    def _vanished(self, process: _Process) -> None:
        self._tracees.forget(process.spawn)
        self._forget(process)
        if process.log is not None:
            self._finish_log(process.log)
        self._feed(ProcessVanished(process.spawn))

    def detach(self, request: DetachTrace) -> None:
        """Stop tracing a process (protocol.Backend.detach)."""
        waiting = self._waiting.get(request.spawn)
        if waiting is not None:
            self._waiting[request.spawn] = waiting._replace(request=waiting.request._replace(expect="none"))
        self._tracees.detach(request.spawn)

    # -- descriptors -----------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The epoll descriptor."""
        return self._epoll.fileno()

    def dispatch(self) -> None:
        """Handle every ready descriptor (protocol.Backend.dispatch)."""
        for fd, _ in self._epoll.poll(0):
            reader = self._readers.get(fd)
            if reader is not None:
                reader()

    def close(self) -> None:
        """Give up every descriptor (protocol.Backend.close)."""
        self._waiting.clear()
        self._server.close()
        for process in list(self._processes.values()):
            self._forget(process)
            log = process.log
            if log is not None:
                log.readable()
                self._unwatch(log.master)
                log.close()
        try:
            self._held.write_all()
        except OSError:
            pass
        self._epoll.close()

    def _watch(self, fd: int, reader: Callable[[], None], events: int = select.EPOLLIN) -> None:
        self._readers[fd] = reader
        self._epoll.register(fd, events)

    def _unwatch(self, fd: int) -> None:
        if self._readers.pop(fd, None) is not None:
            self._epoll.unregister(fd)


def _name(request: SpawnProcess) -> str:
    return f"{request.job} ({request.instance})" if request.instance else request.job


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _own_oom_score() -> int:
    """The daemon's oom_score_adj, which jobs are not to inherit (X49)."""
    try:
        with open("/proc/self/oom_score_adj", "rb", buffering=0) as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0

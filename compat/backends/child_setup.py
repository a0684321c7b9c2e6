"""What every job process needs, whoever makes it: a specification, a channel for answers, a script, a log.

A process is made by the launcher (launcher.c), which some program has to start: the launch server, or
systemd. ``prepare`` collects what the launcher is to be given; the backend has it started with these
descriptors, and then calls ``begin`` and, when the engine knows the pid, ``give_leave``: only then does
the launcher go on (protocol.Backend.spawn). From there on all is the same:

* the answer: end of file means that the exec succeeded, anything else why it did not. Until then the
  process has an ``answer_fd``. Before anything else about a process is handled its answer is to be read
  (X28), so the order is always ProcessSpawned, then ProcessExecuted or ProcessSpawnFailed, then the rest;
* output, and room in the pipe of a script: one epoll set, whose descriptor is ``fileno``.

A descriptor that was ready may be another one by the time that its turn comes: all of them are
non-blocking, and none is believed to have something to say before it was read.
"""
from __future__ import annotations

import errno
import os
import select
import socket
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from ..engine.actions import ERROR, INFO, WARN, AdoptProcess, SpawnProcess
from ..engine.expansion import ExpansionError
from ..engine.inputs import ProcessExecuted
from ..parser.definition import MAIN, PROCESS_NAMES, JobDefinition
from ..state.processes import LogState, ProcessState, SetUp, descriptors
from . import apparmor, process_spec, spawn_errors
from .command import Command, as_bytes, command_of
from .descriptor_reserve import exhausted, in_reserve
from .descriptor_store import DescriptorStore
from .identity import Identity, start_time
from .job_log import HeldOutput, JobLog, log_path
from .kept_descriptors import is_channel, is_log_file, is_pipe, is_pty_master
from .passage import Passage
from .process_spec import ProcessSpec
from .protocol import Feed, Log, ProcessDefaults
from .script_feed import ScriptFeed

#: Errors that mean that there are too many descriptors, or too little memory, at the moment.
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

_SCRIPT_FD = 9
_MOST_UNLOGGED = 1000
_LEAVE = b"\0"


#: Called with a process and the reason when its set-up failed (X40).
Failed = Callable[["Process", str], None]


class Process:
    """A process that was started and whose end was not seen yet; ``pid`` is 0 until it is known."""

    __slots__ = ("answer", "answer_fd", "cause", "failed", "forks", "identity", "label", "log", "name", "pid", "script", "spawn", "started")

    def __init__(self, request: Union[SpawnProcess, AdoptProcess], answer_fd: int, log: Optional[JobLog], script: Optional[ScriptFeed],
                 cause: str, failed: Failed) -> None:
        self.spawn = request.spawn
        self.name = display_name(request)
        #: as the daemon's log names it
        self.label = f"{self.name} {PROCESS_NAMES[request.process]} process"
        self.pid = 0
        self.answer_fd = answer_fd
        self.answer = b""
        self.log = log
        self.script = script
        #: why the profile's name could not be expanded (X41)
        self.cause = cause
        self.failed = failed
        #: only for one that is not our own child
        self.identity: Optional[Identity] = None
        #: how many forks led from the launcher to ``pid``
        self.forks = 0
        #: when ``pid`` was started, in ticks since boot; empty while that is not known
        self.started = ""

    def exists_as(self, pid: int) -> None:
        """It has this pid now, and for as long as it lives."""
        self.pid = pid
        self.started = (start_time(pid) or b"").decode("ascii")

    def handle(self) -> Optional[Dict[str, Any]]:
        """protocol.Backend.handle."""
        return {"started": self.started, "executed": self.answer_fd < 0, "forks": self.forks} if self.pid else None


class Birth:
    """A process that is about to be made. ``passed`` are descriptors for the launcher, the specification first."""

    __slots__ = ("_theirs", "passed", "process")

    def __init__(self, process: Process, passed: List[int], theirs: List[int]) -> None:
        self.process = process
        self.passed = passed
        self._theirs = theirs

    def handed_over(self) -> None:
        """The launcher has the descriptors: our copies of its ends are closed."""
        for fd in self._theirs:
            os.close(fd)
        self._theirs = []


class ChildSetup:
    """Prepares processes and attends to their streams.

    ``store`` is where the ptys of logs outlive the daemon, None if there is no such place.
    """

    def __init__(self, feed: Feed, log: Log, defaults: ProcessDefaults, store: Optional[DescriptorStore] = None) -> None:
        self._store = store
        self._feed = feed
        self._log = log
        self._defaults = defaults
        self._epoll = select.epoll()
        self._readers: Dict[int, Callable[[], None]] = {}
        self._held = HeldOutput(log, self.unwatch)
        #: Classes (instance None) and instances that go without a log, with the definition for which that holds.
        self._unlogged: Dict[Tuple[str, Optional[str]], JobDefinition] = {}
        self._reset_oom = _own_oom_score() != 0
        self._passage = self._open_passage(defaults.passage)

    def _open_passage(self, path: Optional[str]) -> Optional[Passage]:
        try:
            return Passage(path) if path is not None else None
        except OSError as error:
            self._log(WARN, f"Unable to open {path}, what starts while the daemon dies may start twice: {error.strerror}")
            return None

    def passed(self, spawn: int) -> bool:
        """Whether a launcher, of this daemon or of one before it, has had leave to go on."""
        return self._passage is not None and self._passage.has(spawn)

    # -- before the process exists -------------------------------------------------------------------------

    def prepare(self, request: SpawnProcess, failed: Failed) -> Birth:
        """Everything that the launcher needs.

        Raises OSError, and then nothing is left of it.
        """
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
                self._log(WARN, f"{display_name(request)} script is too long to be given beside descriptor {_SCRIPT_FD}, "
                                "which is not passed on")
        console, log = self._console(request)
        ours: List[int] = []
        theirs: List[int] = []
        try:
            answer, their_answer = (end.detach() for end in socket.socketpair())
            ours.append(answer)
            theirs.append(their_answer)
            os.set_blocking(answer, False)
            if in_reserve(max(answer, their_answer)):
                raise exhausted()
            self._epoll.register(answer, select.EPOLLIN)
            spec = ProcessSpec()
            script = None
            if command.script is not None:
                their_script, script_fd = os.pipe2(os.O_CLOEXEC)
                ours.append(script_fd)
                theirs.append(their_script)
                script = ScriptFeed(script_fd, command.script)
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
            if self._pauses(definition):
                spec.flag(process_spec.DEBUG_STOP)
            passage = self._passage
            if passage is not None:
                spec.number(process_spec.PASSAGE_FD, passage.fd)
                spec.string(process_spec.PASSAGE, passage.note(request.spawn))
            their_spec = os.memfd_create("process", os.MFD_CLOEXEC)
            theirs.append(their_spec)
            data = spec.encode()
            if os.write(their_spec, data) != len(data):
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        except OSError:
            for fd in ours + theirs:
                os.close(fd)
            if log is not None:
                log.close()
            raise
        passed = [their_spec, *theirs[:-1], *fds]
        if log is not None:
            passed.append(log.master)
        if passage is not None:
            passed.append(passage.fd)
            passage.expect(request.spawn)
        return Birth(Process(request, answer, log, script, cause, failed), passed, theirs)

    def abandon(self, birth: Birth) -> None:
        """No process came of it: close everything."""
        birth.handed_over()
        process = birth.process
        self._settled(process)
        os.close(process.answer_fd)
        process.answer_fd = -1
        if process.script is not None:
            process.script.close()
        if process.log is not None:
            process.log.close()

    def _pauses(self, definition: JobDefinition) -> bool:
        return definition.debug and self._defaults.debug_stanza

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

    def console_of(self, definition: JobDefinition) -> str:
        """Where a job's standard streams go, before it is known whether there can be a log (X60, X61)."""
        console = definition.console or self._defaults.console
        if console == "log" and (not self._defaults.logging or self._defaults.log_directory is None):
            return "none"
        return console

    def _console(self, request: SpawnProcess) -> Tuple[str, Optional[JobLog]]:
        """Where standard streams go (X57-X63). Raises OSError where a log may be possible later."""
        definition = request.definition
        console = self.console_of(definition)
        directory = self._defaults.log_directory
        if console != "log" or directory is None:
            return console, None
        job, instance = request.job, request.instance
        # The same object: the class has a log again when its file was loaded again, even if it says the same.
        if self._unlogged and any(self._unlogged.get((job, which)) is definition for which in (None, instance)):
            return "none", None
        try:
            return "log", JobLog.create(log_path(directory, job, instance), self._log, self._held)
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:
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

    # -- when it exists ------------------------------------------------------------------------------------

    def begin(self, process: Process, request: SpawnProcess) -> None:
        """The process exists and its pid is known: attend to it."""
        self._readers[process.answer_fd] = partial(self.read_answer, process)
        log = process.log
        if log is not None:
            self.watch(log.master, partial(self._read_output, log))
            self._keep(process.spawn, log)
        definition = request.definition
        if self._pauses(definition):
            self._log(INFO, f"Pausing {request.job} ({process.pid}) [pre-exec] for debug")

    def _keep(self, spawn: int, log: JobLog) -> None:
        """Let the master outlive the daemon."""
        if self._store is not None:
            self._store.keep(_store_name(spawn), log.master)
            self._is_kept(spawn, log)

    def _is_kept(self, spawn: int, log: JobLog) -> None:
        """There is a copy of the master in the store."""
        if self._store is not None:
            log.closed = partial(self._store.drop, _store_name(spawn))

    def log_of_another_daemon(self, request: AdoptProcess) -> Optional[JobLog]:
        """The log of a process that is to be taken over, if its pty has outlived the daemon that had it."""
        store, directory = self._store, self._defaults.log_directory
        if store is None or directory is None:
            return None
        master = store.take(_store_name(request.spawn))
        if master < 0:
            return None
        os.set_blocking(master, False)
        log = JobLog(log_path(directory, request.job, request.instance), master, self._log, self._held)
        self._is_kept(request.spawn, log)
        self.watch(master, partial(self._read_output, log))
        return log

    def give_leave(self, process: Process) -> None:
        """Let the launcher go on: the engine, and whatever it keeps on record, knows the pid by now."""
        if process.script is not None:
            # Should the daemon die now, a shell that reads nothing would take that for a script that does nothing.
            process.script.write()
        if process.answer_fd >= 0:
            try:
                os.write(process.answer_fd, _LEAVE)
            except OSError:
                # It was killed meanwhile, which shows as the end of the process.
                pass

    def read_answer(self, process: Process) -> None:
        """Handle what the launcher said, if anything."""
        while process.answer_fd >= 0:
            try:
                data = os.read(process.answer_fd, 4096)
            except BlockingIOError:
                return
            except ConnectionResetError:
                # It was killed before it read what was sent to it.
                data = b""
            if not data:
                if process.answer:
                    process.failed(process, "launcher gave an answer of the wrong size")
                else:
                    self._executed(process)
                return
            process.answer += data
            for kind, error, detail in spawn_errors.answers(process.answer):
                if kind != spawn_errors.NOTICE:
                    process.failed(process, spawn_errors.reason(kind, error, detail, process.cause))
                    return
                self._log(WARN, f"Failed to open system console: {os.strerror(error)}")
            process.answer = process.answer[len(process.answer) // spawn_errors.ANSWER.size * spawn_errors.ANSWER.size:]

    def _executed(self, process: Process) -> None:
        self._close_answer(process)
        script = process.script
        if script is not None:
            # What there is room for goes before the engine hears of it (X31).
            self.watch(script.fd, partial(self._feed_script, script), select.EPOLLOUT)
            self._feed_script(script)
        self._feed(ProcessExecuted(process.spawn))
        self._settled(process)

    def _settled(self, process: Process) -> None:
        if self._passage is not None:
            self._passage.settled(process.spawn)

    def _feed_script(self, script: ScriptFeed) -> None:
        if script.fd >= 0 and script.write():
            self.unwatch(script.fd)
            script.close()

    def _close_answer(self, process: Process) -> None:
        fd = process.answer_fd
        if fd >= 0:
            process.answer_fd = -1
            self.unwatch(fd)
            os.close(fd)

    def end(self, process: Process, printed: bool = True) -> None:
        """The process is over, or nobody follows it any more: close what belongs to it.

        Without ``printed`` nothing was executed, so nothing is in its log (X44).
        """
        self._close_answer(process)
        self._settled(process)
        if process.script is not None:
            self.unwatch(process.script.fd)
            process.script.close()
        identity, process.identity = process.identity, None
        if identity is not None:
            self.unwatch(identity.fileno())
            identity.close()
        if process.log is not None:
            self.end_log(process.log, printed)

    def end_log(self, log: JobLog, printed: bool = True) -> None:
        """The end of what a process printed; without ``printed`` it is nothing (X44)."""
        if printed:
            self._finish_log(log)
        else:
            self.unwatch(log.master)
            log.close()

    # -- over a re-exec --------------------------------------------------------------------------------------

    def state(self, process: Process) -> ProcessState:
        """What ``restored`` goes on from."""
        script = process.script
        set_up = None
        if process.answer_fd >= 0 or (script is not None and script.fd >= 0):
            set_up = SetUp(process.answer_fd, process.answer, script.fd if script is not None else -1,
                           script.left if script is not None else b"", process.cause)
        pidfd = process.identity.state()[0] if process.identity is not None else -1
        return ProcessState(
            process.pid, process.started, pidfd, process.log.state() if process.log is not None else None, set_up,
            identified=process.identity is not None, forks=process.forks)

    def restored(self, request: SpawnProcess, state: ProcessState, failed: Failed) -> Process:
        """The process of a daemon that this one replaces, attended to again; a stream that is lost is left out (D229)."""
        set_up = state.set_up or SetUp(-1)
        log = JobLog.restored(state.log, self._log, self._held) if state.log is not None else None
        if state.log is not None and log is None:
            self._log(WARN, f"{display_name(request)}: the output of process {state.pid} is lost")
        script = ScriptFeed(set_up.script_fd, set_up.script) if is_pipe(set_up.script_fd) else None
        process = Process(request, set_up.answer_fd if is_channel(set_up.answer_fd) else -1, log, script, set_up.cause, failed)
        process.answer, process.forks = set_up.answer, state.forks
        if process.answer_fd >= 0 and self._passage is not None:
            self._passage.expect(process.spawn)
        if not state.pid:
            # As ``prepare`` leaves it: what is to be attended to is, from ``begin`` on.
            if process.answer_fd >= 0:
                self._epoll.register(process.answer_fd, select.EPOLLIN)
            return process
        process.exists_as(state.pid)
        if process.answer_fd >= 0:
            self.watch(process.answer_fd, partial(self.read_answer, process))
        elif script is not None:
            self.watch(script.fd, partial(self._feed_script, script), select.EPOLLOUT)
        if log is not None and log.master >= 0:
            self.watch(log.master, partial(self._read_output, log))
            self._is_kept(process.spawn, log)
        if state.identified:
            process.identity = Identity.restored(state.pid, state.identity_fd, state.started)
        return process

    def drop(self, state: ProcessState) -> None:
        """Close what was kept of a process that nobody goes on with."""
        waiting = state.waiting.fds if state.waiting is not None else ()
        for fd in set(descriptors(state)).difference(waiting):
            if is_channel(fd) or is_pipe(fd) or is_pty_master(fd) or is_log_file(fd):
                os.close(fd)

    def held_states(self) -> List[LogState]:
        """The output that is held of ended processes (X128)."""
        return self._held.states()

    def restore_held(self, states: List[LogState]) -> None:
        """Hold it again."""
        for log in self._held.restore(states):
            if log.master >= 0:
                self.watch(log.master, partial(self._read_held, log))

    # -- output -----------------------------------------------------------------------------------------------

    def _read_output(self, log: JobLog) -> None:
        if not log.readable():
            self.unwatch(log.master)

    def _finish_log(self, log: JobLog) -> None:
        self.unwatch(log.master)
        if not log.finish():
            self.watch(log.master, partial(self._read_held, log))

    def _read_held(self, log: JobLog) -> None:
        if not log.readable():
            self._finish_log(log)

    def write_held_output(self) -> None:
        """NotifyDiskWriteable (protocol.Backend.write_held_output)."""
        self._held.write_all()

    # -- descriptors --------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The epoll descriptor."""
        return self._epoll.fileno()

    def dispatch(self) -> None:
        """Handle every ready descriptor."""
        for fd, _ in self._epoll.poll(0):
            reader = self._readers.get(fd)
            if reader is not None:
                reader()

    def watch(self, fd: int, reader: Callable[[], None], events: int = select.EPOLLIN) -> None:
        """Call ``reader`` whenever ``fd`` is ready."""
        self._readers[fd] = reader
        self._epoll.register(fd, events)

    def unwatch(self, fd: int) -> None:
        """Do not, any more; harmless for one that is not watched. Call it before closing."""
        if self._readers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self, processes: List[Process]) -> None:
        """Give up every descriptor of ``processes``, and all others; processes run on."""
        for process in processes:
            log, process.log = process.log, None
            self.end(process)
            if log is not None:
                log.readable()
                self.unwatch(log.master)
                log.close()
        try:
            self._held.write_all()
        except OSError:
            pass
        self._epoll.close()


def _store_name(spawn: int) -> str:
    return f"log.{spawn}"


def display_name(request: Union[SpawnProcess, AdoptProcess]) -> str:
    """J of E4."""
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

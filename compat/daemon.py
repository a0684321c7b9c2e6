"""The daemon: command line, wiring and main loop (chapter 5).

This is the only module that knows all the others. Start-up follows D43: options, sources, job
environment, loading, private socket, bus, what another daemon left behind, start-up event, main loop.
"""
from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import signal
import socket
import sys
import time
import traceback
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple

from . import UPSTART_VERSION
from .backends import passage
from .backends.apparmor import usable as apparmor_usable
from .backends.choice import NoBackend, choose
from .backends.descriptor_store import DescriptorStore
from .backends.native import LAUNCHER
from .backends.placement import Placement
from .backends.protocol import ProcessDefaults
from .backends.systemd import SystemdBackend
from .backends.utmp import process_ended as mark_dead_in_utmp
from .bridges.host.event_sources import EventSources, Host
from .bridges.host.loaded_jobs import RegisteredJobs
from .bridges.host.master_table import PLAIN, SESSION
from .bridges.host.wanted import Operand
from .command_line import Information, Options, UsageError, parse
from .config import read_ahead
from .config.catalogue import Catalogue
from .config.sources import Source, home_directory, session_sources, system_sources
from .config.watcher import Watcher
from .control.calls import Call
from .control.server import SYSTEM_ADDRESS, session_address
from .control.service import Control
from .control.session_file import SessionFile
from .engine.actions import DEBUG, ERROR, INFO, WARN
from .engine.engine import Engine
from .engine.inputs import EmitEvent, Quiesce
from .host.detection import AUTO, host_kind
from .host.mode import HostMode, Settings
from .journal import boot
from .journal.journal import Journal
from .journal.journal_file import JournalFile
from .journal.journal_file import paths as journal_paths
from .journal.strays import recovered
from .links import CLIENT
from .links import main as links
from .log import PRIORITY_NAMES, Log
from .loop import MainLoop
from .notify import Notifier, take_private
from .parser.definition import Match
from .reexec.arrival import Inherited
from .succession import Succession
from .supervisor import Supervisor
from .units.job_units import JobUnits
from .units.systemd_manager import SystemdManager
from .units.unit_folder import UnitFolder

_PR_SET_CHILD_SUBREAPER = 36
#: What PID 1 under Upstart has, and so what every system job expects (D40, X18).
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin"
#: Where a package keeps the client under all its names. Jobs call ``stop`` in pre-start, and a host may have no such name.
_COMMANDS = "/usr/lib/upstart-compat/bin"
_STATE_DIRECTORY = "/run/upstart-compat"
_UNREAD_LOG_RETRY = 0.2
#: Turns in a row that leave events over, before each is followed by a pause of so many seconds. No boot
#: needs as many.
_PATIENT_TURNS = 200
_RUNAWAY_PAUSE = 0.02


class Daemon:
    """One running daemon; also the DaemonServices of control."""

    def __init__(self, options: Options, environment: Mapping[str, str], command: Sequence[str]) -> None:
        # What is made until everything is loaded is not garbage.
        gc.disable()
        # Before anything is opened.
        inherited = Inherited() if options.has("--restart") else None
        self.user_mode = options.has("--user")
        self.uid = os.getuid()
        self.pid1 = os.getpid() == 1
        self._options = options
        self._environment = dict(environment)
        from_manager = take_private(self._environment)
        self._notifier = Notifier(from_manager.get("NOTIFY_SOCKET"))
        self._store = DescriptorStore(self._notifier.send, from_manager) if self._notifier else None
        self._session_bus = options.has("--session") or "UPSTART_USE_SESSION_BUS" in environment
        self._system_mode = not (self.user_mode or self._session_bus)
        self._log_lines = Log(options.log_priority, environment)
        self._flush_due = False
        self._full_turns = 0
        self._loop = MainLoop(self._on_error)
        if self._system_mode:
            self._environment["PATH"] = f"{_SYSTEM_PATH}:{_COMMANDS}" if os.path.isdir(_COMMANDS) else _SYSTEM_PATH
            self._environment.setdefault("TERM", "linux")
        nofile = _raise_descriptor_limit()
        address = session_address(self.uid, os.getpid()) if self.user_mode else SYSTEM_ADDRESS
        self._log_directory = self._find_log_directory()
        inherit = self.user_mode and not options.has("--no-inherit-env")
        self._engine = Engine(self._environment, inherit, apparmor_usable(), address if self.user_mode else None)
        self._succession = Succession(
            options, environment, self._engine, self._log_lines, self.log, self._log_directory, inherited)
        nofile = self._succession.nofile or nofile
        self._supervisor = Supervisor(self._engine, self.log, time.monotonic, self._loop.later)
        defaults = self._process_defaults(inherit, nofile)
        sources = self._sources()
        self._journal_file = self._open_journal([source.path for source in sources])
        self._journal: Optional[Journal] = None
        if self._journal_file is not None:
            defaults = defaults._replace(passage=self._journal_file.path + ".passed")
        self._defaults = defaults
        self._backend = choose(
            options.backend, self._system_mode, self._supervisor.feed, self.log, self._loop.later, defaults,
            mark_dead_in_utmp if self._system_mode else None, self._store, self._succession.had_units)
        self._supervisor.backend = self._backend
        self._supervisor.session_ended = self._session_ended
        self._jobs_go_on = False
        self._host = self._host_mode()
        feed = self._supervisor.feed if self._host is None else self._host.feed
        self._catalogue = Catalogue(sources, self._supervisor.feed if self._host is None else self._host.define, self.log)
        self._watcher = Watcher(self._catalogue, self.log)
        self._control = Control(self._engine, feed, self, self.log, self._loop, self._host)
        self._job_units = self._make_job_units(feed)
        self._supervisor.control = self._perform
        self._address = address
        self._session_file = SessionFile(self.log)
        self._succession.attach(
            self._loop, self._supervisor, self._backend, self._control, self._catalogue, self._job_units, self._host, nofile,
            options.default_console, lambda: None if self._session_bus else self._address, command)

    # -- start-up ------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Start, work until the session ends, clean up; returns the exit status."""
        options = self._options
        if not self._system_mode:
            self.log(DEBUG, f"main: Running with UID {self.uid} as PID {os.getpid()} (PPID {os.getppid()})")
        if options.has("--no-log"):
            self.log(DEBUG, "main: Job logging disabled")
        if options.startup_event is None:
            self.log(DEBUG, "main: Startup event disabled")
        self._keep_descriptors_from_jobs()
        self._watch_signals()
        self._loop.add_reader(self._backend.fileno(), self._backend.dispatch)
        self._loop.children = self._backend.reap
        self._loop.events = self._poll_events
        self._succession.go_on()
        try:
            self._watcher.start()
            self._succession.loaded()
        except Exception as error:
            # Jobs that were read before run; a reload reads the rest.
            self._on_error("reading the configuration", error)
        if self._host is not None:
            self._host.loaded()
        if self._watcher.fileno() >= 0:
            self._loop.add_reader(self._watcher.fileno(), self._watcher.dispatch)
        # What was loaded lives long; the collector need not walk it again and again.
        if not self._succession.knows:
            # Else clients wait.
            gc.collect()
        gc.freeze()
        gc.enable()
        if not self._session_bus:
            listening = self._control.listen(self._address, self._succession.listens)
            if not listening and self._system_mode and not self.pid1 and _answers(self._address):
                # Two of them would run every job twice.
                self.log(ERROR, "Another daemon is running already")
                return 1
            if listening and self.user_mode:
                self._session_file.write(self._environment, os.getpid(), self._address)
        is_subreaper = self._become_subreaper()
        self._go_on()
        self._show_jobs()
        self._succession.complete()
        self._connect_bus()
        self._notifier.ready()
        if self._host is None:
            self._emit_startup()
        else:
            # The bridge tells when it is time for the start-up event (B194).
            self._host.start()
        if not is_subreaper:
            self._supervisor.feed(EmitEvent(None, "child-subreaper-failed"))
        try:
            self._loop.run()
            if self._journal is not None and not self._jobs_go_on:
                self._journal.remove()
        finally:
            if self._host is not None:
                self._host.close()
            self._notifier.close()
            self._session_file.remove()
            if self._job_units is not None and not self._jobs_go_on:
                self._job_units.close()
            self._control.close()
            if self._jobs_go_on:
                # Nothing that the next daemon needs is touched: it begins as if this one had died.
                self._backend.write_held_output()
            else:
                self._backend.close()
            self._log_lines.flush()
        return 0 if self._host is None else self._host.exit_status

    def _open_journal(self, sources: List[str]) -> Optional[JournalFile]:
        """What jobs outlive the daemon by; None where nothing is kept."""
        directory = self._options.statedir
        if directory is None and self._system_mode:
            directory = _STATE_DIRECTORY
        elif directory is None and self.user_mode and self._environment.get("XDG_RUNTIME_DIR", "").startswith("/"):
            directory = os.path.join(self._environment["XDG_RUNTIME_DIR"], "upstart")
        if directory is None:
            return None
        is_default = self._system_mode and sources == [source.path for source in system_sources({})]
        try:
            found = JournalFile.open(journal_paths(directory, None if is_default else sources, several=not self._system_mode))
            reason = "other daemons have it"
        except OSError as error:
            found, reason = None, os.strerror(error.errno or errno.EIO)
        if found is None:
            self.log(WARN, f"Unable to use {directory}, running jobs would not outlive this daemon: {reason}")
        return found

    def _go_on(self) -> None:
        """Go on from what a daemon before this one left behind (B204)."""
        if self._journal_file is None:
            self._succession.knows_nothing()
            return
        journal = Journal(self._engine, self._journal_file, boot.identity(), self._backend.handle, self.log, self._loop.later)
        restore = journal.load() if not self._succession.knows else None
        if restore is None:
            self._succession.knows_nothing()
        if self._succession.replaces:
            journal.started = True
        if restore is None and not self._succession.knows and self._defaults.passage is not None:
            passage.clear(self._defaults.passage)
        self._journal = journal
        self._supervisor.record = journal.commit
        if restore is not None:
            self._supervisor.feed(restore)
        lost = recovered(self._backend.strays(), self._engine, self.log) if not self._succession.knows else None
        if lost is not None:
            # There was a daemon in this boot, whatever has become of its journal.
            journal.started = True
            self._supervisor.feed(lost)
        journal.commit()
        if self._store is not None:
            self._store.forget_the_rest()

    def _make_job_units(self, feed: Callable[[Any], None]) -> Optional[JobUnits]:
        backend = self._backend
        if not (isinstance(backend, SystemdBackend) and self._options.expose_units):
            return None
        manager = SystemdManager(backend.connection, backend.dispatch_later)
        socket_path = os.path.join(os.path.abspath(self._options.statedir or _STATE_DIRECTORY), "requests")
        units = JobUnits(self._engine, feed, self._control.pending, manager, self._loop, self.log, time.monotonic,
                         LAUNCHER, socket_path, UnitFolder())
        backend.looked_again = units.look_again
        return units

    def _show_jobs(self) -> None:
        """Each job as a unit of systemd's, where that is wanted (C.6)."""
        if self._job_units is not None:
            try:
                self._job_units.open(self._succession.knows)
            except OSError as error:
                self.log(WARN, f"systemctl cannot be used for jobs, their units have no socket: {error.strerror}")
                self._job_units.close()
                self._job_units = None

    def _emit_startup(self) -> None:
        """Once a boot, whatever happens to the daemon in the meantime (B204)."""
        event = self._options.startup_event
        if event is None or self._succession.replaces or (self._journal is not None and self._journal.started):
            return
        if self._journal is not None:
            self._journal.started = True
        self._supervisor.feed(EmitEvent(None, event))

    def _poll_events(self) -> bool:
        """Work off events; whether the next turn is to follow at once."""
        if not self._supervisor.poll():
            self._full_turns = 0
            if self._host is not None:
                self._host.end_of_turn()
            return False
        self._full_turns += 1
        if self._full_turns < _PATIENT_TURNS:
            return True
        # Jobs that trigger each other for ever (E90): not with all of the processor, and clients can read.
        self._loop.later(_RUNAWAY_PAUSE, lambda: None)
        return False

    def _host_mode(self) -> Optional[HostMode]:
        kind = self._options.host
        if kind is None or not self._system_mode:
            return None
        if kind == AUTO:
            kind = host_kind(self.pid1, self._environment)
        facts = os.path.join(self._options.statedir or _STATE_DIRECTORY, "facts.json")
        settings = Settings(kind, self._options.profile, self._options.exit_with, facts=facts)
        mode = HostMode(settings, self._engine, self._supervisor.feed, self._loop, self.log, self._environment)
        mode.leave_jobs = self._leave_jobs
        return mode

    def _leave_jobs(self) -> bool:
        """The next daemon goes on with the jobs, as it would if this one had died (B204)."""
        if self._journal is None:
            return False
        self._jobs_go_on = True
        self._loop.quit()
        return True

    def _perform(self, action: Any) -> None:
        if self._host is None or not self._host.perform(action):
            self._control.perform(action)
        if self._job_units is not None:
            self._job_units.announced(action)

    def _session_ended(self) -> None:
        if self._host is None:
            self._loop.quit()
        else:
            self._host.session_ended()

    def _process_defaults(self, inherit: bool, nofile: Tuple[int, int]) -> ProcessDefaults:
        options = self._options
        umask = os.umask(0o022)
        os.umask(umask)
        return ProcessDefaults(
            console=options.default_console,
            logging=not options.has("--no-log"),
            log_directory=self._log_directory,
            umask=umask if inherit else 0o022,
            chdir="/" if self._system_mode else _working_directory(),
            nofile=nofile,
            debug_stanza=options.has("--debug"))

    def _find_log_directory(self) -> Optional[str]:
        given = self._options.logdir
        if not self.user_mode:
            given = self._environment.get("UPSTART_LOGDIR") or given
        if given is not None:
            self.log(DEBUG, f"handle_logdir: Using alternate log directory {given}")
            return given
        if not self.user_mode:
            return "/var/log/upstart"
        cache = self._environment.get("XDG_CACHE_HOME", "")
        if not cache.startswith("/"):
            home = home_directory(self._environment)
            if home is None:
                return "/var/log/upstart"
            cache = os.path.join(home, ".cache")
        path = os.path.join(cache, "upstart")
        for each in (cache, path):
            try:
                os.mkdir(each, 0o700)
            except OSError:
                pass
        return path

    def _sources(self) -> List[Source]:
        options = self._options
        build = session_sources if self.user_mode else system_sources
        return build(self._environment, options.prepend_confdirs, options.confdirs, options.append_confdirs, self.log)

    def _keep_descriptors_from_jobs(self) -> None:
        """Whatever the parent left open is not for the jobs (X65)."""
        for name in os.listdir("/proc/self/fd"):
            fd = int(name)
            if fd > 2:
                try:
                    os.set_inheritable(fd, False)
                except OSError:
                    pass

    def _watch_signals(self) -> None:
        """In the order in which D47 handles them."""
        self._loop.add_signal(signal.SIGINT, self._on_terminate)
        self._loop.add_signal(signal.SIGHUP, self._on_hangup)
        self._loop.add_signal(signal.SIGUSR1, self._on_user_signal)
        self._loop.add_signal(signal.SIGTERM, self._on_terminate)
        self._loop.add_signal(signal.SIGCHLD, lambda: None)
        # A stray one must not end the jobs' supervisor (D62).
        strays = {signal.SIGPWR, signal.SIGUSR2, signal.SIGALRM}
        if self._host is not None:
            self._loop.add_signal(signal.SIGINT, self._ending(self._host.interrupted))
            for number in (signal.SIGTERM, *self._host.ending_signals):
                self._loop.add_signal(number, self._ending(self._host.terminated))
            self._loop.add_signal(signal.SIGPWR, self._host.power_failed)
            strays.discard(signal.SIGPWR)
        for stray in strays:
            signal.signal(stray, signal.SIG_IGN)

    def _connect_bus(self) -> None:
        if self._options.has("--no-dbus"):
            self.log(INFO, f"Not connecting to {'session' if self._session_bus else 'system'} bus")
        elif self._session_bus:
            self._control.connect_session_bus()
        elif self._system_mode:
            self._control.connect_system_bus()

    def _become_subreaper(self) -> bool:
        """So that orphans of jobs stay our children (D48, X30); False if that failed."""
        if self.pid1:
            return True
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            self.log(WARN, f"Unable to register as subreaper: {os.strerror(ctypes.get_errno())}")
            return False
        return True

    # -- signals ---------------------------------------------------------------------------------------------

    def _on_terminate(self) -> None:
        self._notifier.stopping()
        self._supervisor.feed(Quiesce("shutdown"))

    def _ending(self, end: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            self._notifier.stopping()
            end()

        return run

    def _on_hangup(self) -> None:
        self.log(INFO, "Reloading configuration")
        self.reload_configuration()

    def _on_user_signal(self) -> None:
        if not self.user_mode and not self._options.has("--no-dbus"):
            self._control.reconnect_bus()

    # -- DaemonServices ----------------------------------------------------------------------------------------

    def version(self) -> str:
        """C45."""
        return f"init (upstart {UPSTART_VERSION})"

    def log_priority(self) -> str:
        """C46."""
        return PRIORITY_NAMES[self._log_lines.priority]

    def set_log_priority(self, priority: str) -> None:
        """C46."""
        self._log_lines.priority = PRIORITY_NAMES.index(priority)

    def reload_configuration(self) -> None:
        """C38, D133, B271."""
        self._notifier.reloading()
        try:
            if self._host is not None:
                self._host.reconfigure()
            self._catalogue.reload()
            if self._host is not None:
                self._host.loaded()
        finally:
            self._notifier.ready()

    def write_held_output(self) -> None:
        """C49."""
        self._backend.write_held_output()

    def end_session(self) -> None:
        """C52."""
        self._notifier.stopping()
        self._supervisor.feed(Quiesce("logout"))

    def placement(self, spawn: int) -> Placement:
        """X261."""
        return self._backend.placement(spawn)

    def unit(self, spawn: int) -> str:
        """X251."""
        return self._backend.unit(spawn)

    def event_source(self, job: str, stanza: str, operand: Match) -> str:
        """B199."""
        host = self._host.described() if self._host is not None else Host(SESSION if self.user_mode else PLAIN)
        return str(EventSources(host, RegisteredJobs(self._engine)).source(Operand(job, stanza, operand)))

    def state(self) -> str:
        """C47."""
        return self._succession.state()

    def re_execute(self, call: Call) -> None:
        """C48. Raises Refused."""
        self._succession.request(call)

    # -- the log -----------------------------------------------------------------------------------------------

    def log(self, priority: int, text: str) -> None:
        """One line of the daemon's log; lines that nobody reads at the moment are tried again."""
        if priority >= self._log_lines.priority:
            self._log_lines(priority, text)
            self._flush_later()

    def _flush_later(self) -> None:
        if not self._flush_due and self._log_lines.pending():
            self._flush_due = True
            self._loop.later(_UNREAD_LOG_RETRY, self._flush_log)

    def _flush_log(self) -> None:
        self._flush_due = False
        self._log_lines.flush()
        self._flush_later()

    def _on_error(self, what: str, error: BaseException) -> None:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        self.log(ERROR, f"Internal error in {what}: " + " | ".join("".join(lines).split("\n")))


def _open_standard_descriptors() -> None:
    """Make sure that 0 to 2 are something, else the first socket opened would get the log lines (X65)."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        # It was deleted.
        return "/"


def _answers(address: str) -> bool:
    """Whether somebody listens at an abstract D-Bus address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect("\0" + address.partition("abstract=")[2])
        except OSError:
            return False
    return True


def _raise_descriptor_limit() -> Tuple[int, int]:
    """Take all descriptors that are allowed: every job with a log needs three. Returns the limit before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    except (OSError, ValueError):
        pass
    return before


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command ``upstart-compat``; returns its exit status."""
    _open_standard_descriptors()
    if arguments is None:
        arguments = sys.argv[1:]
    if list(arguments[:1]) == ["links"]:
        return links(arguments[1:], os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), CLIENT))
    try:
        options = parse(arguments)
    except UsageError as error:
        print(error.text, end="", file=sys.stderr)
        return 1
    except Information as information:
        print(information.text, end="", flush=True)
        if read_ahead.VARIABLE in os.environ:
            read_ahead.answer(0)
        return 0
    if not (options.has("--user") or options.has("--session") or "UPSTART_USE_SESSION_BUS" in os.environ) and os.getuid():
        print("init: Need to be root", file=sys.stderr)
        return 1
    try:
        return Daemon(options, os.environ, [sys.argv[0], *arguments]).run()
    except NoBackend as error:
        print(f"init: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"init: {error.filename + ': ' if error.filename else ''}{os.strerror(error.errno or errno.EIO)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

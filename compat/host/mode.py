"""Host mode of the daemon: everything that it does beside a plain system daemon (B194-B206, B218-B223, B257-B263).

What happens on the host comes in as facts from the host bridge; the events that follow from them go to the engine.
This module ties the parts of the room to the engine and to the daemon's main loop; the parts know nothing of each other.
"""
from __future__ import annotations

import signal
import time
from typing import Any, Callable, Dict, Mapping, Optional, Protocol, Sequence, Set, Tuple

from ..bridges.host.aliases import Aliases
from ..bridges.host.described_host import described_host
from ..bridges.host.event_sources import Host as DescribedHost
from ..bridges.host.fact import Fact, HostEvent
from ..bridges.host.systemd_question import Answer, ask_later
from ..bridges.host.unit_files import UnitFiles
from ..control.wire import glib_main_loop
from ..engine.actions import INFO, WARN, JobFailed, StateChanged
from ..engine.inputs import EmitEvent
from ..engine.view import EngineView
from ..journal import boot
from ..utmp_record import UTMP, WTMP
from . import detection
from .awaited_events import AwaitedEvents
from .bridge_process import BridgeProcess, Loop
from .configuration import PATH, HostConfiguration, parse_configuration
from .fact_file import PATH as FACTS
from .hooks import Announcement, Hooks
from .known_facts import KnownFacts
from .mounts_left import network_mounts_left
from .owned_jobs import OwnedJobs
from .profile import RHEL
from .runit_end import RunitEnd
from .runlevel_record import write_runlevel
from .shutdown import Host, Kind
from .way_down import WayDown

_LIMIT = 300
#: A container is given ten seconds before it is killed (B259).
_LIMIT_IN_CONTAINER = 9


class Engine(EngineView, Protocol):
    """What is asked of the engine."""

    def names_event(self, name: str) -> bool:
        """Whether a condition names this event."""

    def largest_kill_timeout(self) -> int:
        """Of all instances, in seconds."""


class Settings:
    """From the command line: kind of host, profile if it was given, the job whose end is the daemon's, and places of files.

    ``root``: where the files of the host's init are.
    """

    def __init__(self, kind: str, profile: Optional[str] = None, exit_with: Optional[str] = None,
                 configuration: str = PATH, facts: str = FACTS, records: Tuple[str, str] = (UTMP, WTMP), root: str = "/") -> None:
        self.kind = kind
        self.profile = profile
        self.exit_with = exit_with
        self.configuration = configuration
        self.facts = facts
        self.records = records
        self.root = root


class HostMode:
    """``feed`` hands an input to the engine. ``environment`` is the daemon's own."""

    def __init__(self, settings: Settings, engine: Engine, feed: Callable[[Any], None], loop: Loop,
                 log: Callable[[int, str], None], environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self.kind = settings.kind
        #: the host has an init that stops the daemon when its time has come
        self._has_init = settings.kind in (detection.SYSTEMD, *detection.OTHER_INITS)
        self._settings = settings
        self._engine = engine
        self._feed_engine = feed
        self._log = log
        self._quit = loop.quit
        self._runit_end = RunitEnd(settings.root)
        self._asking = False
        self._told_to_end = False
        self._goes_on = False
        self.exit_status = 0
        #: ends the daemon without its jobs, for the next one to go on with; False where that cannot be
        self.leave_jobs: Callable[[], bool] = lambda: False
        self._job_status: Dict[str, int] = {}
        self._configuration = self._read_configuration()
        self._owned = OwnedJobs(self._configuration, self._profile_given(), feed, log)
        self._events = AwaitedEvents(self.feed)
        self._facts = KnownFacts(self._events, loop.later, log, settings.facts, _this_boot())
        self._hooks = Hooks(self._facts.table.busy)
        self._facts.progress = self._hooks.review
        host = Host(clock, self._facts.table.stopping_units, engine.names_event, network_mounts_left,
                    lambda: float(engine.largest_kill_timeout()), self._rc_is_virtual)
        self._way_down = WayDown(self._facts, self._events, self.feed, loop.later, log, host, lambda: self.profile != RHEL)
        #: jobs of which it was found out whether the host has them too
        self._twins: Set[str] = set()
        self._described: Optional[Tuple[Tuple[str, HostConfiguration], DescribedHost]] = None
        self._bridge: Optional[BridgeProcess] = None
        if self.kind != detection.SYSTEMD:
            self._bridge = BridgeProcess(environment, loop, log)

    # -- the configuration ---------------------------------------------------------------------------------------

    @property
    def profile(self) -> str:
        """The profile in use; "" until ``loaded`` (B197)."""
        return self._owned.profile

    @property
    def define(self) -> Callable[[Any], None]:
        """Where the catalogue's definitions go (B198)."""
        return self._owned.feed

    def loaded(self) -> None:
        """All job files were read, for the first time or again."""
        before = self._owned.profile
        self._owned.loaded()
        if self.profile != before:
            self._log(INFO, f"Host: {self.kind}, profile {self.profile}")
        if self.kind == detection.SYSTEMD:
            self._warn_of_twins()

    def _warn_of_twins(self) -> None:
        """A job file may be the reason for being here, so it is not masked where the host has the same service, but that is said (B198)."""
        aliases, units = Aliases(self._configuration.aliases), UnitFiles()
        for name in sorted(set(self._engine.job_names()) - self._twins):
            self._twins.add(name)
            twin = next((unit for unit in aliases.candidates(name) if units.exists(unit) and units.enabled(unit)), None)
            if twin is not None and not twin.startswith("upstart-"):
                self._log(WARN, f"{name}: also exists as {twin} on this host")

    def reconfigure(self) -> None:
        """Read host.conf again; before the job files are (B271)."""
        self._configuration = self._read_configuration()
        self._owned.reconfigure(self._configuration, self._profile_given())

    def masked(self) -> Sequence[str]:
        """The names of jobs that are left to the host."""
        return sorted(self._owned.masked())

    def described(self) -> DescribedHost:
        """The host as conditions are judged by (B278)."""
        key = (self.profile, self._configuration)
        if self._described is None or self._described[0] != key:
            self._described = key, described_host(self.kind, self.profile, self._configuration)
        return self._described[1]

    def _read_configuration(self) -> HostConfiguration:
        path = self._settings.configuration
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            return HostConfiguration(path)
        except OSError as error:
            self._log(WARN, f"{path}: {error.strerror}")
            return HostConfiguration(path)
        configuration, warnings = parse_configuration(text, path)
        for warning in warnings:
            self._log(WARN, warning)
        return configuration

    def _profile_given(self) -> Optional[str]:
        return self._settings.profile or self._configuration.profile

    # -- the daemon's life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """The daemon is ready for calls: what is left of an earlier daemon's events, and the bridge."""
        if self._goes_on:
            self._facts.go_on()
        else:
            self._facts.load()
        if self._facts.table.phase("shutdown") and self.kind == detection.SYSTEMD:
            # Begun by an earlier daemon, and perhaps cancelled since.
            ask_later(lambda answer: self._way_down.cancel() if answer.answered and answer.way is None else None, glib_main_loop())
        elif self.kind in detection.OTHER_INITS:
            # These start no daemon while the host goes down.
            self._way_down.cancel()
        if self._bridge is not None and not self._bridge.pid:
            self._bridge.start()

    def state(self) -> Dict[str, Any]:
        """What ``restore`` goes on from, as JSON can hold it (B203)."""
        return {**self._facts.state(), "last_announcement": self._hooks.last, "bridge": self._bridge.pid if self._bridge is not None else 0}

    def restore(self, state: Dict[str, Any], same_program: bool) -> None:
        """Go on from what the daemon before this one, in its place, knew; before anything is fed.

        Of a program that is not the ``same`` the bridge is not, either: it is ended, and started anew.
        """
        self._goes_on = self._facts.restore(state)
        last, pid = state.get("last_announcement"), state.get("bridge")
        self._hooks.last = last if type(last) is int and last > 0 else 0
        if self._bridge is not None and type(pid) is int and pid > 0 and self._bridge.go_on(pid) and not same_program:
            self._bridge.stop()

    @property
    def goes_down(self) -> bool:
        """Whether the host, or the daemon alone, is on its way down."""
        return self._way_down.begun

    def end_of_turn(self) -> None:
        """The engine has nothing left to do: what has changed without an event goes on record too."""
        self._facts.save()

    def close(self) -> None:
        """The daemon exits."""
        if self._bridge is not None:
            self._bridge.stop()
        self._facts.save()

    def feed(self, happened: Any) -> None:
        """An input on its way to the engine."""
        if type(happened) is EmitEvent and happened.name == "runlevel":
            before = self._facts.table.phase("runlevel")
            self._facts.observe(HostEvent(happened.name, happened.env))
            level = self._facts.table.phase("runlevel")
            if self.kind == detection.CONTAINER and level != before:
                # Nobody else writes it there.
                write_runlevel(level, before, *self._settings.records)
        self._feed_engine(happened)

    def perform(self, action: Any) -> bool:
        """See an action of the engine; whether it was for this room alone."""
        exit_with = self._settings.exit_with
        if exit_with is not None:
            if type(action) is JobFailed and action.job == exit_with:
                self._job_status[action.instance] = action.status
            elif type(action) is StateChanged and action.job == exit_with and action.state == "waiting":
                self._exit_with(self._job_status.pop(action.instance, 0))
        return self._events.answered(action)

    def session_ended(self) -> None:
        """The engine has stopped every instance."""
        self._way_down.all_stopped()

    @property
    def ending_signals(self) -> Sequence[int]:
        """Signals that mean the same as SIGTERM (B259)."""
        return () if self._has_init else (signal.SIGRTMIN + 3, signal.SIGRTMIN + 4)

    # -- signals -------------------------------------------------------------------------------------------------------

    def terminated(self) -> None:
        """SIGTERM (B195, B223, B237, B259)."""
        if self._has_init:
            self._stop_or_go_down()
        else:
            self._end_of_container("0")

    def interrupted(self) -> None:
        """SIGINT: the same but in a container, where it is a reboot (B259)."""
        if self._has_init:
            self._stop_or_go_down()
        else:
            self._end_of_container("6")

    def power_failed(self) -> None:
        """SIGPWR in a container: for the jobs, or else the end (B259)."""
        if self._has_init:
            return
        if self._engine.names_event("power-status-changed"):
            self._events.emit(HostEvent("power-status-changed"))
        else:
            self._end_of_container("0")

    def _stop_or_go_down(self) -> None:
        """Nearly always upstart-shutdown.service was stopped before; else it is found out what this is (B223, B237)."""
        if self._way_down.begun or self.kind != detection.SYSTEMD:
            # Other inits run the stop command of their script before; what is left is this daemon alone. runit has none.
            way = self._runit_end.way() if self.kind == detection.RUNIT else None
            self._go_down(Kind() if way is None else Kind(*way))
        elif not self._asking:
            self._asking = True
            ask_later(self._told_why, glib_main_loop())

    def _told_why(self, answer: Answer) -> None:
        if answer.restarts and self.leave_jobs():
            self._log(INFO, "This daemon is started anew, jobs go on")
        else:
            self._go_down(Kind() if answer.way is None else Kind(*answer.way))

    def _end_of_container(self, level: str) -> None:
        again, self._told_to_end = self._told_to_end, True
        if again:
            self._way_down.hurry()
        else:
            self._go_down(Kind(level))

    def _go_down(self, kind: Kind) -> None:
        self._way_down.begin(kind, self._limit(), self._quit)
        self._hooks.release()

    def _limit(self) -> float:
        given = self._configuration.shutdown_limit
        if given is not None:
            return float(given)
        return float(_LIMIT if self._has_init else _LIMIT_IN_CONTAINER)

    def _exit_with(self, status: int) -> None:
        if not self._way_down.begun:
            self.exit_status = 1 if status < 0 else status if status <= 0xFF else 128 + (status >> 8)
            self._go_down(Kind())

    # -- what D-Bus asks (control.services.HostServices) ----------------------------------------------------------------

    def fact(self, fact: Fact) -> bool:
        """B200. Nothing is news once the host goes down but what that does itself."""
        return not self._way_down.begun and self._facts.tell(fact)

    def facts(self) -> Dict[str, str]:
        """Every object with its phase (B202)."""
        return self._facts.table.phases()

    def announce(self, unit: str, state: str, done: Callable[[], None]) -> None:
        """B232; on the way down its steps tell the jobs."""
        if self._way_down.begun:
            done()
        else:
            self._hooks.announce(unit, state, done)

    def take_announcement(self, again: bool, taker: Callable[[Announcement], None]) -> None:
        """The bridge asks for the next one (B232)."""
        self._hooks.take(again, taker)

    def announcement_told(self, number: int, objects: Sequence[str]) -> None:
        """B232."""
        self._hooks.told(number, objects)

    def shut_down(self, level: str, extra: Sequence[str], only_first: bool, done: Callable[[], None]) -> None:
        """B218-B221; ``done`` is called when the steps are taken. A container ends with them."""
        self._way_down.begin(Kind(level, tuple(extra)), self._limit(), done, only_first)
        self._hooks.release()
        if not self._has_init and not only_first:
            self._way_down.begin(Kind(level), self._limit(), self._quit)

    def shutdown_cancelled(self) -> None:
        """B221."""
        self._way_down.cancel()

    def _rc_is_virtual(self) -> bool:
        return self._engine.job("rc") is None


def _this_boot() -> str:
    """What is the same during one boot of the host or container; "" where the kernel does not tell (B203, B263)."""
    parts = boot.identity().values()
    return " ".join(parts) if all(parts) else ""

"""What the bridge does on a host that systemd brings up: puts together sources and models (B207-B256).

The boot in its order, then everything as it happens: units, mounts, network, runlevels, and what logind announces.
"""
from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict, FrozenSet, Optional, Protocol, Sequence

from ...engine.actions import WARN
from ...loop import MainLoop, Timer
from .aliases import Aliases
from .boot import Boot, Settings
from .fact import Fact, Known
from .host_units import BootTargets, MountUnits
from .logind import DelayLock
from .logind_source import LogindSource
from .mappings import Mappings
from .native_units import NativeUnits, UnitSeen
from .runlevels import Runlevels
from .signal_targets import SignalTargets
from .sources import HostSources
from .systemd import Systemd
from .systemd_question import ask_later
from .unit_files import shows_job
from .unit_hooks import UnitHooks
from .wanted import Wanted

_DESKTOP_SESSION = "desktop-session-start"
_DRM = "/sys/class/drm"


class Daemon(Protocol):
    """What is asked of the connection to the daemon."""

    wanted: Wanted

    def emit(self, name: str, env: Sequence[str]) -> None:
        """An event that is no fact."""

    def take_first_step_down(self, level: str, extra: Sequence[str], done: Callable[[], None]) -> None:
        """See daemon_link."""

    def cancel_way_down(self) -> None:
        """See daemon_link."""

    def take_announcement(self, again: bool, taken: Callable[[int, str, str], None]) -> None:
        """See daemon_link."""

    def announcement_told(self, number: int, objects: Sequence[str]) -> None:
        """See daemon_link."""


class SystemdSession:
    """A session of daemon_link. ``settled`` is called when everything that there is has been told."""

    def __init__(self, settings: Settings, known: Known, daemon: Daemon, mappings: Mappings, aliases: Aliases,
                 tell: Callable[[Sequence[Fact]], None], loop: MainLoop, glib: Any, log: Callable[[int, str], None],
                 settled: Callable[[], None] = lambda: None) -> None:
        self._daemon = daemon
        self._wanted = daemon.wanted
        self._mappings = mappings
        self._aliases = aliases
        self._tell_daemon = tell
        self._loop = loop
        self._glib = glib
        self._log = log
        self._settled = settled
        self._state = ""
        self._ran: Dict[str, bool] = {}
        self._timer: Optional[Timer] = None
        self._logind: Optional[LogindSource] = None
        booting = "boot:startup" not in known
        settings = settings._replace(native=self._has_unit, drm=_has_graphics)
        mappings.define(self._wanted)
        self._boot = Boot(settings, known, self._wanted)
        self._runlevels = Runlevels(settings.profile, known, settings.level, lambda: not self._wanted.registered("rc"))
        self._native = NativeUnits(self._wanted, aliases, known, booting, shows_job)
        self._sources = HostSources(self._wanted, known, booting, loop, self._tell, lambda text: log(WARN, text))
        self._lock = DelayLock(self, daemon, loop.later, self._if_up)
        self._tell(self._boot.begin())
        self._sources.open_mounts()
        self._tell(self._boot.mounts_told(time.monotonic()))
        self._sources.open_network()
        self._sources.open_devices()
        self._targets = BootTargets(self._ask_state)
        self._systemd = Systemd(glib, loop, log, (_system_bus(), "unix:path=/run/systemd/private"))
        for watcher in (self, self._targets, MountUnits(lambda: self._sources.mounts, self._tell)):
            self._systemd.watch(watcher)
        self._signals = SignalTargets(self._systemd.unit, self._signalled_again)
        self._systemd.signal = self._manager_said
        self._systemd.disconnected = self._signals.forget
        self._systemd.start()
        self._consider_logind()

    def serve_hooks(self) -> None:
        """Tell also what hooked units announce (B232)."""
        UnitHooks(self._daemon, self._systemd, self._native, lambda: self._sources.mounts, self._tell).begin()

    # -- daemon_link.Session -----------------------------------------------------------------------------------------

    def reconsider(self) -> None:
        """Classes came or went."""
        self._mappings.define(self._wanted)
        self._tell(self._native.reconsider())
        self._systemd.reconsider()
        self._sources.reconsider()
        self._consider_logind()

    def emitted(self, name: str, env: Sequence[str]) -> None:
        """An event was finished in the daemon."""
        if name == "runlevel":
            level = next((entry.partition("=")[2] for entry in env if entry.startswith("RUNLEVEL=")), "")
            self._runlevels.emitted(level)

    def close(self) -> None:
        """The connection to the daemon is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._logind is not None:
            self._logind.close()
        self._systemd.close()
        self._sources.close()

    # -- systemd.Watcher of the units that stand for jobs ---------------------------------------------------------------

    def needed(self) -> FrozenSet[str]:
        """As systemd.Watcher."""
        return self._native.needed()

    def takes(self, unit: str) -> bool:
        """As systemd.Watcher."""
        return self._native.takes(unit)

    def seen(self, units: Sequence[UnitSeen], complete: bool, new: bool) -> None:
        """As systemd.Watcher."""
        for unit in units:
            self._ran[unit.unit] = unit.loaded and (unit.active not in ("inactive", "failed") or bool(unit.invocation))
        # A unit may rely on mounts and links that the kernel has had before it (B269).
        self._sources.catch_up()
        self._tell(self._native.update(units, complete, new))

    def removed(self, unit: str) -> None:
        """As systemd.Watcher."""
        self._tell(self._native.removed(unit))

    # -- the boot, and changes of the runlevel ------------------------------------------------------------------------------

    def _manager_said(self, member: str, arguments: Sequence[Any]) -> None:
        if member == "StartupFinished":
            self._ask_state()
        self._signals.manager_said(member, arguments)

    def _signalled_again(self, target: str) -> None:
        for each in self._mappings.up_again(target):
            self._daemon.emit(each.name, each.env)

    def _ask_state(self) -> None:
        """SystemState has no signal of its own; it is asked for when something else has changed."""
        if self._targets.known:
            self._systemd.get("SystemState", self._got_state)

    def _got_state(self, reply: Any) -> None:
        if reply.get_signature() != "v":
            return
        self._state = str(reply.get_args_list()[0])
        seen = self._targets.seen_with(self._state)
        self._tell(self._boot.update(seen, time.monotonic()))
        self._tell(self._runlevels.update(seen))
        self._arm()
        self._settled()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._boot.due()
        if due is not None:
            self._timer = self._loop.later(max(0.0, due - time.monotonic()), self._expired)

    def _expired(self) -> None:
        self._timer = None
        self._tell(self._boot.expire(time.monotonic()))
        self._arm()

    def _has_unit(self, job: str) -> bool:
        """Whether a unit that has run stands for a job."""
        return any(self._ran.get(unit, False) for unit in self._aliases.candidates(job))

    # -- logind ---------------------------------------------------------------------------------------------------------------

    def take_lock(self) -> None:
        """As logind.Logind."""
        if self._logind is not None:
            self._logind.take_lock()

    def release_lock(self) -> None:
        """As logind.Logind."""
        if self._logind is not None:
            self._logind.release_lock()

    def _if_up(self, done: Callable[[], None]) -> None:
        ask_later(lambda answer: done() if answer.answered and answer.way is None else None, self._glib)

    def _consider_logind(self) -> None:
        lock = any(self._wanted.could_match(name, env) for name, env in _ON_THE_WAY_DOWN)
        if self._logind is None and (lock or self._wanted.event(_DESKTOP_SESSION)):
            self._logind = LogindSource(self._loop, self._glib, self._lock.prepare, self._lock.lost, self._new_session)
        self._lock.wanted(lock)

    def _new_session(self, user: str, display_manager: str) -> None:
        self._daemon.emit(_DESKTOP_SESSION, (f"DISPLAY_MANAGER={display_manager}", f"USER={user}"))

    def _tell(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._tell_daemon(self._mappings.apply(facts))


#: Events of which one is the first that a job may stop on (B221).
_ON_THE_WAY_DOWN = tuple(
    (name, env) for level in "06" for name, env in (
        ("runlevel", (f"RUNLEVEL={level}", "PREVLEVEL=2")),
        ("starting", ("JOB=rc", "INSTANCE=", f"RUNLEVEL={level}", "PREVLEVEL=2")),
        ("started", ("JOB=rc", "INSTANCE=", f"RUNLEVEL={level}", "PREVLEVEL=2"))))


def _has_graphics() -> bool:
    try:
        return any(name.startswith("card") for name in os.listdir(_DRM))
    except OSError:
        return False


def _system_bus() -> str:
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"

"""The events of a boot in their order, on a host that systemd brings up (B207-B211).

Jobs expect the events that mountall, ifupdown and the rc scripts made of a boot. The host has done most of it when the
daemon starts; the events still come one after the other, each when what it stands for holds. What the daemon's table
has as done is not done again, so the model may be asked at any time and begin anew at any time.

Jobs that were milestones and are now left to the host, as mountall, have their events here too (B211).
"""
from __future__ import annotations

from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...host.profile import RHEL, UBUNTU
from ...host.virtual_rc import rc_begins, rc_ends, runlevel_event
from .fact import Fact, HostEvent, Known, event
from .master_table import PAST_JOBS
from .wanted import Wanted

LOCAL, REMOTE, SWAP, ONLINE, MULTI_USER = (
    "local-fs.target", "remote-fs.target", "swap.target", "network-online.target", "multi-user.target")
GRAPHICAL = "graphical.target"
PLYMOUTH = "plymouth-start.service"
#: The units whose state decides.
UNITS = (LOCAL, REMOTE, SWAP, ONLINE, MULTI_USER, GRAPHICAL, PLYMOUTH)
#: Seconds after which a host without network goes on (B208 line 11).
FAILSAFE = 120.0
_FALLBACK_GRAPHICS = "udev-fallback-graphics"
_DONE = "done"
_UP = ("running", "degraded")


class UnitState(NamedTuple):
    """What counts of a unit: whether it exists, is active, and has a job in the queue that starts it, or that ends it."""

    loaded: bool = False
    active: bool = False
    queued: bool = False
    leaving: bool = False


class Seen(NamedTuple):
    """The host at one moment. ``state`` is systemd's SystemState; ``units`` has those of UNITS."""

    state: str
    units: Mapping[str, UnitState]


class Settings(NamedTuple):
    """What the sequence depends on beside the host.

    ``level(graphical)``: the runlevel of the boot (B212). ``container``: what the event of that name says, "" outside of one.
    ``bare``: nothing is known of containers and network, and nothing told (B266). ``native(name)``: a unit stands for this
    job, so its events come from there. ``drm``: a graphics device has appeared.
    """

    profile: str
    level: Callable[[bool], str]
    container: str = ""
    bare: bool = False
    native: Callable[[str], bool] = lambda name: False
    drm: Callable[[], bool] = lambda: False


class Boot:
    """``known`` is the daemon's table. Nothing but ``startup`` is told before ``mounts_told`` (B208 line 2)."""

    def __init__(self, settings: Settings, known: Known, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._done = {object for object in known if object.startswith("boot:")}
        self._previous = known.get("runlevel", "") or "N"
        self._mounts_told = False
        self._seen: Optional[Seen] = None
        self._failsafe_due: Optional[float] = None
        self._facts: List[Fact] = []

    def begin(self) -> List[Fact]:
        """The first of all (line 1)."""
        self._tell("startup", event("startup"), *self._job("mountall", "starting", "started"),
                   *(self._job("rcS", "starting", "started") if self._settings.profile == RHEL else ()))
        return self._take()

    def mounts_told(self, now: float) -> List[Fact]:
        """The mounts that were there have been told (line 2)."""
        self._mounts_told = True
        return self._go_on(now)

    def update(self, seen: Seen, now: float) -> List[Fact]:
        """The host as it is now; ``now`` in seconds, monotonic."""
        self._seen = seen
        return self._go_on(now)

    def due(self) -> Optional[float]:
        """When ``expire`` is to be called, None for never."""
        return self._failsafe_due

    def expire(self, now: float) -> List[Fact]:
        """Time has passed (line 11)."""
        if self._failsafe_due is not None and now >= self._failsafe_due:
            self._failsafe_due = None
            if not self._has("static-network-up") and not self._has("runlevel"):
                self._tell("failsafe-boot", event("failsafe-boot"))
        return self._go_on(now)

    # -- the lines ---------------------------------------------------------------------------------------------

    def _go_on(self, now: float) -> List[Fact]:
        seen = self._seen
        if self._mounts_told and seen is not None and seen.state != "stopping":
            self._file_systems(seen)
            if self._has("filesystem"):
                self._network(seen, now)
                self._runlevel(seen)
            if self._reached(seen, SWAP):
                self._tell("all-swaps", event("all-swaps"))
            if seen.units.get(PLYMOUTH, UnitState()).active:
                self._tell("plymouth-ready", event("plymouth-ready"))
        return self._take()

    def _file_systems(self, seen: Seen) -> None:
        container = self._settings.container
        if not self._settings.bare:
            self._tell("container", event("container", "CONTAINER=" + container) if container else event("not-container"))
        self._tell("virtual-filesystems", event("virtual-filesystems"))
        for name in PAST_JOBS:
            events = self._job(name, "starting", "started", "stopping", "stopped")
            if events:
                self._tell("job-" + name, *events)
        if not self._reached(seen, LOCAL):
            return
        self._tell("local-filesystems", event("local-filesystems"))
        if not self._reached(seen, REMOTE):
            return
        self._tell("remote-filesystems", event("remote-filesystems"))
        self._tell("filesystem", event("filesystem"), *self._job("mountall", "stopping", "stopped"))
        if not self._settings.drm():
            events = self._job(_FALLBACK_GRAPHICS, "starting", "started", "stopping", "stopped")
            if events:
                self._tell("job-" + _FALLBACK_GRAPHICS, *events)
        if not seen.units.get(PLYMOUTH, UnitState()).loaded:
            self._tell("plymouth-ready", event("plymouth-ready"))

    def _network(self, seen: Seen, now: float) -> None:
        if self._reached(seen, ONLINE):
            self._failsafe_due = None
            self._tell("static-network-up", *(() if self._settings.bare else (event("static-network-up"),)))
        elif (self._settings.profile == UBUNTU and self._failsafe_due is None
              and not self._has("failsafe-boot") and not self._has("runlevel")):
            self._failsafe_due = now + FAILSAFE

    def _runlevel(self, seen: Seen) -> None:
        profile = self._settings.profile
        multi_user = seen.units.get(MULTI_USER, UnitState())
        if not (multi_user.active or multi_user.queued):
            return
        if profile == UBUNTU and not (self._has("static-network-up") or self._has("failsafe-boot")):
            return
        if not self._has("runlevel"):
            self._failsafe_due = None
            graphical = seen.units.get(GRAPHICAL, UnitState())
            level = self._settings.level(graphical.active or graphical.queued)
            # Without events: what ends this rc has to know the levels, also if that is another bridge.
            self._tell(f"rc-{level}-{self._previous}")
            self._tell("runlevel",
                       *(self._job("rc-sysinit", "starting", "started") if profile == UBUNTU else ()),
                       runlevel_event(level, self._previous),
                       *(rc_begins(level, self._previous, profile != RHEL) if self._rc_is_virtual() else ()),
                       *self._job("rcS" if profile == RHEL else "rc-sysinit", "stopping", "stopped"))
        if (multi_user.active or seen.state in _UP) and not self._has("rc") and self._rc_is_virtual():
            level, previous = self._level_of_rc()
            self._tell("rc", *rc_ends(level, previous, profile != RHEL))

    def _level_of_rc(self) -> Tuple[str, str]:
        for object in self._done:
            parts = object.split("-")
            if parts[0] == "boot:rc" and len(parts) == 3:
                return parts[1], parts[2]
        return self._settings.level(False), "N"

    # -- what they are made of -----------------------------------------------------------------------------------

    def _reached(self, seen: Seen, target: str) -> bool:
        """B209: it is active, or the boot is over and nothing has asked for it."""
        unit = seen.units.get(target, UnitState())
        return unit.active or (seen.state in _UP and not unit.queued)

    def _has(self, name: str) -> bool:
        return "boot:" + name in self._done

    def _tell(self, name: str, *events: HostEvent) -> None:
        object = "boot:" + name
        if object not in self._done:
            self._done.add(object)
            self._facts.append(Fact(object, _DONE, events))

    def _take(self) -> List[Fact]:
        facts, self._facts = self._facts, []
        return facts

    def _job(self, job: str, *names: str) -> Tuple[HostEvent, ...]:
        """The events of a milestone job, where some condition waits for one and nothing else emits them."""
        if self._wanted.registered(job) or self._settings.native(job):
            return ()
        events = tuple(event(name, *_JOB_ENV[name](job), hold=name in ("starting", "stopping")) for name in names)
        # Both ends of the job or none: whoever waits for one must not be told the other alone.
        return events if any(self._wanted.could_match(name, _JOB_ENV[name](job)) for name in _JOB_ENV) else ()

    def _rc_is_virtual(self) -> bool:
        return not self._wanted.registered("rc")


def _before(job: str) -> Tuple[str, ...]:
    return ("JOB=" + job, "INSTANCE=")


def _after(job: str) -> Tuple[str, ...]:
    return ("JOB=" + job, "INSTANCE=", "RESULT=ok")


_JOB_ENV: Dict[str, Callable[[str], Tuple[str, ...]]] = {"starting": _before, "started": _before, "stopping": _after, "stopped": _after}

"""What the bridge does on a host with another init than systemd: OpenRC, runit, s6, SysV init (B244, B264, B265).

The daemon is started when the file systems are there, so the boot's events come one after the other as far as the network. That is
up when every interface with a carrier has an address, or after two minutes. The services that the init knows stand for jobs.
"""
from __future__ import annotations

import time
from typing import Callable, List, Sequence

from ...loop import MainLoop
from .aliases import Aliases
from .boot import FAILSAFE, LOCAL, MULTI_USER, ONLINE, REMOTE, SWAP, Boot, Seen, Settings, UnitState
from .fact import Fact, Known
from .init_source import InitSource
from .mappings import Mappings
from .native_units import NativeUnits, UnitSeen
from .other_inits import SUFFIX, Init, service_of
from .runlevels import Runlevels
from .sources import HostSources
from .wanted import Wanted

_HOST_UNIT = "HOST_UNIT="
_THERE = UnitState(loaded=True, active=True)
_AWAITED = UnitState(loaded=True, queued=True)


class InitSession:
    """A session of daemon_link. ``settled`` is called when everything that there is has been told."""

    def __init__(self, settings: Settings, known: Known, wanted: Wanted, mappings: Mappings, aliases: Aliases, init: Init,
                 tell: Callable[[Sequence[Fact]], None], loop: MainLoop, log: Callable[[str], None],
                 settled: Callable[[], None] = lambda: None) -> None:
        self._mappings = mappings
        self._wanted = wanted
        self._init = init
        self._tell_daemon = tell
        self._settled = settled
        self._online = "boot:static-network-up" in known
        booting = "boot:startup" not in known
        mappings.define(wanted)
        settings = settings._replace(native=lambda job: any(init.exists(service_of(unit)) for unit in aliases.candidates(job)))
        self._boot = Boot(settings, known, wanted)
        self._runlevels = Runlevels(settings.profile, known, settings.level, lambda: not wanted.registered("rc"))
        self._native = NativeUnits(wanted, aliases, known, booting)
        self._sources = HostSources(wanted, known, booting, loop, self._tell, log, self._look_at_network)
        self._tell(self._boot.begin())
        self._sources.open_mounts()
        self._tell(self._boot.mounts_told(time.monotonic()))
        self._limit = None if self._online else loop.later(FAILSAFE, self._network_is_up)
        self._sources.need_network(not self._online)
        self._sources.open_network(self._look_at_network)
        self._sources.open_devices()
        self._source = InitSource(init, loop, self._look, log)
        self._look()

    def reconsider(self) -> None:
        """As daemon_link.Session."""
        self._mappings.define(self._wanted)
        self._tell(self._native.reconsider())
        self._sources.reconsider()
        self._look()

    def emitted(self, name: str, env: Sequence[str]) -> None:
        """As daemon_link.Session."""
        if name == "runlevel":
            self._runlevels.emitted(next((entry.partition("=")[2] for entry in env if entry.startswith("RUNLEVEL=")), ""))

    def close(self) -> None:
        """As daemon_link.Session."""
        self._wait_no_longer()
        self._source.close()
        self._sources.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Something may have changed."""
        services = self._init.services()
        self._sources.catch_up()
        self._tell(self._native.update([UnitSeen(name + SUFFIX, active=state) for name, state in services.items()], complete=True))
        up = self._init.is_up()
        seen = Seen("running" if up else "starting", {
            **dict.fromkeys((LOCAL, REMOTE, SWAP), _THERE), ONLINE: _THERE if self._online else _AWAITED,
            MULTI_USER: UnitState(loaded=True, active=up)})
        self._tell(self._boot.update(seen, time.monotonic()))
        self._tell(self._runlevels.update(seen))
        if self._online:
            self._settled()

    def _look_at_network(self) -> None:
        if not self._online and self._sources.network_is_up():
            self._network_is_up()

    def _network_is_up(self) -> None:
        """B244; as good as up when it has been waited for long enough."""
        self._wait_no_longer()
        self._online = True
        self._sources.need_network(False)
        self._look()

    def _wait_no_longer(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _tell(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._tell_daemon(self._mappings.apply([_named(fact) for fact in facts]))


def _named(fact: Fact) -> Fact:
    """The aliases are those of systemd's units; what the events say is the name that the service has here."""
    events = []
    for told in fact.events:
        env: List[str] = list(told.env)
        if env and env[-1].startswith(_HOST_UNIT):
            env[-1] = _HOST_UNIT + service_of(env[-1][len(_HOST_UNIT):])
        events.append(told._replace(env=tuple(env)))
    return fact._replace(events=tuple(events))

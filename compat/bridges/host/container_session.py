"""What the bridge does where no init brings up the host: everything at once, and then what changes (B257-B261, B266)."""
from __future__ import annotations

from typing import Callable, Sequence

from ...loop import MainLoop
from .all_at_once import AllAtOnce
from .boot import Settings
from .fact import Fact, Known
from .mappings import Mappings
from .sources import HostSources
from .wanted import Wanted

#: Seconds that the kernel gets to tell of the network before the boot goes on without.
_NETWORK_PATIENCE = 2.0


class ContainerSession:
    """A session of daemon_link. ``settled`` is called when everything that there is has been told."""

    def __init__(self, settings: Settings, known: Known, wanted: Wanted, mappings: Mappings, tell: Callable[[Sequence[Fact]], None],
                 loop: MainLoop, log: Callable[[str], None], settled: Callable[[], None] = lambda: None) -> None:
        self._mappings = mappings
        self._wanted = wanted
        self._tell_daemon = tell
        self._bare = settings.bare
        self._resting = False
        self._settled = settled
        mappings.define(wanted)
        self._sequence = AllAtOnce(settings, known, wanted)
        self._sources = HostSources(wanted, known, "boot:startup" not in known, loop, self._tell, log)
        self._tell(self._sequence.begin())
        if not self._bare:
            self._sources.open_mounts()
        self._tell(self._sequence.file_systems())
        self._limit = loop.later(_NETWORK_PATIENCE, self._rest)
        if self._bare:
            self._rest()
        else:
            self._sources.open_network(self._rest)
            self._sources.open_devices()

    def reconsider(self) -> None:
        """As daemon_link.Session."""
        self._mappings.define(self._wanted)
        if not self._bare:
            self._sources.reconsider()

    def emitted(self, name: str, env: Sequence[str]) -> None:
        """As daemon_link.Session."""

    def close(self) -> None:
        """As daemon_link.Session."""
        self._limit.cancel()
        self._sources.close()

    def _rest(self) -> None:
        self._limit.cancel()
        if not self._resting:
            self._resting = True
            self._tell(self._sequence.rest())
            self._settled()

    def _tell(self, facts: Sequence[Fact]) -> None:
        self._tell_daemon(self._mappings.apply(facts))

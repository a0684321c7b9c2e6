"""The whole boot at once, where no init brings up the host: containers, and hosts without detection (B257, B266)."""
from __future__ import annotations

from typing import List

from .boot import LOCAL, MULTI_USER, ONLINE, REMOTE, SWAP, Boot, Seen, Settings, UnitState
from .fact import Fact, Known
from .wanted import Wanted

_THERE = UnitState(loaded=True, active=True)
#: What a host looks like that has come up.
_NETWORK_COMES = Seen("running", dict.fromkeys((LOCAL, REMOTE, SWAP), _THERE) | {ONLINE: UnitState(queued=True)})
_ALL_UP = Seen("running", dict.fromkeys((LOCAL, REMOTE, SWAP, ONLINE, MULTI_USER), _THERE))


class AllAtOnce:
    """The same sequence as Boot's, in which everything holds as soon as it is looked at.

    The caller tells present mounts after ``begin`` and the network after ``file_systems``.
    """

    def __init__(self, settings: Settings, known: Known, wanted: Wanted) -> None:
        self._boot = Boot(settings, known, wanted)

    def begin(self) -> List[Fact]:
        """``startup``."""
        return self._boot.begin()

    def file_systems(self) -> List[Fact]:
        """From ``container`` to ``filesystem`` and ``all-swaps``."""
        return self._boot.mounts_told(0.0) + self._boot.update(_NETWORK_COMES, 0.0)

    def rest(self) -> List[Fact]:
        """``static-network-up`` and the runlevel."""
        return self._boot.update(_ALL_UP, 0.0)

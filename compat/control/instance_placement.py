"""Who runs an instance's processes: the interface org.upstartcompat.Instance1, which Upstart does not have.

It has one property and changes nothing; everybody may read it.
"""
from __future__ import annotations

from typing import Callable, List, Tuple

from ..backends.placement import Placement
from ..engine.view import InstanceView, JobView
from .interfaces import Interface, Property
from .wire import PLACEMENT_INTERFACE


class InstancePlacement:
    """Serves the property; its target is (JobView, InstanceView). ``placement(spawn)`` says where a process is."""

    def __init__(self, placement: Callable[[int], Placement]) -> None:
        self._placement = placement

    def interface(self) -> Interface:
        """For each live process its name, ``service``, ``scope`` or ``native``, the unit or "", and the reason (X261)."""
        return Interface(PLACEMENT_INTERFACE, (), (Property("placements", "a(ssss)", self._placements),))

    def _placements(self, target: Tuple[JobView, InstanceView]) -> List[Tuple[str, str, str, str]]:
        found = []
        for process, spawn in target[1].live_spawns():
            place = self._placement(spawn)
            found.append((process, place.kind, place.unit, place.reason))
        return found

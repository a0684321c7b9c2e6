"""Who runs an instance's processes: the interface org.upstartcompat.Instance1, which Upstart does not have.

It has one property and changes nothing; everybody may read it.
"""
from __future__ import annotations

from typing import List, Tuple

from ..engine.view import InstanceView, JobView
from .interfaces import Interface, Property
from .services import DaemonServices
from .wire import PLACEMENT_INTERFACE


class InstancePlacement:
    """Serves the property; its target is (JobView, InstanceView)."""

    def __init__(self, services: DaemonServices) -> None:
        self._services = services

    def interface(self) -> Interface:
        """For each live process its name, ``service``, ``scope`` or ``native``, the unit or "", and the reason (X261)."""
        return Interface(PLACEMENT_INTERFACE, (), (Property("placements", "a(ssss)", self._placements),))

    def _placements(self, target: Tuple[JobView, InstanceView]) -> List[Tuple[str, str, str, str]]:
        found = []
        for process, spawn in target[1].live_spawns():
            place = self._services.placement(spawn)
            found.append((process, place.kind, self._services.unit(spawn), place.reason))
        return found

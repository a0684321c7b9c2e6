"""Signals to the host's init that come while their target is up (B216)."""
from __future__ import annotations

from typing import Dict, List

import pytest

from compat.bridges.host.mappings import Mappings
from compat.bridges.host.native_units import UnitSeen
from compat.bridges.host.signal_targets import SignalTargets
from compat.bridges.host.wanted import Wanted
from compat.host.configuration import parse_configuration
from compat.parser import parse_job

POWER = "sigpwr.target"


class Manager:
    """What it says of the jobs of units, and the states that the watcher has from it."""

    def __init__(self) -> None:
        self.units: Dict[str, UnitSeen] = {}
        self.told: List[str] = []
        self.model = SignalTargets(self.units.get, self.told.append)
        self._last = 0

    def is_(self, active: str, run: str = "r1", unit: str = POWER) -> None:
        self.units[unit] = UnitSeen(unit, active=active, invocation=run)

    def begins(self, unit: str = POWER) -> int:
        self._last += 1
        self.model.manager_said("JobNew", (self._last, f"/job/{self._last}", unit))
        return self._last

    def ends(self, job: int, result: str = "done", unit: str = POWER) -> None:
        self.model.manager_said("JobRemoved", (job, f"/job/{job}", unit, result))


def test_b216_the_first_is_told_by_the_state_and_each_that_follows_by_its_job() -> None:
    manager = Manager()
    first = manager.begins()
    manager.is_("active")
    manager.ends(first)
    assert manager.told == []
    for count in (1, 2):
        manager.ends(manager.begins())
        assert manager.told == [POWER] * count
    # Of a job that nobody saw begin nothing is known.
    manager.ends(99)
    manager.is_("inactive")
    manager.is_("active", "r2")
    manager.ends(manager.begins())
    assert manager.told == [POWER] * 3


@pytest.mark.parametrize(("active", "run", "result"), [
    ("inactive", "r1", "done"), ("active", "r2", "done"), ("active", "r1", "canceled"), ("active", "r1", "failed")])
def test_b216_a_stop_a_restart_and_what_is_not_done_are_no_signals(active: str, run: str, result: str) -> None:
    manager = Manager()
    manager.is_("active")
    job = manager.begins()
    manager.is_(active, run)
    manager.ends(job, result)
    assert manager.told == []


def test_b216_other_units_and_an_old_connection() -> None:
    manager = Manager()
    manager.is_("active", unit="reboot.target")
    manager.ends(manager.begins("reboot.target"), unit="reboot.target")
    manager.is_("active")
    job = manager.begins()
    manager.model.forget()
    manager.ends(job)
    assert manager.told == []


def test_b216_b270_every_mapping_of_the_target_is_told_again() -> None:
    configuration, _ = parse_configuration(f"on unit {POWER} up emit mine UNIT=%u\non unit {POWER} down emit over\n")
    mappings = Mappings(configuration.mappings)
    wanted = Wanted()
    wanted.define("job", parse_job(b"start on power-status-changed\n").start_on, None)
    mappings.define(wanted)
    assert [(each.name, each.env) for each in mappings.up_again(POWER)] == [("mine", (f"UNIT={POWER}",)), ("power-status-changed", ())]
    assert mappings.up_again("kbrequest.target") == []

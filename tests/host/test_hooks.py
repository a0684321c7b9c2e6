"""Announcements of hooked units on the daemon's side (B232)."""
from __future__ import annotations

import pathlib
from typing import Dict, List

import pytest

from compat.bridges.host.fact import HostEvent
from compat.host.hooks import Announcement, Hooks
from tests.host.host_machine import HostMachine

UNIT = "thing.service"
OBJECT = "unit:thing.service"
ENV = ("JOB=thing", "INSTANCE=", "HOST_UNIT=thing.service")


def starting(machine: HostMachine, phase: str = "starting:") -> None:
    machine.fact(OBJECT, phase, HostEvent("starting", ENV, True))


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> HostMachine:
    machine = HostMachine(tmp_path)
    machine.load({"job": "start on starting thing\ntask\nexec job"})
    return machine


def announced(machine: HostMachine) -> List[str]:
    answers: List[str] = []
    machine.mode.announce(UNIT, "starting", lambda: answers.append("done"))
    return answers


def taken(machine: HostMachine, again: bool = False) -> List[Announcement]:
    found: List[Announcement] = []
    machine.mode.take_announcement(again, found.append)
    return found


def test_b232_a_unit_waits_until_the_events_of_its_start_are_finished(machine: HostMachine) -> None:
    answers = announced(machine)
    assert taken(machine) == [Announcement(1, UNIT, "starting")]
    starting(machine)
    machine.mode.announcement_told(1, [OBJECT])
    assert answers == []
    machine.process("job").exit(0)
    machine.settle()
    assert answers == ["done"]


def test_b232_what_concerns_no_job_does_not_wait(machine: HostMachine) -> None:
    answers = announced(machine)
    taken(machine)
    machine.mode.announcement_told(1, [OBJECT])
    assert answers == ["done"]
    machine.mode.announcement_told(1, [OBJECT])
    machine.mode.announcement_told(7, [])
    assert answers == ["done"]


def test_b232_a_stuck_job_holds_the_unit_longer_than_the_next_event(machine: HostMachine) -> None:
    answers = announced(machine)
    taken(machine)
    starting(machine)
    machine.mode.announcement_told(1, [OBJECT])
    machine.fact(OBJECT, "up:1", HostEvent("started", ENV))
    machine.advance(30)
    assert "started thing  thing.service" in machine.history(), "no event waits longer than that (B200)"
    assert answers == [], "how long the unit waits its own limit says"
    machine.process("job").exit(0)
    machine.settle()
    assert answers == ["done"]


def test_b232_the_next_bridge_is_given_what_the_last_one_did_not_tell(machine: HostMachine) -> None:
    announced(machine)
    first = taken(machine)
    assert taken(machine) == [] and len(first) == 1
    assert taken(machine, again=True) == first
    machine.mode.announcement_told(1, [])
    assert taken(machine, again=True) == []


def test_b232_announcements_are_taken_one_by_one_and_later(machine: HostMachine) -> None:
    waiting = taken(machine)
    announced(machine)
    machine.mode.announce("other.service", "stopping", lambda: None)
    assert [each.unit for each in waiting] == [UNIT]
    assert [each.unit for each in taken(machine)] == ["other.service"]


@pytest.mark.parametrize("told", [False, True])
def test_b219_b232_on_the_way_down_no_unit_waits(machine: HostMachine, told: bool) -> None:
    answers = announced(machine)
    taken(machine)
    if told:
        starting(machine)
        machine.mode.announcement_told(1, [OBJECT])
    machine.go_down("6")
    assert answers == ["done"]
    assert announced(machine) == ["done"] and taken(machine, again=True) == []


def test_b232_several_objects_are_all_waited_for() -> None:
    busy: Dict[str, bool] = {"a": True, "b": True}
    hooks = Hooks(lambda object: busy[object])
    answers: List[str] = []
    hooks.announce("u", "starting", lambda: answers.append("done"))
    hooks.take(False, lambda announcement: hooks.told(announcement.number, ["a", "b"]))
    for object in ("a", "b"):
        assert answers == []
        busy[object] = False
        hooks.review()
    assert answers == ["done"]

"""The table of E13 is complete, and the names of E10, E11."""
from __future__ import annotations

import itertools

import pytest

from compat.engine import states
from compat.engine.core import Core
from compat.engine.jobs import Instance, Process
from compat.engine.lifecycle import successor
from compat.parser.definition import MAIN, JobDefinition

FORWARD = (
    "waiting", "starting", "security-spawning", "security", "pre-starting", "pre-start", "spawning", "spawned", "post-starting",
    "post-start", "running")


def following(state: str, goal: str, main_alive: bool = False) -> str:
    core = Core({}, False, False, None)
    instance = Instance("s", "", JobDefinition(), 0)
    instance.state, instance.goal = state, goal
    if main_alive:
        instance.processes[MAIN] = Process(1)
    return successor(core, instance)


def test_e10_e11_names() -> None:
    assert states.GOALS == ("stop", "start", "respawn")
    assert states.STATES == FORWARD + ("pre-stopping", "pre-stop", "stopping", "killed", "post-stopping", "post-stop")


def test_e13_every_state_and_goal_has_a_successor() -> None:
    assert set(states.SUCCESSOR) == set(itertools.product(states.STATES, states.GOALS))
    for state, goal in states.SUCCESSOR:
        for main_alive in (False, True):
            assert following(state, goal, main_alive) in states.STATES


@pytest.mark.parametrize(("state", "expected"), list(zip(FORWARD[1:], FORWARD[2:])))
def test_e13_on_the_way_up(state: str, expected: str) -> None:
    assert following(state, "start") == expected
    assert following(state, "stop") == "stopping"


@pytest.mark.parametrize(("state", "goal", "main_alive", "expected"), [
    ("waiting", "start", False, "starting"), ("running", "stop", True, "pre-stopping"), ("running", "stop", False, "stopping"),
    ("running", "start", False, "stopping"), ("running", "start", True, "stopping"), ("pre-stopping", "stop", True, "pre-stop"),
    ("pre-stopping", "start", True, "pre-stop"), ("pre-stop", "stop", True, "stopping"), ("pre-stop", "start", True, "running"),
    ("stopping", "stop", True, "killed"), ("stopping", "start", True, "killed"), ("killed", "stop", False, "post-stopping"),
    ("killed", "start", False, "post-stopping"), ("post-stopping", "stop", False, "post-stop"),
    ("post-stopping", "start", False, "post-stop"), ("post-stop", "stop", False, "waiting"), ("post-stop", "start", False, "starting"),
    ("post-start", "respawn", False, "stopping"), ("pre-stop", "respawn", False, "stopping"),
])
def test_e13_rows(state: str, goal: str, main_alive: bool, expected: str) -> None:
    assert following(state, goal, main_alive) == expected


def test_e13_goal_respawn_becomes_start_first() -> None:
    core = Core({}, False, False, None)
    instance = Instance("s", "", JobDefinition(), 0)
    instance.state, instance.goal = "post-start", "respawn"
    assert successor(core, instance) == "stopping" and instance.goal == "start"
    assert core.out[0].text == "s goal changed from respawn to start"

"""The order of what clients see (C80)."""
from __future__ import annotations

from typing import Any, List

from compat.engine import actions
from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE


def seen(machine: SimulatedMachine) -> List[str]:
    """From now on: short names of everything that control is told."""
    out: List[str] = []
    inner = machine.supervisor.control

    def control(action: Any) -> None:
        if isinstance(action, actions.StateChanged):
            out.append(action.state)
        elif isinstance(action, actions.GoalChanged):
            out.append("G " + action.goal)
        elif isinstance(action, actions.Answer):
            out.append("reply")
        elif isinstance(action, actions.Refuse):
            out.append("error " + action.error)
        elif isinstance(action, actions.JobFailed):
            out.append(f"Failed({action.status})")
        elif isinstance(action, actions.EventEmitted):
            out.append("EE " + action.name)
        else:
            out.append(type(action).__name__)
        inner(action)

    machine.supervisor.control = control
    return out


def test_c80_order_of_start_and_stop(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    out = seen(machine)
    machine.start("s")
    out.remove("EE starting")
    assert out == [
        "InstanceAdded", "G start", "starting", "security-spawning", "security", "pre-starting", "pre-start", "spawning",
        "spawned", "post-starting", "post-start", "running", "reply", "EE started"]
    out.clear()
    machine.stop("s")
    assert out == [
        "G stop", "pre-stopping", "pre-stop", "stopping", "killed", "EE stopping", "post-stopping", "post-stop", "waiting",
        "reply", "InstanceRemoved", "EE stopped"]


def test_c80_order_of_start_without_wait(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    out = seen(machine)
    machine.start("s", wait=False)
    assert out[:5] == ["InstanceAdded", "G start", "starting", "reply", "security-spawning"]


def test_c80_order_of_restart(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    out = seen(machine)
    machine.restart("s")
    out.remove("EE starting")
    assert out == [
        "G stop", "pre-stopping", "pre-stop", "stopping", "G start", "killed", "EE stopping", "post-stopping", "post-stop",
        "starting", "security-spawning", "security", "pre-starting", "pre-start", "spawning", "spawned", "post-starting",
        "post-start", "running", "reply", "EE started"]


def test_c80_order_of_a_failing_pre_start(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec false\n" + SERVICE)
    out = seen(machine)
    machine.start("s")
    machine.process("s", "pre-start").exit(1)
    machine.settle()
    start = out.index("pre-start")
    assert out[start:] == [
        "pre-start", "EE starting", "Failed(1)", "error JobFailed", "G stop", "stopping", "killed", "post-stopping", "post-stop",
        "waiting", "InstanceRemoved", "EE stopping", "EE stopped"]


def test_c80_order_of_an_event_that_nobody_wants(machine: SimulatedMachine) -> None:
    out = seen(machine)
    machine.emit("hello", "A=b")
    assert out == ["reply", "EE hello"]

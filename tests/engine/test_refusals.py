"""What is refused, with which error, and reload (E31, E63, C54-C73)."""
from __future__ import annotations

import pytest

from compat.engine.view import Refused
from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE, refusal


def test_e31_start_twice_is_already_started(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    assert refusal(machine.start("s")) == ("AlreadyStarted", "Job is already running: s")
    assert refusal(machine.start_instance("s")) == ("AlreadyStarted", "Job is already running: s")


def test_e31_already_started_names_the_instance(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $X\n" + SERVICE)
    machine.start("s", "X=1")
    assert refusal(machine.start("s", "X=1")) == ("AlreadyStarted", "Job is already running: s (1)")


@pytest.mark.parametrize("command", ["stop", "restart"])
def test_e31_stop_or_restart_of_what_does_not_run_is_unknown_instance(machine: SimulatedMachine, command: str) -> None:
    machine.define("s", SERVICE)
    machine.define("m", "instance $X\n" + SERVICE)
    assert refusal(getattr(machine, command)("s")) == ("UnknownInstance", "Unknown instance: ")
    assert refusal(getattr(machine, command)("m", "X=9")) == ("UnknownInstance", "Unknown instance: 9")


@pytest.mark.parametrize("command", ["stop", "restart", "start"])
def test_e31_unknown_job(machine: SimulatedMachine, command: str) -> None:
    assert refusal(getattr(machine, command)("nosuch")) == ("UnknownJob", "Unknown job: nosuch")


@pytest.mark.parametrize("command", ["stop", "restart", "start"])
def test_e31_env_must_be_pairs(machine: SimulatedMachine, command: str) -> None:
    machine.define("s", SERVICE)
    assert refusal(getattr(machine, command)("s", "NOEQUALS")) == ("InvalidArgs", "Env must be KEY=VALUE pairs")


def test_e31_env_is_checked_before_the_instance_name(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $X\n" + SERVICE)
    assert refusal(machine.start("s", "NOEQUALS")) == ("InvalidArgs", "Env must be KEY=VALUE pairs")


def test_e31_the_instance_name_must_expand(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $X\n" + SERVICE)
    assert refusal(machine.start("s")) == ("InvalidArgs", "Unknown parameter: X")


def test_e31_usage_is_added_for_start_and_get_instance_only(machine: SimulatedMachine) -> None:
    machine.define("s", 'instance $X\nusage "s X=number"\n' + SERVICE)
    with_usage = "Unknown parameter: X\nUsage: s X=number"
    assert refusal(machine.start("s")) == ("InvalidArgs", with_usage)
    assert refusal(machine.stop("s")) == ("InvalidArgs", "Unknown parameter: X")
    assert refusal(machine.restart("s")) == ("InvalidArgs", "Unknown parameter: X")
    with pytest.raises(Refused) as caught:
        machine.engine.select_instance("s", [])
    assert (caught.value.error, caught.value.message) == ("InvalidArgs", with_usage)


def test_e31_stopping_what_is_being_stopped_is_already_stopped(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    expected = ("AlreadyStopped", "Job has already been stopped: s")
    assert refusal(machine.stop("s")) == expected
    assert refusal(machine.stop_instance("s")) == expected
    assert refusal(machine.restart_instance("s")) == expected


def test_e31_class_restart_while_goal_is_stop_names_the_job(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    assert refusal(machine.restart("s")) == ("AlreadyStopped", "Job has already been stopped: s")


def test_e31_a_refused_request_changes_nothing(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    waiting = machine.stop("s", "WHY=x")
    machine.transcript.clear()
    machine.stop("s", "WHY=y")
    assert machine.transcript == [] and not waiting.done
    assert machine.process("s", "pre-stop").environment["WHY"] == "x"


def test_e63_reload_signals_main_alone_and_changes_no_state(machine: SimulatedMachine) -> None:
    machine.define("s", "reload signal USR1\n" + SERVICE)
    assert refusal(machine.reload("s")) == ("UnknownInstance", "Unknown instance: ")
    machine.start("s")
    process = machine.process("s")
    process.ignores = (10,)
    machine.transcript.clear()
    assert machine.reload("s").ok
    assert process.received == [10] and machine.transcript == []
    assert machine.status("s") == "s start/running, process 101"


def test_e63_reload_without_a_main_process_is_not_running(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec p\n" + SERVICE)
    machine.start("s")
    assert refusal(machine.reload("s")) == ("NotRunning", "Job is not running: s")

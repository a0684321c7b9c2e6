"""What start, stop and restart do in each state (E23-E30)."""
from __future__ import annotations

import pytest

from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE, goals, job_events, refusal, visited


def test_e25_stop_in_starting_waits_for_the_event_and_runs_post_stop(machine: SimulatedMachine) -> None:
    machine.define("hold", "start on starting s\ntask\nexec h")
    machine.define("s", "post-stop exec p\n" + SERVICE)
    start = machine.start("s")
    stop = machine.stop("s")
    assert start.ok and not stop.done and machine.status("s") == "s stop/starting"
    machine.process("hold").exit()
    machine.settle()
    assert "s state changed from starting to stopping" in machine.lines("I")
    assert machine.status("s") == "s stop/post-stop, process 102"
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert stop.ok


@pytest.mark.parametrize("process", ["pre-start", "post-start"])
def test_e25_stop_leaves_pre_start_and_post_start_alone(machine: SimulatedMachine, process: str) -> None:
    machine.define("s", process + " exec p\n" + SERVICE)
    start = machine.start("s")
    running = machine.process("s", process)
    stop = machine.stop("s")
    machine.advance(1000)
    assert running.received == [] and not stop.done
    assert start.ok, "E109: a start that a stop overtakes succeeds"
    running.exit()
    machine.settle()
    assert f"s state changed from {process} to stopping" in machine.lines("I")
    assert stop.ok and machine.status("s") == "s stop/waiting"


@pytest.mark.parametrize("expect", ["fork", "daemon", "stop"])
def test_x81_stop_in_spawned_with_unmet_expect_stops_at_once(machine: SimulatedMachine, expect: str) -> None:
    machine.define("s", f"expect {expect}\n" + SERVICE)
    start = machine.start("s")
    assert machine.status("s") == "s start/spawned, process 101"
    process = machine.process("s")
    assert machine.stop("s").ok
    assert start.ok and process.received == [15]
    assert machine.status("s") == "s stop/waiting"


def test_e23_stop_before_the_exec_is_confirmed(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.backend.confirms = False
    machine.start("s")
    stop = machine.stop("s")
    assert machine.status("s") == "s stop/spawned, process 101"
    machine.backend.confirms = True
    machine.settle()
    assert "s state changed from spawned to stopping" in machine.lines("I")
    assert stop.ok


def test_e25_stop_during_a_restart_ends_in_waiting(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    restart = machine.restart("s")
    assert machine.status("s") == "s start/post-stop, process 102"
    stop = machine.stop("s")
    assert restart.ok and not stop.done
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert stop.ok and machine.status("s") == "s stop/waiting"


def test_e25_a_cancelled_stop_can_be_put_on_again(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    machine.start_instance("s")
    stop = machine.stop("s")
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert stop.ok and machine.status("s") == "s stop/waiting"


# -- start while stopping (E26, E29) ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["killed", "post-stop"])
def test_e26_start_while_stopping_restarts_with_the_new_environment(machine: SimulatedMachine, where: str) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s", "X=1")
    machine.process("s").ignores = (15,)
    stop = machine.stop("s")
    if where == "post-stop":
        machine.process("s").exit()
        machine.settle()
    assert machine.status("s").startswith("s stop/" + where)
    start = machine.start("s", "X=2")
    assert stop.ok, "the waiting stop is released as success"
    if where == "killed":
        machine.process("s").exit()
        machine.settle()
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert start.ok and machine.process("s").environment["X"] == "2"
    assert "stopped" not in job_events(machine)


def test_e26_start_while_stopping_is_held_restarts(machine: SimulatedMachine) -> None:
    machine.define("hold", "start on stopping s\ntask\nexec h")
    machine.define("s", SERVICE)
    machine.start("s", "X=1")
    stop = machine.stop("s")
    assert machine.status("s") == "s stop/stopping, process 101"
    start = machine.start("s", "X=2")
    assert stop.ok and not start.done
    machine.process("hold").exit()
    machine.settle()
    assert start.ok and machine.status("s") == "s start/running, process 103"
    assert machine.process("s").environment["X"] == "2"


def test_e26_start_after_stop_in_starting_keeps_the_old_environment_until_a_respawn(machine: SimulatedMachine) -> None:
    machine.define("hold", "start on starting s\ntask\nexec h")
    machine.define("s", "respawn\n" + SERVICE)
    machine.start("s", "X=1")
    stop = machine.stop("s")
    start = machine.start("s", "X=2")
    assert stop.ok and machine.status("s") == "s start/starting"
    machine.process("hold").exit()
    machine.settle()
    assert start.ok and machine.process("s").environment["X"] == "1"
    machine.process("s").exit(1)
    machine.settle()
    machine.process("hold").exit()
    machine.settle()
    assert machine.process("s").environment["X"] == "2"


def test_e29_start_from_pre_stop_cancels_the_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    events = job_events(machine)
    stop = machine.stop("s", "WHY=x")
    assert machine.start_instance("s").ok
    assert stop.ok, "E29: whoever waits for the stop is released as success"
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert machine.status("s") == "s start/running, process 101"
    assert job_events(machine) == events
    machine.stop("s")
    assert "WHY" not in machine.process("s", "pre-stop").environment


def test_e29_the_stop_condition_needs_a_new_event_after_a_cancelled_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "stop on halt\npre-stop exec p\n" + SERVICE)
    machine.start("s")
    emit = machine.emit("halt")
    assert not emit.done
    machine.start_instance("s")
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert emit.ok and machine.status("s") == "s start/running, process 101"
    machine.emit("halt", wait=False)
    assert machine.status("s").startswith("s stop/pre-stop")


# -- restart (E27, E28, E30) --------------------------------------------------------------------------------------


def test_e27_restart_gives_a_new_pid_in_the_same_instance(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    instance = machine.engine.job("s").instance("")
    assert machine.restart("s").result == ""
    assert machine.engine.job("s").instance("") is instance
    assert machine.status("s") == "s start/running, process 102"
    assert job_events(machine) == ["starting", "started", "stopping", "starting", "started"]


def test_e27_restart_without_a_live_main_is_a_full_cycle(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec p\npre-stop exec never")
    machine.start("s")
    machine.process("s", "pre-start").exit()
    machine.settle()
    restart = machine.restart("s")
    assert machine.status("s") == "s start/pre-start, process 102"
    machine.process("s", "pre-start").exit()
    machine.settle()
    assert restart.ok and machine.status("s") == "s start/running"


def test_e28_restart_with_pre_stop_really_restarts(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    restart = machine.restart("s")
    assert not restart.done and machine.status("s") == "s start/pre-stop, process 101\n\tpre-stop process 102"
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert restart.ok and machine.status("s") == "s start/running, process 103"


def test_e28_main_dying_in_pre_stop_of_a_restart_is_no_failure(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    restart = machine.restart("s")
    machine.process("s").exit(1)
    machine.settle()
    assert not restart.done
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert restart.ok and machine.status("s") == "s start/running, process 103"
    assert machine.events("stopping")[-1] == ("JOB=s", "INSTANCE=", "RESULT=ok")


def test_e28_a_stop_during_the_restart_wins(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.restart("s")
    stop = machine.stop("s")
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert stop.ok and machine.status("s") == "s stop/waiting"


@pytest.mark.parametrize("process", ["pre-start", "post-start"])
def test_e27_restart_before_running_makes_no_extra_cycle(machine: SimulatedMachine, process: str) -> None:
    machine.define("s", process + " exec p\n" + SERVICE)
    start = machine.start("s")
    restart = machine.restart("s")
    assert start.ok and not restart.done
    assert goals(machine)[-2:] == ["start to stop", "stop to start"]
    machine.process("s", process).exit()
    machine.settle()
    assert restart.ok
    assert visited(machine).count("starting") == 1 and machine.status("s").startswith("s start/running")


def test_e27_restart_in_spawned_does_not_give_up_the_expect(machine: SimulatedMachine) -> None:
    machine.define("s", "expect fork\n" + SERVICE)
    machine.start("s")
    restart = machine.restart("s")
    assert machine.status("s") == "s start/spawned, process 101"
    machine.process("s").fork()
    machine.settle()
    assert restart.ok and machine.status("s") == "s start/running, process 102"


def test_e27_restart_during_a_restart_changes_only_the_environment(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    first = machine.restart("s", "X=1")
    second = machine.restart("s", "X=2")
    assert first.ok
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert second.ok and machine.process("s").environment["X"] == "2"
    assert visited(machine).count("starting") == 2


def test_e30_start_while_goal_is_respawn_is_already_started(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-start exec p\n" + SERVICE)
    machine.start("s")
    machine.process("s").exit(1)
    machine.settle()
    assert machine.status("s") == "s respawn/post-start, (post-start) process 102"
    assert refusal(machine.start("s")) == ("AlreadyStarted", "Job is already running: s")
    machine.process("s", "post-start").exit()
    machine.settle()
    assert machine.process("s").pid == 103


@pytest.mark.parametrize("by_class", [True, False])
def test_e30_restart_while_goal_is_respawn_keeps_the_respawn(machine: SimulatedMachine, by_class: bool) -> None:
    machine.define("s", "respawn\npost-start exec p\n" + SERVICE)
    machine.start("s")
    machine.process("s").exit(1)
    machine.settle()
    restart = machine.restart("s") if by_class else machine.restart_instance("s", wait=True)
    machine.process("s", "post-start").exit()
    machine.settle()
    assert machine.process("s").pid == 103
    machine.process("s", "post-start").exit()
    machine.settle()
    assert restart.ok


def test_e30_an_event_while_goal_is_respawn_keeps_the_respawn(machine: SimulatedMachine) -> None:
    machine.define("s", "start on go\nrespawn\npost-start exec p\n" + SERVICE)
    machine.start("s")
    machine.process("s").exit(1)
    machine.settle()
    assert machine.emit("go").ok
    machine.process("s", "post-start").exit()
    machine.settle()
    assert machine.process("s").pid == 103


def test_e30_stop_while_goal_is_respawn_forgets_the_respawn(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-start exec p\n" + SERVICE)
    machine.start("s")
    machine.process("s").exit(1)
    machine.settle()
    stop = machine.stop("s")
    machine.process("s", "post-start").exit()
    machine.settle()
    assert stop.ok and machine.status("s") == "s stop/waiting"
    assert goals(machine)[-1] == "respawn to stop"


def test_e24_setting_the_goal_it_has_is_silent(machine: SimulatedMachine) -> None:
    machine.define("s", "stop on halt\npre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.emit("halt", wait=False)
    assert goals(machine) == ["stop to start", "start to stop"]
    assert machine.emit("halt").ok
    assert goals(machine) == ["stop to start", "start to stop"]

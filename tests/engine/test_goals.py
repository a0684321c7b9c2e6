"""What start, stop and restart do in each state, and what is refused (E1-E31, C54-C73, C80)."""
from __future__ import annotations

from typing import Any, List

import pytest

from compat.engine import actions
from compat.engine.view import Refused
from compat.testing import SimulatedMachine

SERVICE = "exec sleep 100"


def refusal(call: Any) -> Any:
    return call.error, call.message


def goals(machine: SimulatedMachine) -> List[str]:
    return [line.partition(" goal changed from ")[2] for line in machine.lines("I") if " goal changed from " in line]


def visited(machine: SimulatedMachine) -> List[str]:
    return [line.rpartition(" ")[2] for line in machine.lines("I") if " state changed from " in line]


def job_events(machine: SimulatedMachine) -> List[str]:
    names = ("starting", "started", "stopping", "stopped")
    return [each.name for each in machine.announcements if isinstance(each, actions.EventEmitted) and each.name in names]


# -- instances ---------------------------------------------------------------------------------------------


def test_e1_a_class_without_instance_is_stop_waiting(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    assert machine.status("s") == "s stop/waiting"
    assert machine.engine.job("s").instance_names() == []


def test_e2_an_instance_is_destroyed_on_entering_waiting(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.stop("s")
    assert machine.engine.job("s").instance("") is None


def test_e2_stop_and_start_give_a_fresh_environment_and_respawn_counter(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 2 100\n" + SERVICE)
    machine.start("s", "X=1")
    for _ in range(2):
        machine.process("s").exit(1)
        machine.settle()
    machine.stop("s")
    machine.start("s")
    assert "X" not in machine.process("s").environment
    for _ in range(2):
        machine.process("s").exit(1)
        machine.settle()
    assert machine.status("s").startswith("s start/running")


def test_e3_e4_instances_have_names_and_display_names(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $X\n" + SERVICE)
    assert machine.start("s", "X=1").result == "1"
    assert machine.start("s", "X=2").result == "2"
    assert machine.status("s", "1") == "s (1) start/running, process 101"
    assert machine.status("s", "2") == "s (2) start/running, process 102"
    assert "s (1) goal changed from stop to start" in machine.lines("I")


def test_e3_the_empty_instance_name_is_ordinary(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $X\n" + SERVICE)
    assert machine.start("s", "X=").result == ""
    assert machine.status("s") == "s start/running, process 101"


def test_e5_slots_are_listed_in_their_order(machine: SimulatedMachine) -> None:
    machine.define("s", "exec main\npost-start exec post\npre-start exec pre")
    machine.start("s")
    machine.process("s", "pre-start").exit()
    machine.settle()
    assert machine.engine.job("s").instance("").live_processes() == [("main", 102), ("post-start", 103)]
    assert machine.status("s") == "s start/post-start, process 102\n\tpost-start process 103"


def test_e16_start_logs_goal_and_states_in_order(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    assert goals(machine) == ["stop to start"]
    assert visited(machine) == [
        "starting", "security-spawning", "security", "pre-starting", "pre-start", "spawning", "spawned", "post-starting",
        "post-start", "running"]


def test_e15_without_main_no_pre_stop_runs(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec true\npre-stop exec never")
    start = machine.start("s")
    machine.process("s", "pre-start").exit()
    machine.settle()
    assert start.ok and machine.status("s") == "s start/running"
    assert machine.stop("s").ok
    assert machine.status("s") == "s stop/waiting"
    assert [each.command for each in machine.backend.processes.values()] == ["true"]


def test_e111_a_task_without_main_keeps_its_starter_until_the_stop(machine: SimulatedMachine) -> None:
    machine.define("t", "task\npre-start exec true")
    start = machine.start("t")
    machine.process("t", "pre-start").exit()
    machine.advance(1000)
    assert not start.done and machine.status("t") == "t start/running"
    assert machine.stop("t").ok
    assert start.ok


def test_e110_a_service_releases_its_starter_in_running_a_task_in_waiting(machine: SimulatedMachine) -> None:
    machine.define("s", "post-start exec p\n" + SERVICE)
    machine.define("t", "task\n" + SERVICE)
    service, task = machine.start("s"), machine.start("t")
    assert not service.done
    machine.process("s", "post-start").exit()
    machine.settle()
    assert service.ok and machine.status("s").startswith("s start/running")
    assert not task.done
    machine.process("t").exit()
    machine.settle()
    assert task.ok


def test_e110_a_failure_after_running_reaches_no_caller(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    start = machine.start("s")
    machine.process("s").exit(1)
    machine.settle()
    assert start.ok and machine.status("s") == "s stop/waiting"


def test_e112_calls_without_wait_are_answered_at_once(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec p\npre-stop exec q\n" + SERVICE)
    start = machine.start("s", wait=False)
    assert start.ok and start.result == "" and machine.status("s") == "s start/pre-start, process 101"
    machine.process("s", "pre-start").exit()
    machine.settle()
    restart = machine.restart("s", wait=False)
    assert restart.ok and restart.result == "" and machine.status("s").startswith("s start/pre-stop")
    stop = machine.stop("s", wait=False)
    assert stop.ok and stop.result is None and machine.status("s").startswith("s stop/pre-stop")


# -- refusals -----------------------------------------------------------------------------------------------


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


# -- stop, state by state (E25) -------------------------------------------------------------------------------


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


# -- the order of what clients see (C80) -----------------------------------------------------------------------


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

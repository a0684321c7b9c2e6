"""Which definition is in force: rewriting and deleting job files (E116-E122, D114-D135)."""
from __future__ import annotations

from typing import Any, List

from compat.engine import actions
from compat.engine.inputs import DefineJob
from compat.testing import SimulatedMachine

OLD, NEW = "exec old", "exec new"


def objects(machine: SimulatedMachine) -> List[Any]:
    kinds = (actions.JobAdded, actions.JobRemoved, actions.InstanceAdded, actions.InstanceRemoved)
    return [each for each in machine.announcements if isinstance(each, kinds)]


def test_d120_a_new_job(machine: SimulatedMachine) -> None:
    machine.emit("ev")
    machine.define("s", "start on ev\n" + OLD)
    assert objects(machine) == [actions.JobAdded("s")] and machine.status("s") == "s stop/waiting"


def test_d121_an_idle_job_is_replaced_at_once(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.define("s", NEW)
    assert objects(machine) == [actions.JobAdded("s"), actions.JobRemoved("s"), actions.JobAdded("s")]
    assert machine.lines("D") == ["conf_file_destroy: Destroyed unused job s"]
    machine.start("s")
    assert machine.process("s").command == "new"


def test_e118_restart_keeps_the_old_definition_stop_and_start_takes_the_new(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.start("s")
    machine.define("s", NEW)
    machine.restart("s")
    assert machine.process("s").command == "old"
    machine.process("s").exit(0)
    machine.settle()
    machine.start("s")
    assert machine.process("s").command == "new"


def test_d119_respawn_keeps_the_old_definition(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\n" + OLD)
    machine.start("s")
    machine.define("s", NEW)
    machine.process("s").exit(1)
    machine.settle()
    assert machine.process("s").command == "old"


def test_d119_new_instances_use_the_old_definition_until_all_have_stopped(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $I\n" + OLD)
    machine.start("s", "I=1")
    machine.define("s", "instance $I\n" + NEW)
    machine.start("s", "I=2")
    assert machine.process("s", instance="2").command == "old"
    machine.stop("s", "I=1")
    machine.start("s", "I=1")
    assert machine.process("s", instance="1").command == "old"
    machine.stop("s", "I=1")
    machine.stop("s", "I=2")
    machine.start("s", "I=1")
    assert machine.process("s", instance="1").command == "new"


def test_d129_the_last_instance_of_a_replaced_class(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $I\n" + OLD)
    machine.start("s", "I=1")
    machine.start("s", "I=2")
    machine.define("s", "instance $I\n" + NEW)
    machine.announcements.clear()
    machine.transcript.clear()
    machine.stop("s", "I=1")
    machine.stop("s", "I=2")
    assert objects(machine) == [actions.InstanceRemoved("s", "1"), actions.JobRemoved("s"), actions.JobAdded("s")]
    assert [line for line in machine.lines("D") if line.startswith("job_change_state")] == [
        "job_change_state: Destroyed inactive instance s (1)", "job_change_state: Destroyed unused job s"]


def test_d117_the_pending_definition_sees_no_events(machine: SimulatedMachine) -> None:
    machine.define("s", "start on old\n" + OLD)
    machine.start("s")
    machine.define("s", "start on new and more\n" + NEW)
    assert machine.emit("new").ok
    machine.stop("s")
    assert machine.emit("more", wait=False).ok
    assert machine.status("s") == "s stop/waiting"
    machine.emit("new")
    assert machine.process("s").command == "new"


def test_d118_the_new_definition_reacts_to_the_stopped_event_of_the_old(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.start("s")
    machine.define("s", "start on stopped s\n" + NEW)
    machine.stop("s")
    assert machine.process("s").command == "new"


def test_d121_only_the_newest_pending_definition_counts(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.start("s")
    machine.define("s", "exec between")
    machine.define("s", NEW)
    machine.stop("s")
    machine.start("s")
    assert machine.process("s").command == "new"


def test_e119_a_deleted_running_job_stays_usable(machine: SimulatedMachine) -> None:
    machine.define("s", "start on ev\npost-stop exec p\n" + OLD)
    machine.start("s")
    machine.forget("s")
    assert machine.restart("s").done is False
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert machine.status("s").startswith("s start/running")
    assert machine.start("s").message == "Job is already running: s"
    stop = machine.stop("s")
    machine.emit("ev", wait=False)
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert stop.ok and machine.status("s").startswith("s start/running"), "its start on still works"
    machine.stop("s")
    machine.announcements.clear()
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert objects(machine) == [actions.JobRemoved("s")]
    assert machine.start("s").error == "UnknownJob"


def test_e119_a_deleted_idle_job_is_dropped_at_once(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + OLD)
    held = machine.emit("A")
    machine.transcript.clear()
    machine.forget("s")
    assert held.ok and machine.status("s") == "Unknown job: s"
    assert machine.lines("D") == ["conf_file_destroy: Destroyed unused job s", "event_finished: Finished A event"]
    machine.forget("s")


def test_e120_d122_a_file_that_no_longer_parses_is_a_forgotten_job(machine: SimulatedMachine) -> None:
    """The configuration tells the engine so; here: idle at once, running when it stops."""
    machine.define("idle", OLD)
    machine.define("busy", OLD)
    machine.start("busy")
    machine.forget("idle")
    machine.forget("busy")
    assert machine.status("idle") == "Unknown job: idle"
    assert machine.status("busy").startswith("busy start/running")
    machine.stop("busy")
    assert machine.status("busy") == "Unknown job: busy"


def test_d124_deleted_and_recreated_while_running(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.start("s")
    machine.forget("s")
    machine.define("s", NEW)
    machine.stop("s")
    machine.start("s")
    assert machine.process("s").command == "new"


def test_d125_a_pending_definition_is_deleted(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.start("s")
    machine.define("s", NEW)
    machine.forget("s")
    machine.stop("s")
    assert machine.status("s") == "Unknown job: s"


def test_e118_a_replacement_at_the_end_of_the_last_instance_lets_held_events_go(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + OLD)
    machine.start("s")
    held = machine.emit("A")
    machine.define("s", "start on A and B\n" + NEW)
    assert not held.done
    machine.stop("s")
    assert held.ok and machine.emit("B", wait=False).ok
    assert machine.status("s") == "s stop/waiting"


def test_d131_a_pending_definition_is_said(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.start("s")
    machine.transcript.clear()
    machine.define("s", NEW)
    assert machine.transcript == ["I s: the changed definition waits until the job has stopped"]
    machine.stop("s")
    assert "s: the changed definition is now in use" in machine.lines("I")


def test_d131_a_reload_that_changes_nothing_says_nothing(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    machine.start("s")
    machine.transcript.clear()
    machine.define("s", OLD)
    assert machine.transcript == []
    machine.stop("s")
    assert not any("definition" in line for line in machine.transcript)
    assert "job_change_state: Destroyed unused job s" in machine.lines("D"), "D134: it is replaced all the same"


def test_e122_a_half_true_condition_survives_a_rewrite(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + OLD)
    held = machine.emit("A", "X=1")
    machine.define("s", "start on B and A\n" + NEW)
    assert not held.done
    machine.emit("B")
    assert held.ok and machine.process("s").command == "new"
    environment = machine.process("s").environment
    assert environment["X"] == "1" and environment["UPSTART_EVENTS"] == "B A"


def test_e122_a_rewrite_without_the_event_lets_it_go(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + OLD)
    held = machine.emit("A")
    machine.define("s", "start on C and B\n" + NEW)
    assert held.ok and machine.engine.held_events() == []


def test_e122_a_rewrite_that_is_true_now_starts_the_job(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + OLD)
    held = machine.emit("A", "X=1")
    machine.define("s", "start on A\n" + NEW)
    assert held.ok and machine.process("s").command == "new"
    assert machine.process("s").environment["UPSTART_EVENTS"] == "A"


def test_e122_one_leaf_takes_one_event(machine: SimulatedMachine) -> None:
    machine.define("s", "start on (A X=1 and A X=2) and B\n" + OLD)
    first, second = machine.emit("A", "X=1"), machine.emit("A", "X=2")
    machine.define("s", "start on A and B\n" + NEW)
    assert not first.done and second.ok
    machine.emit("B")
    assert first.ok and machine.process("s").environment["X"] == "1"


def test_e122_a_rewrite_without_any_condition(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + OLD)
    held = machine.emit("A")
    machine.define("s", NEW)
    assert held.ok and machine.engine.held_events() == []


def test_d127_what_had_replaced_it_is_gone_again(machine: SimulatedMachine) -> None:
    machine.define("s", OLD)
    old = machine.engine.job("s").definition
    machine.start("s")
    machine.define("s", NEW)
    machine.feed(DefineJob("s", old))
    machine.announcements.clear()
    machine.stop("s")
    assert objects(machine) == [actions.InstanceRemoved("s", "")]
    machine.start("s")
    assert machine.process("s").command == "old"

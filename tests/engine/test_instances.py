"""Instances and their names, and when who started one has his answer (E1-E5, E15, E16, E110-E112)."""
from __future__ import annotations

from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE, goals, visited


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

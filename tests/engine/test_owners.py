"""Who waits for whom: owners of an instance, and jobs that hold each other's events (E106-E114, X81)."""
from __future__ import annotations

from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE


def test_e113_a_task_on_starting_holds_the_main_process_of_the_other(machine: SimulatedMachine) -> None:
    machine.define("a", "task\nstart on starting b\n" + SERVICE)
    machine.define("b", SERVICE)
    start = machine.start("b")
    machine.advance(1)
    assert machine.status("b") == "b start/starting" and machine.status("a").startswith("a start/running")
    machine.process("a").exit()
    machine.settle()
    assert start.ok
    lines = machine.lines("I")
    assert lines.index("b main process (102)") > lines.index("a state changed from post-stop to waiting")


def test_e113_a_service_on_starting_holds_it_until_running(machine: SimulatedMachine) -> None:
    machine.define("a", "start on starting b\npost-start exec p\n" + SERVICE)
    machine.define("b", SERVICE)
    start = machine.start("b")
    assert machine.status("b") == "b start/starting"
    machine.process("a", "post-start").exit()
    machine.settle()
    assert start.ok and machine.status("b") == "b start/running, process 103"


def test_e113_stop_on_stopping_holds_the_kill_until_the_other_waits(machine: SimulatedMachine) -> None:
    machine.define("a", "stop on stopping b\n" + SERVICE)
    machine.define("b", SERVICE)
    machine.start("a")
    machine.start("b")
    machine.process("a").ignores = (15,)
    stop = machine.stop("b")
    assert machine.process("b").received == [] and machine.status("b") == "b stop/stopping, process 102"
    machine.process("a").exit()
    machine.settle()
    assert stop.ok
    lines = machine.lines("I")
    assert lines.index("Sending TERM signal to b main process (102)") > lines.index("a state changed from post-stop to waiting")


def test_e113_a_job_that_is_there_already_holds_nothing(machine: SimulatedMachine) -> None:
    machine.define("a", "start on starting b\nstop on stopping b\npre-start exec p\n" + SERVICE)
    machine.define("b", SERVICE)
    machine.start("a")
    assert machine.start("b").ok, "a's goal is start already"
    machine.stop("a")
    assert machine.stop("b").ok, "a's goal is stop already"


def test_e114_mutual_start_on_starting(machine: SimulatedMachine) -> None:
    machine.define("a", "start on starting b\n" + SERVICE)
    machine.define("b", "start on starting a\n" + SERVICE)
    assert machine.start("a").ok
    assert machine.status("a").startswith("a start/running") and machine.status("b").startswith("b start/running")


def test_e106_every_accepted_command_releases_those_before(machine: SimulatedMachine) -> None:
    machine.define("s", "start on go\nstop on halt\npre-start exec p\n" + SERVICE)
    first = machine.start("s")
    second = machine.restart("s")
    assert first.ok and not second.done
    third = machine.stop("s")
    assert second.ok and not third.done
    fourth = machine.emit("go")
    assert third.ok and not fourth.done
    fifth = machine.emit("halt")
    assert fourth.ok and not fifth.done
    machine.process("s", "pre-start").exit()
    machine.settle()
    assert fifth.ok and machine.status("s") == "s stop/waiting"


def test_e107_events_and_callers_are_released_together_as_failure(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\npre-start exec p\npost-stop exec q\n" + SERVICE)
    first, second = machine.emit("A"), machine.emit("B")
    machine.process("s", "pre-start").exit(1)
    machine.settle()
    assert first.error == second.error == "EventFailed", "before the job has finished stopping"
    assert machine.status("s").startswith("s stop/post-stop")


def test_e108_the_three_texts_of_job_failed(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec p\npost-stop exec q\n" + SERVICE)
    start = machine.start("s")
    machine.process("s", "pre-start").exit(1)
    machine.settle()
    machine.process("s", "post-stop").exit()
    machine.settle()
    machine.start("s")
    machine.process("s", "pre-start").exit()
    machine.settle()
    restart = machine.restart("s")
    machine.process("s", "post-stop").exit(1)
    machine.settle()
    machine.start("s")
    machine.process("s", "pre-start").exit()
    machine.settle()
    stop = machine.stop("s")
    machine.process("s", "post-stop").exit(1)
    machine.settle()
    assert [(call.error, call.message) for call in (start, restart, stop)] == [
        ("JobFailed", "Job failed to start"), ("JobFailed", "Job failed to restart"), ("JobFailed", "Job failed while stopping")]


def test_e109_a_stop_overtaken_by_a_start_succeeds(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    stop = machine.stop("s")
    machine.start("s")
    assert stop.ok and machine.status("s").startswith("s start/post-stop")


def test_e106_the_same_event_may_start_and_stop_several_instances(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $I\nstop on halt\n" + SERVICE)
    for name in "123":
        machine.start("s", "I=" + name)
        machine.process("s", instance=name).ignores = (15,)
    halt = machine.emit("halt")
    for name in "123":
        assert not halt.done
        machine.process("s", instance=name).exit()
        machine.settle()
    assert halt.ok


def test_x81_stop_on_in_spawned_gives_up_the_expect(machine: SimulatedMachine) -> None:
    machine.define("s", "expect daemon\nstop on halt\n" + SERVICE)
    machine.start("s")
    assert machine.emit("halt").ok
    assert machine.status("s") == "s stop/waiting"


def test_e99_a_job_does_not_hold_the_event_that_it_waits_for_itself(machine: SimulatedMachine) -> None:
    """Beyond upstream, where the job would stay in starting or stopping for ever."""
    machine.define("s", "stop on starting s\n" + SERVICE)
    start = machine.start("s")
    assert start.ok and machine.status("s") == "s stop/waiting"
    machine.define("r", "start on stopping r\n" + SERVICE)
    machine.start("r")
    stop = machine.stop("r")
    assert stop.ok and machine.status("r") == "r start/running, process 102"

"""The event queue, the order of delivery and the end of an event (E82-E93)."""
from __future__ import annotations

from typing import List

import pytest

from compat.engine.events import PASS_LIMIT
from compat.engine.inputs import EmitEvent, PollEvents
from compat.engine.jobs import bucket
from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE


def started_in_order(machine: SimulatedMachine) -> List[str]:
    return [line.split()[0] for line in machine.lines("I") if line.endswith("goal changed from stop to start")]


@pytest.mark.parametrize(("name", "expected"), [
    ("foo", 14), ("bar", 6), ("ssh", 3), ("rc", 0), ("tty1", 14), ("tty2", 11), ("", 1)])
def test_e83_check_values(name: str, expected: int) -> None:
    assert bucket(name) == expected


def test_e83_one_event_starts_classes_in_bucket_order(machine: SimulatedMachine) -> None:
    for name in ("alpha", "charlie", "delta", "echo1", "foxtrot", "golf", "hotel", "india"):
        machine.define(name, "start on go\n" + SERVICE)
    machine.emit("go")
    assert started_in_order(machine) == ["foxtrot", "golf", "echo1", "charlie", "delta", "alpha", "india", "hotel"]
    assert machine.engine.job_names() == ["foxtrot", "golf", "echo1", "charlie", "delta", "alpha", "india", "hotel"]


def test_e83_a_replaced_class_goes_to_the_end_of_its_bucket(machine: SimulatedMachine) -> None:
    for name in ("charlie", "delta", "charlie"):
        machine.define(name, "start on go\n" + SERVICE)
    machine.emit("go")
    assert started_in_order(machine) == ["delta", "charlie"]


def test_e83_instances_are_visited_in_bucket_order(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $N\nstop on halt\n" + SERVICE)
    for name in ("tty1", "tty2", "foo", "rc"):
        machine.start("s", "N=" + name)
    assert machine.engine.job("s").instance_names() == ["rc", "tty2", "tty1", "foo"]
    machine.transcript.clear()
    machine.emit("halt")
    lines = [line for line in machine.lines("I") if line.endswith("goal changed from start to stop")]
    assert lines == [f"s ({name}) goal changed from start to stop" for name in ("rc", "tty2", "tty1", "foo")]


def test_e84_events_created_in_a_pass_are_visited_in_that_pass(machine: SimulatedMachine) -> None:
    machine.define("a", "start on go")
    machine.emit("go")
    order = [line for line in machine.lines("I") if line.startswith("Handling")]
    assert order == ["Handling go event", "Handling starting event", "Handling started event"]


def test_e84_an_older_event_that_gets_free_is_visited_in_the_next_pass(machine: SimulatedMachine) -> None:
    """E136: what is queued already is handled first, but nothing newer than the pass that frees it."""
    machine.define("a", "start on ev")
    ev = machine.emit("ev")
    assert ev.ok
    lines = [line for line in machine.lines("I", "D") if "ev event" in line or "started event" in line]
    assert lines == [
        "event_new: Pending ev event", "Handling ev event", "event_new: Pending started event", "Handling started event",
        "event_finished: Finished started event", "event_finished: Finished ev event"]


def test_e85_stop_before_start(machine: SimulatedMachine) -> None:
    machine.define("s", "start on go\nstop on go\n" + SERVICE)
    assert machine.emit("go").ok and machine.status("s") == "s start/running, process 101"
    machine.transcript.clear()
    machine.process("s").ignores = (15,)
    go = machine.emit("go")
    assert not go.done, "E86: it returns after the job is running again"
    machine.process("s").exit()
    machine.settle()
    assert go.ok and machine.status("s") == "s start/running, process 102"
    assert machine.events("stopped") == []


def test_e86_with_pre_stop_the_stop_is_cancelled(machine: SimulatedMachine) -> None:
    machine.define("s", "start on go\nstop on go\npre-stop exec p\n" + SERVICE)
    machine.emit("go")
    go = machine.emit("go")
    assert not go.done
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert go.ok and machine.status("s") == "s start/running, process 101"


def test_e87_a_failed_event_fails_its_emitter_and_queues_failed(machine: SimulatedMachine) -> None:
    machine.define("a", "task\nstart on ev\n" + SERVICE)
    machine.define("b", "task\nstart on ev/failed\n" + SERVICE)
    emit = machine.emit("ev", "X=1", "Y=2")
    assert not emit.done
    machine.process("a").exit(1)
    machine.settle()
    assert (emit.error, emit.message) == ("EventFailed", "Event failed")
    assert machine.process("b").environment["X"] == "1"
    machine.process("b").exit(1)
    machine.settle()
    assert machine.events("ev/failed") == [("X=1", "Y=2")]
    assert "event_new: Pending ev/failed/failed event" not in machine.lines("D")


@pytest.mark.parametrize(("name", "follows"), [("a/failed", False), ("a/failedx", True), ("failed", True), ("/failed", False)])
def test_e87_which_names_get_a_failed_event(machine: SimulatedMachine, name: str, follows: bool) -> None:
    machine.define("a", f"task\nstart on {name}\n" + SERVICE)
    machine.emit(name)
    machine.process("a").exit(1)
    machine.settle()
    assert (machine.events(name + "/failed") == [()]) is follows


def test_e87_failed_stays_set_when_another_job_succeeds(machine: SimulatedMachine) -> None:
    for name in ("a", "b"):
        machine.define(name, "task\nstart on ev\n" + SERVICE)
    emit = machine.emit("ev")
    machine.process("a").exit(1)
    machine.settle()
    assert not emit.done
    machine.process("b").exit(0)
    machine.settle()
    assert emit.error == "EventFailed"


def test_e88_a_failed_starting_event_does_not_stop_the_job(machine: SimulatedMachine) -> None:
    machine.define("a", "task\nstart on starting b\n" + SERVICE)
    machine.define("b", SERVICE)
    start = machine.start("b")
    machine.process("a").exit(1)
    machine.settle()
    assert start.ok and machine.status("b") == "b start/running, process 102"
    assert machine.events("starting/failed") == [("JOB=b", "INSTANCE=")]


def test_e88_a_failed_stopping_event_does_not_hold_the_job(machine: SimulatedMachine) -> None:
    machine.define("a", "task\nstart on stopping b\n" + SERVICE)
    machine.define("b", SERVICE)
    machine.start("b")
    stop = machine.stop("b")
    machine.process("a").exit(1)
    machine.settle()
    assert stop.ok and machine.events("stopping/failed") == [("JOB=b", "INSTANCE=", "RESULT=ok")]


def test_e89_an_event_that_nobody_matches(machine: SimulatedMachine) -> None:
    assert machine.emit("ev").ok
    assert machine.transcript == ["D event_new: Pending ev event", "I Handling ev event", "D event_finished: Finished ev event"]


def test_e90_jobs_that_trigger_each_other_for_ever_do_not_hold_the_loop(machine: SimulatedMachine) -> None:
    machine.define("a", "start on spin or stopped b\nstop on started a")
    machine.define("b", "start on stopped a\nstop on started b")
    machine.supervisor.feed(EmitEvent(None, "spin"))
    assert machine.supervisor.poll() is True, "work is left, and the loop has its turn"
    machine.supervisor.feed(EmitEvent(None, "other"))
    assert machine.supervisor.poll() is True
    assert machine.events("other") == [()]
    while len(machine.events("started")) < 10:
        assert machine.supervisor.poll() is True
    assert machine.events("spin") == [()], "what they let go is finished in time"
    assert len(machine.engine.held_events()) < 3 * PASS_LIMIT


def test_e91_emit_without_wait_is_answered_at_once(machine: SimulatedMachine) -> None:
    machine.define("a", "task\nstart on ev\n" + SERVICE)
    assert machine.emit("ev", wait=False).ok
    machine.process("a").exit(1)
    machine.settle()
    assert machine.events("ev/failed") == [()]


def test_e91_an_empty_name_is_refused(machine: SimulatedMachine) -> None:
    call = machine.emit("")
    assert (call.error, call.message) == ("InvalidArgs", "Name may not be empty string")


def test_c41_variables_need_an_equals_sign_and_nothing_else(machine: SimulatedMachine) -> None:
    call = machine.emit("ev", "X")
    assert (call.error, call.message) == ("InvalidArgs", "Env must be KEY=VALUE pairs")
    assert machine.emit("a b/c", "=X").ok
    assert machine.events("a b/c") == [("=X",)]


def test_e92_started_and_stopped_hold_nothing(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.define("w", "task\nstart on started s or stopped s\n" + SERVICE)
    assert machine.start("s").ok and machine.status("s").startswith("s start/running")
    machine.process("w").exit()
    machine.settle()
    assert machine.stop("s").ok and machine.status("s") == "s stop/waiting"


def test_e75_one_class_with_an_unexpandable_instance_does_not_hide_the_event_from_others(machine: SimulatedMachine) -> None:
    for name in ("foxtrot", "golf", "hotel"):
        machine.define(name, "start on go\n" + ("instance $NOPE\n" if name == "golf" else "") + SERVICE)
    machine.emit("go")
    assert machine.lines("W") == ["Failed to obtain golf instance: Unknown parameter: NOPE"]
    assert started_in_order(machine) == ["foxtrot", "hotel"]


def test_e124_debug_lines_have_a_tag_and_the_others_have_none(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npre-start exec p\nstart on ev\n" + SERVICE)
    machine.emit("ev")
    machine.process("s", "pre-start").exit(1)
    machine.settle()
    machine.forget("s")
    tags = ("event_new: ", "event_finished: ", "job_class_induct_job: ", "job_change_state: ", "conf_file_destroy: ")
    for line in machine.transcript:
        assert line[2:].startswith(tags) is (line[0] == "D"), line
    assert machine.lines("W") == ["s pre-start process (101) terminated with status 1"]


def test_e84_poll_does_nothing_without_events(machine: SimulatedMachine) -> None:
    assert machine.engine.has_work() is False
    assert machine.engine.feed(PollEvents(), 0.0) == []

"""``start on`` and ``stop on``: matching, the memory of a condition, and what it holds (E94-E104)."""
from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.engine.globs import glob_match
from compat.engine.inputs import DefineJob
from compat.parser.definition import Condition, JobDefinition, Match, Or
from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE


def fires(condition: str, name: str, *env: str) -> bool:
    machine = SimulatedMachine()
    machine.define("s", f"start on {condition}\n{SERVICE}")
    machine.emit(name, *env, wait=False)
    return machine.status("s") != "s stop/waiting"


# -- matching ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("instance", "expected"), [("x", True), ("y", False)])
def test_e92_e96_started_b_x_matches_the_instance_by_position(machine: SimulatedMachine, instance: str, expected: bool) -> None:
    machine.define("b", "instance $I\n" + SERVICE)
    machine.define("s", "start on started b x\n" + SERVICE)
    machine.start("b", "I=" + instance)
    assert (machine.status("s") != "s stop/waiting") is expected


@pytest.mark.parametrize(("env", "expected"), [
    (("X=123", "Y=b", "K=yz"), True), (("Y=b", "X=123", "K=yz"), False), (("X=123", "Y=d", "K=yz"), False), (("X=123", "Y=b"), False),
    (("X=123",), False), ((), False), (("X=123", "Y=b", "Z=1", "K=yz", "W=2"), True), (("X=123", "Y=b", "K=yy"), False)])
def test_e96_positional_and_named_arguments(env: tuple, expected: bool) -> None:
    assert fires("ev 1* [a-c] K=?z", "ev", *env) is expected


@pytest.mark.parametrize(("env", "expected"), [((), False), (("Y=bc",), False), (("Y=c",), True), (("Y=",), True)])
def test_e96_a_negated_argument_needs_its_variable(machine: SimulatedMachine, env: tuple, expected: bool) -> None:
    machine.define("s", "stop on ev Y!=b*\n" + SERVICE)
    machine.start("s")
    machine.emit("ev", *env)
    assert (machine.status("s") == "s stop/waiting") is expected


def test_e96_event_names_are_no_patterns() -> None:
    assert not fires("e*", "ev") and fires("e*", "e*")


@pytest.mark.parametrize(("argument", "env", "expected"), [
    ("Y=a!=b", ("Y=a=c",), True), ("Y=a!=b", ("Y=a=b",), False), ("K=a=b", ("K=a=b",), True), ("K=", ("K=",), True),
    ("K=x", ("K=y", "K=x"), False)])
def test_e96_separators(argument: str, env: tuple, expected: bool) -> None:
    assert fires("ev " + argument, "ev", *env) is expected


def test_e97_stop_on_is_expanded_with_the_environment_of_the_instance(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $I\nstop on ev X=$I\n" + SERVICE)
    for name in ("1", "2", "3"):
        machine.start("s", "I=" + name)
    machine.emit("ev", "X=2")
    assert sorted(machine.engine.job("s").instance_names()) == ["1", "3"]


def test_e97_stop_on_does_not_see_upstart_job(machine: SimulatedMachine) -> None:
    machine.define("s", "stop on ev X=$UPSTART_JOB\n" + SERVICE)
    machine.start("s")
    machine.emit("ev", "X=s")
    assert machine.status("s").startswith("s start/running")


def test_e97_start_on_is_expanded_with_nothing() -> None:
    assert not fires("ev Y=$X\nenv X=1", "ev", "Y=1")
    assert fires("ev Y=${X:-1}\nenv X=2", "ev", "Y=1")


def test_e97_an_expanded_value_is_a_pattern(machine: SimulatedMachine) -> None:
    machine.define("s", "env P=a*/c\nstop on ev X=$P\n" + SERVICE)
    machine.start("s")
    machine.emit("ev", "X=a/b/.c/c")
    assert machine.status("s") == "s stop/waiting"


@pytest.mark.parametrize(("pattern", "text", "expected"), [
    ("*", "", True), ("*", ".a/b", True), ("?", "/", True), ("a?c", "abc", True), ("a?c", "ac", False), ("[abc]", "b", True),
    ("[!abc]", "b", False), ("[^abc]", "d", True), ("[]a]", "]", True), ("[!]]", "]", False), ("[a-c]x", "bx", True), ("[a-]", "-", True),
    ("[a", "[a", True), ("\\*", "*", True), ("\\*", "a", False), ("[[:digit:]]", "5", True), ("[[:digit:]]", "x", False),
    ("a\\", "a", False), ("[\\", "[\\", False), ("[a-\\c]", "b", True), ("[a-\\", "a", False), ("[[:nosuch:]]", ":]", True),
    ("[\\]]", "]", True), ("*a*b*", "xxaxxbxx", True), ("*a*b", "ba", False), ("", "", True), ("", "a", False), ("é?", "éa", True),
])
def test_e97_patterns_are_those_of_fnmatch_3(pattern: str, text: str, expected: bool) -> None:
    assert glob_match(pattern, text) is expected


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_e97_plain_patterns_agree_with_a_second_implementation(pattern: str, text: str) -> None:
    assert glob_match(pattern, text) == fnmatch.fnmatchcase(text, pattern)


def test_e97_a_hostile_pattern_takes_no_exponential_time() -> None:
    assert glob_match("*a" * 60 + "b", "a" * 3000) is False


# -- memory ------------------------------------------------------------------------------------------------------


def test_e102_and_holds_the_first_event_until_the_second(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\npost-start exec p\n" + SERVICE)
    first = machine.emit("A", "X=1")
    assert not first.done and machine.status("s") == "s stop/waiting"
    assert machine.engine.held_events() == [("A", {"X": "1"})]
    second = machine.emit("B")
    assert not first.done and not second.done
    machine.process("s", "post-start").exit()
    machine.settle()
    assert first.ok and second.ok and machine.status("s").startswith("s start/running")
    assert machine.engine.held_events() == []


def test_e95_a_true_leaf_keeps_its_first_event(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + SERVICE)
    machine.emit("A", "X=1")
    assert machine.emit("A", "X=2").ok, "later ones pass by"
    machine.emit("B")
    assert machine.process("s").environment["X"] == "1"


def test_e95_one_event_may_make_several_leaves_true(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and A X=1\n" + SERVICE)
    assert machine.emit("A", "X=1").ok
    assert machine.process("s").environment["UPSTART_EVENTS"] == "A A"


def test_e95_it_fires_only_if_this_event_made_a_leaf_true(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A or B\ntask\n" + SERVICE)
    machine.emit("A", wait=False)
    machine.emit("C")
    assert len(machine.backend.processes) == 1


def test_e100_only_the_true_part_counts(machine: SimulatedMachine) -> None:
    machine.define("s", "start on (A and B) or C\n" + SERVICE)
    first = machine.emit("A", "X=a")
    assert not first.done
    machine.emit("C", "Y=c")
    environment = machine.process("s").environment
    assert environment["UPSTART_EVENTS"] == "C" and environment["Y"] == "c" and "X" not in environment
    assert first.ok
    machine.stop("s")
    assert machine.emit("B", wait=False).done and machine.status("s") == "s stop/waiting"


def test_e100_both_branches_of_or_can_be_true(machine: SimulatedMachine) -> None:
    machine.define("s", "start on (A and B) or (A and C)\n" + SERVICE)
    machine.emit("A", "X=1")
    machine.emit("C")
    assert machine.process("s").environment["UPSTART_EVENTS"] == "A C"


def test_e103_the_memory_outlives_a_run(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + SERVICE)
    machine.start("s")
    stale = machine.emit("B", "X=stale")
    assert not stale.done
    machine.stop("s")
    assert machine.emit("A").ok and stale.ok
    assert machine.process("s").environment["X"] == "stale"


def test_e103_complete_repetitions_work(machine: SimulatedMachine) -> None:
    machine.define("s", "task\nstart on A and (B or C)\n" + SERVICE)
    for other in ("B", "C", "C", "B"):
        machine.emit("A")
        machine.emit(other)
        assert machine.process("s").environment["UPSTART_EVENTS"] == "A " + other
        machine.process("s").exit()
        machine.settle()
        assert machine.engine.held_events() == []


def test_e101_commands_do_not_reset_start_on(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + SERVICE)
    first = machine.emit("A")
    machine.start("s")
    machine.restart("s")
    machine.stop("s")
    assert not first.done
    machine.emit("B")
    assert first.ok and machine.status("s").startswith("s start/running")


def test_e101_a_restart_does_not_reset_stop_on(machine: SimulatedMachine) -> None:
    machine.define("s", "stop on A and B\n" + SERVICE)
    machine.start("s")
    first = machine.emit("A")
    machine.restart("s")
    assert not first.done
    machine.emit("B")
    assert first.ok and machine.status("s") == "s stop/waiting"


def test_e102_a_half_true_condition_holds_a_starting_job(machine: SimulatedMachine) -> None:
    machine.define("o", SERVICE)
    machine.define("s", "start on starting o and B\n" + SERVICE)
    start = machine.start("o")
    machine.advance(1000)
    assert not start.done and machine.status("o") == "o start/starting"
    machine.emit("B")
    assert start.ok and machine.status("o").startswith("o start/running")


def test_e102_a_half_true_condition_holds_a_stopping_job(machine: SimulatedMachine) -> None:
    machine.define("o", SERVICE)
    machine.define("s", "start on stopping o and B\n" + SERVICE)
    machine.start("o")
    stop = machine.stop("o")
    assert not stop.done and machine.status("o") == "o stop/stopping, process 101"
    machine.forget("s")
    assert stop.ok


def test_e102_a_half_true_stop_on_lets_go_when_the_instance_ends(machine: SimulatedMachine) -> None:
    machine.define("s", "stop on A and B\n" + SERVICE)
    machine.start("s")
    held = machine.emit("A")
    assert not held.done
    machine.stop("s")
    assert held.ok and machine.engine.held_events() == []


def test_e94_every_instance_has_its_own_stop_condition(machine: SimulatedMachine) -> None:
    machine.define("s", "instance $I\nstop on A and B\n" + SERVICE)
    machine.start("s", "I=1")
    first = machine.emit("A")
    machine.start("s", "I=2")
    machine.emit("B", wait=False)
    assert machine.engine.job("s").instance_names() == ["2"]
    assert first.ok
    machine.emit("A")
    assert machine.engine.job("s").instance_names() == []


def test_e104_a_condition_that_fires_while_the_goal_is_start_holds_nothing(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A\npre-start exec p\n" + SERVICE)
    machine.start("s")
    machine.transcript.clear()
    assert machine.emit("A").ok
    assert machine.transcript == [
        "D event_new: Pending A event", "I Handling A event", "D job_class_induct_job: New instance s",
        "D event_finished: Finished A event"]


def test_e99_stop_on_that_fires_while_the_goal_is_stop_holds_nothing(machine: SimulatedMachine) -> None:
    machine.define("s", "stop on A and B\npost-stop exec p\n" + SERVICE)
    machine.start("s")
    stop = machine.stop("s", "X=1")
    first = machine.emit("A", "X=2")
    assert machine.emit("B").ok and first.ok and not stop.done
    assert machine.process("s", "post-stop").environment["X"] == "1"


def test_e9_manual_leaves_commands_and_stop_on(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A\nstop on B\n" + SERVICE, override="manual\n")
    machine.emit("A")
    assert machine.status("s") == "s stop/waiting"
    machine.start("s")
    machine.emit("B")
    assert machine.status("s") == "s stop/waiting" and len(machine.backend.processes) == 1


def test_e94_a_condition_may_nest_deeply(machine: SimulatedMachine) -> None:
    condition: Condition = Match("e0")
    for number in range(1, 20000):
        condition = Or(condition, Match(f"e{number}"))
    machine.feed(DefineJob("s", JobDefinition(start_on=condition)))
    machine.emit("e10000")
    assert machine.status("s") == "s start/running"

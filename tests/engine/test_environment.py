"""Environment tables and what processes and events get of them (E64-E76, E93, D149-D158, C81-C89)."""
from __future__ import annotations

from typing import Dict, Mapping, Optional, Sequence

import pytest

from compat.engine.actions import ActivationEnvironment
from compat.engine.environment import add_entry
from compat.engine.inputs import ResetEnv, SetEnv, UnsetEnv
from compat.engine.view import Refused
from compat.testing import Call, SimulatedMachine
from tests.engine.observed import SERVICE, refusal


def set_env(machine: SimulatedMachine, *variables: str, job: Optional[str] = None, instance: Optional[str] = None,
            replace: bool = True) -> Call:
    return machine.request(lambda call: SetEnv(call, job, instance, variables, replace))


def unset_env(machine: SimulatedMachine, *names: str, job: Optional[str] = None, instance: Optional[str] = None) -> Call:
    return machine.request(lambda call: UnsetEnv(call, job, instance, names))


def reset_env(machine: SimulatedMachine, job: Optional[str] = None, instance: Optional[str] = None) -> Call:
    return machine.request(lambda call: ResetEnv(call, job, instance))


def listed(machine: SimulatedMachine, job: Optional[str] = None, instance: Optional[str] = None) -> Sequence[str]:
    return machine.engine.list_env(job, instance)


# -- tables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("entry", "replace", "expected"), [
    ("A=new", True, {"A": "new", "B": "2"}), ("A=new", False, {"A": "1", "B": "2"}), ("C=3", False, {"A": "1", "B": "2", "C": "3"}),
    ("H", True, {"A": "1", "B": "2", "H": "home"}), ("A", True, {"B": "2"}), ("A", False, {"A": "1", "B": "2"}),
    ("a=x", True, {"A": "1", "B": "2", "a": "x"}), ("A=x=y", True, {"A": "x=y", "B": "2"}),
])
def test_e64_add(entry: str, replace: bool, expected: Mapping[str, str]) -> None:
    table = {"A": "1", "B": "2"}
    add_entry(table, entry, {"H": "home"}, replace)
    assert list(table.items()) == list(expected.items())


def test_e65_d149_the_global_table_at_start() -> None:
    inherited: Dict[str, str] = {"HOME": "/root", "TERM": "linux", "PATH": "/bin"}
    assert listed(SimulatedMachine(inherited)) == ("PATH=/bin", "TERM=linux")
    assert listed(SimulatedMachine({"HOME": "/root"})) == ()
    assert listed(SimulatedMachine(inherited, inherit_all=True)) == ("PATH=/bin", "TERM=linux", "HOME=/root")


def test_e66_class_table_over_global_table(machine: SimulatedMachine) -> None:
    set_env(machine, "G=global", "PATH=/global")
    machine.define("s", "env PATH=/job\n" + SERVICE)
    machine.start("s")
    environment = machine.process("s").environment
    assert environment["PATH"] == "/job" and environment["G"] == "global"


@pytest.mark.parametrize(("inherited", "expected"), [({"HOME": "/root"}, "/root"), ({}, None)])
def test_e64_a_bare_env_imports(inherited: Dict[str, str], expected: Optional[str]) -> None:
    machine = SimulatedMachine(inherited)
    machine.define("s", "env HOME\n" + SERVICE)
    machine.start("s")
    assert machine.process("s").environment.get("HOME") == expected


def test_e67_precedence_and_upstart_events_are_in_condition_order(machine: SimulatedMachine) -> None:
    set_env(machine, "A=global", "B=global", "C=global")
    machine.define("s", "env B=class\nenv C=class\nenv FOO=class\nstart on ev1 and ev2\n" + SERVICE)
    machine.emit("ev2", "FOO=two", "C=two")
    machine.emit("ev1", "FOO=one")
    environment = machine.process("s").environment
    assert [environment[key] for key in ("A", "B", "C", "FOO")] == ["global", "class", "two", "two"]
    assert environment["UPSTART_EVENTS"] == "ev1 ev2"


def test_e67_the_example_of_the_rule(machine: SimulatedMachine) -> None:
    machine.define("s", "start on ev1 and ev2\n" + SERVICE)
    machine.emit("ev2", "FOO=two")
    machine.emit("ev1", "FOO=one")
    assert machine.process("s").environment["FOO"] == "two"


def test_e67_descriptors_of_events(machine: SimulatedMachine) -> None:
    machine.define("s", "start on a and b\n" + SERVICE)
    machine.emit("a", fd=7)
    machine.emit("b", fd=9)
    request = machine.process("s").request
    assert machine.process("s").environment["UPSTART_FDS"] == "7 9" and request.fds == (7, 9)
    assert machine.closed_descriptors == [], "X21: kept for the life of the instance"
    machine.stop("s")
    assert machine.closed_descriptors == [7, 9]


def test_e87_a_descriptor_that_nobody_takes_is_closed_with_its_event(machine: SimulatedMachine) -> None:
    machine.emit("a", fd=7)
    assert machine.closed_descriptors == [7]


@pytest.mark.parametrize(("name", "env"), [("", ()), ("a", ("NOEQUALS",))])
def test_c44_the_descriptor_of_a_refused_event_is_closed(machine: SimulatedMachine, name: str, env: Sequence[str]) -> None:
    assert machine.emit(name, *env, fd=7).error == "InvalidArgs"
    assert machine.closed_descriptors == [7]


def test_e68_no_upstart_events_on_a_manual_start(machine: SimulatedMachine) -> None:
    machine.define("s", "start on ev\nstop on halt\npost-stop exec p\n" + SERVICE)
    machine.start("s", "X=1")
    assert "UPSTART_EVENTS" not in machine.process("s").environment
    assert machine.process("s").environment["X"] == "1"
    machine.stop("s")
    assert "UPSTART_STOP_EVENTS" not in machine.process("s", "post-stop").environment


def test_e68_a_start_of_the_instance_keeps_the_environment(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s", "X=1")
    machine.stop("s")
    machine.start_instance("s")
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert machine.process("s").environment["X"] == "1"


def test_e69_restart_without_variables_drops_those_of_the_start(machine: SimulatedMachine) -> None:
    machine.define("s", "start on ev\n" + SERVICE)
    machine.emit("ev", "Y=2")
    machine.restart("s", "Z=3")
    environment = machine.process("s").environment
    assert "Y" not in environment and "UPSTART_EVENTS" not in environment and environment["Z"] == "3"
    machine.stop("s")
    machine.start("s", "X=1")
    machine.restart("s")
    assert "X" not in machine.process("s").environment


def test_e69_restart_of_the_instance_keeps_the_environment(machine: SimulatedMachine) -> None:
    machine.define("s", "start on ev\n" + SERVICE)
    machine.emit("ev", "Y=2")
    machine.restart_instance("s")
    assert machine.process("s").pid == 102
    environment = machine.process("s").environment
    assert environment["Y"] == "2" and environment["UPSTART_EVENTS"] == "ev"


def test_e71_stop_environment_of_a_stop_condition(machine: SimulatedMachine) -> None:
    machine.define("s", "env X=class\nstop on a and b\npost-stop exec p\n" + SERVICE)
    machine.start("s", "Y=start")
    machine.emit("b", "X=b", "Y=b")
    machine.emit("a", "X=a", wait=False)
    environment = machine.process("s", "post-stop").environment
    assert (environment["X"], environment["Y"], environment["UPSTART_STOP_EVENTS"]) == ("b", "b", "a b")


def test_e71_e72_stop_variables_are_seen_in_pre_stop_and_post_stop_only(machine: SimulatedMachine) -> None:
    machine.define("s", "export X\npre-stop exec p\npost-stop exec q\n" + SERVICE)
    machine.start("s")
    machine.stop("s", "X=1")
    assert machine.process("s", "pre-stop").environment["X"] == "1"
    machine.process("s", "pre-stop").exit()
    machine.settle()
    assert machine.process("s", "post-stop").environment["X"] == "1"
    machine.start("s")
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert "X" not in machine.process("s").environment
    assert all("X=1" not in env for env in machine.events("stopping"))


def test_e71_a_stop_of_the_instance_and_a_restart_have_no_stop_variables(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec q\n" + SERVICE)
    machine.start("s")
    machine.stop("s", "X=1")
    machine.start_instance("s")
    machine.restart("s")
    assert machine.process("s", "post-stop").environment["X"] == "1", "it runs already"
    machine.process("s", "post-stop").exit()
    machine.settle()
    machine.stop_instance("s")
    assert "X" not in machine.process("s", "post-stop").environment


def test_e72_the_last_variables_cannot_be_overridden(machine: SimulatedMachine) -> None:
    machine.define("s", "start on ev\ninstance $I\npost-stop exec p\n" + SERVICE)
    names = ("UPSTART_JOB=x", "UPSTART_INSTANCE=y", "I=one")
    machine.emit("ev", *names)
    environment = machine.process("s", instance="one").environment
    assert (environment["UPSTART_JOB"], environment["UPSTART_INSTANCE"]) == ("s", "one")
    machine.stop("s", *names)
    environment = machine.process("s", "post-stop", "one").environment
    assert (environment["UPSTART_JOB"], environment["UPSTART_INSTANCE"]) == ("s", "one")


def test_e72_upstart_instance_is_set_even_if_empty_and_upstart_session_in_a_session() -> None:
    machine = SimulatedMachine(session="unix:abstract=/x")
    machine.define("s", "env UPSTART_SESSION=y\n" + SERVICE)
    machine.start("s")
    environment = machine.process("s").environment
    assert environment["UPSTART_INSTANCE"] == "" and environment["UPSTART_SESSION"] == "unix:abstract=/x"
    plain = SimulatedMachine()
    plain.define("s", SERVICE)
    plain.start("s")
    assert "UPSTART_SESSION" not in plain.process("s").environment


def test_e73_stop_variables_are_copied_verbatim(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s", "X=50%d", "Y=%n%s%%")
    environment = machine.process("s", "post-stop").environment
    assert (environment["X"], environment["Y"]) == ("50%d", "%n%s%%")


def test_e74_instance_names_from_job_event_variables(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.define("w", "start on started\ninstance $JOB\n" + SERVICE)
    machine.start("s")
    machine.advance(0)
    assert machine.status("w", "s").startswith("w (s) start/running")


def test_e74_stop_finds_the_instance_by_class_table_and_variables(machine: SimulatedMachine) -> None:
    machine.define("s", "env A=class\ninstance $A-$B\n" + SERVICE)
    machine.start("s", "B=x")
    machine.start("s", "A=y", "B=x")
    assert machine.stop("s", "B=x").ok
    assert machine.engine.job("s").instance_names() == ["y-x"]


def test_e93_exports(machine: SimulatedMachine) -> None:
    machine.define("s", "env FOO=1\nexport FOO JOB NOPE RESULT UPSTART_JOB UPSTART_EVENTS\nstart on ev\n" + SERVICE)
    machine.emit("ev")
    machine.stop("s")
    tail = ("FOO=1", "UPSTART_EVENTS=ev")
    assert machine.events("starting") == machine.events("started") == [("JOB=s", "INSTANCE=", *tail)]
    assert machine.events("stopping") == machine.events("stopped") == [("JOB=s", "INSTANCE=", "RESULT=ok", *tail)]


def test_e93_exports_come_last_in_a_failure(machine: SimulatedMachine) -> None:
    machine.define("s", "env FOO=1\nenv EXIT_STATUS=9\nexport EXIT_STATUS FOO\n" + SERVICE)
    machine.start("s")
    machine.process("s").exit(3)
    machine.settle()
    assert machine.events("started") == [("JOB=s", "INSTANCE=", "EXIT_STATUS=9", "FOO=1")]
    assert machine.events("stopped") == [
        ("JOB=s", "INSTANCE=", "RESULT=failed", "PROCESS=main", "EXIT_STATUS=3", "FOO=1")]


# -- the commands on the tables -----------------------------------------------------------------------------------


def test_d152_set_env_replaces_or_retains(machine: SimulatedMachine) -> None:
    assert set_env(machine, "A=1", "B").ok
    assert set_env(machine, "A=2", "C=3", replace=False).ok
    assert set_env(machine, "B=x=y").ok
    assert listed(machine) == ("PATH=/bin", "TERM=linux", "A=1", "B=x=y", "C=3")


def test_e70_d152_global_changes_reach_every_instance(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    set_env(machine, "A=1")
    assert "A" not in machine.process("s").environment
    machine.restart_instance("s")
    assert machine.process("s", "post-stop").environment["A"] == "1"
    machine.process("s", "post-stop").exit()
    machine.settle()
    unset_env(machine, "A")
    machine.stop("s")
    assert "A" not in machine.process("s", "post-stop").environment


def test_e70_pending_environments_are_not_edited(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.restart("s")
    set_env(machine, "A=1")
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert "A" not in machine.process("s").environment


def test_d150_instance_tables(machine: SimulatedMachine) -> None:
    machine.define("s", "env C=class\ninstance $I\npost-stop exec p\n" + SERVICE)
    machine.start("s", "I=1", "START=x")
    machine.start("s", "I=2")
    assert set_env(machine, "A=1", job="s", instance="1").ok
    assert "A=1" in listed(machine, "s", "1")
    assert "A=1" not in listed(machine, "s", "2") and "A=1" not in listed(machine)
    assert machine.engine.get_env("s", "1", "START") == "x"
    assert unset_env(machine, "A", job="s", instance="1").ok
    assert "A=1" not in listed(machine, "s", "1")
    assert reset_env(machine, "s", "1").ok
    assert listed(machine, "s", "1") == ("PATH=/bin", "TERM=linux", "C=class")


def test_d150_c81_unknown_tables(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    assert refusal(set_env(machine, "A=1", job="nosuch", instance="")) == ("UnknownJob", "Unknown job: nosuch")
    assert refusal(unset_env(machine, "A", job="s", instance="x")) == ("UnknownJobInstance", "Unknown instance: x of job s")
    assert refusal(reset_env(machine, job="s")) == ("UnknownJobInstance", "Unknown instance: (null) of job s")
    assert refusal(set_env(machine, "A=1", job="", instance="")) == ("InvalidArgs", "Job may not be empty string")
    with pytest.raises(Refused, match="Unknown job: nosuch"):
        machine.engine.list_env("nosuch", "")


def test_e76_d157_unset_env_compares_whole_names(machine: SimulatedMachine) -> None:
    set_env(machine, "FOO=1", "FOOBAR=2", "FO=3")
    assert unset_env(machine, "FOOBAR").ok
    assert listed(machine)[2:] == ("FOO=1", "FO=3")
    assert unset_env(machine, "FOOBARX").ok
    assert listed(machine)[2:] == ("FOO=1", "FO=3")


def test_d153_unset_env_on_an_empty_table() -> None:
    machine = SimulatedMachine({})
    assert refusal(unset_env(machine, "X", "Y")) == ("InvalidArgs", "No such variable: X")


def test_c85_unset_env_on_an_empty_instance_table() -> None:
    machine = SimulatedMachine({})
    machine.define("s", SERVICE)
    machine.start("s")
    assert refusal(unset_env(machine, "X", job="s", instance="")) == ("InvalidArgs", "No such variable: X")


def test_d154_get_env(machine: SimulatedMachine) -> None:
    assert machine.engine.get_env(None, None, "TERM") == "linux"
    for name, message in (("NOPE", "No such variable: NOPE"), ("", "Variable may not be empty string")):
        with pytest.raises(Refused) as caught:
            machine.engine.get_env(None, None, name)
        assert (caught.value.error, caught.value.message) == ("InvalidArgs", message)


def test_d156_reset_env_leaves_instances_alone(machine: SimulatedMachine) -> None:
    set_env(machine, "A=1")
    machine.define("s", SERVICE)
    machine.start("s")
    assert reset_env(machine).ok
    assert listed(machine) == ("PATH=/bin", "TERM=linux")
    assert "A=1" in listed(machine, "s", "")


def test_d158_a_nameless_variable_is_refused_and_earlier_ones_stay(machine: SimulatedMachine) -> None:
    assert refusal(set_env(machine, "A=1", "=x", "B=2")) == ("InvalidArgs", "Variable may not be empty string")
    assert listed(machine)[2:] == ("A=1",)


def test_c84_the_bus_is_told_of_global_changes_with_the_whole_value(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.announcements.clear()
    set_env(machine, "Q=a=b")
    set_env(machine, "R=1", job="s", instance="")
    assert machine.announcements == [ActivationEnvironment("Q", "a=b")]


def test_x21_a_later_start_brings_its_own_descriptors(machine: SimulatedMachine) -> None:
    machine.define("s", "start on a\npost-stop exec p\n" + SERVICE)
    machine.emit("a", fd=7)
    machine.restart_instance("s")
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert machine.process("s").request.fds == (7,) and machine.process("s").environment["UPSTART_FDS"] == "7"
    machine.stop("s")
    machine.emit("a", fd=9, wait=False)
    assert machine.process("s", "post-stop").request.fds == (7,) and machine.closed_descriptors == []
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert machine.process("s").request.fds == (9,) and machine.closed_descriptors == [7]
    machine.restart("s")
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert machine.process("s").request.fds == () and machine.closed_descriptors == [7, 9]


def test_x21_of_several_pending_starts_only_the_last_keeps_its_descriptors(machine: SimulatedMachine) -> None:
    machine.define("s", "start on a\nstop on b\npost-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    machine.emit("a", fd=7, wait=False)
    machine.stop("s")
    machine.emit("a", fd=8, wait=False)
    assert machine.closed_descriptors == [7]
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert machine.process("s").request.fds == (8,)


def test_x21_a_pending_start_that_is_given_up_closes_its_descriptors(machine: SimulatedMachine) -> None:
    machine.define("s", "start on a\npost-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    machine.emit("a", fd=7, wait=False)
    machine.stop("s")
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert machine.status("s") == "s stop/waiting" and machine.closed_descriptors == [7]

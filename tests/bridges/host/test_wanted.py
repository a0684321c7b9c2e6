"""What the loaded conditions ask of the host."""
from __future__ import annotations

from typing import List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host.wanted import JOB_EVENTS, Operand, Wanted, job_name, operands, possible
from compat.engine.conditions import matches
from compat.engine.events import Event
from compat.parser.definition import And, Condition, Match, Or
from compat.parser.job_file import parse_job


def conditions(text: str) -> Tuple[Optional[Condition], Optional[Condition]]:
    definition = parse_job(text.encode())
    return definition.start_on, definition.stop_on


def wanted(*texts: str) -> Wanted:
    """Job files: the first job is a0, the second a1, …"""
    found = Wanted()
    for number, text in enumerate(texts):
        found.define(f"a{number}", *conditions(text))
    return found


def test_b196_events_of_both_conditions_are_wanted_until_the_class_goes() -> None:
    found = wanted("start on mounted MOUNTPOINT=/srv\nstop on runlevel [016]", "start on filesystem and mounted")
    assert found.event_names() == {"mounted", "runlevel", "filesystem"}
    found.forget("a0")
    assert found.event_names() == {"mounted", "filesystem"}
    assert found.event("mounted")
    found.forget("a1")
    found.forget("a1")
    assert not found.event("mounted") and found.event_names() == frozenset()


def test_b196_a_class_that_is_replaced_asks_only_for_what_it_asks_now() -> None:
    found = wanted("start on socket PROTO=inet or filesystem")
    found.define("a0", *conditions("start on filesystem"))
    assert found.event_names() == {"filesystem"}


def test_b196_families_of_events_are_asked_for_by_pattern() -> None:
    found = wanted("start on net-device-added INTERFACE=eth0")
    assert found.event("*-device-added")
    assert not found.event("*-device-changed")


def test_e96_the_name_of_an_event_in_a_condition_is_no_pattern() -> None:
    found = wanted("start on net-device-*")
    assert not found.event("net-device-up")
    assert found.event_names() == {"net-device-*"}


@pytest.mark.parametrize("condition, env, expected", [
    ("mounted", ("DEVICE=none", "MOUNTPOINT=/proc"), True),
    ("mounted MOUNTPOINT=/srv", ("DEVICE=none", "MOUNTPOINT=/proc"), False),
    ("mounted MOUNTPOINT=/srv", ("DEVICE=none", "MOUNTPOINT=/srv"), True),
    ("mounted MOUNTPOINT=/s*", ("DEVICE=none", "MOUNTPOINT=/srv/x"), True),
    ("mounted MOUNTPOINT!=/srv", ("DEVICE=none", "MOUNTPOINT=/srv"), False),
    ("mounted MOUNTPOINT!=/srv", ("DEVICE=none", "MOUNTPOINT=/tmp"), True),
    ("mounted /dev/sda1 /srv", ("DEVICE=/dev/sda1", "MOUNTPOINT=/srv", "TYPE=ext4"), True),
    ("mounted /srv", ("DEVICE=/dev/sda1", "MOUNTPOINT=/srv", "TYPE=ext4"), False),
    ("mounted NO=x", ("DEVICE=none",), False),
    ("runlevel [2345]", ("RUNLEVEL=2", "PREVLEVEL=N"), True),
    ("runlevel [!2345]", ("RUNLEVEL=2", "PREVLEVEL=N"), False),
])
def test_b196_could_match_compares_as_the_engine_does(condition: str, env: Tuple[str, ...], expected: bool) -> None:
    found = wanted(f"start on {condition}")
    assert found.could_match(condition.split()[0], env) is expected
    assert not found.could_match("other", env)


@pytest.mark.parametrize("argument, env, expected", [
    ("INTERFACE=$INTERFACE", ("INTERFACE=eth0",), True),
    ("INTERFACE!=$INTERFACE", ("INTERFACE=eth0",), True),
    ("$INTERFACE", ("INTERFACE=eth0",), True),
    ("INTERFACE=$INTERFACE", ("OTHER=eth0",), False),
    ("INTERFACE=$INTERFACE ACTION=remove", ("INTERFACE=eth0", "ACTION=add"), False),
])
def test_b196_a_variable_of_a_stop_condition_could_be_anything(argument: str, env: Tuple[str, ...], expected: bool) -> None:
    found = wanted(f"stop on net-device-removed {argument}")
    assert found.could_match("net-device-removed", env) is expected


def test_e97_a_variable_of_a_start_condition_is_never_set() -> None:
    found = wanted("start on runlevel $LEVEL", "start on runlevel ${LEVEL:-3}")
    assert not found.could_match("runlevel", ("RUNLEVEL=2",))
    assert found.could_match("runlevel", ("RUNLEVEL=3",))
    assert not wanted("start on stopped $JOB").event("stopped")


def test_b224_names_of_native_jobs_are_those_without_a_class() -> None:
    found = wanted("start on started rsyslog and runlevel 2\nstop on stopping JOB=dbus",
                   "start on started a0 or starting udev INSTANCE=")
    assert found.native_jobs() == ({"rsyslog", "dbus", "udev"}, False)
    found.forget("a0")
    assert found.native_jobs() == ({"a0", "udev"}, False)
    found.define("udev", None, None)
    assert found.native_jobs() == ({"a0"}, False)
    assert found.registered("udev") and not found.registered("a0")


@pytest.mark.parametrize("condition", [
    "start on started", "start on stopped RESULT=failed", "start on started ssh*", "start on stopped JOB!=ssh",
    "stop on stopped $WAIT_FOR"])
def test_b224_without_one_name_every_service_is_wanted(condition: str) -> None:
    assert wanted(condition, "start on started cron").native_jobs() == ({"cron"}, True)


def test_b250_mount_points_that_operands_ask_for() -> None:
    found = wanted("start on mounted MOUNTPOINT=/var/lib/docker/x or mounting /dev/sdb /snap/?",
                   "start on mounted MOUNTPOINT!=/run/user/1 TYPE=nfs")
    assert found.mount_points() == {"/var/lib/docker/x", "/snap/?"}
    assert found.names_mount_point("/snap/a")
    assert not found.names_mount_point("/run/user/1") and not found.names_mount_point("/run/user/2")


def test_operands_keep_the_order_of_the_file() -> None:
    found = operands("j", *conditions("start on (a or b X=1) and c\nstop on d"))
    assert [(each.stanza, each.leaf) for each in found] == [
        ("start on", Match("a")), ("start on", Match("b", ("X=1",))), ("start on", Match("c")), ("stop on", Match("d"))]


@pytest.mark.parametrize("event, args, expected", [
    ("started", ("dbus",), "dbus"), ("started", ("INSTANCE=", "JOB=dbus"), "dbus"), ("started", ("db*",), None), ("started", ("$X",), None),
    ("started", (), None), ("started", ("JOB!=dbus",), None), ("runlevel", ("2",), None), ("stopped", ("rc", "RUNLEVEL=[2345]"), "rc")])
def test_b224_the_job_that_an_operand_is_about(event: str, args: Tuple[str, ...], expected: Optional[str]) -> None:
    assert job_name(Match(event, args)) == expected


WORDS = st.sampled_from(["a", "b", "*", "[ab]", "X=a", "X!=a", "Y=*", "X=$V", "$V", "Y!=$V", "JOB=a", "${V:-a}"])
LEAVES = st.builds(Match, st.sampled_from(["e", *JOB_EVENTS]), st.lists(WORDS, max_size=3).map(tuple))
CONDITIONS = st.recursive(LEAVES, lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner), max_leaves=4)
ENVS = st.lists(st.sampled_from(["X=a", "X=b", "Y=a", "JOB=a", "Z="]), max_size=4, unique=True).map(tuple)


@given(st.lists(st.tuples(st.sampled_from("jkl"), st.none() | CONDITIONS, st.none() | CONDITIONS, st.booleans()), max_size=6),
       st.sampled_from(["e", *JOB_EVENTS]), ENVS, st.sampled_from(["a", "b", "*"]))
def test_b196_nothing_that_the_engine_could_match_is_missed(
        changes: List[Tuple[str, Optional[Condition], Optional[Condition], bool]], name: str, env: Tuple[str, ...], value: str) -> None:
    """Whatever a variable of an instance holds; and a condition that went leaves nothing behind."""
    found, left = Wanted(), {}
    for job, start_on, stop_on, gone in changes:
        found.define(job, start_on, stop_on)
        left[job] = (start_on, stop_on)
        if gone:
            found.forget(job)
            del left[job]
    alive: List[Operand] = [each for job, both in left.items() for each in operands(job, *both)]
    event = Event(1, name, env)
    if any(matches(each.leaf, event, {"V": value} if each.stanza == "stop on" else {}) for each in alive):
        assert found.could_match(name, env)
    assert found.event_names() == {each.leaf.event for each in alive if possible(each) is not None}


def test_b275_more_variables_do_not_disturb_conditions_of_old() -> None:
    found = wanted("start on started network", "stop on stopping rsyslog", "start on started JOB=network")
    env = ("JOB=network", "INSTANCE=", "HOST_UNIT=networking.service")
    assert found.could_match("started", env) and not found.could_match("stopped", env)
    assert found.could_match("stopping", ("JOB=rsyslog", "INSTANCE=", "RESULT=failed", "PROCESS=main", "EXIT_STATUS=3", "HOST_UNIT=x"))
    assert not wanted("start on started network eth0").could_match("started", env)

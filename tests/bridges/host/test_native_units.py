"""Native units as jobs: what the manager says, and what jobs are told."""
from __future__ import annotations

from typing import Any, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.bridges.host.aliases import Aliases
from compat.bridges.host.native_units import NativeUnits, UnitSeen
from compat.bridges.host.unit_phases import DOWN, STARTING, STATES, STOPPING, UP, Phase, read, steps
from tests.bridges.host.telling import Table, define, wanted

RSYSLOG = "rsyslog.service"
SYSLOG_JOBS = ("starting rsyslog or started rsyslog or stopping rsyslog or stopped rsyslog",)


class Host:
    """A host whose manager is heard by a model; the daemon's table outlives models."""

    def __init__(self, *conditions: str, booting: bool = False, aliases: Any = ()) -> None:
        self.wanted = wanted(*conditions)
        self.aliases = Aliases(aliases)
        self.table = Table()
        self.connect(booting)

    def connect(self, booting: bool = False) -> None:
        self.units = NativeUnits(self.wanted, self.aliases, dict(self.table.known), booting)

    def first(self, *seen: UnitSeen) -> List[str]:
        return self.table.take(self.units.update(seen, complete=True))

    def see(self, active: str, unit: str = RSYSLOG, **more: Any) -> List[str]:
        """In short: without JOB, INSTANCE and HOST_UNIT where these are those of rsyslog."""
        told = self.table.take(self.units.update([UnitSeen(unit, active=active, **more)]))
        return [each.replace(" JOB=rsyslog INSTANCE=", "").replace(f" HOST_UNIT={RSYSLOG}", "") for each in told]


def syslog(booting: bool = False) -> Host:
    host = Host(*SYSLOG_JOBS, booting=booting)
    host.first(UnitSeen(RSYSLOG))
    return host


def test_b226_a_service_starts_and_stops() -> None:
    host = syslog()
    assert host.see("activating", invocation="1") == ["starting!"]
    assert host.see("active", invocation="1") == ["started"]
    assert host.see("reloading", invocation="1") == host.see("active", invocation="1") == host.see("refreshing", invocation="1") == []
    assert host.see("deactivating", invocation="1") == ["stopping! RESULT=ok"]
    assert host.see("inactive", invocation="1") == ["stopped RESULT=ok"]


def test_b227_variables_and_their_order() -> None:
    host = syslog()
    assert host.table.take(host.units.update([UnitSeen(RSYSLOG, active="active", invocation="1")])) == [
        "starting! JOB=rsyslog INSTANCE= HOST_UNIT=rsyslog.service", "started JOB=rsyslog INSTANCE= HOST_UNIT=rsyslog.service"]
    told = host.table.take(host.units.update([UnitSeen(RSYSLOG, active="failed", invocation="1", result="exit-code", main_pid=9,
                                                       main_code=1, main_status=3)]))
    assert told == [f"{name} JOB=rsyslog INSTANCE= RESULT=failed PROCESS=main EXIT_STATUS=3 HOST_UNIT=rsyslog.service"
                    for name in ("stopping!", "stopped")]


def test_b202_steps_that_were_missed() -> None:
    host = syslog()
    assert host.see("active", invocation="1") == ["starting!", "started"]
    assert host.see("inactive", invocation="1") == ["stopping! RESULT=ok", "stopped RESULT=ok"]
    assert host.see("inactive", invocation="2") == ["starting!", "started", "stopping! RESULT=ok", "stopped RESULT=ok"]


@pytest.mark.parametrize("seen, variables", [
    ({"result": "exit-code", "main_pid": 7, "main_code": 1, "main_status": 3}, "RESULT=failed PROCESS=main EXIT_STATUS=3"),
    ({"result": "signal", "main_pid": 7, "main_code": 2, "main_status": 11}, "RESULT=failed PROCESS=main EXIT_SIGNAL=SEGV"),
    ({"result": "core-dump", "main_pid": 7, "main_code": 3, "main_status": 6}, "RESULT=failed PROCESS=main EXIT_SIGNAL=ABRT"),
    ({"result": "signal", "main_pid": 7, "main_code": 2, "main_status": 40}, "RESULT=failed PROCESS=main EXIT_SIGNAL=40"),
    ({"result": "start-limit-hit", "main_pid": 7, "main_code": 1, "main_status": 1}, "RESULT=failed PROCESS=respawn"),
    ({"result": "exit-code"}, "RESULT=failed PROCESS=pre-start"),
    ({"result": "exit-code", "main_pid": 7, "main_code": 1}, "RESULT=failed PROCESS=main"),
    ({}, "RESULT=ok")])
def test_b227_results(seen: Any, variables: str) -> None:
    host = syslog()
    host.see("active", invocation="1")
    assert host.see("failed", invocation="1", **seen)[-1] == f"stopped {variables}"


def test_b227_stopping_says_failed_only_if_main_has_ended_badly() -> None:
    host = syslog()
    host.see("active", invocation="1")
    assert host.see("deactivating", invocation="1", result="timeout", main_pid=7) == ["stopping! RESULT=ok"]
    assert host.see("failed", invocation="1", result="timeout", main_pid=7, main_code=2, main_status=9) == [
        "stopped RESULT=failed PROCESS=main EXIT_SIGNAL=KILL"]


def test_b226_a_restart_has_no_stopped() -> None:
    host = syslog()
    host.see("active", invocation="1")
    assert host.see("deactivating", invocation="1", job=True) == ["stopping! RESULT=ok"]
    assert host.see("inactive", invocation="1", job=True) == []
    assert host.see("activating", invocation="2", job=True) == ["starting!"]
    assert host.see("active", invocation="2") == ["started"]


def test_b226_a_restart_that_is_cancelled_has_stopped() -> None:
    host = syslog()
    host.see("active", invocation="1")
    assert host.see("inactive", invocation="1", job=True) == ["stopping! RESULT=ok"]
    assert host.see("inactive", invocation="1") == ["stopped RESULT=ok"]


def test_b226_a_service_that_restarts_by_itself() -> None:
    host = syslog()
    host.see("active", invocation="1")
    died = {"result": "exit-code", "main_pid": 7, "main_code": 1, "main_status": 1}
    assert host.see("activating", sub="auto-restart", invocation="1", **died) == ["stopping! RESULT=ok"]
    assert host.see("activating", sub="start", invocation="2") == ["starting!"]
    assert host.see("active", invocation="2") == ["started"]
    assert host.see("active", invocation="3") == ["stopping! RESULT=ok", "starting!", "started"]
    host.see("activating", sub="auto-restart-queued", invocation="3")
    assert host.see("failed", invocation="3", result="start-limit-hit", main_pid=7) == ["stopped RESULT=failed PROCESS=respawn"]


def test_b226_other_units_through_aliases() -> None:
    host = Host("started netfs", "stopping netfs")
    host.first(UnitSeen("remote-fs.target"))
    assert host.see("active", "remote-fs.target", invocation="1") == [
        "starting! JOB=netfs INSTANCE= HOST_UNIT=remote-fs.target", "started JOB=netfs INSTANCE= HOST_UNIT=remote-fs.target"]
    told = host.see("inactive", "remote-fs.target", invocation="1")
    assert told[0] == "stopping! JOB=netfs INSTANCE= RESULT=ok HOST_UNIT=remote-fs.target"
    host.see("active", "remote-fs.target", invocation="2")
    assert " RESULT=failed PROCESS=main " in host.see("failed", "remote-fs.target", invocation="2", result="dependency")[0]


TRIGGER = "systemd-udev-trigger.service"


def test_b226_a_task_is_done_when_its_unit_has_run() -> None:
    host = Host("starting udevtrigger or started udevtrigger or stopping udevtrigger or stopped udevtrigger")
    host.first(UnitSeen(TRIGGER, oneshot=True))
    assert [each.split()[0] for each in host.see("activating", TRIGGER, oneshot=True, invocation="1")] == ["starting!", "started"]
    assert [each.split()[0] for each in host.see("inactive", TRIGGER, oneshot=True, invocation="1")] == ["stopping!", "stopped"]
    assert [each.split()[0] for each in host.see("activating", TRIGGER, oneshot=True, invocation="2")] == ["starting!", "started"]
    assert [each.split()[0] for each in host.see("active", TRIGGER, sub="exited", oneshot=True, invocation="2")] == ["stopping!", "stopped"]
    assert host.see("inactive", TRIGGER, oneshot=True, invocation="2") == []


@pytest.mark.parametrize("active", ["active", "inactive"])
def test_b226_tasks_that_ran_before_the_first_pass(active: str) -> None:
    host = Host("stopped udevtrigger", booting=True)
    told = host.first(UnitSeen(TRIGGER, active=active, oneshot=True, invocation="1"))
    assert [each.split()[0] for each in told] == ["starting!", "started", "stopping!", "stopped"]
    assert "RESULT=ok" in told[3]
    host.connect(booting=True)
    assert host.first(UnitSeen(TRIGGER, active=active, oneshot=True, invocation="1")) == []


def test_b230_first_pass_in_the_order_of_activation() -> None:
    host = Host("started cron", "started rsyslog", "started ssh", booting=True)
    told = host.first(UnitSeen("cron.service", active="active", invocation="1", active_enter=30), UnitSeen("ssh.service"),
                      UnitSeen(RSYSLOG, active="active", invocation="2", active_enter=20))
    assert [each.split()[:2] for each in told] == [
        ["starting!", "JOB=rsyslog"], ["started", "JOB=rsyslog"], ["starting!", "JOB=cron"], ["started", "JOB=cron"]]


def test_b202_later_passes_tell_only_what_was_missed() -> None:
    host = Host("started cron", "started rsyslog or stopped rsyslog", booting=True)
    cron = UnitSeen("cron.service", active="active", invocation="1")
    host.first(cron, UnitSeen(RSYSLOG, active="active", invocation="2"))
    host.connect()
    assert host.first(cron, UnitSeen(RSYSLOG, active="active", invocation="2")) == []
    host.connect()
    told = host.first(cron._replace(invocation="9"), UnitSeen(RSYSLOG, invocation="2"))
    assert [each.split()[:2] for each in told] == [["stopping!", "JOB=rsyslog"], ["stopped", "JOB=rsyslog"], ["stopping!", "JOB=cron"],
                                                   ["starting!", "JOB=cron"], ["started", "JOB=cron"]]
    host.connect()
    assert [each.split()[0] for each in host.first(UnitSeen("cron.service", loaded=False))] == ["stopping!", "stopped"]


def test_b204_a_job_that_comes_later_sees_nothing_of_the_past() -> None:
    host = Host("started cron")
    host.first(UnitSeen("cron.service", active="active", invocation="1"))
    define(host.wanted, "later", "started rsyslog or stopping rsyslog")
    assert host.units.reconsider() == []
    assert RSYSLOG in host.units.needed()
    assert host.see("active", invocation="1") == []
    assert host.see("deactivating", invocation="1") == ["stopping! RESULT=ok"]


def test_b228_a_class_of_the_same_name_wins_until_it_goes() -> None:
    host = syslog()
    define(host.wanted, "rsyslog", "runlevel 2")
    assert host.table.take(host.units.reconsider()) == []
    assert host.see("active", invocation="1") == []
    assert f"unit:{RSYSLOG}" not in host.table.known or not host.units.takes(RSYSLOG)
    host.wanted.forget("rsyslog")
    host.units.reconsider()
    assert host.see("active", invocation="1") == []
    assert host.see("inactive", invocation="1") == ["stopping! RESULT=ok", "stopped RESULT=ok"]


def test_b229_each_wanted_name_of_a_unit_gets_its_events() -> None:
    host = Host("started syslog", "started rsyslog")
    host.first(UnitSeen(RSYSLOG))
    assert [each.split()[1] for each in host.table.take(host.units.update([UnitSeen(RSYSLOG, active="active", invocation="1")]))] == [
        "JOB=rsyslog", "JOB=syslog", "JOB=rsyslog", "JOB=syslog"]


NETWORKD, MANAGER = "systemd-networkd.service", "NetworkManager.service"


def test_b229_the_first_that_the_host_has_and_another_when_that_is_down() -> None:
    host = Host("started network or stopped network")
    host.first(UnitSeen("networking.service", loaded=False), UnitSeen(NETWORKD), UnitSeen(MANAGER))

    def told(active: str, unit: str, invocation: str) -> List[Tuple[str, str]]:
        return [(each.split()[0], each.rpartition("=")[2]) for each in host.see(active, unit, invocation=invocation)]

    assert told("active", MANAGER, "1") == [("starting!", MANAGER), ("started", MANAGER)]
    assert told("active", NETWORKD, "2") == []
    assert told("inactive", NETWORKD, "2") == []
    assert told("inactive", MANAGER, "1") == [("stopping!", MANAGER), ("stopped", MANAGER)]
    assert told("active", NETWORKD, "3") == [("starting!", NETWORKD), ("started", NETWORKD)]


def test_b229_a_change_that_was_missed() -> None:
    host = Host("started network or stopped network", booting=True)
    host.first(UnitSeen(NETWORKD), UnitSeen(MANAGER, active="active", invocation="1"))
    host.connect()
    told = host.first(UnitSeen(NETWORKD, active="active", invocation="2"), UnitSeen(MANAGER, invocation="1"))
    assert [(each.split()[0], each.rpartition("=")[2]) for each in told] == [
        ("stopping!", MANAGER), ("stopped", MANAGER), ("starting!", NETWORKD), ("started", NETWORKD)]


def test_b239_a_unit_that_appears_later() -> None:
    host = Host("started network")
    host.first(UnitSeen(NETWORKD, loaded=False), UnitSeen(MANAGER, loaded=False))
    host.table.take(host.units.update([UnitSeen(MANAGER)]))
    assert len(host.see("active", MANAGER, invocation="1")) == 2


def test_b238_a_unit_is_found_by_any_of_its_names() -> None:
    host = Host("started gdm")
    host.first(UnitSeen("gdm3.service", names=("gdm3.service", "display-manager.service")), UnitSeen("gdm.service", loaded=False))
    seen = UnitSeen("gdm3.service", names=("gdm3.service", "display-manager.service"), active="active", invocation="1")
    assert host.table.take(host.units.update([seen]))[1] == "started JOB=gdm INSTANCE= HOST_UNIT=gdm3.service"


def test_b227_instances_of_templates() -> None:
    host = Host("started getty tty1")
    host.first()
    unit = r"getty@my\x2dtty-1.service"
    assert host.units.takes(unit) and not host.units.takes("agetty@x.service")
    host.see("inactive", unit)
    assert host.see("active", unit, invocation="1")[1] == f"started JOB=getty INSTANCE=my-tty/1 HOST_UNIT={unit}"


def test_b224_every_service_is_wanted() -> None:
    host = Host("stopped JOB=c*")
    host.first(UnitSeen("cups.service"), UnitSeen("postfix.service"))
    assert host.units.takes("anything.service") and not host.units.takes("a.socket")
    assert host.see("active", "cups.service", invocation="1") == []
    assert host.see("inactive", "cups.service", invocation="1") == ["stopped JOB=cups INSTANCE= RESULT=ok HOST_UNIT=cups.service"]
    host.see("active", "postfix.service", invocation="1")
    assert host.see("inactive", "postfix.service", invocation="1") == []


def test_b219_started_is_told_where_only_stopping_is_wanted() -> None:
    host = Host("stopping JOB!=rsyslog")
    host.first(UnitSeen("cups.service"), UnitSeen(RSYSLOG))
    assert [each.split()[0] for each in host.see("active", "cups.service", invocation="1")] == ["started"]


def test_b235_units_of_the_layer_are_never_told_of() -> None:
    host = Host("started JOB=*")
    seen = UnitSeen("upstart-compat.service", active="active", invocation="1")
    assert host.first(seen) == []
    assert host.table.known == {} and not host.units.takes("upstart-x.service")


def test_b229_b202_a_new_bridge_keeps_the_unit_that_is_down_at_the_moment() -> None:
    host = Host(*SYSLOG_JOBS, booting=True)
    journald = UnitSeen("systemd-journald.service", active="active", invocation="9")
    host.first(journald, UnitSeen(RSYSLOG, active="active", invocation="1", active_enter=1))
    assert host.see("inactive", invocation="1") == ["stopping! RESULT=ok", "stopped RESULT=ok"]
    for number in ("2", "3"):
        host.connect()
        assert host.first(journald, UnitSeen(RSYSLOG, invocation=str(int(number) - 1))) == []
        assert host.see("active", invocation=number) == ["starting!", "started"]
        assert host.see("inactive", invocation=number) == ["stopping! RESULT=ok", "stopped RESULT=ok"]
    # What is not there any more stands for nothing.
    host.connect()
    host.first(journald, UnitSeen(RSYSLOG, loaded=False))
    assert [each.split()[-1] for each in host.see("inactive", "systemd-journald.service", invocation="9")] == [
        "HOST_UNIT=systemd-journald.service"] * 2


def test_b234_what_systemd_has_for_each_user_is_no_job() -> None:
    host = Host("started user or started JOB=*")
    units = ("user@1000.service", "user-runtime-dir@1000.service")
    assert host.first(*(UnitSeen(unit, active="active", invocation="1") for unit in units)) == []
    assert host.table.known == {} and not any(map(host.units.takes, units)) and host.units.takes("username@1.service")


def test_b235_a_unit_that_shows_a_job_is_no_native_one() -> None:
    shown = {"sshd.service", "web.service"}
    host = Host("started ssh or stopped ssh or started JOB=*")
    host.units = NativeUnits(host.wanted, host.aliases, {}, True, shown.__contains__)
    up = [UnitSeen(unit, active="active", invocation="1") for unit in sorted(shown)]
    assert not host.units.takes("web.service") and host.first(*up) == []
    # The job is removed, and its unit's file is gone before the unit is.
    shown.clear()
    for unit in ("sshd.service", "web.service"):
        assert host.see("deactivating", unit, invocation="1") == host.see("inactive", unit, invocation="1") == []
    # After a daemon-reload there is one of the host of that name.
    assert host.units.takes("web.service")
    host.first(UnitSeen("sshd.service"), UnitSeen("web.service"))
    told = host.see("active", "sshd.service", invocation="2")
    assert [each for each in told if "JOB=ssh " in each] == [
        "starting! JOB=ssh INSTANCE= HOST_UNIT=sshd.service", "started JOB=ssh INSTANCE= HOST_UNIT=sshd.service"]


def test_b225_a_unit_that_is_unloaded_is_down_and_forgotten() -> None:
    host = Host("started getty or stopped getty")
    host.first()
    unit = "getty@tty1.service"
    seen = UnitSeen(unit, active="activating", invocation="1")
    assert [each.split()[0] for each in host.table.take(host.units.update([seen], new=True))] == ["starting!"]
    assert [each.split()[0] for each in host.table.take(host.units.removed(unit))] == ["stopping!", "stopped"]
    assert host.table.known == {}
    assert host.units.removed("unknown.service") == []


def test_b224_units_that_nobody_asks_for_any_more_are_forgotten() -> None:
    host = syslog()
    host.wanted.forget("a0")
    host.table.take(host.units.reconsider())
    assert host.table.known == {} and host.units.needed() == frozenset()
    host = syslog()
    host.wanted.forget("a0")
    host.connect()
    assert host.first() == [] and host.table.known == {}


phases = st.builds(Phase, st.sampled_from(STATES), st.sampled_from(("", "1", "2")))


@given(phases, phases)
def test_b202_steps_go_a_jobs_way_and_end_where_the_unit_is(told: Phase, seen: Phase) -> None:
    path = steps(told, seen)
    order: Any = {DOWN: {STARTING}, STARTING: {UP, STOPPING}, UP: {STOPPING}, STOPPING: {DOWN, STARTING}}
    state = told.state
    for step in path:
        assert step.state in order[state]
        state = step.state
    assert state == seen.state
    assert read(str(seen)) == seen


class Watched:
    """What the events of one name say about it."""

    following = {"": {"starting"}, "starting": {"started", "stopping"}, "started": {"stopping"}, "stopping": {"stopped", "starting"},
                 "stopped": {"starting"}}

    def __init__(self) -> None:
        self.last = ""

    def take(self, told: List[str]) -> None:
        for each in told:
            name = each.split()[0].rstrip("!")
            assert name in self.following[self.last], (self.last, name)
            self.last = name


seen_states = st.builds(
    UnitSeen, st.sampled_from((NETWORKD, MANAGER)), st.just(()), st.booleans(),
    st.sampled_from(("inactive", "failed", "activating", "active", "deactivating", "reloading", "maintenance", "odd")),
    st.sampled_from(("dead", "auto-restart", "running")), st.sampled_from(("", "1", "2", "3")), st.booleans())


@given(st.lists(st.tuples(seen_states, st.sampled_from(("see", "restart"))), max_size=12))
@settings(max_examples=60)
def test_b226_whatever_is_seen_a_name_is_told_a_jobs_life(history: List[Tuple[UnitSeen, str]]) -> None:
    host = Host("started network or starting network or stopping network or stopped network", booting=True)
    watched = Watched()
    last: dict[str, UnitSeen] = {NETWORKD: UnitSeen(NETWORKD), MANAGER: UnitSeen(MANAGER)}
    watched.take(host.first(*last.values()))
    for seen, how in history:
        last[seen.unit] = seen
        if how == "see":
            watched.take(host.table.take(host.units.update([seen])))
        else:
            host.connect()
            watched.take(host.first(*last.values()))
    running: Optional[str] = None
    for unit in last:
        key = host.table.known.get(f"unit:{unit}", "down:")
        if key.startswith("up"):
            running = unit
    if watched.last == "started":
        assert running is not None

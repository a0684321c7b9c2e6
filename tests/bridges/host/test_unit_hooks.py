"""What announcements of hooked units mean to jobs (B232, B249)."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host.fact import Fact
from compat.bridges.host.mount_table import FstabEntry
from compat.bridges.host.mounts import Mounts, Tables
from compat.bridges.host.native_units import UnitSeen
from compat.bridges.host.unit_hooks import UnitHooks
from tests.bridges.host.telling import Table, wanted
from tests.bridges.host.test_native_units import RSYSLOG, Host, syslog


def announce(host: Host, state: str, active: str, **more: Any) -> List[str]:
    told = host.table.take(host.units.announced(UnitSeen(RSYSLOG, active=active, **{"job": True, **more}), state))
    return [each.replace(" JOB=rsyslog INSTANCE=", "").replace(f" HOST_UNIT={RSYSLOG}", "") for each in told]


def test_b232_a_start_is_told_once_by_the_hook() -> None:
    host = syslog()
    assert announce(host, "starting", "inactive", invocation="0") == ["starting!"]
    assert host.see("inactive", invocation="0", job=True) == [], "its turn has not come yet"
    assert host.see("activating", invocation="1", job=True) == []
    assert host.see("active", invocation="1") == ["started"]


def test_b232_a_start_that_comes_to_nothing_is_told_so() -> None:
    host = syslog()
    assert announce(host, "starting", "inactive") == ["starting!"]
    assert host.see("inactive") == ["stopping! RESULT=ok", "stopped RESULT=ok"]


def test_b232_a_stop_is_told_once_by_the_hook() -> None:
    host = syslog()
    host.see("active", invocation="1")
    assert announce(host, "stopping", "active", invocation="1") == ["stopping! RESULT=ok"]
    assert host.see("active", invocation="1", job=True) == []
    assert host.see("deactivating", invocation="1", job=True) == []
    assert host.see("inactive", invocation="1") == ["stopped RESULT=ok"]


def test_b232_a_stop_that_is_cancelled_brings_the_jobs_back() -> None:
    host = syslog()
    host.see("active", invocation="1")
    announce(host, "stopping", "active", invocation="1")
    assert host.see("active", invocation="1") == ["starting!", "started"]


def test_b226_b232_a_restart_has_no_stopped() -> None:
    host = syslog()
    host.see("active", invocation="1")
    assert announce(host, "stopping", "active", invocation="1") == ["stopping! RESULT=ok"]
    assert host.see("deactivating", invocation="1", job=True) == host.see("inactive", invocation="1", job=True) == []
    assert announce(host, "starting", "inactive", invocation="1") == ["starting!"]
    assert host.see("activating", invocation="2", job=True) == []
    assert host.see("active", invocation="2") == ["started"]


def test_b232_a_bridge_that_connects_anew_goes_on_with_an_announced_start() -> None:
    host = syslog()
    announce(host, "starting", "inactive", invocation="0")
    host.connect()
    assert host.first(UnitSeen(RSYSLOG, active="inactive", invocation="0", job=True)) == []
    assert host.see("active", invocation="1") == ["started"]


@pytest.mark.parametrize(("state", "active", "more"), [
    ("starting", "active", {}), ("starting", "activating", {}), ("starting", "inactive", {"job": False}),
    ("stopping", "inactive", {}), ("stopping", "failed", {}), ("stopping", "active", {"job": False})])
def test_b232_a_hook_that_is_run_by_hand_tells_nothing(state: str, active: str, more: Dict[str, Any]) -> None:
    host = syslog()
    host.see(active, invocation="1")
    assert announce(host, state, active, invocation="1", **more) == []


def test_b232_of_units_that_no_job_waits_for_nothing_is_told() -> None:
    host = Host("started other")
    host.first(UnitSeen(RSYSLOG))
    assert announce(host, "starting", "inactive") == []


_STEPS = st.lists(st.tuples(st.sampled_from(("inactive", "failed", "activating", "active", "deactivating")), st.booleans(),
                            st.sampled_from(("1", "2")), st.sampled_from(("", "starting", "stopping"))), max_size=12)


@given(_STEPS)
def test_b202_b232_announced_or_seen_the_events_of_a_unit_come_in_a_life_s_order(changes: List[Tuple[str, bool, str, str]]) -> None:
    follows = {"": ("starting",), "starting": ("started", "stopping"), "started": ("stopping",), "stopping": ("stopped", "starting"),
               "stopped": ("starting",)}
    host = syslog()
    last = ""
    for active, job, invocation, state in changes:
        seen = {"invocation": invocation, "job": job}
        for told in (announce(host, state, active, **seen) if state else []) + host.see(active, **seen):
            name = told.split()[0].rstrip("!")
            assert name in follows[last], (last, name)
            last = name


class FakeDaemon:
    def __init__(self) -> None:
        self.asked: List[bool] = []
        self.taken: Optional[Callable[[int, str, str], None]] = None
        self.log: List[Any] = []

    def take_announcement(self, again: bool, taken: Callable[[int, str, str], None]) -> None:
        self.asked.append(again)
        self.taken = taken

    def announcement_told(self, number: int, objects: Any) -> None:
        self.log.append((number, list(objects)))

    def tell(self, facts: Any) -> None:
        self.log += [(fact.object, [each.name for each in fact.events]) for fact in facts]


class FakeManager:
    def __init__(self) -> None:
        self.waiting: List[Callable[[], None]] = []
        self.units: Dict[str, UnitSeen] = {}

    def when_current(self, done: Callable[[], None]) -> None:
        self.waiting.append(done)

    def unit(self, name: str) -> Optional[UnitSeen]:
        return self.units.get(name)

    def answers(self) -> None:
        self.waiting.pop(0)()


def served(host: Host, mounts: Optional[Mounts] = None) -> Tuple[FakeDaemon, FakeManager]:
    daemon, manager = FakeDaemon(), FakeManager()
    UnitHooks(daemon, manager, host.units, lambda: mounts, daemon.tell).begin()
    assert daemon.asked == [True]
    return daemon, manager


def test_b232_what_systemd_has_said_comes_before_the_announcement_and_that_before_its_answer() -> None:
    host = syslog()
    daemon, manager = served(host)
    assert daemon.taken is not None
    daemon.taken(7, RSYSLOG, "starting")
    assert daemon.asked == [True, False] and daemon.log == [], "the next one may come"
    manager.units[RSYSLOG] = UnitSeen(RSYSLOG, job=True)
    manager.answers()
    assert daemon.log == [("unit:rsyslog.service", ["starting"]), (7, ["unit:rsyslog.service"])]


def test_b232_of_a_unit_that_is_not_known_nothing_is_told() -> None:
    daemon, manager = served(syslog())
    assert daemon.taken is not None
    daemon.taken(1, "other.service", "stopping")
    manager.answers()
    assert daemon.log == [(1, ["unit:other.service"])]


def test_b249_a_hooked_mount_is_told_as_mounting_and_its_events_waited_for() -> None:
    mounts = Mounts(wanted("mounting MOUNTPOINT=/srv/data"), {}, False)
    Table().take(mounts.update(Tables((), (), (FstabEntry("nfs:/x", "/srv/data", "nfs4", "defaults"),))))
    daemon, manager = served(Host("mounting"), mounts)
    assert daemon.taken is not None
    daemon.taken(2, "srv-data.mount", "starting")
    manager.answers()
    assert daemon.log == [("mount:/srv/data", ["mounting"]), (2, ["unit:srv-data.mount", "mount:/srv/data"])]
    assert mounts.activating("/srv/data") == [], "the observer has nothing left to tell"
    daemon.taken(3, "srv-data.mount", "stopping")
    manager.answers()
    assert daemon.log[2:] == [(3, ["unit:srv-data.mount"])]


def test_b232_facts_that_an_announcement_makes_are_those_of_the_table() -> None:
    host = syslog()
    (fact,) = host.units.announced(UnitSeen(RSYSLOG, job=True, invocation="0"), "starting")
    assert fact == Fact("unit:rsyslog.service", "starting:", fact.events)

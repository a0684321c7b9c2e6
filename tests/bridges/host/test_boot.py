"""The events of a boot in their order (B207-B214, B257, B266)."""
from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host.all_at_once import AllAtOnce
from compat.bridges.host.boot import (
    FAILSAFE,
    GRAPHICAL,
    LOCAL,
    MULTI_USER,
    ONLINE,
    PLYMOUTH,
    REMOTE,
    SWAP,
    UNITS,
    Boot,
    Seen,
    Settings,
    UnitState,
)
from compat.bridges.host.fact import Fact
from compat.bridges.host.runlevels import Runlevels, boot_level, initdefault
from compat.bridges.host.wanted import Wanted
from compat.parser import parse_job

UP = UnitState(True, True)
QUEUED = UnitState(True, False, True)


def wanted(*jobs: str) -> Wanted:
    """From job texts; ``NAME:`` before a text names the class."""
    result = Wanted()
    for number, text in enumerate(jobs):
        name, _, rest = text.partition(":") if ":" in text.split(" ")[0] else (f"job{number}", "", text)
        definition = parse_job((rest + "\n").encode())
        result.define(name, definition.start_on, definition.stop_on)
    return result


def seen(state: str = "starting", up: Iterable[str] = (), queued: Iterable[str] = ()) -> Seen:
    units = {unit: UnitState(unit != PLYMOUTH) for unit in UNITS}
    units.update(dict.fromkeys(up, UP))
    units.update(dict.fromkeys(queued, QUEUED))
    return Seen(state, units)


def settings(profile: str = "ubuntu", **more: object) -> Settings:
    return Settings(profile, lambda graphical: boot_level(None, "", profile, graphical), **more)  # type: ignore[arg-type]


def line(fact_or_event: object) -> str:
    name, env = fact_or_event.name, fact_or_event.env  # type: ignore[attr-defined]
    return " ".join((name, *env))


def lines(facts: Iterable[Fact]) -> List[str]:
    return [line(event) for fact in facts for event in fact.events]


def known(facts: Iterable[Fact], table: Optional[Dict[str, str]] = None) -> Dict[str, str]:
    """The daemon's table after these facts."""
    table = dict(table or {})
    table.update({fact.object: fact.phase for fact in facts})
    return table


def test_b208_each_line_waits_for_its_condition_and_for_those_above() -> None:
    boot = Boot(settings(), {}, wanted())
    assert lines(boot.begin()) == ["startup"]
    assert boot.update(seen(up=[SWAP, LOCAL]), 0) == [], "the mounts that are there come first"
    assert lines(boot.mounts_told(0)) == ["not-container", "virtual-filesystems", "local-filesystems", "all-swaps"]
    assert boot.update(seen(up=[SWAP, LOCAL, ONLINE], queued=[MULTI_USER, REMOTE]), 1) == []
    assert lines(boot.update(seen(up=[LOCAL, REMOTE], queued=[MULTI_USER, ONLINE]), 2)) == [
        "remote-filesystems", "filesystem", "plymouth-ready"]
    assert lines(boot.update(seen(up=[LOCAL, REMOTE, ONLINE], queued=[MULTI_USER]), 3)) == [
        "static-network-up", "runlevel RUNLEVEL=2 PREVLEVEL=N", "starting JOB=rc INSTANCE= RUNLEVEL=2 PREVLEVEL=N",
        "started JOB=rc INSTANCE= RUNLEVEL=2 PREVLEVEL=N"]
    assert lines(boot.update(seen(up=[LOCAL, REMOTE, ONLINE, MULTI_USER]), 4)) == [
        "stopping JOB=rc INSTANCE= RESULT=ok RUNLEVEL=2 PREVLEVEL=N", "stopped JOB=rc INSTANCE= RESULT=ok RUNLEVEL=2 PREVLEVEL=N"]
    assert boot.update(seen("running", UNITS), 5) == []


def test_b208_failsafe_boot_where_the_network_does_not_come() -> None:
    boot = Boot(settings(), {}, wanted())
    boot.begin()
    boot.mounts_told(0)
    boot.update(seen(up=[LOCAL, REMOTE, MULTI_USER], queued=[ONLINE]), 10)
    assert boot.due() == 10 + FAILSAFE
    assert boot.expire(100) == []
    assert lines(boot.expire(130))[:2] == ["failsafe-boot", "runlevel RUNLEVEL=2 PREVLEVEL=N"]
    assert boot.due() is None
    assert lines(boot.update(seen(up=[LOCAL, REMOTE, MULTI_USER, ONLINE]), 140)) == ["static-network-up"]


def test_b208_rhel_does_not_wait_for_the_network() -> None:
    boot = Boot(settings("rhel"), {}, wanted())
    boot.begin()
    boot.mounts_told(0)
    told = lines(boot.update(seen(up=[LOCAL, REMOTE], queued=[ONLINE, MULTI_USER, GRAPHICAL]), 0))
    assert told[-3:] == ["runlevel RUNLEVEL=5 PREVLEVEL=N", "starting JOB=rc INSTANCE= RUNLEVEL=5", "started JOB=rc INSTANCE= RUNLEVEL=5"]
    assert boot.due() is None
    told = lines(boot.update(seen(up=[LOCAL, REMOTE, MULTI_USER], queued=[ONLINE, GRAPHICAL]), 0))
    assert told == ["stopping JOB=rc INSTANCE= RESULT=ok RUNLEVEL=5", "stopped JOB=rc INSTANCE= RESULT=ok RUNLEVEL=5"]


def test_b209_what_nobody_asked_for_is_reached_when_the_boot_is_over() -> None:
    boot = Boot(settings(), {}, wanted())
    boot.begin()
    boot.mounts_told(0)
    assert lines(boot.update(seen("starting"), 0)) == ["not-container", "virtual-filesystems"]
    assert lines(boot.update(seen("degraded"), 0)) == [
        "local-filesystems", "remote-filesystems", "filesystem", "plymouth-ready", "static-network-up", "all-swaps"]
    assert "runlevel RUNLEVEL=2 PREVLEVEL=N" in lines(boot.update(seen("running", [MULTI_USER]), 0))


@pytest.mark.parametrize("state", ["maintenance", "initializing", "stopping"])
def test_b222_no_more_events_while_the_host_is_in_an_emergency(state: str) -> None:
    boot = Boot(settings(), {}, wanted())
    boot.begin()
    assert not {"local-filesystems", "filesystem"} & set(lines(boot.mounts_told(0) + boot.update(seen(state), 0)))


def test_b211_jobs_that_are_left_to_the_host_where_a_condition_names_them() -> None:
    boot = Boot(settings(), {}, wanted("start on started mountall", "start on stopped udevtrigger", "start on stopped rc-sysinit",
                                       "hostname: start on startup", "start on started hostname", "start on starting procps",
                                       "start on stopped udev-fallback-graphics"))
    assert lines(boot.begin()) == ["startup", "starting JOB=mountall INSTANCE=", "started JOB=mountall INSTANCE="]
    told = lines(boot.mounts_told(0) + boot.update(seen("running", [MULTI_USER]), 0))
    assert told == [
        "not-container", "virtual-filesystems",
        "starting JOB=udevtrigger INSTANCE=", "started JOB=udevtrigger INSTANCE=", "stopping JOB=udevtrigger INSTANCE= RESULT=ok",
        "stopped JOB=udevtrigger INSTANCE= RESULT=ok",
        "starting JOB=procps INSTANCE=", "started JOB=procps INSTANCE=", "stopping JOB=procps INSTANCE= RESULT=ok",
        "stopped JOB=procps INSTANCE= RESULT=ok",
        "local-filesystems", "remote-filesystems", "filesystem", "stopping JOB=mountall INSTANCE= RESULT=ok",
        "stopped JOB=mountall INSTANCE= RESULT=ok",
        "starting JOB=udev-fallback-graphics INSTANCE=", "started JOB=udev-fallback-graphics INSTANCE=",
        "stopping JOB=udev-fallback-graphics INSTANCE= RESULT=ok", "stopped JOB=udev-fallback-graphics INSTANCE= RESULT=ok",
        "plymouth-ready", "static-network-up", "starting JOB=rc-sysinit INSTANCE=", "started JOB=rc-sysinit INSTANCE=",
        "runlevel RUNLEVEL=2 PREVLEVEL=N", "starting JOB=rc INSTANCE= RUNLEVEL=2 PREVLEVEL=N",
        "started JOB=rc INSTANCE= RUNLEVEL=2 PREVLEVEL=N",
        "stopping JOB=rc-sysinit INSTANCE= RESULT=ok", "stopped JOB=rc-sysinit INSTANCE= RESULT=ok",
        "stopping JOB=rc INSTANCE= RESULT=ok RUNLEVEL=2 PREVLEVEL=N",
        "stopped JOB=rc INSTANCE= RESULT=ok RUNLEVEL=2 PREVLEVEL=N", "all-swaps"]


def test_b211_not_where_a_unit_stands_for_the_job() -> None:
    boot = Boot(settings(native=lambda name: name == "procps"), {}, wanted("start on started procps"))
    boot.begin()
    assert not [each for each in lines(boot.mounts_told(0) + boot.update(seen("running"), 0)) if "procps" in each]


def test_b217_not_where_the_class_rc_is_registered() -> None:
    boot = Boot(settings(), {}, wanted("rc: start on runlevel"))
    boot.begin()
    told = lines(boot.mounts_told(0) + boot.update(seen("running", [MULTI_USER]), 0))
    assert not [each for each in told if "JOB=rc" in each] and "runlevel RUNLEVEL=2 PREVLEVEL=N" in told


def test_b268_plymouth_ready_with_the_splash_where_there_is_one() -> None:
    boot = Boot(settings(), {}, wanted())
    boot.begin()
    boot.mounts_told(0)
    there = dict(seen("running").units)
    there[PLYMOUTH] = UnitState(True)
    assert "plymouth-ready" not in lines(boot.update(Seen("running", there), 0))
    there[PLYMOUTH] = UP
    assert lines(boot.update(Seen("running", there), 0)) == ["plymouth-ready"]


STATES = st.builds(seen, st.sampled_from(["starting", "running", "degraded", "maintenance"]),
                   st.sets(st.sampled_from(UNITS)), st.sets(st.sampled_from(UNITS)))


@given(st.lists(st.tuples(STATES, st.booleans()), max_size=12), st.sampled_from(["ubuntu", "rhel", "chromeos", "minimal"]))
def test_b204_each_line_once_in_order_over_any_number_of_bridges(moves: List[Tuple[Seen, bool]], profile: str) -> None:
    moves = [*moves, (seen("running", UNITS), False)]
    interest = wanted("start on started mountall", "start on stopped rc-sysinit", "start on stopped kmod")
    table: Dict[str, str] = {}
    told: List[str] = []

    def take(facts: List[Fact]) -> None:
        news = [fact for fact in facts if fact.object not in table]
        told.extend(lines(news))
        table.update(known(news))

    boot = Boot(settings(profile), {}, interest)
    take(boot.begin() + boot.mounts_told(0))
    for now, (state, again) in enumerate(moves):
        if again:
            boot = Boot(settings(profile), table, interest)
            take(boot.begin() + boot.mounts_told(now))
        take(boot.update(state, now * 50.0))
        take(boot.expire(now * 50.0))
    assert len(told) == len(set(told))
    order = ["startup", "not-container", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem"]
    assert [each for each in told if each in order] == order
    words = [each.split()[0] for each in told]
    assert words.index("filesystem") < words.index("runlevel")
    if profile == "ubuntu":
        assert words.index("runlevel") > min(words.index(each) for each in ("static-network-up", "failsafe-boot") if each in words)
    assert [each.split()[0] for each in told if "JOB=rc " in each] == ["starting", "started", "stopping", "stopped"]


def test_b257_all_at_once_in_a_container() -> None:
    sequence = AllAtOnce(settings(container="docker"), {}, wanted("start on stopped rc-sysinit"))
    assert lines(sequence.begin()) == ["startup"]
    assert lines(sequence.file_systems()) == [
        "container CONTAINER=docker", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem", "plymouth-ready",
        "all-swaps"]
    assert lines(sequence.rest()) == [
        "static-network-up", "starting JOB=rc-sysinit INSTANCE=", "started JOB=rc-sysinit INSTANCE=", "runlevel RUNLEVEL=2 PREVLEVEL=N",
        "starting JOB=rc INSTANCE= RUNLEVEL=2 PREVLEVEL=N", "started JOB=rc INSTANCE= RUNLEVEL=2 PREVLEVEL=N",
        "stopping JOB=rc-sysinit INSTANCE= RESULT=ok", "stopped JOB=rc-sysinit INSTANCE= RESULT=ok",
        "stopping JOB=rc INSTANCE= RESULT=ok RUNLEVEL=2 PREVLEVEL=N", "stopped JOB=rc INSTANCE= RESULT=ok RUNLEVEL=2 PREVLEVEL=N"]


def test_b266_without_any_detection() -> None:
    sequence = AllAtOnce(settings("rhel", bare=True), {}, wanted())
    told = lines(sequence.begin() + sequence.file_systems() + sequence.rest())
    assert [each.split()[0] for each in told] == [
        "startup", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem", "plymouth-ready", "all-swaps",
        "runlevel", "starting", "started", "stopping", "stopped"]
    assert "runlevel RUNLEVEL=3 PREVLEVEL=N" in told


# -- levels ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("configured", "inittab", "profile", "graphical", "level"), [
    ("4", "id:3:initdefault:", "ubuntu", True, "4"), (None, "id:3:initdefault:", "ubuntu", False, "3"), (None, "", "ubuntu", True, "2"),
    (None, "", "rhel", True, "5"), (None, "", "rhel", False, "3"), (None, "", "chromeos", False, "2"), (None, "", "minimal", False, "2")])
def test_b212_the_level_of_a_boot(configured: Optional[str], inittab: str, profile: str, graphical: bool, level: str) -> None:
    assert boot_level(configured, inittab, profile, graphical) == level


def test_b180_b189_initdefault() -> None:
    text = "#id:1:initdefault:\nid:3:initdefault:\nl3:3:wait:/etc/rc\nxx:9:initdefault:\nid:s:initdefault:\n"
    assert (initdefault(text, "ubuntu"), initdefault(text, "rhel"), initdefault("a:b", "rhel")) == ("S", "3", None)


def test_b214_graphical_target_comes_and_goes_on_rhel_only() -> None:
    runlevels = Runlevels("rhel", {"runlevel": "5"}, lambda graphical: "5", lambda: True)
    assert runlevels.update(seen("running", [MULTI_USER, GRAPHICAL])) == []
    fact, = runlevels.update(seen("running", [MULTI_USER]))
    assert (fact.object, fact.phase) == ("runlevel", "3")
    assert lines([fact]) == [
        "runlevel RUNLEVEL=3 PREVLEVEL=5", "starting JOB=rc INSTANCE= RUNLEVEL=3", "started JOB=rc INSTANCE= RUNLEVEL=3",
        "stopping JOB=rc INSTANCE= RESULT=ok RUNLEVEL=3", "stopped JOB=rc INSTANCE= RESULT=ok RUNLEVEL=3"]
    assert runlevels.update(seen("running", [MULTI_USER])) == []
    assert lines(runlevels.update(seen("running", [MULTI_USER, GRAPHICAL])))[0] == "runlevel RUNLEVEL=5 PREVLEVEL=3"
    runlevels.emitted("4")
    assert runlevels.update(seen("running", [MULTI_USER])) == [], "somebody chose a level of his own"
    other = Runlevels("ubuntu", {"runlevel": "2"}, lambda graphical: "2", lambda: True)
    assert other.update(seen("running", [MULTI_USER, GRAPHICAL])) == other.update(seen("running", [MULTI_USER])) == []


def test_b214_the_desktop_of_the_boot_itself_goes() -> None:
    runlevels = Runlevels("rhel", {}, lambda graphical: "5", lambda: False)
    assert runlevels.update(seen("running", [MULTI_USER, GRAPHICAL])) == []
    # What tells of the level comes after the last thing that has changed on the host.
    runlevels.emitted("5")
    leaving = seen("running", [MULTI_USER])
    units = {**leaving.units, MULTI_USER: leaving.units[MULTI_USER]._replace(leaving=True)}
    assert lines(runlevels.update(leaving)) == ["runlevel RUNLEVEL=3 PREVLEVEL=5"]
    runlevels = Runlevels("rhel", {"runlevel": "5"}, lambda graphical: "5", lambda: False)
    runlevels.update(seen("running", [MULTI_USER, GRAPHICAL]))
    assert runlevels.update(leaving._replace(units=units)) == [], "all of it goes, as for rescue.target"


def test_b214_back_from_single_user_mode() -> None:
    runlevels = Runlevels("ubuntu", {"runlevel": "S"}, lambda graphical: "2", lambda: False)
    assert runlevels.update(seen("running", queued=[MULTI_USER])) == []
    assert lines(runlevels.update(seen("running", [MULTI_USER]))) == ["runlevel RUNLEVEL=2 PREVLEVEL=S"]
    assert runlevels.update(seen("running", [MULTI_USER])) == []

"""The fact table: every event of a boot once, in order (B200-B204, B215)."""
from __future__ import annotations

import json
from typing import Any, List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host.fact import GONE, Fact, HostEvent
from compat.host.facts import HOLD_SECONDS, Emit, FactTable, Overdue, Watch


def take(table: FactTable) -> List[Any]:
    """All that is to be done."""
    return list(iter(table.take, None))


def names(actions: List[Any]) -> List[str]:
    return [action.event.name for action in actions if isinstance(action, Emit)]


def fact(object: str, phase: str, *events: str) -> Fact:
    """Events ending in ``!`` are held."""
    return Fact(object, phase, tuple(HostEvent(name.rstrip("!"), (), name.endswith("!")) for name in events))


def test_b200_a_phase_that_is_known_emits_nothing() -> None:
    table = FactTable()
    assert table.tell(fact("boot:a", "done", "a"))
    assert names(take(table)) == ["a"]
    assert not table.tell(fact("boot:a", "done", "a"))
    assert take(table) == []
    assert table.phases() == {"boot:a": "done"}


def test_b200_hold_keeps_the_next_event_of_the_object_until_the_end() -> None:
    table = FactTable()
    table.tell(fact("unit:u", "up:1", "starting!", "started"))
    emit, watch = take(table)
    assert (emit.event.name, watch) == ("starting", Watch(emit.ticket, HOLD_SECONDS))
    table.tell(fact("unit:u", "stopping:1", "stopping!"))
    table.tell(fact("unit:v", "up:1", "other"))
    assert names(take(table)) == ["other"], "objects are independent, facts of one are in order"
    table.finished(emit.ticket)
    assert names(take(table)) == ["started", "stopping"]
    table.finished(emit.ticket)
    table.overdue(emit.ticket)
    assert take(table) == []


def test_b200_thirty_seconds_at_most() -> None:
    table = FactTable()
    table.tell(fact("unit:u", "up:1", "starting!", "started"))
    emit, watch = take(table)
    table.overdue(watch.ticket)
    warning, started = take(table)
    assert (warning, names([started])) == (Overdue("starting"), ["started"])
    table.finished(emit.ticket)
    assert take(table) == []


def test_b208_the_steps_of_the_boot_wait_for_each_other() -> None:
    table = FactTable()
    table.tell(fact("boot:a", "done", "a!"))
    table.tell(fact("boot:b", "done", "b"))
    table.tell(fact("runlevel", "2", "c"))
    emit = take(table)[0]
    assert emit.event.name == "a"
    table.finished(emit.ticket)
    assert names(take(table)) == ["b", "c"]


def test_b201_what_is_gone_is_not_kept() -> None:
    table = FactTable()
    assert not table.tell(fact("link:2:eth0", GONE, "net-device-removed"))
    table.tell(fact("link:2:eth0", "added", "net-device-added"))
    assert table.tell(fact("link:2:eth0", GONE, "net-device-removed"))
    assert (names(take(table)), table.phases()) == (["net-device-added", "net-device-removed"], {})


def test_b215_a_runlevel_that_anybody_emits_is_a_fact() -> None:
    table = FactTable()
    table.runlevel_emitted("3")
    assert table.phase("runlevel") == "3"
    assert not table.tell(fact("runlevel", "3", "runlevel"))


def test_b219_units_that_are_up_stop_in_reverse_order_with_their_result() -> None:
    table = FactTable()
    for unit in "abc":
        env = (f"JOB={unit}", "INSTANCE=", f"HOST_UNIT={unit}.service")
        table.tell(Fact(f"unit:{unit}.service", "up:7", (HostEvent("starting", env, True), HostEvent("started", env))))
    table.tell(fact("unit:b.service", GONE))
    table.tell(Fact("unit:a.service", "up:8", (HostEvent("started", ("JOB=a", "INSTANCE=x", "HOST_UNIT=a.service")),)))
    assert table.stopping_units() == [
        Fact("unit:a.service", "stopping:8", (HostEvent("stopping", ("JOB=a", "INSTANCE=x", "RESULT=ok", "HOST_UNIT=a.service"), True),)),
        Fact("unit:c.service", "stopping:7", (HostEvent("stopping", ("JOB=c", "INSTANCE=", "RESULT=ok", "HOST_UNIT=c.service"), True),))]
    table.note(Fact("unit:a.service", "stopping:8"))
    assert [each.object for each in table.stopping_units()] == ["unit:c.service"]


def test_b203_what_was_not_emitted_yet_is_saved_and_goes_on() -> None:
    table = FactTable()
    table.tell(fact("unit:u", "up:1", "starting!", "started"))
    table.tell(fact("boot:a", "done", "a"))
    take(table)
    copy = FactTable()
    copy.restore(json.loads(json.dumps(table.state())))
    assert names(take(copy)) == ["started"]
    assert copy.phases() == table.phases()


def test_b222_nothing_of_the_boot_is_emitted_once_the_host_goes_down() -> None:
    table = FactTable()
    table.tell(fact("boot:a", "done", "a!", "b"))
    emit = take(table)[0]
    table.drop_pending()
    table.finished(emit.ticket)
    table.overdue(emit.ticket)
    assert take(table) == []
    assert table.state()["pending"] == {}


FACTS = st.lists(st.tuples(st.sampled_from(["boot:a", "boot:b", "unit:u", "link:1:x"]), st.sampled_from(["", "1", "2"]),
                           st.lists(st.booleans(), max_size=3)), max_size=12)


@given(FACTS, st.lists(st.sampled_from(["finish", "overdue", "crash"]), max_size=30))
def test_b204_every_event_once_in_the_order_of_its_object_whatever_happens(told: List[Tuple[str, str, List[bool]]],
                                                                        moves: List[str]) -> None:
    table = FactTable()
    wanted: "dict[str, List[str]]" = {}
    seen: "dict[str, List[str]]" = {}
    open_tickets: List[int] = []
    phases: "dict[str, str]" = {}

    def work() -> None:
        for action in take(table):
            if isinstance(action, Emit):
                object = action.event.env[0]
                seen.setdefault("boot" if object.startswith("boot") else object, []).append(action.event.name)
                if action.ticket:
                    open_tickets.append(action.ticket)

    for number, (object, phase, holds) in enumerate(told):
        events = tuple(HostEvent(f"{number}.{place}", (object,), hold) for place, hold in enumerate(holds))
        news = phases.get(object, "") != phase
        phases[object] = phase
        assert table.tell(Fact(object, phase, events)) == news
        if news:
            wanted.setdefault("boot" if object.startswith("boot") else object, []).extend(each.name for each in events)
        work()
        move = moves.pop() if moves else ""
        if move == "crash":
            other = FactTable()
            other.restore(json.loads(json.dumps(table.state())))
            table = other
            open_tickets.clear()
        elif move and open_tickets:
            getattr(table, "finished" if move == "finish" else "overdue")(open_tickets.pop(0))
        work()
    while open_tickets:
        table.finished(open_tickets.pop(0))
        work()
    assert {lane: names for lane, names in seen.items() if names} == {lane: names for lane, names in wanted.items() if names}

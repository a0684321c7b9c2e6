"""How far conditions are met, and when their events were last seen."""
from __future__ import annotations

import pickle
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.engine import history
from compat.engine.condition_report import ConditionReport
from compat.engine.conditions import matches
from compat.engine.events import Event
from compat.engine.history import EventHistory
from compat.parser.definition import Match
from compat.testing import SimulatedMachine


def lines(report: ConditionReport) -> List[Tuple[str, bool]]:
    return [(" ".join(node.words), node.met) for node in report.nodes]


def test_e95_a_half_true_condition_tells_which_half() -> None:
    machine = SimulatedMachine()
    machine.define("web", "start on runlevel [2345] and (started network or ready)\nstop on runlevel [!2345]\nexec web")
    machine.emit("runlevel", "RUNLEVEL=2", "PREVLEVEL=N", wait=False)
    start_on, stop_on = machine.engine.conditions("web")
    assert (start_on.stanza, start_on.instance, start_on.met) == ("start on", "", False)
    assert lines(start_on) == [
        ("runlevel [2345]", True), ("started network", False), ("ready", False), ("/OR", False), ("/AND", False)]
    assert start_on.nodes[0].met_by == ("RUNLEVEL=2", "PREVLEVEL=N")
    assert (stop_on.stanza, lines(stop_on)) == ("stop on", [("runlevel [!2345]", False)])


def test_e101_when_it_fires_all_is_forgotten_but_when_it_was() -> None:
    machine = SimulatedMachine()
    machine.define("web", "start on a and b\nexec web")
    machine.advance(5)
    machine.emit("a", "X=1", wait=False)
    machine.advance(5)
    machine.emit("b")
    (start_on,) = machine.engine.conditions("web")
    assert lines(start_on) == [("a", False), ("b", False), ("/AND", False)]
    first, second = start_on.nodes[0].last, start_on.nodes[1].last
    assert first is not None and second is not None
    assert (first.name, first.env) == ("a", ("X=1",))
    assert second.time - first.time == 5
    assert start_on.nodes[2].last is None


def test_e94_each_instance_has_a_stop_condition_of_its_own() -> None:
    machine = SimulatedMachine()
    machine.define("net", "start on added\nstop on removed IFACE=$IFACE and down\ninstance $IFACE\nexec net")
    assert [(each.stanza, each.instance) for each in machine.engine.conditions("net")] == [("start on", ""), ("stop on", "")]
    machine.emit("added", "IFACE=eth0")
    machine.emit("added", "IFACE=eth1")
    machine.emit("removed", "IFACE=eth1", wait=False)
    found = {each.instance: each for each in machine.engine.conditions("net")[1:]}
    assert {name: [node.met for node in each.nodes] for name, each in found.items()} == {
        "eth0": [False, False, False], "eth1": [True, False, False]}
    assert found["eth0"].nodes[0].last is None
    assert found["eth1"].nodes[0].last is not None


def test_a_running_instance_tells_of_the_definition_that_it_has() -> None:
    machine = SimulatedMachine()
    machine.define("web", "stop on old\nexec web")
    machine.start("web")
    machine.define("web", "stop on new\nexec web")
    assert [lines(each) for each in machine.engine.conditions("web")] == [[("old", False)]]


def test_no_conditions_and_no_job() -> None:
    machine = SimulatedMachine()
    machine.define("web", "exec web")
    assert machine.engine.conditions("web") == []
    assert machine.engine.conditions("nosuch") == []


def test_events_that_nobody_waits_for_are_not_remembered() -> None:
    machine = SimulatedMachine()
    machine.define("web", "start on started db\nexec web")
    machine.emit("noise")
    machine.emit("started", "JOB=other")
    machine.define("late", "start on noise or started other\nexec late")
    assert [node.last for node in machine.engine.conditions("late")[0].nodes] == [None, None, None]


def test_the_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_EVENTS", 3)
    seen = EventHistory()
    for number in (1, 2, 3, 1, 4):
        seen.note(Event(number, "e", (f"N={number}",)), float(number))
    seen.note(Event(9, "e", ("N=" + "x" * history.LONGEST_VARIABLES,)), 9.0)
    assert [seen.last(Match("e", (f"N={number}",)), {}) is not None for number in (1, 2, 3, 4)] == [True, False, True, True]
    last = seen.last(Match("e"), {})
    assert last is not None and last.env == ("N=4",)


def test_the_history_is_data_like_the_rest_of_the_engine() -> None:
    machine = SimulatedMachine()
    machine.define("web", "start on a and b\nexec web")
    machine.emit("a", wait=False)
    engine = pickle.loads(pickle.dumps(machine.engine))
    assert engine.conditions("web") == machine.engine.conditions("web")


EVENTS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["X=1", "X=2", "Y=1"])), max_size=8)


@given(EVENTS, st.sampled_from("ab"), st.sampled_from([(), ("X=1",), ("1",), ("X!=1",), ("Y=*",)]))
def test_the_last_match_is_the_last_event_that_matches(events: List[Tuple[str, str]], name: str, args: Tuple[str, ...]) -> None:
    seen, expected = EventHistory(), None
    for number, (event, variable) in enumerate(events):
        made = Event(number, event, (variable,))
        seen.note(made, float(number))
        if matches(Match(name, args), made, {}):
            expected = float(number)
    found = seen.last(Match(name, args), {})
    assert (found.time if found is not None else None) == expected

"""For every state that an engine can be in: what is read back is that state, and goes on as it would have (issue 5)."""
from __future__ import annotations

import json
from collections import Counter
from typing import Any, List

from hypothesis import given
from hypothesis import strategies as st

from compat.engine.core import Core
from compat.engine.engine import Engine
from compat.state.document import Moment, StateError, deserialise, serialise
from tests.engine.test_properties import EVENTS, Machine, Run, definitions, do, endings, runs, share

ENVIRONMENT = {"PATH": "/bin", "HOME": "/root"}
#: What a Core has from its command line, and what is only there while an input is handled.
_GIVEN = {"inherited", "inherit_all", "apparmor", "session", "out"}
#: Sorted lists are heaps; the heaps of a queue need only hold the same.
_HEAPS = {"_ahead", "_next_pass"}


def plain(value: Any) -> Any:
    """A record of the engine as nested dicts and lists, complete: what is added to it later is compared too."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    names = getattr(type(value), "__slots__", None) if type(value).__module__.startswith("compat.engine") else None
    if names:
        return {name: sorted(getattr(value, name)) if name in _HEAPS else plain(getattr(value, name)) for name in names}
    return value


def everything(core: Core) -> Any:
    return {name: plain(value) for name, value in vars(core).items() if name not in _GIVEN and name != "now"}


def differences(left: Any, right: Any, place: str = "") -> List[str]:
    """Where two such things differ."""
    if type(left) is type(right) and isinstance(left, dict) and set(left) == set(right):
        return [each for key in left for each in differences(left[key], right[key], f"{place}.{key}")]
    return [] if left == right else [f"{place}: {left!r} for {right!r}"]


def again(engine: Engine) -> Engine:
    """Another engine, from the text of this one."""
    core = engine.core
    state = serialise(core, Moment())
    fresh = Engine(core.inherited, core.inherit_all, core.apparmor, core.session)
    restored = deserialise(state, fresh.core, core.now)
    assert restored.lost == ()
    assert {timer for timer, _ in restored.timers} == {*core.kill_timers, *([core.session_end.timer] if core.session_end else [])}
    assert set(restored.processes) == set(core.spawns)
    return fresh


@share(40)
@given(runs | endings)
def test_d198_what_is_read_back_is_what_was_written(run: Run) -> None:
    machine = Machine(run)
    for operation in run.operations:
        machine.do(operation)
        assert differences(everything(again(machine.engine).core), everything(machine.engine.core)) == []


@share(25)
@given(runs | endings)
def test_d198_an_engine_that_was_written_out_goes_on_as_before(run: Run) -> None:
    first, second = do(run), do(run, again)
    assert second.transcript == first.transcript
    assert second.announcements == first.announcements
    assert second.record == first.record and second.answers == first.answers


@share(20)
@given(st.lists(st.tuples(st.just("define"), st.just("foo"), definitions(EVENTS)), min_size=1, max_size=1),
       st.text(st.characters(blacklist_categories=["Cs"]) | st.sampled_from("\udc80\udcff"), max_size=10))
def test_d241_texts_are_kept_verbatim(define: List[Any], text: str) -> None:
    definition = define[0][2]._replace(description=text, usage=text, env=(text, "A=" + text), export=(text,), instance=text or None)
    machine = Machine(Run([("define", "foo", definition)], False))
    machine.do(("define", "foo", definition))
    state = serialise(machine.engine.core, Moment())
    assert state.isascii()
    assert differences(everything(again(machine.engine).core), everything(machine.engine.core)) == []


# -- damage ------------------------------------------------------------------------------------------------------


def places(value: Any) -> "List[Any]":
    """Every (container, key) of a JSON value."""
    found: List[Any] = []
    stack = [value]
    while stack:
        node = stack.pop()
        for key in (node if isinstance(node, dict) else range(len(node))):
            found.append((node, key))
            if isinstance(node[key], (dict, list)):
                stack.append(node[key])
    return found


strange = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(
    ["", "x", "\ud800", [], {}, [0], [None] * 6, -1, 2 ** 70, "JOB_RUNNING", "EVENT_AND"])


@share(60)
@given(runs, st.data())
def test_d187_damage_costs_what_is_damaged_and_never_raises(run: Run, data: Any) -> None:
    machine = do(run)
    root = json.loads(serialise(machine.engine.core, Moment()))
    for _ in range(data.draw(st.integers(1, 4))):
        known = places(root)
        container, key = known[data.draw(st.integers(0, len(known) - 1))]
        if data.draw(st.booleans()):
            del container[key]
        else:
            container[key] = data.draw(strange)
    try:
        fresh = Engine(ENVIRONMENT)
        restored = deserialise(json.dumps(root), fresh.core, machine.now)
    except StateError:
        return
    assert set(restored.processes) == set(fresh.core.spawns)
    assert all(due <= machine.now + 2 ** 31 for _, due in restored.timers)
    json.loads(serialise(fresh.core, Moment()))
    go_on(machine, fresh)


def go_on(machine: Machine, engine: Engine) -> None:
    """The invariants of the engine hold for what was read, and what waits for something ends."""
    core = engine.core
    holders: "Counter[int]" = Counter()
    for job in core.registry.classes.values():
        if job.start_on is not None:
            holders.update(job.start_on.held_events())
        for instance in job.instances.values():
            holders.update(owner[1] for owner in instance.owners if owner[0] == "event")
            if instance.stop_on is not None:
                holders.update(instance.stop_on.held_events())
            assert bool(instance.blocker) == (instance.state in ("starting", "stopping"))
            assert not instance.blocker or ("instance", job.name, instance.name) in core.queue.events[instance.blocker].waiters
    assert {number: event.blockers for number, event in core.queue.events.items()} == {
        number: holders[number] for number in core.queue.events}
    free = [number for number, event in core.queue.events.items() if not event.blockers]
    ahead, next_pass, _, _ = core.queue.progress()
    assert set(free) <= {*ahead, *next_pass}
    machine.engine = machine.supervisor.engine = engine
    machine.renew = None
    machine.settle()
    for job in list(core.registry.classes):
        machine.stop(job)
    assert machine.lines("E", "F") == []


@given(runs, st.data())
def test_d227_truncated_text_is_an_error_of_its_own(run: Run, data: Any) -> None:
    state = serialise(do(run).engine.core, Moment("1", 1.0, 2.0))
    cut = data.draw(st.integers(0, len(state) - 1))
    try:
        deserialise(state[:cut], Engine(ENVIRONMENT).core, 0.0)
    except StateError as error:
        assert "JSON" in str(error)
    else:
        raise AssertionError("accepted")


@given(st.text() | st.recursive(strange, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
    ["events", "sessions", "job_classes", "meta", "jobs", "name", "session"]), inner)).map(json.dumps))
def test_d227_any_text_is_read_or_refused(state: str) -> None:
    try:
        deserialise(state, Engine(ENVIRONMENT).core, 0.0)
    except StateError as error:
        assert str(error)



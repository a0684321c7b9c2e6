"""The index from events to classes finds whatever asking every class would (E83, E96)."""
from __future__ import annotations

from typing import Dict, Optional, Tuple

from hypothesis import given
from hypothesis import strategies as st

from compat.engine.conditions import matches, postfix
from compat.engine.events import Event
from compat.engine.jobs import JobClass, bucket
from compat.engine.registry import Registry
from compat.parser.definition import And, Condition, JobDefinition, Match, Or

NAMES = st.sampled_from(["foo", "bar", "ssh", "tty1", "tty2", "alpha", "charlie", "delta"])
EVENTS = st.sampled_from(["a", "b", "started"])
VALUES = st.sampled_from(["", "x", "y", "[xy]", "*", "x*", "\\x", "$V", "${V:-x}", "K=x", "K!=x", "K=$V"])
LEAVES = st.builds(Match, EVENTS, st.lists(VALUES, max_size=2).map(tuple))
CONDITIONS = st.recursive(LEAVES, lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner), max_leaves=4)
DEFINITIONS = st.builds(JobDefinition, start_on=st.none() | CONDITIONS, stop_on=st.none() | CONDITIONS)
CHURN = st.lists(st.tuples(NAMES, st.none() | DEFINITIONS), max_size=12)
HAPPENED = st.builds(
    lambda name, env: Event(1, name, tuple(env)), EVENTS,
    st.lists(st.sampled_from(["K=x", "K=y", "J=x", "J=y", "J=", "V=x", "J=xx"]), max_size=3))


def could_match(condition: Optional[Condition], event: Event) -> bool:
    if condition is None:
        return False
    leaves = [leaf for leaf in postfix(condition) if isinstance(leaf, Match)]
    return any(matches(leaf, event, {"V": value}) for leaf in leaves for value in ("x", "y", ""))


@given(CHURN, st.lists(HAPPENED, min_size=1, max_size=6))
def test_e83_interested_equals_asking_every_class(churn: list, events: list) -> None:
    registry = Registry()
    expected: Dict[str, Tuple[int, int]] = {}
    for number, (name, definition) in enumerate(churn):
        if name in registry.classes:
            registry.remove(registry.classes[name])
            del expected[name]
        if definition is not None:
            registry.add(JobClass(name, definition, registry.next_order(name)))
            expected[name] = (bucket(name), number)
        for event in events:
            found = [job.name for job in registry.interested(event)]
            asked = {name for name, job in registry.classes.items()
                     if could_match(job.definition.start_on, event) or could_match(job.definition.stop_on, event)}
            assert asked <= set(found)
            assert found == sorted(found, key=expected.__getitem__)
            mentioned = {name for name, job in registry.classes.items()
                         for condition in (job.definition.start_on, job.definition.stop_on) if condition is not None
                         for leaf in postfix(condition) if isinstance(leaf, Match) and leaf.event == event.name}
            assert set(found) <= mentioned
    assert [job.name for job in registry.ordered()] == sorted(expected, key=expected.__getitem__)


@given(CHURN)
def test_e83_nothing_stays_in_the_index_of_an_empty_registry(churn: list) -> None:
    registry = Registry()
    for name, definition in churn:
        if name in registry.classes:
            registry.remove(registry.classes[name])
        if definition is not None:
            registry.add(JobClass(name, definition, registry.next_order(name)))
    for job in list(registry.classes.values()):
        registry.remove(job)
    assert registry._starts == registry._stops == {}

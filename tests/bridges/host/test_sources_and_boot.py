"""What the table says about a host's boot is what the boot's sequence tells, and the other way round (B208, B267)."""
from __future__ import annotations

from typing import Dict, List, Set, Tuple

import pytest

from compat.bridges.host.all_at_once import AllAtOnce
from compat.bridges.host.boot import LOCAL, MULTI_USER, ONLINE, PLYMOUTH, REMOTE, SWAP, Boot, Seen, Settings, UnitState
from compat.bridges.host.event_sources import EventSources, Host
from compat.bridges.host.fact import Fact, HostEvent
from compat.bridges.host.loaded_jobs import LoadedJobs
from compat.bridges.host.master_table import EVENTS, MILESTONES
from compat.bridges.host.wanted import JOB_EVENTS, STOP_ON, Operand, Wanted
from compat.parser.definition import Match, Or


def everything() -> Wanted:
    """Somebody waits for every event of every milestone."""
    wanted = Wanted()
    for name in MILESTONES:
        wanted.define("watch-" + name, Or(Or(Match("starting", (name,)), Match("started", (name,))),
                                          Or(Match("stopping", (name,)), Match("stopped", (name,)))), None)
    return wanted


def told(kind: str, profile: str) -> List[HostEvent]:
    settings = Settings(profile, lambda graphical: "2", "lxc" if kind == "container" else "", bare=kind == "none")
    if kind == "systemd":
        there = UnitState(loaded=True, active=True)
        coming = {LOCAL: there, REMOTE: there, SWAP: there, PLYMOUTH: there, ONLINE: UnitState(loaded=True, queued=True),
                  MULTI_USER: UnitState(loaded=True, queued=True)}
        boot = Boot(settings, {}, everything())
        facts = boot.begin() + boot.mounts_told(0.0) + boot.update(Seen("starting", coming), 0.0) + boot.expire(1000.0)
        facts += boot.update(Seen("running", {**coming, ONLINE: there, MULTI_USER: there}), 1000.0)
    else:
        at_once = AllAtOnce(settings, {}, everything())
        facts = at_once.begin() + at_once.file_systems() + at_once.rest()
    return _events(facts)


def _events(facts: List[Fact]) -> List[HostEvent]:
    return [event for fact in facts for event in fact.events]


PLACES = [(kind, profile) for kind in ("systemd", "container", "none") for profile in ("ubuntu", "rhel")]


@pytest.mark.parametrize("kind, profile", PLACES)
def test_b267_whatever_a_boot_tells_is_in_the_table(kind: str, profile: str) -> None:
    sources = EventSources(Host(kind, profile), LoadedJobs())
    for event in told(kind, profile):
        source = sources.source(Operand("j", STOP_ON, Match(event.name, event.env)))
        assert source.label == "boot", event


@pytest.mark.parametrize("kind, profile", PLACES)
def test_b267_whatever_the_table_promises_of_a_boot_is_told(kind: str, profile: str) -> None:
    events = told(kind, profile)
    names = {event.name for event in events}
    expected = {row.event for row in EVENTS if row.source == "boot" and kind in row.kinds and profile in row.profiles}
    # A host is a container or it is none.
    assert expected - {"container", "not-container"} <= names
    by_job: Dict[str, Set[str]] = {}
    for event in events:
        if event.name in JOB_EVENTS:
            by_job.setdefault(event.env[0][len("JOB="):], set()).add(event.name)
    assert by_job == {name: set(JOB_EVENTS) for name in promised(kind, profile)}


def promised(kind: str, profile: str) -> Tuple[str, ...]:
    return tuple(name for name, each in MILESTONES.items() if each.source == "boot" and kind in each.kinds and profile in each.profiles)

"""The interface org.upstartcompat.Job1: conditions as a client sees them (B199)."""
from __future__ import annotations

import time
from typing import Any, Iterator

import pytest

from compat.parser.definition import And, JobDefinition, Match, ProcessDefinition
from tests.control.client import MANAGER, Client, Failed, U
from tests.control.service_process import Service

WEB = MANAGER + "/jobs/web"
JOB1 = "org.upstartcompat.Job1"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service(engine=True)
    service.define("web", JobDefinition(
        start_on=And(Match("runlevel", ("[2345]",)), Match("ready")), stop_on=Match("down"), emits=("up",),
        processes=(ProcessDefinition(False, "initctl emit other"), None, None, None, None, None)))
    yield service
    service.stop()


def test_b199_conditions_with_their_sources(client: Client) -> None:
    before = time.time()
    client.call(MANAGER, U, "EmitEvent", "sasb", "runlevel", ["RUNLEVEL=2"], False)
    client.sync()
    start_on, stop_on = client.call(WEB, JOB1, "GetConditions")
    (stanza, instance, (runlevel, ready, both)) = start_on
    assert (stanza, instance) == ("start on", "")
    words, met, met_by, last, variables, source = runlevel
    assert (list(words), met, list(met_by), list(variables), source) == (
        ["runlevel", "[2345]"], True, ["RUNLEVEL=2"], ["RUNLEVEL=2"], "source of runlevel")
    assert before - 1 <= last / 1e6 <= time.time() + 1
    assert plain(ready) == [["ready"], False, [], 0, [], "source of ready"]
    assert plain(both) == [["/AND"], False, [], 0, [], ""]
    assert (stop_on[0], plain(stop_on[2])) == ("stop on", [[["down"], False, [], 0, [], "source of down"]])


def plain(value: Any) -> Any:
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_b276_events_that_the_file_emits(client: Client) -> None:
    assert list(client.call(WEB, JOB1, "GetEmittedEvents")) == ["up", "other"]


def test_b199_a_job_without_conditions(service: Service, client: Client) -> None:
    service.define("bare", JobDefinition())
    assert list(client.call(MANAGER + "/jobs/bare", JOB1, "GetConditions")) == []


def test_the_manager_has_no_conditions(client: Client) -> None:
    with pytest.raises(Failed) as caught:
        client.call(MANAGER, JOB1, "GetConditions")
    assert caught.value.name.endswith(".UnknownMethod")

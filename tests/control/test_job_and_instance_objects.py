"""C54-C73: what control makes of calls on classes and instances, and of the engine's announcements."""
from __future__ import annotations

from typing import Any

import pytest

from compat.engine import actions, inputs
from compat.parser.definition import And, JobDefinition, Match, Or
from compat.parser.notation import to_postfix
from tests.control.client import INSTANCE, JOB, MANAGER, PROPERTIES, Client, E, Failed, refusal
from tests.control.service_process import Service

SVC = MANAGER + "/jobs/svc"
CONDITION = Or(And(Match("startup"), Match("runlevel", ("[2345]",))), Match("net-device-up", ("IFACE!=lo",)))
REVERSED = [["startup"], ["runlevel", "[2345]"], ["/AND"], ["net-device-up", "IFACE!=lo"], ["/OR"]]


@pytest.fixture(autouse=True)
def jobs(service: Service) -> None:
    service.define("svc", instances=(("", "start", "running", (("main", 12), ("post-start", 13))), ("a b", "stop", "killed")))


def test_c65_reverse_polish() -> None:
    assert to_postfix(CONDITION) == REVERSED
    assert to_postfix(None) == []
    deep: Any = Match("e")
    for _ in range(5000):
        deep = And(deep, Match("f"))
    assert len(to_postfix(deep)) == 10001


def test_class_properties(service: Service, client: Client) -> None:
    service.define("full", JobDefinition(description="d", author="a", version="v", usage="u", emits=("x", "y"),
                                         start_on=CONDITION, stop_on=Match("bye")))
    assert client.call(MANAGER + "/jobs/full", PROPERTIES, "GetAll", "s", JOB) == {
        "name": "full", "description": "d", "author": "a", "version": "v", "usage": "u", "emits": ["x", "y"],
        "start_on": REVERSED, "stop_on": [["bye"]]}
    assert client.call(SVC, PROPERTIES, "GetAll", "s", "") == {
        "name": "svc", "description": "", "author": "", "version": "", "usage": "", "emits": [], "start_on": [], "stop_on": []}


def test_property_types(client: Client) -> None:
    """The types of the tables in C4.6 and C4.7; C72: the real client wants them exact, also of empty arrays."""
    def types(path: str) -> dict[str, Any]:
        serial = client.send(path, PROPERTIES, "GetAll", "s", "")
        client.reply(serial)
        values = client.answered(serial).get_args_list()[0]
        return {str(name): "a" + value.signature if hasattr(value, "signature") else "s" for name, value in values.items()}

    assert types(SVC) == {"name": "s", "description": "s", "author": "s", "version": "s", "usage": "s", "emits": "as",
                          "start_on": "aas", "stop_on": "aas"}
    assert types(SVC + "/_") == types(SVC + "/a_20b") == {"name": "s", "goal": "s", "state": "s", "processes": "a(si)"}


def test_instance_properties(client: Client) -> None:
    assert client.call(SVC + "/_", PROPERTIES, "GetAll", "s", INSTANCE) == {
        "name": "", "goal": "start", "state": "running", "processes": [("main", 12), ("post-start", 13)]}
    assert client.call(SVC + "/a_20b", PROPERTIES, "GetAll", "s", INSTANCE) == {
        "name": "a b", "goal": "stop", "state": "killed", "processes": []}


def test_instance_look_up(client: Client) -> None:
    assert client.call(SVC, JOB, "GetAllInstances") == [SVC + "/_", SVC + "/a_20b"]
    assert client.call(SVC, JOB, "GetInstanceByName", "s", "a b") == SVC + "/a_20b"
    assert client.call(SVC, JOB, "GetInstanceByName", "s", "") == SVC + "/_"
    assert client.call(SVC, JOB, "GetInstance", "as", ["a b"]) == SVC + "/a_20b"
    assert refusal(client, SVC, JOB, "GetInstanceByName", "s", "c") == (E + "UnknownInstance", "Unknown instance: c")
    assert refusal(client, SVC, JOB, "GetInstance", "as", ["c"]) == (E + "UnknownInstance", "Unknown instance: c")


def test_class_commands(service: Service, client: Client) -> None:
    assert client.call(SVC, JOB, "Start", "asb", ["A=1"], False) == SVC + "/made"
    assert client.call(SVC, JOB, "Stop", "asb", [], False) is None
    assert client.call(SVC, JOB, "Restart", "asb", ["B=2"], False) == SVC + "/made"
    assert [(type(fed), *fed[1:]) for fed in service.fed()] == [
        (inputs.StartJob, "svc", ("A=1",), False), (inputs.StopJob, "svc", (), False), (inputs.RestartJob, "svc", ("B=2",), False)]


def test_instance_commands(service: Service, client: Client) -> None:
    for member in ("Start", "Stop", "Restart"):
        assert client.call(SVC + "/a_20b", INSTANCE, member, "b", False) is None
    assert client.call(SVC + "/_", INSTANCE, "Reload") is None
    assert [(type(fed), *fed[1:]) for fed in service.fed()] == [
        (inputs.StartInstance, "svc", "a b", False), (inputs.StopInstance, "svc", "a b", False),
        (inputs.RestartInstance, "svc", "a b", False), (inputs.ReloadInstance, "svc", "")]


def test_c64_the_instance_may_be_gone_when_its_path_is_returned(service: Service, client: Client) -> None:
    serial = client.send(SVC, JOB, "Start", "asb", [], True)
    client.sync()
    [fed] = service.fed()
    service.forget("svc")
    service.perform([actions.Answer(fed.call, "x/y")])
    assert client.reply(serial) == [SVC + "/x_2fy"]


@pytest.mark.parametrize("error, text", [
    ("AlreadyStarted", "Job is already running: svc (1)"), ("JobFailed", "Job failed to start"), ("UnknownInstance", "Unknown instance: "),
])
def test_c59_c74_refusals_of_the_engine(service: Service, client: Client, error: str, text: str) -> None:
    serial = client.send(SVC, JOB, "Start", "asb", [], True)
    client.sync()
    [fed] = service.fed()
    service.perform([actions.Refuse(fed.call, error, text)])
    with pytest.raises(Failed) as caught:
        client.reply(serial)
    assert (caught.value.name, caught.value.text) == (E + error, text)


def test_c80_signals_and_the_reply_keep_their_order(service: Service, client: Client) -> None:
    serial = client.send(SVC, JOB, "Start", "asb", [], True)
    client.sync()
    client.messages.clear()
    [fed] = service.fed()
    one = SVC + "/1"
    service.perform([
        actions.InstanceAdded("svc", "1"), actions.GoalChanged("svc", "1", "start"), actions.StateChanged("svc", "1", "running"),
        actions.JobFailed("svc", "1", 7), actions.Answer(fed.call, "1"), actions.InstanceRemoved("svc", "1"),
        actions.EventEmitted("started", ("JOB=svc", "INSTANCE=1"))])
    client.reply(serial)
    client.sync()
    assert client.trace()[:7] == [
        ("InstanceAdded", SVC, one), ("GoalChanged", one, "start"), ("StateChanged", one, "running"), ("Failed", one, 7),
        ("reply", one), ("InstanceRemoved", SVC, one), ("EventEmitted", MANAGER, "started", ["JOB=svc", "INSTANCE=1"])]


@pytest.mark.parametrize("status", [0, -1, 7, 9 << 8])
def test_c73_failed_carries_the_status(service: Service, client: Client, status: int) -> None:
    service.perform([actions.JobFailed("svc", "", status)])
    assert client.signals() == [("Failed", SVC + "/_", status)]


def test_signals_have_their_interfaces(service: Service, client: Client) -> None:
    service.perform([actions.JobAdded("svc"), actions.InstanceAdded("svc", ""), actions.StateChanged("svc", "", "running")])
    client.sync()
    assert [message.get_interface() for message in client.messages[:3]] == ["com.ubuntu.Upstart0_6", JOB, INSTANCE]

"""C38-C53 and C81-C89, as far as control decides them; the engine's part is played by the fake."""
from __future__ import annotations

import os
from typing import Any, Iterator

import pytest
from dbus.types import UnixFd

from compat.engine import actions, inputs
from tests.control.client import MANAGER, PROPERTIES, Client, E, F, Failed, U, refusal
from tests.control.service_process import Service


@pytest.fixture(scope="module")
def process_one() -> Iterator[Service]:
    service = Service(pid1=True)
    yield service
    service.stop()


@pytest.fixture
def client_of_process_one(process_one: Service) -> Iterator[Client]:
    process_one.reset()
    client = Client(process_one.address)
    yield client
    client.close()


def test_c38_reload_configuration(service: Service, client: Client) -> None:
    service.log()
    assert client.call(MANAGER, U, "ReloadConfiguration") is None
    assert service.service_calls() == ["reload"]
    assert service.log() == [(actions.INFO, "Reloading configuration")]


def test_c39_get_job_by_name(service: Service, client: Client) -> None:
    service.define("foo-bar.baz")
    assert client.call(MANAGER, U, "GetJobByName", "s", "foo-bar.baz") == MANAGER + "/jobs/foo_2dbar_2ebaz"
    assert refusal(client, MANAGER, U, "GetJobByName", "s", "") == (F + "InvalidArgs", "Name may not be empty string")
    assert refusal(client, MANAGER, U, "GetJobByName", "s", "nosuch") == (E + "UnknownJob", "Unknown job: nosuch")


def test_c40_jobs_come_in_the_engines_order(service: Service, client: Client) -> None:
    for name in ("svc", "failtask", "café", "task"):
        service.define(name)
    assert client.call(MANAGER, U, "GetAllJobs") == [MANAGER + "/jobs/" + name for name in ("svc", "failtask", "caf_c3_a9", "task")]


def test_c41_emit_event_arguments(service: Service, client: Client) -> None:
    assert refusal(client, MANAGER, U, "EmitEvent", "sasb", "", [], False) == (F + "InvalidArgs", "Name may not be empty string")
    assert refusal(client, MANAGER, U, "EmitEvent", "sasb", "x", ["A=1", "X"], False) == (F + "InvalidArgs", "Env must be KEY=VALUE pairs")
    assert service.fed() == []
    client.call(MANAGER, U, "EmitEvent", "sasb", "a b/c é", ["=X", "A=é=2"], False)
    [fed] = service.fed()
    assert fed == inputs.EmitEvent(fed.call, "a b/c é", ("=X", "A=é=2"), False, -1)
    assert [type(value) for value in (fed.name, fed.env[0], fed.wait)] == [str, str, bool]


def test_c42_waiting_emit(service: Service, client: Client) -> None:
    first = client.send(MANAGER, U, "EmitEvent", "sasb", "one", [], True)
    second = client.send(MANAGER, U, "EmitEvent", "sasb", "two", [], True)
    client.sync()
    one, two = (fed.call for fed in service.fed())
    assert client.answered(first) is None and client.answered(second) is None
    assert service.status()[2] == 2
    service.perform([actions.Refuse(two, "EventFailed", "Event failed"), actions.Answer(one)])
    assert client.reply(first) == []
    with pytest.raises(Failed) as caught:
        client.reply(second)
    assert (caught.value.name, caught.value.text) == (E + "EventFailed", "Event failed")
    assert [each[0] for each in client.trace()[-2:]] == ["error", "reply"]
    assert service.status()[2] == 0


def test_c43_event_emitted_follows_the_reply_of_its_caller(service: Service, client: Client) -> None:
    serial = client.send(MANAGER, U, "EmitEvent", "sasb", "hello", ["A=b"], True)
    client.sync()
    client.messages.clear()
    [fed] = service.fed()
    service.perform([actions.Answer(fed.call), actions.EventEmitted("hello", ("A=b",))])
    client.reply(serial)
    client.sync()
    assert client.trace()[:2] == [("reply",), ("EventEmitted", MANAGER, "hello", ["A=b"])]


def test_c44_emit_event_with_file(service: Service, client: Client) -> None:
    read, write = os.pipe()
    before = service.status()[0]
    client.call(MANAGER, U, "EmitEventWithFile", "sasbh", "piped", ["A=1"], False, UnixFd(write))
    [fed] = service.fed()
    assert fed[1:4] == ("piped", ("A=1",), False)
    status = os.fstat(write)
    assert service.fd_identity(fed.fd) == (status.st_dev, status.st_ino)
    assert service.status()[0] == before + 1
    os.close(read)
    os.close(write)


def test_c44_a_refused_descriptor_is_closed(service: Service, client: Client) -> None:
    read, write = os.pipe()
    before = service.status()[0]
    for name, env in (("", []), ("x", ["bad"])):
        refusal(client, MANAGER, U, "EmitEventWithFile", "sasbh", name, env, False, UnixFd(write))
    # Descriptors sent where none is expected.
    refusal(client, MANAGER, U, "EmitEvent", "sasbh", "x", [], False, UnixFd(write))
    refusal(client, MANAGER, U, "Nonsense", "h", UnixFd(write))
    assert service.status()[0] == before
    os.close(read)
    os.close(write)


def test_c45_version(client: Client) -> None:
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", U, "version") == "init (upstart 1.13.2)"


@pytest.mark.parametrize("priority", ["debug", "info", "message", "warn", "error", "fatal"])
def test_c46_log_priority(client: Client, priority: str) -> None:
    client.call(MANAGER, PROPERTIES, "Set", "ssv", U, "log_priority", priority)
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", U, "log_priority") == priority


@pytest.mark.parametrize("priority", ["DEBUG", "", "notice"])
def test_c46_other_priorities(client: Client, priority: str) -> None:
    assert refusal(client, MANAGER, PROPERTIES, "Set", "ssv", U, "log_priority", priority) == (
        F + "InvalidArgs", "The log priority given was not recognised")
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", U, "log_priority") == "message"


def test_c49_notify_disk_writeable(service: Service, client: Client) -> None:
    assert client.call(MANAGER, U, "NotifyDiskWriteable") is None
    assert service.service_calls() == ["write"]


def test_c51_notify_cgroup_manager_address(client: Client) -> None:
    assert client.call(MANAGER, U, "NotifyCGroupManagerAddress", "s", "unix:path=/x") is None


def test_c47_get_state(client: Client) -> None:
    assert client.call(MANAGER, U, "GetState") == "{}"


def test_c48_restart_is_not_answered(service: Service, client: Client) -> None:
    client.send(MANAGER, U, "Restart")
    assert client.call(MANAGER, U, "GetState") == "{}"
    assert service.service_calls() == ["re-execute"]


def test_c52_end_session(service: Service, client: Client) -> None:
    assert client.call(MANAGER, U, "EndSession") is None
    assert client.call(MANAGER, U, "EndSession") is None
    assert service.service_calls() == ["end", "end"]


def test_c52_not_in_process_1(process_one: Service, client_of_process_one: Client) -> None:
    assert client_of_process_one.call(MANAGER, U, "EndSession") is None
    assert process_one.service_calls() == []


def test_c50_not_in_process_1(client_of_process_one: Client) -> None:
    assert refusal(client_of_process_one, MANAGER, U, "NotifyDBusAddress", "s", "garbage") == (
        E + "PermissionDenied", "Not permissible to notify D-Bus address for PID 1")


@pytest.mark.parametrize("call", [
    ("SetEnv", "assb", [], "A=1", True), ("SetEnvList", "asasb", [], ["A=1"], True), ("UnsetEnv", "ass", [], "A"),
    ("UnsetEnvList", "asas", [], ["A"]), ("ResetEnv", "as", []), ("SetEnv", "assb", ["", ""], "A=1", True),
])
def test_c82_process_1_keeps_its_table(process_one: Service, client_of_process_one: Client, call: Any) -> None:
    assert refusal(client_of_process_one, MANAGER, U, *call) == (
        E + "PermissionDenied", "Not permissible to modify PID 1 job environment")
    assert process_one.fed() == []


def test_c82_process_1_shows_its_table(client_of_process_one: Client) -> None:
    assert client_of_process_one.call(MANAGER, U, "ListEnv", "as", []) == ["PATH=/bin", "TERM=linux"]
    assert client_of_process_one.call(MANAGER, U, "GetEnv", "ass", [], "TERM") == "linux"


@pytest.mark.parametrize("details, job, instance", [([], None, None), (["svc"], "svc", None), (["svc", ""], "svc", "")])
def test_c81_which_table(service: Service, client: Client, details: Any, job: Any, instance: Any) -> None:
    client.call(MANAGER, U, "SetEnv", "assb", details, "A=1", True)
    client.call(MANAGER, U, "SetEnvList", "asasb", details, ["B", "C=2"], False)
    client.call(MANAGER, U, "UnsetEnv", "ass", details, "A")
    client.call(MANAGER, U, "UnsetEnvList", "asas", details, ["B", "C"])
    client.call(MANAGER, U, "ResetEnv", "as", details)
    assert [(type(fed), *fed[1:]) for fed in service.fed()] == [
        (inputs.SetEnv, job, instance, ("A=1",), True), (inputs.SetEnv, job, instance, ("B", "C=2"), False),
        (inputs.UnsetEnv, job, instance, ("A",)), (inputs.UnsetEnv, job, instance, ("B", "C")), (inputs.ResetEnv, job, instance)]


@pytest.mark.parametrize("call", [
    ("GetEnv", "ass", [""], "A"), ("ListEnv", "as", ["", "x"]), ("SetEnv", "assb", ["", ""], "A=1", True), ("ResetEnv", "as", [""]),
])
def test_c81_no_job_name(client: Client, call: Any) -> None:
    assert refusal(client, MANAGER, U, *call) == (F + "InvalidArgs", "Job may not be empty string")


def test_c81_what_the_engine_refuses_to_show(client: Client) -> None:
    assert refusal(client, MANAGER, U, "ListEnv", "as", ["svc", "x"]) == (E + "UnknownJobInstance", "Unknown instance: x of job svc")
    assert refusal(client, MANAGER, U, "GetEnv", "ass", [], "NOPE") == (F + "InvalidArgs", "No such variable: NOPE")


def test_c53_job_added_and_removed(service: Service, client: Client) -> None:
    service.perform([actions.JobAdded("a b"), actions.JobRemoved("a b")])
    assert client.signals() == [("JobAdded", MANAGER, MANAGER + "/jobs/a_20b"), ("JobRemoved", MANAGER, MANAGER + "/jobs/a_20b")]


def test_5000_classes_cost_nothing(service: Service, client: Client) -> None:
    descriptors = service.status()[0]
    service.define_many(5000)
    paths = client.call(MANAGER, U, "GetAllJobs")
    assert len(paths) == 5000
    assert client.call(paths[4999], PROPERTIES, "Get", "ss", "", "name") == "job-4999"
    assert service.status()[0] == descriptors

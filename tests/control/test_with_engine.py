"""The service with the real engine on simulated processes: what a client sees, C54-C89."""
from __future__ import annotations

import os
from typing import Any, Iterator

import pytest
from dbus.types import UnixFd

from compat.parser.definition import JobDefinition, Match, ProcessDefinition
from tests.control.client import INSTANCE, JOB, MANAGER, PROPERTIES, Client, E, F, Failed, U, refusal
from tests.control.service_process import Service

JOBS = MANAGER + "/jobs/"
MAIN, PRE_START, POST_START, PRE_STOP, POST_STOP = range(5)


def definition(*slots: int, **fields: Any) -> JobDefinition:
    """A job with a command in these slots."""
    processes = tuple(ProcessDefinition(False, f"exec {slot}") if slot in slots else None for slot in range(6))
    return JobDefinition(processes=processes, **fields)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service(engine=True)
    service.define("svc", definition(MAIN))
    service.define("multi", definition(MAIN, instance="$N", usage="multi N=number"))
    yield service
    service.stop()


def short(client: Client) -> list[str]:
    """The trace in the words of C80; ``EE starting`` is left out, for it may come at several places."""
    client.sync()
    words = []
    for name, *rest in client.trace()[:-1]:
        words.append({"GoalChanged": "G", "StateChanged": "S", "EventEmitted": "EE"}.get(name, name)
                     + (" " + str(rest[1]) if name in ("GoalChanged", "StateChanged", "EventEmitted", "Failed") else "")
                     + (" " + str(rest[0]).rsplit(".", 1)[1] if name == "error" else ""))
    client.messages.clear()
    return [word for word in words if word != "EE starting"]


STARTING = ["S security-spawning", "S security", "S pre-starting", "S pre-start", "S spawning", "S spawned", "S post-starting",
            "S post-start", "S running"]


def test_c80_start_stop_restart(client: Client) -> None:
    svc = JOBS + "svc"
    assert client.call(svc, JOB, "Start", "asb", [], True) == svc + "/_"
    assert short(client) == ["InstanceAdded", "G start", "S starting", *STARTING, "reply", "EE started"]

    assert client.call(svc, JOB, "Restart", "asb", [], True) == svc + "/_"
    assert short(client) == ["G stop", "S pre-stopping", "S pre-stop", "S stopping", "G start", "S killed", "EE stopping",
                             "S post-stopping", "S post-stop", "S starting", *STARTING, "reply", "EE started"]

    client.call(svc, JOB, "Stop", "asb", [], True)
    assert short(client) == ["G stop", "S pre-stopping", "S pre-stop", "S stopping", "S killed", "EE stopping", "S post-stopping",
                             "S post-stop", "S waiting", "reply", "InstanceRemoved", "EE stopped"]


def test_c77_c80_start_without_waiting(client: Client) -> None:
    client.call(JOBS + "svc", JOB, "Start", "asb", [], False)
    client.wait(lambda: any(each[0] == "EventEmitted" and each[2] == "started" for each in client.trace()))
    assert short(client)[:5] == ["InstanceAdded", "G start", "S starting", "reply", "S security-spawning"]


def test_c73_c75_c80_failing_pre_start(service: Service, client: Client) -> None:
    service.define("failpre", definition(MAIN, PRE_START))
    serial = client.send(JOBS + "failpre", JOB, "Start", "asb", [], True)
    client.wait(lambda: ("StateChanged", JOBS + "failpre/_", "pre-start") in client.trace())
    service.finish("failpre", "pre-start", 7)
    with pytest.raises(Failed) as caught:
        client.reply(serial)
    assert (caught.value.name, caught.value.text) == (E + "JobFailed", "Job failed to start")
    client.wait(lambda: any(each[0] == "EventEmitted" and each[2] == "stopped" for each in client.trace()))
    trace = short(client)
    assert trace[trace.index("S pre-start") + 1:] == [
        "Failed 7", "error JobFailed", "G stop", "S stopping", "S killed", "S post-stopping", "S post-stop", "S waiting",
        "InstanceRemoved", "EE stopping", "EE stopped"]


def test_c43_c80_emit_event(client: Client) -> None:
    client.call(MANAGER, U, "EmitEvent", "sasb", "hello", ["A=b"], True)
    assert short(client) == ["reply", "EE hello"]


def test_c40_order_of_jobs(service: Service, client: Client) -> None:
    service.forget("svc")
    service.forget("multi")
    names = ["svc", "failtask", "failpre", "task", "poststart", "multi", "nomain", "foo-bar.baz"]
    for name in sorted(names):
        service.define(name)
    assert client.call(MANAGER, U, "GetAllJobs") == [
        JOBS + name for name in ("svc", "failtask", "failpre", "task", "poststart", "multi", "nomain", "foo_2dbar_2ebaz")]


def test_c42_c44_descriptor_of_an_event(service: Service, client: Client) -> None:
    service.define("reader", definition(MAIN, start_on=Match("piped"), task=True))
    read, write = os.pipe()
    descriptors = service.status()[0]
    serial = client.send(MANAGER, U, "EmitEventWithFile", "sasbh", "piped", [], True, UnixFd(write))
    client.wait(lambda: ("StateChanged", JOBS + "reader/_", "running") in client.trace())
    assert service.environment("reader", "main")["UPSTART_FDS"].isdigit()
    assert service.status()[0] > descriptors
    service.finish("reader", "main")
    client.reply(serial)
    client.wait(lambda: any(each[0] == "EventEmitted" and each[2] == "piped" for each in client.trace()))
    assert service.status()[0] == descriptors
    os.close(read)
    os.close(write)


def test_c42_failing_task(service: Service, client: Client) -> None:
    service.define("failtask", definition(MAIN, start_on=Match("go"), task=True))
    serial = client.send(MANAGER, U, "EmitEvent", "sasb", "go", [], True)
    client.wait(lambda: ("StateChanged", JOBS + "failtask/_", "running") in client.trace())
    service.finish("failtask", "main", 1)
    with pytest.raises(Failed) as caught:
        client.reply(serial)
    assert (caught.value.name, caught.value.text) == (E + "EventFailed", "Event failed")


def test_c53_c66_definitions_come_and_go(service: Service, client: Client) -> None:
    service.define("new")
    service.define("new")
    service.forget("new")
    path = JOBS + "new"
    assert client.signals() == [("JobAdded", MANAGER, path), ("JobRemoved", MANAGER, path), ("JobAdded", MANAGER, path),
                                ("JobRemoved", MANAGER, path)]
    client.call(JOBS + "svc", JOB, "Start", "asb", [], True)
    service.forget("svc")
    client.messages.clear()
    client.call(JOBS + "svc/_", INSTANCE, "Stop", "b", True)
    trace = short(client)
    assert "JobRemoved" in trace and "InstanceRemoved" not in trace


def test_c55_c56_c57_texts(client: Client) -> None:
    svc, multi = JOBS + "svc", JOBS + "multi"
    assert refusal(client, svc, JOB, "GetInstance", "as", []) == (E + "UnknownInstance", "Unknown instance: ")
    assert refusal(client, svc, JOB, "Stop", "asb", [], True) == (E + "UnknownInstance", "Unknown instance: ")
    unknown = "Unknown parameter: N"
    assert refusal(client, multi, JOB, "GetInstance", "as", []) == (F + "InvalidArgs", unknown + "\nUsage: multi N=number")
    assert refusal(client, multi, JOB, "Start", "asb", [], True) == (F + "InvalidArgs", unknown + "\nUsage: multi N=number")
    assert refusal(client, multi, JOB, "Stop", "asb", [], True) == (F + "InvalidArgs", unknown)
    assert refusal(client, multi, JOB, "Start", "asb", ["X"], True) == (F + "InvalidArgs", "Env must be KEY=VALUE pairs")


def test_c59_c60_c63_c67_c68_already(service: Service, client: Client) -> None:
    multi = JOBS + "multi"
    assert client.call(multi, JOB, "Start", "asb", ["N=1"], True) == multi + "/1"
    assert client.call(multi, JOB, "Start", "asb", ["N="], True) == multi + "/_"
    running = (E + "AlreadyStarted", "Job is already running: multi (1)")
    assert refusal(client, multi, JOB, "Start", "asb", ["N=1"], True) == running
    assert refusal(client, multi + "/1", INSTANCE, "Start", "b", True) == running
    service.define("slow", definition(MAIN, POST_STOP))
    client.call(JOBS + "slow", JOB, "Start", "asb", [], True)
    client.call(JOBS + "slow", JOB, "Stop", "asb", [], False)
    stopped = (E + "AlreadyStopped", "Job has already been stopped: slow")
    assert refusal(client, JOBS + "slow", JOB, "Stop", "asb", [], True) == stopped
    assert refusal(client, JOBS + "slow/_", INSTANCE, "Stop", "b", True) == stopped
    assert refusal(client, JOBS + "slow/_", INSTANCE, "Restart", "b", True) == stopped
    assert refusal(client, JOBS + "slow", JOB, "Restart", "asb", [], True)[0] == E + "AlreadyStopped"


def test_c70_reload(service: Service, client: Client) -> None:
    service.define("svc2", definition(MAIN, POST_STOP, reload_signal=10))
    client.call(JOBS + "svc2", JOB, "Start", "asb", [], True)
    service.ignore("svc2", "main", 10)
    assert client.call(JOBS + "svc2/_", INSTANCE, "Reload") is None
    assert 10 in service.signals_of("svc2", "main")
    client.call(JOBS + "svc2", JOB, "Stop", "asb", [], False)
    client.wait(lambda: ("StateChanged", JOBS + "svc2/_", "post-stop") in client.trace())
    assert refusal(client, JOBS + "svc2/_", INSTANCE, "Reload") == (E + "NotRunning", "Job is not running: svc2")


def test_c72_processes(service: Service, client: Client) -> None:
    service.define("slow", definition(MAIN, POST_START))
    client.call(JOBS + "slow", JOB, "Start", "asb", [], False)
    client.wait(lambda: ("StateChanged", JOBS + "slow/_", "post-start") in client.trace())
    processes = client.call(JOBS + "slow/_", PROPERTIES, "Get", "ss", INSTANCE, "processes")
    assert [name for name, pid in processes] == ["main", "post-start"]


def test_c78_who_waits_is_released_with_success(service: Service, client: Client) -> None:
    service.define("slow", definition(MAIN, POST_STOP))
    client.call(JOBS + "slow", JOB, "Start", "asb", [], True)
    stop = client.send(JOBS + "slow", JOB, "Stop", "asb", [], True)
    client.sync()
    assert client.answered(stop) is None
    client.call(JOBS + "slow", JOB, "Start", "asb", [], False)
    assert client.reply(stop) == []


def test_c81_c89_the_environment_table(client: Client) -> None:
    def listed(details: list[str]) -> Any:
        return client.call(MANAGER, U, "ListEnv", "as", details)

    assert sorted(listed([])) == ["PATH=/bin", "TERM=linux"]
    client.call(JOBS + "svc", JOB, "Start", "asb", [], True)
    client.call(MANAGER, U, "SetEnvList", "asasb", [], ["ZQ=1", "ZQX=2", "EMPTY"], True)
    client.call(MANAGER, U, "SetEnv", "assb", [], "ZQ=3", False)
    assert client.call(MANAGER, U, "GetEnv", "ass", [], "ZQ") == "1"
    assert client.call(MANAGER, U, "GetEnv", "ass", [], "EMPTY") == ""
    assert [entry for entry in listed([]) if entry[0] in "ZE"] == ["ZQ=1", "ZQX=2", "EMPTY="]
    assert "ZQ=1" in listed(["svc", ""])
    client.call(MANAGER, U, "UnsetEnv", "ass", [], "ZQX")
    assert "ZQ=1" in listed([]) and "ZQX=2" not in listed([])
    client.call(MANAGER, U, "ResetEnv", "as", [])
    assert sorted(listed([])) == ["PATH=/bin", "TERM=linux"]
    assert "ZQ=1" in listed(["svc", ""])
    assert refusal(client, MANAGER, U, "GetEnv", "ass", [], "NOPE") == (F + "InvalidArgs", "No such variable: NOPE")
    assert refusal(client, MANAGER, U, "GetEnv", "ass", [], "") == (F + "InvalidArgs", "Variable may not be empty string")
    assert refusal(client, MANAGER, U, "ListEnv", "as", ["nosuch", ""]) == (E + "UnknownJob", "Unknown job: nosuch")
    assert refusal(client, MANAGER, U, "ListEnv", "as", ["multi", "7"]) == (E + "UnknownJobInstance", "Unknown instance: 7 of job multi")
    assert refusal(client, MANAGER, U, "ListEnv", "as", ["multi"]) == (E + "UnknownJobInstance", "Unknown instance: (null) of job multi")


def test_c29_no_properties_changed(client: Client) -> None:
    client.call(JOBS + "svc", JOB, "Start", "asb", [], True)
    client.call(JOBS + "svc", JOB, "Stop", "asb", [], True)
    assert "PropertiesChanged" not in [each[0] for each in client.signals()]

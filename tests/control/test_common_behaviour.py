"""C20-C31: what holds for every object."""
from __future__ import annotations

import errno
import os
from typing import Any, Iterator
from xml.etree import ElementTree

import pytest

from compat.engine.actions import ERROR
from tests.control.client import INSTANCE, INTROSPECTABLE, JOB, MANAGER, PROPERTIES, Client, E, F, Failed, U
from tests.control.service_process import Service

SVC = MANAGER + "/jobs/svc"
ONE = SVC + "/1"


@pytest.fixture(autouse=True)
def jobs(service: Service) -> None:
    service.define("svc", instances=(("1", "start", "running", (("main", 12), ("post-start", 13))),))
    service.define("net/if-up")


def refused(client: Client, *call: Any) -> Failed:
    with pytest.raises(Failed) as caught:
        client.call(*call)
    return caught.value


@pytest.mark.parametrize("path", [
    MANAGER + "/jobs", MANAGER + "/jobs/nosuch", SVC + "/2", ONE + "/x", "/com/ubuntu", "/",
    MANAGER + "/jobs/s_76c", MANAGER + "/jobsx/svc",
])
def test_c20_c22_no_object(client: Client, path: str) -> None:
    failed = refused(client, path, JOB, "GetAllInstances")
    assert failed.name == F + "UnknownMethod"
    assert failed.text == f'Method "GetAllInstances" with signature "" on interface "{JOB}" doesn\'t exist\n'


@pytest.mark.parametrize("call, text", [
    ((MANAGER, U, "Nonsense", "si", "x", 1), f'Method "Nonsense" with signature "si" on interface "{U}" doesn\'t exist\n'),
    ((MANAGER, "a.b", "GetAllJobs"), 'Method "GetAllJobs" with signature "" on interface "a.b" doesn\'t exist\n'),
    ((SVC, U, "GetAllJobs"), f'Method "GetAllJobs" with signature "" on interface "{U}" doesn\'t exist\n'),
    ((ONE, JOB, "GetAllInstances"), f'Method "GetAllInstances" with signature "" on interface "{JOB}" doesn\'t exist\n'),
    ((MANAGER, None, "Nonsense"), 'Method "Nonsense" with signature "" on interface "(null)" doesn\'t exist\n'),
])
def test_c22_unknown_member(client: Client, call: Any, text: str) -> None:
    failed = refused(client, *call)
    assert (failed.name, failed.text) == (F + "UnknownMethod", text)


def test_c20_vanished_instance_is_unknown_method(service: Service, client: Client) -> None:
    assert client.call(ONE, PROPERTIES, "Get", "ss", INSTANCE, "name") == "1"
    service.forget("svc")
    assert refused(client, ONE, PROPERTIES, "GetAll", "s", INSTANCE).name == F + "UnknownMethod"


@pytest.mark.parametrize("call", [
    (MANAGER, U, "GetJobByName", "i", 1),
    (MANAGER, U, "GetJobByName", "ss", "a", "b"),
    (MANAGER, U, "GetJobByName"),
    (MANAGER, U, "EmitEvent", "sasi", "a", [], 1),
    (MANAGER, U, "EmitEventWithFile", "sasb", "a", [], True),
    (MANAGER, U, "ReloadConfiguration", "s", "x"),
    (SVC, JOB, "Start", "as", []),
    (ONE, INSTANCE, "Reload", "b", True),
    (MANAGER, PROPERTIES, "Get", "s", U),
    (MANAGER, PROPERTIES, "Set", "sss", U, "version", "x"),
    (MANAGER, PROPERTIES, "GetAll"),
    (MANAGER, INTROSPECTABLE, "Introspect", "s", "x"),
])
def test_c23_wrong_arguments(service: Service, client: Client, call: Any) -> None:
    failed = refused(client, *call)
    assert (failed.name, failed.text) == (F + "InvalidArgs", f"Invalid arguments to {call[2]} method")
    assert service.fed() == []


def test_c24_no_interface(client: Client) -> None:
    assert client.call(MANAGER, None, "GetJobByName", "s", "svc") == SVC
    assert client.call(SVC, None, "GetAllInstances") == [ONE]
    assert client.call(ONE, None, "Get", "ss", "", "goal") == "start"
    assert "<interface" in client.call(MANAGER, None, "Introspect")


def test_c25_no_reply_expected(service: Service, client: Client) -> None:
    client.send(MANAGER, U, "EmitEvent", "sasb", "silent", [], False, no_reply=True)
    client.send(MANAGER, U, "GetAllJobs", no_reply=True)
    serial = client.send(MANAGER, U, "GetJobByName", "s", "nosuch", no_reply=True)
    with pytest.raises(Failed) as caught:
        client.reply(serial)
    assert caught.value.name == E + "UnknownJob"
    client.sync()
    assert client.trace() == [("error", E + "UnknownJob"), ("reply",)]
    assert [fed.name for fed in service.fed()] == ["silent"]


def test_c26_get(client: Client) -> None:
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", "", "version") == "init (upstart 1.13.2)"
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", U, "version") == "init (upstart 1.13.2)"
    for interface, name in (("bad.iface", "version"), (U, "nosuch"), ("", "nosuch"), (JOB, "version")):
        failed = refused(client, MANAGER, PROPERTIES, "Get", "ss", interface, name)
        assert failed.name == F + "UnknownMethod"
        assert failed.text == f'Method "Get" with signature "ss" on interface "{PROPERTIES}" doesn\'t exist\n'


def test_c27_get_all(client: Client) -> None:
    everything = {"version": "init (upstart 1.13.2)", "log_priority": "message"}
    assert client.call(MANAGER, PROPERTIES, "GetAll", "s", "") == everything
    assert client.call(MANAGER, PROPERTIES, "GetAll", "s", U) == everything
    assert client.call(MANAGER, PROPERTIES, "GetAll", "s", "bad.iface") == {}


def test_c28_set(service: Service, client: Client) -> None:
    failed = refused(client, MANAGER, PROPERTIES, "Set", "ssv", U, "version", "x")
    assert (failed.name, failed.text) == (F + "AccessDenied", "The version property is read-only")
    failed = refused(client, ONE, PROPERTIES, "Set", "ssv", INSTANCE, "goal", 1)
    assert (failed.name, failed.text) == (F + "AccessDenied", "The goal property is read-only")
    from dbus import ObjectPath, String
    for value in (1, True, ["debug"], ObjectPath("/debug"), String("debug", variant_level=2)):
        failed = refused(client, MANAGER, PROPERTIES, "Set", "ssv", U, "log_priority", value)
        assert (failed.name, failed.text) == (F + "InvalidArgs", "Invalid arguments to log_priority property")
    assert refused(client, MANAGER, PROPERTIES, "Set", "ssv", U, "nosuch", "x").name == F + "UnknownMethod"
    assert client.call(MANAGER, PROPERTIES, "Set", "ssv", "", "log_priority", "debug") is None
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", U, "log_priority") == "debug"


def introspect(client: Client, path: str) -> ElementTree.Element:
    return ElementTree.fromstring(client.call(path, INTROSPECTABLE, "Introspect"))


def test_c30_introspection_of_the_manager(client: Client) -> None:
    node = introspect(client, MANAGER)
    assert node.get("name") == MANAGER
    assert [each.get("name") for each in node.findall("interface")] == [U, PROPERTIES, INTROSPECTABLE]
    assert [each.get("name") for each in node.findall("node")] == ["jobs"]
    method = node.find(f"interface[@name='{U}']/method[@name='EmitEventWithFile']")
    assert method is not None
    assert [dict(argument.attrib) for argument in method] == [
        {"name": "name", "type": "s", "direction": "in"}, {"name": "env", "type": "as", "direction": "in"},
        {"name": "wait", "type": "b", "direction": "in"}, {"name": "file", "type": "h", "direction": "in"}]
    assert {each.get("name"): each.get("access") for each in node.iter("property")} == {"version": "read", "log_priority": "readwrite"}


def test_c30_children(client: Client) -> None:
    def children(path: str) -> list[Any]:
        return [each.get("name") for each in introspect(client, path).findall("node")]

    assert children("/") == ["com"]
    assert children("/com") == ["ubuntu"]
    assert children("/com/ubuntu") == ["Upstart"]
    assert children(MANAGER + "/jobs") == ["svc", "net_2fif_2dup"]
    assert children(SVC) == ["1"]
    assert children(ONE) == []


def test_c20_introspect_and_ping_work_everywhere(client: Client) -> None:
    for path in ("/nowhere", MANAGER + "/jobs/nosuch", SVC + "/2"):
        assert list(introspect(client, path)) == []
        assert client.call(path, "org.freedesktop.DBus.Peer", "Ping") is None
    assert len(client.call(MANAGER, "org.freedesktop.DBus.Peer", "GetMachineId")) == 32


def test_c30_every_method_of_the_tables_is_introspected(client: Client) -> None:
    def table(path: str, own: str) -> dict[Any, Any]:
        return {method.get("name"): tuple("".join(argument.attrib["type"] for argument in method if argument.get("direction") == direction)
                                          for direction in ("in", "out"))
                for method in introspect(client, path).iterfind(f"interface[@name='{own}']/method")}

    assert table(MANAGER, U) == {
        "ReloadConfiguration": ("", ""), "GetJobByName": ("s", "o"), "GetAllJobs": ("", "ao"), "EmitEvent": ("sasb", ""),
        "EmitEventWithFile": ("sasbh", ""), "GetEnv": ("ass", "s"), "SetEnv": ("assb", ""), "SetEnvList": ("asasb", ""),
        "UnsetEnv": ("ass", ""), "UnsetEnvList": ("asas", ""), "ListEnv": ("as", "as"), "ResetEnv": ("as", ""),
        "NotifyDiskWriteable": ("", ""), "NotifyDBusAddress": ("s", ""), "NotifyCGroupManagerAddress": ("s", ""), "EndSession": ("", ""),
        "GetState": ("", "s"), "Restart": ("", "")}
    assert table(SVC, JOB) == {
        "GetInstance": ("as", "o"), "GetInstanceByName": ("s", "o"), "GetAllInstances": ("", "ao"),
        "Start": ("asb", "o"), "Stop": ("asb", ""), "Restart": ("asb", "o")}
    assert table(ONE, INSTANCE) == {"Start": ("b", ""), "Stop": ("b", ""), "Restart": ("b", ""), "Reload": ("", "")}


def test_c31_system_errors(service: Service, client: Client) -> None:
    service.fail_writing(errno.EROFS)
    failed = refused(client, MANAGER, U, "NotifyDiskWriteable")
    assert (failed.name, failed.text) == (F + "Failed", os.strerror(errno.EROFS))


def test_an_internal_error_is_logged_and_answered(service: Service, client: Client) -> None:
    service.log()
    failed = refused(client, MANAGER, U, "EmitEvent", "sasb", "raise", [], True)
    assert failed.name == F + "Failed"
    assert failed.text.startswith("Internal error: RuntimeError: the engine broke (")
    [(priority, text)] = service.log()
    assert priority == ERROR
    assert text.startswith(f"EmitEvent on {MANAGER}: RuntimeError: the engine broke (")
    assert service.status()[2] == 0
    assert client.call(MANAGER, U, "GetAllJobs") == [SVC, MANAGER + "/jobs/net_2fif_2dup"]


@pytest.fixture
def odd_text(service: Service) -> Iterator[str]:
    from compat.parser.definition import JobDefinition
    service.define("odd", JobDefinition(description="a\udcff\0é", emits=("\udc80",)))
    yield MANAGER + "/jobs/odd"


def test_text_that_is_not_utf8_is_replaced(client: Client, odd_text: str) -> None:
    values = client.call(odd_text, PROPERTIES, "GetAll", "s", JOB)
    assert values["description"] == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}é"
    assert values["emits"] == ["\N{REPLACEMENT CHARACTER}"]

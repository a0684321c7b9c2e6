"""C33-C37: the check in the daemon, and the shipped policy on a real bus."""
from __future__ import annotations

import os
from typing import Any, Callable, Iterator

import pytest
from dbus.types import UnixFd

from tests.control.client import (
    ALLOW_ALL,
    INSTANCE,
    INTROSPECTABLE,
    JOB,
    MANAGER,
    PROPERTIES,
    SYSTEM_RULES,
    BusDaemon,
    Client,
    E,
    F,
    Failed,
    U,
    as_user,
)
from tests.control.service_process import Service

SVC = MANAGER + "/jobs/svc"
NAME = "com.ubuntu.Upstart"
POLICY = os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "dbus", "com.ubuntu.Upstart.conf")
root_only = pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
STRANGER = 65534

#: Not among the others, because where it is allowed it is never answered (C48).
RESTART = ((MANAGER, U, "Restart"), "request restart")
DENIALS = [
    ((MANAGER, U, "ReloadConfiguration"), "reload configuration"),
    ((MANAGER, U, "EmitEvent", "sasb", "x", [], False), "emit an event"),
    ((MANAGER, U, "EmitEventWithFile", "sasbh", "x", [], False, 0), "emit an event"),
    ((MANAGER, PROPERTIES, "Set", "ssv", U, "log_priority", "info"), "set log priority"),
    ((MANAGER, U, "SetEnv", "assb", [], "A=1", True), "modify job environment"),
    ((MANAGER, U, "SetEnvList", "asasb", [], ["A=1"], True), "modify job environment"),
    ((MANAGER, U, "UnsetEnv", "ass", [], "A"), "modify job environment"),
    ((MANAGER, U, "UnsetEnvList", "asas", [], ["A"]), "modify job environment"),
    ((MANAGER, U, "ResetEnv", "as", []), "modify job environment"),
    ((MANAGER, U, "GetEnv", "ass", [], "PATH"), "query job environment"),
    ((MANAGER, U, "ListEnv", "as", []), "query job environment"),
    ((MANAGER, U, "NotifyDiskWriteable"), "notify disk is writeable"),
    ((MANAGER, U, "NotifyCGroupManagerAddress", "s", "x"), "notify cgroup manager address"),
    ((MANAGER, U, "EndSession"), "end session"),
    ((MANAGER, U, "GetState"), "request state"),
    ((SVC, JOB, "Start", "asb", [], False), "modify job: svc"),
    ((SVC, JOB, "Stop", "asb", [], False), "modify job: svc"),
    ((SVC, JOB, "Restart", "asb", [], False), "modify job: svc"),
    ((SVC + "/_", INSTANCE, "Start", "b", False), "modify job: svc"),
    ((SVC + "/1", INSTANCE, "Stop", "b", False), "modify job: svc (1)"),
    ((SVC + "/1", INSTANCE, "Restart", "b", False), "modify job: svc (1)"),
    ((SVC + "/1", INSTANCE, "Reload"), "modify job: svc (1)"),
]
QUERIES = [
    ((MANAGER, INTROSPECTABLE, "Introspect"),),
    ((MANAGER, PROPERTIES, "Get", "ss", U, "version"),),
    ((MANAGER, PROPERTIES, "GetAll", "s", U),),
    ((MANAGER, U, "GetJobByName", "s", "svc"),),
    ((MANAGER, U, "GetAllJobs"),),
    ((SVC, JOB, "GetInstance", "as", []),),
    ((SVC, JOB, "GetInstanceByName", "s", "1"),),
    ((SVC, JOB, "GetAllInstances"),),
    ((SVC, PROPERTIES, "GetAll", "s", ""),),
    ((SVC + "/1", PROPERTIES, "Get", "ss", "", "state"),),
]


def define(service: Service) -> None:
    service.reset()
    service.define("svc", instances=(("",), ("1",)))


def with_descriptor(call: Any) -> Any:
    return (*call[:-1], UnixFd(0)) if call[2] == "EmitEventWithFile" else call


def collect(client: Client, calls: Any) -> list[Any]:
    """For each call "ok" or the error's name and text."""
    results: list[Any] = []
    for call in calls:
        try:
            client.call(*with_descriptor(call))
            results.append("ok")
        except Failed as failed:
            results.append((failed.name, failed.text))
    return results


# -- on the private socket -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strange_daemon() -> Iterator[Service]:
    """A daemon that believes to have another uid than its clients, who get in all the same."""
    service = Service(pid1=True, uid=4242)
    yield service
    service.stop()


def test_c35_c36_denials_on_the_private_socket(strange_daemon: Service) -> None:
    define(strange_daemon)
    client = Client(strange_daemon.address)
    assert collect(client, [call for call, _ in [*DENIALS, RESTART]]) == [
        (E + "PermissionDenied", f"You do not have permission to {what}") for _, what in [*DENIALS, RESTART]]
    assert strange_daemon.fed() == strange_daemon.service_calls() == []
    assert collect(client, [call for (call,) in QUERIES]) == ["ok"] * len(QUERIES)
    client.close()


def test_c50_process_1_is_checked_before_the_uid(strange_daemon: Service) -> None:
    client = Client(strange_daemon.address)
    assert collect(client, [(MANAGER, U, "NotifyDBusAddress", "s", "x")]) == [
        (E + "PermissionDenied", "Not permissible to notify D-Bus address for PID 1")]
    client.close()


def test_c23_arguments_are_checked_before_the_uid(strange_daemon: Service) -> None:
    client = Client(strange_daemon.address)
    assert collect(client, [(MANAGER, U, "EmitEvent", "s", "x")]) == [(F + "InvalidArgs", "Invalid arguments to EmitEvent method")]
    client.close()


@pytest.mark.parametrize("options", [{"user_mode": True, "uid": 4242}, {"uid": 4242}])
def test_c35_no_check_in_user_mode_or_for_an_ordinary_daemon(options: Any) -> None:
    service = Service(**options)
    define(service)
    client = Client(service.address)
    assert collect(client, [call for call, _ in DENIALS]) == ["ok"] * len(DENIALS)
    client.close()
    service.stop()


@root_only
def test_c37_root_may_drive_a_users_daemon() -> None:
    address = f"unix:abstract=/compat-test/{os.getpid()}/of-a-user"
    service = Service(listen=False, uid=STRANGER)
    service.become(STRANGER)
    assert service.control("listen", address)
    define(service)
    client = Client(address)
    assert client.call(SVC, JOB, "Start", "asb", [], False) == SVC + "/made"
    client.close()
    service.stop()


# -- on a bus ------------------------------------------------------------------------------------------------


Bus = Callable[[str], "tuple[BusDaemon, Service]"]


@pytest.fixture(scope="module")
def bus_with(tmp_path_factory: Any) -> Iterator[Bus]:
    started: list[Any] = []
    known: dict[str, Any] = {}

    def start(policy: str) -> tuple[BusDaemon, Service]:
        if policy not in known:
            address = f"unix:abstract=/compat-test/{os.getpid()}/bus-{len(known)}"
            bus = BusDaemon(tmp_path_factory.mktemp("bus"), "system", policy, address)
            started.append(bus)
            service = Service(listen=False, environment={"DBUS_SYSTEM_BUS_ADDRESS": address})
            started.append(service)
            service.control("connect_system_bus")
            root = Client(address, bus=True)
            root.wait(lambda: root.reply(root.send("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", NAME,
                                                   destination="org.freedesktop.DBus"))[0], "the name")
            root.close()
            known[policy] = bus, service
        define(known[policy][1])
        return known[policy]

    yield start
    for each in reversed(started):
        each.stop()


SHIPPED = f"{SYSTEM_RULES}<include>{os.path.abspath(POLICY)}</include>"


@root_only
def test_c33_shipped_policy_lets_everybody_ask(bus_with: Bus) -> None:
    bus, service = bus_with(SHIPPED)
    results = as_user(STRANGER, lambda: collect(Client(bus.address, NAME, bus=True), [call for (call,) in QUERIES]))
    assert results == ["ok"] * len(QUERIES)


@root_only
def test_c33_c34_shipped_policy_refuses_everything_else(bus_with: Bus) -> None:
    bus, service = bus_with(SHIPPED)
    calls = [call for call, _ in [*DENIALS, RESTART]] + [(MANAGER, U, "NotifyDBusAddress", "s", "x")]
    # The daemon takes calls without an interface (C24), so these must not get through either.
    calls += [(path, None, *rest) for path, _, *rest in calls]
    results = as_user(STRANGER, lambda: collect(Client(bus.address, NAME, bus=True), calls))
    for call, result in zip(calls, results):
        assert result[0] == F + "AccessDenied", call
        assert result[1].startswith("Rejected send message, 1 matched rules;"), call
    assert service.fed() == service.service_calls() == []


@root_only
def test_c33_root_may_do_everything(bus_with: Bus) -> None:
    bus, service = bus_with(SHIPPED)
    client = Client(bus.address, NAME, bus=True)
    calls = [call for call, _ in DENIALS] + [call for (call,) in QUERIES]
    assert collect(client, calls) == ["ok"] * len(calls)
    client.close()


@root_only
def test_c33_only_root_may_own_the_name(bus_with: Bus) -> None:
    bus, service = bus_with(SHIPPED)

    def request() -> Any:
        client = Client(bus.address, "org.freedesktop.DBus", bus=True)
        return collect(client, [("/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "su", NAME, 0)])

    [(name, text)] = as_user(STRANGER, request)
    assert name == F + "AccessDenied"


@root_only
def test_c35_c36_denials_under_a_policy_that_lets_everybody_in(bus_with: Bus) -> None:
    bus, service = bus_with(ALLOW_ALL)
    results = as_user(STRANGER, lambda: collect(Client(bus.address, NAME, bus=True), [call for call, _ in [*DENIALS, RESTART]]))
    assert results == [(E + "PermissionDenied", f"You do not have permission to {what}") for _, what in [*DENIALS, RESTART]]
    assert service.fed() == service.service_calls() == []
    client = Client(bus.address, NAME, bus=True)
    assert collect(client, [call for call, _ in DENIALS]) == ["ok"] * len(DENIALS)
    client.close()


@root_only
def test_calls_of_one_sender_keep_their_order_while_its_uid_is_asked_for(bus_with: Bus) -> None:
    bus, service = bus_with(ALLOW_ALL)
    client = Client(bus.address, NAME, bus=True)
    serials = [client.send(MANAGER, U, "EmitEvent", "sasb", "one", [], False), client.send(MANAGER, U, "GetAllJobs"),
               client.send(MANAGER, U, "EmitEvent", "sasb", "two", [], False)]
    for serial in serials:
        client.reply(serial)
    answered = [message.get_reply_serial() for message in client.messages if message.get_reply_serial() in serials]
    assert answered == serials
    assert [fed.name for fed in service.fed()] == ["one", "two"]
    client.close()


@root_only
def test_who_leaves_before_the_bus_told_his_uid_is_refused(bus_with: Bus) -> None:
    bus, service = bus_with(ALLOW_ALL)
    for _ in range(20):
        client = Client(bus.address, NAME, bus=True)
        client.send(MANAGER, U, "EmitEvent", "sasb", "bye", [], False)
        client.connection.flush()
        client.close()
    again = Client(bus.address, NAME, bus=True)
    assert again.call(MANAGER, U, "EmitEvent", "sasb", "last", [], False) is None
    assert [fed for fed in service.fed() if fed.name not in ("bye", "last")] == []
    assert service.status()[2] == 0
    again.close()

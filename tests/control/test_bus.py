"""C9-C13, C50, C84 against a real dbus-daemon."""
from __future__ import annotations

import os
from typing import Any, Iterator

import pytest

from compat.engine import actions
from compat.engine.actions import DEBUG, INFO, WARN
from tests.control.client import ALLOW_ALL, MANAGER, PROPERTIES, BusDaemon, Client, F, Failed, U
from tests.control.service_process import Service
from tests.control.waiting import eventually

NAME = "com.ubuntu.Upstart"


@pytest.fixture
def bus(tmp_path: Any) -> Iterator[BusDaemon]:
    bus = BusDaemon(tmp_path, "session", ALLOW_ALL, f"unix:abstract=/compat-test/{os.getpid()}/{tmp_path.name}")
    yield bus
    bus.stop()


class Starter:
    def __init__(self, address: str) -> None:
        self.address = address
        self.services: list[Service] = []

    def __call__(self, **options: Any) -> Service:
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": self.address, "DBUS_SESSION_BUS_ADDRESS": self.address}
        service = Service(environment=environment, **options)
        self.services.append(service)
        return service


@pytest.fixture
def start(bus: BusDaemon) -> Iterator[Starter]:
    starter = Starter(bus.address)
    yield starter
    for service in starter.services:
        service.stop()


def owner(bus: BusDaemon) -> str:
    client = Client(bus.address, bus=True)
    try:
        return client.reply(client.send("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner", "s", NAME,
                                        destination="org.freedesktop.DBus"))[0]
    except Failed:
        return ""
    finally:
        client.close()


def logged(service: Service, text: str) -> None:
    seen: list[Any] = []

    def look() -> bool:
        seen.extend(service.log())
        return any(text == line for _, line in seen)

    eventually(look)


def test_c9_the_name_means_ready(bus: BusDaemon, start: Starter) -> None:
    service = start()
    service.control("connect_system_bus")
    eventually(lambda: owner(bus))
    client = Client(bus.address, NAME, bus=True)
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", U, "version") == "init (upstart 1.13.2)"
    client.close()
    # Only that one debug line: the first attempt says nothing else (C11).
    assert service.log() == [(DEBUG, "control_bus_open: Connected to D-Bus system bus")]


def test_c1_signals_go_to_the_bus_too(bus: BusDaemon, start: Starter) -> None:
    service = start()
    service.control("connect_session_bus")
    eventually(lambda: owner(bus))
    on_bus = Client(bus.address, NAME, bus=True)
    on_bus.reply(on_bus.send("/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", "type='signal',path_namespace='/com/ubuntu'",
                             destination="org.freedesktop.DBus"))
    private = Client(service.address)
    private.sync()
    service.perform([actions.EventEmitted("foo", ())])
    for client in (on_bus, private):
        assert client.signals() == [("EventEmitted", MANAGER, "foo", [])]
        client.close()


def test_c9_name_already_taken(bus: BusDaemon, start: Starter) -> None:
    first, second = start(), start()
    first.control("connect_system_bus")
    eventually(lambda: owner(bus))
    before = owner(bus)
    client = Client(second.address)
    with pytest.raises(Failed) as caught:
        client.call(MANAGER, U, "NotifyDBusAddress", "s", bus.address)
    assert (caught.value.name, caught.value.text) == (F + "Failed", "Name already taken")
    assert owner(bus) == before
    client.close()
    eventually(lambda: second.status()[1] == 0)
    second.log()
    second.control("reconnect_bus")
    logged(second, "Unable to connect to the notified D-Bus bus: Name already taken")


def test_c11_a_failed_first_attempt_is_silent_and_c12_sigusr1_tries_again(bus: BusDaemon, start: Starter) -> None:
    bus.stop()
    service = start()
    service.control("connect_system_bus")
    assert service.log() == []
    service.control("reconnect_bus")
    (first, (priority, text)) = service.log()
    assert first == (INFO, "Reconnecting to D-Bus system bus")
    assert priority == WARN
    assert text.startswith("Unable to connect to the D-Bus system bus: Failed to connect to socket")
    bus.start()
    service.control("reconnect_bus")
    said = service.log()
    # The bus may tell us before it is read there.
    eventually(lambda: said.extend(service.log()) or len(said) == 2)
    assert said == [(INFO, "Reconnecting to D-Bus system bus"), (DEBUG, "control_bus_open: Connected to D-Bus system bus")]
    assert owner(bus)
    service.control("reconnect_bus")
    assert service.log() == []


def test_c10_without_a_bus_sigusr1_does_nothing(bus: BusDaemon, start: Starter) -> None:
    service = start()
    service.control("reconnect_bus")
    assert service.log() == []
    assert owner(bus) == ""


def test_c13_a_lost_bus_is_looked_for_again(bus: BusDaemon, start: Starter) -> None:
    service = start()
    service.control("connect_session_bus")
    eventually(lambda: owner(bus))
    private = Client(service.address)
    private.call(MANAGER, U, "GetAllJobs")
    descriptors = service.status()[0]
    service.log()
    bus.stop()
    logged(service, "Disconnected from D-Bus session bus")
    # Private connections are not affected (D61).
    assert private.call(MANAGER, U, "GetAllJobs") == []
    bus.start()
    eventually(lambda: owner(bus))
    logged(service, "control_bus_open: Connected to D-Bus session bus")
    assert service.status()[:2] == (descriptors, 2)
    private.close()


def test_c12_sigusr1_does_not_wait_for_the_next_attempt(bus: BusDaemon, start: Starter) -> None:
    service = start()
    service.control("connect_system_bus")
    eventually(lambda: owner(bus))
    bus.stop()
    logged(service, "Disconnected from D-Bus system bus")
    bus.start()
    service.control("reconnect_bus")
    logged(service, "control_bus_open: Connected to D-Bus system bus")


def test_c50_notify_dbus_address(bus: BusDaemon, start: Starter) -> None:
    service = start(user_mode=True)
    client = Client(service.address)

    def notify(address: str) -> Any:
        try:
            return client.call(MANAGER, U, "NotifyDBusAddress", "s", address)
        except Failed as failed:
            return failed.name, failed.text

    assert notify("garbage") == (F + "BadAddress", "Address does not contain a colon")
    assert notify("") == (F + "BadAddress", "Empty address ''")
    assert notify("unix:path=/nonexistent/bus") == (
        F + "FileNotFound", "Failed to connect to socket /nonexistent/bus: No such file or directory")
    assert owner(bus) == ""
    assert notify(bus.address) is None
    assert owner(bus)
    assert notify("garbage") is None
    service.log()
    bus.stop()
    logged(service, "Disconnected from notified D-Bus bus")
    client.close()


def test_c50_two_at_once_get_the_same_answer(bus: BusDaemon, start: Starter) -> None:
    service = start(user_mode=True)
    client = Client(service.address)
    serials = [client.send(MANAGER, U, "NotifyDBusAddress", "s", bus.address) for _ in range(2)]
    assert [client.reply(serial) for serial in serials] == [[], []]
    assert owner(bus)
    assert service.status()[1:] == (2, 0)
    client.close()


def test_a_bus_that_does_not_answer_does_not_stop_the_service(bus: BusDaemon, start: Starter) -> None:
    import signal
    service = start()
    bus.process.send_signal(signal.SIGSTOP)
    service.control("connect_system_bus")
    client = Client(service.address)
    assert client.call(MANAGER, U, "GetAllJobs") == []
    bus.process.send_signal(signal.SIGCONT)
    eventually(lambda: owner(bus))
    client.close()


def test_c84_update_activation_environment(bus: BusDaemon, start: Starter, tmp_path: Any) -> None:
    service = start(user_mode=True)
    service.perform([actions.ActivationEnvironment("NOBUS", "1")])
    client = Client(service.address)
    client.call(MANAGER, U, "NotifyDBusAddress", "s", bus.address)
    monitor = Client(bus.address, bus=True)
    monitor.reply(monitor.send("/org/freedesktop/DBus", "org.freedesktop.DBus.Monitoring", "BecomeMonitor", "asu", [], 0,
                               destination="org.freedesktop.DBus"))
    service.perform([actions.ActivationEnvironment("Q", "a=b")])
    message = monitor.wait(lambda: next((each for each in monitor.messages if each.get_member() == "UpdateActivationEnvironment"), None))
    assert [dict(values) for values in message.get_args_list()] == [{"Q": "a=b"}]
    monitor.close()
    client.close()


def test_the_name_is_given_up_at_exit(bus: BusDaemon, start: Starter) -> None:
    service = start()
    service.control("connect_system_bus")
    eventually(lambda: owner(bus))
    client = Client(service.address)
    client.sync()
    service.control("close")
    client.wait(lambda: client.closed)
    eventually(lambda: owner(bus) == "")

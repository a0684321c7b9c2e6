"""org.upstartcompat.Host1 (B200, B206, B218-B221)."""
from __future__ import annotations

import os
from typing import Any, Iterator

import pytest

from compat.bridges.host.fact import Fact, HostEvent
from tests.control.client import ALLOW_ALL, INTROSPECTABLE, MANAGER, PROPERTIES, BusDaemon, Client, E, F, U, refusal
from tests.control.service_process import Service
from tests.control.waiting import eventually

NAME = "com.ubuntu.Upstart"
HOST = "org.upstartcompat.Host1"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service(host=True)
    yield service
    service.stop()


def refused(client: Client, *call: Any) -> str:
    return refusal(client, MANAGER, HOST, *call)[0]


def test_b200_fact_is_answered_with_whether_it_was_news(service: Service, client: Client) -> None:
    call = (MANAGER, HOST, "Fact", "ssa(sasb)", "unit:u", "up:1", [("starting", ["JOB=u", "INSTANCE="], True), ("started", [], False)])
    assert client.call(*call) is True
    assert client.call(*call) is False
    fact = Fact("unit:u", "up:1", (HostEvent("starting", ("JOB=u", "INSTANCE="), True), HostEvent("started")))
    assert service.host_calls() == [fact, fact]
    assert client.call(MANAGER, HOST, "GetFacts") == [("unit:u", "up:1")]


def test_b200_what_makes_no_sense_is_refused(service: Service, client: Client) -> None:
    assert refused(client, "Fact", "ssa(sasb)", "", "up", []) == F + "InvalidArgs"
    assert refused(client, "Fact", "ssa(sasb)", "a", "b", [("", [], False)]) == F + "InvalidArgs"
    assert refused(client, "Fact", "ssa(sasb)", "a", "b", [("e", ["X"], False)]) == F + "InvalidArgs"
    assert refused(client, "Fact", "ss", "a", "b") == F + "InvalidArgs"
    assert refused(client, "ShutDown", "sasb", "2", [], False) == F + "InvalidArgs"
    assert refused(client, "ShutDown", "sasb", "", [], True) == F + "InvalidArgs"
    assert service.host_calls() == []


def test_b218_a_shutdown_is_answered_when_it_is_done(service: Service, client: Client) -> None:
    serial = client.send(MANAGER, HOST, "ShutDown", "sasb", "0", ["INIT_HALT=HALT"], False)
    client.sync()
    assert service.host_calls() == [("0", ("INIT_HALT=HALT",), False)]
    assert service.status()[2] == 1
    service.finish_shutdown()
    assert client.reply(serial) == []
    client.call(MANAGER, HOST, "ShutdownCancelled")
    assert service.host_calls() == ["cancelled"]


def test_b218_whoever_asked_may_be_gone_by_then(service: Service) -> None:
    client = Client(service.address)
    client.send(MANAGER, HOST, "ShutDown", "sasb", "6", [], True)
    client.sync()
    assert service.host_calls() == [("6", (), True)]
    client.close()
    eventually(lambda: service.status()[2] == 0)
    service.finish_shutdown()


def test_b232_announcements(service: Service, client: Client) -> None:
    serial = client.send(MANAGER, HOST, "Announce", "ss", "a.service", "starting")
    assert client.call(MANAGER, HOST, "TakeAnnouncement", "b", True) == (3, "a.service", "starting")
    client.call(MANAGER, HOST, "AnnouncementTold", "uas", 3, ["unit:a.service"])
    assert service.host_calls() == [("a.service", "starting"), True, (3, ("unit:a.service",))]
    assert service.status()[2] == 1
    service.finish_shutdown()
    assert client.reply(serial) == []
    assert refused(client, "Announce", "ss", "", "starting") == F + "InvalidArgs"
    assert refused(client, "Announce", "ss", "a.service", "up") == F + "InvalidArgs"


def test_b197_properties(service: Service, client: Client) -> None:
    assert client.call(MANAGER, PROPERTIES, "GetAll", "s", HOST) == {"kind": "systemd", "profile": "ubuntu", "masked": ["rc", "tty1"]}
    assert client.call(MANAGER, PROPERTIES, "Get", "ss", HOST, "kind") == "systemd"
    assert client.call(MANAGER, PROPERTIES, "GetAll", "s", "") == client.call(MANAGER, PROPERTIES, "GetAll", "s", U)
    assert HOST in client.call(MANAGER, INTROSPECTABLE, "Introspect")


def test_b206_not_over_a_bus_whatever_its_policy(tmp_path: Any) -> None:
    bus = BusDaemon(tmp_path, "session", ALLOW_ALL, f"unix:abstract=/compat-test/{os.getpid()}/{tmp_path.name}")
    service = Service(host=True, environment={"DBUS_SYSTEM_BUS_ADDRESS": bus.address})
    service.control("connect_system_bus")
    client = Client(bus.address, NAME, bus=True)
    has_owner = ("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", NAME)
    eventually(lambda: client.reply(client.send(*has_owner, destination="org.freedesktop.DBus")) == [True])
    for call in (("Fact", "ssa(sasb)", "a", "b", []), ("GetFacts",), ("ShutDown", "sasb", "6", [], False), ("ShutdownCancelled",),
                 ("Announce", "ss", "a.service", "starting"), ("TakeAnnouncement", "b", True), ("AnnouncementTold", "uas", 1, [])):
        assert refused(client, *call) == E + "PermissionDenied"
    assert service.host_calls() == []
    client.close()
    service.stop()
    bus.stop()


def test_b200_not_there_outside_of_host_mode() -> None:
    service = Service()
    client = Client(service.address)
    assert refused(client, "GetFacts") == F + "UnknownMethod"
    assert HOST not in client.call(MANAGER, INTROSPECTABLE, "Introspect")
    client.close()
    service.stop()

"""The interface org.upstartcompat.Instance1: who runs the processes of an instance (X261)."""
from __future__ import annotations

from typing import Iterator

import pytest

from compat.parser.definition import JobDefinition, ProcessDefinition
from tests.control.client import MANAGER, Client, Failed
from tests.control.service_process import Service

PROPERTIES = "org.freedesktop.DBus.Properties"
INSTANCE = MANAGER + "/jobs/web/_"


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service(engine=True)
    service.define("web", JobDefinition(processes=(ProcessDefinition(False, "sleep 999"), None, None, None, None, None)))
    yield service
    service.stop()


def test_x261_a_process_with_its_unit_and_the_reason(service: Service) -> None:
    client = Client(service.address)
    client.call(MANAGER + "/jobs/web", "com.ubuntu.Upstart0_6.Job", "Start", "asb", [], False)
    ((process, kind, unit, reason),) = client.call(INSTANCE, PROPERTIES, "Get", "ss", "org.upstartcompat.Instance1", "placements")
    number = reason.rpartition(" ")[2]
    assert (process, kind, unit, reason) == ("main", "scope", f"unit-{number}.scope", f"reason of {number}")
    with pytest.raises(Failed):
        client.call(MANAGER + "/jobs/web", PROPERTIES, "Get", "ss", "org.upstartcompat.Instance1", "placements")
    client.close()

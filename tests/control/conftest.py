from __future__ import annotations

from typing import Iterator

import pytest

from tests.control.client import Client
from tests.control.service_process import Service


@pytest.fixture(scope="module")
def running_service() -> Iterator[Service]:
    service = Service()
    yield service
    service.stop()


@pytest.fixture
def service(running_service: Service) -> Service:
    """A service without jobs, not as process 1, whose callers may do everything."""
    running_service.reset()
    return running_service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    client = Client(service.address)
    # The service knows of the connection from here on, so it gets the signals.
    client.sync()
    client.messages.clear()
    yield client
    client.close()

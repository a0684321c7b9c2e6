from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest

from tests.client.peer import Job, Peer


@pytest.fixture(scope="session")
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the links to the client are."""
    return tmp_path_factory.mktemp("bin")


@pytest.fixture
def peer(links: Path) -> Iterator[Peer]:
    """A daemon without jobs, on a private socket that UPSTART_SESSION names to the clients it runs."""
    peer = Peer(links)
    yield peer
    peer.close()


@pytest.fixture
def svc(peer: Peer) -> Job:
    """A job that is stopped."""
    return peer.add_job("svc")


@pytest.fixture
def multi(peer: Peer) -> Job:
    """A job that has an instance for each N; none exists."""
    return peer.add_job("multi", parameter="N", usage="multi N=number")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """main() makes SIGINT end its process; here it must not outlive the test."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)

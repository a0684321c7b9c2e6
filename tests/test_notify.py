"""Messages to the service manager: sd_notify(3), and that nobody ever waits for it (B207)."""
from __future__ import annotations

import os
import pathlib
import socket
import time

import pytest

from compat.notify import Notifier, take_private
from tests.service_manager import ServiceManager


def test_b207_states_reach_the_socket(tmp_path: pathlib.Path) -> None:
    manager = ServiceManager(tmp_path / "notify")
    notifier = Notifier(manager.address)
    assert notifier
    notifier.ready()
    notifier.reloading()
    notifier.stopping()
    assert manager.states() == ["READY", "RELOADING", "STOPPING"]
    assert abs(int(manager.messages[1]["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 60
    notifier.close()
    manager.close()


def test_abstract_addresses() -> None:
    name = f"upstart-compat-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        notifier = Notifier("@" + name)
        notifier.ready()
        assert manager.recv(100) == b"READY=1"
        notifier.close()


@pytest.mark.parametrize("address", [None, "", "vsock:2:1", "relative"])
def test_nobody_wants_to_know(address: str) -> None:
    notifier = Notifier(address)
    assert not notifier and not notifier.send("READY=1")
    notifier.close()


def test_a_manager_that_is_gone_or_does_not_read_holds_nothing_up(tmp_path: pathlib.Path) -> None:
    assert not Notifier(str(tmp_path / "missing")).send("READY=1")
    manager = ServiceManager(tmp_path / "notify")
    notifier = Notifier(manager.address)
    began = time.monotonic()
    sent = 0
    while notifier.send("STATUS=" + "x" * 1000):
        sent += 1
    for _ in range(100):
        assert not notifier.send("READY=1")
    assert time.monotonic() - began < 2
    assert len(manager.read()) == sent
    assert notifier.send("READY=1")
    notifier.close()
    manager.close()


def test_x65_jobs_do_not_get_what_is_for_the_daemon() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a", "PATH": "/bin"}
    assert take_private(environment) == {"NOTIFY_SOCKET": "/x", "LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a"}
    assert environment == {"PATH": "/bin"}

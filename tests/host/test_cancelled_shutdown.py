"""A shutdown that logind announces and that is cancelled: jobs go down, and come up again (B221)."""
from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Iterator

import pytest

from tests.control.client import ALLOW_ALL, BusDaemon
from tests.daemon.running import ROOT, eventually
from tests.host.conftest import Start
from tests.host.container import Container, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root and namespaces")


@pytest.fixture
def bus(tmp_path: pathlib.Path) -> Iterator[BusDaemon]:
    made = BusDaemon(tmp_path, "session", ALLOW_ALL, f"unix:path={tmp_path}/bus")
    yield made
    made.stop()


@pytest.fixture
def logind(bus: BusDaemon) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "tests.bridges.host.fake_logind", bus.address]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _say(logind: "subprocess.Popen[str]", *kinds: str) -> None:
    assert logind.stdin is not None
    logind.stdin.write("".join(f"{kind}\n" for kind in kinds))
    logind.stdin.flush()


def _wait_lock(logind: "subprocess.Popen[str]") -> None:
    assert logind.stdout is not None and logind.stdout.readline() == "inhibited\n"


def test_b221_jobs_go_down_and_come_up_again(start: Start, bus: BusDaemon, logind: "subprocess.Popen[str]") -> None:
    container = start({"web": "start on runlevel [2345]\nstop on runlevel [016]\nexec sleep 1000",
                       "levels": "start on runlevel\ninstance $RUNLEVEL$PREVLEVEL\ntask\nexec env"}, host="systemd")
    eventually(lambda: container.initctl("emit", "runlevel", "RUNLEVEL=2", "PREVLEVEL=N")[0] == 0)
    container.wait_status("web", "web start/running")
    container.popen("env", f"DBUS_SYSTEM_BUS_ADDRESS={bus.address}", sys.executable, "-m", "compat.bridges.host")
    _wait_lock(logind)
    _say(logind, "reboot")
    container.wait_log("levels-62", "RUNLEVEL=6\nPREVLEVEL=2\n")
    container.wait_status("web", "web stop/waiting")
    _say(logind, "")
    container.wait_log("levels-26", "RUNLEVEL=2\nPREVLEVEL=6\n")
    container.wait_status("web", "web start/running")
    _wait_lock(logind)
    # However fast it is cancelled, the host has not gone down in the end, and each way down has had its way back.
    _say(logind, *("poweroff", "") * 20)
    count = eventually(lambda: _level_after(container, logind, "reboot"))
    assert count % 2 == 0
    _say(logind, "")
    container.wait_event("runlevel", count + 1)
    container.wait_status("web", "web start/running")
    assert container.facts()["runlevel"] == "2" and "shutdown" not in container.facts()
    assert container.events().count("runlevel") == count + 1


def _level_after(container: Container, logind: "subprocess.Popen[str]", kind: str) -> int:
    """How many runlevels there have been with that of a shutdown which is announced now; 0 if the bridge, which begins anew after
    each that was cancelled, was not there to hear it."""
    _say(logind, kind)
    try:
        eventually(lambda: container.facts().get("shutdown") and container.facts().get("runlevel") == "6", limit=1.0)
    except AssertionError:
        _say(logind, "")
        return 0
    container.wait_status("web", "web stop/waiting")
    return container.events().count("runlevel")

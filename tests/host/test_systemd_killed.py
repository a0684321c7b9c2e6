"""Whatever happens on a host while the daemon or the bridge is killed is told once (B202, B204)."""
from __future__ import annotations

import pathlib
from typing import Dict, Iterator, List, Tuple

import pytest

from tests.host.systemd_host import SystemdHost, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root and systemd")

_DAEMON, _BRIDGE = "upstart-compat", "upstart-host-bridge"
#: What each job starts on; a line of its own log says that it did.
COUNTED = {"starting": "starting rsyslog", "started": "started rsyslog", "stopping": "stopping rsyslog", "stopped": "stopped rsyslog",
           "added": "net-device-added INTERFACE=t0", "up": "net-device-up IFACE=t0 ADDRFAM=inet",
           "removed": "net-device-removed INTERFACE=t0",
           "mounted": "mounted MOUNTPOINT=/srv", **{name: name for name in ("startup", "filesystem", "runlevel")}, "rc": "stopped rc"}
#: What is done to the host, and which of these follow.
STEPS: List[Tuple[str, Tuple[str, ...]]] = [
    ("systemctl stop rsyslog", ("stopping", "stopped")),
    ("systemctl start rsyslog", ("starting", "started")),
    ("systemctl restart rsyslog", ("stopping", "starting", "started")),
    ("ip link add t0 type veth peer name t1; ip link set t1 up", ("added",)),
    ("ip link set t0 up; ip addr add 10.1.2.3/24 dev t0", ("up",)),
    ("mount -t tmpfs data /srv", ("mounted",)),
    ("ip link del t0", ("removed",)),
    ("umount /srv; true", ()),
    ("mount -t tmpfs data /srv", ("mounted",))]


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Iterator[SystemdHost]:
    jobs = {f"count-{name}": f"start on {condition}\ntask\nexec echo once" for name, condition in COUNTED.items()}
    jobs["user"] = "start on started rsyslog\nstop on stopping rsyslog\nexec sleep 1000"
    jobs["web"] = "start on stopped rc RUNLEVEL=[2345]\nexec sleep 1000"
    jobs["link"] = "start on net-device-added INTERFACE=t*\nstop on net-device-removed INTERFACE=$INTERFACE\n" \
        "instance $INTERFACE\nexec sleep 1000"
    rsyslog = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=sleep 1000\n"
    made = SystemdHost(tmp_path / "h", jobs, units={"rsyslog.service": rsyslog})
    yield made
    made.destroy()


def _counts(host: SystemdHost) -> Dict[str, int]:
    return {name: host.log(f"count-{name}").count("once") for name in COUNTED}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_b204_nothing_is_repeated_and_nothing_missed(host: SystemdHost, moment: str) -> None:
    host.wait_status("web", "web start/running")
    host.wait_status("user", "user start/running")
    web = host.status("web")
    told = ("starting", "started", "startup", "filesystem", "runlevel", "rc")
    expected = {name: int(name in told) for name in COUNTED}
    host.eventually(lambda: _counts(host) == expected, f"{expected}")
    for number, (command, events) in enumerate(STEPS):
        victim = (_DAEMON, _BRIDGE)[number % 2]
        pid = host.main_pid(victim)
        kill = f"kill -9 {pid}"
        host.shell(f"{kill}; {command}" if moment == "before" else f"{command}; {kill}")
        for event in events:
            expected[event] += 1
        host.eventually(lambda expected=expected: _counts(host) == expected, f"{command}: {expected} {_counts(host)}")
        if command.startswith("umount"):
            # Another mount in the same place may get the same numbers from the kernel: nobody could tell it from this one.
            host.eventually(lambda: "mount:/srv" not in host.shell("cat /run/upstart-compat/facts.json"))
        host.eventually(lambda victim=victim, pid=pid: host.main_pid(victim) not in (0, pid) and host.main_pid(_BRIDGE))
    # What comes last is told when all before it has been.
    host.shell("systemctl stop rsyslog")
    expected["stopping"] += 1
    expected["stopped"] += 1
    host.eventually(lambda: _counts(host) == expected, f"at the end: {expected}")
    host.wait_status("user", "user stop/waiting")
    assert host.status("web") == web and "(t0)" not in host.initctl("list")

"""The daemon and the bridge under another init than systemd, whose files are made up (B195, B219, B264, B265)."""
from __future__ import annotations

import pathlib
import signal
import sys
from typing import Callable, Iterator, List

import pytest

from tests.daemon.running import eventually
from tests.host.container import Container, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root")

Boot = Callable[..., Container]
_OPENRC = "mkdir -p /run/openrc/starting /run/openrc/started /run/openrc/stopping /run/openrc/inactive; echo boot > /run/openrc/softlevel"
# The daemon is no PID 1 here, as on a host.
_INIT = '"$@" & echo $! > /run/daemon; while :; do sleep 1000 & wait; done'


@pytest.fixture
def boot(tmp_path: pathlib.Path) -> Iterator[Boot]:
    started: List[Container] = []

    def run(jobs: object, **more: object) -> Container:
        started.append(Container(tmp_path, jobs, supervised=_INIT, environment={"container": ""}, **more))  # type: ignore[arg-type]
        return started[-1]

    yield run
    for each in started:
        each.destroy()


def test_b264_openrc_from_boot_to_reboot(boot: Boot) -> None:
    host = boot({"user": "start on started cron\nstop on stopping cron\nexec sleep 1000",
                 "web": "start on stopped rc RUNLEVEL=[2345]\nstop on runlevel [!2345]\nexec sleep 1000",
                 "down": "start on runlevel 6\ntask\nexec env", "lo": "start on net-device-up IFACE=lo\ntask\nexec env",
                 "mine": "start on mine-is-up\ntask\nexec env"},
                host="openrc", before=_OPENRC + "; mkdir -p /etc/init.d; mount -t tmpfs none /etc/init.d; touch /etc/init.d/crond")
    host.wait_event("filesystem")
    host.wait_log("lo", "IFACE=lo")
    assert "runlevel" not in host.events()
    host.run("sh", "-c", "ip link add t0 type veth peer name t1; ip link set t0 up; ip link set t1 up; ip addr add 10.1.2.3/24 dev t0; "
                         "ip addr add 10.1.2.4/24 dev t1")
    host.wait_event("static-network-up")
    host.run("sh", "-c", "echo default > /run/openrc/softlevel")
    host.wait_status("web", "web start/running")
    host.run("sh", "-c", "ln -s x /run/openrc/starting/crond; ln -s x /run/openrc/started/crond; rm /run/openrc/starting/crond")
    host.wait_status("user", "user start/running")
    host.run("sh", "-c", "ln -s x /run/openrc/stopping/crond; rm /run/openrc/started/crond")
    host.wait_status("user", "user stop/waiting")
    # What the script's stop command runs.
    assert host.run(sys.executable, "-m", "compat.bridges.host", "--shutdown", "6").returncode == 0
    assert host.status("web") == "web stop/waiting" and "RUNLEVEL=6\nPREVLEVEL=2\n" in host.log("down")
    daemon = int(host.run("cat", "/run/daemon").stdout)
    assert host.run("kill", "-TERM", str(daemon)).returncode == 0
    eventually(lambda: not host.processes().get(daemon), lambda: host.output[-3000:])
    assert host.events().count("runlevel") == 2 and host.process.poll() is None


def test_b196_b264_nobody_is_woken_where_nothing_happens(boot: Boot) -> None:
    host = boot({"user": "start on started crond\nexec sleep 1000"}, host="openrc",
                before=_OPENRC + "; echo default > /run/openrc/softlevel")
    host.run("sh", "-c", "ip link add t0 type veth peer name t1; ip link set t0 up; ip link set t1 up; ip addr add 10.1.2.3/24 dev t0; "
                         "ip addr add 10.1.2.4/24 dev t1")
    host.wait_event("runlevel")
    bridge = host.pid_of("compat.bridges.host")

    def switches() -> str:
        return host.run("sh", "-c", f"grep ^voluntary /proc/{bridge}/status").stdout

    def idle() -> bool:
        before = switches()
        host.run("sleep", "1")
        return bool(before) and switches() == before

    eventually(idle, lambda: host.output[-3000:])


def test_b265_a_service_of_runit_and_the_end(boot: Boot) -> None:
    place = "/run/runit/runsvdir/current"
    host = boot({"user": "start on started sshd\nstop on stopping sshd\nexec sleep 1000"}, host="runit",
                before=f"mkdir -p {place}/sshd/supervise; echo down > {place}/sshd/supervise/stat")
    host.wait_event("filesystem")
    for word, status in (("run", "start/running"), ("finish", "stop/waiting"), ("down", "stop/waiting"), ("run", "start/running")):
        host.run("sh", "-c", f"echo '{word}' > {place}/x; mv {place}/x {place}/sshd/supervise/stat")
        host.wait_status("user", f"user {status}")
    daemon = int(host.run("cat", "/run/daemon").stdout)
    host.run("kill", f"-{int(signal.SIGTERM)}", str(daemon))
    eventually(lambda: not host.processes().get(daemon), lambda: host.output[-3000:])
    assert host.events().count("runlevel") == 0


def test_b188_b265_red_hat_s_rc_tells_of_its_scripts_by_itself(boot: Boot) -> None:
    host = boot({"before": "start on starting network\nexec sleep 1000", "user": "start on started network\nstop on stopping network\n"
                           "exec sleep 1000", "exact": "start on starting network INSTANCE=\nexec sleep 1000"}, host="sysvinit")
    host.wait_event("filesystem")
    # As /etc/rc.d/rc does before and after a script: with JOB alone, and it waits.
    for event, job, status in (("starting", "before", "start/running"), ("started", "user", "start/running"),
                               ("stopping", "user", "stop/waiting")):
        assert host.initctl("emit", "--quiet", event, "JOB=network")[0] == 0
        assert host.status(job).startswith(f"{job} {status}")
    assert host.status("exact") == "exact stop/waiting"

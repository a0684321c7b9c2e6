"""A daemon and its bridge in a real container (B200-B204, B247, B257-B263, B266, B274)."""
from __future__ import annotations

import json
import pathlib
import re
import signal
import sys
import time
from typing import List

import pytest

from tests.daemon.running import eventually
from tests.host.conftest import Start
from tests.host.container import possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root and namespaces")



WEB = "start on stopped rc RUNLEVEL=[2345]\nstop on runlevel [!2345]\nexec sleep 1000"


def test_b257_b262_the_whole_boot_in_order_and_orphans_are_reaped(start: Start) -> None:
    container = start({
        "web": WEB, "show": "start on container\ntask\nexec env", "lo": "start on net-device-up IFACE=lo ADDRFAM=inet\ntask\nexec env",
        "run": "start on mounted MOUNTPOINT=/run\ntask\nexec env", "late": "start on stopped rc-sysinit\nexec sleep 1000",
        "orphans": "start on runlevel 2\ntask\nexec sh -c '(sleep 0.1; exit 3) & (sleep 1000 & echo $!) & exit 0'"})
    container.wait_status("web", "web start/running, process ")
    events = [each for each in container.events() if each not in ("starting", "started", "stopping", "stopped")]
    assert re.fullmatch(
        "startup (mounted )*container virtual-filesystems local-filesystems remote-filesystems filesystem plymouth-ready all-swaps "
        "(net-device-up )+static-network-up runlevel", " ".join(events))
    container.wait_log("show", "CONTAINER=test\n")
    container.wait_log("run", "MOUNTPOINT=/run\nTYPE=tmpfs\n")
    container.wait_log("lo", "IFACE=lo\nLOGICAL=lo\nADDRFAM=inet\nMETHOD=loopback\n")
    container.wait_status("late", "late start/running")
    assert "upstart-compat" not in container.log("web")
    eventually(lambda: "" not in container.processes().values(), container.processes)
    assert container.pid_of("sleep 1000")


@pytest.mark.parametrize(("number", "level"), [(signal.SIGTERM, "0"), (signal.SIGINT, "6"), (signal.SIGRTMIN + 3, "0")])
def test_b259_a_signal_stops_the_jobs_in_order_and_ends_the_container(start: Start, number: int, level: str) -> None:
    stubborn = "exec sh -c 'trap \"echo term; sleep 0.3; exit 0\" TERM; echo up; sleep 1000 & wait'"
    container = start({"web": WEB, "last": "start on runlevel [06]\ntask\nexec env", "stubborn": f"start on runlevel 2\n{stubborn}"})
    container.wait_status("web", "web start/running")
    container.wait_log("stubborn", "up\n")
    container.signal(number)
    assert container.wait_end() == 0
    assert f"RUNLEVEL={level}\nPREVLEVEL=2\n" in container.log("last")
    assert container.log("stubborn") == "up\nterm\n"


def test_b259_within_nine_seconds_and_at_once_when_told_twice(start: Start) -> None:
    container = start({"deaf": "start on runlevel 2\nkill timeout 100\nexec sh -c 'trap \"\" TERM; while :; do sleep 100; done'"})
    container.wait_status("deaf", "deaf start/running")
    container.signal(signal.SIGTERM)
    container.wait_event("runlevel", 2)
    began = time.monotonic()
    container.signal(signal.SIGTERM)
    assert container.wait_end() == 0
    assert time.monotonic() - began < 5


def test_b260_the_exit_status_of_a_job(start: Start) -> None:
    container = start({"main": "start on runlevel 2\nexec sh -c 'sleep 0.2; exit 7'", "web": WEB}, "--exit-with=main")
    assert container.wait_end() == 7


def test_b200_b274_a_bridge_that_is_killed_comes_again_and_repeats_nothing(start: Start) -> None:
    container = start({"web": WEB, "net": "start on net-device-up IFACE=t0\ntask\nexec env"})
    container.wait_status("web", "web start/running")
    status = container.status("web")
    first = container.pid_of("compat.bridges.host.main")
    before = container.events()
    container.run("kill", "-9", str(first))
    eventually(lambda: container.pid_of("compat.bridges.host.main") not in (0, first))
    # What happens now shows that the new one has told everything.
    container.run("ip", "link", "add", "t0", "type", "veth", "peer", "name", "t1")
    container.run("ip", "link", "set", "t1", "up")
    container.run("ip", "link", "set", "t0", "up")
    container.run("ip", "addr", "add", "10.9.9.1/24", "dev", "t0")
    container.wait_log("net", "IFACE=t0\nLOGICAL=t0\nADDRFAM=inet")
    after = [each for each in container.events()[len(before):] if each not in ("starting", "started", "stopping", "stopped")]
    assert set(after) == {"net-device-up"}
    assert container.status("web") == status


def test_b203_b204_a_daemon_that_is_killed_comes_again_and_repeats_nothing(start: Start, tmp_path: pathlib.Path) -> None:
    # Under another PID 1, which starts it again.
    loop = 'set +e; while :; do "$@"; sleep 0.1; done'
    container = start({"web": WEB, "first": "start on startup\ntask\nexec echo once", "level": "start on runlevel\ntask\nexec echo once",
                       "m": "start on mounted MOUNTPOINT=/mnt\ntask\nexec env"}, supervised=loop)
    container.wait_status("web", "web start/running")
    for each in ("first", "level"):
        # What still runs when the daemon is killed is started again (B204), and what it has printed last may be lost.
        container.wait_log(each, "once\n")
        container.wait_status(each, f"{each} stop/waiting")
    before, web = container.events(), container.status("web")
    first = container.pid_of("compat.daemon")
    container.run("kill", "-9", str(first))
    eventually(lambda: container.pid_of("compat.daemon") not in (0, first) and container.status("web"))
    container.run("mount", "-t", "tmpfs", "none", "/mnt")
    container.wait_log("m", "MOUNTPOINT=/mnt")
    after = [each for each in container.events()[len(before):] if each not in ("starting", "started", "stopping", "stopped")]
    assert after == ["mounted"]
    assert container.status("web") == web, "the same process"
    assert container.log("first") == container.log("level") == "once\n"


def test_b263_a_container_that_is_started_again_boots_again(start: Start, tmp_path: pathlib.Path) -> None:
    kept = tmp_path / "kept"
    for _ in range(2):
        container = start({"web": WEB}, kept=str(kept))
        container.wait_status("web", "web start/running")
        assert json.loads((kept / "facts.json").read_text())["table"]["phases"]["runlevel"] == "2"
        container.destroy()


def test_b266_without_detection(start: Start) -> None:
    container = start({"web": WEB}, host="none")
    container.wait_status("web", "web start/running")
    events = [each for each in container.events() if each not in ("starting", "started", "stopping", "stopped")]
    assert events == ["startup", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem", "plymouth-ready",
                      "all-swaps", "runlevel"]


def test_b247_b250_a_mount_starts_a_job_each_time(start: Start) -> None:
    container = start({"web": WEB, "m": "start on mounted MOUNTPOINT=/mnt TYPE=tmpfs\ntask\nexec env"})
    container.wait_status("web", "web start/running")
    for count in (1, 2):
        assert container.run("mount", "-t", "tmpfs", "none", "/mnt").returncode == 0
        eventually(lambda count=count: container.log("m").count("MOUNTPOINT=/mnt") == count, lambda: container.log("m"))
        # A task that still runs is not started again, and the kernel may number the next mount as it did this one.
        container.wait_status("m", "m stop/waiting")
        assert container.run("umount", "/mnt").returncode == 0
        eventually(lambda: "mount:/mnt" not in container.facts(), container.facts)


def test_b196_idle_is_idle(start: Start) -> None:
    container = start({"web": WEB, "m": "start on mounted MOUNTPOINT=/mnt or net-device-up IFACE=t0\nexec env"})
    container.wait_status("web", "web start/running")
    bridge = container.pid_of("compat.bridges.host.main")

    def switches() -> List[str]:
        texts = [container.run("cat", f"/proc/{pid}/status").stdout for pid in (1, bridge)]
        return re.findall(r"^voluntary_ctxt_switches:\s*(\d+)$", "".join(texts), re.MULTILINE)

    eventually(lambda: switches() == (time.sleep(1.0), switches())[1], switches)


def test_c139_c142_b215_telinit_in_a_container(start: Start) -> None:
    container = start({"web": WEB, "env": "start on runlevel\ntask\nexec env"}, before="mkdir -p /run; touch /run/utmp")
    container.wait_status("web", "web start/running")
    assert container.client("telinit", "-e", "X=1", "4") == (0, "", "")
    container.wait_log("env", "RUNLEVEL=4\nPREVLEVEL=2\nX=1\n")
    assert container.client("runlevel", "/run/utmp") == (0, "2 4\n", "")
    assert container.client("telinit", "q") == (0, "", "")
    container.client("telinit", "6")
    assert container.wait_end() == 0
    assert "RUNLEVEL=6\nPREVLEVEL=4\n" in container.log("env")


def test_c141_without_a_daemon(start: Start) -> None:
    container = start({}, supervised="exec sleep 1000")
    assert container.client("telinit", "2") == (1, "", "telinit: Failed to connect to socket /com/ubuntu/upstart: Connection refused\n")


def test_b204_a_daemon_that_is_killed_on_the_way_down_is_followed_by_one_that_goes_on(start: Start, tmp_path: pathlib.Path) -> None:
    go_on = tmp_path / "go-on"
    slow = f"exec sh -c 'trap \"while [ ! -e {go_on} ]; do sleep 0.1; done; echo down; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
    container = start({"slow": f"start on runlevel 2\nstop on runlevel 6\nkill timeout 30\n{slow}",
                       "once": "start on runlevel 6\ntask\nexec env"},
                      host="systemd", supervised='set +e; while :; do "$@"; sleep 0.1; done')
    eventually(lambda: container.initctl("emit", "runlevel", "RUNLEVEL=2")[0] == 0)
    container.wait_log("slow", "up\n")
    code = "import sys; from compat.bridges.host import shutdown_command as s, ways_down as w; sys.exit(s.shut_down(w.WayDown('6')))"
    command = container.popen(sys.executable, "-c", code)
    container.wait_log("once", "RUNLEVEL=6\nPREVLEVEL=2\n")
    container.wait_status("once", "once stop/waiting")
    first = container.pid_of("compat.daemon")
    container.run("kill", "-9", str(first))
    eventually(lambda: container.pid_of("compat.daemon") not in (0, first) and container.status("slow"))
    go_on.touch()
    eventually(lambda: command.poll() is not None, lambda: container.output)
    assert command.returncode == 0
    assert container.log("once").count("RUNLEVEL=6") == 1
    assert container.events().count("runlevel") == 2


def test_b218_without_a_daemon_the_host_does_not_wait(start: Start) -> None:
    container = start({}, supervised="exec sleep 1000")
    code = "import sys; from compat.bridges.host import shutdown_command as s, ways_down as w; sys.exit(s.shut_down(w.WayDown('6')))"
    began = time.monotonic()
    done = container.run(sys.executable, "-c", code)
    assert done.returncode == 1 and "Could not connect to Upstart" in done.stderr
    assert time.monotonic() - began < 5


def test_b194_a_daemon_that_is_not_in_host_mode_is_left_alone(start: Start) -> None:
    container = start({"web": "start on startup\nexec sleep 1000"}, "--host=none", supervised='shift 3; exec "$PYTHON" -m compat.daemon '
                      '--no-dbus -v "--confdir=$CONF"', environment={"PYTHON": sys.executable, "CONF": "/nowhere"})
    eventually(lambda: container.initctl("version")[0] == 0)
    bridge = container.popen(sys.executable, "-m", "compat.bridges.host", "-v")
    assert bridge.stderr is not None
    line = bridge.stderr.readline()
    while "The daemon does not want to know of the host" not in line:
        assert line, "it has ended"
        line = bridge.stderr.readline()
    assert container.run("kill", str(container.pid_of("-m compat.bridges.host"))).returncode == 0
    assert "filesystem" not in container.events()

"""Hooked units of a whole host wait for jobs, at start, stop, restart and boot (B232, B233, B249)."""
from __future__ import annotations

import itertools
import pathlib
import time
from typing import Callable, Iterator, List

import pytest

from tests.host.systemd_host import SystemdHost, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root and systemd")

Boot = Callable[..., SystemdHost]
UNIT = ("[Service]\nExecStartPre=sh -c 'date +%%s.%%N >> {logs}/starts'\nExecStart=sleep 1000\n"
        "ExecStop=sh -c 'date +%%s.%%N >> {logs}/stops'\n")
WAITS = "task\nscript\nenv\nsleep 0.7\ndate +done=%s.%N\nend script"


@pytest.fixture
def boot(tmp_path: pathlib.Path) -> Iterator[Boot]:
    started: List[SystemdHost] = []
    numbers = itertools.count()

    def run(*arguments: object, **more: object) -> SystemdHost:
        directory = tmp_path / f"h{next(numbers)}"
        units = {"thing.service": UNIT.format(logs=directory / "log")}
        started.append(SystemdHost(directory, *arguments, units=units, **more))  # type: ignore[arg-type]
        return started[-1]

    yield run
    for each in started:
        each.destroy()


def times(host: SystemdHost, name: str) -> List[float]:
    return list(map(float, (host.logs / name).read_text().split()))


def done(host: SystemdHost, job: str) -> List[float]:
    return [float(line[5:]) for line in host.log(job).split("\n") if line.startswith("done=")]


def test_b232_a_hooked_unit_waits_when_it_starts_stops_and_restarts(boot: Boot) -> None:
    host = boot({"before": f"start on starting thing\n{WAITS}", "last": f"start on stopping thing\n{WAITS}",
                 "over": "start on stopped thing\ntask\nexec env",
                 "user": "start on started thing\nstop on stopping thing\nexec sleep 1000"},
                configuration="hook thing dbus nothing-like-it")
    host.wait_status("user", "user start/running")
    assert times(host, "starts")[0] > done(host, "before")[0], "at boot too"
    assert host.run("systemctl", "is-active", "upstart-before@dbus.service.service").stdout.strip() == "inactive"
    host.shell("systemctl stop thing")
    assert times(host, "stops")[0] > done(host, "last")[0]
    host.eventually(lambda: host.log("over").count("JOB=thing") == 1)
    assert host.status("user") == "user stop/waiting"
    host.shell("systemctl start thing")
    assert times(host, "starts")[1] > done(host, "before")[1]
    host.wait_status("user", "user start/running")
    host.shell("systemctl restart thing")
    assert times(host, "stops")[1] > done(host, "last")[1]
    assert times(host, "starts")[2] > done(host, "before")[2] > times(host, "stops")[1]
    host.wait_status("user", "user start/running")
    # A crash waits for nobody, and the next start waits again.
    host.shell("systemctl kill -s KILL thing")
    host.eventually(lambda: len(done(host, "last")) == 3)
    host.eventually(lambda: host.run("systemctl", "is-active", "upstart-before@thing.service").stdout.strip() == "inactive")
    host.shell("systemctl start thing")
    assert times(host, "starts")[3] > done(host, "before")[3]
    host.wait_status("user", "user start/running")
    # No event came twice, from observer and hook.
    assert (len(done(host, "before")), len(done(host, "last")), host.log("over").count("JOB=thing")) == (4, 3, 2)


def test_b232_nobody_waits_where_there_is_no_daemon_or_no_bridge_for_long(boot: Boot) -> None:
    host = boot({"before": f"start on starting thing\n{WAITS}"}, configuration="hook thing")
    host.eventually(lambda: len(done(host, "before")) == 1)
    host.shell("systemctl stop thing")
    bridge = host.main_pid("upstart-host-bridge")
    # The one that is started in its place takes the announcement.
    host.shell(f"systemctl --no-block start thing; kill -9 {bridge}")
    host.eventually(lambda: host.run("systemctl", "is-active", "thing").stdout.strip() == "active")
    assert len(done(host, "before")) == 2
    # A daemon that dies over it: the next one is told again, and tells nothing twice.
    host.shell("systemctl stop thing; systemctl --no-block start thing")
    host.eventually(lambda: host.status("before").startswith("before start/running"))
    host.shell(f"kill -9 {host.main_pid('upstart-compat')}")
    host.eventually(lambda: host.run("systemctl", "is-active", "thing").stdout.strip() == "active")
    host.eventually(lambda: len(done(host, "before")) == 3)
    host.eventually(lambda: host.run("systemctl", "is-active", "upstart-host-bridge").stdout.strip() == "active")
    host.shell("systemctl stop thing; systemctl start thing")
    host.eventually(lambda: len(done(host, "before")) == 4)
    host.shell("systemctl stop upstart-compat")
    began = time.monotonic()
    host.shell("systemctl restart thing")
    assert time.monotonic() - began < 5


def test_b219_b232_a_hooked_unit_is_there_until_the_last_job_has_stopped(boot: Boot) -> None:
    slow = "exec sh -c 'trap \"sleep 0.5; date +done=%s.%N; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
    host = boot({"user": f"start on started thing\nstop on stopping thing\n{slow}", "other": f"start on started thing\n{slow}"},
                configuration="hook thing")
    host.wait_log("user", "up\n")
    host.wait_log("other", "up\n")
    host.go_down("reboot")
    assert times(host, "stops")[0] > max(done(host, "user")[0], done(host, "other")[0])


def test_b249_a_hooked_mount_waits_for_its_jobs(boot: Boot) -> None:
    count = "grep -c ' /srv ' /proc/self/mounts"
    host = boot({"before": f"start on mounting MOUNTPOINT=/srv\ntask\nscript\nenv\nsleep 0.7\n{count} || :\nend script",
                 "after": f"start on mounted MOUNTPOINT=/srv\ntask\nexec {count}"}, configuration="hook srv.mount")
    host.shell("echo 'data /srv tmpfs noauto 0 0' >> /etc/fstab; systemctl daemon-reload")
    # The bridge reads fstab when it is told of a change; until then it does not know of this line.
    host.shell("mount -t tmpfs x /mnt; umount /mnt")
    host.eventually(lambda: host.events().count("startup") == 1)
    host.shell("systemctl start srv.mount")
    host.wait_log("after", "1\n")
    lines = host.log("before").split("\n")
    assert {"DEVICE=data", "MOUNTPOINT=/srv", "TYPE=tmpfs", "OPTIONS=noauto"} < set(lines) and lines.count("DEVICE=data") == 1
    assert lines[-2:] == ["0", ""]


def test_b232_a_stuck_job_delays_and_never_prevents(boot: Boot) -> None:
    host = boot({"before": "start on starting thing\ntask\nexec sleep 1000", "last": "start on stopping thing\ntask\nexec sleep 1000"})
    (host.directory / "etc" / "host.conf").write_text("hook thing\nprofile=ubuntu\n")
    # The limits of the units, only shorter.
    for place, limit in (("before", "TimeoutStartSec"), ("after", "TimeoutStopSec")):
        drop_in = f"/etc/systemd/system/upstart-{place}@thing.service.service.d"
        host.shell(f"mkdir -p {drop_in}; printf '[Service]\\n{limit}=2\\n' > {drop_in}/x.conf")
    host.shell("systemctl stop thing; systemctl daemon-reload")
    for _ in range(2):
        for verb, job, place in (("start", "before", "before"), ("stop", "last", "after")):
            began = time.monotonic()
            host.shell(f"systemctl {verb} thing")
            assert 2 <= time.monotonic() - began < 20
            host.wait_status(job, f"{job} start/running")
            assert host.shell(f"systemctl show -P Result upstart-{place}@thing.service.service") == "timeout\n"
            host.initctl("stop", job)

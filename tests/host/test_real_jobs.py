"""Real job files on a host of today, with harmless programs: AWS's own and others, and whole folders of old systems."""
from __future__ import annotations

import collections
import pathlib
import re
import signal
from typing import Dict, List, Tuple

import pytest

from compat.backends.unit_names import escape
from compat.engine.conditions import postfix
from compat.parser import parse_job
from compat.parser.definition import Match
from tests.daemon.running import eventually
from tests.host import container, real_jobs, systemd_host

pytestmark = [
    pytest.mark.skipif(not real_jobs.CORPUS.is_dir(), reason="needs the corpus of real job files beside the checkout"),
    pytest.mark.skipif(not container.possible(), reason="needs root and namespaces")]

#: What happens on the host of the test, in order.
BOOT: List[Tuple[str, ...]] = [
    ("startup",), ("container", "CONTAINER=systemd-box"), ("virtual-filesystems",), ("local-filesystems",), ("remote-filesystems",),
    ("filesystem",),
    *((event, f"JOB={job}", "INSTANCE=", f"HOST_UNIT={job}.service") for job in ("dbus", "rsyslog", "network", "docker", "cron")
      for event in ("starting", "started")),
    ("net-device-up", "IFACE=lo", "LOGICAL=lo", "ADDRFAM=inet", "METHOD=loopback"), ("static-network-up",), ("all-swaps",),
    ("runlevel", "RUNLEVEL=2", "PREVLEVEL=N"),
    ("starting", "JOB=rc", "INSTANCE=", "RUNLEVEL=2", "PREVLEVEL=N"), ("started", "JOB=rc", "INSTANCE=", "RUNLEVEL=2", "PREVLEVEL=N"),
    ("stopping", "JOB=rc", "INSTANCE=", "RESULT=ok", "RUNLEVEL=2", "PREVLEVEL=N"),
    ("stopped", "JOB=rc", "INSTANCE=", "RESULT=ok", "RUNLEVEL=2", "PREVLEVEL=N")]
SERVICE = "[Service]\nExecStart=sleep 1000\n"
AMAZON = re.compile(rb"amazon|\baws\b|codedeploy|cfn-hup|awslogs", re.IGNORECASE)
#: Started by what the test does to the host, and not by the boot.
OF_DEVICES = {
    "of-link": "start on net-device-added INTERFACE=t*\nstop on net-device-removed INTERFACE=$INTERFACE\ninstance $INTERFACE\n"
               "exec sleep 1000",
    "of-address": "start on net-device-up IFACE=t0\nstop on net-device-down IFACE=t0\nexec sleep 1000",
    "of-mount": "start on mounted MOUNTPOINT=/srv\nexec sleep 1000",
    "on-the-way-down": "start on runlevel [06]\ntask\nexec env"}
SYSV_STYLE = {
    "sysv-a": "start on stopped rc RUNLEVEL=[2345]\nstop on starting rc RUNLEVEL=[016]\nexec sleep 1000",
    "sysv-b": "start on runlevel [2345]\nstop on runlevel [!2345]\nrespawn\nexec sleep 1000",
    "sysv-c": "start on (runlevel [2345] and started network)\nstop on (runlevel [!2345] or stopping network)\nexec sleep 1000",
    "sysv-d": "start on started rsyslog\nstop on stopping rsyslog\nexec sleep 1000"}


def chosen() -> Dict[str, str]:
    """AWS's own jobs, and thirty others whose conditions are all different, of those that start in this boot."""
    amazon: Dict[str, str] = {}
    others: Dict[str, str] = {}
    conditions: "collections.Counter[str]" = collections.Counter()
    for path, data in real_jobs.files("jobs.tar.xz"):
        text = real_jobs.harmless(data)
        if text is None or not text.startswith("start on") or "exec sleep" not in text or "\ninstance" in text:
            continue
        condition = text.partition("\n")[0]
        is_amazon = bool(AMAZON.search(data))
        if (conditions[condition] and not is_amazon) or not real_jobs.started_by({"job": text}, BOOT):
            continue
        conditions[condition] += 1
        (amazon if is_amazon else others)["j" + path.stem] = text
    assert len(amazon) >= 5
    return {**dict(list(amazon.items())[:20]), **dict(list(others.items())[:30]), **SYSV_STYLE}


def _check_order(host: systemd_host.SystemdHost, jobs: Dict[str, str], units: Dict[str, str]) -> None:
    """A job that needs a native unit was started when that was up."""
    up = {unit[:-len(".service")]: int(host.shell(f"systemctl show -P ActiveEnterTimestampMonotonic {unit}")) for unit in units}
    checked = 0
    for name, text in jobs.items():
        condition = parse_job(text.encode("utf-8", "surrogateescape")).start_on
        operands = [each for each in postfix(condition) if isinstance(each, Match)]
        natives = [each.args[0] for each in operands if each.event == "started" and each.args and each.args[0] in up]
        if natives and not any(each == "or" for each in postfix(condition)):
            started = int(host.shell(f"systemctl show -P ExecMainStartTimestampMonotonic 'upstart-{escape(name)}-main.service'"))
            assert all(0 < up[native] <= started for native in natives), (name, started, up)
            checked += 1
    assert checked >= 2


def _check_end(host: systemd_host.SystemdHost, left: List[str]) -> None:
    """Every job that was left was down before systemd stopped anything that the shutdown unit is ordered after."""
    journal = (host.logs / "journal").read_text()
    waited = journal.index("upstart-shutdown.service: Deactivated successfully")
    for job in left:
        if "(" not in job:
            assert -1 < journal.find(f"{job} goal changed from start to stop") < waited, job
    assert journal.find("dbus.service: Deactivated successfully", 0, waited) == -1


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    if not systemd_host.installable():
        pytest.skip("needs what the package depends on (packaging/setup-builders)")
    directory = tmp_path_factory.mktemp("installed")
    systemd_host.install(directory)
    return directory


@pytest.mark.skipif(not systemd_host.possible(), reason="needs systemd")
@pytest.mark.parametrize(("how", "level", "extra"), [("reboot", "6", ""), ("poweroff", "0", "INIT_HALT=POWEROFF\n")])
def test_b267_real_jobs_start_and_stop_with_a_host_of_today(
        tmp_path: pathlib.Path, installed: pathlib.Path, how: str, level: str, extra: str) -> None:
    """As an administrator has it: installed, the job files in /etc/init, and booted."""
    jobs = {**chosen(), **OF_DEVICES}
    wanted = real_jobs.started_by(jobs, BOOT)
    units = {f"{name}.service": SERVICE for name in ("rsyslog", "docker", "cron", "network")}
    host = systemd_host.SystemdHost(tmp_path / "host", jobs, units=units, installed=installed)
    try:
        def running() -> List[str]:
            return sorted(line.split()[0] for line in host.initctl("list").splitlines() if "start/running" in line)

        try:
            host.eventually(lambda: set(wanted) <= set(running()))
        except AssertionError:
            missing = sorted(set(wanted) - set(running()))
            pytest.fail(f"{[(name, jobs[name]) for name in missing]}")
        assert "nternal error" not in host.journal()
        assert host.run("systemctl", "is-active", "upstart-compat", "upstart-host-bridge", "upstart-shutdown").stdout == "active\n" * 3
        assert host.run("readlink", f"/proc/{host.main_pid('upstart-compat')}/exe").stdout.startswith("/usr/bin/python3")
        _check_order(host, jobs, units)
        host.shell("systemctl stop rsyslog")
        host.wait_status("sysv-d", "sysv-d stop/waiting")
        host.shell("ip link add t0 type veth peer name t1; ip link set t1 up")
        host.eventually(lambda: "of-link (t0) start/running" in host.initctl("list"))
        host.shell("ip link set t0 up; ip addr add 10.1.2.3/24 dev t0")
        host.wait_status("of-address", "of-address start/running")
        host.shell("ip link del t0")
        host.eventually(lambda: "of-link (t" not in host.initctl("list"))
        host.wait_status("of-address", "of-address stop/waiting")
        host.shell("mount -t tmpfs data /srv")
        host.wait_status("of-mount", "of-mount start/running")
        left = running()
        host.keep_journal()
        host.go_down(how)
        assert f"RUNLEVEL={level}\nPREVLEVEL=2\n{extra}" in host.log("on-the-way-down")
        _check_end(host, left)
    finally:
        host.destroy()


FOLDERS = ["amazon-echo", "cameronnemo-minimal", "chromiumos-init-upstart", "raspbmc-debian", "rhel6-initscripts", "ubuntu-10.04-lucid",
           "ubuntu-14.x-xlxc", "ubuntu-touch-system", "ubuntu-vivid-2018-merge", "upstart-conf", "upstart-debian-conf", "volumio-debian"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_b257_folders_of_old_systems_come_up_and_go_down_in_a_container(tmp_path: pathlib.Path, folder: str) -> None:
    jobs: Dict[str, str] = {}
    for path, data in real_jobs.files("bootgraphs.tar.xz"):
        text = real_jobs.harmless(data) if path.parts[1] == folder else None
        if text is not None:
            jobs["/".join(path.with_suffix("").parts[2:])] = text
    assert jobs
    inside = container.Container(tmp_path / "c", jobs)
    try:
        inside.wait_event("runlevel")
        eventually(lambda: '"boot:rc": "done"' in inside.run("cat", "/run/upstart-compat/facts.json").stdout)
        inside.signal(signal.SIGTERM)
        assert inside.wait_end(12) == 0
        assert "nternal error" not in inside.output
        assert inside.events()[0] == "startup"
    finally:
        inside.destroy()

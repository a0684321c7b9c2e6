"""Hosts with systemd of several shapes: with a desktop, without a network, with mounts, and each way down (B208-B219, B229, B230, B239)."""
from __future__ import annotations

import pathlib
import re
from typing import List

import pytest

from tests.host import systemd_host
from tests.host.conftest import Boot
from tests.host.systemd_host import SystemdHost, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root and systemd")

SERVICE = "[Service]\nExecStart=sleep 1000\n"
#: Says when it has come up and gone down, and takes its time for that.
SLOW = "exec sh -c 'trap \"sleep 0.3; echo down; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
WEB = "start on stopped rc RUNLEVEL=[2345]\nstop on runlevel [!2345]\nexec sleep 1000"


#: network-online.target waits for it; multi-user.target does not.
NO_NETWORK = {"no-network.service": "[Unit]\nBefore=network-online.target\nDefaultDependencies=no\n"
                                    "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=sleep 1000\n"}


def without_network(host: SystemdHost) -> SystemdHost:
    """The boot goes on to multi-user.target, while network-online.target is not reached. The box itself waits for its boot to be done."""
    host.shell("systemctl start --no-block multi-user.target")
    return host


def milestones(host: SystemdHost) -> List[str]:
    return [each for each in host.events() if each in ("startup", "filesystem", "static-network-up", "failsafe-boot", "runlevel")]


def test_b208_a_boot_without_network(boot: Boot) -> None:
    host = without_network(boot(
        {"fail": "start on failsafe-boot\ntask\nexec env", "net": "start on static-network-up\ntask\nexec env", "web": WEB},
        units=NO_NETWORK, wanted="basic.target", failsafe=2.0))
    host.wait_status("web", "web start/running")
    assert milestones(host) == ["startup", "filesystem", "failsafe-boot", "runlevel"]
    host.wait_log("fail", "UPSTART_EVENTS=failsafe-boot\n")
    # It comes after all.
    host.shell("systemctl stop no-network; systemctl start network-online.target")
    host.wait_log("net", "UPSTART_EVENTS=static-network-up\n")
    assert milestones(host)[4:] == ["static-network-up"]


def test_b208_rhel_does_not_wait_for_a_network(boot: Boot) -> None:
    host = without_network(boot({"web": WEB}, units=NO_NETWORK, wanted="basic.target", profile="rhel"))
    host.wait_status("web", "web start/running")
    assert milestones(host) == ["startup", "filesystem", "runlevel"]


def test_b212_b214_a_desktop_of_rhel(boot: Boot) -> None:
    host = boot({"levels": "start on runlevel\ntask\nexec env",
                 "desk": "start on stopped rc RUNLEVEL=5\nstop on starting rc RUNLEVEL=[!5]\nexec sleep 1000"},
                wanted="graphical.target", profile="rhel")
    host.wait_status("desk", "desk start/running")
    host.wait_log("levels", "RUNLEVEL=5\nPREVLEVEL=N\n")
    host.shell("systemctl stop graphical.target")
    host.wait_log("levels", "RUNLEVEL=3\nPREVLEVEL=5\n")
    host.wait_status("desk", "desk stop/waiting")
    host.shell("systemctl start graphical.target")
    host.wait_log("levels", "RUNLEVEL=5\nPREVLEVEL=3\n")
    host.wait_status("desk", "desk start/running")


def test_b214_isolate_leaves_the_desktop_and_the_jobs_go_on(boot: Boot) -> None:
    host = boot({"levels": "start on runlevel\ntask\nexec env", "web": WEB}, wanted="graphical.target", profile="rhel")
    host.wait_status("web", "web start/running")
    web = host.status("web")
    host.shell("systemctl isolate multi-user.target")
    host.wait_log("levels", "RUNLEVEL=3\nPREVLEVEL=5\n")
    assert host.status("web") == web


@pytest.mark.parametrize(("how", "level", "extra"), [("halt", "0", "INIT_HALT=HALT\n"), ("kexec", "6", ""), ("exit", "0", "")])
def test_b214_b218_ways_down(boot: Boot, how: str, level: str, extra: str) -> None:
    host = boot({"slow": "start on runlevel 2\nstop on runlevel [016]\n" + SLOW,
                 "task": "start on runlevel [016]\ntask\nexec env"})
    host.wait_log("slow", "up\n")
    host.go_down(how)
    assert host.log("slow").endswith("\ndown\n")
    assert f"RUNLEVEL={level}\nPREVLEVEL=2\n{extra}UPSTART_EVENTS=runlevel\n" in host.log("task")


@pytest.mark.parametrize("when", ["before", "during"])
def test_b204_b218_a_daemon_that_is_killed_when_the_host_goes_down(boot: Boot, tmp_path: pathlib.Path, when: str) -> None:
    """systemd starts none any more: the one that is started for the rest of the way repeats nothing, and each job goes down as it says."""
    # Into files: what a job prints goes by way of the daemon that has died.
    notes = tmp_path / "h0" / "log" / "notes"
    slow = f"exec sh -c 'trap \"sleep 2; echo down >> {notes}; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
    host = boot({"slow": f"start on runlevel 2\nstop on runlevel [016]\nkill timeout 20\n{slow}",
                 "post": f"start on runlevel 2\nexec sleep 1000\npost-stop exec sh -c 'echo post >> {notes}'",
                 "task": f"start on runlevel [016]\ntask\nexec sh -c 'echo task $RUNLEVEL >> {notes}'",
                 "last": f"start on stopped rc RUNLEVEL=6\ntask\nexec sh -c 'echo last >> {notes}'"})
    host.wait_log("slow", "up\n")
    host.wait_status("post", "post start/running")
    host.keep_journal()
    kill = f"kill -9 {host.main_pid('upstart-compat')}"
    if when == "during":
        host.run("sh", "-c", f"(while ! grep -q task {notes}; do sleep 0.02; done; {kill}) > /dev/null 2>&1 &")
    else:
        # In one go, so that systemd has no time to start another before.
        host.run("sh", "-c", f"{kill}; systemctl --no-block --job-mode=replace-irreversibly start reboot.target")
    host.go_down("reboot")
    assert sorted(notes.read_text().split("\n")) == ["", "down", "last", "post", "task 6"], (host.logs / "journal").read_text()[-5000:]


def test_b219_jobs_are_down_before_the_units_that_they_stop_with(boot: Boot) -> None:
    """Checklist 58: a job of dbus, the network's after it, and remote mounts that are still there."""
    host = boot({"of-dbus": "start on started dbus\nstop on stopping dbus\n" + SLOW,
                 "of-network": "start on runlevel 2\nstop on deconfiguring-networking\n" + SLOW,
                 "unmounted": "start on unmounted-remote-filesystems\ntask\nexec env", "web": WEB})
    for job in ("of-dbus", "of-network"):
        host.wait_log(job, "up\n")
    # A network mount, by its option in fstab, which is all that there can be here.
    host.shell(f"mount -t tmpfs data /mnt; echo 'data /mnt tmpfs _netdev 0 0' >> /etc/fstab; "
               f"mkdir -p /run/systemd/system/dbus.service.d; printf '[Service]\\nExecStop=sh -c \"cat {host.logs}/of-*.log > "
               f"{host.logs}/at-stop; date +%%s%%N > {host.logs}/dbus-stops\"\\n' > /run/systemd/system/dbus.service.d/x.conf; "
               "systemctl daemon-reload")
    host.keep_journal()
    host.wait_status("web", "web start/running")
    host.go_down("reboot")
    assert (host.logs / "at-stop").read_text().count("down") == 2, "dbus is stopped when no job is left"
    journal = (host.logs / "journal").read_text()
    assert "unmounted-remote-filesystems: there are network mounts left, not emitted" in journal and host.log("unmounted") == ""
    stops = [journal.index(f"{job} goal changed from start to stop") for job in ("of-dbus", "of-network")]
    assert stops == sorted(stops) and journal.index("of-dbus state changed from post-stop to waiting") < stops[1]


def test_b230_what_was_up_before_is_told_as_it_came_up_and_jobs_come_first(boot: Boot) -> None:
    """Checklist 66: ``starting`` of a unit that has been up for long is held until the jobs are up, 30 seconds at most."""
    host = boot({"before": "start on starting networking\npre-start exec sleep 0.5\nexec sleep 1000",
                 "after": "start on started networking\ntask\nexec sh -c 'initctl status before || true'",
                 "third": "start on started rsyslog\ntask\nexec true", "web": WEB},
                units={"network.service": SERVICE, "rsyslog.service": "[Unit]\nAfter=network.service\n" + SERVICE})
    host.wait_status("web", "web start/running")
    host.wait_status("before", "before start/running")
    host.eventually(lambda: "after goal changed from stop to start" in host.journal())
    journal = host.journal()
    assert journal.index("before state changed from post-start to running") < journal.index("after goal changed from stop to start")


def test_b229_b239_a_name_has_the_unit_that_the_host_has(boot: Boot) -> None:
    """Checklist 65: ``network`` is NetworkManager here; a unit that appears after a daemon-reload is picked up."""
    host = boot({"net": "start on started network\nstop on stopping network\nexec sleep 1000",
                 "db": "start on started mysql\nstop on stopping mysql\nexec sleep 1000", "web": WEB},
                units={"NetworkManager.service": SERVICE})
    host.wait_status("net", "net start/running")
    host.wait_status("web", "web start/running")
    host.shell("systemctl stop NetworkManager")
    host.wait_status("net", "net stop/waiting")
    assert host.status("db") == "db stop/waiting"
    host.shell("printf '[Service]\nExecStart=sleep 1000\n' > /etc/systemd/system/mariadb.service; systemctl daemon-reload; "
               "systemctl start mariadb")
    host.wait_status("db", "db start/running")
    host.shell("systemctl stop mariadb")
    host.wait_status("db", "db stop/waiting")


def test_b222_an_emergency_ends_the_boot_and_what_comes_after_it_goes_on_with_it(boot: Boot) -> None:
    host = without_network(boot({"levels": "start on runlevel\ntask\nexec env", "web": WEB}, units=NO_NETWORK, wanted="basic.target"))
    host.eventually(lambda: "filesystem" in milestones(host))
    # No shell on a console.
    host.shell("printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=sleep 1000\n' > /etc/systemd/system/emergency.service; "
               "systemctl daemon-reload; systemctl isolate emergency.target")
    host.eventually(lambda: host.run("systemctl", "is-active", "upstart-compat").stdout.strip() == "inactive")
    assert milestones(host) == ["startup", "filesystem", "runlevel", "runlevel"] and host.status("web") != "web start/running"
    host.shell("systemctl --no-block isolate multi-user.target; systemctl stop no-network")
    host.wait_status("web", "web start/running")
    assert milestones(host)[4:] == ["static-network-up", "runlevel"]
    # The last line comes with the last event.
    host.wait_log("levels", "RUNLEVEL=2\nPREVLEVEL=S\n")
    assert re.findall(r"^(?:RUN|PREV)LEVEL=(.)$", host.log("levels"), re.MULTILINE) == ["1", "N", "S", "1", "2", "S"]


def test_b208_b209_file_systems_that_are_late(boot: Boot, tmp_path: pathlib.Path) -> None:
    """A daemon that is started before them, as a host's own unit may do, tells the first lines of the boot and waits with the others."""
    notes = "task\nexec systemctl show -P ActiveState local-fs.target | cat"
    early = {
        "upstart-compat.service": systemd_host.daemon_unit(tmp_path / "h0").replace(
            "After=dbus.service systemd-journald.service local-fs.target", "DefaultDependencies=no"),
        "upstart-host-bridge.service": systemd_host.packaged_unit("upstart-host-bridge.service").replace(
            "[Unit]\n", "[Unit]\nDefaultDependencies=no\n")}
    assert all("DefaultDependencies=no" in each for each in early.values())
    # They are late until the job of the first lines has been; if that waited too, this host would not come up.
    late = ("[Unit]\nDefaultDependencies=no\nBefore=local-fs.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
            f"ExecStart=sh -c 'until grep -q act {tmp_path}/h0/log/virtual.log; do sleep 0.1; done'\n")
    host = boot({"virtual": f"start on virtual-filesystems\n{notes}", "local": f"start on local-filesystems\n{notes}",
                 "all": f"start on filesystem\n{notes}", "web": WEB}, units={**early, "late.service": late})
    host.wait_status("web", "web start/running")
    for job in ("virtual", "local", "all"):
        host.wait_log(job, "active\n")
    assert [host.log(job) for job in ("virtual", "local", "all")] == ["inactive\n", "active\n", "active\n"]
    order = ["startup", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem", "runlevel"]
    assert [each for each in host.events() if each in order] == order

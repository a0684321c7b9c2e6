"""A whole host: systemd, the daemon and the bridge, from boot to reboot (B195, B200-B230, B237, B241-B250)."""
from __future__ import annotations

import re
import time
from typing import List

import pytest

from tests.host.conftest import Boot
from tests.host.systemd_host import SystemdHost, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root and systemd")

_JOB_EVENTS = ("starting", "started", "stopping", "stopped")


WEB = "start on stopped rc RUNLEVEL=[2345]\nstop on runlevel [!2345]\nexec sleep 1000"
_WANTS = "/etc/systemd/system/multi-user.target.wants"
SERVICE = "[Service]\nExecStart=sleep 1000\n"


def host_events(host: SystemdHost) -> List[str]:
    return [each for each in host.events() if each not in _JOB_EVENTS]


def test_b208_a_boot_and_b212_its_level(boot: Boot) -> None:
    host = boot({"web": WEB, "env": "start on runlevel [2345]\ntask\nexec env", "fs": "start on filesystem\ntask\nexec echo fs",
                 "late": "start on stopped mountall and static-network-up\ntask\nexec env",
                 "rc": "start on runlevel\nexec false", "tty1": "start on startup\nexec false"})
    host.wait_status("web", "web start/running")
    events = [each for each in host_events(host) if not each.startswith(("net-", "mount"))]
    assert sorted(events) == sorted(["startup", "container", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem",
                                     "plymouth-ready", "static-network-up", "runlevel", "all-swaps"])
    order = ["startup", "container", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem", "static-network-up",
             "runlevel"]
    assert [each for each in events if each in order] == order
    host.wait_log("env", "RUNLEVEL=2\nPREVLEVEL=N\n")
    host.wait_log("fs", "fs")
    host.wait_log("late", "UPSTART_EVENTS=stopped static-network-up\n")
    assert host.status("rc") == "initctl: Unknown job: rc"
    assert "rc: owned by the host, not loaded (unmask in /etc/upstart-compat/host.conf)" in host.journal()


def test_b226_b227_native_units_are_jobs(boot: Boot) -> None:
    host = boot({"log": "start on started rsyslog\nstop on stopping rsyslog\nexec env sleep 1000",
                 "seen": "start on stopped rsyslog\ntask\nexec env"}, units={"rsyslog.service": SERVICE})
    host.wait_status("log", "log start/running")
    host.shell("systemctl stop rsyslog")
    host.wait_status("log", "log stop/waiting")
    host.wait_log("seen", "JOB=rsyslog\nINSTANCE=\nRESULT=ok\nHOST_UNIT=rsyslog.service\n")
    host.shell("systemctl start rsyslog")
    host.wait_status("log", "log start/running")
    host.shell("systemctl kill -s SEGV rsyslog")
    host.wait_status("log", "log stop/waiting")
    host.wait_log("seen", "RESULT=failed\nPROCESS=main\nEXIT_SIGNAL=SEGV\nHOST_UNIT=rsyslog.service\n")


def test_b235_units_that_show_jobs_are_no_native_ones(boot: Boot) -> None:
    host = boot({"web": WEB, "sshd": "exec sleep 1000", "ssh-too": "start on started ssh\ntask\nexec env",
                 "all": "start on started JOB!=all\ntask\ninstance $JOB$HOST_UNIT\nexec env"}, units={"rsyslog.service": SERVICE})
    host.wait_status("web", "web start/running")
    host.eventually(lambda: "Upstart job sshd" in host.shell("systemctl show -P Description sshd.service"))
    host.shell("systemctl start sshd")
    host.wait_status("sshd", "sshd start/running")
    host.shell("systemctl stop sshd; systemctl restart rsyslog")
    host.eventually(lambda: "HOST_UNIT=rsyslog.service" in host.log("all-rsyslogrsyslog.service"))
    assert host.log("ssh-too") == ""
    assert "sshd.service" not in "".join(path.read_text() for path in host.logs.glob("all-*.log"))


def test_b240_b245_an_interface_comes_and_goes(boot: Boot) -> None:
    host = boot({"link": "start on net-device-added\nstop on net-device-removed INTERFACE=$INTERFACE\ninstance $INTERFACE\nexec sleep 1000",
                 "web": WEB, "up": "start on net-device-up IFACE!=lo\ninstance $IFACE$ADDRFAM\ntask\nexec env"})
    host.wait_status("web", "web start/running")
    host.shell("ip link add t0 type veth peer name t1")
    host.eventually(lambda: "link (t0) start/running" in host.initctl("list"))
    host.shell("ip link set t1 up && ip link set t0 up && ip addr add 10.1.2.3/24 dev t0")
    host.eventually(lambda: "IFACE=t0\nLOGICAL=t0\nADDRFAM=inet\nMETHOD=static\n" in host.log("up-t0inet"))
    host.shell("ip link del t0")
    host.eventually(lambda: "(t0)" not in host.initctl("list"))


def test_b247_b250_a_mount(boot: Boot) -> None:
    host = boot({"web": WEB, "disk": "start on mounted MOUNTPOINT=/srv\ntask\nexec env"})
    host.wait_status("web", "web start/running")
    for count in (1, 2):
        host.shell("mount -t tmpfs data /srv")
        host.eventually(lambda count=count: host.log("disk").count("MOUNTPOINT=/srv\nTYPE=tmpfs\n") == count)
        # A task that still runs is not started again.
        host.wait_status("disk", "disk stop/waiting")
        host.shell("umount /srv")


@pytest.mark.parametrize(("how", "level", "extra"), [("reboot", "6", ""), ("poweroff", "0", "INIT_HALT=POWEROFF\n")])
def test_b218_b219_the_host_waits_for_its_jobs(boot: Boot, how: str, level: str, extra: str) -> None:
    slow = "exec sh -c 'trap \"sleep 0.5; echo down; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
    host = boot({"slow": "start on runlevel 2\nstop on runlevel [!2345]\nkill timeout 20\n" + slow,
                 "with-log": "start on started rsyslog\nstop on stopping rsyslog\n" + slow,
                 "other": "start on runlevel 2\n" + slow,
                 "task": "start on runlevel [06]\ntask\nexec env", "last": "start on stopped rc RUNLEVEL=[06]\ntask\nexec echo last"},
                units={"rsyslog.service": SERVICE})
    host.shell(f"mkdir -p /etc/systemd/system/rsyslog.service.d && printf '[Service]\\nExecStop=sh -c \"cat {host.logs}/*.log"
               f" > {host.logs}/at-stop\"\\n' > /etc/systemd/system/rsyslog.service.d/x.conf && systemctl daemon-reload")
    for job in ("slow", "with-log", "other"):
        host.wait_log(job, "up\n")
    host.go_down(how)
    for job in ("slow", "with-log", "other"):
        assert "down\n" in host.log(job)
    assert f"RUNLEVEL={level}\nPREVLEVEL=2\n{extra}" in host.log("task")
    assert host.log("last") == "last\n"
    assert (host.logs / "at-stop").read_text().count("down") == 3, "rsyslog is stopped when no job is left"


def test_b219_b220_a_job_that_ignores_everything_is_killed_and_the_host_goes_down(boot: Boot) -> None:
    host = boot({"deaf": "start on runlevel 2\nkill timeout 1000\nexec sh -c 'trap \"\" TERM; echo up; while :; do sleep 1; done'"},
                configuration="shutdown-limit=6")
    host.wait_log("deaf", "up\n")
    began = time.monotonic()
    host.go_down("reboot")
    assert 5 < time.monotonic() - began < 30


def test_b237_a_plain_stop(boot: Boot) -> None:
    host = boot({"web": WEB, "task": "start on runlevel [06]\ntask\nexec env"})
    host.wait_status("web", "web start/running")
    host.shell("systemctl stop upstart-compat")
    assert host.shell("systemctl show -P Result -P ExecMainStatus upstart-compat").split() == ["success", "0"]
    assert host.events().count("runlevel") == 1 and host.log("task") == ""
    assert not re.search(r"\bsleep 1000\b", host.shell("ps -eo args"))


def test_b237_jobs_go_on_while_the_service_is_restarted(boot: Boot) -> None:
    host = boot({"web": WEB, "once": "start on startup or runlevel or filesystem or started rsyslog\ntask\nexec true",
                 "loud": "start on runlevel 2\nexec sh -c 'while :; do echo line; sleep 0.1; done'",
                 "log": "start on started rsyslog\nstop on stopping rsyslog\nexec sleep 1000"}, units={"rsyslog.service": SERVICE})
    host.wait_status("web", "web start/running")
    host.wait_status("log", "log start/running")
    host.wait_status("loud", "loud start/running")
    # Its last event is behind these, so it has run for each of them, and what is counted below is not about it.
    host.wait_status("once", "once stop/waiting")
    jobs, count = [host.status(job) for job in ("web", "log", "loud")], len(host.events())
    for _ in range(3):
        host.shell("systemctl restart upstart-compat")
        assert [host.status(job) for job in ("web", "log", "loud")] == jobs, "the same processes"
        lines = host.log("loud").count("line")
        host.eventually(lambda lines=lines: host.log("loud").count("line") > lines)
        host.eventually(lambda: host.main_pid("upstart-host-bridge"))
    assert host.shell("systemctl is-active web.service").strip() == "active"
    # With all that follows, and nothing but that.
    host.shell("systemctl stop rsyslog")
    host.wait_status("log", "log stop/waiting")
    assert host.events()[count:] == ["stopping", "stopping", "stopped", "stopped"]


def _killed(host: SystemdHost, unit: str) -> None:
    """Kill it, and wait until both are there again."""
    pid, bridge = host.main_pid(unit), host.main_pid("upstart-host-bridge")
    host.shell(f"kill -9 {pid}")
    host.eventually(lambda: host.main_pid("upstart-compat") and host.main_pid("upstart-host-bridge") not in (0, bridge))


def test_b204_whoever_is_killed_nothing_is_repeated_and_nothing_missed(boot: Boot) -> None:
    host = boot({"once": "start on startup or runlevel or filesystem or started rsyslog or net-device-up\ntask\nexec true", "web": WEB,
                 "disk": "start on mounted MOUNTPOINT=/srv\ntask\nexec env",
                 "log": "start on started rsyslog\nstop on stopping rsyslog\nexec sleep 1000"},
                units={"rsyslog.service": SERVICE})
    host.wait_status("web", "web start/running")
    web = host.status("web")
    for victim in ("upstart-host-bridge", "upstart-compat", "upstart-host-bridge"):
        before, mounts = len(host.events()), host.log("disk").count("MOUNTPOINT")
        _killed(host, victim)
        host.shell("mount -t tmpfs data /srv")
        host.eventually(lambda mounts=mounts: host.log("disk").count("MOUNTPOINT") == mounts + 1)
        host.wait_status("disk", "disk stop/waiting")
        host.shell("umount /srv")
        assert [each for each in host.events()[before:] if each not in _JOB_EVENTS] == ["mounted"]
        assert host.status("web") == web, "the same process"
    # What happened while nobody looked is told afterwards.
    host.shell("systemctl restart rsyslog")
    host.wait_status("log", "log start/running")
    before, log = len(host.events()), host.status("log")
    host.shell("systemctl stop upstart-host-bridge; systemctl restart rsyslog; mount -t tmpfs data /srv; "
               "systemctl start upstart-host-bridge")
    host.eventually(lambda: "mounted" in host.events()[before:])
    host.eventually(lambda: host.status("log").startswith("log start/running") and host.status("log") != log)


def test_b214_single_user_mode_and_back(boot: Boot) -> None:
    host = boot({"web": WEB, "env": "start on runlevel\ntask\nexec env"}, units={})
    host.wait_status("web", "web start/running")
    # No shell on a console.
    host.shell("printf '[Service]\nExecStart=sleep 1000\n' > /etc/systemd/system/rescue.service; systemctl daemon-reload; "
               "systemctl isolate rescue.target")
    host.eventually(lambda: "RUNLEVEL=1\nPREVLEVEL=2\n" in host.log("env"))
    host.eventually(lambda: host.run("systemctl", "is-active", "upstart-compat").stdout.strip() == "inactive")
    host.shell("systemctl --no-block isolate multi-user.target")
    host.wait_status("web", "web start/running")
    host.eventually(lambda: "RUNLEVEL=2\nPREVLEVEL=S\n" in host.log("env"))
    assert host.events().count("startup") == 1


def test_b216_power_failure_and_keys(boot: Boot) -> None:
    host = boot({"web": WEB, "power": "start on power-status-changed\ntask\nexec env",
                 "keyboard": "start on keyboard-request\ntask\nexec env",
                 "keys": "start on control-alt-delete\ntask\nexec env"}, configuration="emit-control-alt-delete=yes")
    host.wait_status("web", "web start/running")
    # Debian has no target for the second, and takes the third for a reboot.
    host.shell("for name in kbrequest ctrl-alt-del; do printf '[Unit]\nStopWhenUnneeded=yes\n' > /etc/systemd/system/$name.target; done; "
               "systemctl daemon-reload")
    # As the kernel tells the host's init.
    host.shell("kill -s PWR 1; kill -s WINCH 1")
    host.wait_log("power", "UPSTART_EVENTS=power-status-changed\n")
    host.wait_log("keyboard", "UPSTART_EVENTS=keyboard-request\n")
    # The first target is still up. By the job of a unit alone that is seen again, and a task that runs is not started again.
    for count in (2, 3):
        host.wait_status("power", "power stop/waiting")
        assert host.shell("systemctl is-active sigpwr.target") == "active\n"
        host.shell("kill -s PWR 1")
        host.eventually(lambda count=count: host.log("power").count("UPSTART_EVENTS=power-status-changed\n") == count)
    for count in (1, 2):
        host.shell("kill -s INT 1")
        host.eventually(lambda count=count: host.log("keys").count("UPSTART_EVENTS=control-alt-delete\n") == count)
    assert host.status("web").startswith("web start/running"), "that was no reboot"


def test_b205_replay(boot: Boot) -> None:
    host = boot({"web": WEB, "env": "start on filesystem\ntask\nexec env"})
    host.wait_status("web", "web start/running")
    host.wait_log("env", "UPSTART_EVENTS=filesystem")
    status = host.status("web")
    host.shell(host.bridge_command("--replay"))
    host.eventually(lambda: "HOST_REPLAY=1" in host.log("env"))
    assert host.status("web") == status


def test_b215_telinit_is_for_the_jobs_alone(boot: Boot) -> None:
    host = boot({"web": WEB, "env": "start on runlevel\ntask\nexec env"})
    host.wait_status("web", "web start/running")
    for level in ("0", "1", "6", "s"):
        assert host.client("telinit", level).startswith(f"telinit: not supported: runlevel {level.upper()} is the host's own")
    assert host.client("telinit", "3") == ""
    host.wait_log("env", "RUNLEVEL=3\nPREVLEVEL=2\n")
    assert host.client("telinit", "4") == ""
    host.wait_log("env", "RUNLEVEL=4\nPREVLEVEL=3\n")
    assert host.status("web").startswith("web start/running")


def test_b223_without_the_shutdown_unit_the_daemon_takes_the_steps_itself(boot: Boot) -> None:
    host = boot({"web": WEB, "last": "start on runlevel [06]\ntask\nexec env"})
    host.wait_status("web", "web start/running")
    host.shell("mkdir -p /etc/systemd/system/upstart-shutdown.service.d; "
               "printf '[Service]\\nExecStop=\\nExecStop=true\\n' > /etc/systemd/system/upstart-shutdown.service.d/x.conf; "
               "systemctl daemon-reload")
    host.go_down("reboot")
    assert "RUNLEVEL=6\nPREVLEVEL=2\n" in host.log("last")


def test_b270_b271_lines_of_the_configuration_count_after_a_reload(boot: Boot) -> None:
    host = boot({"web": WEB, "data": "start on data-here\ntask\nexec env"}, units={"thing.service": SERVICE},
                configuration="on unit thing.service up emit data-here PLACE=%u\nno such line\n")
    host.wait_log("data", "PLACE=thing.service\n")
    assert "/etc/upstart-compat/host.conf:2: unknown word: no" in host.journal()
    host.wait_status("web", "web start/running")
    (host.directory / "etc" / "host.conf").write_text("on mount /srv emit data-here PLACE=%m\nprofile=ubuntu\nmask web\n")
    host.initctl("reload-configuration")
    host.eventually(lambda: host.log("data") and _mounted_and_told(host))
    host.shell("systemctl restart thing")
    host.initctl("stop", "web")
    host.eventually(lambda: host.status("web") == "initctl: Unknown job: web")
    assert host.log("data").count("thing.service") == 1


def _mounted_and_told(host: SystemdHost) -> bool:
    """The bridge takes a moment to know the new line."""
    host.shell("mount -t tmpfs data /srv; sleep 0.1; umount /srv")
    return "PLACE=/srv\n" in host.log("data")


def test_b198_a_job_that_the_host_has_too(boot: Boot) -> None:
    host = boot({"web": WEB, "cron": "start on runlevel [2345]\nexec sleep 1000"}, units={"cron.service": SERVICE})
    host.shell(f"mkdir -p {_WANTS} && ln -s /usr/lib/systemd/system/cron.service {_WANTS} && kill -9 {host.main_pid('upstart-compat')}")
    host.eventually(lambda: "cron: also exists as cron.service on this host" in host.journal())
    assert "web: also exists" not in host.journal()


def test_b207_no_job_holds_the_boot_of_the_host(boot: Boot) -> None:
    # The box is up only when multi-user.target is; the job goes on as long as nobody stops it.
    host = boot({"stuck": "start on startup\ntask\nexec sleep 1000", "web": "start on starting stuck\ntask\nexec sleep 1000"})
    assert host.run("systemctl", "is-active", "multi-user.target").stdout == "active\n"
    assert host.run("systemctl", "is-active", "upstart-compat").stdout == "active\n"
    host.wait_status("web", "web start/running")
    assert host.status("stuck") == "stuck start/starting"
    host.eventually(lambda: "runlevel" in host.events())


def test_b220_a_job_that_needs_longer_than_the_unit_is_given_more_time(boot: Boot) -> None:
    host = boot({"slow": "start on runlevel 2\nkill timeout 60\n"
                         "exec sh -c 'trap \"sleep 6; echo down; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"})
    host.shell("mkdir -p /etc/systemd/system/upstart-shutdown.service.d; printf '[Service]\\nTimeoutStopSec=4\\n' > "
               "/etc/systemd/system/upstart-shutdown.service.d/x.conf; systemctl daemon-reload")
    host.wait_log("slow", "up\n")
    host.go_down("reboot")
    assert host.log("slow").endswith("\ndown\n")


def test_b236_b269_a_unit_s_mount_is_told_before_the_unit_and_it_is_no_job(boot: Boot) -> None:
    unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=mount -t tmpfs data /srv\nExecStop=umount /srv\n"
    host = boot({"unit": "start on started data\ntask\nexec true", "disk": "start on mounted MOUNTPOINT=/srv\ntask\nexec true", "web": WEB})
    host.wait_status("web", "web start/running")
    (host.logs / "data.service").write_text(unit)
    host.shell(f"cp {host.logs}/data.service /run/systemd/system/; systemctl daemon-reload")
    for count in (1, 2, 3):
        host.shell("systemctl start data")
        host.eventually(lambda count=count: len(_begun(host)) == 2 * count)
        assert _begun(host)[-2:] == ["disk", "unit"]
        # What still runs is not started again.
        for job in ("disk", "unit"):
            host.wait_status(job, f"{job} stop/waiting")
        host.shell("systemctl stop data")
    assert host.initctl("start", "data") == "initctl: Unknown job: data\n"


def _begun(host: SystemdHost) -> List[str]:
    """The tasks that an event started, in order."""
    return re.findall(r"^(disk|unit) goal changed from stop to start$", host.journal(), re.MULTILINE)


def test_b196_an_idle_host_wakes_nobody(boot: Boot) -> None:
    host = boot({"web": WEB, "all": "start on started rsyslog or mounted MOUNTPOINT=/srv or net-device-up IFACE=t0\nexec true",
                 "down": "start on starting rc RUNLEVEL=[06]\nexec true"}, units={"rsyslog.service": SERVICE})
    host.wait_status("web", "web start/running")
    pids = [host.main_pid("upstart-compat"), host.main_pid("upstart-host-bridge")]

    def switches() -> List[str]:
        texts = host.shell(f"cat /proc/{pids[0]}/status /proc/{pids[1]}/status")
        return re.findall(r"^voluntary_ctxt_switches:\s*(\d+)$", texts, re.MULTILINE)

    def idle() -> bool:
        before = switches()
        time.sleep(1.0)
        return switches() == before

    host.eventually(idle)

"""The Debian package on a host with systemd: installed, used, upgraded, removed, purged (B207, X260, 7 C.6)."""
from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

from tests.packaging.box import ROOT, Box, needs, needs_box

pytestmark = [pytest.mark.package, needs_box, needs("dpkg-buildpackage", "dh", "dh_python3", "systemctl", "unshare")]

JOB = "start on startup\nrespawn\nexec sleep 4711\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    place = str(tmp_path_factory.mktemp("deb"))
    done = subprocess.run(["make", "-s", "--no-print-directory", "deb"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          env={**os.environ, "BUILDDIR": place, "DISTDIR": place}, text=True, timeout=300, check=True)
    return pathlib.Path(done.stdout.split()[-1])


def pid_of(status: str) -> int:
    found = re.fullmatch(r"web start/running, process (\d+)\n", status)
    assert found, status
    return int(found[1])


def test_b207_the_life_of_the_package(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with Box(tmp_path, package.parent) as box:
        before = box.files()
        box.run(f"dpkg -i {package}")
        added = box.files() - before

        # Nothing runs, and no name that other software looks for has appeared (C149, C151).
        assert box.try_run("systemctl is-enabled upstart-compat").stdout == "disabled\n"
        assert box.try_run("systemctl is-active upstart-compat").stdout == "inactive\n"
        assert "/usr/bin/initctl" in added
        box.fails("ls -d /sbin/initctl")
        box.fails("ls -d /usr/bin/start /usr/bin/stop /usr/bin/restart /usr/bin/reload /usr/bin/status")
        assert "Failed to connect" in box.fails("initctl version")

        # Of the units; systemd 247 complains of control groups here, too.
        assert "upstart" not in box.run("systemd-analyze verify upstart-compat.service upstart.slice")

        # READY is sent when the socket listens: what follows the start need not wait.
        box.run(f"mkdir -p /etc/init && printf '{JOB}' > /etc/init/web.conf".replace("\n", "\\n"))
        box.run("systemctl start upstart-compat")
        assert box.run("initctl version") == "init (upstart 1.13.2)\n"
        box.eventually("initctl status web", "start/running, process")
        pid = pid_of(box.run("initctl status web"))
        # pystemd, which the package recommends, is there: so a unit owns the job (X250).
        assert "/upstart.slice/upstart-web-main.service" in box.run(f"cat /proc/{pid}/cgroup")
        assert box.run("systemctl is-active upstart-web-main.service") == "active\n"
        shown = box.run("systemctl show -p KillMode -p NoNewPrivileges -p OOMPolicy -p Restart -p TasksMax upstart-compat").split()
        assert sorted(shown) == ["KillMode=process", "NoNewPrivileges=no", "OOMPolicy=continue", "Restart=on-failure", "TasksMax=infinity"]

        # The other user's way is the bus, which has our policy.
        assert box.run("setpriv --reuid=nobody --clear-groups initctl status web") == f"web start/running, process {pid}\n"
        assert "Rejected send message" in box.fails("setpriv --reuid=nobody --clear-groups initctl stop web")

        box.run("printf 'exec sleep 1\\n' > /etc/init/late.conf && systemctl reload upstart-compat")
        assert box.run("initctl status late") == "late stop/waiting\n"

        # A rotated log goes on in a new file.
        box.run("printf 'script\\n while :; do echo tick; sleep 0.1; done\\nend script\\n' > /etc/init/talk.conf")
        box.eventually("initctl start talk", "talk start/running")
        box.eventually("cat /var/log/upstart/talk.log", "tick")
        box.run("logrotate --force --state /run/logrotate /etc/logrotate.d/upstart-compat && ls /var/log/upstart/talk.log.1.gz")
        box.eventually("cat /var/log/upstart/talk.log", "tick")
        box.run("initctl stop talk")

        # An upgrade touches no job, whatever it does to the files. The daemon is the new one afterwards, as the same process (D226).
        daemon = box.run("systemctl show -P MainPID upstart-compat")
        assert "--restart" not in box.run(f"tr '\\0' ' ' < /proc/{daemon.strip()}/cmdline")
        assert "keeps its jobs" not in box.run(f"dpkg -i {package}")
        assert "--restart" in box.run(f"tr '\\0' ' ' < /proc/{daemon.strip()}/cmdline")
        assert pid_of(box.run("initctl status web")) == pid
        assert box.run("systemctl show -P MainPID upstart-compat") == daemon
        assert "/usr/lib/upstart-compat/compat/daemon.py" in box.files()

        # Nor does a new daemon (B237), nor the death of one (B204, X260).
        box.run("systemctl restart upstart-compat")
        box.eventually("initctl status web", f"web start/running, process {pid}\n")
        box.run("systemctl kill --signal=KILL --kill-who=main upstart-compat")
        box.eventually("systemctl show -p NRestarts upstart-compat", "NRestarts=1")
        box.eventually("initctl status web", f"web start/running, process {pid}\n")

        # systemctl stop ends the jobs as their files say.
        box.run("systemctl stop upstart-compat")
        box.fails(f"kill -0 {pid}")
        assert box.try_run("systemctl is-failed upstart-compat").stdout == "inactive\n"

        # The events of this boot have been (B237).
        box.run("systemctl enable --now upstart-compat && initctl start web")
        assert box.run("systemctl is-active upstart-compat upstart-host-bridge upstart-shutdown") == "active\n" * 3
        pid = pid_of(box.run("initctl status web"))
        box.run("upstart-compat links --enable --sbin")
        assert box.run("/sbin/status web && /sbin/initctl status web && status web") == f"web start/running, process {pid}\n" * 3

        box.run("dpkg -r upstart-compat")
        box.fails(f"kill -0 {pid}")
        left = {path for path in box.files() - before if not path.startswith(("/etc/", "/var/log/upstart/"))}
        assert left == {"/var/log/upstart"}
        box.run("rm /etc/init/*.conf && dpkg -P upstart-compat")
        box.fails("ls /etc/systemd/system/multi-user.target.wants/upstart-compat.service")
        assert box.files() - before - {"/etc/init"} == set()
        assert "loaded" not in box.run("systemctl show -P LoadState upstart-compat.service")

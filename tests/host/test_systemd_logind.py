"""Shutdown through a real logind: the delay lock, the first step that is taken early, and the rest of them (B221)."""
from __future__ import annotations

import pathlib
import re
from typing import Callable, Iterator, List

import pytest

from tests.host.systemd_host import SystemdHost, possible

pytestmark = pytest.mark.skipif(not possible(), reason="needs root and systemd")

_CALL = "busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
#: Goes down in two seconds, and says so.
SLOW = ("start on runlevel 2\nstop on runlevel [016]\nkill timeout 20\n"
        "exec sh -c 'trap \"sleep 2; echo down; exit 0\" TERM; echo up; while :; do sleep 0.1; done'")
LEVELS = "start on runlevel [016]\ntask\nexec env"
Boot = Callable[..., SystemdHost]


@pytest.fixture
def boot(tmp_path: pathlib.Path) -> Iterator[Boot]:
    started: List[SystemdHost] = []

    def run(**jobs: str) -> SystemdHost:
        host = SystemdHost(tmp_path / "h", jobs)
        started.append(host)
        # A box has none by itself.
        host.shell("rm /etc/systemd/system/systemd-logind.service; systemctl daemon-reload; systemctl start systemd-logind")
        return host

    yield run
    for each in started:
        each.destroy()


def _has_lock(host: SystemdHost) -> bool:
    return "upstart-compat" in host.shell("systemd-inhibit --list")


def _tells_kind(host: SystemdHost) -> bool:
    """257 announces the kind of a shutdown, 252 tells it if it is asked, 247 does not."""
    return int(re.findall(r"\d+", host.shell("systemctl --version"))[0]) >= 252


def test_b221_a_lock_as_long_as_a_condition_needs_it(boot: Boot) -> None:
    slow = "exec sh -c 'trap \"echo going; sleep 2; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
    host = boot(slow=f"start on runlevel 2\nstop on runlevel [016]\nkill timeout 20\n{slow}", web="start on runlevel 2\nexec sleep 1000")
    host.wait_log("slow", "up\n")
    host.eventually(lambda: _has_lock(host))
    line = next(line for line in host.shell("systemd-inhibit --list").splitlines() if "upstart-compat" in line)
    assert all(word in line for word in ("shutdown", "Stopping Upstart jobs", "delay"))
    # Another logind is asked again; and one that dies takes the shutdown that it has announced with it.
    if _tells_kind(host):
        host.shell(f"{_CALL} Reboot b false; while ! grep -q going {host.logs}/slow.log; do sleep 0.02; done; "
                   "systemctl kill -s KILL systemd-logind")
        host.eventually(lambda: host.log("slow").count("up\n") == 2)
    else:
        host.shell("systemctl restart systemd-logind")
    host.eventually(lambda: _has_lock(host))
    host.initctl("stop", "slow")
    (host.conf / "slow.conf").unlink()
    host.eventually(lambda: not _has_lock(host))
    (host.conf / "late.conf").write_text(LEVELS)
    host.eventually(lambda: _has_lock(host))


def _schedule(host: SystemdHost) -> None:
    host.shell(f"{_CALL} ScheduleShutdown st reboot $(( $(date +%s%N) / 1000 + 300000 ))")


@pytest.mark.parametrize("victim", ["", "upstart-compat", "upstart-host-bridge"])
def test_b221_b204_the_first_step_is_taken_while_logind_waits(boot: Boot, tmp_path: pathlib.Path, victim: str) -> None:
    """The kind is known, as this shutdown was scheduled; and who is killed in the meantime changes nothing."""
    notes = tmp_path / "h" / "log" / "notes"
    slow = f"exec sh -c 'trap \"sleep 2; echo down >> {notes}; exit 0\" TERM; echo up; while :; do sleep 0.1; done'"
    host = boot(slow=f"start on runlevel 2\nstop on runlevel [016]\nkill timeout 20\n{slow}",
                levels=f"start on runlevel [016]\ntask\nexec sh -c 'echo $RUNLEVEL $PREVLEVEL >> {notes}'",
                last=f"start on stopped rc RUNLEVEL=6\ntask\nexec sh -c 'echo last >> {notes}'")
    host.wait_log("slow", "up\n")
    host.eventually(lambda: _has_lock(host))
    host.keep_journal()
    _schedule(host)
    # The box may be gone before one could look: nothing is asked of it from here on but to kill.
    if victim:
        pid = host.main_pid(victim)
        host.run("sh", "-c", f"while ! grep -q '6 2' {notes}; do sleep 0.02; done; kill -9 {pid}")
    host.wait_end()
    journal = (host.logs / "journal").read_text()
    assert sorted(notes.read_text().split("\n")) == ["", "6 2", "down", "last"], journal[-5000:]
    if not victim:
        assert journal.index("slow main process") < journal.index("System is rebooting."), "before anything else was stopped"


def test_b221_a_shutdown_that_nobody_has_scheduled(boot: Boot) -> None:
    """Where its kind is not known the steps are taken when it happens (B218), and hold nobody up."""
    host = boot(slow=SLOW, levels=LEVELS)
    host.wait_log("slow", "up\n")
    host.eventually(lambda: _has_lock(host))
    kind_is_told = _tells_kind(host)
    host.keep_journal()
    host.shell(f"{_CALL} Reboot b false")
    host.wait_end()
    assert host.log("slow").count("down\n") == 1 and host.log("levels").count("RUNLEVEL=6\n") == 1
    journal = (host.logs / "journal").read_text()
    assert (journal.index("slow main process") < journal.index("System is rebooting.")) is kind_is_told, journal[-5000:]

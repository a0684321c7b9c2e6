"""Daemons that have options of their own, or are followed by others (X250, X260, X261)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

from tests.daemon.running import ROOT, alive, eventually, process_status
from tests.systemd.conftest import Launch
from tests.systemd.upstart import Process, unit_of, units


def test_x261_the_debug_stanza_under_debug(launch: Launch) -> None:
    daemon = launch({"paused.conf": "debug\nexec sleep 1000\n"}, level="--debug")
    daemon.start("paused", wait=False)
    pid = eventually(lambda: daemon.pid_of("paused", "main"), daemon.log)
    eventually(lambda: process_status(pid, "State").startswith("T"), daemon.log)
    assert eventually(lambda: unit_of(pid)) == "upstart-paused-main.scope"
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: Process(pid).arguments == [b"sleep", b"1000"])


def test_x261_a_status_survives_the_daemon(launch: Launch, place: pathlib.Path) -> None:
    """Of a service; that of a scope cannot be known."""
    jobs = {f"{name}.conf": f"{text}\nexec sh -c 'until test -e {place}/end; do sleep 0.02; done; exit 7'\n"
            for name, text in (("service", ""), ("scope", "console output"))}
    jobs["after.conf"] = "task\ninstance $JOB\nstart on stopped RESULT=failed\nexec sh -c 'echo $JOB:$PROCESS:$EXIT_STATUS:$EXIT_SIGNAL'\n"
    first = launch(jobs)
    first.start("service")
    first.start("scope")
    pids = [first.main("service").pid, first.main("scope").pid]
    first.kill()
    (place / "end").touch()
    eventually(lambda: not any(map(alive, pids)))
    second = launch(None, directory=first.directory)
    second.wait_job_log("after-service", "service:main:7:\n")
    second.wait_job_log("after-scope", "scope:main::\n")
    eventually(lambda: not units("upstart-s*"), units)


def test_x250_a_job_of_a_session_has_no_units() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "compat.daemon", "--user", "--backend", "systemd"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert "is for the system's jobs" in done.stderr


def test_x250_auto_is_systemd_here(launch: Launch) -> None:
    daemon = launch({"j.conf": "exec sleep 1000\n"}, ("--no-dbus",))
    daemon.start("j")
    assert unit_of(daemon.main("j").pid) == "upstart-j-main.service"

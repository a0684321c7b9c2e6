"""Daemons that have options of their own, or are followed by others (X250, X260, X261)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.daemon.running import ROOT, alive, eventually, process_status
from tests.systemd.conftest import Launch
from tests.systemd.upstart import Process, shown, systemctl, unit_of, units


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


@pytest.mark.parametrize("stopped_between", [False, True])
def test_x252_x260_a_scope_of_a_daemon_that_died_can_be_stopped(launch: Launch, place: pathlib.Path, stopped_between: bool) -> None:
    """Nobody is asked to stop it any more; so the next daemon puts another scope around all that is inside. To stop the old one
    while there is no daemon ends nothing."""
    trace, child = place / "trace", place / "child"
    first = launch({"j.conf": f"console output\nrespawn\npre-stop exec sh -c 'echo pre-stop >> {trace}'\n"
                              f"exec sh -c 'setsid sleep 1001 & echo $! > {child}; exec sleep 1000'\n"})
    first.start("j")
    pid, unit = first.main("j").pid, unit_of(first.main("j").pid)
    helper = int(eventually(lambda: child.exists() and child.read_text().strip()))
    assert unit == "upstart-j-main.scope"
    first.kill()
    if stopped_between:
        assert systemctl("stop", unit)[0] == 0
    assert alive(pid) and alive(helper)
    second = launch(None, directory=first.directory)
    assert second.main("j").pid == pid
    again = eventually(lambda: shown(unit_of(pid), "Controller").startswith(":") and unit_of(pid) if unit_of(pid) else "", second.log)
    if not stopped_between:
        assert unit_of(helper) == again == "upstart-j-main-2.scope"
        eventually(lambda: unit not in units())
    assert second.initctl("show-backend", "j") == (0, f"j main: scope {again} (taken over from a daemon before this one)\n", "")
    # Its job lasts as long as the helper, which has a session of its own.
    assert systemctl("stop", "--no-block", again)[0] == 0
    second.wait_stopped("j")
    assert trace.read_text() == "pre-stop\n" and not alive(pid)
    os.kill(helper, signal.SIGKILL)
    eventually(lambda: not units("upstart-j-*"), units)


def test_x252_a_scope_is_put_around_a_process_whose_children_come_and_go(launch: Launch) -> None:
    """systemd makes no scope if a single process that is to be in it has ended by then."""
    first = launch({"j.conf": "console output\nrespawn\nexec sh -c 'while :; do sh -c \": & : & wait\"; done'\n"})
    first.start("j")
    pid = first.main("j").pid
    assert unit_of(pid) == "upstart-j-main.scope"
    for _ in range(3):
        first.kill()
        first = launch(None, directory=first.directory)
        assert eventually(lambda: shown(unit_of(pid), "Controller").startswith(":"), first.log) and first.main("j").pid == pid
        assert "without a unit" not in first.errors and "is not stopped by a stop of" not in first.output
    assert systemctl("stop", "--no-block", unit_of(pid))[0] == 0
    first.wait_stopped("j")
    eventually(lambda: not units("upstart-j-*"), units)


def test_x250_a_job_of_a_session_has_no_units() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "compat.daemon", "--user", "--backend", "systemd"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert "is for the system's jobs" in done.stderr


def test_x250_auto_is_systemd_here(launch: Launch) -> None:
    daemon = launch({"j.conf": "exec sleep 1000\n"}, ("--no-dbus",))
    daemon.start("j")
    assert unit_of(daemon.main("j").pid) == "upstart-j-main.service"

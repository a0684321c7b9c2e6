"""Jobs as units of systemd: what systemctl does to a job, and what it shows of one (C.5, C.6)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
from typing import Any, Iterator

import pytest

from tests.daemon.running import Failed, eventually
from tests.systemd.upstart import Upstart, shown, systemctl

FOLDER = pathlib.Path("/run/systemd/system")
SERVICE = "exec sleep 1000\n"


def active(unit: str) -> str:
    return systemctl("is-active", unit)[1].strip()


def wait_active(unit: str, state: str = "active") -> None:
    eventually(lambda: active(unit) == state, lambda: f"{unit} {state}: {systemctl('status', unit)[1]}")


def wait_file(unit: str) -> None:
    eventually((FOLDER / unit).exists, lambda: f"{unit} in {sorted(os.listdir(FOLDER))}")


def state(daemon: Upstart, job: str, instance: str = "") -> tuple[str, str]:
    return daemon.instances(job).get(instance, ("stop", "waiting"))


def define(daemon: Upstart, job: str, text: str) -> None:
    daemon.define(job, text)
    wait_file(f"{job}.service")


def ok(*arguments: str) -> str:
    code, output, errors = systemctl(*arguments)
    assert code == 0, output + errors
    return output


@pytest.fixture
def job(upstart: Upstart) -> Iterator[Any]:
    """Defines jobs that are gone after the test."""
    names: list[str] = []

    def run(name: str, text: str) -> None:
        names.append(name)
        define(upstart, name, text)

    yield run
    for name in names:
        (upstart.conf / f"{name}.conf").unlink(missing_ok=True)
        for instance in upstart.instances(name):
            try:
                upstart.client.call(upstart.job(name) + "/" + (instance or "_"), "com.ubuntu.Upstart0_6.Instance", "Stop", "b", True)
            except Failed:
                # It has ended meanwhile.
                pass
        upstart.wait_unknown(name)
    eventually(lambda: not any((FOLDER / f"{name}.service").exists() for name in names), lambda: os.listdir(FOLDER))


# -- what an administrator does ----------------------------------------------------------------------------------


def test_c5_start_status_stop(upstart: Upstart, job: Any) -> None:
    job("one", SERVICE)
    assert active("one") == "inactive"
    ok("start", "one")
    assert state(upstart, "one") == ("start", "running")
    assert active("one") == "active" and shown("one.service", "SubState") == "running"
    pid = upstart.main("one").pid
    ok("start", "one")
    assert upstart.main("one").pid == pid, "a start of what runs changes nothing"
    ok("stop", "one")
    assert state(upstart, "one") == ("stop", "waiting") and active("one") == "inactive"
    ok("stop", "one")


def test_c5_restart_takes_the_changed_file(upstart: Upstart, job: Any) -> None:
    job("two", "env X=old\n" + SERVICE)
    ok("start", "two")
    assert b"X=old" in upstart.main("two").environment
    upstart.write("two.conf", "env X=new\n" + SERVICE)
    upstart.reload_configuration()
    ok("restart", "two")
    assert b"X=new" in upstart.main("two").environment
    assert active("two") == "active"


def test_c5_reload_sends_the_reload_signal(upstart: Upstart, job: Any) -> None:
    job("three", "exec sh -c 'trap \"echo reloaded\" HUP; while :; do sleep 0.02; done'\n")
    ok("start", "three")
    eventually(lambda: int(upstart.main("three").status("SigCgt"), 16) & 1, "the trap")
    ok("reload", "three")
    upstart.wait_job_log("three", "reloaded")


def test_c5_start_waits_until_the_job_runs(upstart: Upstart, job: Any) -> None:
    job("four", "pre-start exec sleep 0.5\n" + SERVICE)
    began = time.monotonic()
    ok("start", "four")
    assert time.monotonic() - began >= 0.5 and state(upstart, "four") == ("start", "running")


def test_c5_a_start_that_fails_fails_with_the_reason(upstart: Upstart, job: Any) -> None:
    job("five", "pre-start exec sh -c 'exit 7'\n" + SERVICE)
    code, _, errors = systemctl("start", "five")
    assert code == 1 and "failed" in errors
    assert active("five") == "failed"
    eventually(lambda: "Job failed to start (a process ended with status 7)" in subprocess.run(
        ["journalctl", "-b", "-u", "five", "-o", "cat", "--no-pager"], capture_output=True, text=True).stdout)
    (upstart.conf / "five.conf").write_text(SERVICE)
    upstart.reload_configuration()
    ok("start", "five")
    assert active("five") == "active"


def test_c5_start_of_a_job_that_is_starting_waits_for_it(upstart: Upstart, job: Any) -> None:
    go = upstart.directory / "go.six"
    job("six", f"pre-start exec sh -c 'until test -e {go}; do sleep 0.02; done'\n" + SERVICE)
    upstart.start("six", wait=False)
    eventually(lambda: state(upstart, "six") == ("start", "pre-start"), upstart.log)
    with subprocess.Popen(["systemctl", "start", "six"]) as start:
        wait_active("six", "activating")
        assert start.poll() is None
        go.touch()
    assert start.returncode == 0 and state(upstart, "six") == ("start", "running")


def test_c5_a_task_is_started_each_time(upstart: Upstart, job: Any) -> None:
    job("seven", "task\nexec sh -c 'sleep 0.2; echo done'\n")
    for _ in range(2):
        ok("start", "seven")
        assert state(upstart, "seven") == ("stop", "waiting")
        wait_active("seven", "inactive")
    eventually(lambda: upstart.job_log("seven") == "done\n" * 2, lambda: upstart.job_log("seven"))


def test_c5_a_task_that_fails(upstart: Upstart, job: Any) -> None:
    job("eight", "task\nexec sh -c 'exit 3'\n")
    assert systemctl("start", "eight")[0] == 1
    assert active("eight") == "failed"


def test_c5_instances(upstart: Upstart, job: Any) -> None:
    """A unit stands for all instances, and cannot say which one to start."""
    job("nine", "instance $X\n" + SERVICE)
    assert systemctl("start", "nine")[0] == 1
    upstart.start("nine", "X=a")
    upstart.start("nine", "X=b")
    wait_active("nine")
    upstart.stop("nine", "X=a")
    assert active("nine") == "active" and state(upstart, "nine", "b") == ("start", "running")
    upstart.start("nine", "X=c")
    ok("stop", "nine")
    assert upstart.instances("nine") == {} and active("nine") == "inactive"


# -- what the job does by itself ------------------------------------------------------------------------------------


def test_c5_the_unit_follows_the_job(upstart: Upstart, job: Any) -> None:
    job("ten", "start on go-ten\nstop on halt-ten\n" + SERVICE)
    upstart.emit("go-ten")
    wait_active("ten")
    upstart.emit("halt-ten")
    wait_active("ten", "inactive")
    upstart.start("ten")
    wait_active("ten")
    upstart.stop("ten")
    wait_active("ten", "inactive")


def test_c5_respawn_is_not_seen_and_its_limit_fails_the_unit(upstart: Upstart, job: Any) -> None:
    job("eleven", "respawn\nrespawn limit 2 60\n" + SERVICE)
    ok("start", "eleven")
    holder = shown("eleven.service", "MainPID")
    for _ in range(2):
        pid = upstart.main("eleven").pid
        os.kill(pid, signal.SIGKILL)
        upstart.wait_respawned("eleven", pid)
        assert active("eleven") == "active" and shown("eleven.service", "MainPID") == holder
    os.kill(upstart.main("eleven").pid, signal.SIGKILL)
    wait_active("eleven", "failed")
    upstart.start("eleven")
    wait_active("eleven")


def test_c5_start_of_a_job_by_its_own_stop(upstart: Upstart, job: Any) -> None:
    """The unit's end must not stop what has just begun again."""
    job("twelve", "start on stopped twelve-b\n" + SERVICE)
    job("twelve-b", "stop on stop-b\n" + SERVICE)
    job("twelve-c", "start on stopped twelve-c PROCESS=main\n" + SERVICE)
    upstart.start("twelve-c")
    wait_active("twelve-c")
    for _ in range(5):
        before = upstart.main("twelve-c").pid
        os.kill(before, signal.SIGKILL)
        upstart.wait_respawned("twelve-c", before)
        # What is active may still be the unit of the run before.
        wait_active("twelve-c")
        assert state(upstart, "twelve-c") == ("start", "running")


def test_c5_the_process_of_the_unit_is_replaced(upstart: Upstart, job: Any) -> None:
    job("thirteen", SERVICE)
    ok("start", "thirteen")
    pid = upstart.main("thirteen").pid
    holder = shown("thirteen.service", "MainPID")
    ok("kill", "-s", "KILL", "thirteen")
    eventually(lambda: active("thirteen") == "active" and shown("thirteen.service", "MainPID") not in ("0", holder))
    assert upstart.main("thirteen").pid == pid, "and the job has not noticed"


def test_isolate_leaves_jobs_alone(upstart: Upstart, job: Any) -> None:
    job("fourteen", SERVICE)
    ok("start", "fourteen")
    target = FOLDER / "alone.target"
    target.write_text("[Unit]\nRequires=systemd-box.target\nAfter=systemd-box.target\nAllowIsolate=yes\n")
    ok("isolate", "alone.target")
    target.unlink()
    assert active("fourteen") == "active" and state(upstart, "fourteen") == ("start", "running")


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name,unit", [
    ("a-b.c:d_e", "a-b.c:d_e.service"), ("net/if", "net\\x2fif.service"), ("per%cent $x", "per\\x25cent\\x20\\x24x.service"),
    ("t@1", "t\\x401.service"), ("ä", "\\xc3\\xa4.service")])
def test_names_are_escaped(upstart: Upstart, job: Any, name: str, unit: str) -> None:
    upstart.write(f"{name}.conf", SERVICE)
    upstart.wait_known(name)
    wait_file(unit)
    ok("start", unit)
    assert state(upstart, name) == ("start", "running")
    assert shown(unit, "Description") == f"Upstart job {name}"
    ok("stop", unit)
    assert state(upstart, name) == ("stop", "waiting")
    (upstart.conf / f"{name}.conf").unlink()
    eventually(lambda: not (FOLDER / unit).exists())


def test_the_unit_goes_with_the_job(upstart: Upstart, job: Any) -> None:
    job("fifteen", SERVICE)
    ok("start", "fifteen")
    (upstart.conf / "fifteen.conf").unlink()
    upstart.reload_configuration()
    assert active("fifteen") == "active", "Upstart keeps what runs"
    ok("stop", "fifteen")
    eventually(lambda: not (FOLDER / "fifteen.service").exists())
    eventually(lambda: shown("fifteen.service", "LoadState") == "not-found")


def test_no_reload_is_needed(upstart: Upstart, job: Any) -> None:
    job("sixteen", SERVICE)
    ok("start", "sixteen")
    # What other tests did may have needed one.
    before = len(upstart.output)
    upstart.write("sixteen.conf", "description changed\ntask\n" + SERVICE)
    upstart.reload_configuration()
    assert shown("sixteen.service", "NeedDaemonReload") == "no"
    assert "asked to read its files again" not in upstart.output[before:]


# -- who runs what ----------------------------------------------------------------------------------------------------


def test_x261_who_runs_a_process_can_be_asked(upstart: Upstart, job: Any) -> None:
    job("seventeen", "post-start exec sleep 1000\n" + SERVICE)
    job("eighteen", "console output\n" + SERVICE)
    upstart.start("seventeen", wait=False)
    upstart.start("eighteen")
    post_start = eventually(lambda: upstart.pid_of("seventeen", "post-start"))
    assert upstart.initctl("show-backend", "seventeen") == (
        0, "seventeen main: service upstart-seventeen-main.service (main process)\n"
        "seventeen post-start: scope upstart-seventeen-post\\x2dstart.scope (not the main process)\n", "")
    assert upstart.initctl("show-backend", "eighteen") == (
        0, "eighteen main: scope upstart-eighteen-main.scope (console output)\n", "")
    path = upstart.job("eighteen") + "/_"
    assert [tuple(map(str, each)) for each in upstart.client.get(path, "org.upstartcompat.Instance1", "placements")] == [
        ("main", "scope", "upstart-eighteen-main.scope", "console output")]
    os.kill(post_start, signal.SIGKILL)

"""The end of a session (D160-D170; checklist 59-65)."""
from __future__ import annotations

import os
import re
import time

import pytest

from tests.daemon.conftest import Launch
from tests.daemon.running import MANAGER, Daemon, E, Failed, U, alive

#: Seconds that nothing takes which waits for a job that cares (D166) or for a kill timeout.
AT_ONCE = 5.0
STUBBORN = "script\ntrap '' TERM\necho ready\nwhile :; do sleep 1000; done\nend script\n"


def end_session(daemon: Daemon) -> float:
    """EndSession; the seconds until the daemon was gone, which must be with status 0."""
    begin = time.monotonic()
    daemon.client.call(MANAGER, U, "EndSession")
    assert daemon.wait_end() == 0
    return time.monotonic() - begin


def test_d167_d168_terminate_without_jobs(launch: Launch) -> None:
    daemon = launch()
    begin = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - begin < AT_ONCE
    assert re.search(r"Quiesce shutdown sequence took (<1 second|[1-4] seconds?)\n\Z", daemon.output)
    assert "Quiescing due to shutdown request\n" in daemon.output


def test_d164_end_session_kills_at_once_if_no_job_cares(launch: Launch) -> None:
    daemon = launch({"a.conf": "exec sleep 999\n", "other.conf": "start on session-end TYPE=shutdown\nexec sleep 999\n"})
    daemon.start("a")
    pid = daemon.main_pid("a")
    assert end_session(daemon) < AT_ONCE
    assert not alive(pid)
    assert "Quiescing due to logout request\n" in daemon.output


def test_d165_session_end_task_is_waited_for(launch: Launch) -> None:
    daemon = launch({"bye.conf": "start on session-end TYPE=logout\ntask\nscript\necho type $TYPE\nsleep 1\necho done\nend script\n"})
    assert 1 <= end_session(daemon) < 4.5
    assert daemon.job_log("bye") == "type logout\ndone\n"


def test_d165_d166_endless_session_end_job_is_killed_after_five_seconds(launch: Launch) -> None:
    daemon = launch({"bye.conf": "start on session-end\nexec sleep 999\n"})
    assert 5 <= end_session(daemon) < 9


def test_d166_stubborn_job_is_killed_after_its_kill_timeout(launch: Launch) -> None:
    daemon = launch({"s.conf": "kill timeout 1\n" + STUBBORN})
    daemon.start("s")
    pid = daemon.main_pid("s")
    daemon.wait_job_log("s", "ready\n")
    begin = time.monotonic()
    assert daemon.terminate() == 0
    assert 1 <= time.monotonic() - begin < 5
    assert not alive(pid)


def test_d163_nothing_is_respawned(launch: Launch) -> None:
    daemon = launch({"r.conf": "respawn\nexec sh -c 'echo up; exec sleep 999'\n"})
    daemon.start("r")
    daemon.wait_job_log("r", "up\n")
    assert daemon.terminate() == 0
    assert daemon.job_log("r") == "up\n"


def test_d169_no_new_jobs_in_the_kill_phase(launch: Launch) -> None:
    daemon = launch({"s.conf": "kill timeout 1\n" + STUBBORN, "n.conf": "exec sleep 999\n"})
    daemon.start("s")
    daemon.wait_job_log("s", "ready\n")
    path = daemon.job("n")
    daemon.client.call(MANAGER, U, "EndSession")
    with pytest.raises(Failed) as caught:
        daemon.client.call(path, U + ".Job", "Start", "asb", [], True)
    assert caught.value.name.startswith(("org.freedesktop.DBus.Error.", E))
    assert daemon.wait_end() == 0


def test_d162_only_the_first_request_counts(launch: Launch) -> None:
    daemon = launch({
        "bye.conf": "start on session-end TYPE=logout\ntask\nscript\nuntil test -e go; do sleep 0.01; done\necho done\nend script\n"})
    daemon.client.call(MANAGER, U, "EndSession")
    os.kill(daemon.pid, 15)
    daemon.client.call(MANAGER, U, "EndSession")
    (daemon.directory / "go").touch()
    assert daemon.wait_end() == 0
    assert daemon.job_log("bye") == "done\n"
    assert daemon.output.count("Quiescing due to") == 1


def test_d170_job_without_process_does_not_delay(launch: Launch) -> None:
    daemon = launch({"state.conf": "start on startup\n"})
    daemon.wait_running("state")
    begin = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - begin < AT_ONCE


def test_many_jobs_end_together(launch: Launch) -> None:
    daemon = launch({f"j{number}.conf": "start on startup\nexec sleep 999\n" for number in range(50)})
    for number in range(50):
        daemon.wait_running(f"j{number}")
    pids = [daemon.main_pid(f"j{number}") for number in range(50)]
    begin = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - begin < AT_ONCE
    assert not any(map(alive, pids))

"""Under a service manager: it is told how the daemon is, and keeps the ptys of the jobs over a crash (B207, X260)."""
from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.service_manager import ServiceManager

from .running import Daemon, alive, eventually

Launch = Callable[..., Daemon]
_HAND_OVER = ("import os, sys; names, fds = sys.argv[1], [int(each) for each in sys.argv[2].split(',') if each]; "
              "copies = [os.dup(fd) for fd in fds]; first = max([200, *copies]) + 1; "
              "[os.dup2(copy, first + n) for n, copy in enumerate(copies)]; "
              "[os.dup2(first + n, 3 + n) for n in range(len(copies))]; os.closerange(3 + len(copies), 1000); "
              "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(copies)), LISTEN_FDNAMES=names); "
              "os.execv(sys.argv[3], sys.argv[3:])")


@pytest.fixture
def manager(place: pathlib.Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(place / "notify")
    yield manager
    manager.close()


def test_b207_ready_reloading_stopping(launch: Launch, manager: ServiceManager) -> None:
    daemon = launch({"j.conf": "start on startup\nexec sh -c 'echo $NOTIFY_SOCKET-; exec sleep 1000'\n"},
                    environment={"NOTIFY_SOCKET": manager.address})
    daemon.wait_job_log("j", "-\n")
    assert manager.states() == ["READY"]
    daemon.reload_configuration()
    assert manager.states() == ["READY", "RELOADING", "READY"]
    assert daemon.terminate() == 0
    assert manager.states()[3:] == ["STOPPING"]
    assert manager.store == {}


def test_b207_ready_before_any_event(launch: Launch, manager: ServiceManager) -> None:
    """No job can hold the host's boot."""
    daemon = launch({"slow.conf": "start on starting slow or startup\ntask\nexec sleep 1000\n"},
                    environment={"NOTIFY_SOCKET": manager.address})
    assert manager.states() == ["READY"]
    daemon.wait_running("slow")


def test_x260_the_output_of_jobs_outlives_the_daemon(launch: Launch, manager: ServiceManager, place: pathlib.Path) -> None:
    script = ("trap '' HUP; echo first; until test -e dead; do sleep 0.01; done; echo second; until test -e again; do sleep 0.01; done; "
              "echo third; exec sleep 1000")
    jobs = {"j.conf": f"exec sh -c '{script}'\n", "ended.conf": "exec sleep 1000\n"}
    first = launch(jobs, environment={"NOTIFY_SOCKET": manager.address})
    first.start("j")
    first.start("ended")
    first.wait_job_log("j", "first\n")
    pid, ended = first.main_pid("j"), first.main_pid("ended")
    first.process.kill()
    first.process.wait()
    (first.directory / "dead").touch()
    os.kill(ended, 9)
    eventually(lambda: not alive(ended))
    names, descriptors = manager.passed()
    assert len(names) == 2
    prefix = [sys.executable, "-c", _HAND_OVER, ":".join(names), ",".join(map(str, descriptors))]
    second = launch(None, directory=first.directory, prefix=prefix, environment={"NOTIFY_SOCKET": manager.address},
                    pass_fds=descriptors)
    second.wait_job_log("j", "first\nsecond\n")
    (first.directory / "again").touch()
    second.wait_job_log("j", "first\nsecond\nthird\n")
    assert second.main_pid("j") == pid and alive(pid)
    eventually(lambda: len(manager.passed()[0]) == 1)
    second.stop("j")
    second.wait_stopped("j")
    eventually(lambda: manager.passed() == ([], []))

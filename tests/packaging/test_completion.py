"""Bash completion, in a real bash, with a daemon of a session."""
from __future__ import annotations

import pathlib
import subprocess
import sys
from typing import Iterator, List

import pytest

from compat.client.options import COMMANDS
from tests.daemon.running import Daemon
from tests.packaging.box import ROOT, needs

pytestmark = needs("bash")

JOBS = {
    "web.conf": "start on runlevel [2345]\nstop on (stopping storage or site-down)\nexec sleep 4711\n",
    "worker.conf": "instance $Q\nexec sleep 4711\n",
    "net/time.conf": "emits clock-*\nemits clock-set\nstart on boot-done\n",
    "two words.conf": "exec sleep 4711\n",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    place = tmp_path_factory.mktemp("daemon")
    (place / "conf" / "net").mkdir(parents=True)
    started = Daemon(place, JOBS)
    try:
        yield started
    finally:
        started.destroy()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    """A PATH with this checkout's client, and a `start` of somebody else that must not be run."""
    (tmp_path / "initctl").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m compat.initctl "$@"\n')
    (tmp_path / "start").write_text(f"#!/bin/sh\n: >{tmp_path}/foreign-start-was-run\n")
    for name in ("initctl", "start"):
        (tmp_path / name).chmod(0o755)
    return f"{tmp_path}:/usr/bin:/bin"


def complete(path: str, address: str, *words: str) -> List[str]:
    """What is offered for the last word."""
    script = (f"source {ROOT}/packaging/completions/initctl\n"
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }\n'
              '_upstart_compat_initctl "$1"\n'
              '[ ${#COMPREPLY[@]} = 0 ] || printf "%s\\n" "${COMPREPLY[@]}"\n')
    done = subprocess.run(["bash", "-u", "-c", script, "bash", *words], env={"PATH": path, "UPSTART_SESSION": address, "COLUMNS": "80"},
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_commands(path: str) -> None:
    assert complete(path, "", "initctl", "") == sorted(COMMANDS)
    assert complete(path, "", "initctl", "--user", "sh") == ["show-backend", "show-config"]


def test_options_are_those_of_the_command(path: str) -> None:
    assert complete(path, "", "initctl", "start", "--no") == ["--no-wait"]
    assert complete(path, "", "start", "--no") == ["--no-wait"]
    assert complete(path, "", "initctl", "list", "--no") == []
    assert "--ignore-events" in complete(path, "", "initctl", "check-config", "-")
    assert "--version" in complete(path, "", "initctl", "-")


def test_jobs(path: str, daemon: Daemon) -> None:
    assert complete(path, daemon.address, "initctl", "start", "w") == ["web", "worker"]
    assert complete(path, daemon.address, "status", "") == ["net/time", r"two\ words", "web", "worker"]
    assert complete(path, daemon.address, "start", "web", "w") == []


def test_only_jobs_that_run_can_be_stopped(path: str, daemon: Daemon) -> None:
    assert complete(path, daemon.address, "stop", "") == []
    program = path.partition(":")[0] + "/initctl"
    environment = {"PATH": path, "UPSTART_SESSION": daemon.address}
    for arguments in (["web"], ["worker", "Q=a"], ["worker", "Q=b"]):
        subprocess.run([program, "start", *arguments], env=environment, stdout=subprocess.DEVNULL, timeout=60, check=True)
    assert complete(path, daemon.address, "stop", "") == ["web", "worker"]
    for arguments in (["web"], ["worker", "Q=a"], ["worker", "Q=b"]):
        subprocess.run([program, "stop", *arguments], env=environment, stdout=subprocess.DEVNULL, timeout=60, check=True)


def test_events(path: str, daemon: Daemon) -> None:
    assert complete(path, daemon.address, "initctl", "emit", "") == ["boot-done", "clock-set", "runlevel", "site-down", "stopping"]
    assert complete(path, daemon.address, "initctl", "emit", "--no-wait", "r") == ["runlevel"]


def test_variables(path: str, daemon: Daemon) -> None:
    assert complete(path, daemon.address, "initctl", "get-env", "PA") == ["PATH"]
    assert complete(path, daemon.address, "initctl", "set-env", "PA") == ["PATH="]


def test_nothing_without_a_daemon(path: str) -> None:
    assert complete(path, "unix:abstract=/nobody/listens/here", "initctl", "start", "") == []


def test_somebody_elses_start_is_not_run(path: str, daemon: Daemon) -> None:
    complete(path, daemon.address, "start", "--")
    complete(path, daemon.address, "start", "w")
    assert not pathlib.Path(path.partition(":")[0], "foreign-start-was-run").exists()

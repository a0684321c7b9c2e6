"""upstart-host-bridge --explain, of files and of a daemon's jobs (B199, B278)."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Tuple

import pytest

from compat.bridges.host import explain_command
from compat.bridges.host.explain_command import explain_files
from compat.bridges.host.main import main
from compat.host.configuration import HostConfiguration, parse_configuration
from tests.daemon.running import ROOT, Daemon, eventually


@pytest.fixture
def on_bare_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain_command, "host_kind", lambda pid1, environment: "none")


def write(directory: Path, **texts: str) -> "list[str]":
    for name, text in texts.items():
        (directory / f"{name}.conf").write_text(text)
    return [str(directory / f"{name}.conf") for name in texts]


@pytest.mark.usefixtures("on_bare_host")
def test_b278_files_are_judged_with_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write(
        tmp_path, web="start on started db and ready\nstop on runlevel [06]\n", db="start on filesystem\nexec initctl emit ready\n")
    assert explain_files(paths, HostConfiguration()) == 0
    assert capsys.readouterr() == (
        "db: start on filesystem: boot\nweb: start on started db: job db\nweb: start on ready: emits of db\n"
        "web: stop on runlevel [06]: boot\n", "")


@pytest.mark.usefixtures("on_bare_host")
def test_b199_what_nobody_can_meet_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = write(tmp_path, web="start on local-filesystem\n")
    assert main(["--explain", path]) == 1
    assert capsys.readouterr() == ("web: start on local-filesystem: none (did you mean local-filesystems?)\n", "")


@pytest.mark.usefixtures("on_bare_host")
def test_b199_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = write(tmp_path, web="start on filesystem\nnonsense\n")
    assert explain_files([path, str(tmp_path / "nosuch.conf")], HostConfiguration()) == 1
    assert capsys.readouterr() == (
        "", f"upstart-host-bridge: {path}:2: Unknown stanza\nupstart-host-bridge: {tmp_path}/nosuch.conf: No such file or directory\n")


@pytest.mark.usefixtures("on_bare_host")
@pytest.mark.parametrize(("kind", "status", "source"), [
    ("systemd", 0, "systemd display-manager.service"), ("container", 1, "none"), ("none", 1, "none")])
def test_b278_files_for_another_host(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, status: int, source: str) -> None:
    (path,) = write(tmp_path, web="start on login-session-start\n")
    assert main(["--explain", f"--host={kind}", path]) == status
    assert capsys.readouterr().out == f"web: start on login-session-start: {source}\n"


@pytest.mark.parametrize("words", [["--explain", "--host=vms", "x"], ["--host=systemd"], ["--explain", "--host=systemd"]])
def test_b278_a_kind_of_host_is_for_files(capsys: pytest.CaptureFixture[str], words: "list[str]") -> None:
    assert main(words) == 1
    assert "--host" in capsys.readouterr().err


@pytest.mark.usefixtures("on_bare_host")
@pytest.mark.parametrize("event", ["socket", "file", "dbus"])
def test_b278_events_of_bridges_that_are_not_there_have_no_source(tmp_path: Path, capsys: pytest.CaptureFixture[str], event: str) -> None:
    assert explain_files(write(tmp_path, web=f"start on {event} A=b\n"), HostConfiguration()) == 1
    assert capsys.readouterr().out == f"web: start on {event} A=b: none (upstart-{event}-bridge is not installed)\n"


@pytest.mark.usefixtures("on_bare_host")
def test_b270_mappings_are_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration, _ = parse_configuration("on boot filesystem emit disk-ready\n")
    assert explain_files(write(tmp_path, web="start on disk-ready\n"), configuration) == 0
    assert capsys.readouterr().out == "web: start on disk-ready: mapping\n"


# -- with a daemon ----------------------------------------------------------------------------------------------

_APART = ("unshare", "-nm", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    if os.getuid():
        pytest.skip("host mode is for root")
    daemon = Daemon(tmp_path, {
        "web.conf": "start on filesystem and (ready or odd)\nstop on local-filesystem\nexec sleep 1000\n",
        "helper.conf": "exec initctl emit ready\n"}, ("--no-dbus", "--host=none"), mode="", prefix=_APART, wait=False)
    yield daemon
    daemon.destroy()


def bridge(daemon: Daemon, *arguments: str) -> Tuple[int, str, str]:
    done = subprocess.run(
        ["nsenter", "-t", str(daemon.pid), "-n", sys.executable, "-m", "compat.bridges.host", *arguments],
        cwd=ROOT, text=True, capture_output=True, timeout=20, check=False)
    return done.returncode, done.stdout, done.stderr


def test_b199_the_jobs_of_the_daemon(daemon: Daemon) -> None:
    eventually(lambda: "filesystem" in daemon.log() and "Handling runlevel event" in daemon.log(), daemon.log)
    status, output, errors = bridge(daemon, "--explain")
    assert (output, errors) == (
        "web: start on filesystem: boot\nweb: start on ready: emits of helper\nweb: start on odd: none\n"
        "web: stop on local-filesystem: none (did you mean local-filesystems?)\n", "")
    assert status == 1


def test_b199_the_bridge_says_once_what_nobody_meets(daemon: Daemon) -> None:
    line = "web: stop on local-filesystem: nothing on this host emits this event (did you mean local-filesystems?)"
    eventually(lambda: line in daemon.log(), daemon.log)
    assert "web: start on odd: nothing on this host emits this event" in daemon.log()
    assert "start on ready" not in daemon.log() and "start on filesystem" not in daemon.log()
    daemon.write("late.conf", "start on runelvel 2\nexec sleep 1000\n")
    late = "late: start on runelvel 2: nothing on this host emits this event (did you mean runlevel?)"
    eventually(lambda: late in daemon.log(), daemon.log)
    assert daemon.log().count(line) == 1


def test_b199_without_a_daemon(daemon: Daemon) -> None:
    eventually(lambda: "Handling runlevel event" in daemon.log(), daemon.log)
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-m", "compat.bridges.host", "--explain"], cwd=ROOT, text=True, capture_output=True,
        timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("upstart-host-bridge: Could not connect to Upstart: ")

"""list-sessions: C14, C136."""
from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from compat.initctl import main


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of session files."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    directory = tmp_path / "upstart" / "sessions"
    directory.mkdir(parents=True)
    return directory


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        return process.pid


def test_c136_live_and_dead_sessions(sessions: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (sessions / f"{os.getpid()}.session").write_text("UPSTART_SESSION=unix:abstract=/com/ubuntu/upstart-session/1/2\n")
    stale = sessions / f"{dead_pid()}.session"
    stale.write_text("UPSTART_SESSION=unix:abstract=/x\n")
    live = f"{os.getpid()} unix:abstract=/com/ubuntu/upstart-session/1/2"
    assert main(["initctl", "list-sessions"]) == 0
    assert capfd.readouterr() == (live + "\n", "")
    assert main(["initctl", "list-sessions", "-v"]) == 0
    out, err = capfd.readouterr()
    assert sorted(out.splitlines()) == sorted([live, f"Ignoring stale session file: {stale}"])
    assert err == ""
    assert main(["initctl", "-q", "list-sessions"]) == 0
    assert capfd.readouterr() == ("", "")


def test_c136_other_files_are_ignored(sessions: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("1x.session", ".session", "1.sessio", "-1.session", "\u00b2.session", "9" * 30 + ".session", "0.session"):
        (sessions / name).write_text("UPSTART_SESSION=unix:x\n")
    (sessions / f"{os.getpid()}.session").write_text("OTHER=unix:x\n")
    (sessions / f"{os.getppid()}.session").mkdir()
    assert main(["initctl", "list-sessions"]) == 0
    assert capfd.readouterr() == ("", "")


def test_c136_a_fifo_does_not_hold_it_up(sessions: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(sessions / f"{os.getpid()}.session")
    assert main(["initctl", "list-sessions"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [None, "", "relative/path"])
def test_c136_no_runtime_directory(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], value: "str | None") -> None:
    if value is None:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    else:
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    assert main(["initctl", "list-sessions"]) == 1
    assert capfd.readouterr() == ("", "initctl: Unable to query session directory\n")


def test_c136_unreadable_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "upstart").write_text("in the way")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["initctl", "list-sessions"]) == 1
    assert capfd.readouterr() == ("", "initctl: unable to determine sessions\n")


def test_c136_directories_are_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["initctl", "list-sessions"]) == 0
    assert capfd.readouterr() == ("", "")
    for directory in (tmp_path / "upstart", tmp_path / "upstart" / "sessions"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

from __future__ import annotations

import os
import stat
import threading
from typing import Any

import pytest

from compat.control.session_file import SessionFile
from compat.engine.actions import ERROR
from tests.daemon.running import eventually


def test_c14_written_and_removed(tmp_path: Any) -> None:
    log: list[Any] = []
    file = SessionFile(lambda *line: log.append(line))
    old = os.umask(0o027)
    try:
        file.write({"XDG_RUNTIME_DIR": str(tmp_path)}, 4711, "unix:abstract=/x")
    finally:
        os.umask(old)
    path = tmp_path / "upstart" / "sessions" / "4711.session"
    assert path.read_text() == "UPSTART_SESSION=unix:abstract=/x\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for directory in (tmp_path / "upstart", tmp_path / "upstart" / "sessions"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    file.remove()
    assert not path.exists()
    file.remove()
    assert log == []


def test_c14_existing_directories_and_files_are_used(tmp_path: Any) -> None:
    sessions = tmp_path / "upstart" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "1.session").write_text("something that is much longer than what comes now: " * 3)
    SessionFile(print).write({"XDG_RUNTIME_DIR": str(tmp_path)}, 1, "a")
    assert (sessions / "1.session").read_text() == "UPSTART_SESSION=a\n"


def test_c14_no_file_without_an_absolute_runtime_directory(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    log: list[Any] = []
    for environment in ({}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "run"}):
        SessionFile(lambda *line: log.append(line)).write(environment, 1, "a")
    assert list(tmp_path.iterdir()) == []
    assert log == []


def test_c14_failure_is_an_error_line(tmp_path: Any) -> None:
    log: list[Any] = []
    file = SessionFile(lambda *line: log.append(line))
    (tmp_path / "upstart").write_text("in the way")
    file.write({"XDG_RUNTIME_DIR": str(tmp_path)}, 1, "a")
    assert log == [(ERROR, f"unable to create session file: {tmp_path}/upstart/sessions/1.session")]
    file.remove()


@pytest.mark.parametrize("name, errors", [("1.session", 0), (".1.new", 1)])
def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Any, name: str, errors: int) -> None:
    log: list[Any] = []
    sessions = tmp_path / "upstart" / "sessions"
    sessions.mkdir(parents=True)
    (tmp_path / "precious").write_text("kept")
    (sessions / name).symlink_to(tmp_path / "precious")
    SessionFile(lambda *line: log.append(line)).write({"XDG_RUNTIME_DIR": str(tmp_path)}, 1, "a")
    assert (tmp_path / "precious").read_text() == "kept"
    assert len(log) == errors


def test_c14_nobody_finds_half_of_it(tmp_path: Any) -> None:
    found: list[Any] = []
    sessions = tmp_path / "upstart" / "sessions"
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            found.extend(path.read_text() for path in sessions.glob("*.session"))

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(300):
        SessionFile(print).write({"XDG_RUNTIME_DIR": str(tmp_path)}, number, "unix:abstract=/x")
    eventually(lambda: found)
    over.set()
    thread.join()
    assert set(found) == {"UPSTART_SESSION=unix:abstract=/x\n"}

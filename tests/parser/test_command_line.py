"""``python -m compat.parser``."""
from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from compat.parser.__main__ import main


def test_json_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.conf"
    file.write_bytes(b"description caf\xc3\xa9\nstart on a X=1 and (b or c)\nexec /bin/x\n"
                     b"limit core 0 unlimited\numask 7\nnormal exit 1 TERM\n")
    assert main(["--json", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": str(file),
        "instance": None, "description": "caf\udcc3\udca9", "author": None, "version": None, "usage": None, "chroot": None,
        "chdir": None, "setuid": None, "setgid": None, "apparmor_switch": None, "env": [], "export": [], "emits": [], "expect": "none",
        "task": False, "respawn": False, "debug": False, "respawn_limit": 10, "respawn_interval": 5, "kill_timeout": 5, "kill_signal": 15,
        "reload_signal": 1, "oom_score_adj": 0, "nice": None, "stop_on": None, "console": "log", "normalexit": [1, 3840], "umask": "0007",
        "start_on": ["and", ["match", "a", ["X=1"]], ["or", ["match", "b", []], ["match", "c", []]]],
        "process": {"main": {"script": False, "command": "/bin/x"}}, "limits": {"core": [0, None]},
    }


def test_json_errors_are_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.conf").write_text("task\nfoo\n")
    (tmp_path / "b.conf").write_text("task\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{tmp_path}/a.conf\n{tmp_path}/b.conf\n".encode())))
    assert main(["--json", "-"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"file": f"{tmp_path}/a.conf", "error": "Unknown stanza", "line": 2}
    assert second["task"] is True


def test_p23_p24_p18_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text("task\nfoo\n")
    (tmp_path / "b.conf").write_text("kill signal NOSUCH\n")
    assert main([str(tmp_path / name) for name in ("a.conf", "b.conf", "gone.conf")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"{tmp_path}/a.conf:2: Unknown stanza",
        f"{tmp_path}/b.conf: Error while loading configuration file: Illegal signal status, expected integer",
        f"{tmp_path}/gone.conf: Error while loading configuration file: No such file or directory",
    ]


def test_nothing_to_say_about_good_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text("task\n")
    assert main([str(tmp_path / "a.conf")]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")

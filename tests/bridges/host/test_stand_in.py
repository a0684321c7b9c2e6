"""A daemon in place of one that has died while the host goes down (B204, B218)."""
from __future__ import annotations

import pathlib

import pytest

from compat.bridges.host import stand_in
from compat.bridges.host.stand_in import StandIn
from tests.daemon.running import eventually


def script(directory: pathlib.Path, text: str) -> str:
    path = directory / "daemon"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_b218_it_is_started_once_as_the_service_s_was(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    monkeypatch.setenv("OPTIONS", "--confdir='/etc/a b' -v")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    found = StandIn(script(tmp_path, f"for word; do echo \"$word\"; done > {said}.new; echo \"${{NOTIFY_SOCKET-none}} ${{OPTIONS-none}}\" "
                                     f">> {said}.new; mv {said}.new {said}; exec sleep 1000"))
    assert found.start() > 0
    assert found.start() == 0.0, "it has died too"
    eventually(said.exists)
    assert said.read_text().splitlines() == ["--host=systemd", "--expose-units=no", "--confdir=/etc/a b", "-v", "none none"]
    found.end()
    assert found._process is not None and found._process.returncode == -15


def test_b218_one_that_does_not_end_is_killed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_in, "_ENDS", 0.1)
    deaf = StandIn(script(tmp_path, f"trap '' TERM; touch {tmp_path}/up; while :; do sleep 0.1; done"))
    deaf.start()
    eventually((tmp_path / "up").exists)
    deaf.end()
    assert deaf._process is not None and deaf._process.returncode == -9


@pytest.mark.parametrize("text", [None, "no interpreter"])
def test_b218_without_a_program_nobody_waits(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], text: "str | None") -> None:
    path = tmp_path / "daemon"
    if text is not None:
        path.write_text(text)
        path.chmod(0o755)
    none = StandIn(str(path))
    assert none.start() == 0.0
    none.end()
    assert ("Exec format error" in capfd.readouterr().err) is (text is not None)

"""What all other tests of this folder rely on."""
from __future__ import annotations

import pathlib

import pytest

from tests.systemd.upstart import systemctl


def test_systemd_is_pid_1() -> None:
    assert pathlib.Path("/proc/1/comm").read_text() == "systemd\n"
    assert systemctl("is-system-running")[1].strip() in ("running", "degraded")


def test_pystemd_is_there() -> None:
    assert pytest.importorskip("pystemd.dbuslib").DBus


@pytest.mark.parametrize("text", ["two words", "ü", "[x]::y", ""])
def test_any_node_id_gets_its_own_result(request: pytest.FixtureRequest, text: str) -> None:
    assert request.node.callspec.params == {"text": text}

"""Re-execs in a row with units of systemd, and clients that never stop asking: nothing is lost (issue 5)."""
from __future__ import annotations

import pytest

from bench.reexec import SYSTEMD, endure


def test_many_re_execs_under_load_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert endure(24, SYSTEMD) == 0, capsys.readouterr().out

"""Re-execs in a row, with clients that never stop asking: nothing is lost. ``bench/reexec.py ROUNDS`` does as many as one likes."""
from __future__ import annotations

import pytest

from bench.reexec import endure


def test_many_re_execs_under_load_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert endure(6) == 0, capsys.readouterr().out

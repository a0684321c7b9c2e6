"""As tests/reexec/test_adopted.py, with jobs in units of systemd."""
from __future__ import annotations

import pytest

from tests.daemon.test_crash import Settings
from tests.reexec import test_adopted as adopted
from tests.systemd.upstart import SYSTEMD


@pytest.fixture
def backend() -> Settings:
    return {"options": SYSTEMD}


for _name, _value in vars(adopted).items():
    if _name.startswith("test_"):
        globals()[_name] = _value

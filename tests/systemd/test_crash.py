"""Kill -9 of the daemon at every step, and what the next one makes of it, with transient units (B204, X260)."""
from __future__ import annotations

import pytest

from tests.daemon import test_crash as crash
from tests.systemd.upstart import SYSTEMD


@pytest.fixture
def backend() -> crash.Settings:
    """In place of the parameters there; the tests are the same."""
    return {"options": SYSTEMD}


#: What is otherwise with units, and stands in test_daemons.py.
_NATIVE_ONLY = ("test_x260_ends_that_nobody_saw",)

for _name, _value in vars(crash).items():
    if _name.startswith("test_") and _name not in _NATIVE_ONLY:
        globals()[_name] = _value

"""What tests/reexec shows of a session's daemon holds for the system's as well, whose jobs are in units of systemd."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.reexec import test_daemons as daemons
from tests.systemd.conftest import Launch
from tests.systemd.upstart import SYSTEMD, Upstart

#: Two daemons beside each other.
_OF_SESSIONS = ("test_d229_a_process_that_is_not_there_counts_as_ended",)


@pytest.fixture
def launch(launch: Launch) -> Iterator[Any]:
    """Without units for systemctl, whose connections come and go when they will."""
    def run(jobs: Any = None, options: Any = (), **settings: Any) -> Upstart:
        return launch(jobs, (*SYSTEMD, "--expose-units", "no", *options), **settings)

    yield run


for _name, _value in vars(daemons).items():
    if _name.startswith("test_") and _name not in _OF_SESSIONS:
        globals()[_name] = _value

"""What every test of the engine works on: one simulated machine, whose clock stands still."""
from __future__ import annotations

import pytest

from compat.testing import SimulatedMachine


@pytest.fixture
def machine() -> SimulatedMachine:
    return SimulatedMachine()

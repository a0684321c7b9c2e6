from __future__ import annotations

from tests.daemon.conftest import launch, place  # noqa: F401  (fixtures)

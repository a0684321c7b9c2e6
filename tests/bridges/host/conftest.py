from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bridges.host.namespaces import Namespace


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.close()

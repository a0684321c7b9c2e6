"""A native backend with real processes, whose children are killed after the test."""
from __future__ import annotations

import pathlib
from typing import Any, Callable, Iterator, List

import pytest

from tests.backends.native_host import Host

MakeHost = Callable[..., Host]


@pytest.fixture
def make_host(tmp_path: pathlib.Path) -> Iterator[MakeHost]:
    made: List[Host] = []

    def make(**given: Any) -> Host:
        made.append(Host(tmp_path, **given))
        return made[-1]

    yield make
    for host in reversed(made):
        host.close()


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host()

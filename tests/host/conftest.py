"""Hosts for the tests of this folder: each is in a box or a container of its own, which goes with the test."""
from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, List

import pytest

from tests.host.container import Container
from tests.host.systemd_host import SystemdHost

Boot = Callable[..., SystemdHost]
Start = Callable[..., Container]


@pytest.fixture
def boot(tmp_path: pathlib.Path) -> Iterator[Boot]:
    """Makes hosts with systemd; arguments as of SystemdHost."""
    started: List[SystemdHost] = []
    numbers = itertools.count()

    def run(jobs: Any, **more: Any) -> SystemdHost:
        started.append(SystemdHost(tmp_path / f"h{next(numbers)}", jobs, **more))
        return started[-1]

    yield run
    for each in started:
        each.destroy()


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    """Makes containers; arguments as of Container."""
    started: List[Container] = []
    numbers = itertools.count()

    def run(jobs: Any, *options: str, **more: Any) -> Container:
        started.append(Container(tmp_path / f"c{next(numbers)}", jobs, *options, **more))
        return started[-1]

    yield run
    for each in started:
        each.destroy()

"""A job with a log of its own, and the certainty that no descriptor is left."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from tests.backends.job_log.job_output import Lines, Process


@pytest.fixture
def lines() -> Lines:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.log"


@pytest.fixture
def process(path: Path, lines: Lines) -> Iterator[Process]:
    process = Process(path, lines)
    yield process
    process.hang_up()
    process.log.close()


@pytest.fixture(autouse=True)
def no_descriptor_is_left_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before

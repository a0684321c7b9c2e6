"""Directories for job files, and configurations whose descriptors are closed after the test."""
from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from tests.config.configuration import Configuration

Configure = Callable[..., Configuration]


@pytest.fixture
def confdir(tmp_path: Path) -> Path:
    path = tmp_path / "C"
    path.mkdir()
    return path


@pytest.fixture
def configure() -> Iterator[Configure]:
    made: List[Configuration] = []

    def make(*arguments: object, **options: object) -> Configuration:
        made.append(Configuration(*arguments, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for configuration in made:
        configuration.watcher.close()

from __future__ import annotations

import itertools
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from tests.daemon.running import Daemon, destroy_all


class Launch(Protocol):
    """Starts a daemon on the given job files; see running.Daemon."""

    def __call__(self, jobs: Any = None, options: Any = (), **settings: Any) -> Daemon: ...


@pytest.fixture
def place() -> Iterator[pathlib.Path]:
    """A directory that every user may look into, unlike pytest's own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="upstart-compat-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def launch(place: pathlib.Path) -> Iterator[Launch]:
    started: list[Daemon] = []
    numbers = itertools.count()

    def run(jobs: Any = None, options: Any = (), **settings: Any) -> Daemon:
        ready = settings.pop("wait", True)
        directory = settings.pop("directory", place / f"daemon{next(numbers)}")
        started.append(Daemon(directory, jobs, options, wait=False, **settings))
        if ready:
            started[-1].wait_ready()
        return started[-1]

    yield run
    destroy_all(started)

"""Each test of this folder runs in a box (box.py); what is said here about items holds outside of it."""
from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any, Optional, Protocol

import pytest

from tests.daemon.conftest import place as place
from tests.daemon.running import destroy_all
from tests.systemd import box
from tests.systemd.upstart import SYSTEMD, Upstart, units

HERE = pathlib.Path(__file__).resolve().parent
#: A box for each file, so that pytest-xdist can give files to several workers.
_BOXES = pytest.StashKey["dict[pathlib.Path, box.Box]"]()


def pytest_configure(config: pytest.Config) -> None:
    if box.inside():
        config.pluginmanager.register(box.Reporter(config))


def _is_ours(item: Optional[pytest.Item]) -> bool:
    return item is not None and HERE in item.path.parents


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if box.inside():
        return
    ours = [item for item in items if _is_ours(item)]
    reason = box.missing() if ours and not config.option.collectonly else ""
    if reason:
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=reason))
    else:
        config.stash[_BOXES] = {
            path: box.Box(config, [item.nodeid for item in ours if item.path == path]) for path in {item.path for item in ours}}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Optional[bool]:
    if _BOXES not in item.config.stash or not _is_ours(item):
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, item.config.stash[_BOXES][item.path]):
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item, ran: box.Box) -> Iterator[pytest.TestReport]:
    try:
        yield from ran.reports(item.nodeid)
    except EOFError:
        yield pytest.TestReport(
            item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed",
            f"no result: {ran.dead}. What was printed there:\n{ran.output()}", "call")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _BOXES in session.config.stash:
        for each in session.config.stash[_BOXES].values():
            each.end()


class Launch(Protocol):
    """Starts a daemon on the given job files; see upstart.Upstart."""

    def __call__(self, jobs: Any = None, options: Any = SYSTEMD, **settings: Any) -> Upstart: ...


@pytest.fixture
def launch(place: pathlib.Path) -> Iterator[Launch]:
    started: list[Upstart] = []
    numbers = itertools.count()

    def run(jobs: Any = None, options: Any = SYSTEMD, **settings: Any) -> Upstart:
        ready = settings.pop("wait", True)
        directory = settings.pop("directory", place / f"daemon{next(numbers)}")
        started.append(Upstart(directory, jobs, options, wait=False, **settings))
        if ready:
            started[-1].wait_ready()
        return started[-1]

    yield run
    for each in started:
        if each.directory.exists():
            # Shown if the test failed.
            print(each.log(), units())
    destroy_all(started)


@pytest.fixture(scope="module")
def upstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstart]:
    """One daemon for the tests of a module, each of which defines jobs of its own. There can be no other beside it."""
    directory = tmp_path_factory.mktemp("daemon")
    for each in (directory, *list(directory.parents)[:3]):
        # Jobs run as other users, too.
        each.chmod(0o755)
    daemon = Upstart(directory)
    yield daemon
    daemon.destroy()

"""Waiting for a file that may never come (B196)."""
from __future__ import annotations

import importlib
import os
import pathlib
import shutil
from typing import Any, Callable, List

from compat.bridges.host import awaited_path
from compat.bridges.host.awaited_path import AwaitedPath
from compat.bridges.host.logind_source import LogindSource
from compat.loop import MainLoop
from tests.bridges.host.fake_logind import FakeLogind
from tests.control.client import ALLOW_ALL, BusDaemon
from tests.daemon.test_loop import in_a_process


class Scene:
    """A main loop that counts how often it is woken."""

    def __init__(self) -> None:
        self.errors: List[Any] = []
        self.come: List[bool] = []
        self.turns = 0
        self.loop = MainLoop(lambda what, error: self.errors.append(error))
        self.loop.events = self._turned

    def _turned(self) -> bool:
        self.turns += 1
        return False

    def wait(self, path: pathlib.Path) -> AwaitedPath:
        return AwaitedPath(str(path), self.loop, lambda: self.come.append(True))

    def run(self, seconds: float = 0.05) -> None:
        self.loop._quit = False
        self.loop.later(seconds, self.loop.quit)
        self.loop.run()
        assert not self.errors, self.errors

    def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.run(0.01)


@in_a_process
def test_b196_a_file_below_directories_that_come_and_go() -> None:
    top = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"awaited-{os.getpid()}"
    top.mkdir()
    scene = Scene()
    scene.wait(top / "run" / "dbus" / "socket")
    scene.run()
    (top / "other").mkdir()
    (top / "run").mkdir()
    scene.run()
    (top / "run" / "dbus").mkdir()
    scene.run()
    shutil.rmtree(top / "run")
    scene.run()
    assert scene.come == []
    # At one go, so that the file is there before its directory can be watched.
    (top / "new" / "dbus").mkdir(parents=True)
    (top / "new" / "dbus" / "socket").touch()
    (top / "new").rename(top / "run")
    scene.until(lambda: scene.come)
    scene.run()
    assert scene.come == [True]
    shutil.rmtree(top)


@in_a_process
def test_b196_a_file_that_is_there_and_one_that_nobody_waits_for_any_more() -> None:
    scene = Scene()
    waits = scene.wait(pathlib.Path("/proc/self/stat"))
    assert scene.come == [], "not before the loop runs"
    scene.until(lambda: scene.come)
    waits.close()
    scene.wait(pathlib.Path("/proc/self/stat")).close()
    scene.run()
    assert scene.come == [True]


@in_a_process
def test_b272_without_inotify_it_is_looked_now_and_then() -> None:
    awaited_path.Inotify = _refused  # type: ignore[misc, assignment]
    awaited_path._POLL_SECONDS = 0.01
    scene = Scene()
    path = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"polled-{os.getpid()}"
    scene.wait(path)
    scene.run()
    assert scene.come == []
    path.touch()
    scene.until(lambda: scene.come)
    path.unlink()


def _refused() -> Any:
    raise OSError(24, "Too many open files")


@in_a_process
def test_b196_b221_without_a_bus_nobody_is_woken_until_there_is_one() -> None:
    directory = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"bus-{os.getpid()}"
    # The nearest directory that there is is watched, and others have theirs in /tmp.
    directory.mkdir()
    address = f"unix:path={directory}/bus/socket"
    scene = Scene()
    glib = importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()
    source = LogindSource(scene.loop, glib, lambda *prepared: None, lambda: None, lambda *session: None, address)
    scene.run()
    before = scene.turns
    scene.run(1.5)
    assert scene.turns - before <= 2, "the timer of the test itself"
    (directory / "bus").mkdir()
    bus = BusDaemon(directory, "session", ALLOW_ALL, address)
    logind = FakeLogind(address, glib, "")
    scene.until(lambda: source._ready)
    source.close()
    logind.connection.close()
    bus.stop()
    shutil.rmtree(directory)

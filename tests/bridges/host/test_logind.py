"""logind's delay lock: the decisions, and D-Bus with a made-up logind on a real bus (B221, B268)."""
from __future__ import annotations

import importlib
import os
import pathlib
import tempfile
from typing import Any, Callable, List

import _dbus_bindings as bindings

from compat.bridges.host.logind import DelayLock
from compat.bridges.host.logind_source import LogindSource
from compat.loop import MainLoop
from tests.bridges.host.fake_logind import PATH, FakeLogind
from tests.control.client import ALLOW_ALL, BusDaemon
from tests.daemon.test_loop import in_a_process


class Timer:
    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        self.seconds, self.callback = seconds, callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Everything:
    """Logind, daemon and clock of a DelayLock: keeps what they are asked."""

    def __init__(self) -> None:
        self.calls: List[str] = []
        self.timers: List[Timer] = []
        self.done: Callable[[], None] = lambda: None
        self.is_up: Callable[[], None] = lambda: None
        self.lock = DelayLock(self, self, self.later, self.if_up)

    def take_lock(self) -> None:
        self.calls.append("take")

    def release_lock(self) -> None:
        self.calls.append("release")

    def take_first_step_down(self, level: str, extra: "tuple[str, ...]", done: Callable[[], None]) -> None:
        self.calls.append(" ".join(("down", level, *extra)))
        self.done = done

    def cancel_way_down(self) -> None:
        self.calls.append("cancel")

    def if_up(self, done: Callable[[], None]) -> None:
        self.calls.append("up?")
        self.is_up = done

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, callback))
        return self.timers[-1]

    def take(self) -> List[str]:
        calls, self.calls = self.calls, []
        return calls


def test_b221_no_lock_without_a_condition_that_needs_it() -> None:
    all_ = Everything()
    all_.lock.wanted(False)
    all_.lock.prepare(True, "reboot", 5.0)
    assert all_.take() == []


def test_b221_the_first_step_early_and_the_lock_back_when_it_is_taken() -> None:
    all_ = Everything()
    all_.lock.wanted(True)
    all_.lock.prepare(True, "poweroff", 5.0)
    assert all_.take() == ["take", "down 0 INIT_HALT=POWEROFF"]
    assert all_.timers[0].seconds == 4.5
    all_.done()
    assert all_.take() == ["release"] and all_.timers[0].cancelled


def test_b221_half_a_second_before_logind_gives_up() -> None:
    all_ = Everything()
    all_.lock.wanted(True)
    all_.lock.prepare(True, "reboot", 5.0)
    all_.take()
    all_.timers[0].callback()
    assert all_.take() == ["release"]


def test_b221_cancelled() -> None:
    all_ = Everything()
    all_.lock.wanted(True)
    all_.lock.prepare(True, "reboot", 5.0)
    all_.done()
    all_.take()
    all_.lock.prepare(False, "", 5.0)
    assert all_.take() == ["release", "cancel", "take"]
    all_.lock.prepare(False, "", 5.0)
    assert all_.take() == []


def test_b221_a_logind_that_dies_takes_the_shutdown_with_it_unless_that_has_begun() -> None:
    all_ = Everything()
    all_.lock.wanted(True)
    all_.lock.prepare(True, "reboot", 5.0)
    all_.take()
    all_.lock.lost()
    assert all_.take() == ["release", "up?", "take"] and all_.timers[0].cancelled
    # And again when there is a new one.
    all_.lock.lost()
    assert all_.take() == ["release", "up?", "take"]
    all_.is_up()
    all_.is_up()
    assert all_.take() == ["cancel"]
    all_.lock.lost()
    assert all_.take() == ["release", "take"]
    # The new one may announce one of its own before the answer is there.
    all_.lock.prepare(True, "reboot", 5.0)
    all_.lock.lost()
    all_.lock.prepare(True, "poweroff", 5.0)
    all_.take()
    all_.is_up()
    assert all_.take() == []
    all_.lock.prepare(False, "", 5.0)
    assert all_.take() == ["release", "cancel", "take"]


def test_b221_a_kind_that_is_not_told_is_left_to_the_shutdown_unit() -> None:
    all_ = Everything()
    all_.lock.wanted(True)
    all_.lock.prepare(True, "", 5.0)
    all_.lock.prepare(False, "", 5.0)
    assert all_.take() == ["take", "release", "release", "take"]


class Scene:
    """A bus, a logind and a source that hears it."""

    def __init__(self, kind: str = "") -> None:
        self.told: List[Any] = []
        self.errors: List[Any] = []
        directory = pathlib.Path(tempfile.mkdtemp())
        self.bus = BusDaemon(directory, "session", ALLOW_ALL, f"unix:abstract=/compat-test/{os.getpid()}/{directory.name}")
        self.loop = MainLoop(lambda what, error: self.errors.append(error))
        self.glib = importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()
        self.logind = FakeLogind(self.bus.address, self.glib, kind)
        self.source = LogindSource(self.loop, self.glib, lambda *prepared: self.told.append(prepared), lambda: self.told.append("lost"),
                                   lambda *session: self.told.append(session), self.bus.address)

    def until(self, condition: Callable[[], object]) -> None:
        def look() -> None:
            if condition():
                self.loop.quit()
            else:
                self.loop.later(0.002, look)

        self.loop._quit = False
        look()
        if not self.loop._quit:
            self.loop.run()
        assert not self.errors, self.errors

    def close(self) -> None:
        self.source.close()
        self.logind.connection.close()
        self.bus.stop()


@in_a_process
def test_b221_the_lock_on_the_bus() -> None:
    scene = Scene()
    scene.source.take_lock()
    scene.until(lambda: scene.logind.inhibited)
    assert scene.logind.inhibited[0][0] == ["shutdown", "upstart-compat", "Stopping Upstart jobs", "delay"]
    scene.until(lambda: scene.source._lock_fd >= 0)
    assert scene.logind.held(0)
    scene.source.release_lock()
    # The bus may have the descriptor for a moment longer than whoever it has passed it on to.
    scene.until(lambda: not scene.logind.held(0))
    scene.close()


@in_a_process
def test_b221_announcements_with_and_without_a_kind() -> None:
    scene = Scene()
    scene.until(lambda: scene.source._ready)
    scene.logind.announce(True, "reboot")
    scene.until(lambda: scene.told)
    scene.logind.announce(False, "reboot")
    scene.until(lambda: len(scene.told) > 1)
    scene.logind.say("PrepareForShutdown", "b", True)
    scene.until(lambda: len(scene.told) > 2)
    assert scene.told == [(True, "reboot", 5.0), (False, "", 5.0), (True, "", 5.0)]
    scene.close()
    scene = Scene("dry-poweroff")
    scene.until(lambda: scene.source._ready)
    scene.logind.say("PrepareForShutdown", "b", True)
    scene.until(lambda: scene.told)
    assert scene.told == [(True, "dry-poweroff", 5.0)]
    scene.close()


@in_a_process
def test_b221_a_shutdown_that_is_cancelled_before_its_kind_is_known_is_not_told() -> None:
    scene = Scene("poweroff")
    scene.until(lambda: scene.source._ready)
    # Both are there before the first answer is: the one with a kind lacks the delay, the one without lacks the kind as well.
    for begins in (True, False):
        scene.logind.announce(begins, "reboot")
    for begins in (True, False):
        scene.logind.say("PrepareForShutdown", "b", begins)
    # Answers come in order: when this is told, those of the others have come.
    scene.logind.say("PrepareForShutdown", "b", True)
    scene.until(lambda: scene.told)
    assert scene.told == [(True, "poweroff", 5.0)]
    scene.logind.say("PrepareForShutdown", "b", False)
    scene.logind.announce(True, "reboot")
    scene.until(lambda: len(scene.told) > 2)
    assert scene.told[1:] == [(False, "", 5.0), (True, "reboot", 5.0)]
    scene.close()


@in_a_process
def test_b268_a_new_desktop() -> None:
    scene = Scene()
    scene.until(lambda: scene.source._ready)
    scene.logind.say("SessionNew", "so", "1", bindings.ObjectPath(PATH + "/session/_31"))
    scene.until(lambda: scene.told)
    assert scene.told == [("eva", "gdm")]
    scene.close()


@in_a_process
def test_b221_a_logind_that_comes_again_is_asked_again() -> None:
    scene = Scene()
    scene.source.take_lock()
    scene.until(lambda: scene.source._lock_fd >= 0)
    scene.logind.connection.close()
    scene.until(lambda: "lost" in scene.told)
    assert scene.source._lock_fd < 0
    scene.logind = FakeLogind(scene.bus.address, scene.glib, "")
    scene.until(lambda: scene.logind.inhibited and scene.source._lock_fd >= 0)
    scene.close()

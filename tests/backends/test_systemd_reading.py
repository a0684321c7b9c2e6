"""SystemdReading with descriptors and timers in the test's hands (X259)."""
from __future__ import annotations

from typing import Callable, Dict, List, Tuple

import pytest

from compat.backends.systemd_reading import SystemdReading

FD = 7


class Scene:
    """``complete``: what the next dispatches say."""

    def __init__(self) -> None:
        self.watched: Dict[int, Callable[[], None]] = {}
        self.timers: List[Tuple[float, Callable[[], None]]] = []
        self.complete: List[bool] = []
        self.said: List[str] = []
        self.reading = SystemdReading(
            self._watch, lambda fd: self.watched.pop(fd, None) and None, lambda seconds, then: self.timers.append((seconds, then)),
            self._dispatch)

    def _watch(self, fd: int, reader: Callable[[], None]) -> None:
        assert fd not in self.watched
        self.watched[fd] = reader

    def _dispatch(self) -> bool:
        self.said.append("read")
        return self.complete.pop(0) if self.complete else True

    def fire(self, seconds: float) -> None:
        """The timers that were to wait so long."""
        due = [each for each in self.timers if each[0] == seconds]
        self.timers = [each for each in self.timers if each[0] != seconds]
        for _, then in due:
            then()


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.reading.begin(FD)
    scene.fire(0.0)
    assert scene.said == ["read"], "something may be there from the start"
    scene.said.clear()
    return scene


def test_it_is_read_when_something_comes_and_once_after_calls(scene: Scene) -> None:
    scene.watched[FD]()
    assert scene.said == ["read"]
    for _ in range(3):
        scene.reading.soon()
    scene.fire(0.0)
    assert scene.said == ["read"] * 2 and not scene.timers


def test_what_is_left_is_read_in_the_next_turn(scene: Scene) -> None:
    scene.complete = [False, False]
    scene.watched[FD]()
    assert scene.said == ["read"], "others have their turn"
    scene.fire(0.0)
    scene.fire(0.0)
    assert scene.said == ["read"] * 3 and not scene.timers


def test_x251_when_all_that_was_sent_has_been_handled(scene: Scene) -> None:
    scene.complete = [False]
    scene.reading.when_heard(lambda: scene.said.append("heard"))
    scene.fire(0.0)
    assert scene.said == ["read"]
    scene.fire(0.0)
    assert scene.said == ["read", "read", "heard"]
    scene.watched[FD]()
    assert scene.said.count("heard") == 1


@pytest.mark.parametrize("end", ["answer", "time"])
def test_it_is_held_until_a_launcher_answers_but_not_for_long(scene: Scene, end: str) -> None:
    scene.reading.hold()
    scene.reading.soon()
    scene.fire(0.0)
    assert not scene.watched and not scene.said
    if end == "answer":
        scene.reading.go_on()
    else:
        scene.fire(0.002)
    assert FD in scene.watched
    scene.fire(0.0)
    assert scene.said == ["read"] and scene.timers == [each for each in scene.timers if each[0] == 0.002]


def test_the_end_of_one_hold_is_not_that_of_the_next(scene: Scene) -> None:
    scene.reading.hold()
    scene.reading.go_on()
    first, scene.timers = scene.timers, []
    scene.reading.hold()
    for _, then in first:
        then()
    assert not scene.watched
    scene.fire(0.002)
    assert FD in scene.watched


def test_x250_the_connection_is_lost_while_it_is_held(scene: Scene) -> None:
    scene.reading.hold()
    scene.reading.end()
    scene.reading.hold()
    scene.fire(0.002)
    assert not scene.watched
    scene.reading.begin(FD + 1)
    assert list(scene.watched) == [FD + 1]

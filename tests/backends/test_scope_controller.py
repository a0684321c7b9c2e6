"""The connection over which scopes are made: it comes and goes with the message bus (X251, X252)."""
from __future__ import annotations

import errno
from typing import Any, Callable, List, Tuple

import pytest

from compat.backends import scope_controller
from compat.backends.scope_controller import ScopeController
from compat.backends.systemd_connection import SystemdError

UNIT = "upstart-web-main.scope"


class Bus:
    """SystemdConnection to a message bus; with ``there`` False nobody answers at its address."""

    there = True

    def __init__(self) -> None:
        self.is_open = False
        self.name = 0
        self.lost: Callable[[], None] = lambda: None
        #: raised by the next call: an error, and whether the connection is gone with it
        self.fails: List[Tuple[int, bool]] = []
        self.made: List[Tuple[bytes, ...]] = []

    def open_bus(self) -> None:
        if not self.there:
            raise SystemdError(errno.ENOENT, "No such file or directory")
        self.is_open = True
        self.name += 1

    def on_signal(self, interface: bytes, member: bytes, callback: Callable[[bytes], None]) -> None:
        assert member == b"RequestStop"

    def fileno(self) -> int:
        return 100 + self.name

    def close(self) -> None:
        self.is_open = False

    def unique_name(self) -> bytes:
        return b":1.%d" % self.name

    def start_transient(self, unit: str, properties: List[Any]) -> Tuple[bytes, ...]:
        if self.fails:
            number, gone = self.fails.pop(0)
            if gone:
                self.is_open = False
                self.lost()
            raise SystemdError(number, "failed")
        self.made.append(tuple(each.value for each in properties))
        return ()


class Otherwise(Bus):
    """The daemon's other connection."""


@pytest.fixture
def otherwise() -> Otherwise:
    return Otherwise()


@pytest.fixture
def watched() -> List[int]:
    return []


@pytest.fixture
def losses() -> List[int]:
    return []


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch, otherwise: Otherwise, watched: List[int], losses: List[int]) -> ScopeController:
    monkeypatch.setattr(scope_controller, "SystemdConnection", Bus)
    return ScopeController(lambda fd, reader: watched.append(fd), watched.remove, lambda path: None, lambda: losses.append(1),
                           otherwise)  # type: ignore[arg-type]


def bus(controller: ScopeController) -> Bus:
    return controller._bus  # type: ignore[return-value]


def test_x251_the_controller_is_who_made_the_scope(controller: ScopeController, otherwise: Otherwise, watched: List[int]) -> None:
    for _ in range(2):
        assert controller.start(UNIT, []) == ()
    assert bus(controller).made == [(b":1.1",)] * 2 and not otherwise.made and watched == [101] and controller.is_asked


def test_x251_a_bus_that_has_gone_and_is_back(
        controller: ScopeController, otherwise: Otherwise, watched: List[int], losses: List[int]) -> None:
    """Which nobody has noticed yet."""
    controller.start(UNIT, [])
    bus(controller).fails.append((errno.ECONNRESET, True))
    assert controller.start(UNIT, []) == ()
    assert bus(controller).made == [(b":1.1",), (b":1.2",)] and not otherwise.made and watched == [102]
    assert losses == [1] and controller.is_asked


def test_x251_a_bus_that_has_gone(monkeypatch: pytest.MonkeyPatch, controller: ScopeController, otherwise: Otherwise,
                                  watched: List[int]) -> None:
    controller.start(UNIT, [])
    bus(controller).fails.append((errno.ECONNRESET, True))
    monkeypatch.setattr(Bus, "there", False)
    assert controller.start(UNIT, []) == ()
    assert otherwise.made == [()] and not watched and not controller.is_asked


def test_x251_a_bus_that_does_not_tell_of_signals(
        monkeypatch: pytest.MonkeyPatch, controller: ScopeController, otherwise: Otherwise) -> None:
    def refused(*arguments: Any) -> None:
        raise SystemdError(errno.EACCES, "Access denied")

    monkeypatch.setattr(Bus, "on_signal", refused)
    assert controller.start(UNIT, []) == ()
    assert otherwise.made == [()] and not controller.is_asked


def test_x250_a_refusal_is_one(controller: ScopeController, otherwise: Otherwise) -> None:
    controller.start(UNIT, [])
    bus(controller).fails.append((errno.EEXIST, False))
    with pytest.raises(SystemdError):
        controller.start(UNIT, [])
    assert len(bus(controller).made) == 1 and not otherwise.made

"""Makes the scopes, and is asked by systemd to stop them (X251, X252).

A scope has no main process, so systemd cannot know how to stop it. It asks the scope's controller: a bus client,
the one that had the scope made, by a RequestStop signal to its unique name. That takes a connection to the
system bus; where there is none scopes are made over the daemon's other connection, and go without a controller, as do
those that were made over a bus that is gone.
"""
from __future__ import annotations

from typing import Callable, List, Tuple

from .systemd_connection import SystemdConnection, SystemdError
from .unit_property import Property


class ScopeController:
    """``requested`` is called with the path of a unit that is to be stopped, ``lost`` when systemd cannot ask any more.

    ``watch(fd, reader)`` and ``unwatch(fd)`` belong to whoever waits for descriptors; ``otherwise`` is the other connection.
    """

    def __init__(self, watch: Callable[[int, Callable[[], None]], None], unwatch: Callable[[int], None],
                 requested: Callable[[bytes], None], lost: Callable[[], None], otherwise: SystemdConnection) -> None:
        self._watch = watch
        self._unwatch = unwatch
        self._requested = requested
        self._tell_lost = lost
        self._otherwise = otherwise
        self._bus = SystemdConnection()
        self._bus.lost = self._lost
        self._fd = -1

    @property
    def is_asked(self) -> bool:
        """Whether that is so of scopes that were made just now."""
        return self._bus.is_open

    def start(self, unit: str, properties: List[Property]) -> Tuple[bytes, ...]:
        """As SystemdConnection.start_transient. Raises SystemdError."""
        try:
            if self._bus.is_open:
                return self._make(unit, properties)
        except SystemdError:
            if self._bus.is_open:
                raise
            # The bus has gone, and is back perhaps.
        try:
            self._open()
        except SystemdError:
            return self._otherwise.start_transient(unit, properties)
        return self._make(unit, properties)

    def _make(self, unit: str, properties: List[Property]) -> Tuple[bytes, ...]:
        return self._bus.start_transient(unit, [*properties, Property(b"Controller", b"s", self._bus.unique_name())])

    def _open(self) -> None:
        self._bus.open_bus()
        try:
            self._bus.on_signal(b"org.freedesktop.systemd1.Scope", b"RequestStop", self._requested)
        except SystemdError:
            self._bus.close()
            raise
        self._fd = self._bus.fileno()
        self._watch(self._fd, self._read)

    def _read(self) -> None:
        while not self._bus.dispatch():
            # Not for long: on this connection there is little else than answers.
            pass

    def dispatch(self) -> None:
        """Handle what arrived before the answer to a call."""
        self._read()

    def _lost(self) -> None:
        self._unwatch(self._fd)
        self._tell_lost()

    def close(self) -> None:
        """Give up the connection."""
        if self._bus.is_open:
            self._unwatch(self._fd)
            self._bus.close()

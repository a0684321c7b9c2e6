"""What is asked of systemd about the units of jobs, over the backend's connection.

Every call waits for its answer (systemd_connection.py), and afterwards signals may have been read with it.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple

from ..backends.systemd_connection import SystemdConnection

_UNIT = b"org.freedesktop.systemd1.Unit"


class LoadedUnit(NamedTuple):
    """A unit that systemd has in its memory: LoadState and ActiveState."""

    load: str
    active: str


class SystemdManager:
    """``connection`` is open or not, as it happens; ``called`` is called after every call. All methods raise SystemdError."""

    def __init__(self, connection: SystemdConnection, called: Callable[[], None]) -> None:
        self._connection = connection
        self._called = called

    @property
    def is_reachable(self) -> bool:
        """Whether there is a connection at present."""
        return self._connection.is_open

    def start(self, unit: str) -> None:
        """Begin to start a unit, unless that contradicts what systemd was told to do with it before: then an error."""
        self._call(b"StartUnit", b"ss", unit.encode("ascii"), b"fail")

    def reset_failed(self, unit: str) -> None:
        """Forget that a unit failed."""
        self._call(b"ResetFailedUnit", b"s", unit.encode("ascii"))

    def reload(self) -> None:
        """Read all unit files again."""
        self._call(b"Reload")

    def state(self, unit: str) -> str:
        """ActiveState."""
        return _text(self._unit(unit, b"ActiveState", b"s"))

    def fragment(self, unit: str) -> str:
        """The file that a loaded unit was read from."""
        return _text(self._unit(unit, b"FragmentPath", b"s"))

    def needs_reload(self, unit: str) -> bool:
        """Whether a loaded unit differs from its file."""
        return bool(self._unit(unit, b"NeedDaemonReload", b"b"))

    def is_going_down(self) -> bool:
        """Whether the host shuts down."""
        return _text(self._manager(b"SystemState", b"s")) == "stopping"

    def folders(self) -> List[str]:
        """Where systemd looks for unit files, the strongest first."""
        return list(map(_text, self._manager(b"UnitPath", b"as")))

    def loaded_services(self) -> Dict[str, LoadedUnit]:
        """All services that systemd has loaded, by name."""
        found = self._call(b"ListUnitsByPatterns", b"asas", [], [b"*.service"])
        return {_text(each[0]): LoadedUnit(_text(each[2]), _text(each[3])) for each in found}

    def _call(self, method: bytes, signature: bytes = b"", *values: Any) -> Any:
        try:
            return self._connection.call(method, signature, *values)
        finally:
            self._called()

    def _unit(self, unit: str, name: bytes, signature: bytes) -> Any:
        try:
            return self._connection.unit_property(unit, _UNIT, name, signature)
        finally:
            self._called()

    def _manager(self, name: bytes, signature: bytes) -> Any:
        try:
            return self._connection.manager_property(name, signature)
        finally:
            self._called()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")

"""The transient units that systemd has of us: their names, from their making until they are let go (X251, X254).

A unit lasts longer than its process. A service is kept by systemd until the daemon has read how the process
ended; a scope, and a service that left processes behind, until the last of them is gone. So a name may be
taken when the next process of the same job starts, and that one's name ends in a number. It is free again only when
everything that systemd said of the old unit has been heard: what is heard after that is about the new one.
"""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, Set, Tuple

from ..engine.actions import INFO, SpawnProcess
from ..parser.definition import PROCESS_NAMES
from .protocol import Log
from .systemd_connection import Changed, SystemdConnection, SystemdError
from .systemd_reading import SystemdReading
from .unit_names import base_name
from .unit_property import Property

_UNIT_INTERFACE = b"org.freedesktop.systemd1.Unit"
_MOST_NAMES = 1000

#: Makes a unit of a name with properties, and returns the properties that were left out.
Start = Callable[[str, List[Property]], Tuple[bytes, ...]]


class TransientUnits:
    """``gone`` is called with the name of a unit that systemd was found to have no more."""

    def __init__(self, connection: SystemdConnection, log: Log, reading: SystemdReading, gone: Callable[[str], None]) -> None:
        self._connection = connection
        self._log = log
        self._reading = reading
        self._gone = gone
        #: All that systemd has, or may still have.
        self._names: Set[str] = set()
        #: Those that systemd was told to drop, and how. It says twice that a unit has come to rest; told twice, it would load it anew.
        self._dropped: Dict[str, bytes] = {}
        self._warned: Set[str] = set()

    def dispatch_later(self) -> None:
        """After a call: signals may be waiting inside the connection."""
        self._reading.soon()

    def once(self, priority: int, text: str, key: str = "") -> None:
        """Log a line, but only the first of those with the same key."""
        key = key or text
        if key not in self._warned:
            self._warned.add(key)
            self._log(priority, text)

    def make(self, request: SpawnProcess, suffix: str, properties: List[Property], start: Start) -> str:
        """Make the unit of a process; returns its name. Raises SystemdError."""
        base = base_name(request.job, request.instance, PROCESS_NAMES[request.process])
        for number in range(1, _MOST_NAMES):
            unit = f"{base}-{number}{suffix}" if number > 1 else base + suffix
            if unit in self._names:
                continue
            try:
                left_out = start(unit, properties)
            except SystemdError as error:
                self.dispatch_later()
                if not error.exists:
                    raise
                # Of a daemon before this one; if nothing runs in it any more, it can go.
                self.release(unit)
                continue
            self.dispatch_later()
            self._names.add(unit)
            for name in left_out:
                self.once(INFO, f"systemd does not take the property {name.decode()}: left out")
            return unit
        raise SystemdError(0, f"all names like {base}{suffix} are taken")

    def watch(self, unit: str, changed: Changed) -> None:
        """Call ``changed`` with what changes about a unit whose process lives."""
        self._names.add(unit)
        self._connection.watch(unit, changed)

    def let_go(self, unit: str) -> None:
        """Its process is over and done with: the unit goes as soon as systemd has come to rest with it."""
        self._names.add(unit)
        self._dropped.pop(unit, None)
        self._connection.watch(unit, partial(self._changed, unit))

    def release(self, unit: str) -> None:
        """As ``let_go``, and look at once how far it is.

        A scope whose processes ended before they were in it has nothing that could end: systemd before 250 keeps it for ever.
        """
        self.let_go(unit)
        try:
            found = self._connection.run_of(unit)
            empty = found is not None and unit.endswith(".scope") and found.state == b"active" and not self._connection.pids_in(unit)
        except SystemdError:
            return
        finally:
            self.dispatch_later()
        if found is None:
            self._reading.when_heard(partial(self._gone, unit))
        elif empty:
            # Or its controller would be asked to stop it.
            self._drop(unit, b"AbandonScope", b"s", unit.encode("ascii"))
            self._drop(unit, b"StopUnit", b"ss", unit.encode("ascii"), b"replace")
        else:
            self._changed(unit, _UNIT_INTERFACE, {b"ActiveState": found.state, b"SubState": found.sub_state})

    @property
    def names(self) -> List[str]:
        """All that systemd has, or may still have."""
        return sorted(self._names)

    def restore(self, names: Iterable[str], listed: Mapping[str, Tuple[bytes, bytes]]) -> None:
        """Let go of these, which a daemon before this one had; ``listed`` are the states, active and sub, of all that there are."""
        for unit in names:
            if unit in listed:
                self.let_go(unit)
                self._changed(unit, _UNIT_INTERFACE, dict(zip((b"ActiveState", b"SubState"), listed[unit])))

    def knows(self, unit: str) -> bool:
        """Whether systemd may have it, as far as is known here."""
        return unit in self._names

    def release_others(self, in_use: Iterable[str]) -> None:
        """Look again at all but these, because signals may have been lost."""
        for unit in self._names - set(in_use):
            self.release(unit)

    def removed(self, unit: str) -> bool:
        """systemd has it no more; whether it was one of ours."""
        if unit not in self._names:
            return False
        self._names.discard(unit)
        self._dropped.pop(unit, None)
        self._connection.unwatch(unit)
        return True

    def _changed(self, unit: str, interface: bytes, properties: Dict[bytes, Any]) -> None:
        state = properties.get(b"ActiveState")
        if interface != _UNIT_INTERFACE or state is None:
            return
        if state == b"active" and properties.get(b"SubState") == b"exited":
            self._drop(unit, b"StopUnit", b"ss", unit.encode("ascii"), b"replace")
        elif state == b"failed":
            self._drop(unit, b"ResetFailedUnit", b"s", unit.encode("ascii"))

    def _drop(self, unit: str, method: bytes, signature: bytes, *arguments: bytes) -> None:
        if self._dropped.get(unit) == method:
            return
        self._dropped[unit] = method
        try:
            self._connection.call(method, signature, *arguments)
        except SystemdError:
            # It is gone already, or will be looked at again when systemd is back.
            pass
        self.dispatch_later()

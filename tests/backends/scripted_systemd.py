"""A systemd for SystemdBackend that does what a test tells it to, and that starts the launcher for real."""
from __future__ import annotations

import errno
import fnmatch
import os
import pathlib
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

import pytest

from compat.backends import main_pid, scope_controller, upstart_slice
from compat.backends.native import LAUNCHER
from compat.backends.protocol import ProcessDefaults
from compat.backends.systemd import SystemdBackend
from compat.backends.systemd_connection import Changed, Run, SystemdError
from compat.backends.unit_property import Property
from tests.backends.native_host import Host

SERVICE, UNIT = b"org.freedesktop.systemd1.Service", b"org.freedesktop.systemd1.Unit"
INVOCATION = "0123456789abcdef" * 2


class ScriptedSystemd:
    """SystemdConnection, as far as the backend uses it. ``held``: units are taken, but what is in them is not started."""

    def __init__(self) -> None:
        self.is_open = False
        self.answers = True
        self.held = False
        #: raised by the next calls of start_transient, first to last
        self.refusals: List[SystemdError] = []
        self.properties: Dict[str, Dict[bytes, Any]] = {}
        #: the pids of what runs in scopes
        self.inside: Dict[str, List[int]] = {}
        self.left_out: Tuple[bytes, ...] = ()
        self.runs: Dict[str, Optional[Run]] = {}
        #: those that has_unit knows
        self.loaded: Set[str] = set()
        self.result: Tuple[str, int] = ("exit-code", 1)
        self.calls: List[Tuple[bytes, bytes]] = []
        self.watched: Dict[str, Changed] = {}
        self.channels: Dict[str, int] = {}
        #: pids of the launchers that were started; they are the test's own children
        self.processes: Dict[str, int] = {}
        self._pipe = os.pipe()
        #: what the signals say that systemd has sent before its latest answer
        self.sent: List[Callable[[], None]] = []
        self.job_removed: Callable[[str, str], None] = lambda unit, result: None
        self.unit_removed: Callable[[str], None] = lambda unit: None
        self.reloaded: Callable[[], None] = lambda: None
        self.made_anew: Callable[[str], None] = lambda unit: None
        self.lost: Callable[[], None] = lambda: None

    # -- what the backend calls -------------------------------------------------------------------------------------

    def open(self) -> None:
        if not self.answers:
            raise SystemdError(errno.ECONNREFUSED, "Connection refused")
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def fileno(self) -> int:
        return self._pipe[0]

    def dispatch(self) -> bool:
        sent, self.sent = self.sent, []
        for each in sent:
            each()
        return True

    def path(self, unit: str) -> bytes:
        return b"/unit/" + unit.encode("ascii")

    def _check(self) -> None:
        if not self.is_open:
            raise SystemdError(errno.ENOTCONN, "no connection to systemd")

    def start_transient(self, unit: str, properties: List[Property]) -> Tuple[bytes, ...]:
        self._check()
        if self.refusals:
            raise self.refusals.pop(0)
        self.properties[unit] = values = {each.name: each.value for each in properties}
        if unit.endswith(".service"):
            self.channels[unit] = os.dup(values[b"StandardInputFileDescriptor"])
            if not self.held:
                self.execute(unit)
        return self.left_out

    def call(self, method: bytes, signature: bytes = b"", *values: Any) -> None:
        self._check()
        self.calls.append((method, values[0]))

    def run_of(self, unit: str) -> Optional[Run]:
        self._check()
        return self.runs.get(unit)

    def has_unit(self, unit: str) -> bool:
        self._check()
        return unit in self.loaded

    def units(self, pattern: str) -> List[str]:
        self._check()
        return fnmatch.filter(self.runs, pattern)

    def states(self, pattern: str) -> Dict[str, Tuple[bytes, bytes]]:
        return {unit: (run.state, run.sub_state) for unit in self.units(pattern) for run in [self.runs[unit]] if run is not None}

    def pids_in(self, unit: str) -> List[int]:
        self._check()
        return self.inside.get(unit, [])

    def service_result(self, unit: str) -> Tuple[str, int]:
        self._check()
        return self.result

    def watch(self, unit: str, changed: Changed) -> None:
        self.watched[unit] = changed

    def unwatch(self, unit: str) -> None:
        self.watched.pop(unit, None)

    # -- what the test does ---------------------------------------------------------------------------------------------

    def execute(self, unit: str) -> None:
        """Start what is in a unit."""
        self.processes[unit] = os.posix_spawn(
            LAUNCHER, [LAUNCHER, "unit"], {"INVOCATION_ID": INVOCATION}, file_actions=[(os.POSIX_SPAWN_DUP2, self.channels[unit], 0)])
        self.drop(unit)

    def drop(self, unit: str) -> None:
        """Close the unit's end of the channel."""
        os.close(self.channels.pop(unit))

    def say(self, unit: str, interface: bytes, **properties: Any) -> None:
        """A change of properties."""
        self.watched[unit](interface, {name.encode(): value for name, value in properties.items()})

    def ended(self, unit: str, code: int, status: int) -> None:
        """As systemd tells the end of a main process."""
        self.say(unit, SERVICE, MainPID=0, ExecMainCode=code, ExecMainStatus=status)

    def break_off(self) -> None:
        """The connection is lost."""
        self.is_open = False
        self.lost()

    def destroy(self) -> None:
        for channel in self.channels.values():
            os.close(channel)
        for descriptor in self._pipe:
            os.close(descriptor)


class NoBus:
    """Where there is no message bus."""

    is_open = False
    lost: Callable[[], None]

    def open_bus(self) -> None:
        raise SystemdError(errno.ENOENT, "No such file or directory")

    def dispatch(self) -> bool:
        return True


class SystemdHost(Host):
    """native_host.Host with SystemdBackend on a scripted systemd; ``announced`` are MAINPID messages."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, **defaults: Any) -> None:
        monkeypatch.setattr(upstart_slice, "provide", lambda: None)
        monkeypatch.setattr(scope_controller, "SystemdConnection", NoBus)
        self.announced: List[int] = []
        monkeypatch.setattr(main_pid, "announce", self.announced.append)
        self.systemd = ScriptedSystemd()
        super().__init__(folder, **defaults)
        self.backend.connect()
        # It looks at once whether anything has arrived already.
        assert self.fire() == [0.0]

    def make_backend(self, defaults: ProcessDefaults, utmp: Optional[Callable[[int], None]], launcher: str) -> Any:
        return SystemdBackend(self.feed, self._log, self.later, defaults, utmp, launcher, self.systemd)  # type: ignore[arg-type]

    def warnings(self) -> List[str]:
        return [line[2:] for line in self.lines if line.startswith("W ")]

    def close(self) -> None:
        super().close()
        self.systemd.destroy()

"""The table of what jobs cost as transient units: ours, native, and bare units from one client, in one run.

    python bench/systemd.py [--rounds N] [--many N]

Needs root, and what tests/systemd-box needs: everything is measured in a box with a systemd of its own. "bare" is
this program itself asking systemd for units of /bin/sleep, over the private socket by pystemd, and waiting for
systemd's word; "service" is the daemon with --backend=systemd, "native" with --backend=native. The three are measured
in turn, several times. Values are medians in milliseconds, but for many jobs by one event: jobs that run in a second.

    start   from the request until it runs         exit   from kill -9 until the client is told
    stop    from the request until it is stopped   many   jobs, or units, at once

The client is told of an exit by the PropertiesChanged signal of systemd, or by the daemon's first StateChanged. A
start is asked for when systemd has done with the unit before.
"""
from __future__ import annotations

import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.session import Session, table  # noqa: E402
from compat.backends.systemd_connection import SystemdConnection  # noqa: E402
from compat.backends.unit_properties import Property  # noqa: E402

_INSIDE = "--inside"
_SLEEP = b"/bin/sleep"
_TURNS = 5
_SERVICE, _UNIT = b"org.freedesktop.systemd1.Service", b"org.freedesktop.systemd1.Unit"


class Bare:
    """One client of systemd's."""

    name = "bare"

    def __init__(self) -> None:
        self._connection = SystemdConnection()
        self._connection.open()
        self._serial = 0
        self._states: Dict[str, Dict[bytes, Any]] = {}

    def _make(self) -> str:
        self._serial += 1
        unit = f"bench-{self._serial}.service"
        self._states[unit] = {}
        self._connection.watch(unit, lambda interface, changed: self._states[unit].update(changed))
        self._connection.start_transient(unit, [
            Property(b"Type", b"s", b"exec"), Property(b"ExecStart", b"a(sasb)", [(_SLEEP, [_SLEEP, b"1000"], False)]),
            Property(b"CollectMode", b"s", b"inactive-or-failed"), Property(b"DefaultDependencies", b"b", False)])
        return unit

    def _until(self, units: List[str], condition: Callable[[Dict[bytes, Any]], bool]) -> None:
        left = set(units)
        while left:
            self._connection.dispatch()
            left = {unit for unit in left if not condition(self._states[unit])}

    def start(self) -> str:
        unit = self._make()
        self._until([unit], lambda state: state.get(b"ActiveState") == b"active")
        return unit

    def main_pid(self, handle: str) -> int:
        return int(self._states[handle][b"MainPID"])

    def wait_end(self, handle: str) -> None:
        self._until([handle], lambda state: state.get(b"MainPID") == 0)

    def stop(self, handle: str) -> None:
        self._connection.call(b"StopUnit", b"ss", handle.encode(), b"replace")
        self._until([handle], lambda state: state.get(b"ActiveState") in (b"inactive", b"failed"))

    def rest(self) -> None:
        while self._connection.units("bench-*"):
            self._connection.dispatch()

    def many(self, count: int) -> float:
        begin = time.perf_counter()
        units = [self._make() for _ in range(count)]
        self._until(units, lambda state: state.get(b"ActiveState") == b"active")
        took = time.perf_counter() - begin
        for unit in units:
            self._connection.call(b"StopUnit", b"ss", unit.encode(), b"replace")
        self._until(units, lambda state: state.get(b"ActiveState") in (b"inactive", b"failed"))
        return count / took

    def close(self) -> None:
        self._connection.close()


class Ours:
    """The daemon."""

    def __init__(self, name: str, backend: str, many: int) -> None:
        self.name = name
        jobs = {"one": "console none\nexec sleep 1000\n"}
        jobs.update({f"many-{number}": "start on all\nstop on none\nconsole none\nexec sleep 1000\n" for number in range(many)})
        self._session = Session(jobs, ("--backend", backend, "--no-dbus", "--expose-units", "no"), system=True)
        self._job = self._session.job("one")
        self._systemd = SystemdConnection()
        self._systemd.open()

    def start(self) -> str:
        return self._session.start(self._job)

    def main_pid(self, handle: str) -> int:
        return self._session.main_pid(handle)

    def wait_end(self, handle: str) -> None:
        self._session.wait_signal(handle, "StateChanged")

    def stop(self, handle: str) -> None:
        self._session.stop(self._job)

    def rest(self) -> None:
        while self._session.instances(self._job) or self._systemd.units("upstart-one-*"):
            self._systemd.dispatch()

    def many(self, count: int) -> float:
        begin = time.perf_counter()
        self._session.emit("all")
        took = time.perf_counter() - begin
        self._session.emit("none")
        return count / took

    def close(self) -> None:
        self._systemd.close()
        self._session.__exit__()


class Times:
    """What was measured of one of the three: start, exit, stop in ms; many in jobs a second."""

    def __init__(self) -> None:
        self.start: List[float] = []
        self.exit: List[float] = []
        self.stop: List[float] = []
        self.many: List[float] = []

    def measure(self, what: Any, rounds: int, many: int) -> None:
        for number in range(2 * rounds):
            what.rest()
            begin = time.perf_counter()
            handle = what.start()
            self.start.append((time.perf_counter() - begin) * 1000)
            pid = what.main_pid(handle)
            begin = time.perf_counter()
            if number % 2:
                os.kill(pid, signal.SIGKILL)
                what.wait_end(handle)
            else:
                what.stop(handle)
            (self.exit if number % 2 else self.stop).append((time.perf_counter() - begin) * 1000)
        self.many.append(what.many(many))

    def medians(self) -> List[float]:
        return list(map(statistics.median, (self.start, self.exit, self.stop, self.many)))


def inside(rounds: int, many: int) -> None:
    measured: Dict[str, Times] = {}
    for _ in range(_TURNS):
        for make in (Bare, lambda: Ours("service", "systemd", many), lambda: Ours("native", "native", many)):
            what = make()
            measured.setdefault(what.name, Times()).measure(what, rounds, many)
            what.close()
    results = [(name, times.medians()) for name, times in measured.items()]
    bare = results[0][1]

    def cell(value: float, base: Optional[float], more_is_better: bool) -> str:
        ratio = "" if base is None else f" ({base / value if more_is_better else value / base:.2f} x)"
        return f"{value:.0f}/s{ratio}" if more_is_better else f"{value:.2f} ms{ratio}"

    rows = [(name, *(cell(value, base if name != "bare" else None, position == 3)
                     for position, (value, base) in enumerate(zip(values, bare)))) for name, values in results]
    table(f"Jobs and units ({many} at once)", ("", "start", "exit", "stop", "many"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="exits and stops in each of the five turns (default: 10)")
    parser.add_argument("--many", type=int, default=200, metavar="N", help="jobs at once (default: 200)")
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(arguments.rounds, arguments.many)
        return
    if os.getuid():
        print("not measured: a box with systemd needs root")
        return
    places = [word for path in dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix)) for word in ("-r", path)]
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), _INSIDE, "--rounds", str(arguments.rounds),
               "--many", str(arguments.many)]
    box = [str(ROOT / "tests" / "systemd-box"), "run", "-n", f"bench-{os.getpid()}", "-t", "600", *places]
    subprocess.run([*box, "--", *command], check=True)


if __name__ == "__main__":
    main()

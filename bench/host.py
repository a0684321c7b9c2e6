"""The table of what the host bridge costs on a host with systemd (B277), in a box (tests/systemd-box).

    python bench/host.py [--rounds N] [--units N]

Needs root, and what the box needs. Values are milliseconds of the monotonic clock, by systemd's and the journal's own time stamps:

    event       from the moment at which a unit is up, as systemd notes it, to the line with which the daemon handles its `started`
    catch-up    from the start of a bridge to the last of the events of N units that were restarted while there was none
    shutdown    how long upstart-shutdown.service takes to stop at a reboot, without any job: what the host is held up

The aims are 20, 1000 and 100. Catch-up has the start of the program in it, and the daemon's work on three events for each unit.
"""
from __future__ import annotations

import argparse
import json
import pathlib
import re
import statistics
import sys
import tempfile
from typing import Dict, List, Sequence, Tuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.session import table  # noqa: E402
from tests.host.systemd_host import SystemdHost, possible  # noqa: E402

_SERVICE = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=sleep 1000\n"
_WEB = {"web": "start on stopped rc RUNLEVEL=[2345]\nexec sleep 1000"}


def _lines(text: str) -> List[Tuple[float, str]]:
    """What `journalctl -o json` printed: milliseconds and text."""
    entries = [json.loads(line) for line in text.splitlines()]
    texts = [entry for entry in entries if isinstance(entry.get("MESSAGE"), str)]
    return [(int(entry["__MONOTONIC_TIMESTAMP"]) / 1000, entry["MESSAGE"]) for entry in texts]


def _handled(host: SystemdHost, event: str) -> List[float]:
    """When the daemon handled events of a name."""
    found = _lines(host.run("journalctl", "-b", "-o", "json", "-u", "upstart-compat").stdout)
    return [at for at, text in found if re.search(rf"Handling {event} event$", text)]


def _stamp(host: SystemdHost, unit: str, name: str) -> float:
    return int(host.shell(f"systemctl show -P {name}TimestampMonotonic {unit}")) / 1000


def event(directory: pathlib.Path, rounds: int) -> List[float]:
    host = SystemdHost(directory, {**_WEB, "log": "start on started thing\ntask\nexec true"}, units={"thing.service": _SERVICE})
    try:
        host.wait_status("web", "web start/running")
        took = []
        for _ in range(rounds):
            host.shell("systemctl stop thing")
            count = len(_handled(host, "started"))
            host.shell("systemctl start thing")
            host.eventually(lambda count=count: len(_handled(host, "started")) > count)
            took.append(_handled(host, "started")[count] - _stamp(host, "thing", "ActiveEnter"))
        return took
    finally:
        host.destroy()


def catch_up(directory: pathlib.Path, rounds: int, units: int) -> List[float]:
    names = [f"thing{number}" for number in range(units)]
    jobs = {**_WEB, "all": "start on started JOB=thing* and never\nexec true"}
    host = SystemdHost(directory, jobs, units={f"{name}.service": _SERVICE for name in names})
    try:
        host.wait_status("web", "web start/running")
        host.eventually(lambda: len(_handled(host, "started")) >= units)
        took = []
        for _ in range(rounds):
            host.shell("systemctl stop upstart-host-bridge; systemctl restart " + " ".join(names))
            count = len(_handled(host, "started"))
            host.shell("systemctl start upstart-host-bridge")
            host.eventually(lambda count=count: len(_handled(host, "started")) >= count + units)
            took.append(_handled(host, "started")[-1] - _stamp(host, "upstart-host-bridge", "ExecMainStart"))
        return took
    finally:
        host.destroy()


def shutdown(directory: pathlib.Path) -> float:
    host = SystemdHost(directory, {"never": "start on never\nexec true"})
    try:
        host.eventually(lambda: _handled(host, "runlevel"))
        journal = host.keep_journal("json")
        host.go_down("reboot")
        stops: Dict[str, float] = {}
        for at, text in _lines(journal.read_text()):
            word = text.split()[0] if "upstart-shutdown.service" in text else ""
            stops.setdefault(word, at)
        return stops["Stopped"] - stops["Stopping"]
    finally:
        host.destroy()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--units", type=int, default=200)
    options = parser.parse_args(arguments)
    if not possible():
        print("bench/host.py needs root, systemd and what tests/systemd-box needs", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        rows = [("event", 20, event(top / "event", options.rounds)),
                (f"catch-up of {options.units}", 1000, catch_up(top / "many", max(1, options.rounds // 3), options.units)),
                ("shutdown", 100, [shutdown(top / f"down{number}") for number in range(max(1, options.rounds // 3))])]
    table("The host bridge, in ms", ("", "aim", "least", "median", "most"),
          [(what, str(aim), *(f"{value:.1f}" for value in (min(took), statistics.median(took), max(took)))) for what, aim, took in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

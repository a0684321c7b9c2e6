"""The table of what one call of the client costs, from its start to its end.

    python bench/client.py [--rounds N]

Against a daemon in session mode with 1,000 jobs. "as pip writes it" is the script that pip makes of
an entry point, which imports `re`; the other rows run packaging/bin/initctl. The rows are measured
in turn, so that what else the machine does hits all of them.
"""
from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
from typing import Dict, List, Tuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench.session import MANAGER, ROOT, UPSTART, Session, table

JOBS = 1000
_PIP = ("import re, sys; from compat.initctl import run; "
        r"sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', 'initctl'); run()")


def measure(commands: Dict[str, List[str]], environment: Dict[str, str], rounds: int) -> Dict[str, Tuple[float, float]]:
    """Median and least milliseconds of each command."""
    times: Dict[str, List[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
            times[name].append((time.perf_counter() - begin) * 1000)
    return {name: (statistics.median(samples), min(samples)) for name, samples in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, metavar="N", help="runs of each short command (default: 40)")
    rounds = parser.parse_args().rounds
    script = [sys.executable, str(ROOT / "packaging" / "bin" / "initctl")]
    # Compiled modules are what an installed client has.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with Session({f"job-{number:04d}": "exec sleep 1000\n" for number in range(JOBS)}) as session:
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "initctl --version": [*script, "--version"],
            "initctl version": [*script, "version"],
            "initctl version, as pip writes it": [sys.executable, "-c", _PIP, "version"],
            "initctl status x": [*script, "status", "job-0500"],
        }
        if shutil.which("dbus-send"):
            commands["the same as version by dbus-send (C)"] = [
                "dbus-send", f"--peer={session.address}", "--print-reply", MANAGER, "org.freedesktop.DBus.Properties.Get",
                f"string:{UPSTART}", "string:version"]
        results = measure(commands, session.environment, rounds)
        results.update(measure({f"initctl list, {JOBS} jobs": [*script, "list"],
                                f"initctl show-config, {JOBS} jobs": [*script, "show-config"]}, session.environment, max(rounds // 5, 1)))
    bare = results["python -c pass"][0]
    table("Cost of the client", ("command", "median", "least", "/ python -c pass"),
          [(name, f"{median:.1f} ms", f"{least:.1f} ms", f"{median / bare:.2f}") for name, (median, least) in results.items()])


if __name__ == "__main__":
    main()

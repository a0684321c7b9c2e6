"""The table of what matters to users, beside what Upstart and other supervisors were measured to need.

    python bench/overview.py [--quick] [--only WORD]

Everything of ours is measured in this run, through one D-Bus connection to a daemon in session mode;
supervisor and runit are run beside it where they are installed (see peers.py). The figures of
Upstart 1.13.2, s6 and systemd were measured once on a machine of this size (two cores).
"""
from __future__ import annotations

import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Callable, Dict, List, Tuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench.session import ROOT, Session, compile_program, table

SLEEP = "/bin/sleep 1000000"
Row = Tuple[str, str, str, str, str]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def median(samples: List[float]) -> str:
    ordered = sorted(samples)
    return f"{milliseconds(statistics.median(ordered))} [{milliseconds(ordered[0])} - {milliseconds(ordered[-1])}]"


def started_by_one_event(count: int, extra: str, rounds: int, nofile: "int | None" = None) -> List[float]:
    """Seconds from EmitEvent to its reply, which comes when every job runs."""
    samples = []
    for _ in range(rounds):
        jobs = {f"job{number}": f"start on go\n{extra}exec {SLEEP}\n" for number in range(count)}
        with Session(jobs, nofile=nofile) as session:
            begin = time.monotonic()
            session.emit("go")
            samples.append(time.monotonic() - begin)
    return samples


def bring_up(quick: bool) -> List[Row]:
    rounds = 2 if quick else 5
    rows: List[Row] = [("200 jobs by one event, console log", median(started_by_one_event(200, "", rounds)),
                        "255 ms", "s6 196, systemd 594, supervisor 1,627 ms", "<= 250 ms")]
    for count in (500, 1000, 2000):
        samples = started_by_one_event(count, "console none\n", 1 if quick else 3)
        rows.append((f"{count:,} jobs, console none", median(samples), "2.83 s" if count == 1000 else "",
                     "s6 0.90, runit 1.7, systemd 3.9, supervisor 4.4 s" if count == 1000 else "",
                     "<= 1.0 s, linear" if count == 1000 else ""))
    rows.append(("2,000 jobs, console log, soft limit 1024", median(started_by_one_event(2000, "", 1, nofile=1024)),
                 "livelock above 505", "-", "works"))
    return rows


def loading(quick: bool) -> List[Row]:
    rows: List[Row] = []
    for count, upstart, target in ((1000, "24 ms", "<= 300 ms"), (5000, "207 ms", "<= 1.2 s")):
        jobs = {f"service-{number}": f"""# service {number}
description "service number {number}"
start on (started network-{number % 50} and runlevel [2345])
stop on runlevel [!2345]
env NUMBER={number}
respawn
respawn limit 10 5
pre-start script
    [ -d /run/service-{number} ] || mkdir -p /run/service-{number}
end script
exec /usr/sbin/service-{number} --foreground --config /etc/service-{number}.conf
""" for number in range(count)}
        samples, memory, rates = [], 0.0, []
        for _ in range(2 if quick else 5):
            with Session(jobs) as session:
                samples.append(session.ready_after)
                memory = session.resident()
                rates.append(emit_rate(session, 500 if quick else 3000))
        rows.append((f"load {count:,} files until version is answered", median(samples), upstart, "-", target))
        rows.append((f"EmitEvent per second, no listener, {count:,} classes", f"{statistics.median(rates):,.0f}",
                     "6,624" if count == 1000 else "2,157", "-", ">= 5,000, flat"))
        if count == 5000:
            rows.append(("resident memory, 5,000 classes", f"{memory:.1f} MB", "21.7 MB", "supervisor, 1,000 running: 38.6", "<= 45 MB"))
    with Session({f"job{number}": f"exec {SLEEP}\n" for number in range(10)}) as session:
        rates = [emit_rate(session, 500 if quick else 3000) for _ in range(3)]
    rows.insert(1, ("EmitEvent per second, no listener, 10 classes", f"{statistics.median(rates):,.0f}", "16,047", "-", ">= 5,000, flat"))
    return rows


def emit_rate(session: Session, count: int) -> float:
    begin = time.monotonic()
    for _ in range(count):
        session.emit("nobody-listens", "A=1")
    return count / (time.monotonic() - begin)


def timed(command: List[str], environment: Dict[str, str], rounds: int) -> List[float]:
    samples = []
    for _ in range(rounds):
        begin = time.monotonic()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        samples.append(time.monotonic() - begin)
    return samples


def clients(quick: bool) -> List[Row]:
    rounds = 10 if quick else 60
    program = pathlib.Path(sys.executable).parent / "initctl"
    initctl = [str(program)] if program.exists() else [sys.executable, str(ROOT / "packaging" / "bin" / "initctl")]
    with Session({f"job{number}": f"start on go\nconsole none\nexec {SLEEP}\n" for number in range(1000)}) as session:
        session.emit("go")
        environment = session.environment
        bare, version, status = [], [], []
        for _ in range(rounds):
            # In turns, so that a busy moment hits all three.
            bare += timed([sys.executable, "-c", "pass"], environment, 1)
            version += timed([*initctl, "version"], environment, 1)
            status += timed([*initctl, "status", "job7"], environment, 1)
        listing = timed([*initctl, "list"], environment, 3 if quick else 9)
    base = statistics.median(bare)
    return [
        ("python -c pass", median(bare), "", "", ""),
        ("initctl version", f"{median(version)} = {statistics.median(version) / base:.2f} x python", "1.6 ms",
         "systemctl 3.8, supervisorctl 202-941 ms", "<= 1.6 x python"),
        ("initctl status x", f"{median(status)} = {statistics.median(status) / base:.2f} x python", "1.7 ms", "", "<= 1.6 x python"),
        ("initctl list, 1,000 jobs", median(listing), "123 ms", "supervisorctl 813, systemctl 7 ms", "<= 100 ms"),
    ]


def respawn(quick: bool, stamp: pathlib.Path) -> List[Row]:
    samples = []
    with tempfile.TemporaryDirectory() as scratch:
        seen = pathlib.Path(scratch) / "seen"
        with Session({"phoenix": f"respawn\nrespawn limit unlimited\nexec {stamp} {seen}\n"}) as session:
            instance = session.start(session.job("phoenix"))
            for _ in range(10 if quick else 50):
                pid = session.main_pid(instance)
                count = wait_for_lines(seen, 1)
                begin = time.clock_gettime(time.CLOCK_MONOTONIC)
                os.kill(pid, signal.SIGKILL)
                wait_for_lines(seen, count + 1)
                samples.append(int(seen.read_text().splitlines()[-1]) / 1e9 - begin)
                while session.main_pid(instance) == pid:
                    pass
    return [("respawn: kill -9 to first instruction", median(samples), "1.6 ms",
             "runit 3.1, systemd 19-252, s6 and supervisor 1,005 ms", "<= 2.5 ms")]


def wait_for_lines(path: pathlib.Path, count: int) -> int:
    while True:
        try:
            lines = path.read_text().count("\n")
        except FileNotFoundError:
            lines = 0
        if lines >= count:
            return lines


def starts(quick: bool, stamp: pathlib.Path) -> List[Row]:
    jobs = {"plain": f"console none\nexec {stamp} -\n",
            "forks": f"console none\nexpect fork\nexec {stamp} - fork\n",
            "daemonizes": f"console none\nexpect daemon\nexec {stamp} - daemon\n"}
    rows: List[Row] = []
    with Session(jobs) as session:
        for name, upstart, target in (("plain", "1.04 ms", "<= 1.5 ms"), ("forks", "1.56 ms", "<= 2 ms"),
                                      ("daemonizes", "1.78 ms", "<= 2.2 ms")):
            path, begun, stopped = session.job(name), [], []
            for _ in range(20 if quick else 200):
                begin = time.monotonic()
                session.start(path)
                begun.append(time.monotonic() - begin)
                begin = time.monotonic()
                session.stop(path)
                stopped.append(time.monotonic() - begin)
            rows.append((f"Start until its reply, {name}", median(begun), upstart,
                         "s6 5.4, systemd 8-11, runit 422, supervisor 197-1,271 ms" if name == "plain" else "", target))
            rows.append((f"Stop until its reply, {name}", median(stopped), "",
                         "s6 5.5, systemd 8.7, supervisor 200 ms" if name == "plain" else "", ""))
    return rows


def idle(quick: bool) -> List[Row]:
    with Session({f"job{number}": f"start on go\nexec {SLEEP}\n" for number in range(100)}) as session:
        session.emit("go")
        time.sleep(2)
        before, seconds = session.wakeups(), 10 if quick else 60
        time.sleep(seconds)
        woken = session.wakeups() - before
    return [("wake-ups per minute, 100 jobs running", f"{woken * 60 / seconds:.0f}", "-", "s6 0, runit 11, supervisor 60", "0")]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="fewer rounds")
    options.add_argument("--only", default="", help="only the parts whose name holds this word")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        stamp = compile_program(pathlib.Path(scratch))
        parts: Dict[str, Callable[[], List[Row]]] = {
            "bring_up": lambda: bring_up(chosen.quick),
            "loading": lambda: loading(chosen.quick),
            "clients": lambda: clients(chosen.quick),
            "respawn": lambda: respawn(chosen.quick, stamp),
            "starts": lambda: starts(chosen.quick, stamp),
            "idle": lambda: idle(chosen.quick),
        }
        rows: List[Row] = []
        for name, part in parts.items():
            if chosen.only in name:
                print(f"measuring {name} ...", file=sys.stderr, flush=True)
                rows += part()
    table(f"upstart-compat, Python {sys.version.split()[0]}, {os.cpu_count()} cores",
          ("measure", "here: median [min - max]", "Upstart 1.13.2", "others", "aim"), rows)


if __name__ == "__main__":
    main()

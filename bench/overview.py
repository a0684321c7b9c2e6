"""The table of what matters to users: this daemon, beside Upstart and other supervisors.

    python bench/overview.py [--quick] [--only PART]

Measured in this run, in turns, so that a busy moment hits all alike: our daemon, in session mode and
spoken to on one D-Bus connection unless a command is named; supervisor and runit, where they are
installed (peers.py). Not measured in this run: the figures of Upstart 1.13.2, s6 2.11 and systemd 252,
which are medians of a quiet machine with two cores. A value is the median, with the fastest and the
slowest in brackets; where the aim is missed, the line says so.

    bring_up  many jobs at once       load   job files, classes, events      clients  initctl
    respawn   after kill -9           starts one job at a time               idle     wake-ups
"""
from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Type

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.peers import PEERS, SLEEP, Peer  # noqa: E402
from bench.processes import Stamps, adopt_orphans  # noqa: E402
from bench.session import Session, compile_program, table  # noqa: E402

NOT_INSTALLED = "not installed"


class Row(NamedTuple):
    """A line of the table. ``met`` is None where there is no aim."""

    measure: str
    here: str
    aim: str = ""
    met: Optional[bool] = None
    upstart: str = ""
    peers: Dict[str, str] = {}
    others: str = ""

    def cells(self) -> Sequence[str]:
        """The line's texts."""
        verdict = "" if self.met is None else "yes" if self.met else "MISSED"
        peers = [self.peers.get(peer.name, "") if peer.installed() else NOT_INSTALLED for peer in PEERS]
        return (self.measure, self.here, self.aim, verdict, self.upstart, *peers, self.others)


def duration(seconds: float) -> str:
    """With three digits."""
    unit, value = ("s", seconds) if seconds >= 1 else ("ms", seconds * 1000)
    return f"{value:.{max(0, 2 if value < 10 else 1 if value < 100 else 0)}f} {unit}"


def spread(samples: Sequence[float]) -> str:
    """Median, fastest and slowest."""
    middle = duration(statistics.median(samples))
    return middle if len(samples) == 1 else f"{middle} [{duration(min(samples))} - {duration(max(samples))}]"


def timed(samples: Sequence[float], measure: str, upstart: str = "", aim: Optional[float] = None, others: str = "",
          peers: Optional[Dict[str, List[float]]] = None) -> Row:
    """A row of times; ``aim`` in seconds."""
    return Row(measure, spread(samples), "" if aim is None else f"<= {duration(aim)}",
               None if aim is None else statistics.median(samples) <= aim, upstart,
               {name: duration(statistics.median(values)) for name, values in (peers or {}).items() if values}, others)


def installed() -> List[Type[Peer]]:
    """The peers that can be measured."""
    return [peer for peer in PEERS if peer.installed()]


class Bench:
    """The parts of the table. ``quick``: fewer rounds, and idle for ten seconds only."""

    def __init__(self, quick: bool, scratch: pathlib.Path) -> None:
        self.quick = quick
        self.scratch = scratch
        self.stamp = compile_program(scratch)

    def rounds(self, quick: int, thorough: int) -> int:
        """How often to measure."""
        return quick if self.quick else thorough

    # -- many jobs at once -----------------------------------------------------------------------------------

    def bring_up(self) -> Iterator[Row]:
        """From EmitEvent to its reply, which comes when every job runs; peers: from exec to the last service's exec."""
        for count, console, nofile, aim, upstart, others, rounds in (
                (200, "", None, 0.25, "255 ms", "s6 196, systemd 594 ms", self.rounds(2, 5)),
                (500, "console none\n", None, None, "", "", self.rounds(1, 3)),
                (1000, "console none\n", None, 1.0, "2.83 s", "s6 0.90, systemd 3.9 s", self.rounds(1, 3)),
                (2000, "console none\n", None, None, "", "", self.rounds(1, 3)),
                (2000, "", 1024, 30.0, "livelock above 505 jobs", "", 1)):
            samples: List[float] = []
            whole: List[float] = []
            peers: Dict[str, List[float]] = {peer.name: [] for peer in PEERS}
            for number in range(rounds):
                with Session({f"job{job}": f"start on go\n{console}exec {SLEEP}\n" for job in range(count)}, nofile=nofile) as session:
                    begin = time.monotonic()
                    session.emit("go")
                    samples.append(time.monotonic() - begin)
                    whole.append(session.ready_after + samples[-1])
                # Those of the others with 1,000 services are measured where their commands are.
                if count == 200 and number < 2:
                    for peer in installed():
                        with peer({f"job{job}": SLEEP for job in range(count)}) as running:
                            peers[peer.name].append(running.up_after)
            log = "console none" if console else "console log"
            limit = f", soft limit of {nofile} descriptors" if nofile else ""
            row = timed(samples, f"{count:,} jobs by one event, {log}{limit}", upstart, aim, others)
            if nofile:
                row = row._replace(aim="works")
            yield row
            if count == 200:
                yield timed(whole, "... counted from the daemon's exec", peers=peers)
            if count == 2000 and not nofile:
                yield Row("... for each job", duration(statistics.median(samples) / count), "linear: as above")

    # -- job files, classes and events ---------------------------------------------------------------------

    def load(self) -> Iterator[Row]:
        """Start with many job files; then events that nothing listens to; memory."""
        rates: Dict[int, List[float]] = {}
        emits = self.rounds(500, 3000)
        recorded = {10: "16,047", 1000: "6,624", 5000: "2,157"}
        for count, aim, upstart in ((10, None, ""), (1000, 0.3, "24 ms"), (5000, 1.2, "207 ms")):
            jobs = {f"service-{number}": job_file(number) for number in range(count)}
            samples: List[float] = []
            memory: List[float] = []
            for _ in range(self.rounds(2, 5)):
                with Session(jobs) as session:
                    samples.append(session.ready_after)
                    memory.append(session.resident())
                    begin = time.monotonic()
                    for _ in range(emits):
                        session.emit("nobody-listens", "A=1")
                    rates.setdefault(count, []).append(emits / (time.monotonic() - begin))
            yield timed(samples, f"load {count:,} job files, until version is answered", upstart, aim)
            if count == 5000:
                yield Row("resident memory, 5,000 classes", f"{min(memory):.1f} MB", "<= 45 MB", min(memory) <= 45, "21.7 MB")
        for count, samples in rates.items():
            rate = statistics.median(samples)
            yield Row(f"EmitEvent per second, no listener, {count:,} classes",
                      f"{rate:,.0f} [{min(samples):,.0f} - {max(samples):,.0f}]", ">= 5,000, flat", rate >= 5000, recorded[count])

    # -- the clients, with 1,000 jobs running ------------------------------------------------------------------

    def clients(self) -> Iterator[Row]:
        """Commands from exec to exit."""
        client = pathlib.Path(sys.executable).parent / "initctl"
        initctl = [str(client)] if client.exists() else [sys.executable, str(ROOT / "packaging" / "bin" / "initctl")]
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(Session({f"job{job}": f"start on go\nconsole none\nexec {SLEEP}\n" for job in range(1000)}))
            begin = time.monotonic()
            session.emit("go")
            whole = session.ready_after + time.monotonic() - begin
            peers = [stack.enter_context(peer({f"job{job}": SLEEP for job in range(1000)})) for peer in installed()]
            # supervisor takes a service for started after a second.
            time.sleep(1.5)

            def command(words: List[str]) -> float:
                begin = time.monotonic()
                subprocess.run(words, env=session.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
                return time.monotonic() - begin

            bare: List[float] = []
            ours: Dict[str, List[float]] = {key: [] for key in ("version", "status", "list", "stop", "start")}
            theirs: Dict[str, Dict[str, List[float]]] = {key: {peer.name: [] for peer in peers} for key in ours}
            for number in range(self.rounds(12, 60)):
                bare.append(command([sys.executable, "-c", "pass"]))
                ours["version"].append(command([*initctl, "version"]))
                ours["status"].append(command([*initctl, "status", "job7"]))
                if number < self.rounds(3, 9):
                    ours["list"].append(command([*initctl, "list"]))
                    ours["stop"].append(command([*initctl, "stop", "job7"]))
                    ours["start"].append(command([*initctl, "start", "job7"]))
                if number < self.rounds(1, 2):
                    for peer in peers:
                        theirs["status"][peer.name].append(peer.run(peer.act("status", "job7")))
                        theirs["list"][peer.name].append(peer.run(peer.listing()))
                        theirs["stop"][peer.name].append(peer.run(peer.act("stop", "job7")))
                        time.sleep(peer.pause)
                        theirs["start"][peer.name].append(peer.run(peer.act("start", "job7")))
            memory = f"{session.resident():.1f} MB"
            resident = {peer.name: f"{peer.resident():.1f} MB" for peer in peers}
        base = statistics.median(bare)
        yield timed([whole], "1,000 jobs, console none, counted from the daemon's exec",
                    peers={peer.name: [peer.up_after] for peer in peers})
        yield timed(bare, "python -c pass")
        for key, upstart, others in (("version", "1.6 ms", ""), ("status", "1.7 ms", "s6 0.92, systemctl 3.8 ms")):
            ratio = statistics.median(ours[key]) / base
            row = timed(ours[key], f"initctl {key}{' x' if key == 'status' else ''}", upstart, None, others, theirs[key])
            yield row._replace(here=f"{row.here} = {ratio:.2f} x python", aim="<= 1.6 x python", met=ratio <= 1.6)
        yield timed(ours["list"], "initctl list, 1,000 jobs", "123 ms", 0.1, "s6 872, systemctl 7 ms", theirs["list"])
        yield timed(ours["start"], "initctl start x", "", None, "s6 5.4, systemctl 11 ms", theirs["start"])
        yield timed(ours["stop"], "initctl stop x", "", None, "s6 5.5, systemctl 13 ms", theirs["stop"])
        yield Row("resident memory, 1,000 jobs running", memory, "", None, "10.3 MB", resident, "s6 1,585 MB")

    # -- respawn -------------------------------------------------------------------------------------------------

    def respawn(self) -> Iterator[Row]:
        """From kill -9 to the first instruction of the new process."""
        samples: List[float] = []
        peers: Dict[str, List[float]] = {}
        seen = Stamps(self.scratch / "respawned")
        with Session({"phoenix": f"respawn\nrespawn limit unlimited\nexec {self.stamp} {seen.path}\n"}) as session:
            instance = session.start(session.job("phoenix"))
            seen.next()
            for _ in range(self.rounds(20, 100)):
                pid = session.main_pid(instance)
                begin = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                samples.append(seen.next() - begin)
                # Calls of ours are out of its way, and it is idle again.
                time.sleep(0.02)
        for peer in installed():
            with peer({"phoenix": f"{self.stamp} {seen.path}"}) as running:
                seen.next()
                for _ in range(self.rounds(1, 2)):
                    # Those that doubt a service in its first second do not any more.
                    time.sleep(1.3)
                    begin = time.monotonic()
                    os.kill(running.pid("phoenix"), signal.SIGKILL)
                    peers.setdefault(peer.name, []).append(seen.next() - begin)
        seen.close()
        yield timed(samples, "respawn: kill -9 to the new first instruction", "1.6 ms", 0.0025, "s6 1,005, systemd 252 ms", peers)

    # -- one job at a time -----------------------------------------------------------------------------------------

    def starts(self) -> Iterator[Row]:
        """Start and Stop, from the call to its reply, on one connection."""
        kinds = {"exec": ("", "", "1.04 ms", 0.0015), "fork": ("expect fork\n", " fork", "1.56 ms", 0.002),
                 "daemon": ("expect daemon\n", " daemon", "1.78 ms", 0.0022)}
        begun: Dict[str, List[float]] = {name: [] for name in kinds}
        ended: List[float] = []
        jobs = {name: f"console none\n{expect}exec {self.stamp} -{word}\n" for name, (expect, word, _, _) in kinds.items()}
        with Session(jobs) as session:
            for _ in range(self.rounds(40, 200)):
                for name in kinds:
                    path = session.job(name)
                    begin = time.monotonic()
                    session.start(path)
                    begun[name].append(time.monotonic() - begin)
                    begin = time.monotonic()
                    session.stop(path)
                    if name == "exec":
                        ended.append(time.monotonic() - begin)
        for name, (expect, _, upstart, aim) in kinds.items():
            yield timed(begun[name], f"Start on one connection, {expect.strip() or 'exec'}", upstart, aim)
        yield timed(ended, "Stop on one connection, exec")

    # -- idle --------------------------------------------------------------------------------------------------------

    def idle(self) -> Iterator[Row]:
        """Voluntary context switches, all at the same time, 100 services each."""
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(Session({f"job{job}": f"start on go\nexec {SLEEP}\n" for job in range(100)}))
            session.emit("go")
            peers = [stack.enter_context(peer({f"job{job}": SLEEP for job in range(100)})) for peer in installed()]
            time.sleep(3)
            seconds = self.rounds(10, 60)
            before = [session.wakeups(), *(peer.wakeups() for peer in peers)]
            time.sleep(seconds)
            after = [session.wakeups(), *(peer.wakeups() for peer in peers)]
        ours, *theirs = (round((late - early) * 60 / seconds) for early, late in zip(before, after))
        yield Row("wake-ups per minute, idle, 100 jobs running", str(ours), "0", ours == 0, "",
                  {peer.name: str(count) for peer, count in zip(peers, theirs)}, "s6 0, systemd 1")


def job_file(number: int) -> str:
    """A job file of an ordinary size."""
    return f"""# service {number}
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
"""


def main() -> int:
    """Run the parts that were asked for; 1 if one of them failed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="fewer rounds")
    options.add_argument("--only", default="", metavar="PART", help="only the parts whose name holds this")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    adopt_orphans()
    rows: List[Row] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="upstart-compat-bench-") as scratch:
        bench = Bench(chosen.quick, pathlib.Path(scratch))
        parts: List[Callable[[], Iterator[Row]]] = [bench.bring_up, bench.load, bench.clients, bench.respawn, bench.starts, bench.idle]
        for part in parts:
            if chosen.only not in part.__name__:
                continue
            print(f"measuring {part.__name__} ...", file=sys.stderr, flush=True)
            begin = time.monotonic()
            try:
                rows.extend(part())
            except (RuntimeError, OSError, TimeoutError, subprocess.SubprocessError) as error:
                failed = True
                rows.append(Row(f"{part.__name__} failed", str(error).strip().rpartition("\n")[2]))
            print(f"  {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    table(f"upstart-compat, Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
          ("measure", "here", "aim", "met", "Upstart 1.13.2", *(peer.name for peer in PEERS), "s6, systemd"),
          [row.cells() for row in rows])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

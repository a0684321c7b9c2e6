"""What starting a process costs the daemon, and how long it takes until the exec is confirmed and until it was reaped.

    python bench/spawn.py [ROUNDS]

Only the native backend and real processes, no engine and no D-Bus. Medians, in milliseconds; the last
rows show that the daemon's own memory plays no part. "direct" is posix_spawn of the program without the
launcher, for comparison: what is below that can only be had from the kernel.
"""
from __future__ import annotations

import os
import pathlib
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Dict, List, Tuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from compat.backends.native import NativeBackend
from compat.backends.protocol import ProcessDefaults
from compat.engine.actions import SpawnProcess
from compat.engine.inputs import ProcessEnded, ProcessExecuted, ProcessSpawnFailed
from compat.parser.definition import JobDefinition, ProcessDefinition

ROUNDS = 400
_WARM_UP = 20
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin", "TERM=linux", "UPSTART_JOB=bench", "UPSTART_INSTANCE=")


class Bench:
    """A backend with the smallest main loop that will do."""

    def __init__(self, logs: str) -> None:
        self.at: Dict[type, float] = {}
        self.backend = NativeBackend(
            self.feed, lambda priority, text: print(text), lambda seconds, callback: None,
            ProcessDefaults(log_directory=logs, nofile=(1024, 4096)))
        self.wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.serial = 0

    def feed(self, happened: tuple) -> None:  # type: ignore[type-arg]
        if isinstance(happened, ProcessSpawnFailed):
            sys.exit(happened.reason)
        self.at[type(happened)] = time.perf_counter()

    def once(self, definition: JobDefinition, expect: str = "none") -> Tuple[float, float, float]:
        """Seconds that spawn() took, until the exec was confirmed, until the end was known."""
        self.serial += 1
        self.at.clear()
        request = SpawnProcess(self.serial, "bench", "", 0, definition, ENVIRONMENT, (), expect)
        begin = time.perf_counter()
        self.backend.spawn(request)
        called = time.perf_counter()
        while ProcessEnded not in self.at:
            select.select([self.backend.fileno(), self.wake_read], [], [])
            try:
                os.read(self.wake_read, 4096)
            except BlockingIOError:
                pass
            self.backend.dispatch()
            self.backend.reap()
        return called - begin, self.at[ProcessExecuted] - begin, self.at[ProcessEnded] - begin


def direct(program: str) -> Tuple[float, float]:
    """posix_spawn without a launcher: seconds that the call took, until it was waited for."""
    begin = time.perf_counter()
    pid = os.posix_spawn(program, [program], {}, setsid=True)
    called = time.perf_counter()
    os.waitpid(pid, 0)
    return called - begin, time.perf_counter() - begin


def job(command: str, script: bool = False, **settings: object) -> JobDefinition:
    return JobDefinition(processes=(ProcessDefinition(script, command), None, None, None, None, None), **settings)  # type: ignore[arg-type]


def resident() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="upstart-compat-bench-") as folder:
        source = os.path.join(folder, "true.c")
        program = os.path.join(folder, "true")
        with open(source, "w") as file:
            file.write("int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
        os.chmod(folder, 0o755)
        bench = Bench(folder)
        cases = [
            ("exec, console none", job(program, console="none"), "none"),
            ("exec, console log", job(program), "none"),
            ("exec with a shell character", job(program + " '1'"), "none"),
            ("script of two lines", job(f"{program}\n{program}\n", True), "none"),
            ("exec, limits, nice, umask, chdir", job(program, nice=1, umask=0o77, chdir="/usr"), "none"),
            ("exec, traced", job(program), "fork"),
        ]
        if os.geteuid() == 0:
            cases.append(("exec, setuid nobody", job(program, setuid="nobody"), "none"))
        print(f"{'':34}{'RSS MB':>8}{'spawn()':>10}{'executed':>10}{'reaped':>10}")

        def measure() -> None:
            samples: List[List[Tuple[float, ...]]] = [[] for _ in range(len(cases) + 1)]
            # Interleaved, so that a busy moment of the machine hits all alike.
            for turn in range(rounds + _WARM_UP):
                for number, (_, definition, expect) in enumerate(cases):
                    taken = bench.once(definition, expect)
                    if turn >= _WARM_UP:
                        samples[number].append(taken)
                called, waited = direct(program)
                if turn >= _WARM_UP:
                    samples[-1].append((called, called, waited))
            for (title, *_), taken_all in zip([*cases, ("direct",)], samples):
                medians = "".join(f"{statistics.median(column) * 1000:10.3f}" for column in zip(*taken_all))
                print(f"{title:34}{resident():8.0f}{medians}")

        measure()
        ballast = [bytearray(b"x" * 4096) for _ in range(48000)]
        cases = cases[1:2]
        measure()
        del ballast


if __name__ == "__main__":
    main()

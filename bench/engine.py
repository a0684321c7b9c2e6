"""How fast the engine is by itself, without processes, bus or clock: ``python bench/engine.py [--profile]``.

No limits are asserted. Each figure is the best of a few rounds, because other work on the machine only ever adds time.
"""
from __future__ import annotations

import cProfile
import pstats
import sys
import time
from pathlib import Path
from typing import Callable, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from compat.engine import Engine
from compat.engine.inputs import DefineJob, EmitEvent, PollEvents, Quiesce, SetEnv
from compat.parser import parse_job
from compat.testing import SimulatedMachine

ROUNDS = 3


def drain(engine: Engine) -> None:
    while engine.has_work():
        engine.feed(PollEvents(), 1.0)


def engine_with(classes: int) -> Engine:
    """An engine with so many jobs, each with conditions like those of real hosts."""
    engine = Engine({"PATH": "/bin"})
    for number in range(classes):
        start_on = f"start on (started job{number - 1} and runlevel [2345]) or net-device-up IFACE=eth{number}"
        engine.feed(DefineJob(f"job{number}", parse_job(f"{start_on}\nstop on runlevel [016]\nexec x\n".encode())), 1.0)
    return engine


def events_without_listener(classes: int, count: int = 5000) -> Tuple[str, Callable[[], Callable[[], None]], int]:
    def prepare() -> Callable[[], None]:
        engine = engine_with(classes)

        def run() -> None:
            for _ in range(count):
                engine.feed(EmitEvent(None, "nobody-listens", ("A=1", "B=2")), 1.0)
                drain(engine)

        return run

    return f"EmitEvent without listener, {classes} classes", prepare, count


def events_of_one_name(classes: int, count: int = 2000) -> Tuple[str, Callable[[], Callable[[], None]], int]:
    def prepare() -> Callable[[], None]:
        engine = engine_with(classes)

        def run() -> None:
            for _ in range(count):
                engine.feed(EmitEvent(None, "started", ("JOB=somebody-else", "INSTANCE=")), 1.0)
                drain(engine)

        return run

    return f"'started' of another job, {classes} classes ask for one", prepare, count


def start_by_one_event(jobs: int) -> Tuple[str, Callable[[], Callable[[], None]], int]:
    def prepare() -> Callable[[], None]:
        machine = SimulatedMachine()
        for number in range(jobs):
            machine.define(f"job{number}", "start on go\nrespawn\nexec x\n")
        return lambda: None if machine.emit("go").ok else sys.exit("the jobs did not start")

    return f"jobs started by one event, {jobs} jobs", prepare, jobs


def start_as_a_chain(jobs: int) -> Tuple[str, Callable[[], Callable[[], None]], int]:
    def prepare() -> Callable[[], None]:
        machine = SimulatedMachine()
        machine.define("job0", "start on go\nexec x\n")
        for number in range(1, jobs):
            machine.define(f"job{number}", f"start on started job{number - 1}\nexec x\n")
        return lambda: None if machine.emit("go").ok else sys.exit("the jobs did not start")

    return f"jobs started one by the other, {jobs} jobs", prepare, jobs


def stop_all(jobs: int) -> Tuple[str, Callable[[], Callable[[], None]], int]:
    def prepare() -> Callable[[], None]:
        machine = SimulatedMachine()
        for number in range(jobs):
            machine.define(f"job{number}", "start on go\nexec x\n")
        machine.emit("go")
        return lambda: machine.feed(Quiesce("shutdown"))

    return f"jobs stopped at the end of a session, {jobs} jobs", prepare, jobs


def reload(classes: int) -> Tuple[str, Callable[[], Callable[[], None]], int]:
    def prepare() -> Callable[[], None]:
        engine = engine_with(classes)
        definitions = [(name, engine.job(name).definition) for name in engine.job_names()]  # type: ignore[union-attr]

        def run() -> None:
            for name, definition in definitions:
                engine.feed(DefineJob(name, definition), 1.0)

        return run

    return f"definitions replaced, {classes} classes", prepare, classes


def set_env(instances: int, count: int = 200) -> Tuple[str, Callable[[], Callable[[], None]], int]:
    def prepare() -> Callable[[], None]:
        machine = SimulatedMachine()
        machine.define("job", "instance $N\nexec x\n")
        for number in range(instances):
            machine.start("job", f"N={number}")

        def run() -> None:
            for number in range(count):
                machine.request(lambda call, number=number: SetEnv(call, None, None, (f"X={number}",), True))

        return run

    return f"global set-env, {instances} instances", prepare, count


def cases() -> List[Tuple[str, Callable[[], Callable[[], None]], int]]:
    return [
        events_without_listener(10), events_without_listener(1000), events_without_listener(5000), events_of_one_name(1000),
        start_by_one_event(100), start_by_one_event(1000), start_as_a_chain(1000), stop_all(1000), reload(1000), set_env(100),
    ]


def main() -> None:
    if "--profile" in sys.argv:
        run = start_by_one_event(1000)[1]()
        profile = cProfile.Profile()
        profile.runcall(run)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    print(f"{'':58} {'time':>10} {'each':>10} {'a second':>10}")
    for title, prepare, count in cases():
        best = float("inf")
        for _ in range(ROUNDS):
            run = prepare()
            began = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - began)
        print(f"{title:58} {best * 1e3:7.1f} ms {best / count * 1e6:7.1f} us {count / best:10.0f}")


if __name__ == "__main__":
    main()

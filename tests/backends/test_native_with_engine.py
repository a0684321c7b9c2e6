"""Engine and native backend together: what a job file does on a real machine.

X24-X28, X42-X45, X80, X94-X113; checklist 22-29, 39 and 62-77 of 3.19.
"""
from __future__ import annotations

import itertools
import os
import pathlib
import signal
import time
from typing import Any, Callable, List, Tuple

import pytest

from compat.engine.actions import Answer, EventEmitted, JobFailed, Refuse
from compat.engine.engine import Engine
from compat.engine.inputs import DefineJob, ReloadInstance, StartJob, StopJob
from compat.parser import parse_job
from compat.supervisor import Supervisor
from tests.backends.conftest import MakeHost
from tests.backends.native_host import Host, children, status

SLEEP = "exec /bin/sleep 1000"


class _Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def __call__(self) -> None:
        if not self.cancelled:
            self.callback()

    def cancel(self) -> None:
        self.cancelled = True


class Machine:
    """A whole daemon but its D-Bus and its configuration."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.engine = Engine({"PATH": "/usr/bin:/bin", "TERM": "linux"}, False, False, None)
        self.supervisor = Supervisor(self.engine, host._log, time.monotonic, self._later)
        self.supervisor.backend = host.backend
        self.supervisor.control = self._control
        host.react = self.supervisor.feed
        self.announced: List[Any] = []
        self.answers: List[Tuple[int, str]] = []
        self._calls = itertools.count(1)

    def _later(self, seconds: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(callback)
        self.host.timers.append((seconds, timer))
        return timer

    def _control(self, action: Any) -> None:
        if isinstance(action, Answer):
            self.answers.append((action.call, "ok"))
        elif isinstance(action, Refuse):
            self.answers.append((action.call, action.message))
        else:
            self.announced.append(action)

    def define(self, text: str, job: str = "web") -> None:
        self.supervisor.feed(DefineJob(job, parse_job(text.encode())))

    def start(self, job: str = "web") -> int:
        call = next(self._calls)
        self.supervisor.feed(StartJob(call, job, (), True))
        return call

    def stop(self, job: str = "web") -> int:
        call = next(self._calls)
        self.supervisor.feed(StopJob(call, job, (), True))
        return call

    def reload(self, job: str = "web") -> str:
        call = next(self._calls)
        self.supervisor.feed(ReloadInstance(call, job, ""))
        return self.answer(call)

    def run(self, until: Callable[[], Any]) -> None:
        def after_events() -> Any:
            while self.supervisor.poll():
                pass
            return until()

        self.host.run(after_events)

    def answer(self, call: int) -> str:
        """Wait for the answer to a call."""
        self.run(lambda: any(number == call for number, _ in self.answers))
        return next(text for number, text in self.answers if number == call)

    def state(self, job: str = "web") -> str:
        found = self.engine.job(job)
        assert found is not None
        instance = found.instance("")
        return "stop/waiting" if instance is None else f"{instance.goal}/{instance.state}"

    def until(self, state: str, job: str = "web") -> None:
        self.run(lambda: self.state(job) == state)

    def pid(self, process: str = "main", job: str = "web") -> int:
        found = self.engine.job(job)
        assert found is not None
        instance = found.instance("")
        assert instance is not None
        return dict(instance.live_processes())[process]

    def stopped(self) -> Tuple[str, ...]:
        """The variables of the last event ``stopped``."""
        return next(each.env for each in reversed(self.announced) if isinstance(each, EventEmitted) and each.name == "stopped")

    def lines(self, *words: str) -> List[str]:
        return [line for line in self.host.lines if all(word in line for word in words)]


@pytest.fixture
def machine(make_host: MakeHost) -> Machine:
    return Machine(make_host())


def test_x24_x45_order_of_lines(machine: Machine) -> None:
    machine.define("exec /nonexistent")
    call = machine.start()
    assert machine.answer(call) == "Job failed to start"
    pid = machine.lines("main process (")[0].partition("(")[2].partition(")")[0]
    assert machine.host.lines[machine.host.lines.index("I web state changed from pre-start to spawning"):][:6] == [
        "I web state changed from pre-start to spawning",
        f"I web main process ({pid})",
        "I web state changed from spawning to spawned",
        "W Failed to spawn web main process: unable to execute: No such file or directory",
        "I web goal changed from start to stop",
        "I web state changed from spawned to stopping",
    ]


@pytest.mark.parametrize("more", ["", "respawn\n"])
def test_x42_x43_missing_main(machine: Machine, more: str) -> None:
    machine.define(more + "exec /nonexistent")
    assert machine.answer(machine.start()) == "Job failed to start"
    machine.until("stop/waiting")
    assert machine.stopped() == ("JOB=web", "INSTANCE=", "RESULT=failed", "PROCESS=main")
    assert JobFailed("web", "", -1) in machine.announced
    assert len(machine.lines("main process (")) == 1


@pytest.mark.parametrize("process", ["pre-start", "post-stop"])
def test_x42_missing_pre_start_and_post_stop(machine: Machine, process: str) -> None:
    machine.define(f"{SLEEP}\n{process} exec /nonexistent")
    call = machine.start()
    if process == "post-stop":
        assert machine.answer(call) == "ok"
        machine.stop()
    machine.until("stop/waiting")
    assert machine.stopped() == ("JOB=web", "INSTANCE=", "RESULT=failed", f"PROCESS={process}")


def test_x42_missing_post_start_is_no_failure(machine: Machine) -> None:
    machine.define(f"{SLEEP}\npost-start exec /nonexistent")
    assert machine.answer(machine.start()) == "ok"
    assert machine.state() == "start/running"
    assert machine.lines("W Failed to spawn web post-start process")


def test_x42_missing_pre_stop_does_not_keep_it_from_stopping(machine: Machine) -> None:
    machine.define(f"{SLEEP}\npre-stop exec /nonexistent")
    assert machine.answer(machine.start()) == "ok"
    assert machine.answer(machine.stop()) == "ok"
    assert machine.lines("W Failed to spawn web pre-stop process") and machine.lines("I Sending TERM signal to web main process")
    assert "RESULT=ok" in machine.stopped()


def test_x28_started_every_time(machine: Machine) -> None:
    machine.define("pre-start exec /bin/true\ntask\nexec /bin/true")
    for number in range(1, 51):
        assert machine.answer(machine.start()) == "ok"
        machine.until("stop/waiting")
        assert sum(isinstance(each, EventEmitted) and each.name == "started" for each in machine.announced) == number


def test_x28_never_status_255(machine: Machine) -> None:
    machine.define("pre-start exec /bin/true\nexec /nonexistent")
    for number in range(1, 51):
        assert machine.answer(machine.start()) == "Job failed to start"
        machine.until("stop/waiting")
        assert len(machine.lines("W Failed to spawn web main process")) == number
    assert not machine.lines("terminated with status")


def test_x95_respawn_of_a_killed_main(machine: Machine) -> None:
    machine.define("respawn\n" + SLEEP)
    machine.answer(machine.start())
    first = machine.pid()
    os.kill(first, signal.SIGKILL)
    machine.run(lambda: machine.lines("W web main process ended, respawning") and machine.state() == "start/running")
    assert machine.pid() != first
    assert machine.lines(f"W web main process ({first}) killed by KILL signal")


def test_x89_x99_status_and_signal(machine: Machine) -> None:
    for command, line, variable in (
            ("exit 3", "terminated with status 3", "EXIT_STATUS=3"),
            ("kill -TERM $$", "killed by TERM signal", "EXIT_SIGNAL=TERM"),
            ("kill -40 $$", "killed by signal 40", "EXIT_SIGNAL=40")):
        machine.define(f"exec sh -c '{command}'", job="ends")
        machine.start("ends")
        machine.run(lambda line=line: machine.lines(line))  # type: ignore[misc]
        machine.until("stop/waiting", "ends")
        assert machine.stopped()[2:] == ("RESULT=failed", "PROCESS=main", variable)


def test_x94_x96_pre_start_that_fails(machine: Machine) -> None:
    machine.define(SLEEP + "\npre-start exec sh -c 'exit 1'")
    assert machine.answer(machine.start()) == "Job failed to start"
    machine.until("stop/waiting")
    assert machine.stopped()[2:] == ("RESULT=failed", "PROCESS=pre-start", "EXIT_STATUS=1")


def test_x106_x107_kill_after_the_timeout(machine: Machine) -> None:
    machine.define("kill timeout 2\nscript\ntrap '' TERM\nkill -USR1 $PPID\nwhile :; do sleep 1000; done\nend script")
    ready: List[int] = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: ready.append(number))
    try:
        machine.answer(machine.start())
        machine.run(lambda: ready)
    finally:
        signal.signal(signal.SIGUSR1, old)
    call = machine.stop()
    machine.until("stop/killed")
    machine.run(lambda: machine.lines("I Sending TERM"))
    assert machine.host.fire() == [2.0]
    assert machine.answer(call) == "ok"
    assert machine.lines("I Sending KILL signal") and machine.lines("killed by KILL signal")


def test_x110_no_timeout_at_all(machine: Machine) -> None:
    machine.define("kill timeout 0\n" + SLEEP)
    machine.answer(machine.start())
    assert machine.answer(machine.stop()) == "ok"
    assert len(machine.lines("I Sending")) == 2


def test_x102_kill_signal(machine: Machine) -> None:
    mark = machine.host.folder / "got"
    machine.define(f"kill signal INT\nscript\ntrap 'touch {mark}; exit 0' INT\ntouch {mark}.up\nwhile :; do sleep 0.01; done\nend script")
    machine.answer(machine.start())
    machine.run(pathlib.Path(f"{mark}.up").exists)
    assert machine.answer(machine.stop()) == "ok"
    assert mark.exists()
    assert machine.lines("I Sending INT signal to web main process")


def test_x113_reload(machine: Machine) -> None:
    mark = machine.host.folder / "got"
    machine.define(f"reload signal USR1\nscript\ntrap 'touch {mark}' USR1\ntouch {mark}.up\nwhile :; do sleep 0.01; done\nend script")
    machine.answer(machine.start())
    machine.run(pathlib.Path(f"{mark}.up").exists)
    assert machine.reload() == "ok"
    machine.run(mark.exists)
    assert machine.state() == "start/running"


def test_x103_a_pre_stop_that_hangs_is_never_signalled(machine: Machine) -> None:
    machine.define(SLEEP + "\npre-stop exec /bin/sleep 1000")
    machine.answer(machine.start())
    machine.stop()
    machine.until("stop/pre-stop")
    assert machine.host.timers == []
    assert not machine.lines("I Sending")
    os.kill(machine.pid("pre-stop"), signal.SIGKILL)
    machine.until("stop/waiting")


def test_x80_stop_of_a_job_whose_process_vanished(machine: Machine) -> None:
    machine.define("expect fork\nexec sh -c '(exit 0); while :; do sleep 1000; done'")
    machine.answer(machine.start())
    pid = machine.pid()
    machine.run(lambda: not status(pid))
    assert machine.answer(machine.stop()) == "ok"
    assert machine.lines(f"W web main process ({pid}) no longer exists")
    assert machine.answer(machine.start()) == "ok"


def test_x81_stop_of_a_job_that_never_forks(machine: Machine) -> None:
    machine.define("expect daemon\n" + SLEEP)
    machine.start()
    machine.until("start/spawned")
    machine.run(lambda: len(machine.host.fed) == 2)
    assert machine.answer(machine.stop()) == "ok"


def test_x70_expect_stop(machine: Machine) -> None:
    machine.define("expect stop\nexec sh -c 'kill -STOP $$; exec sleep 1000'")
    assert machine.answer(machine.start()) == "ok"
    pid = machine.pid()
    machine.run(lambda: machine.lines(f"I web main process ({pid}) continued by CONT signal"))
    assert machine.lines(f"I web main process ({pid}) stopped by STOP signal")


def test_x72_expect_daemon(machine: Machine) -> None:
    machine.define("expect daemon\nexec sh -c '(sleep 1000 & exit 0) & exit 3'")
    assert machine.answer(machine.start()) == "ok"
    assert len(machine.lines("became new process")) == 2
    pid = machine.pid()
    machine.run(lambda: status(pid)["Name"] == "sleep")
    assert machine.answer(machine.stop()) == "ok"
    assert pid not in children()

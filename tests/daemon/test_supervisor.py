"""A supervisor whose backend, control or engine fails: logged, answered, never fatal."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from compat.engine import actions, inputs
from compat.engine.actions import ERROR, Answer, Refuse
from compat.engine.engine import Engine
from compat.parser import parse_job
from compat.supervisor import Supervisor


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Hands:
    """A backend; ``fault`` is called before anything is done, ``afterwards`` when the pid has been told."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.fault: Callable[[], None] = lambda: None
        self.afterwards: Callable[[], None] = lambda: None
        self.spawns: list[int] = []
        self.signals: list[int] = []

    def spawn(self, request: actions.SpawnProcess) -> None:
        self.fault()
        self.spawns.append(request.spawn)
        self.supervisor.feed(inputs.ProcessSpawned(request.spawn, 1000 + request.spawn))
        self.afterwards()
        self.supervisor.feed(inputs.ProcessExecuted(request.spawn))

    def signal(self, request: actions.SignalProcess) -> None:
        self.fault()
        self.signals.append(request.signal)

    def detach(self, request: actions.DetachTrace) -> None:
        self.fault()


class World:
    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.told: list[Any] = []
        self.timers: list[tuple[float, Callable[[], None], Timer]] = []
        self.now = 100.0
        self.engine = Engine({})
        self.supervisor = Supervisor(self.engine, lambda priority, text: self.lines.append((priority, text)), lambda: self.now, self._later)
        self.supervisor.control = self.told.append
        self.hands = Hands(self.supervisor)
        self.supervisor.backend = self.hands  # type: ignore[assignment]

    def _later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.timers.append((seconds, callback, Timer()))
        return self.timers[-1][2]

    def define(self, name: str, text: str) -> None:
        self.supervisor.feed(inputs.DefineJob(name, parse_job(text.encode())))

    def feed(self, happened: Any) -> None:
        self.supervisor.feed(happened)
        while self.supervisor.poll():
            pass

    def answers(self) -> list[Any]:
        return [each for each in self.told if isinstance(each, (Answer, Refuse))]

    def errors(self) -> list[str]:
        return [text for priority, text in self.lines if priority == ERROR]

    def instance(self, job: str, name: str = "") -> Any:
        found = self.engine.job(job)
        return None if found is None else found.instance(name)


@pytest.fixture
def world() -> World:
    return World()


def fail() -> None:
    raise ValueError("the\nfault")


def test_a_job_runs(world: World) -> None:
    world.define("a", "exec x\n")
    world.feed(inputs.StartJob(1, "a", (), True))
    assert world.answers() == [Answer(1, "")]
    assert world.errors() == []


def test_fault_in_spawn_fails_the_job_and_answers_the_caller(world: World) -> None:
    world.define("a", "exec x\n")
    world.define("b", "exec x\n")
    world.hands.fault = fail
    world.feed(inputs.StartJob(1, "a", (), True))
    assert [type(each) for each in world.answers()] == [Refuse]
    assert world.answers()[0].error == "JobFailed"
    assert world.instance("a") is None
    (line,) = world.errors()
    assert "\n" not in line
    assert line.startswith("Internal error while carrying out SpawnProcess(")
    assert "ValueError: the | fault" in line
    world.hands.fault = lambda: None
    world.feed(inputs.StartJob(2, "b", (), True))
    assert world.answers()[1] == Answer(2, "")


def test_fault_after_the_process_exists_leaves_it_running(world: World) -> None:
    world.define("a", "exec x\n")
    world.hands.afterwards = fail
    world.feed(inputs.StartJob(1, "a", (), True))
    assert len(world.errors()) == 1
    assert world.instance("a").live_processes() == [("main", 1000 + world.hands.spawns[0])]
    world.supervisor.feed(inputs.ProcessExecuted(world.hands.spawns[0]))
    assert world.answers() == [Answer(1, "")]


def test_fault_in_signal_answers_a_reload(world: World) -> None:
    world.define("a", "exec x\n")
    world.feed(inputs.StartJob(1, "a", (), True))
    world.hands.fault = fail
    world.feed(inputs.ReloadInstance(2, "a", ""))
    # The answer that counts is the first of a call.
    assert world.answers()[1] == Refuse(2, "Failed", "internal error: the\nfault")
    assert len(world.errors()) == 1
    assert world.instance("a").state == "running"


def test_fault_in_the_engine_refuses_the_call_and_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.define("a", "exec x\n")
    real = world.engine.feed
    monkeypatch.setattr(world.engine, "feed", lambda happened, now: fail())
    world.supervisor.feed(inputs.StartJob(7, "a", (), True))
    monkeypatch.setattr(world.engine, "feed", real)
    assert world.answers() == [Refuse(7, "Failed", "Internal error: the\nfault")]
    assert world.errors()[0].startswith("Internal error while handling StartJob(call=7")
    world.feed(inputs.StartJob(8, "a", (), True))
    assert world.answers()[1] == Answer(8, "")


def test_fault_in_control_does_not_stop_the_actions_after_it(world: World) -> None:
    def broken(action: Any) -> None:
        fail()

    world.define("a", "exec x\n")
    world.supervisor.control = broken
    world.feed(inputs.StartJob(1, "a", (), True))
    assert world.hands.spawns
    assert world.errors()
    assert world.instance("a").state == "running"


def test_unknown_input_is_logged_not_raised(world: World) -> None:
    world.supervisor.feed(("nonsense",))
    assert len(world.errors()) == 1


def test_timers_are_set_fired_and_cancelled(world: World) -> None:
    world.define("a", "exec x\nkill timeout 7\n")
    world.feed(inputs.StartJob(1, "a", (), True))
    world.feed(inputs.StopJob(2, "a", (), True))
    ((seconds, fire, timer),) = world.timers
    assert seconds == 7
    assert world.hands.signals == [15]
    world.now += 7
    fire()
    assert world.hands.signals == [15, 9]
    world.feed(inputs.ProcessEnded(world.hands.spawns[0], 9 << 8))
    assert world.answers()[1] == Answer(2)
    world.feed(inputs.StartJob(3, "a", (), True))
    world.feed(inputs.StopJob(4, "a", (), True))
    world.feed(inputs.ProcessEnded(world.hands.spawns[1], 15 << 8))
    assert world.timers[1][2].cancelled
    assert not timer.cancelled


def test_d232_timers_go_over_a_re_exec_with_the_time_left(world: World) -> None:
    world.supervisor._perform([actions.SetTimer(7, 5.0), actions.SetTimer(8, 9.0), actions.CancelTimer(8)])
    due = world.supervisor.timers_due()
    assert due == {7: world.now + 5.0}
    again = World()
    again.now = world.now + 2.0
    again.supervisor.restore_timers(due.items())
    assert again.supervisor.timers_due() == due
    again.supervisor.restore_timers([(9, again.now - 1.0)])
    assert again.supervisor.timers_due()[9] == again.now


def test_e90_jobs_that_trigger_each_other_for_ever_leave_time_for_the_rest(world: World) -> None:
    world.define("a", "start on go or stopped b\nstop on started a\n")
    world.define("b", "start on stopped a\nstop on started b\n")
    world.supervisor.feed(inputs.EmitEvent(None, "go"))
    assert world.supervisor.poll()
    assert world.supervisor.poll()
    world.supervisor.feed(inputs.StartJob(1, "none", (), True))
    assert isinstance(world.answers()[-1], Refuse)


def test_close_descriptor_is_carried_out(world: World) -> None:
    closed: list[int] = []
    world.supervisor.close_descriptor = closed.append
    world.feed(inputs.EmitEvent(None, "e", fd=77))
    assert closed == [77]


def test_session_end_is_passed_on(world: World) -> None:
    ended: list[bool] = []
    world.supervisor.session_ended = lambda: ended.append(True)
    world.feed(inputs.Quiesce("shutdown"))
    assert ended == [True]

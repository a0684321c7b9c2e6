"""TraceeTable with real processes: letting go (X81), failures (X83), the end of the tracer, processes of others (X254)."""
from __future__ import annotations

import errno
import os
import signal
import time
from typing import Callable, List, Optional, Tuple

import pytest

from compat.backends import tracee as tracee_module
from compat.engine.actions import WARN
from compat.engine.inputs import ProcessReady, ProcessStopped
from tests.backends.tracing import SPAWN, WALL, Pump, both_reports, forked, is_stopped, parent, status_field, tracer
from tests.backends.tracing import programs as programs
from tests.backends.tracing import pump as pump

# -- detach and forget (X81) -----------------------------------------------------------------------------------


def test_x81_detach_of_a_running_process(pump: Pump) -> None:
    pid = pump.start("count-18", "report", "gate", "fork", "report", "wait")
    pump.run_until_report()
    pump.table.detach(SPAWN)
    pump.table.detach(SPAWN)
    pump.run(lambda: len(pump.table) == 0)
    assert tracer(pid) == 0
    pump.open_gate()
    pump.run_until_report(2)
    assert os.WEXITSTATUS(pump.run_until_end(pid)) == 0
    # It saw no SIGCONT, was not stopped, and its fork was not followed.
    assert pump.reports[1][1] == 0
    assert pump.fed == [] and pump.ordinary == [(pid, 0)]


def test_x81_detach_before_the_exec(pump: Pump) -> None:
    pid = pump.start("fork", "report", "wait")
    pump.table.detach(SPAWN)
    pump.run_until_report()
    assert pump.fed == [] and len(pump.table) == 0
    assert os.WEXITSTATUS(pump.run_until_end(pid)) == 0


def test_x81_detach_before_the_exec_with_a_signal_on_the_way(pump: Pump) -> None:
    pid = pump.start("report", "wait", before_exec="-17")
    pump.table.detach(SPAWN)
    assert pump.run_until_report() == pid
    assert tracer(pid) == 0 and len(pump.table) == 0


def test_x81_detach_of_a_new_child(pump: Pump) -> None:
    pump.start("fork", "report", "wait", expect="daemon")
    pump.handle(*pump.next_status())
    event, stop = both_reports(pump)
    pump.handle(*event)
    pump.table.detach(SPAWN)
    pump.handle(*stop)
    assert pump.run_until_report() == stop[0]
    assert pump.fed == forked(stop[0]) and tracer(stop[0]) == 0 and len(pump.table) == 0


@pytest.mark.parametrize("child_first", [False, True])
def test_x81_detach_while_a_fork_is_on_its_way(pump: Pump, child_first: bool) -> None:
    # The idle thread would take a SIGSTOP that is sent to the process while the main thread is held.
    pid = pump.start("idle-thread", "fork-stay", "report", "wait")
    pump.handle(*pump.next_status())
    event, stop = both_reports(pump)
    if child_first:
        pump.handle(*stop)
    pump.table.detach(SPAWN)
    pump.handle(*event)
    if not child_first:
        pump.handle(*stop)
    child = pump.run_until_report()
    pump.run(lambda: len(pump.table) == 0)
    assert child == stop[0] and tracer(child) == tracer(pid) == 0
    assert not is_stopped(pid) and not is_stopped(child)
    assert pump.fed == [] and not pump.table.early and pump.ordinary == []


def test_x81_detach_from_within_the_feed(pump: Pump) -> None:
    pump.start("fork", "report", "wait", expect="daemon")
    pump.handle(*pump.next_status())
    event, stop = both_reports(pump)
    pump.handle(*stop)
    pump.table._feed = lambda happened: (pump.fed.append(happened), pump.table.detach(SPAWN))  # type: ignore[assignment,func-returns-value]
    pump.handle(*event)
    assert pump.run_until_report() == stop[0]
    assert pump.fed == forked(stop[0]) and len(pump.table) == 0 and tracer(stop[0]) == 0


def test_x81_forget_from_within_the_feed(pump: Pump) -> None:
    pump.start("fork", "report", "wait", expect="daemon")
    pump.handle(*pump.next_status())
    event, stop = both_reports(pump)
    pump.handle(*stop)
    pump.table._feed = lambda happened: pump.table.forget(SPAWN)
    pump.handle(*event)
    assert pump.run_until_report() == stop[0]
    assert len(pump.table) == 0 and tracer(stop[0]) == 0


def test_x81_signals_during_a_detach_are_delivered(pump: Pump) -> None:
    pid = pump.start("count-10", "count-1", "count-12", "report", "gate", "report", "wait")
    pump.run_until_report()
    for number in (signal.SIGUSR1, signal.SIGHUP):
        os.kill(pid, number)
    pump.table.detach(SPAWN)
    os.kill(pid, signal.SIGUSR2)
    pump.run(lambda: len(pump.table) == 0)
    pump.open_gate()
    pump.run_until_report(2)
    assert pump.reports[1] == (pid, 3)
    assert tracer(pid) == 0


def test_x81_detach_of_a_process_with_threads_stops_none_of_them(pump: Pump) -> None:
    pid = pump.start("idle-thread", "idle-thread", "report", "gate", "report", "wait")
    pump.run_until_report()
    pump.table.detach(SPAWN)
    pump.run(lambda: len(pump.table) == 0)
    pump.open_gate()
    assert pump.run_until_report(2) == pid
    assert pump.ordinary == []


def test_x81_detach_of_a_process_that_lost_its_tracer_by_an_exec_in_a_thread(pump: Pump) -> None:
    pid = pump.start("thread-exec", "report", "gate", "report", "wait")
    pump.run_until_report()
    assert tracer(pid) == 0
    pump.table.detach(SPAWN)
    pump.run(lambda: len(pump.table) == 0)
    pump.open_gate()
    assert pump.run_until_report(2) == pid


def test_x81_detach_of_a_process_that_was_killed(pump: Pump) -> None:
    pid = pump.start("report", "wait")
    pump.run_until_report()
    os.kill(pid, signal.SIGKILL)
    pump.table.detach(SPAWN)
    pump.run_until_end(pid)
    assert len(pump.table) == 0 and pump.lines == []


def test_x81_detach_at_any_moment_leaves_nothing_stopped(pump: Pump) -> None:
    for number in range(1, 61):
        pump.start("fork", "setsid", "fork", "report", "wait", expect="daemon")
        for _ in range(number % 6):
            pump.handle(*pump.next_status())
        pump.table.detach(SPAWN)
        daemon = pump.run_until_report(number)
        pump.run(lambda: len(pump.table) == 0)
        assert tracer(daemon) == 0
        os.kill(daemon, signal.SIGTERM)
        assert os.WTERMSIG(pump.run_until_end(daemon)) == signal.SIGTERM
        assert not pump.table.early
        pump.ordinary.clear()


def test_forget_and_detach_of_an_unknown_spawn_do_nothing(pump: Pump) -> None:
    pump.table.forget(99)
    pump.table.detach(99)
    assert len(pump.table) == 0


def test_forget_of_a_traced_process_lets_it_go_at_its_next_stop(pump: Pump) -> None:
    pump.start("report", "gate", "fork", "report", "wait")
    pump.run_until_report()
    pump.table.forget(SPAWN)
    pump.open_gate()
    child = pump.run_until_report(2)
    assert tracer(child) == 0 and pump.fed == []


@pytest.mark.parametrize("stopped", [False, True])
def test_x260_the_end_of_the_tracer_at_the_exec_does_not_end_the_process(pump: Pump, stopped: bool) -> None:
    """With PTRACE_TRACEME it would: the SIGTRAP of the exec is then a signal like any other."""
    tracer_of_it = os.fork()
    if not tracer_of_it:
        try:
            pid = pump.start("report", "wait")
            if stopped:
                os.waitpid(pid, WALL)
        finally:
            os._exit(0)
    pump.run_until_end(tracer_of_it)
    pid = pump.run_until_report()
    assert tracer(pid) == 0 and not is_stopped(pid) and parent(pid) == os.getpid()


# -- failures of ptrace (X83) ----------------------------------------------------------------------------------


def fail(monkeypatch: pytest.MonkeyPatch, request: int, number: int, times: int = 1, data: Optional[int] = None) -> None:
    """Make the first ``times`` requests of one kind fail."""
    real = tracee_module.ptrace
    left = [times]

    def failing(asked: int, pid: int, given: int = 0) -> None:
        if asked == request and left[0] and (data is None or given == data):
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        real(asked, pid, given)

    monkeypatch.setattr(tracee_module, "ptrace", failing)


def test_x83_child_pid_cannot_be_obtained(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, tracee_module._GETEVENTMSG, errno.EIO)
    pid = pump.start("fork-stay", "report", "wait")
    child = pump.run_until_report()
    assert pump.lines == [(WARN, f"Failed to obtain child process id for web main process ({pid}): Input/output error")]
    assert tracer(pid) == tracer(child) == 0 and not is_stopped(pid)
    assert pump.fed == [] and not pump.table.early


def test_x83_continue_fails(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, tracee_module._CONT, errno.EPERM)
    pid = pump.start("report", "wait")
    assert pump.run_until_report() == pid
    assert pump.lines == [(WARN, f"Failed to continue traced web main process ({pid}): Operation not permitted")]
    assert tracer(pid) == 0


def test_x83_signal_cannot_be_delivered(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, tracee_module._CONT, errno.EIO, data=signal.SIGUSR1)
    pid = pump.start("count-10", "report", "raise-10", "report", "wait")
    pump.run_until_report(2)
    assert pump.lines == [(WARN, f"Failed to deliver signal to traced web main process ({pid}): Input/output error")]
    assert tracer(pid) == 0 and pump.reports[1] == (pid, 1)


def test_x83_detach_fails(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, tracee_module._DETACH, errno.EPERM)
    pid = pump.start("fork-stay", "report", "wait")
    child = pump.run_until_report()
    assert pump.lines == [(WARN, f"Failed to detach traced web main process ({pid}): Operation not permitted")]
    assert not is_stopped(pid) and pump.fed == [*forked(child), ProcessReady(SPAWN)]


@pytest.mark.parametrize("request_name", ["_GETEVENTMSG", "_CONT", "_DETACH"])
def test_x83_a_process_that_just_died_is_no_failure(pump: Pump, monkeypatch: pytest.MonkeyPatch, request_name: str) -> None:
    request = getattr(tracee_module, request_name)
    real = tracee_module.ptrace
    killed: List[int] = []

    def killing(asked: int, pid: int, data: int = 0) -> None:
        if asked == request and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
            # Until it is gone, the kernel may still accept the request.
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        real(asked, pid, data)

    monkeypatch.setattr(tracee_module, "ptrace", killing)
    pid = pump.start("fork-stay", "wait")
    assert os.WTERMSIG(pump.run_until_end(pid)) == signal.SIGKILL
    pump.run(lambda: not any(is_stopped(child) for child in pump.seen))
    assert pump.lines == [] and not pump.table.early


# -- processes that are not our children, or that were not traced from their first instruction (X254) ------------------------


class Seized:
    """A victim that waits at the gate, seized there; ``held`` are the pids that the main process changed from and to."""

    def __init__(self, pump: Pump, *steps: str, expect: str = "fork", answer: bool = True, job_control: bool = False) -> None:
        self.pump = pump
        self.held: List[Tuple[int, int]] = []
        self.answer = answer
        self.pid = pump.start("report", "gate", *steps, expect=expect, traced=False, job_control=job_control)
        pump.run_until_report()
        pump.table.seize(SPAWN, self.pid, expect, "web main process", self.hold)
        # A launcher's exec is the first that it does.
        pump.open_gate()

    def hold(self, old: int, new: int) -> None:
        self.held.append((old, new))

    def run(self, until: Callable[[], bool]) -> None:
        """With whoever follows the main process, too, answering at once."""
        answered = 0

        def step() -> bool:
            nonlocal answered
            if self.answer and answered < len(self.held):
                answered += 1
                self.pump.table.resume_held(SPAWN)
            return until()

        self.pump.run(step)


def says_ready(pump: Pump) -> Callable[[], bool]:
    return lambda: any(isinstance(each, ProcessReady) for each in pump.fed)


@pytest.mark.parametrize("expect, steps, forks", [
    ("fork", ("exec", "fork", "report", "wait"), 1), ("daemon", ("exec", "fork", "setsid", "fork", "report", "wait"), 2)])
def test_x254_a_seized_process_is_followed(pump: Pump, expect: str, steps: Tuple[str, ...], forks: int) -> None:
    seized = Seized(pump, *steps, expect=expect)
    seized.run(lambda: says_ready(pump)() and len(pump.reports) == 2)
    last = pump.reports[1][0]
    assert len(seized.held) == forks and seized.held[0][0] == seized.pid and seized.held[-1][1] == last
    assert pump.fed == [*forked(*[new for _, new in seized.held]), ProcessReady(SPAWN)]
    assert len(pump.table) == 0 and not pump.table.early
    assert tracer(last) == 0 and not is_stopped(last)


def test_x254_parent_and_child_are_held_until_somebody_says_so(pump: Pump) -> None:
    seized = Seized(pump, "exec", "fork", "report", "wait", answer=False)
    seized.run(lambda: len(seized.held) == 1)
    old, new = seized.held[0]
    pump.run(lambda: all(tracee.stopped for tracee in pump.table))
    assert is_stopped(old) and is_stopped(new)
    assert pump.fed == forked(new) and len(pump.reports) == 1
    pump.table.resume_held(SPAWN)
    pump.run(lambda: says_ready(pump)() and len(pump.reports) == 2)
    assert pump.reports[1][0] == new
    assert os.WEXITSTATUS(pump.run_until_end(old)) == 0
    # A second time nobody waits.
    pump.table.resume_held(SPAWN)
    assert len(pump.fed) == 2


@pytest.mark.parametrize("victim", ["parent", "child"])
def test_x80_killed_while_it_is_held(pump: Pump, victim: str) -> None:
    seized = Seized(pump, "exec", "fork", "report", "wait", answer=False)
    seized.run(lambda: len(seized.held) == 1)
    old, new = seized.held[0]
    pump.run(lambda: all(tracee.stopped for tracee in pump.table))
    os.kill(new if victim == "child" else old, signal.SIGKILL)
    if victim == "child":
        pump.run_until_end(new)
        # It is forgotten, and its parent is not left stopped.
        assert len(pump.table) == 0
        pump.run_until_end(old)
    else:
        pump.run_until_end(old)
        pump.table.resume_held(SPAWN)
        pump.run(lambda: says_ready(pump)() and len(pump.reports) == 2)
        assert tracer(new) == 0
    assert not pump.lines


@pytest.mark.parametrize("when", ["at the gate", "held"])
def test_x81_detached(pump: Pump, when: str) -> None:
    seized = Seized(pump, "exec", "fork", "report", "wait", answer=False)
    if when == "at the gate":
        pump.table.detach(SPAWN)
    else:
        seized.run(lambda: len(seized.held) == 1)
        pump.table.detach(SPAWN)
    pump.run(lambda: len(pump.reports) == 2)
    new = pump.reports[1][0]
    pump.run(lambda: len(pump.table) == 0)
    assert tracer(new) == 0 and not is_stopped(new)
    assert not any(isinstance(each, ProcessReady) for each in pump.fed)


def test_x70_a_seized_process_stops_itself(pump: Pump) -> None:
    """It is said to have stopped, and goes on at once: only its parent could wait for the stop."""
    pid = Seized(pump, f"raise-{int(signal.SIGSTOP)}", "report", "wait", expect="stop").pid
    pump.run(lambda: len(pump.reports) == 2)
    assert pump.fed == [ProcessStopped(SPAWN, int(signal.SIGSTOP))]
    assert tracer(pid) == 0 and not is_stopped(pid) and len(pump.table) == 0


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_x82_a_stop_of_somebody_else_lasts_until_it_is_continued(pump: Pump, number: int) -> None:
    seized = Seized(pump, "exec", "report", "gate", "fork", "report", "wait", job_control=True)
    pump.run_until_report(2)
    os.kill(seized.pid, number)
    pump.run(lambda: is_stopped(seized.pid))
    os.kill(seized.pid, signal.SIGCONT)
    pump.open_gate()
    seized.run(lambda: says_ready(pump)() and len(pump.reports) == 3)
    assert len(seized.held) == 1


def test_x86_a_process_that_cannot_be_seized(pump: Pump) -> None:
    with pytest.raises(ProcessLookupError):
        pump.table.seize(SPAWN, 2 ** 22 - 1, "fork", "web main process", lambda old, new: None)
    assert len(pump.table) == 0


def test_x254_a_process_of_somebody_else_is_followed(pump: Pump) -> None:
    """A child of a child: waitpid tells of the stops of a tracee, whoever its parent is; the parent is told of its end as ever."""
    pid = pump.start("fork-stay", "report", "gate", "exec", "fork", "report", "wait", traced=False)
    child = pump.run_until_report()
    assert parent(child) == pid
    held: List[Tuple[int, int]] = []
    pump.table.seize(SPAWN, child, "fork", "web main process", lambda old, new: held.append((old, new)))
    pump.tracked[SPAWN] = child
    pump.open_gate()
    pump.run(lambda: len(held) == 1)
    pump.table.resume_held(SPAWN)
    pump.run(lambda: says_ready(pump)() and len(pump.reports) == 2)
    assert held == [(child, pump.reports[1][0])]
    assert tracer(pump.reports[1][0]) == 0
    # Nobody tells us.
    deadline = time.monotonic() + 20
    while not status_field(child, "State").startswith("Z"):
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""TraceeTable with real processes: what is followed, and how (X68-X79, X82). Checklist 46-61 of 3.19 as far as they show here."""
from __future__ import annotations

import os
import signal
from typing import List, Tuple

import pytest

from compat.backends import tracee as tracee_module
from compat.backends.tracee import NEW, NEW_CHILD, NORMAL
from compat.engine.inputs import ProcessForked, ProcessReady, ProcessReplaced
from tests.backends.tracing import SPAWN, WALL, Pump, both_reports, forked, is_stopped, parent, tracer
from tests.backends.tracing import programs as programs
from tests.backends.tracing import pump as pump

# -- what is followed (X72, X73, X75-X77) -----------------------------------------------------------------


def test_x72_expect_fork_follows_one_fork(pump: Pump) -> None:
    pid = pump.start("fork", "report", "wait")
    child = pump.run_until_report()
    pump.run(lambda: pump.ready)
    assert child != pid
    assert pump.fed == [*forked(child), ProcessReady(SPAWN)]
    assert pump.pids == [(SPAWN, pid, child)]
    assert len(pump.table) == 0 and not pump.table.early
    assert tracer(child) == 0 and not is_stopped(child)


@pytest.mark.parametrize("step, code", [("fork", 0), ("fork-1", 1)])
def test_x75_end_of_the_old_parent_is_not_the_tables(pump: Pump, step: str, code: int) -> None:
    pid = pump.start(step, "wait")
    status = pump.run_until_end(pid)
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == code
    pump.run(lambda: pump.ready)
    assert len(pump.fed) == 2


def test_x72_expect_daemon_follows_two_forks(pump: Pump) -> None:
    pid = pump.start("fork", "setsid", "fork", "report", "wait", expect="daemon")
    grandchild = pump.run_until_report()
    pump.run(lambda: pump.ready)
    child = pump.pids[0][2]
    assert pump.fed == [*forked(child, grandchild), ProcessReady(SPAWN)]
    assert pump.pids == [(SPAWN, pid, child), (SPAWN, child, grandchild)]
    assert tracer(grandchild) == 0


def test_x72_expect_daemon_one_fork_then_exec(pump: Pump) -> None:
    pump.start("fork", "exec", "report", "wait", expect="daemon")
    child = pump.run_until_report()
    assert pump.fed == [*forked(child), ProcessReplaced(SPAWN), ProcessReady(SPAWN)]
    assert tracer(child) == 0 and len(pump.table) == 0


def test_x73_execs_before_the_first_fork_do_not_matter(pump: Pump) -> None:
    pump.start("exec", "exec", "exec", "fork", "report", "wait")
    child = pump.run_until_report()
    pump.run(lambda: pump.ready)
    assert pump.fed == [ProcessReplaced(SPAWN)] * 3 + [*forked(child), ProcessReady(SPAWN)]


def test_x77_expect_fork_with_two_forks_tracks_the_middle_one(pump: Pump) -> None:
    pump.start("fork", "fork", "report", "wait")
    daemon = pump.run_until_report()
    pump.run(lambda: pump.ready)
    middle = pump.tracked[SPAWN]
    assert middle != daemon
    assert os.WEXITSTATUS(pump.run_until_end(middle)) == 0
    assert parent(daemon) == os.getpid() and tracer(daemon) == 0


def test_x77_expect_daemon_with_one_fork_stays_traced_with_the_right_pid(pump: Pump) -> None:
    pump.start("fork", "report", "gate", "report", "wait", expect="daemon")
    child = pump.run_until_report()
    assert pump.fed == forked(child)
    [tracee] = pump.table
    assert (tracee.pid, tracee.state, tracee.forks, tracee.spawn, tracee.expect) == (child, NORMAL, 1, SPAWN, "daemon")
    assert tracer(child) == os.getpid()
    # Traced, but not held up.
    pump.open_gate()
    pump.run_until_report(2)


def test_x77_expect_fork_without_a_fork_waits(pump: Pump) -> None:
    pid = pump.start("report", "wait")
    assert pump.run_until_report() == pid
    assert pump.fed == []
    assert [each.state for each in pump.table] == [NORMAL]


def test_x77_a_forked_helper_uses_up_expect_fork(pump: Pump) -> None:
    pid = pump.start("helper", "report", "wait")
    assert pump.run_until_report() == pid
    assert [type(each) for each in pump.fed] == [ProcessForked, ProcessReady]
    assert pump.tracked[SPAWN] != pid


@pytest.mark.parametrize("step", ["vfork", "spawn", "system", "thread", "clone"])
def test_x76_only_forks_count(pump: Pump, step: str) -> None:
    pump.start(step, step, "fork", "report", "wait")
    child = pump.run_until_report()
    pump.run(lambda: pump.ready)
    assert pump.fed == [*forked(child), ProcessReady(SPAWN)]


def test_x71_state_of_a_tracee_is_plain_data(pump: Pump) -> None:
    pid = pump.start("gate", "fork", "wait", expect="daemon")
    [tracee] = pump.table
    assert (tracee.state, tracee.forks, tracee.pid, tracee.label) == (NEW, 0, pid, "web main process")
    pump.handle(*pump.next_status())
    assert tracee.state == NORMAL
    pump.open_gate()
    pump.run(lambda: tracee.forks == 1)
    assert (tracee.state, tracee.pid) == (NORMAL, pump.tracked[SPAWN])


# -- signals and ends (X70, X72, X79, X82) ----------------------------------------------------------------


def test_x72_signals_are_delivered_to_a_traced_process(pump: Pump) -> None:
    pump.start("ignore-15", "count-10", "report", "gate", "fork", "report", "wait")
    pid = pump.run_until_report()
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGUSR1)
    pump.open_gate()
    child = pump.run_until_report(2)
    pump.run(lambda: pump.ready)
    assert pump.reports == [(pid, 0), (child, 1)]
    assert pump.fed == [*forked(child), ProcessReady(SPAWN)]


def test_x72_a_trap_of_its_own_is_a_signal_like_any_other(pump: Pump) -> None:
    pid = pump.start("count-5", "raise-5", "raise-5", "report", "wait")
    pump.run_until_report()
    assert pump.reports == [(pid, 2)]


def test_x72_job_control_stop_of_a_traced_process_holds_nothing_up(pump: Pump) -> None:
    pid = pump.start("raise-20", "raise-19", "report", "wait")
    assert pump.run_until_report() == pid
    assert pump.ordinary == []


def test_x79_death_of_a_traced_process_is_an_ordinary_end(pump: Pump) -> None:
    pid = pump.start("report", "wait")
    pump.run_until_report()
    os.kill(pid, signal.SIGKILL)
    status = pump.run_until_end(pid)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert len(pump.table) == 0 and pump.fed == [] and pump.lines == []


def test_x79_death_by_a_passed_on_signal(pump: Pump) -> None:
    pid = pump.start("report", "wait")
    pump.run_until_report()
    os.kill(pid, signal.SIGTERM)
    assert os.WTERMSIG(pump.run_until_end(pid)) == signal.SIGTERM


def test_x79_exit_before_the_fork(pump: Pump) -> None:
    pid = pump.start("exit-2", expect="daemon")
    assert os.WEXITSTATUS(pump.run_until_end(pid)) == 2
    assert len(pump.table) == 0


def test_x82_signal_before_the_exec_is_delivered_and_the_trace_goes_on(pump: Pump) -> None:
    pump.start("fork", "report", "wait", before_exec="-17")
    child = pump.run_until_report()
    pump.run(lambda: pump.ready)
    assert pump.fed == [*forked(child), ProcessReady(SPAWN)]


def test_x82_fatal_signal_before_the_exec_ends_it(pump: Pump) -> None:
    pid = pump.start("wait", before_exec="-15")
    assert os.WTERMSIG(pump.run_until_end(pid)) == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_x70_stops_of_processes_that_are_not_traced_are_the_callers(pump: Pump, number: int) -> None:
    pid = pump.start(f"raise-{int(number)}", "report", "wait", traced=False, job_control=True)
    pump.run(lambda: bool(pump.ordinary))
    [(stopped, status)] = pump.ordinary
    assert stopped == pid and os.WIFSTOPPED(status) and os.WSTOPSIG(status) == number
    assert is_stopped(pid) and not pump.table.early
    os.kill(pid, signal.SIGCONT)
    pump.run_until_report()
    assert any(os.WIFCONTINUED(each) for _, each in pump.ordinary)


def test_x70_a_stopped_orphan_stays_stopped_while_another_job_is_traced(pump: Pump) -> None:
    pump.start("wait", spawn=1)
    pump.start("fork", "raise-19", "report", "wait", spawn=2, traced=False)
    pump.run(lambda: any(os.WIFSTOPPED(status) for _, status in pump.ordinary))
    [orphan] = [pid for pid, status in pump.ordinary if os.WIFSTOPPED(status)]
    assert is_stopped(orphan) and not pump.table.early


# -- order of reports (X74) ----------------------------------------------------------------------------------


@pytest.mark.parametrize("child_first", [False, True])
@pytest.mark.parametrize("expect, steps", [("fork", ("fork",)), ("daemon", ("fork", "fork"))])
def test_x74_both_orders_give_the_same(pump: Pump, child_first: bool, expect: str, steps: Tuple[str, ...]) -> None:
    pump.start(*steps, "report", "wait", expect=expect)
    pump.handle(*pump.next_status())
    for _ in steps:
        event, stop = both_reports(pump)
        if child_first:
            pump.handle(*stop)
            assert list(pump.table.early) == [stop[0]]
            pump.handle(*event)
            assert not pump.table.early
        else:
            pump.handle(*event)
            assert [each.state for each in pump.table] == [NEW_CHILD]
            pump.handle(*stop)
        assert pump.fed[-1 if expect == "daemon" and not pump.ready else -2] == ProcessForked(SPAWN, stop[0])
        if not pump.ready:
            # The end of the old parent may come between the two reports of the next fork.
            assert os.WIFEXITED(wait_for(event[0]))
    last = pump.run_until_report()
    assert [type(each) for each in pump.fed] == [ProcessForked] * len(steps) + [ProcessReady]
    assert pump.tracked[SPAWN] == last and tracer(last) == 0


def wait_for(pid: int) -> int:
    return os.waitpid(pid, WALL)[1]


def test_x74_early_child_runs_on_if_its_parent_is_killed_first(pump: Pump) -> None:
    pid = pump.start("fork-stay", "report", "wait")
    pump.handle(*pump.next_status())
    _, (child, status) = both_reports(pump)
    pump.handle(child, status)
    assert child in pump.table.early
    os.kill(pid, signal.SIGKILL)
    pump.run_until_end(pid)
    assert pump.run_until_report() == child
    assert not pump.table.early and tracer(child) == 0 and pump.fed == []


def test_x74_child_stop_after_the_end_of_its_parent(pump: Pump) -> None:
    pid = pump.start("fork-stay", "report", "wait")
    pump.start("wait", spawn=8)
    held: List[Tuple[int, int]] = []
    while not any(each not in (pid, pump.tracked[8]) for each, _ in held):
        found = pump.next_status()
        if found[1] >> 16 == tracee_module._EVENT_EXEC:
            pump.handle(*found)
        else:
            held.append(found)
    os.kill(pid, signal.SIGKILL)
    pump.run_until_end(pid)
    [(child, status)] = [each for each in held if each[0] != pid]
    pump.handle(child, status)
    assert not pump.table.early
    assert pump.run_until_report() == child
    assert tracer(child) == 0 and pump.ordinary[0][0] == pid


def test_x74_early_child_that_is_killed_is_forgotten(pump: Pump) -> None:
    pid = pump.start("fork-stay", "wait")
    pump.handle(*pump.next_status())
    event, (child, status) = both_reports(pump)
    pump.handle(child, status)
    os.kill(child, signal.SIGKILL)
    pump.run_until_end(child)
    assert not pump.table.early
    # It cannot be followed any more; the parent is still there and stays the main process.
    pump.handle(*event)
    assert pump.fed == [] and pump.tracked[SPAWN] == pid
    assert [(each.pid, each.state) for each in pump.table] == [(pid, NORMAL)]
    pump.run(lambda: not is_stopped(pid))


def test_x74_forgetting_the_parent_lets_an_early_child_go(pump: Pump) -> None:
    pump.start("fork", "report", "wait")
    pump.handle(*pump.next_status())
    event, (child, status) = both_reports(pump)
    pump.handle(child, status)
    pump.table.forget(SPAWN)
    pump.handle(*event)
    assert pump.run_until_report() == child
    assert not pump.table.early and len(pump.table) == 0 and pump.fed == []


def test_x74_two_hundred_daemons_one_after_the_other(pump: Pump) -> None:
    for number in range(1, 201):
        pump.fed.clear()
        pump.pids.clear()
        pump.start("fork", "setsid", "fork", "report", "wait", expect="daemon")
        pump.run_until_report(number)
        pump.run(lambda: pump.ready)
        daemon = pump.reports[-1][0]
        assert [type(each) for each in pump.fed] == [ProcessForked, ProcessForked, ProcessReady]
        assert pump.tracked[SPAWN] == daemon
        # A lost ordering race shows as a SIGHUP or SIGSTOP to the daemon.
        os.kill(daemon, signal.SIGTERM)
        assert os.WTERMSIG(pump.run_until_end(daemon)) == signal.SIGTERM
        pump.ordinary.clear()
        assert not pump.table.early


def test_x74_fifty_daemons_at_once(pump: Pump) -> None:
    for spawn in range(50):
        pump.start("fork", "setsid", "fork", "report", "wait", expect="daemon", spawn=spawn)
    pump.run(lambda: len(pump.reports) == 50 and sum(type(each) is ProcessReady for each in pump.fed) == 50)
    assert sorted(pump.tracked.values()) == sorted(pid for pid, _ in pump.reports)
    assert not pump.table.early and len(pump.table) == 0

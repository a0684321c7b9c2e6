"""TraceeTable with real processes: X68-X86, checklist 46-61 of 3.19 as far as they show here."""
from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from compat.backends import tracee as tracee_module
from compat.backends.tracee import NEW, NEW_CHILD, NORMAL, TraceeTable
from compat.engine.actions import WARN
from compat.engine.inputs import ProcessForked, ProcessReady, ProcessReplaced, ProcessStopped

PROGRAMS = Path(__file__).parent / "programs"
WALL = 0x40000000
SUBREAPER, GET_SUBREAPER = 36, 37
libc = ctypes.CDLL(None, use_errno=True)
SPAWN = 7


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name in ("traced", "victim"):
        subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-o", folder / name, PROGRAMS / f"{name}.c"], check=True)
    return folder


class Pump:
    """A backend in small: starts victims, collects every status, and notes what the table feeds."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.fed: List[tuple] = []  # type: ignore[type-arg]
        self.pids: List[Tuple[int, int, int]] = []
        self.lines: List[Tuple[int, str]] = []
        self.ordinary: List[Tuple[int, int]] = []
        self.reports: List[Tuple[int, int]] = []
        self.tracked: Dict[int, int] = {}
        self.table = TraceeTable(self.feed, lambda priority, text: self.lines.append((priority, text)), self.on_pid)
        self.gate_read, self.gate = os.pipe()
        self.report_read, self.report_write = os.pipe()
        self.wake_read, self.wake_write = os.pipe()
        for descriptor in (self.report_read, self.wake_read, self.wake_write):
            os.set_blocking(descriptor, False)
        for descriptor in (self.gate, self.report_read, self.wake_read, self.wake_write):
            fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        self.text = b""
        self.seen: List[int] = []

    def feed(self, happened: tuple) -> None:  # type: ignore[type-arg]
        self.fed.append(happened)

    def on_pid(self, spawn: int, old: int, new: int) -> None:
        # X72: before ProcessForked is fed.
        assert ProcessForked(spawn, new) not in self.fed
        assert self.tracked[spawn] == old
        self.tracked[spawn] = new
        self.pids.append((spawn, old, new))

    def start(self, *steps: str, expect: str = "fork", spawn: int = SPAWN, traced: bool = True, before_exec: str = "") -> int:
        victim = str(self.programs / "victim")
        argv = [victim, *steps]
        if traced:
            argv = [str(self.programs / "traced"), *([before_exec] if before_exec else []), *argv]
        theirs, ours = socket.socketpair()
        pid = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=[
            (os.POSIX_SPAWN_DUP2, self.gate_read, 0), (os.POSIX_SPAWN_DUP2, self.report_write, 1),
            *([(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)] if traced else [])], setsigdef=range(1, 32))
        self.tracked[spawn] = pid
        if traced:
            assert ours.recv(1)
            self.table.seize(spawn, pid, expect, "web main process")
            ours.send(b"l")
        theirs.close()
        ours.close()
        return pid

    def next_status(self) -> Tuple[int, int]:
        pid, status = os.waitpid(-1, WALL | os.WUNTRACED | os.WCONTINUED)
        self.seen.append(pid)
        return pid, status

    def handle(self, pid: int, status: int) -> None:
        if not self.table.handle(pid, status):
            self.ordinary.append((pid, status))

    def collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, WALL | os.WUNTRACED | os.WCONTINUED | os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.seen.append(pid)
            self.handle(pid, status)

    def run(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                os.read(self.wake_read, 4096)
            except BlockingIOError:
                pass
            self.collect()
            try:
                self.text += os.read(self.report_read, 65536)
            except BlockingIOError:
                pass
            *whole, self.text = self.text.split(b"\n")
            for line in whole:
                pid, count = map(int, line.split())
                self.reports.append((pid, count))
            if until():
                return
            left = deadline - time.monotonic()
            assert left > 0, (self.fed, self.ordinary, self.lines, self.reports, list(self.table.early))
            select.select([self.wake_read, self.report_read], [], [], left)

    def run_until_report(self, number: int = 1) -> int:
        """Until so many reports came; the pid of the last."""
        self.run(lambda: len(self.reports) >= number)
        return self.reports[number - 1][0]

    def run_until_end(self, pid: int) -> int:
        """Until this process ended; its status."""
        self.run(lambda: any(each == pid and not os.WIFSTOPPED(status) for each, status in self.ordinary))
        return next(status for each, status in self.ordinary if each == pid and not os.WIFSTOPPED(status))

    def open_gate(self, times: int = 1) -> None:
        os.write(self.gate, b"g" * times)

    @property
    def ready(self) -> bool:
        return ProcessReady(SPAWN) in self.fed

    def close(self) -> None:
        while True:
            # As this process adopts orphans, all that is left becomes its child sooner or later.
            for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
                os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, WALL)
            except ChildProcessError:
                break
        for descriptor in (self.gate_read, self.gate, self.report_read, self.report_write, self.wake_read, self.wake_write):
            os.close(descriptor)


def status_field(pid: int, name: str) -> str:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""
    return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(name + ":"))


def tracer(pid: int) -> int:
    return int(status_field(pid, "TracerPid") or 0)


def parent(pid: int) -> int:
    return int(status_field(pid, "PPid") or 0)


def is_stopped(pid: int) -> bool:
    return status_field(pid, "State")[:1] in ("T", "t")


@pytest.fixture
def pump(programs: Path) -> Iterator[Pump]:
    before = ctypes.c_int()
    libc.prctl(GET_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    pump = Pump(programs)
    old_handler = signal.signal(signal.SIGCHLD, lambda number, frame: None)
    old_wakeup = signal.set_wakeup_fd(pump.wake_write, warn_on_full_buffer=False)
    try:
        yield pump
    finally:
        signal.set_wakeup_fd(old_wakeup)
        signal.signal(signal.SIGCHLD, old_handler)
        pump.close()
        libc.prctl(SUBREAPER, before.value, 0, 0, 0)


def forked(*pids: int) -> List[ProcessForked]:
    return [ProcessForked(SPAWN, pid) for pid in pids]


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
    pid = pump.start(f"raise-{int(number)}", "report", "wait", traced=False)
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


def both_reports(pump: Pump) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """The fork event of the parent and the first stop of the child, neither handled yet."""
    main = pump.tracked[SPAWN]
    first, second = pump.next_status(), pump.next_status()
    assert all(os.WIFSTOPPED(status) for _, status in (first, second))
    return (first, second) if first[0] == main else (second, first)


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

    def __init__(self, pump: Pump, *steps: str, expect: str = "fork", answer: bool = True) -> None:
        self.pump = pump
        self.held: List[Tuple[int, int]] = []
        self.answer = answer
        self.pid = pump.start("report", "gate", *steps, expect=expect, traced=False)
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
    seized = Seized(pump, "exec", "report", "gate", "fork", "report", "wait")
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

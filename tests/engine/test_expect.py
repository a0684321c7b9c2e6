"""Processes that fork or stop to say that they are ready (E18, E57, E124)."""
from __future__ import annotations

import pytest

from compat.engine.inputs import ProcessContinued, ProcessStopped
from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE


def test_e57_expect_stop_continues_that_pid_and_goes_on(machine: SimulatedMachine) -> None:
    machine.define("s", "expect stop\n" + SERVICE)
    start = machine.start("s")
    process = machine.process("s")
    assert machine.status("s") == "s start/spawned, process 101" and not start.done
    process.stop()
    machine.settle()
    assert start.ok and process.received == [18]
    assert "s main process (101) stopped by STOP signal" in machine.lines("I")
    assert "s main process (101) continued by CONT signal" in machine.lines("I")


def test_e57_another_stop_signal_is_only_logged(machine: SimulatedMachine) -> None:
    machine.define("s", "expect stop\n" + SERVICE)
    machine.start("s")
    machine.process("s").stop(20)
    machine.settle()
    assert machine.status("s") == "s start/spawned, process 101"
    assert machine.lines("I")[-1] == "s main process (101) stopped by TSTP signal"
    assert machine.process("s").received == []


def test_e57_a_stop_in_running_is_only_logged(machine: SimulatedMachine) -> None:
    machine.define("s", "expect stop\n" + SERVICE)
    machine.start("s")
    for _ in range(2):
        machine.process("s").stop()
        machine.settle()
    assert machine.process("s").received == [18]
    assert machine.status("s") == "s start/running, process 101"


def test_e57_a_stopped_pre_start_is_only_logged(machine: SimulatedMachine) -> None:
    machine.define("s", "expect stop\npre-start exec p\n" + SERVICE)
    machine.start("s")
    machine.process("s", "pre-start").stop()
    machine.settle()
    assert machine.lines("I")[-1] == "s pre-start process (101) stopped by STOP signal"
    assert machine.status("s") == "s start/pre-start, process 101"


def test_e124_a_nameless_stop_signal(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    spawn = machine.process("s").request.spawn
    machine.feed(ProcessStopped(spawn, 40))
    machine.feed(ProcessContinued(spawn))
    assert machine.lines("I")[-2:] == ["s main process (101) stopped by signal 40", "s main process (101) continued by CONT signal"]


@pytest.mark.parametrize(("expect", "forks"), [("fork", 1), ("daemon", 2)])
def test_e18_followed_forks_change_the_pid_and_lead_on(machine: SimulatedMachine, expect: str, forks: int) -> None:
    machine.define("s", f"expect {expect}\n" + SERVICE)
    start = machine.start("s")
    process = machine.process("s")
    for number in range(forks):
        assert not start.done
        process.fork()
        machine.settle()
        assert f"s main process ({101 + number}) became new process ({102 + number})" in machine.lines("I")
    assert start.ok and machine.status("s") == f"s start/running, process {101 + forks}"


def test_e18_an_exec_after_a_fork_ends_expect_daemon(machine: SimulatedMachine) -> None:
    machine.define("s", "expect daemon\n" + SERVICE)
    start = machine.start("s")
    machine.process("s").replace()
    machine.settle()
    assert not start.done
    machine.process("s").fork(exec_after=True)
    machine.settle()
    assert start.ok and machine.lines("I").count("s main process (102) executable changed") == 1
    assert machine.lines("I").count("s main process (101) executable changed") == 1

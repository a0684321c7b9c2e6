"""Respawning and its limit (E47, E51-E56)."""
from __future__ import annotations

import pytest

from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE

OK = ("JOB=s", "INSTANCE=", "RESULT=ok")


def die(machine: SimulatedMachine, status: int = 0) -> None:
    machine.process("s").exit(status)
    machine.settle()


def runs(machine: SimulatedMachine) -> int:
    """How often main was started."""
    return sum(each.name == "main" for each in machine.backend.processes.values())


def test_e47_a_respawned_service_runs_the_whole_cycle_but_stopped_and_pre_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npre-start exec a\npre-stop exec never\npost-stop exec z\n" + SERVICE)
    machine.start("s", "X=1")
    machine.process("s", "pre-start").exit()
    machine.settle()
    die(machine)
    assert machine.lines("W") == ["s main process ended, respawning"]
    machine.process("s", "post-stop").exit()
    machine.settle()
    machine.process("s", "pre-start").exit()
    machine.settle()
    assert machine.status("s") == "s start/running, process 105"
    assert machine.events("stopping") == [OK] and machine.events("stopped") == []
    assert len(machine.events("starting")) == len(machine.events("started")) == 2
    assert machine.process("s").environment["X"] == "1", "E69: respawn keeps the environment"
    assert all(each.name != "pre-stop" for each in machine.backend.processes.values())


def test_e46_respawn_with_normal_exit_0_stops(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nnormal exit 0\n" + SERVICE)
    machine.start("s")
    die(machine)
    assert machine.events("stopped") == [OK]


def test_e46_a_respawning_task(machine: SimulatedMachine) -> None:
    machine.define("s", "task\nrespawn\n" + SERVICE)
    start = machine.start("s")
    die(machine, 1)
    assert not start.done and machine.status("s") == "s start/running, process 102"
    die(machine, 0)
    assert start.ok and machine.events("stopped") == [OK]


def test_e44_respawn_with_normal_exit_term(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nnormal exit TERM\n" + SERVICE)
    machine.start("s")
    machine.process("s").killed_by(15)
    machine.settle()
    assert machine.status("s") == "s stop/waiting" and machine.events("stopped") == [OK]


def test_e52_e53_respawn_limit(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 2 10\n" + SERVICE)
    machine.start("s")
    for _ in range(3):
        machine.advance(0.3)
        die(machine, 1)
    assert runs(machine) == 3 and machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [("JOB=s", "INSTANCE=", "RESULT=failed", "PROCESS=respawn")]
    assert machine.lines("W")[-1] == "s respawning too fast, stopped"


def test_e52_the_default_limit_allows_eleven_runs(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\n" + SERVICE)
    machine.start("s")
    while machine.status("s") != "s stop/waiting":
        die(machine)
    assert runs(machine) == 11


@pytest.mark.parametrize("limit", ["0 5", "5 0", "unlimited"])
def test_e51_without_a_limit_it_is_never_too_fast(machine: SimulatedMachine, limit: str) -> None:
    machine.define("s", f"respawn\nrespawn limit {limit}\n" + SERVICE)
    machine.start("s")
    for _ in range(50):
        die(machine, 1)
    assert machine.status("s") == "s start/running, process 151"


def test_e51_deaths_further_apart_than_the_interval_are_never_too_fast(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 1 5\n" + SERVICE)
    machine.start("s")
    for _ in range(20):
        machine.advance(5)
        die(machine, 1)
    assert machine.status("s") == "s start/running, process 121"


def test_e51_the_window_does_not_slide(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 2 10\n" + SERVICE)
    machine.start("s")
    die(machine, 1)
    machine.advance(9)
    die(machine, 1)
    machine.advance(1)
    for _ in range(2):
        die(machine, 1)
    assert machine.status("s").startswith("s start/running"), "a new window began at 10 s"
    die(machine, 1)
    assert machine.status("s") == "s stop/waiting"


def test_e51_seconds_are_whole() -> None:
    machine = SimulatedMachine(now=1000.9)
    machine.define("s", "respawn\nrespawn limit 1 1\n" + SERVICE)
    machine.start("s")
    die(machine, 1)
    machine.advance(0.2)
    die(machine, 1)
    assert machine.status("s").startswith("s start/running"), "second 1001 is one second after second 1000"
    machine.advance(0.7)
    die(machine, 1)
    assert machine.status("s") == "s stop/waiting"


def test_e54_a_restart_keeps_the_counter_and_is_not_counted(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 2 100\n" + SERVICE)
    machine.start("s")
    die(machine, 1)
    for _ in range(5):
        assert machine.restart("s").ok
    die(machine, 1)
    assert machine.status("s").startswith("s start/running")
    die(machine, 1)
    assert machine.status("s") == "s stop/waiting"


def test_e54_a_cancelled_stop_keeps_the_counter(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 1 100\npre-stop exec p\n" + SERVICE)
    machine.start("s")
    die(machine, 1)
    machine.stop("s")
    machine.start_instance("s")
    machine.process("s", "pre-stop").exit()
    machine.settle()
    die(machine, 1)
    assert machine.status("s") == "s stop/waiting"


def test_e53_too_fast_in_post_start_waits_for_it(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 1 100\npost-start exec p\n" + SERVICE)
    start = machine.start("s")
    die(machine, 1)
    machine.process("s", "post-start").exit()
    machine.settle()
    die(machine, 1)
    assert start.error == "JobFailed" and machine.status("s").startswith("s stop/post-start")
    machine.process("s", "post-start").exit()
    machine.settle()
    assert machine.events("stopped") == [("JOB=s", "INSTANCE=", "RESULT=failed", "PROCESS=respawn")]


def test_e55_a_failing_pre_start_ends_a_respawn(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npre-start exec p\n" + SERVICE)
    machine.start("s")
    machine.process("s", "pre-start").exit()
    machine.settle()
    die(machine, 1)
    machine.process("s", "pre-start").exit(1)
    machine.settle()
    assert machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [("JOB=s", "INSTANCE=", "RESULT=failed", "PROCESS=pre-start", "EXIT_STATUS=1")]

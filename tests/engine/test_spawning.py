"""What cannot be spawned, and what is spawned later (E20, E22, X25)."""
from __future__ import annotations

from typing import List

import pytest

from compat.engine.actions import SpawnProcess
from compat.engine.inputs import ProcessEnded, ProcessExecuted, ProcessSpawned, ProcessSpawnFailed
from compat.testing import SimulatedMachine
from tests.engine.observed import MISSING, OK, SERVICE, failed, failures


@pytest.mark.parametrize("stanza", ["", "\nrespawn"])
def test_e20_main_that_cannot_be_spawned_is_never_respawned(machine: SimulatedMachine, stanza: str) -> None:
    machine.define("s", "exec nosuch" + stanza)
    machine.backend.failing["nosuch"] = MISSING
    start = machine.start("s")
    assert start.error == "JobFailed"
    assert machine.lines("W") == ["Failed to spawn s main process: " + MISSING]
    assert machine.events("stopped") == [failed("main")]
    assert failures(machine) == [-1]


def test_e20_pre_start_that_cannot_be_spawned(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec nosuch\n" + SERVICE)
    machine.backend.failing["nosuch"] = MISSING
    assert machine.start("s").error == "JobFailed"
    assert machine.events("stopped") == [failed("pre-start")]


def test_e20_post_start_that_cannot_be_spawned_is_ignored(machine: SimulatedMachine) -> None:
    machine.define("s", "post-start exec nosuch\n" + SERVICE)
    machine.backend.failing["nosuch"] = MISSING
    assert machine.start("s").ok and machine.status("s") == "s start/running, process 101"
    assert machine.lines("W") == ["Failed to spawn s post-start process: " + MISSING]


def test_e20_pre_stop_that_cannot_be_spawned_is_ignored(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec nosuch\n" + SERVICE)
    machine.backend.failing["nosuch"] = MISSING
    machine.start("s")
    assert machine.stop("s").ok and machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [OK]


def test_e20_post_stop_that_cannot_be_spawned(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec nosuch\n" + SERVICE)
    machine.backend.failing["nosuch"] = MISSING
    machine.start("s")
    assert machine.stop("s").error == "JobFailed" and machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [failed("post-stop")]


@pytest.mark.parametrize("process", ["pre-start", "post-start", "pre-stop", "post-stop"])
def test_e22_the_exit_status_of_a_failed_spawn_is_discarded(machine: SimulatedMachine, process: str) -> None:
    machine.define("s", f"{process} exec nosuch\n" + SERVICE)
    machine.backend.failing["nosuch"] = MISSING
    machine.start("s")
    if process.endswith("stop"):
        machine.stop("s")
    spawn = next(each.request.spawn for each in machine.backend.processes.values() if each.command == "nosuch")
    before = list(machine.transcript)
    machine.feed(ProcessEnded(spawn, 255))
    assert machine.transcript == before


def without_processes(machine: SimulatedMachine) -> List[SpawnProcess]:
    """A backend that only notes what it is asked for."""
    requests: List[SpawnProcess] = []
    machine.backend.spawn = requests.append  # type: ignore[method-assign]
    machine.backend.signal = lambda request: None  # type: ignore[method-assign]
    return requests


def test_x25_a_process_that_is_made_later_is_waited_for(machine: SimulatedMachine) -> None:
    """X33, or a backend that asks another program: the line with the pid still belongs before the next state (X24)."""
    machine.define("s", SERVICE)
    requests = without_processes(machine)
    machine.start("s")
    assert machine.status("s") == "s start/spawning"
    machine.feed(ProcessSpawned(requests[0].spawn, 4711))
    assert machine.status("s") == "s start/spawned, process 4711"
    assert machine.lines("I")[-2:] == ["s main process (4711)", "s state changed from spawning to spawned"]


def test_x25_a_stop_while_the_process_is_made(machine: SimulatedMachine) -> None:
    """As if it had come in spawned (E23): the exec is waited for, and then the job stops."""
    machine.define("s", SERVICE)
    requests = without_processes(machine)
    machine.start("s")
    machine.stop("s")
    assert machine.status("s") == "s stop/spawning"
    machine.feed(ProcessSpawned(requests[0].spawn, 4711))
    assert machine.status("s") == "s stop/spawned, process 4711"
    machine.feed(ProcessExecuted(requests[0].spawn))
    assert machine.status("s") == "s stop/killed, process 4711"


def test_x81_a_stop_while_a_process_with_expect_is_made(machine: SimulatedMachine) -> None:
    machine.define("s", "expect fork\n" + SERVICE)
    requests = without_processes(machine)
    detached: List[int] = []
    machine.backend.detach = lambda request: detached.append(request.spawn)  # type: ignore[method-assign]
    machine.start("s")
    machine.stop("s")
    machine.feed(ProcessSpawned(requests[0].spawn, 4711))
    assert detached == [requests[0].spawn]
    assert "s state changed from spawned to stopping" in machine.lines("I")


def test_e48_main_ends_while_post_start_is_made(machine: SimulatedMachine) -> None:
    """It counts as running already: main's end is acted on when it has ended (X96)."""
    machine.define("s", "post-start exec true\n" + SERVICE)
    requests = without_processes(machine)
    machine.start("s")
    machine.feed(ProcessSpawned(requests[0].spawn, 4711))
    machine.feed(ProcessExecuted(requests[0].spawn))
    assert machine.status("s") == "s start/post-starting, process 4711"
    machine.feed(ProcessEnded(requests[0].spawn, 3))
    assert machine.status("s") == "s stop/post-starting"
    machine.feed(ProcessSpawned(requests[1].spawn, 4712))
    machine.feed(ProcessEnded(requests[1].spawn, 0))
    assert machine.status("s") == "s stop/waiting"


def test_e28_a_restart_while_pre_stop_is_made(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec true\n" + SERVICE)
    requests = without_processes(machine)
    machine.start("s")
    machine.feed(ProcessSpawned(requests[0].spawn, 4711))
    machine.feed(ProcessExecuted(requests[0].spawn))
    machine.restart("s")
    assert machine.status("s") == "s start/pre-stopping, process 4711"
    machine.feed(ProcessSpawned(requests[1].spawn, 4712))
    machine.feed(ProcessEnded(requests[1].spawn, 0))
    assert "s state changed from pre-stop to stopping" in machine.lines("I")


@pytest.mark.parametrize(("process", "expected"), [
    ("pre-start", "s stop/waiting"), ("main", "s stop/waiting"), ("post-start", "s start/running, process 4711"),
    ("pre-stop", "s stop/killed, process 4711"), ("post-stop", "s stop/waiting"),
])
def test_e20_a_process_that_could_never_be_made(machine: SimulatedMachine, process: str, expected: str) -> None:
    """X33: as any other spawn failure, only one state earlier."""
    machine.define("s", SERVICE if process == "main" else f"{process} exec nosuch\n{SERVICE}")
    requests = without_processes(machine)
    machine.start("s")
    if process in ("pre-start", "main"):
        machine.feed(ProcessSpawnFailed(requests[0].spawn, "unable to fork: no"))
        assert machine.events("stopped")[-1][2:] == ("RESULT=failed", f"PROCESS={process}")
    else:
        machine.feed(ProcessSpawned(requests[0].spawn, 4711))
        machine.feed(ProcessExecuted(requests[0].spawn))
        if process != "post-start":
            machine.stop("s")
        if process == "post-stop":
            machine.feed(ProcessEnded(requests[0].spawn, 15 << 8))
        machine.feed(ProcessSpawnFailed(requests[1].spawn, "unable to fork: no"))
    assert machine.status("s") == expected

"""What the end, the stop or the failed spawn of a process does (E7, E8, E20-E23, E32-E50, E57)."""
from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from compat.engine import actions
from compat.engine.actions import SpawnProcess
from compat.engine.inputs import (
    DefineJob,
    ProcessContinued,
    ProcessEnded,
    ProcessExecuted,
    ProcessForked,
    ProcessReplaced,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessStopped,
)
from compat.testing import SimulatedMachine

SERVICE = "exec sleep 100"
OK = ("JOB=s", "INSTANCE=", "RESULT=ok")
MISSING = "unable to execute: No such file or directory"


def failed(process: str, *more: str) -> Tuple[str, ...]:
    return ("JOB=s", "INSTANCE=", "RESULT=failed", "PROCESS=" + process, *more)


def end(machine: SimulatedMachine, process: str = "main", status: int = 0, signal: Optional[int] = None) -> None:
    found = machine.process("s", process)
    if signal is None:
        found.exit(status)
    else:
        found.killed_by(signal)
    machine.settle()


def failures(machine: SimulatedMachine) -> list:
    return [each.status for each in machine.announcements if isinstance(each, actions.JobFailed)]


# -- main -----------------------------------------------------------------------------------------------------


def test_e46_a_service_that_exits_0_is_ok(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    end(machine)
    assert machine.events("stopping") == machine.events("stopped") == [OK]
    assert failures(machine) == []
    assert "s main process (101) exited normally" in machine.lines("I")


def test_e92_a_service_that_exits_7_failed(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    end(machine, status=7)
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=7")]
    assert machine.lines("W") == ["s main process (101) terminated with status 7"]
    assert failures(machine) == [7]


def test_e92_death_by_a_signal_with_a_name(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    end(machine, signal=11)
    assert machine.events("stopped") == [failed("main", "EXIT_SIGNAL=SEGV")]
    assert machine.lines("W") == ["s main process (101) killed by SEGV signal"]
    assert failures(machine) == [11 << 8]


def test_e92_death_by_a_signal_without_a_name(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    end(machine, signal=40)
    assert machine.events("stopped") == [failed("main", "EXIT_SIGNAL=40")]
    assert machine.lines("W") == ["s main process (101) killed by signal 40"]


def test_e32_e46_normal_exit_status(machine: SimulatedMachine) -> None:
    machine.define("s", "normal exit 7\n" + SERVICE)
    machine.start("s")
    end(machine, status=7)
    assert machine.events("stopped") == [OK]
    assert machine.lines("W") == [] and "s main process (101) terminated with status 7" in machine.lines("I")


def test_e33_normal_exit_signal_is_an_info_line(machine: SimulatedMachine) -> None:
    machine.define("s", "normal exit TERM\n" + SERVICE)
    machine.start("s")
    end(machine, signal=15)
    assert machine.events("stopped") == [OK]
    assert machine.lines("W") == [] and "s main process (101) killed by TERM signal" in machine.lines("I")


def test_e33_normal_exit_15_does_not_mean_signal_15(machine: SimulatedMachine) -> None:
    machine.define("s", "normal exit 15\n" + SERVICE)
    machine.start("s")
    end(machine, signal=15)
    assert machine.events("stopped") == [failed("main", "EXIT_SIGNAL=TERM")]
    assert machine.lines("W") == ["s main process (101) killed by TERM signal"]


@pytest.mark.parametrize(("listed", "status"), [(False, 0), (True, 0), (False, 3), (True, 3), (False, 9 << 8), (True, 9 << 8)])
@pytest.mark.parametrize("kind", ["service", "service+respawn", "task", "task+respawn"])
def test_e46_table(machine: SimulatedMachine, kind: str, listed: bool, status: int) -> None:
    text = SERVICE
    if "task" in kind:
        text += "\ntask"
    if "respawn" in kind:
        text += "\nrespawn"
    if listed:
        text += "\nnormal exit " + ("KILL" if status > 255 else str(status))
    machine.define("s", text)
    start = machine.start("s")
    machine.feed(ProcessEnded(machine.process("s").request.spawn, status))
    if listed or (status == 0 and kind != "service+respawn"):
        expected = "ok"
    elif "respawn" in kind:
        expected = "respawn"
    else:
        expected = "failed"
    if expected == "respawn":
        assert machine.status("s") == "s start/running, process 102"
        assert machine.events("stopping") == [OK] and machine.events("stopped") == []
        assert not start.done if "task" in kind else start.ok
    else:
        assert machine.status("s") == "s stop/waiting"
        assert machine.events("stopped")[0][2] == "RESULT=" + expected
        assert start.ok == (expected == "ok" or kind == "service")


def test_e41_e42_main_ending_while_stopping_is_held_is_no_failure(machine: SimulatedMachine) -> None:
    machine.define("hold", "start on stopping s\ntask\nexec h")
    machine.define("s", SERVICE)
    machine.start("s")
    stop = machine.stop("s")
    end(machine, status=1)
    assert machine.status("s") == "s stop/stopping" and not stop.done
    machine.process("hold").exit()
    machine.settle()
    assert stop.ok and OK in machine.events("stopped")
    assert not any(line.startswith("Sending") for line in machine.lines("I"))
    assert failures(machine) == []


def test_e41_main_killed_by_the_stop_is_no_failure(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\n" + SERVICE)
    machine.start("s")
    assert machine.stop("s").ok
    assert failures(machine) == [] and machine.events("stopped") == [OK]


def test_e43_main_ending_in_pre_stop_of_a_stop_is_not_respawned(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npre-stop exec p\n" + SERVICE)
    machine.start("s")
    stop = machine.stop("s")
    end(machine, status=1)
    assert not stop.done and machine.status("s").startswith("s stop/pre-stop")
    end(machine, "pre-stop")
    assert stop.ok and machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [OK] and failures(machine) == []


def test_e43_main_ending_in_post_start_of_a_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-start exec p\n" + SERVICE)
    machine.start("s")
    stop = machine.stop("s")
    end(machine, status=1)
    assert machine.status("s").startswith("s stop/post-start")
    end(machine, "post-start")
    assert stop.ok and machine.events("stopped") == [OK]


def test_e48_main_ending_in_post_start_respawns_after_it(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-start exec p\n" + SERVICE)
    start = machine.start("s")
    end(machine, status=3)
    assert machine.status("s") == "s respawn/post-start, (post-start) process 102"
    assert not start.done
    end(machine, "post-start")
    assert machine.events("started") == [] and machine.process("s").pid == 103
    end(machine, "post-start")
    assert start.ok and machine.status("s") == "s start/running, process 103"


def test_e48_main_failing_in_post_start_fails_the_start_at_once(machine: SimulatedMachine) -> None:
    machine.define("s", "post-start exec p\n" + SERVICE)
    start = machine.start("s")
    end(machine, status=3)
    assert (start.error, start.message) == ("JobFailed", "Job failed to start")
    assert machine.status("s") == "s stop/post-start, (post-start) process 102"
    assert machine.events("stopping") == []
    end(machine, "post-start")
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=3")]
    assert machine.events("started") == []


def test_e48_main_ending_in_a_cancelled_pre_stop_respawns_after_it(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    machine.start_instance("s")
    end(machine, status=1)
    assert machine.status("s") == "s respawn/pre-stop, (pre-stop) process 102"
    end(machine, "pre-stop")
    assert machine.status("s") == "s start/running, process 103"


def test_e48_main_failing_in_a_cancelled_pre_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    start = machine.start_instance("s", wait=True)
    end(machine, status=1)
    assert start.error == "JobFailed" and machine.status("s").startswith("s stop/pre-stop")
    end(machine, "pre-stop")
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=1")]


def test_e49_an_expect_fork_program_that_exits_0_without_forking(machine: SimulatedMachine) -> None:
    machine.define("s", "expect fork\n" + SERVICE)
    start = machine.start("s")
    end(machine)
    assert start.ok and machine.events("stopped") == [OK] and machine.events("started") == []


def test_e50_main_ending_in_spawned_with_respawn_is_respawned(machine: SimulatedMachine) -> None:
    machine.define("s", "expect fork\nrespawn\n" + SERVICE)
    start = machine.start("s")
    end(machine, status=1)
    assert machine.lines("W")[-1] == "s main process ended, respawning"
    assert machine.status("s") == "s start/spawned, process 102"
    machine.process("s").fork()
    machine.settle()
    assert start.ok and machine.status("s") == "s start/running, process 103"


# -- expect ------------------------------------------------------------------------------------------------------


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


# -- pre-start, post-start, pre-stop, post-stop, security -----------------------------------------------------------


def test_e37_e14_a_failing_pre_start(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec false\npost-stop exec p\n" + SERVICE)
    start = machine.start("s")
    end(machine, "pre-start", 1)
    assert (start.error, start.message) == ("JobFailed", "Job failed to start")
    assert machine.status("s") == "s stop/post-stop, process 102"
    end(machine, "post-stop")
    assert machine.events("stopping") == machine.events("stopped") == [failed("pre-start", "EXIT_STATUS=1")]


def test_e37_pre_start_killed(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec false\n" + SERVICE)
    assert machine.start("s").done is False
    end(machine, "pre-start", signal=9)
    assert machine.events("stopped") == [failed("pre-start", "EXIT_SIGNAL=KILL")]


def test_e37_pre_start_does_not_consult_normal_exit(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec false\nnormal exit 5\n" + SERVICE)
    start = machine.start("s")
    end(machine, "pre-start", 5)
    assert start.error == "JobFailed" and machine.events("stopped") == [failed("pre-start", "EXIT_STATUS=5")]
    assert machine.lines("W") == [], "E32: the priority rule applies to every process"


def test_e38_post_start_and_pre_stop_results_do_not_matter(machine: SimulatedMachine) -> None:
    machine.define("s", "post-start exec p\npre-stop exec q\n" + SERVICE)
    start = machine.start("s")
    end(machine, "post-start", 1)
    assert start.ok and machine.status("s") == "s start/running, process 101"
    stop = machine.stop("s")
    end(machine, "pre-stop", signal=9)
    assert stop.ok and machine.events("stopped") == [OK]
    assert failures(machine) == []


def test_e39_a_failing_post_stop_shows_in_stopped_only(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    stop = machine.stop("s")
    end(machine, "post-stop", 1)
    assert (stop.error, stop.message) == ("JobFailed", "Job failed while stopping")
    assert machine.events("stopping") == [OK]
    assert machine.events("stopped") == [failed("post-stop", "EXIT_STATUS=1")]


def test_e39_a_failing_post_stop_ends_a_restart(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    restart = machine.restart("s")
    end(machine, "post-stop", 1)
    assert (restart.error, restart.message) == ("JobFailed", "Job failed to restart")
    assert machine.status("s") == "s stop/waiting"
    assert "s goal changed from start to stop" in machine.lines("I")[-8:]


def test_e39_a_failing_post_stop_ends_a_respawn(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-stop exec p\n" + SERVICE)
    machine.start("s")
    end(machine, status=1)
    end(machine, "post-stop", 1)
    assert machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [failed("post-stop", "EXIT_STATUS=1")]


def test_e8_only_the_first_failure_of_a_run_is_recorded(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    end(machine, status=1)
    end(machine, "post-stop", 2)
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=1")]
    assert failures(machine) == [1]


def test_e8_a_later_failure_leaves_the_owners_alone(machine: SimulatedMachine) -> None:
    """A start that arrives while a failed run stops is not failed by that run's post-stop: it is cancelled by it (E39)."""
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    end(machine, status=1)
    start = machine.start("s")
    assert not start.done
    end(machine, "post-stop", 2)
    assert machine.status("s") == "s stop/waiting"
    assert start.ok, "released as success on entering waiting (E107)"


def test_e18_the_failure_record_is_cleared_in_starting(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    end(machine, status=1)
    machine.start("s")
    end(machine, "post-stop")
    assert machine.status("s") == "s start/running, process 103"
    machine.stop("s")
    end(machine, "post-stop")
    assert machine.events("stopping") == [failed("main", "EXIT_STATUS=1"), OK]
    assert machine.events("stopped") == [OK]


def secure() -> SimulatedMachine:
    """A machine with AppArmor and a job with a security process."""
    machine = SimulatedMachine(apparmor=True)
    machine.define("s", SERVICE)
    definition = machine.engine.job("s").definition
    processes = definition.processes[:5] + (definition.processes[0]._replace(command="load-profile"),)
    machine.feed(DefineJob("s", definition._replace(processes=processes)))
    return machine


def test_e40_the_result_of_security_does_not_matter() -> None:
    machine = secure()
    start = machine.start("s")
    assert machine.status("s") == "s start/security, (security) process 101"
    end(machine, "security", 1)
    assert start.ok and machine.status("s") == "s start/running, process 102"


def test_e21_a_security_process_that_cannot_be_spawned_ends_the_start() -> None:
    machine = secure()
    machine.backend.failing["load-profile"] = MISSING
    start = machine.start("s")
    assert start.error == "JobFailed" and machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [failed("security")]


def test_e18_security_is_skipped_without_apparmor() -> None:
    machine = secure()
    definition = machine.engine.job("s").definition
    plain = SimulatedMachine()
    plain.feed(DefineJob("s", definition))
    assert plain.start("s").ok and plain.status("s") == "s start/running, process 101"


# -- what cannot be spawned (E20, E22) ---------------------------------------------------------------------------------


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


def test_e36_ends_of_unknown_processes_are_ignored(machine: SimulatedMachine) -> None:
    for happened in (ProcessEnded(99, 0), ProcessSpawned(99, 5), ProcessForked(99, 6), ProcessReplaced(99), ProcessSpawnFailed(99, "x")):
        machine.feed(happened)
    assert machine.transcript == []


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

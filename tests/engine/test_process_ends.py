"""What the end of a process does (E7, E8, E32-E50)."""
from __future__ import annotations

import pytest

from compat.engine.inputs import DefineJob, ProcessEnded, ProcessForked, ProcessReplaced, ProcessSpawned, ProcessSpawnFailed
from compat.testing import SimulatedMachine
from tests.engine.observed import MISSING, OK, SERVICE, ends, failed, failures


def test_e46_a_service_that_exits_0_is_ok(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    ends(machine)
    assert machine.events("stopping") == machine.events("stopped") == [OK]
    assert failures(machine) == []
    assert "s main process (101) exited normally" in machine.lines("I")


def test_e92_a_service_that_exits_7_failed(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    ends(machine, status=7)
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=7")]
    assert machine.lines("W") == ["s main process (101) terminated with status 7"]
    assert failures(machine) == [7]


def test_e92_death_by_a_signal_with_a_name(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    ends(machine, signal=11)
    assert machine.events("stopped") == [failed("main", "EXIT_SIGNAL=SEGV")]
    assert machine.lines("W") == ["s main process (101) killed by SEGV signal"]
    assert failures(machine) == [11 << 8]


def test_e92_death_by_a_signal_without_a_name(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    ends(machine, signal=40)
    assert machine.events("stopped") == [failed("main", "EXIT_SIGNAL=40")]
    assert machine.lines("W") == ["s main process (101) killed by signal 40"]


def test_e32_e46_normal_exit_status(machine: SimulatedMachine) -> None:
    machine.define("s", "normal exit 7\n" + SERVICE)
    machine.start("s")
    ends(machine, status=7)
    assert machine.events("stopped") == [OK]
    assert machine.lines("W") == [] and "s main process (101) terminated with status 7" in machine.lines("I")


def test_e33_normal_exit_signal_is_an_info_line(machine: SimulatedMachine) -> None:
    machine.define("s", "normal exit TERM\n" + SERVICE)
    machine.start("s")
    ends(machine, signal=15)
    assert machine.events("stopped") == [OK]
    assert machine.lines("W") == [] and "s main process (101) killed by TERM signal" in machine.lines("I")


def test_e33_normal_exit_15_does_not_mean_signal_15(machine: SimulatedMachine) -> None:
    machine.define("s", "normal exit 15\n" + SERVICE)
    machine.start("s")
    ends(machine, signal=15)
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
    ends(machine, status=1)
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
    ends(machine, status=1)
    assert not stop.done and machine.status("s").startswith("s stop/pre-stop")
    ends(machine, "pre-stop")
    assert stop.ok and machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [OK] and failures(machine) == []


def test_e43_main_ending_in_post_start_of_a_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-start exec p\n" + SERVICE)
    machine.start("s")
    stop = machine.stop("s")
    ends(machine, status=1)
    assert machine.status("s").startswith("s stop/post-start")
    ends(machine, "post-start")
    assert stop.ok and machine.events("stopped") == [OK]


def test_e48_main_ending_in_post_start_respawns_after_it(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-start exec p\n" + SERVICE)
    start = machine.start("s")
    ends(machine, status=3)
    assert machine.status("s") == "s respawn/post-start, (post-start) process 102"
    assert not start.done
    ends(machine, "post-start")
    assert machine.events("started") == [] and machine.process("s").pid == 103
    ends(machine, "post-start")
    assert start.ok and machine.status("s") == "s start/running, process 103"


def test_e48_main_failing_in_post_start_fails_the_start_at_once(machine: SimulatedMachine) -> None:
    machine.define("s", "post-start exec p\n" + SERVICE)
    start = machine.start("s")
    ends(machine, status=3)
    assert (start.error, start.message) == ("JobFailed", "Job failed to start")
    assert machine.status("s") == "s stop/post-start, (post-start) process 102"
    assert machine.events("stopping") == []
    ends(machine, "post-start")
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=3")]
    assert machine.events("started") == []


def test_e48_main_ending_in_a_cancelled_pre_stop_respawns_after_it(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    machine.start_instance("s")
    ends(machine, status=1)
    assert machine.status("s") == "s respawn/pre-stop, (pre-stop) process 102"
    ends(machine, "pre-stop")
    assert machine.status("s") == "s start/running, process 103"


def test_e48_main_failing_in_a_cancelled_pre_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    start = machine.start_instance("s", wait=True)
    ends(machine, status=1)
    assert start.error == "JobFailed" and machine.status("s").startswith("s stop/pre-stop")
    ends(machine, "pre-stop")
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=1")]


def test_e49_an_expect_fork_program_that_exits_0_without_forking(machine: SimulatedMachine) -> None:
    machine.define("s", "expect fork\n" + SERVICE)
    start = machine.start("s")
    ends(machine)
    assert start.ok and machine.events("stopped") == [OK] and machine.events("started") == []


def test_e50_main_ending_in_spawned_with_respawn_is_respawned(machine: SimulatedMachine) -> None:
    machine.define("s", "expect fork\nrespawn\n" + SERVICE)
    start = machine.start("s")
    ends(machine, status=1)
    assert machine.lines("W")[-1] == "s main process ended, respawning"
    assert machine.status("s") == "s start/spawned, process 102"
    machine.process("s").fork()
    machine.settle()
    assert start.ok and machine.status("s") == "s start/running, process 103"


# -- pre-start, post-start, pre-stop, post-stop, security -----------------------------------------------------------


def test_e37_e14_a_failing_pre_start(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec false\npost-stop exec p\n" + SERVICE)
    start = machine.start("s")
    ends(machine, "pre-start", 1)
    assert (start.error, start.message) == ("JobFailed", "Job failed to start")
    assert machine.status("s") == "s stop/post-stop, process 102"
    ends(machine, "post-stop")
    assert machine.events("stopping") == machine.events("stopped") == [failed("pre-start", "EXIT_STATUS=1")]


def test_e37_pre_start_killed(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec false\n" + SERVICE)
    assert machine.start("s").done is False
    ends(machine, "pre-start", signal=9)
    assert machine.events("stopped") == [failed("pre-start", "EXIT_SIGNAL=KILL")]


def test_e37_pre_start_does_not_consult_normal_exit(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec false\nnormal exit 5\n" + SERVICE)
    start = machine.start("s")
    ends(machine, "pre-start", 5)
    assert start.error == "JobFailed" and machine.events("stopped") == [failed("pre-start", "EXIT_STATUS=5")]
    assert machine.lines("W") == [], "E32: the priority rule applies to every process"


def test_e38_post_start_and_pre_stop_results_do_not_matter(machine: SimulatedMachine) -> None:
    machine.define("s", "post-start exec p\npre-stop exec q\n" + SERVICE)
    start = machine.start("s")
    ends(machine, "post-start", 1)
    assert start.ok and machine.status("s") == "s start/running, process 101"
    stop = machine.stop("s")
    ends(machine, "pre-stop", signal=9)
    assert stop.ok and machine.events("stopped") == [OK]
    assert failures(machine) == []


def test_e39_a_failing_post_stop_shows_in_stopped_only(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    stop = machine.stop("s")
    ends(machine, "post-stop", 1)
    assert (stop.error, stop.message) == ("JobFailed", "Job failed while stopping")
    assert machine.events("stopping") == [OK]
    assert machine.events("stopped") == [failed("post-stop", "EXIT_STATUS=1")]


def test_e39_a_failing_post_stop_ends_a_restart(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    restart = machine.restart("s")
    ends(machine, "post-stop", 1)
    assert (restart.error, restart.message) == ("JobFailed", "Job failed to restart")
    assert machine.status("s") == "s stop/waiting"
    assert "s goal changed from start to stop" in machine.lines("I")[-8:]


def test_e39_a_failing_post_stop_ends_a_respawn(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\npost-stop exec p\n" + SERVICE)
    machine.start("s")
    ends(machine, status=1)
    ends(machine, "post-stop", 1)
    assert machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [failed("post-stop", "EXIT_STATUS=1")]


def test_e8_only_the_first_failure_of_a_run_is_recorded(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    ends(machine, status=1)
    ends(machine, "post-stop", 2)
    assert machine.events("stopped") == [failed("main", "EXIT_STATUS=1")]
    assert failures(machine) == [1]


def test_e8_a_later_failure_leaves_the_owners_alone(machine: SimulatedMachine) -> None:
    """A start that arrives while a failed run stops is not failed by that run's post-stop: it is cancelled by it (E39)."""
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    ends(machine, status=1)
    start = machine.start("s")
    assert not start.done
    ends(machine, "post-stop", 2)
    assert machine.status("s") == "s stop/waiting"
    assert start.ok, "released as success on entering waiting (E107)"


def test_e18_the_failure_record_is_cleared_in_starting(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    ends(machine, status=1)
    machine.start("s")
    ends(machine, "post-stop")
    assert machine.status("s") == "s start/running, process 103"
    machine.stop("s")
    ends(machine, "post-stop")
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
    ends(machine, "security", 1)
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


# -- of nobody's ----------------------------------------------------------------------------------------------------


def test_e36_ends_of_unknown_processes_are_ignored(machine: SimulatedMachine) -> None:
    for happened in (ProcessEnded(99, 0), ProcessSpawned(99, 5), ProcessForked(99, 6), ProcessReplaced(99), ProcessSpawnFailed(99, "x")):
        machine.feed(happened)
    assert machine.transcript == []

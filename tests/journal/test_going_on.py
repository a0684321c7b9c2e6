"""What a daemon makes of what the one before it left behind, case by case (B204, X260, D208-D214)."""
from __future__ import annotations

from typing import Any, Dict

import pytest

from compat.engine import inputs
from compat.parser import parse_job

from .mortal_machine import Killed, MortalMachine

SCRIPTS = "pre-start exec pre\npost-start exec post\npre-stop exec prestop\npost-stop exec poststop\n"


@pytest.fixture
def machine() -> MortalMachine:
    return MortalMachine()


def die_of(machine: MortalMachine, step: int, happened: Any) -> None:
    """Let the daemon die before it carries out the action with this number after an input."""
    machine.dies_at = machine.steps + step
    with pytest.raises(Killed):
        machine.feed(happened)


def test_x260_a_running_job_keeps_pid_goal_state_and_environment(machine: MortalMachine) -> None:
    machine.define("web", "instance $ID\nexec web")
    machine.start("web", "ID=1", "COLOUR=red")
    process = machine.process("web", instance="1")
    machine.restart_daemon()
    assert machine.status("web", "1") == f"web (1) start/running, process {process.pid}"
    assert machine.engine.get_env("web", "1", "COLOUR") == "red"
    assert machine.process("web", instance="1") is process
    machine.stop("web", "ID=1")
    assert not process.alive and machine.status("web", "1") == "web stop/waiting"


@pytest.mark.parametrize(("state", "process"), [
    ("pre-start", "pre-start"), ("post-start", "post-start"), ("pre-stop", "pre-stop"), ("post-stop", "post-stop")])
def test_d209_d230_a_script_that_runs_drives_the_job_on(machine: MortalMachine, state: str, process: str) -> None:
    machine.define("web", "exec web\n" + SCRIPTS)
    machine.start("web", wait=False)
    for earlier in ("pre-start", "post-start", "pre-stop", "post-stop"):
        if earlier == "pre-stop":
            machine.stop("web", wait=False)
        if earlier == process:
            break
        machine.process("web", earlier).exit()
        machine.settle()
    before = machine.status("web")
    assert f"/{state}" in before
    machine.restart_daemon()
    assert machine.status("web") == before
    machine.process("web", process).exit()
    machine.settle()
    assert f"/{state}" not in machine.status("web")


def test_d210_d232_the_kill_timer_goes_on_with_the_time_that_was_left(machine: MortalMachine) -> None:
    machine.define("web", "exec web\nkill timeout 10")
    machine.start("web")
    process = machine.process("web")
    process.ignores = (15,)
    machine.stop("web", wait=False)
    machine.advance(6)
    machine.restart_daemon()
    machine.advance(3)
    assert process.alive and process.received == [15]
    machine.advance(1)
    assert process.received == [15, 9] and machine.status("web") == "web stop/waiting"


def test_e59_what_was_not_known_to_be_signalled_is_signalled(machine: MortalMachine) -> None:
    machine.define("web", "exec web")
    machine.start("web")
    process = machine.process("web")
    process.ignores = (15,)
    stop = inputs.StopJob(1, "web", (), False)
    for step in range(1, 40):
        die_of(machine, step, stop)
        machine.restart_daemon()
        if machine.status("web").startswith("web stop/"):
            break
    machine.advance(4)
    assert set(process.received) == {15} and process.alive
    machine.advance(2)
    assert process.received[-1] == 9 and machine.status("web") == "web stop/waiting"


def test_e59_after_the_kill_timeout_the_kill_is_repeated(machine: MortalMachine) -> None:
    machine.define("web", "exec web\nkill timeout 1")
    machine.start("web")
    process = machine.process("web")
    process.ignores = (15,)
    machine.stop("web", wait=False)
    machine.backend.vanished.clear()
    deliver = process.deliver
    process.deliver = lambda number: process.received.append(number)  # type: ignore[method-assign]
    machine.advance(2)
    assert process.received == [15, 9]
    process.deliver = deliver  # type: ignore[method-assign]
    machine.restart_daemon()
    assert process.received[-1] == 9 and machine.status("web") == "web stop/waiting"


def test_b204_what_never_ran_is_started_and_what_ran_is_not(machine: MortalMachine) -> None:
    machine.define("web", "exec web")
    for step in range(1, 60):
        die_of(machine, step, inputs.StartJob(1, "web", (), False))
        machine.restart_daemon()
        ran = [each for each in machine.backend.processes.values() if each.ran]
        if machine.status("web") != "web stop/waiting":
            assert len(ran) == 1 and machine.status("web") == f"web start/running, process {ran[0].pid}"
            machine.stop("web")
            break
        assert ran == []


def test_x260_an_end_that_nobody_saw_is_a_failure_without_a_status(machine: MortalMachine) -> None:
    machine.define("web", "exec web")
    machine.start("web")
    machine.process("web").exit(0)
    machine.backend.ends.clear()
    machine.restart_daemon()
    assert machine.status("web") == "web stop/waiting"
    assert machine.events("stopped")[-1] == ("JOB=web", "INSTANCE=", "RESULT=failed", "PROCESS=main")


def test_x260_an_end_that_nobody_saw_is_good_if_the_job_was_to_stop(machine: MortalMachine) -> None:
    machine.define("web", "exec web")
    machine.start("web")
    process = machine.process("web")
    process.ignores = (15,)
    machine.stop("web", wait=False)
    process.exit(1)
    machine.backend.ends.clear()
    machine.restart_daemon()
    assert machine.events("stopped")[-1] == ("JOB=web", "INSTANCE=", "RESULT=ok")


def test_x260_d237_a_respawning_service_respawns_and_that_counts(machine: MortalMachine) -> None:
    machine.define("web", "exec web\nrespawn\nrespawn limit 2 60")
    machine.start("web")
    for _ in range(2):
        machine.process("web").exit(0)
        machine.backend.ends.clear()
        machine.restart_daemon()
        assert machine.status("web").startswith("web start/running")
    machine.process("web").exit(0)
    machine.backend.ends.clear()
    machine.restart_daemon()
    assert machine.status("web") == "web stop/waiting"
    assert "web respawning too fast, stopped" in machine.lines("W")


def test_d213_d234_who_waits_for_whom_is_kept(machine: MortalMachine) -> None:
    machine.define("db", "exec db")
    machine.define("check", "task\nstart on starting db\nexec check")
    machine.start("db", wait=False)
    assert machine.status("db") == "db start/starting"
    machine.restart_daemon()
    assert machine.status("db") == "db start/starting" and machine.status("check").startswith("check start/running")
    machine.process("check").exit(0)
    machine.settle()
    assert machine.status("db").startswith("db start/running")
    assert len(machine.events("starting")) == 1, "of db; that of check was before"


def test_d235_an_event_that_was_not_handled_is_handled_once(machine: MortalMachine) -> None:
    machine.define("web", "start on go\nexec web")
    machine.define("job", "start on started web\ntask\nexec job")
    die_of(machine, 1, inputs.EmitEvent(None, "go"))
    machine.restart_daemon()
    assert machine.status("web").startswith("web start/running") and machine.status("job").startswith("job start/running")
    machine.process("job").exit()
    machine.settle()
    machine.restart_daemon()
    assert machine.status("job") == "job stop/waiting"


def test_b204_an_event_that_only_a_caller_held_is_finished(machine: MortalMachine) -> None:
    machine.define("slow", "start on go\ntask\nexec slow")
    machine.emit("go", wait=True)
    machine.restart_daemon()
    machine.process("slow").exit(1)
    machine.settle()
    assert machine.events("go") == [()] and machine.events("go/failed") == [()]
    assert machine.engine.held_events() == []


def test_d212_half_true_conditions_are_kept(machine: MortalMachine) -> None:
    machine.define("web", "start on a and b\nstop on c and d\nexec web")
    machine.emit("a", wait=False)
    machine.restart_daemon()
    machine.emit("b")
    assert machine.status("web").startswith("web start/running")
    machine.emit("c", wait=False)
    machine.restart_daemon()
    machine.emit("d", wait=False)
    assert machine.status("web") == "web stop/waiting"


def test_d214_d240_the_old_definition_lasts_until_the_stop(machine: MortalMachine) -> None:
    machine.define("web", "exec old")
    machine.define("gone", "exec gone")
    machine.start("web")
    machine.start("gone")
    machine.files["web"] = parse_job(b"exec new")
    del machine.files["gone"]
    machine.restart_daemon()
    machine.restart("web")
    assert machine.process("web").command == "old"
    machine.stop("web")
    machine.start("web")
    assert machine.process("web").command == "new"
    machine.stop("gone")
    assert machine.status("gone") == "Unknown job: gone"


def test_e83_instances_keep_their_order(machine: MortalMachine) -> None:
    machine.define("web", "instance $ID\nexec web")
    for name in ("5", "22", "3", "19", "4"):
        machine.start("web", f"ID={name}")
    before = machine.engine.job("web").instance_names()
    machine.restart_daemon()
    assert machine.engine.job("web").instance_names() == before


def test_x21_descriptors_of_events_end_with_the_daemon(machine: MortalMachine) -> None:
    machine.define("web", "start on go\nexec web\nrespawn")
    machine.emit("go", fd=77)
    machine.restart_daemon()
    machine.process("web").exit()
    machine.settle()
    assert machine.process("web").request.fds == () and machine.process("web").environment["UPSTART_FDS"] == "77"
    machine.stop("web")
    assert machine.closed_descriptors == []


def test_d208_set_env_is_kept_until_it_is_reset(machine: MortalMachine) -> None:
    def global_table() -> Dict[str, str]:
        return dict(entry.split("=", 1) for entry in machine.engine.list_env(None, None))

    default = global_table()
    machine.request(lambda call: inputs.SetEnv(call, None, None, ("COLOUR=red",), True))
    machine.restart_daemon()
    assert global_table() == {**default, "COLOUR": "red"}
    machine.request(lambda call: inputs.ResetEnv(call, None, None))
    machine.environment["PATH"] = "/elsewhere"
    machine.restart_daemon()
    assert global_table() == {**default, "PATH": "/elsewhere"}


def test_b204_numbers_of_spawns_are_not_given_twice(machine: MortalMachine) -> None:
    machine.define("web", "exec web")
    machine.start("web")
    machine.stop("web")
    used = set(machine.backend.processes)
    machine.restart_daemon()
    machine.start("web")
    assert used.isdisjoint(machine.backend.processes)


def test_b204_a_crash_while_going_on_loses_nothing(machine: MortalMachine) -> None:
    machine.define("web", "instance $ID\nexec web")
    for name in "123":
        machine.start("web", f"ID={name}")
    pids = [machine.process("web", instance=name).pid for name in "123"]
    for step in range(1, 30):
        restore = machine.new_daemon()
        machine.dies_at = machine.steps + step
        try:
            machine.supervisor.feed(restore)
        except Killed:
            continue
        break
    machine.restart_daemon()
    assert [machine.process("web", instance=name).pid for name in "123"] == pids

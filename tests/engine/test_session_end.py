"""The end of a session (D160-D170, E56)."""
from __future__ import annotations

import pytest

from compat.engine.inputs import Quiesce
from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE


def took(machine: SimulatedMachine) -> str:
    """The closing line's duration; the session must have ended."""
    assert machine.ended
    line, = [line for line in machine.lines("I") if line.startswith("Quiesce ")]
    return line.partition(" sequence took ")[2]


def stubborn(machine: SimulatedMachine, job: str, *signals: int) -> None:
    machine.process(job).ignores = signals


@pytest.mark.parametrize("reason", ["logout", "shutdown"])
def test_d167_a_session_without_jobs_ends_at_once(machine: SimulatedMachine, reason: str) -> None:
    machine.define("s", SERVICE)
    machine.feed(Quiesce(reason))
    assert machine.lines("I") == [
        f"Quiescing due to {reason} request", "Handling session-end event", f"Quiesce {reason} sequence took <1 second"]
    assert machine.ended and machine.events("session-end") == [("TYPE=" + reason,)]


@pytest.mark.parametrize("reason", ["logout", "shutdown"])
def test_d163_stops_are_requested_before_the_event_is_handled(machine: SimulatedMachine, reason: str) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.feed(Quiesce(reason))
    lines = machine.lines("I")
    assert lines.index("s goal changed from start to stop") < lines.index("Handling session-end event")
    assert machine.status("s") == "s stop/waiting" and took(machine) == "<1 second"


def test_d162_only_the_first_request_counts(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.feed(Quiesce("logout"))
    machine.transcript.clear()
    machine.feed(Quiesce("shutdown"))
    assert machine.transcript == [] and not machine.ended


def test_e56_a_main_process_that_dies_is_not_respawned(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nexport X\n" + SERVICE)
    machine.define("late", "start on session-end\nrespawn\n" + SERVICE)
    machine.start("s")
    stubborn(machine, "s", 15)
    machine.feed(Quiesce("logout"))
    assert machine.status("late").startswith("late start/running")
    machine.process("late").exit(0)
    machine.settle()
    assert machine.status("late") == "late stop/waiting"
    assert ("JOB=late", "INSTANCE=", "RESULT=failed", "PROCESS=main", "EXIT_STATUS=0") in machine.events("stopped")
    machine.process("s").exit(0)
    machine.settle()
    assert took(machine) == "<1 second"


def test_d165_a_logout_gives_session_end_jobs_five_seconds(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.define("saver", "start on session-end\n" + SERVICE)
    machine.start("s")
    machine.feed(Quiesce("logout"))
    assert machine.status("s") == "s stop/waiting", "existing instances are stopped now"
    saver = machine.process("saver")
    machine.advance(4.5)
    assert saver.received == [] and not machine.ended
    machine.advance(1)
    assert saver.received == [15] and took(machine) == "5 seconds"


def test_d165_a_session_end_job_that_is_quick(machine: SimulatedMachine) -> None:
    machine.define("saver", "task\nstart on session-end\n" + SERVICE)
    machine.feed(Quiesce("logout"))
    machine.advance(1.5)
    assert not machine.ended
    machine.process("saver").exit()
    machine.settle()
    assert took(machine) == "1 second"


@pytest.mark.parametrize(("condition", "waits"), [
    ("session-end TYPE=shutdown", False), ("session-end TYPE=logout", True), ("session-end and never", True), ("session-end", True),
    ("session-end TYPE=log*", True)])
def test_d164_which_jobs_care(machine: SimulatedMachine, condition: str, waits: bool) -> None:
    machine.define("s", f"start on {condition}\n" + SERVICE)
    machine.define("other", "kill timeout 20\n" + SERVICE)
    machine.start("other")
    stubborn(machine, "other", 15)
    machine.feed(Quiesce("logout"))
    machine.advance(10)
    # Without a wait phase the kill phase began at once, and its limit is the longest kill timeout.
    other = machine.start("other", wait=False)
    assert other.error == "JobFailed"
    machine.advance(10.5 if not waits else 0)
    assert machine.ended is not waits


def test_d166_kill_phase_waits_as_long_as_the_longest_kill_timeout(machine: SimulatedMachine) -> None:
    machine.define("s", "kill timeout 8\n" + SERVICE)
    machine.start("s")
    process = machine.process("s")
    stubborn(machine, "s", 15)
    machine.feed(Quiesce("shutdown"))
    machine.advance(7.5)
    assert process.received == [15] and not machine.ended
    machine.advance(1)
    assert process.received == [15, 9] and took(machine) == "8 seconds"


def test_d166_d169_what_is_left_is_warned_of_and_killed(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.feed(Quiesce("shutdown"))
    main, pre_stop = machine.process("s"), machine.process("s", "pre-stop")
    machine.advance(5.5)
    assert not machine.ended
    machine.advance(1)
    assert machine.lines("W")[0] == "job s failed to stop"
    assert main.received == pre_stop.received == [9] and took(machine) == "6 seconds"


def test_d169_a_job_that_session_end_starts_at_shutdown_is_killed_at_the_end(machine: SimulatedMachine) -> None:
    machine.define("late", "start on session-end\n" + SERVICE)
    machine.define("s", SERVICE)
    machine.start("s")
    machine.feed(Quiesce("shutdown"))
    process = machine.process("late")
    machine.advance(5.5)
    assert process.received == [] and not machine.ended
    machine.advance(1)
    assert process.received == [9] and took(machine) == "6 seconds"


def test_d169_starts_are_refused_in_the_kill_phase_only(machine: SimulatedMachine) -> None:
    machine.define("saver", "start on session-end\n" + SERVICE)
    machine.define("s", SERVICE)
    machine.define("i", "post-stop exec p\n" + SERVICE)
    machine.start("i")
    machine.feed(Quiesce("logout"))
    assert machine.start("s").ok
    machine.advance(5)
    call = machine.start("s")
    assert (call.error, call.message) == ("JobFailed", "Job failed to start: the session is ending")
    assert machine.start_instance("i").error == "JobFailed"


def test_d170_the_worst_case_of_a_logout(machine: SimulatedMachine) -> None:
    machine.define("saver", "start on session-end\npre-stop exec p\n" + SERVICE)
    machine.feed(Quiesce("logout"))
    machine.advance(10.5)
    assert not machine.ended
    machine.advance(0.6)
    assert took(machine) == "11 seconds"


def test_d170_instances_without_a_process_do_not_delay(machine: SimulatedMachine) -> None:
    machine.define("s", "task\n")
    machine.start("s")
    machine.feed(Quiesce("shutdown"))
    assert took(machine) == "<1 second"


def test_d165_post_stop_of_a_job_without_a_process_still_runs(machine: SimulatedMachine) -> None:
    machine.define("saver", "start on session-end\npost-stop exec p")
    machine.feed(Quiesce("logout"))
    machine.advance(1)
    assert not machine.ended
    machine.process("saver", "post-stop").exit()
    machine.settle()
    assert took(machine) == "1 second"


def test_d168_nothing_ticks_after_the_end(machine: SimulatedMachine) -> None:
    machine.feed(Quiesce("logout"))
    machine.transcript.clear()
    machine.advance(100)
    assert machine.transcript == []


def test_d166_an_instance_that_a_condition_holds_without_a_process_does_not_delay(machine: SimulatedMachine) -> None:
    machine.define("s", "exec sleep 100")
    machine.define("half", "start on stopping s and never")
    machine.start("s")
    machine.stop("s")
    machine.process("s").exit()
    machine.settle()
    assert machine.status("s") == "s stop/stopping"
    machine.feed(Quiesce("shutdown"))
    assert not machine.ended
    machine.advance(1)
    assert took(machine) == "1 second"

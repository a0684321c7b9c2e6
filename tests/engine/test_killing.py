"""The kill signal, the kill timer, and processes that are gone or cannot be signalled (E58-E63, X80)."""
from __future__ import annotations

from typing import Any, List

from compat.engine.actions import SignalProcess
from compat.engine.inputs import TimerFired
from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE

OK = ("JOB=s", "INSTANCE=", "RESULT=ok")


def requests(machine: SimulatedMachine) -> List[SignalProcess]:
    """From now on: every signal that the engine asks for."""
    out: List[SignalProcess] = []
    inner = machine.backend.signal

    def signal(request: Any) -> None:
        out.append(request)
        inner(request)

    machine.backend.signal = signal  # type: ignore[method-assign]
    return out


def test_e58_term_to_the_group_of_main(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    sent = requests(machine)
    machine.stop("s")
    assert [(each.signal, each.group) for each in sent] == [(15, True)]
    assert "Sending TERM signal to s main process (101)" in machine.lines("I")


def test_e58_kill_signal(machine: SimulatedMachine) -> None:
    machine.define("s", "kill signal INT\n" + SERVICE)
    machine.start("s")
    process = machine.process("s")
    machine.stop("s")
    assert process.received == [2]
    assert "Sending INT signal to s main process (101)" in machine.lines("I")


def test_e58_only_main_is_signalled(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\npost-stop exec q\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    for process in ("pre-stop", "post-stop"):
        running = machine.process("s", process)
        machine.advance(1000)
        assert running.received == []
        running.exit()
        machine.settle()
    assert machine.status("s") == "s stop/waiting"


def test_e59_kill_after_the_timeout(machine: SimulatedMachine) -> None:
    machine.define("s", "kill timeout 1\n" + SERVICE)
    machine.start("s")
    process = machine.process("s")
    process.ignores = (15,)
    stop = machine.stop("s")
    machine.advance(0.9)
    assert process.received == [15] and machine.status("s") == "s stop/killed, process 101"
    machine.advance(0.2)
    assert process.received == [15, 9] and stop.ok
    sending = machine.lines("I").index("Sending TERM signal to s main process (101)")
    assert machine.lines("I")[sending + 1:sending + 3] == [
        "Sending KILL signal to s main process (101)", "s state changed from killed to post-stopping"]
    assert machine.lines("W") == ["s main process (101) killed by KILL signal"]
    assert machine.events("stopped") == [OK]


def test_e59_the_default_timeout_is_five_seconds(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    process = machine.process("s")
    process.ignores = (15,)
    machine.stop("s")
    machine.advance(4.9)
    assert process.received == [15]
    machine.advance(0.2)
    assert process.received == [15, 9]


def test_e59_there_is_no_second_timer(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    process = machine.process("s")
    machine.backend.refused_signals = {15: "Operation not permitted", 9: "Operation not permitted"}
    machine.stop("s")
    machine.advance(10000)
    assert process.alive and machine.status("s") == "s stop/killed, process 101"
    assert [line for line in machine.lines("I") if line.startswith("Sending")] == [
        "Sending TERM signal to s main process (101)", "Sending KILL signal to s main process (101)"]


def test_e35_the_end_of_main_cancels_the_timer(machine: SimulatedMachine) -> None:
    machine.define("s", "kill timeout 5\n" + SERVICE)
    machine.start("s")
    machine.stop("s")
    machine.start("s")
    second = machine.process("s")
    machine.advance(60)
    assert second.received == [] and machine.status("s") == "s start/running, process 102"


def test_e59_a_timer_of_an_earlier_life_does_not_hit_the_next(machine: SimulatedMachine) -> None:
    machine.define("s", "kill timeout 5\n" + SERVICE)
    machine.start("s")
    machine.process("s").ignores = (15,)
    restart = machine.restart("s")
    machine.advance(3)
    machine.process("s").exit()
    machine.settle()
    assert restart.ok
    machine.process("s").ignores = (15,)
    machine.stop("s")
    machine.advance(4)
    assert machine.status("s") == "s stop/killed, process 102"
    machine.advance(1)
    assert machine.status("s") == "s stop/waiting"


def test_e61_what_cannot_be_signalled_is_said(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.backend.refused_signals = {15: "Operation not permitted"}
    machine.stop("s")
    assert machine.lines("W") == ["Failed to send TERM signal to s main process (101): Operation not permitted"]
    machine.advance(5)
    assert machine.status("s") == "s stop/waiting", "KILL is still tried"


def test_e61_the_warning_comes_after_an_earlier_reload_too(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.process("s").ignores = (1,)
    assert machine.reload("s").ok
    machine.backend.refused_signals = {15: "Operation not permitted"}
    machine.stop("s")
    assert machine.lines("W") == ["Failed to send TERM signal to s main process (101): Operation not permitted"]


def test_x80_stop_of_a_vanished_process_goes_on(machine: SimulatedMachine) -> None:
    machine.define("s", "post-stop exec p\n" + SERVICE)
    machine.start("s")
    machine.backend.vanished.append(101)
    stop = machine.stop("s")
    assert machine.lines("W") == ["s main process (101) no longer exists"]
    machine.process("s", "post-stop").exit()
    machine.settle()
    assert stop.ok and machine.status("s") == "s stop/waiting"
    assert machine.events("stopped") == [OK]
    machine.start("s")
    machine.advance(60)
    assert machine.status("s") == "s start/running, process 103"


def test_x80_the_kill_timer_of_a_vanished_process_leaves_the_next_one_alone(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.backend.vanished.append(101)
    assert machine.restart("s").ok
    assert machine.supervisor._timers == {}
    process = machine.process("s")
    machine.advance(60)
    assert process.received == []


def test_e62_kill_timeout_0_is_kill_at_once(machine: SimulatedMachine) -> None:
    machine.define("s", "kill timeout 0\n" + SERVICE)
    machine.start("s")
    process = machine.process("s")
    process.ignores = (15,)
    assert machine.stop("s").ok
    assert process.received == [15, 9] and machine.status("s") == "s stop/waiting"
    assert machine.start("s").ok


def test_c70_reload_of_a_vanished_process(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.backend.vanished.append(101)
    reload = machine.reload("s")
    assert (reload.error, reload.message) == ("NotRunning", "Job is not running: s")
    assert machine.status("s") == "s stop/waiting"


def test_c70_a_reload_that_cannot_be_sent_gives_the_system_error(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.backend.refused_signals = {1: "Operation not permitted"}
    reload = machine.reload("s")
    assert (reload.error, reload.message) == ("Failed", "Operation not permitted")
    assert machine.status("s") == "s start/running, process 101" and machine.lines("W") == []


def test_x81_a_stop_overtakes_the_report_of_a_failed_spawn(machine: SimulatedMachine) -> None:
    machine.define("hold", "start on stopping s\ntask\nexec h")
    machine.define("s", "expect fork\nexec nosuch")
    machine.backend.failing["nosuch"] = "no such program"
    machine.backend.confirms = False
    machine.start("s")
    stop = machine.stop("s")
    assert machine.status("s") == "s stop/stopping, process 101"
    machine.backend.confirms = True
    machine.settle()
    assert machine.status("s") == "s stop/stopping"
    machine.process("hold").exit()
    machine.settle()
    assert stop.ok and OK in machine.events("stopped"), "nothing failed any more"


def test_x81_a_failed_spawn_is_reported_while_it_is_being_killed(machine: SimulatedMachine) -> None:
    machine.define("s", "expect fork\nexec nosuch")
    machine.backend.failing["nosuch"] = "no such program"
    machine.backend.confirms = False
    machine.start("s")
    machine.process("s").ignores = (15,)
    stop = machine.stop("s")
    assert machine.status("s") == "s stop/killed, process 101"
    machine.backend.confirms = True
    machine.settle()
    assert stop.ok and machine.events("stopped") == [OK]
    assert machine.supervisor._timers == {}


def test_e59_a_timer_that_nobody_knows_does_nothing(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    machine.transcript.clear()
    machine.feed(TimerFired(4711))
    assert machine.transcript == []

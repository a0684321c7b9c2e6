"""The simulated machine that is offered to those who write job files."""
from __future__ import annotations

import re

import pytest

import compat.testing
from compat.engine.actions import JobAdded, StateChanged
from compat.testing import ParseError, SimulatedMachine


def test_the_example_in_the_documentation_works() -> None:
    text = compat.testing.__doc__ or ""
    example = re.search(r"::\n\n(.*?)\n\n\S", text, re.S)
    assert example is not None
    source = "\n".join(line[4:] for line in example.group(1).splitlines())
    assert "assert machine.status" in source
    exec(compile(source, "example", "exec"), {"SimulatedMachine": SimulatedMachine})


def test_define_with_an_override() -> None:
    machine = SimulatedMachine()
    machine.define("s", "start on ev\nexec one", override="manual\nexec two\n")
    machine.emit("ev")
    assert machine.status("s") == "s stop/waiting"
    machine.start("s")
    assert machine.process("s").command == "two"


def test_a_wrong_file_raises_parse_error_and_changes_nothing() -> None:
    machine = SimulatedMachine()
    machine.define("s", "exec one")
    with pytest.raises(ParseError):
        machine.define("s", "nosuch stanza")
    machine.start("s")
    assert machine.process("s").command == "one"


def test_status_lines() -> None:
    machine = SimulatedMachine(apparmor=True)
    machine.define("s", "instance $N\npre-start exec a\npost-start exec b\npre-stop exec c\npost-stop exec d\nexec main")
    assert machine.status("nosuch") == "Unknown job: nosuch"
    assert machine.status("s", "1") == "s stop/waiting"
    machine.start("s", "N=1")
    assert machine.status("s", "1") == "s (1) start/pre-start, process 101"
    machine.process("s", "pre-start", "1").exit()
    machine.settle()
    assert machine.status("s", "1") == "s (1) start/post-start, process 102\n\tpost-start process 103"
    machine.process("s", "post-start", "1").exit()
    machine.settle()
    machine.stop("s", "N=1")
    assert machine.status("s", "1") == "s (1) stop/pre-stop, process 102\n\tpre-stop process 104"
    machine.process("s", instance="1").exit()
    machine.settle()
    assert machine.status("s", "1") == "s (1) stop/pre-stop, (pre-stop) process 104"
    machine.process("s", "pre-stop", "1").exit()
    machine.settle()
    assert machine.status("s", "1") == "s (1) stop/post-stop, process 105"


def test_calls_tell_what_became_of_them() -> None:
    machine = SimulatedMachine()
    machine.define("s", "task\nexec main")
    call = machine.start("s")
    assert (call.done, call.ok, call.result, call.error) == (False, False, None, None)
    machine.process("s").exit()
    machine.settle()
    assert (call.done, call.ok, call.result, call.error) == (True, True, "", None)
    refused = machine.stop("s")
    assert (refused.done, refused.ok, refused.error, refused.message) == (True, False, "UnknownInstance", "Unknown instance: ")


def test_time_stands_still_until_it_is_advanced() -> None:
    machine = SimulatedMachine(now=5.0)
    machine.define("s", "exec main\nkill timeout 3")
    machine.start("s")
    machine.process("s").ignores = (15,)
    machine.stop("s")
    for _ in range(5):
        machine.settle()
    assert machine.now == 5.0 and machine.status("s").startswith("s stop/killed")
    machine.advance(2.5)
    assert machine.now == 7.5 and machine.status("s").startswith("s stop/killed")
    machine.advance(100)
    assert machine.now == 107.5 and machine.status("s") == "s stop/waiting"


def test_timers_fire_at_their_own_time_on_the_way() -> None:
    machine = SimulatedMachine()
    machine.define("s", "respawn\nrespawn limit 1 3\nkill timeout 2\nexec main")
    machine.define("watch", "start on stopped s\ntask\nkill timeout 1\nexec watch")
    machine.start("s")
    machine.process("s").ignores = (15,)
    machine.stop("s")
    seen = []
    inner = machine.supervisor.control

    def control(action: object) -> None:
        if isinstance(action, StateChanged):
            seen.append((machine.now, action.job, action.state))
        inner(action)

    machine.supervisor.control = control
    machine.advance(10)
    assert (1002.0, "s", "waiting") in seen and (1002.0, "watch", "running") in seen


def test_a_process_that_is_not_there_is_a_lookup_error() -> None:
    machine = SimulatedMachine()
    machine.define("s", "exec main")
    with pytest.raises(LookupError, match="no live main process"):
        machine.process("s")


def test_processes_see_environment_signals_and_their_own_name() -> None:
    machine = SimulatedMachine({"PATH": "/bin", "HOME": "/root"})
    machine.define("s", "env HOME\nscript\necho hello\nend script")
    machine.start("s", "A=b=c")
    process = machine.process("s")
    assert (process.name, process.alive, process.received) == ("main", True, [])
    assert process.command == "echo hello\n"
    assert process.environment == {"PATH": "/bin", "HOME": "/root", "A": "b=c", "UPSTART_JOB": "s", "UPSTART_INSTANCE": ""}
    machine.stop("s")
    assert (process.alive, process.received) == (False, [15])


def test_a_stopped_process_is_continued_by_a_signal() -> None:
    machine = SimulatedMachine()
    machine.define("s", "reload signal CONT\nexec main")
    machine.start("s")
    process = machine.process("s")
    process.stop()
    machine.settle()
    assert process.stopped
    machine.reload("s")
    machine.reload("s")
    assert not process.stopped and process.received == [18, 18]
    assert machine.lines("I").count("s main process (101) continued by CONT signal") == 1


def test_kill_cannot_be_ignored_and_a_dead_process_ends_once() -> None:
    machine = SimulatedMachine()
    machine.define("s", "kill signal KILL\nexec main")
    machine.start("s")
    process = machine.process("s")
    process.ignores = (9,)
    machine.stop("s")
    process.exit(0)
    process.killed_by(15)
    machine.settle()
    assert machine.lines("W") == ["s main process (101) killed by KILL signal"]


def test_a_fork_of_a_process_that_is_not_followed_ends_the_parent() -> None:
    machine = SimulatedMachine()
    machine.define("s", "exec main")
    machine.start("s")
    machine.process("s").fork()
    machine.settle()
    assert machine.status("s") == "s stop/waiting"


def test_a_zombie_takes_a_signal_without_having_vanished() -> None:
    machine = SimulatedMachine()
    machine.define("s", "exec main")
    machine.start("s")
    machine.process("s").exit(0)
    assert machine.reload("s").ok
    assert machine.lines("W") == [] and "s main process (101) exited normally" in machine.lines("I")


def test_a_program_that_cannot_be_started_and_is_stopped_before_that_is_known() -> None:
    machine = SimulatedMachine()
    machine.define("s", "expect fork\nexec nosuch")
    machine.backend.failing["nosuch"] = "no such program"
    machine.backend.confirms = False
    start = machine.start("s")
    stop = machine.stop("s")
    assert start.ok and stop.ok and machine.status("s") == "s stop/waiting"
    assert machine.lines("W") == ["Failed to spawn s main process: no such program"]


def test_transcript_lines_and_events() -> None:
    machine = SimulatedMachine()
    machine.define("s", "exec main")
    assert machine.announcements == [JobAdded("s")]
    machine.emit("ev", "X=1")
    machine.emit("ev", "X=2")
    assert machine.events("ev") == [("X=1",), ("X=2",)]
    assert machine.lines("I") == ["Handling ev event"] * 2
    assert machine.transcript[:2] == ["D event_new: Pending ev event", "I Handling ev event"]


def test_e90_a_machine_that_does_not_come_to_rest_says_so() -> None:
    machine = SimulatedMachine()
    machine.define("a", "start on spin or stopped b\nstop on started a")
    machine.define("b", "start on stopped a\nstop on started b")
    with pytest.raises(RuntimeError, match="does not come to rest"):
        machine.emit("spin")


def test_text_that_is_not_utf_8_survives() -> None:
    machine = SimulatedMachine()
    machine.define("s", "env X=caf\udce9\nexec main")
    machine.start("s")
    assert machine.process("s").environment["X"] == "caf\udce9"

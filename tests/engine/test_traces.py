"""The traces of section 15, line by line (E126-E141); blocks named as there. Registration lines are not the engine's."""
from __future__ import annotations

from typing import List, Optional

import pytest

from compat.testing import SimulatedMachine
from tests.engine.observed import SERVICE, ends


def up(s: str) -> List[str]:
    names = ("starting", "security-spawning", "security", "pre-starting", "pre-start")
    return [f"I {s} state changed from {old} to {new}" for old, new in zip(names, names[1:])]


def spawn(s: str, pid: int) -> List[str]:
    return [f"I {s} state changed from pre-start to spawning", f"I {s} main process ({pid})",
            f"I {s} state changed from spawning to spawned"]


def run(s: str) -> List[str]:
    names = ("spawned", "post-starting", "post-start", "running")
    return [f"I {s} state changed from {old} to {new}" for old, new in zip(names, names[1:])] + ["D event_new: Pending started event"]


def ev(name: str) -> List[str]:
    return [f"I Handling {name} event", f"D event_finished: Finished {name} event"]


def stopq(s: str, state: str) -> List[str]:
    return [f"I {s} state changed from {state} to stopping", "D event_new: Pending stopping event"]


def cycle(s: str) -> List[str]:
    names = ("killed", "post-stopping", "post-stop", "starting")
    return [f"I {s} state changed from {old} to {new}" for old, new in zip(names, names[1:])] + ["D event_new: Pending starting event"]


def gone(s: str) -> List[str]:
    return ["D event_new: Pending stopped event", f"D job_change_state: Destroyed inactive instance {s}"]


def wait(s: str) -> List[str]:
    names = ("killed", "post-stopping", "post-stop", "waiting")
    return [f"I {s} state changed from {old} to {new}" for old, new in zip(names, names[1:])] + gone(s)


def end(s: str) -> List[str]:
    return wait(s) + ev("stopped")


def begin(s: str) -> List[str]:
    return [f"I {s} goal changed from stop to start", f"I {s} state changed from waiting to starting",
            "D event_new: Pending starting event"]


def running(s: str, pid: int) -> List[str]:
    return begin(s) + ev("starting") + up(s) + spawn(s, pid) + run(s) + ev("started")


def to_stop(s: str) -> List[str]:
    return [f"I {s} goal changed from start to stop", f"I {s} state changed from running to pre-stopping",
            f"I {s} state changed from pre-stopping to pre-stop"] + stopq(s, "pre-stop")


def to_killed(s: str) -> List[str]:
    return [f"I {s} state changed from stopping to killed"]


def term(s: str, pid: int) -> List[str]:
    return [f"I Sending TERM signal to {s} main process ({pid})", f"W {s} main process ({pid}) killed by TERM signal"]


def after(machine: SimulatedMachine) -> List[str]:
    """The lines since the last call."""
    lines = list(machine.transcript)
    machine.transcript.clear()
    return lines


@pytest.mark.parametrize(("j", "env"), [("s", ()), ("s (tty1)", ("TTY=tty1",))])
def test_e126_e138_service(machine: SimulatedMachine, j: str, env: tuple) -> None:
    machine.define("s", ("instance $TTY\n" if env else "") + SERVICE)
    assert machine.start("s", *env).ok
    assert after(machine) == running(j, 101)
    assert machine.stop("s", *env).ok
    assert after(machine) == to_stop(j) + ev("stopping") + to_killed(j) + term(j, 101) + end(j)


@pytest.mark.parametrize("text", [SERVICE, "task\n" + SERVICE, "task\nrespawn\n" + SERVICE])
def test_e127_main_exits_0(machine: SimulatedMachine, text: str) -> None:
    machine.define("s", text)
    start = machine.start("s")
    assert after(machine) == running("s", 101)
    ends(machine)
    assert start.ok
    assert after(machine) == (
        ["I s main process (101) exited normally", "I s goal changed from start to stop"] + stopq("s", "running") + ev("stopping")
        + to_killed("s") + end("s"))


@pytest.mark.parametrize(("text", "status", "signal", "first", "result"), [
    ("", 1, None, "W s main process (101) terminated with status 1", ("RESULT=failed", "PROCESS=main", "EXIT_STATUS=1")),
    ("", 0, 10, "W s main process (101) killed by USR1 signal", ("RESULT=failed", "PROCESS=main", "EXIT_SIGNAL=USR1")),
    ("normal exit 1\n", 1, None, "I s main process (101) terminated with status 1", ("RESULT=ok",)),
])
def test_e128_main_fails(machine: SimulatedMachine, text: str, status: int, signal: Optional[int], first: str, result: tuple) -> None:
    machine.define("s", text + SERVICE)
    machine.start("s")
    after(machine)
    ends(machine, status=status, signal=signal)
    assert after(machine) == (
        [first, "I s goal changed from start to stop"] + stopq("s", "running") + ev("stopping") + to_killed("s") + end("s"))
    assert machine.events("stopping") == machine.events("stopped") == [("JOB=s", "INSTANCE=", *result)]


def test_e129_e130_respawn(machine: SimulatedMachine) -> None:
    machine.define("s", "respawn\nrespawn limit 3 10\n" + SERVICE)
    machine.start("s")
    after(machine)
    for pid in (101, 102, 103):
        ends(machine)
        assert after(machine) == (
            [f"I s main process ({pid}) exited normally", "W s main process ended, respawning"] + stopq("s", "running") + ev("stopping")
            + to_killed("s") + cycle("s") + ev("starting") + up("s") + spawn("s", pid + 1) + run("s") + ev("started"))
    ends(machine)
    assert after(machine) == (
        ["I s main process (104) exited normally", "W s respawning too fast, stopped", "I s goal changed from start to stop"]
        + stopq("s", "running") + ev("stopping") + to_killed("s") + end("s"))


@pytest.mark.parametrize("post_stop", [False, True])
def test_e131_failing_pre_start(machine: SimulatedMachine, post_stop: bool) -> None:
    machine.define("s", "pre-start exec false\n" + SERVICE + ("\npost-stop exec p" if post_stop else ""))
    start = machine.start("s")
    ends(machine, "pre-start", 1)
    assert start.message == "Job failed to start"
    expected = (
        begin("s") + ev("starting") + up("s")[:3] + ["I s pre-start process (101)", "I s state changed from pre-starting to pre-start"]
        + ["W s pre-start process (101) terminated with status 1", "I s goal changed from start to stop"]
        + stopq("s", "pre-start") + ev("stopping") + to_killed("s"))
    if not post_stop:
        assert after(machine) == expected + end("s")
        return
    ends(machine, "post-stop")
    assert after(machine) == (
        expected + ["I s state changed from killed to post-stopping", "I s post-stop process (102)",
                    "I s state changed from post-stopping to post-stop", "I s post-stop process (102) exited normally",
                    "I s state changed from post-stop to waiting"] + gone("s") + ev("stopped"))


def test_e132_main_cannot_be_executed(machine: SimulatedMachine) -> None:
    machine.define("s", "exec nosuch")
    machine.backend.failing["nosuch"] = "unable to execute: No such file or directory"
    start = machine.start("s")
    assert start.message == "Job failed to start"
    assert after(machine) == (
        begin("s") + ev("starting") + up("s") + spawn("s", 101)
        + ["W Failed to spawn s main process: unable to execute: No such file or directory", "I s goal changed from start to stop"]
        + stopq("s", "spawned") + ev("stopping") + to_killed("s") + end("s"))
    assert machine.events("stopped") == [("JOB=s", "INSTANCE=", "RESULT=failed", "PROCESS=main")]


def test_e133_restart(machine: SimulatedMachine) -> None:
    machine.define("s", SERVICE)
    machine.start("s")
    after(machine)
    assert machine.restart("s").ok
    assert after(machine) == (
        to_stop("s") + ["I s goal changed from stop to start"] + ev("stopping") + to_killed("s") + term("s", 101)
        + cycle("s") + ev("starting") + up("s") + spawn("s", 102) + run("s") + ev("started"))


def pre_stop_reached() -> List[str]:
    return ["I s goal changed from start to stop", "I s state changed from running to pre-stopping", "I s pre-stop process (102)",
            "I s state changed from pre-stopping to pre-stop"]


def test_e134_a_stop_cancelled_from_pre_stop(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    after(machine)
    machine.stop("s")
    start = machine.start("s")
    ends(machine, "pre-stop")
    assert start.ok
    assert after(machine) == pre_stop_reached() + [
        "I s goal changed from stop to start", "I s pre-stop process (102) exited normally", "I s state changed from pre-stop to running"]


def test_e134_e28_restart_with_pre_stop(machine: SimulatedMachine) -> None:
    """Beyond upstream: after pre-stop it goes on as E133 instead of back to running."""
    machine.define("s", "pre-stop exec p\n" + SERVICE)
    machine.start("s")
    after(machine)
    restart = machine.restart("s")
    ends(machine, "pre-stop")
    assert restart.ok
    assert after(machine) == (
        pre_stop_reached() + ["I s goal changed from stop to start", "I s pre-stop process (102) exited normally"]
        + stopq("s", "pre-stop") + ev("stopping") + to_killed("s") + term("s", 101)
        + cycle("s") + ev("starting") + up("s") + spawn("s", 103) + run("s") + ev("started"))


def test_e135_stop_while_pre_start_runs(machine: SimulatedMachine) -> None:
    machine.define("s", "pre-start exec p\npost-stop exec q\n" + SERVICE)
    start = machine.start("s")
    after(machine)
    machine.stop("s")
    assert start.ok
    ends(machine, "pre-start")
    ends(machine, "post-stop")
    assert after(machine) == (
        ["I s goal changed from start to stop", "I s pre-start process (101) exited normally"] + stopq("s", "pre-start") + ev("stopping")
        + to_killed("s") + ["I s state changed from killed to post-stopping", "I s post-stop process (102)",
                            "I s state changed from post-stopping to post-stop", "I s post-stop process (102) exited normally",
                            "I s state changed from post-stop to waiting"] + gone("s") + ev("stopped"))


def test_e136_start_on_starting(machine: SimulatedMachine) -> None:
    machine.define("a", "start on starting b\n" + SERVICE)
    machine.define("b", SERVICE)
    assert machine.start("b").ok
    assert after(machine) == (
        begin("b") + ["I Handling starting event", "D job_class_induct_job: New instance a"] + begin("a") + ev("starting")
        + up("a") + spawn("a", 101) + run("a") + ["D event_finished: Finished starting event"] + up("b") + spawn("b", 102)
        + ev("started") + run("b") + ev("started"))


def test_e137_stop_on_stopping(machine: SimulatedMachine) -> None:
    machine.define("a", "stop on stopping b\n" + SERVICE)
    machine.define("b", SERVICE)
    machine.start("a")
    machine.start("b")
    after(machine)
    assert machine.stop("b").ok
    assert after(machine) == (
        to_stop("b") + ["I Handling stopping event"] + to_stop("a") + ev("stopping") + to_killed("a") + term("a", 101)
        + wait("a") + ["D event_finished: Finished stopping event"] + to_killed("b") + term("b", 102)[:1]
        + ev("stopped") + term("b", 102)[1:] + end("b"))


def test_e138_errors(machine: SimulatedMachine) -> None:
    machine.define("g", "instance $TTY\n" + SERVICE)
    assert machine.start("g").message == "Unknown parameter: TTY"
    assert machine.start("g", "TTY=tty1").ok
    assert machine.start("g", "TTY=tty1").message == "Job is already running: g (tty1)"
    assert machine.stop("g", "TTY=tty9").message == "Unknown instance: tty9"


@pytest.mark.parametrize("respawn", [True, False])
def test_e139_main_dies_while_post_start_runs(machine: SimulatedMachine, respawn: bool) -> None:
    machine.define("s", "post-start exec p\n" + ("respawn\n" if respawn else "") + SERVICE)
    start = machine.start("s")
    after(machine)
    ends(machine, status=3)
    assert start.done is not respawn
    ends(machine, "post-start")
    if not respawn:
        assert after(machine) == (
            ["W s main process (101) terminated with status 3", "I s goal changed from start to stop",
             "I s post-start process (102) exited normally"] + stopq("s", "post-start") + ev("stopping") + to_killed("s") + end("s"))
        assert machine.events("started") == []
        return
    assert after(machine)[:-1] == (
        ["W s main process (101) terminated with status 3", "W s main process ended, respawning", "I s goal changed from start to respawn",
         "I s post-start process (102) exited normally", "I s goal changed from respawn to start"] + stopq("s", "post-start")
        + ev("stopping") + to_killed("s") + cycle("s") + ev("starting") + up("s") + spawn("s", 103) + run("s")[:1]
        + ["I s post-start process (104)"])


def test_e140_half_true_condition(machine: SimulatedMachine) -> None:
    machine.define("s", "start on A and B\n" + SERVICE)
    first = machine.emit("A")
    assert not first.done and after(machine) == ["D event_new: Pending A event", "I Handling A event"]
    assert machine.emit("B").ok and first.ok
    assert after(machine) == (
        ["D event_new: Pending B event", "I Handling B event", "D job_class_induct_job: New instance s"] + begin("s") + ev("starting")
        + up("s") + spawn("s", 101) + run("s") + ["D event_finished: Finished A event", "D event_finished: Finished B event"]
        + ev("started"))


def test_e141_failing_task(machine: SimulatedMachine) -> None:
    machine.define("a", "task\nstart on ev\n" + SERVICE)
    emit = machine.emit("ev")
    after(machine)
    machine.process("a").exit(1)
    machine.settle()
    assert emit.message == "Event failed"
    assert after(machine) == (
        ["W a main process (101) terminated with status 1", "I a goal changed from start to stop"] + stopq("a", "running")
        + ["D event_finished: Finished ev event", "D event_new: Pending ev/failed event"] + ev("stopping") + to_killed("a") + wait("a")
        + ev("ev/failed") + ev("stopped"))

"""States by example: Upstart's own, older ones, and what is wrong with others (D198-D207, D224-D229)."""
from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import pytest

from compat.engine import actions, inputs
from compat.engine.core import Core
from compat.engine.engine import Engine
from compat.state.document import FORMAT, LARGEST, Header, Moment, Restored, Source, StateError, deserialise, serialise
from compat.state.processes import Adopted, LogState, ProcessState, SetUp, Trace, UnitState, Waiting, descriptors
from compat.testing import SimulatedMachine

NOW = 1000.0


def read(state: Any, **environment: str) -> Tuple[Engine, Restored]:
    engine = Engine(environment or {"PATH": "/bin"})
    return engine, deserialise(state if isinstance(state, str) else json.dumps(state), engine.core, NOW)


def written(machine: SimulatedMachine, **moment: Any) -> Dict[str, Any]:
    state = serialise(machine.engine.core, Moment(**moment))
    assert "\n" not in state
    result: Dict[str, Any] = json.loads(state)
    return result


def status(engine: Engine, job: str, name: str = "") -> str:
    found = engine.job(job)
    instance = found.instance(name) if found is not None else None
    return f"{instance.goal}/{instance.state}" if instance is not None else "none"


# -- the keys that Upstart knows -----------------------------------------------------------------------------------


CLASS: Dict[str, Any] = {
    "session": 0, "name": "blk", "path": "/com/ubuntu/Upstart/jobs/blk", "instance": "", "jobs": [], "description": None, "author": None,
    "version": None, "env": [], "export": [], "emits": [],
    "process": [{"script": 0, "command": "sleep 99"}] + [{"script": 0, "command": None}] * 5,
    "expect": "EXPECT_NONE", "task": 1, "kill_timeout": 5, "kill_signal": 15, "reload_signal": 1, "respawn": 0, "respawn_limit": 10,
    "respawn_interval": 5, "normalexit": [], "console": "CONSOLE_LOG", "umask": 18, "nice": -21, "oom_score_adj": 0,
    "limits": [{"rlim_cur": 0, "rlim_max": 0}] * 16, "chroot": None, "chdir": None, "setuid": None, "setgid": None, "usage": None,
    "deleted": 0, "debug": 0, "apparmor_switch": None,
    "start_on": [{"type": "EVENT_MATCH", "value": 0, "name": "evt"}]}
#: The instance of D207, as 1.13.2 wrote it.
INSTANCE: Dict[str, Any] = {
    "name": "", "path": "/com/ubuntu/Upstart/jobs/blk/_", "goal": "JOB_START", "state": "JOB_RUNNING",
    "env": ["PATH=/usr/bin:/bin", "TERM=linux", "K=V", "UPSTART_EVENTS=evt"], "start_env": [], "stop_env": [], "fds": [],
    "pid": [3250, 0, 0, 0, 0, 0], "blocking": [{"data": {"index": 0}, "type": "BLOCKED_EVENT"}], "kill_process": "PROCESS_INVALID",
    "failed": 0, "failed_process": "PROCESS_INVALID", "exit_status": 0, "respawn_time": 0, "respawn_count": 0, "trace_forks": 0,
    "trace_state": "TRACE_NONE", "log": [{"fd": -1, "io_watch_fd": 16, "path": "/var/log/upstart/blk.log", "uid": 0, "detached": 0,
                                          "remote_closed": 0, "open_errno": 0}, *[{"path": None}] * 5],
    "process_data": [None] * 6}
EVENT: Dict[str, Any] = {"session": 0, "name": "evt", "env": ["K=V"], "fd": -1, "progress": "EVENT_HANDLING", "failed": 0, "blockers": 1,
                         "blocking": []}
ROOT: Dict[str, Any] = {"sessions": [], "events": [], "control_bus_address": None, "job_environment": ["PATH=/usr/bin:/bin", "TERM=linux"],
                        "job_classes": [], "conf_sources": []}


def upstart(**changes: Any) -> Dict[str, Any]:
    """A state of 1.13.2: a task that an event started; ``changes`` are made to its instance."""
    instance = {key: value for key, value in {**INSTANCE, **changes}.items() if value is not None}
    return {**ROOT, "events": [EVENT], "job_classes": [{**CLASS, "jobs": [instance]}]}


def test_d207_the_smallest_state_is_accepted() -> None:
    engine, restored = read(ROOT)
    assert restored.lost == () and restored.header is None
    assert engine.list_env(None, None) == ("PATH=/usr/bin:/bin", "TERM=linux")


def test_d207_an_instance_that_upstart_wrote() -> None:
    engine, restored = read(upstart())
    assert restored.lost == ()
    assert status(engine, "blk") == "start/running"
    job = engine.job("blk")
    assert job is not None and job.definition.instance is None and job.definition.task and job.definition.nice is None
    (spawn, process), = restored.processes.items()
    assert process == ProcessState(3250, log=LogState("/var/log/upstart/blk.log", 16))
    emitted = actions.EventEmitted("evt", ("K=V",))
    assert emitted not in engine.feed(inputs.PollEvents(), NOW), "D234: it is held until the task is over"
    engine.feed(inputs.ProcessEnded(spawn, 0), NOW)
    assert emitted in engine.feed(inputs.PollEvents(), NOW)
    assert status(engine, "blk") == "none"


@pytest.mark.parametrize("state, rests", [
    ("JOB_SECURITY_SPAWNING", "security"), ("JOB_PRE_STARTING", "pre-start"), ("JOB_SPAWNING", "spawned"),
    ("JOB_POST_STARTING", "post-start"), ("JOB_PRE_STOPPING", "pre-stop"), ("JOB_POST_STOPPING", "post-stop")])
def test_d207_states_of_upstart_that_wait_for_a_set_up(state: str, rests: str) -> None:
    engine, restored = read(upstart(state=state, pid=[11, 12, 13, 14, 15, 16], process_data=[
        {"process": "PROCESS_MAIN", "script": "echo $X\n", "shell_fd": 20, "job_process_fd": 21, "status": 0, "valid": 1}, *[None] * 5]))
    assert status(engine, "blk") == "start/" + rests
    main = next(process for process in restored.processes.values() if process.pid == 11)
    assert main.set_up == SetUp(21, script_fd=20, script=b"echo $X\n")


@pytest.mark.parametrize("state, slot", [
    ("JOB_PRE_START", 1), ("JOB_SPAWNED", 0), ("JOB_POST_START", 2), ("JOB_RUNNING", 0), ("JOB_PRE_STOP", 3), ("JOB_KILLED", 0),
    ("JOB_POST_STOP", 4), ("JOB_SECURITY", 5), ("JOB_SPAWNING", 0), ("JOB_PRE_STARTING", 1)])
def test_d229_what_waits_for_a_process_that_is_not_there_gets_one_that_can_be_found_missing(state: str, slot: int) -> None:
    engine, restored = read(upstart(state=state, pid=[0] * 6))
    (spawn, process), = restored.processes.items()
    assert process.pid == 0 and engine.core.spawns[spawn] == ("blk", "", slot)
    engine.feed(inputs.ProcessVanished(spawn), NOW)
    assert status(engine, "blk") != "start/" + state


@pytest.mark.parametrize("state", ["JOB_STARTING", "JOB_STOPPING"])
@pytest.mark.parametrize("blocker", [None, 7])
def test_d205_an_instance_whose_event_is_lost_goes_on(state: str, blocker: Any) -> None:
    engine, restored = read(upstart(state=state, blocker=blocker, pid=[0] * 6))
    done: List[Any] = []
    for _ in range(5):
        done += engine.feed(inputs.PollEvents(), NOW)
    assert any(isinstance(action, actions.StateChanged) for action in done)
    assert not any(isinstance(action, actions.LogMessage) and f"Handling {state[4:].lower()} event" == action.text
                   for action in done), "not for others again"


def test_d204_conditions_and_what_they_hold() -> None:
    machine = SimulatedMachine()
    machine.define("a", "start on foo and bar X=1\nexec x")
    machine.emit("foo", wait=False)
    state = written(machine)
    assert state["job_classes"][0]["start_on"] == [
        {"type": "EVENT_MATCH", "value": 1, "name": "foo", "event": 0}, {"type": "EVENT_MATCH", "value": 0, "name": "bar", "env": ["X=1"]},
        {"type": "EVENT_AND", "value": 0}]
    engine, _ = read(state)
    engine.feed(inputs.EmitEvent(None, "bar", ("X=1",)), NOW)
    engine.feed(inputs.PollEvents(), NOW)
    assert status(engine, "a") == "start/spawning"


def test_d224_conditions_up_to_1_8_are_text() -> None:
    state = upstart()
    state["job_classes"][0] = {**state["job_classes"][0], "start_on": "foo A=b or (bar and baz)"}
    engine, restored = read(state)
    job = engine.job("blk")
    assert restored.lost == () and job is not None and job.start_on is not None
    assert [getattr(node, "event", node) for node in job.start_on.nodes] == ["foo", "bar", "baz", "and", "or"]


def test_d224_a_state_of_1_6_has_fewer_keys() -> None:
    state = upstart(log=[{"path": None}] * 5, pid=[3250, 0, 0, 0, 0], process_data=None)
    instance = state["job_classes"][0]["jobs"][0]
    for key in ("control_bus_address", "job_environment", "conf_sources"):
        del state[key]
    old = {key: value for key, value in state["job_classes"][0].items() if key not in ("start_on", "reload_signal", "apparmor_switch")}
    old["process"] = old["process"][:5]
    state["job_classes"] = [{**old, "jobs": [instance]}]
    state["events"] = [{**EVENT, "blocking": [{"type": "BLOCKED_JOB", "data": {"class": "blk", "name": ""}}]}]
    engine, restored = read(state)
    assert restored.lost == ("No global job environment data present in state data",)
    assert status(engine, "blk") == "start/running"
    assert engine.core.queue.events[1].waiters == [("instance", "blk", "")]


def test_d190_export_and_env_are_verbatim() -> None:
    machine = SimulatedMachine()
    machine.define("a", "export B\nexport C\nenv B\nenv C=1\nusage 'how to'\nexec x")
    engine, _ = read(written(machine))
    job = engine.job("a")
    assert job is not None
    assert (job.definition.export, job.definition.env, job.definition.usage) == (("B", "C"), ("B", "C=1"), "how to")


def test_d203_limits_umask_and_console_that_upstart_cannot_tell_from_defaults() -> None:
    machine = SimulatedMachine()
    machine.define("a", "limit nofile 10 unlimited\nlimit core 0 0\numask 022\nconsole log\nexec x")
    machine.define("b", "exec x")
    state = written(machine, console="none")
    engine, restored = read(state)
    for name in ("a", "b"):
        found, before = engine.job(name), machine.engine.job(name)
        assert found is not None and before is not None and found.definition == before.definition
    by_name = {each["name"]: each for each in state["job_classes"]}
    assert by_name["a"]["limits"][7] == {"rlim_cur": 10, "rlim_max": -1} and by_name["b"]["console"] == "CONSOLE_NONE"
    for each in by_name.values():
        del each["limit_names"], each["unset"]
    engine, restored = read(state)
    job = engine.job("a")
    assert restored.lost == () and job is not None
    assert [limit.resource for limit in job.definition.limits] == ["nofile"] and job.definition.instance is None


def test_d202_sources_are_written_for_upstart() -> None:
    machine = SimulatedMachine()
    state = written(machine, sources=[Source("/etc/init.conf", True), Source("/etc/init", False, (("a", True), ("net/b", False)))])
    assert state["conf_sources"][0]["type"] == "CONF_FILE"
    assert state["conf_sources"][1] == {
        "session": 0, "path": "/etc/init", "type": "CONF_JOB_DIR", "flag": 0, "conf_files": [
            {"path": "/etc/init/a.conf", "flag": 0, "job_class": {"name": "a", "session": 0}}, {"path": "/etc/init/net/b.conf", "flag": 0}]}


# -- what has to do with time, callers and processes -------------------------------------------------------------------


def test_d232_a_kill_timer_keeps_its_time() -> None:
    machine = SimulatedMachine()
    machine.define("a", "kill timeout 8\nexec x")
    machine.start("a")
    machine.process("a").ignores = (15,)
    machine.stop("a", wait=False)
    timer = next(iter(machine.engine.core.kill_timers))
    state = written(machine, due={timer: NOW + 5.25})
    assert state["job_classes"][0]["jobs"][0]["kill_timer"]["due"] == int(NOW + 5)
    engine, restored = read(state)
    assert restored.timers == ((timer, NOW + 5.25),)
    assert [type(each) for each in engine.feed(inputs.TimerFired(timer), NOW)][-1] is actions.SignalProcess


def test_d189_a_kill_timer_of_upstarts() -> None:
    for written_due, due in ((1003, 1003.0), (10 ** 12, NOW + 5)):
        timer = {"timeout": 8, "due": written_due}
        _, restored = read(upstart(goal="JOB_STOP", state="JOB_KILLED", kill_process="PROCESS_MAIN", kill_timer=timer))
        assert [each for _, each in restored.timers] == [due], "not later than the job file says"


def test_d239_callers_are_kept_under_their_numbers() -> None:
    machine = SimulatedMachine()
    machine.define("a", "pre-start exec y\nexec x")
    machine.define("t", "task\nstart on e\nexec x")
    start, emit = machine.start("a"), machine.emit("e")
    assert not start.done and not emit.done
    state = written(machine)
    kinds = [each["type"] for job in state["job_classes"] for instance in job["jobs"] for each in instance["blocking"]]
    assert sorted(kinds) == ["BLOCKED_EVENT", "BLOCKED_JOB_START_METHOD"]
    assert [each["type"] for event in state["events"] for each in event["blocking"]] == ["BLOCKED_EMIT_METHOD"]
    engine = Engine({"PATH": "/bin"})
    deserialise(json.dumps(state), engine.core, NOW)
    machine.engine = machine.supervisor.engine = engine
    machine.process("a", "pre-start").exit(3)
    machine.process("t").exit(0)
    machine.settle()
    assert (start.error, start.message) == ("JobFailed", "Job failed to start") and emit.ok


def test_d201_callers_that_upstart_left_out_are_nobody() -> None:
    engine, restored = read(upstart(blocking=[
        {"type": "BLOCKED_JOB_START_METHOD", "data": {"msg-id": 1, "msg-data": "00"}}, {"type": "BLOCKED_?", "data": {}}, 7]))
    job = engine.job("blk")
    assert restored.lost == () and job is not None and job.instances[""].owners == []


def test_d206_what_the_backend_knows_comes_back() -> None:
    machine = SimulatedMachine()
    machine.backend.confirms = False
    machine.define("a", "expect daemon\nexec x")
    machine.start("a", wait=False)
    spawn = next(iter(machine.engine.core.spawns))
    process = ProcessState(
        101, "12345", 30, LogState("/log/\udcff", 31, 32, b"\0rest", 12, True, True, 30), SetUp(33, b"abc", 34, b"\xffscript", "why"),
        Trace("new-child", 1, True, (78, 79), 77, True), Waiting(3, ("A=b",), (5, 6), "daemon"), True, 2,
        UnitState("service", "main process", "upstart-a-main.service", "0123", 35, 102, True, True), Adopted(("A=b",), "daemon", "12344"))
    assert set(descriptors(process)) == {5, 6, *range(30, 36)}
    _, restored = read(written(machine, processes={spawn: process}))
    assert restored.processes == {spawn: process}


@pytest.mark.parametrize("unit", [{"kind": 1}, {"kind": "service", "name": "\u00e4"}, {"kind": "service", "channel": "x"}])
def test_d229_what_is_wrong_with_a_unit_loses_only_the_job(unit: Any) -> None:
    slots: List[Any] = [{"spawn": 5, "unit": unit}, *[None] * 5]
    _, restored = read(upstart(slots=slots))
    assert len(restored.lost) == 1 and "unit" in restored.lost[0]


def test_b203_the_facts_of_the_host_come_back() -> None:
    machine = SimulatedMachine()
    assert read(written(machine))[1].facts is None
    _, restored = read(written(machine, facts={"phases": {"a": "up"}}))
    assert restored.facts == {"phases": {"a": "up"}} and restored.lost == ()
    _, restored = read({**ROOT, "facts": 1})
    assert restored.facts is None and restored.lost == ("facts: not an object",)


def test_b203_the_daemon_itself_may_wait_for_an_event() -> None:
    machine = SimulatedMachine()
    machine.define("a", "start on e\ntask\nexec x")
    machine.feed(inputs.EmitEvent(-7, "e", (), True))
    engine, restored = read(written(machine))
    assert [event.waiters for event in engine.core.queue.events.values() if event.name == "e"] == [[("call", -7)]]
    assert restored.last_call == 0


def test_d206_a_bad_log_loses_only_the_log() -> None:
    logs: List[Any] = [{"path": 7}, *[{"path": None}] * 5]
    engine, restored = read(upstart(log=logs))
    assert restored.lost == ("blk: log: path: not a string",)
    assert [process.log for process in restored.processes.values()] == [None]
    assert status(engine, "blk") == "start/running"


def test_d191_descriptors_that_are_not_open_any_more() -> None:
    state = upstart(fds=[40, 41])
    state["events"] = [{**EVENT, "fd": 40}]
    core = Core({}, False, False, None)
    restored = deserialise(json.dumps(state), core, NOW, lambda fd: fd == 41)
    assert core.descriptor_users == {41: 1} and core.queue.events[1].fd == -1
    assert restored.lost == ("The descriptor of event evt is lost", "blk: descriptors of blk are lost")


# -- what cannot be read -------------------------------------------------------------------------------------------------


def test_d227_the_header() -> None:
    machine = SimulatedMachine()
    _, restored = read(written(machine, version="0.3", time=5.0, monotonic=6.0))
    assert restored.header == Header(FORMAT, "0.3", 5.0, 6.0)


def test_d227_a_later_format_is_refused_with_both_versions() -> None:
    with pytest.raises(StateError, match=rf"version 9\.9 wrote it in format {FORMAT + 1}, .* up to {FORMAT}") as caught:
        read({**ROOT, "meta": {"format": FORMAT + 1, "version": "9.9"}})
    assert caught.value.too_new


def test_d227_an_earlier_format_and_unknown_keys_are_accepted() -> None:
    _, restored = read({**ROOT, "meta": {"format": 0, "version": "0"}, "later": [1], "events": [{**EVENT, "later": {}}]})
    assert restored.lost == ()


@pytest.mark.parametrize("state", [
    "", "{", '{"sessions":', "[]", "null", "7", '{"events": []}', '{"job_classes": [], "events": {}}', "\0", "NaN",
    "[" * 200_000, '{"a":' * 200_000, '{"a": ' + "9" * 100_000 + "}", json.dumps({**ROOT, "events": 7}), json.dumps({**ROOT, "meta": 7})])
def test_d186_text_of_which_nothing_can_be_made(state: str) -> None:
    core = Core({}, False, False, None)
    with pytest.raises(StateError):
        deserialise(state, core, NOW)
    assert core.registry.classes == {} and core.queue.events == {}


def test_d227_text_without_end_is_not_looked_at() -> None:
    with pytest.raises(StateError, match="too large"):
        deserialise(" " * (LARGEST + 1), Core({}, False, False, None), NOW)


def test_d228_a_lost_class_names_the_processes_it_had() -> None:
    state = upstart()
    good, bad = state["job_classes"][0], {**state["job_classes"][0], "name": "bad", "expect": "EXPECT_SOMETHING"}
    state["job_classes"] = [bad, good]
    engine, restored = read(state)
    assert restored.lost == ("Job bad is lost: expect: 'EXPECT_SOMETHING' is not known; no longer supervised: 3250",)
    assert engine.job_names() == ["blk"] and status(engine, "blk") == "start/running"


def test_d228_a_lost_instance_leaves_its_class_and_the_others() -> None:
    state = upstart()
    job = state["job_classes"][0]
    job["jobs"] = [{**job["jobs"][0], "name": "x", "state": "JOB_ODD", "pid": [5, 6, 0, 0, 0, 0]}, job["jobs"][0], job["jobs"][0]]
    engine, restored = read(state)
    assert restored.lost == ("blk: an instance is lost: state: 'JOB_ODD' is not known; no longer supervised: 5, 6",
                             "blk: an instance is lost: it is there twice; no longer supervised: 3250")
    found = engine.job("blk")
    assert found is not None and found.instance_names() == [""]


def test_d174_chroot_sessions_are_said_to_be_lost() -> None:
    state = upstart()
    state["job_classes"][0] = {**state["job_classes"][0], "session": 1}
    _, restored = read(state)
    assert restored.lost == ("Job blk is lost: it is of a chroot session; no longer supervised: 3250",)


def test_a_class_of_which_all_instances_are_lost_gives_way_to_what_waits() -> None:
    machine = SimulatedMachine()
    machine.define("a", "exec old")
    machine.start("a")
    machine.define("a", "exec new")
    state = written(machine)
    state["job_classes"][0]["jobs"][0]["state"] = "?"
    engine, _ = read(state)
    job = engine.job("a")
    assert job is not None and not job.superseded and job.definition.processes[0] == (False, "new")

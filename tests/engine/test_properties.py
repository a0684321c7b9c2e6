"""What holds for every graph of jobs and everything that may happen to them.

A run is a list of plain operations on a simulated machine, so that it can be done again: with an
engine that is written out and read back before every input, and from the record of inputs alone.
"""
from __future__ import annotations

import pickle
from collections import Counter
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compat.engine import actions, inputs
from compat.engine.engine import Engine
from compat.engine.events import HANDLING
from compat.parser.definition import (
    MAIN,
    PROCESS_NAMES,
    And,
    CgroupSetting,
    Condition,
    JobDefinition,
    Limit,
    Match,
    Or,
    ProcessDefinition,
)
from compat.testing import SimulatedMachine, SimulatedProcess

JOBS = ("foo", "bar", "tty1", "tty2", "rc", "ssh")
INSTANCES = ("", "1", "2")
_RESTING = {
    "starting", "security", "pre-start", "spawned", "post-start", "running", "pre-stop", "stopping", "killed", "post-stop"}
_SLOT_OF_STATE = {"security": 5, "pre-start": 1, "spawned": 0, "post-start": 2, "pre-stop": 3, "killed": 0, "post-stop": 4}


def share(percent: int) -> Any:
    """Settings with a share of the profile's examples."""
    return settings(max_examples=max(1, settings.default.max_examples * percent // 100),
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


# -- what may be written in job files --------------------------------------------------------------------------

names = st.sampled_from(JOBS)
UPWARD = ["e0", "e1", "e2", "starting", "started"]
EVENTS = [*UPWARD, "stopping", "stopped", "session-end", "e0/failed", "starting/failed"]
event_names = st.sampled_from(EVENTS)
arguments = st.sampled_from(["X=1", "X=*", "X!=1", "X=$X", "X=${X:-1}", "RESULT=failed", "JOB=foo", "INSTANCE=$I", "*", *JOBS])


def conditions(events: List[str]) -> "st.SearchStrategy[Condition]":
    leaves = st.builds(Match, st.sampled_from(events), st.lists(arguments, max_size=1).map(tuple))
    return st.recursive(leaves, lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner), max_leaves=4)


def process_of(name: str) -> Any:
    return st.sampled_from([None, None, ProcessDefinition(False, "run " + name), ProcessDefinition(False, "no " + name)])


main = st.sampled_from([ProcessDefinition(False, "run main")] * 4 + [ProcessDefinition(False, "no main"), None])
variables = st.sampled_from(["X=1", "X=2", "I=1", "I=2", "I=", "HOME", "PATH=/x"])
words = st.sampled_from([None, None, "", "text", "\udcff"])
amounts = st.none() | st.sampled_from([0, 1, 2 ** 64 - 2])
limits = st.builds(Limit, st.sampled_from(["core", "nofile", "rtprio"]), amounts, amounts)
controllers, groups = st.sampled_from(["cpu", "memory"]), st.sampled_from(["a", "b"])
cgroup_settings = (st.builds(CgroupSetting, controllers, groups, st.none(), st.none())
                   | st.builds(CgroupSetting, controllers, groups, st.sampled_from(["k", "l"]), st.sampled_from(["", "1"])))


def definitions(start_events: List[str]) -> "st.SearchStrategy[JobDefinition]":
    return st.builds(
        JobDefinition,
        instance=st.sampled_from([None, None, None, "${I:-}", "$I", "${I:-1}"]), env=st.lists(variables, max_size=2).map(tuple),
        export=st.lists(st.sampled_from(["X", "I", "JOB", "UPSTART_EVENTS"]), max_size=2).map(tuple),
        start_on=st.none() | conditions(start_events), stop_on=st.none() | conditions(EVENTS),
        processes=st.tuples(main, *(process_of(name) for name in PROCESS_NAMES[1:])),
        expect=st.sampled_from(["none", "none", "none", "fork", "daemon", "stop"]), task=st.booleans(), respawn=st.booleans(),
        respawn_limit=st.sampled_from([0, 1, 10]), respawn_interval=st.sampled_from([0, 5]),
        normal_exit=st.sampled_from([(), (1,), (0, 15 << 8)]), kill_timeout=st.sampled_from([0, 1, 5]),
        kill_signal=st.sampled_from([15, 2]), reload_signal=st.sampled_from([1, 15]),
        # Nothing that the engine looks at.
        description=words, author=words, version=words, usage=words, chroot=words, chdir=words, setuid=words, setgid=words,
        apparmor_switch=words, emits=st.lists(st.sampled_from(["e0", "e*"]), max_size=2).map(tuple),
        console=st.none() | st.sampled_from(["none", "output", "owner", "log"]), umask=st.none() | st.integers(0, 0o777),
        nice=st.none() | st.integers(-20, 19), oom_score_adj=st.integers(-1000, 1000), debug=st.booleans(),
        limits=st.lists(limits, max_size=2, unique_by=lambda limit: limit.resource).map(tuple),
        cgroups=st.lists(cgroup_settings, max_size=3).map(tuple))


# -- what may happen -------------------------------------------------------------------------------------------

environments = st.lists(st.sampled_from(["X=1", "X=2", "I=1", "I=2", "JOB=foo", "UPSTART_JOB=x"]), max_size=2).map(tuple)
which = st.integers(0, 5)
waits = st.booleans()


def happenings(start_events: List[str]) -> "st.SearchStrategy[Tuple[Any, ...]]":
    return st.one_of(
        st.tuples(st.just("emit"), event_names, environments, waits, st.booleans()),
        st.tuples(st.just("emit"), event_names, environments, waits, st.just(False)),
        st.tuples(st.sampled_from(["start", "start", "stop", "restart"]), names, environments, waits),
        st.tuples(st.sampled_from(["start_instance", "stop_instance", "restart_instance"]), names, st.sampled_from(INSTANCES), waits),
        st.tuples(st.just("reload"), names, st.sampled_from(INSTANCES)),
        st.tuples(st.just("exit"), which, st.sampled_from([0, 0, 1, 2])),
        st.tuples(st.just("exit"), which, st.sampled_from([0, 0, 1, 2])),
        st.tuples(st.just("killed_by"), which, st.sampled_from([15, 9, 40])),
        st.tuples(st.just("stop_process"), which, st.sampled_from([19, 20])),
        st.tuples(st.just("fork"), which, st.booleans()),
        st.tuples(st.just("replace"), which),
        st.tuples(st.just("ignore"), which),
        st.tuples(st.just("vanish"), which),
        st.tuples(st.just("refuse"), st.booleans()),
        st.tuples(st.just("confirms"), st.booleans()),
        st.tuples(st.just("advance"), st.sampled_from([0.5, 1, 6])),
        st.tuples(st.just("define"), names, definitions(start_events)),
        st.tuples(st.just("redefine"), names, conditions(start_events)),
        st.tuples(st.just("forget"), names),
        st.tuples(st.just("set_env"), st.none() | names, st.sampled_from(INSTANCES), variables, st.booleans()),
        st.tuples(st.just("unset_env"), st.none() | names, st.sampled_from(INSTANCES), st.sampled_from(["X", "I", "PATH"])),
        st.tuples(st.just("reset_env"), st.none() | names, st.sampled_from(INSTANCES)),)


class Run(NamedTuple):
    """Everything that is done to one machine."""

    operations: List[Tuple[Any, ...]]
    apparmor: bool


def runs_of(start_events: List[str]) -> "st.SearchStrategy[Run]":
    graph = st.lists(st.tuples(st.just("define"), names, definitions(start_events)), min_size=2, max_size=6)
    happened = st.lists(happenings(start_events), max_size=40)
    return st.tuples(graph, happened, st.booleans()).map(lambda parts: Run(parts[0] + parts[1], parts[2]))


runs = runs_of(EVENTS)
endings = st.tuples(runs, st.sampled_from(["logout", "shutdown"]), st.lists(happenings(EVENTS), max_size=15)).map(
    lambda parts: Run([*parts[0].operations, ("quiesce", parts[1]), *parts[2]], parts[0].apparmor))


class Machine(SimulatedMachine):
    """A simulated machine that counts answers, records inputs, and stops working after a bounded number of visits."""

    def __init__(self, run: Run) -> None:
        super().__init__({"PATH": "/bin", "HOME": "/root"}, apparmor=run.apparmor)
        self.answers: "Counter[int]" = Counter()
        self.reload_calls: Set[int] = set()
        self.record: List[Tuple[Tuple[Any, ...], float]] = []
        #: makes another engine of the present one before every input
        self.renew: Optional[Callable[[Engine], Engine]] = None
        self._fd = 1000
        self.record_inputs()
        for command in ("no " + name for name in PROCESS_NAMES):
            self.backend.failing[command] = "unable to execute: No such file or directory"

    def record_inputs(self) -> None:
        feed = self.supervisor.feed

        def recording(happened: Tuple[Any, ...]) -> None:
            self.record.append((happened, self.now))
            if self.renew is not None:
                self.engine = self.supervisor.engine = self.renew(self.engine)
            feed(happened)

        self.supervisor.feed = self.backend._feed = recording  # type: ignore[method-assign]

    def settle(self) -> None:
        for _ in range(8):
            self.backend.dispatch()
            self.backend.reap()
            self.fire_due_timers()
            if self.engine.has_work():
                self.supervisor.feed(inputs.PollEvents())

    def _control(self, action: Any) -> None:
        if isinstance(action, (actions.Answer, actions.Refuse)):
            self.answers[action.call] += 1
        super()._control(action)

    def live(self, which: int) -> Any:
        alive = [each for each in self.backend.processes.values() if each.alive]
        return alive[which % len(alive)] if alive else None

    def do(self, operation: Tuple[Any, ...]) -> None:
        """Carry out one operation."""
        kind, *rest = operation
        if kind in ("exit", "killed_by", "stop_process", "fork", "replace", "ignore", "vanish"):
            process = self.live(rest[0])
            if process is not None:
                self._to_process(process, kind, rest[1:])
        else:
            getattr(self, "_do_" + kind)(*rest)

    def _to_process(self, process: SimulatedProcess, kind: str, rest: List[Any]) -> None:
        if kind == "ignore":
            process.ignores = (15, 2)
        elif kind == "vanish":
            self.backend.vanished.append(process.pid)
        else:
            getattr(process, "stop" if kind == "stop_process" else kind)(*rest)
        self.settle()

    def _do_emit(self, name: str, env: Tuple[str, ...], wait: bool, with_fd: bool) -> None:
        self._fd += 1
        self.emit(name, *env, wait=wait, fd=self._fd if with_fd else -1)

    def _do_start(self, job: str, env: Tuple[str, ...], wait: bool) -> None:
        self.start(job, *env, wait=wait)

    def _do_stop(self, job: str, env: Tuple[str, ...], wait: bool) -> None:
        self.stop(job, *env, wait=wait)

    def _do_restart(self, job: str, env: Tuple[str, ...], wait: bool) -> None:
        self.restart(job, *env, wait=wait)

    def _do_start_instance(self, *rest: Any) -> None:
        self.start_instance(*rest)

    def _do_stop_instance(self, *rest: Any) -> None:
        self.stop_instance(*rest)

    def _do_restart_instance(self, *rest: Any) -> None:
        self.restart_instance(*rest)

    def _do_reload(self, job: str, instance: str) -> None:
        def make(number: int) -> Tuple[Any, ...]:
            self.reload_calls.add(number)
            return inputs.ReloadInstance(number, job, instance)

        self.request(make)

    def _do_refuse(self, refuse: bool) -> None:
        self.backend.refused_signals = {15: "Operation not permitted", 1: "Operation not permitted"} if refuse else {}

    def _do_confirms(self, confirms: bool) -> None:
        self.backend.confirms = confirms
        self.settle()

    def _do_advance(self, seconds: float) -> None:
        self.advance(seconds)

    def _do_define(self, job: str, definition: JobDefinition) -> None:
        self.feed(inputs.DefineJob(job, definition))

    def _do_redefine(self, job: str, condition: Condition) -> None:
        old = self.engine.job(job)
        self._do_define(job, (old.definition if old else JobDefinition())._replace(start_on=condition))

    def _do_forget(self, job: str) -> None:
        self.forget(job)

    def _do_set_env(self, job: Any, instance: str, variable: str, replace: bool) -> None:
        self.request(lambda call: inputs.SetEnv(call, job, instance, (variable,), replace))

    def _do_unset_env(self, job: Any, instance: str, name: str) -> None:
        self.request(lambda call: inputs.UnsetEnv(call, job, instance, (name,)))

    def _do_reset_env(self, job: Any, instance: str) -> None:
        self.request(lambda call: inputs.ResetEnv(call, job, instance))

    def _do_quiesce(self, reason: str) -> None:
        self.feed(inputs.Quiesce(reason))


# -- what must hold after every operation -----------------------------------------------------------------------------


def check(machine: Machine) -> None:
    assert machine.lines("E", "F") == [], "an internal error"
    check_instances(machine)
    check_holders(machine)
    check_calls(machine)
    check_announcements(machine)


def check_instances(machine: Machine) -> None:
    core = machine.engine._core
    spawns: Dict[int, Tuple[str, str, int]] = {}
    timers: Dict[int, Tuple[str, str]] = {}
    for name, job in core.registry.classes.items():
        assert job.name == name and (job.instances or not job.superseded), "an idle class is not superseded (E119)"
        for instance_name, instance in job.instances.items():
            state, goal, processes = instance.state, instance.goal, instance.processes
            assert (instance.job, instance.name) == (name, instance_name) and instance.definition is job.definition
            assert state in _RESTING, "E2, E12"
            assert bool(instance.blocker) == (state in ("starting", "stopping"))
            if instance.blocker:
                event = core.queue.events[instance.blocker]
                assert event.waiters == [("instance", name, instance_name)] and event.name == state
            if state in _SLOT_OF_STATE:
                assert processes[_SLOT_OF_STATE[state]] is not None, "it waits for something that is alive"
            if state == "running":
                assert goal == "start"
                assert (processes[MAIN] is None) == (instance.definition.processes[MAIN] is None), "never running without its process (E50)"
            if goal == "respawn":
                assert processes[MAIN] is None and state in ("post-start", "pre-stop")
            assert not instance.kill_timer or state == "killed"
            for slot, process in enumerate(processes):
                if process is not None:
                    spawns[process.spawn] = (name, instance_name, slot)
            if instance.kill_timer:
                timers[instance.kill_timer] = (name, instance_name)
    assert core.spawns == spawns and core.kill_timers == timers
    assert set(core.reloads) <= set(spawns)
    alive = {process.request.spawn for process in machine.backend.processes.values() if process.alive}
    assert alive <= set(spawns) or machine.ended or machine.backend.vanished, "no process runs that nobody knows of"


def check_holders(machine: Machine) -> None:
    """An event's blockers are its holders, and no event lies around without a reason (E94, E102, E106)."""
    core = machine.engine._core
    holders: "Counter[int]" = Counter()
    descriptors: "Counter[int]" = Counter()
    for job in core.registry.classes.values():
        if job.start_on is not None:
            holders.update(job.start_on.held_events())
        for instance in job.instances.values():
            if instance.stop_on is not None:
                holders.update(instance.stop_on.held_events())
            holders.update(owner[1] for owner in instance.owners if owner[0] == "event")
            descriptors.update(instance.fds + instance.start_fds)
    queue = core.queue
    assert set(holders) <= set(queue.events)
    to_visit = set(queue._ahead) | set(queue._next_pass)
    for number, event in queue.events.items():
        assert event.number == number and event.blockers == holders[number]
        assert event.blockers or number in to_visit, "a lost event"
        assert event.progress == HANDLING or number in to_visit
        if event.fd >= 0:
            descriptors[event.fd] += 1
        for waiter in event.waiters:
            if waiter[0] == "instance":
                assert core.find(*waiter[1:])[1].blocker == number
    assert core.descriptor_users == descriptors
    assert set(descriptors).isdisjoint(machine.closed_descriptors)
    opened = {happened.fd for happened, _ in machine.record if type(happened) is inputs.EmitEvent and happened.fd >= 0}
    assert opened == set(descriptors) | set(machine.closed_descriptors)
    assert len(machine.closed_descriptors) == len(set(machine.closed_descriptors))


def check_calls(machine: Machine) -> None:
    """Every call is answered once, or something that exists will answer it."""
    core = machine.engine._core
    expected = [waiter[1] for event in core.queue.events.values() for waiter in event.waiters if waiter[0] == "call"]
    expected += [owner[1] for job in core.registry.classes.values() for instance in job.instances.values()
                 for owner in instance.owners if owner[0] == "call"]
    assert sorted(expected) == sorted(machine._calls)
    assert all(count == 1 or call in machine.reload_calls for call, count in machine.answers.items())


def check_announcements(machine: Machine) -> None:
    """A client that listens knows what exists (C53, C66), and every state and goal."""
    seen: Dict[str, Dict[str, List[str]]] = {}
    for each in machine.announcements:
        if isinstance(each, actions.JobAdded):
            assert each.job not in seen
            seen[each.job] = {}
        elif isinstance(each, actions.JobRemoved):
            del seen[each.job]
        elif isinstance(each, actions.InstanceAdded):
            seen[each.job][each.instance] = ["stop", "waiting"]
        elif isinstance(each, actions.InstanceRemoved):
            assert seen[each.job].pop(each.instance)[1] == "waiting"
        elif isinstance(each, actions.GoalChanged):
            seen[each.job][each.instance][0] = each.goal
        elif isinstance(each, actions.StateChanged):
            seen[each.job][each.instance][1] = each.state
    core = machine.engine._core
    assert seen == {name: {instance.name: [instance.goal, instance.state] for instance in job.instances.values()}
                    for name, job in core.registry.classes.items()}


def do(run: Run, renew: Optional[Callable[[Engine], Engine]] = None, checked: bool = False) -> Machine:
    machine = Machine(run)
    machine.renew = renew
    for operation in run.operations:
        machine.do(operation)
        if checked:
            check(machine)
    return machine


# -- the properties ------------------------------------------------------------------------------------------------------


@share(60)
@given(runs)
def test_nothing_is_lost_and_nothing_breaks(run: Run) -> None:
    do(run, checked=True)


@share(25)
@given(endings)
def test_nothing_breaks_while_a_session_ends(run: Run) -> None:
    machine = do(run, checked=True)
    machine.advance(30)
    check(machine)
    assert machine.ended, "D170: within a bounded time"


@share(25)
@given(runs)
def test_an_engine_that_is_written_out_and_read_back_goes_on_as_before(run: Run) -> None:
    plain, pickled = do(run), do(run, lambda engine: pickle.loads(pickle.dumps(engine)))
    assert pickled.transcript == plain.transcript
    assert pickled.announcements == plain.announcements
    assert pickled.record == plain.record and pickled.answers == plain.answers


@share(25)
@given(runs)
def test_the_record_of_the_inputs_gives_the_same_actions(run: Run) -> None:
    machine = do(run)
    engine = Engine({"PATH": "/bin", "HOME": "/root"}, apparmor=run.apparmor)
    logged: List[str] = []
    announced: List[Any] = []
    for happened, now in machine.record:
        for action in engine.feed(happened, now):
            if isinstance(action, actions.LogMessage):
                logged.append("DIMWEF"[action.priority] + " " + action.text)
            elif type(action) in (type(each) for each in machine.announcements):
                announced.append(action)
    # Actions that lie behind a SpawnProcess are carried out after what its pid leads to: same lines, other places.
    assert sorted(logged) == sorted(machine.transcript)
    assert Counter(map(repr, announced)) == Counter(map(repr, machine.announcements))
    assert pickle.dumps(engine._core.queue) and engine.job_names() == machine.engine.job_names()


@share(40)
@given(runs_of(UPWARD))
def test_everything_can_be_stopped_and_then_nothing_is_left(run: Run) -> None:
    """Liveness: nothing but a half-true condition can hold an instance (E102), if none starts because another stops."""
    machine = do(run)
    machine.backend.confirms = True
    machine._do_refuse(False)
    for job in JOBS:
        machine.forget(job)
    core = machine.engine._core
    for attempt in range(60):
        instances = [instance for job in list(core.registry.classes.values()) for instance in job.ordered_instances()]
        if not instances:
            break
        for instance in instances:
            if instance.goal == "stop" and attempt % 5 == 4:
                # Jobs that hold each other's events (E113) are let go by any accepted command (E106).
                machine.start_instance(instance.job, instance.name)
            if instance.goal != "stop":
                machine.stop_instance(instance.job, instance.name)
        for process in list(machine.backend.processes.values()):
            if process.alive:
                process.exit(0)
        machine.advance(1)
        check(machine)
    for job in core.registry.classes.values():
        for instance in job.instances.values():
            event = core.queue.events[instance.blocker]
            conditions_left = [condition for each in core.registry.classes.values() for condition in
                               [each.start_on, *(other.stop_on for other in each.instances.values())] if condition]
            held = [number for condition in conditions_left for number in condition.held_events()]
            assert event.blockers == held.count(event.number) > 0
    if not core.registry.classes:
        for _ in range(50):
            machine.settle()
        assert core.queue.events == {} and core.spawns == {} and machine._calls == {}
        assert core.descriptor_users == {} and core.kill_timers == {} and core.reloads == {}

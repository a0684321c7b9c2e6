"""For every history: the journal says what the engine is, and a daemon that starts from it goes on as if nothing had happened."""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from hypothesis import given
from hypothesis import strategies as st

from compat.engine import inputs
from compat.engine.core import Core
from compat.engine.engine import Engine
from compat.journal import content
from compat.journal.journal import Journal
from tests.engine.test_properties import EVENTS, Machine, Run, check, happenings, runs, share

from .memory_file import MemoryFile
from .mortal_machine import BOOT, Killed, MortalMachine


class RandomMachine(MortalMachine, Machine):
    """The machine of the other properties, but that its daemon may die."""

    def __init__(self, run: Run) -> None:
        self.environment = {"PATH": "/bin", "HOME": "/root"}
        self.apparmor = run.apparmor
        self.file = MemoryFile()
        self.files = {}
        self.steps = 0
        self.dies_at = None
        Machine.__init__(self, run)
        self.wire()
        self.keep_journal()

    def new_daemon(self) -> Optional[inputs.Restore]:
        self.record.clear()
        self.answers.clear()
        restore = super().new_daemon()
        self.record_inputs()
        return restore

    def survive(self, operation: Tuple[Any, ...]) -> None:
        """Carry out an operation; if the daemon dies of it, there is a new one."""
        try:
            self.do(operation)
        except Killed:
            self.restart_daemon()


def state_of(core: Core) -> Dict[str, Any]:
    """All that is to outlive the daemon, with numbers replaced by what they stand for."""
    order = {number: position for position, number in enumerate(sorted(core.queue.events))}
    events = [(event.name, event.env, event.progress, event.failed, event.blockers) for _, event in sorted(core.queue.events.items())]

    def of_events(numbers: List[int]) -> List[int]:
        return sorted(order[number] for number in numbers)

    classes = {}
    for name, job in core.registry.classes.items():
        instances = {}
        for instance in job.ordered_instances():
            instances[instance.name] = {
                "goal": instance.goal, "state": instance.state, "env": list(instance.env.items()),
                "start env": instance.start_env, "stop env": instance.stop_env,
                "failed": (instance.failed, instance.failed_process, instance.exit_status),
                "respawn": (instance.respawn_time, instance.respawn_count, instance.restarting),
                "kill": instance.kill_due if instance.kill_timer else None,
                "blocker": order.get(instance.blocker), "owners": of_events([owner[1] for owner in instance.owners if owner[0] == "event"]),
                "stop on": instance.stop_on and of_events(instance.stop_on.held_events()),
                "processes": [process and (process.spawn, process.pid, process.signalled) for process in instance.processes]}
        start_on = of_events(job.start_on.held_events()) if job.start_on is not None else None
        classes[name] = (job.definition, job.pending, job.superseded, list(instances), instances, start_on)
    return {"classes": classes, "events": events, "environment": list(core.job_environment.items()), "spawns": core.spawns}


def read_again(machine: MortalMachine) -> inputs.Restore:
    found = content.read(machine.file.read())
    assert not found.problems
    return found.restore


def as_tables(restore: inputs.Restore) -> Tuple[Any, ...]:
    return (restore.serial, restore.environment, sorted(restore.events), sorted(each for each in restore.conditions if each[1]),
            sorted(restore.instances, key=lambda record: (record.job, record.name)))


@share(30)
@given(runs)
def test_b204_after_each_input_the_journal_says_all_there_is(run: Run) -> None:
    machine = RandomMachine(run)
    for operation in run.operations:
        machine.do(operation)
        whole = MemoryFile()
        # The changes that the other one has not seen yet are to stay.
        kept, tracked = machine.engine._core.changes, Journal(
            machine.engine, whole, BOOT, machine.backend.handle, machine._log, machine._later)
        machine.engine._core.changes = kept
        tracked._write_anew()
        restore = read_again(machine)._replace(serial=machine.engine.serial)
        assert as_tables(restore) == as_tables(content.read(whole.read()).restore)


@share(60)
@given(runs)
def test_b204_an_engine_restored_is_the_engine_that_was(run: Run) -> None:
    machine = RandomMachine(run)
    for operation in run.operations:
        machine.do(operation)
    engine = Engine(machine.environment, apparmor=machine.apparmor)
    for job, definition in machine.files.items():
        engine.feed(inputs.DefineJob(job, definition), machine.now)
    restore = read_again(machine)
    engine.feed(restore._replace(instances=tuple(each._replace(fds=(), start_fds=()) for each in restore.instances)), machine.now)
    before, after = state_of(machine.engine._core), state_of(engine._core)
    for state in before, after:
        # A class that another definition is loaded for, an equal one, is not superseded any more; nobody can tell.
        state["classes"] = {
            name: (definition, None if pending == definition else pending, *rest[1:])
            for name, (definition, pending, *rest) in state["classes"].items()}
    assert after == before


crashes = st.lists(st.integers(1, 60), min_size=1, max_size=4)


@share(60)
@given(runs, crashes, st.lists(happenings(EVENTS), max_size=10))
def test_b204_whenever_the_daemon_dies_the_next_one_goes_on(run: Run, steps: List[int], later: List[Tuple[Any, ...]]) -> None:
    machine = RandomMachine(run)
    remaining = list(steps)
    machine.dies_at = machine.steps + remaining.pop()
    for operation in run.operations:
        machine.survive(operation)
        if machine.dies_at is None:
            check(machine)
            assert machine.backend.left() == [], "each live process has been adopted"
            if remaining:
                machine.dies_at = machine.steps + remaining.pop()
    machine.restart_daemon()
    assert machine.backend.left() == []
    for operation in later:
        machine.do(operation)
        check(machine)


@share(40)
@given(runs, st.lists(st.integers(0, 10 ** 6), max_size=6), st.lists(happenings(EVENTS), max_size=5))
def test_whatever_is_missing_of_the_journal_nothing_breaks(run: Run, lost: List[int], later: List[Tuple[Any, ...]]) -> None:
    """Records that do not fit together: of an instance without its event, of an event without who holds it, of what is over."""
    machine = RandomMachine(run)
    for operation in run.operations:
        machine.do(operation)
    lines = machine.file.read().splitlines(keepends=True)
    for number in lost:
        if lines:
            del lines[number % len(lines)]
    machine.file.content = bytearray(b"".join(lines))
    machine.restart_daemon()
    check(machine)
    for operation in later:
        machine.do(operation)
        check(machine)

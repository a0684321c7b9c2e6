"""Goes on from what an engine before this one left on record (B204, X260, D229).

``Restore`` rebuilds everything first and only then lets anything move, so that what follows finds all
of it. Each occupied process slot asks the backend to find its process again (actions.AdoptProcess); the
instance stands still in its state until that is answered, as it did until the process ended.

An event that was still pending is handled now, for the first time. One that had been handled is not
shown to any condition again (B204): it comes back as far as something restored holds it or waits for
it, and if nothing holds it any more, as when only a caller's wait did, it finishes at once. So no
instance waits for what cannot come.

An instance keeps the definition that it was started with. Where its job file has changed since, or is
gone, its class is superseded as if that had happened under this engine's eyes (E117-E119).
"""
from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ..parser.definition import MAIN, POST_START, POST_STOP, PRE_START, PRE_STOP, SECURITY
from . import states
from .actions import AdoptProcess, GoalChanged, InstanceAdded, SetTimer, StateChanged
from .classes import bring_back
from .conditions import ConditionState
from .core import Core
from .delivery import start_on_fired
from .environment import Table
from .events import Event
from .inputs import Restore
from .jobs import Instance, JobClass, Process, place
from .lifecycle import KILL, SPAWNING_STATES, block_events, end, process_environment, signal_main, spawn, take_next_state
from .records import InstanceRecord
from .states import START, STOP

#: The state that waits for the process of a slot (E18).
_STATE_OF = {
    SECURITY: states.SECURITY, PRE_START: states.PRE_START, MAIN: states.SPAWNED, POST_START: states.POST_START,
    PRE_STOP: states.PRE_STOP, POST_STOP: states.POST_STOP}
_SPAWNING = {state: slot for slot, state in SPAWNING_STATES.items()}
_SLOT_OF = {**_SPAWNING, **{state: slot for slot, state in _STATE_OF.items()}}


def restore(core: Core, happened: Restore) -> None:
    """Bring everything back."""
    core.serial = max(core.serial, happened.serial)
    if happened.environment is not None:
        core.job_environment = dict(happened.environment)
        if core.changes is not None:
            core.changes.environment = True
    events: Dict[int, Event] = {}
    for event in sorted(happened.events):
        events[event.number] = core.bring_back_event(event.name, event.env, event.handled, event.failed)
    restored: List[Tuple[Instance, InstanceRecord]] = []
    for record in sorted(happened.instances, key=lambda record: record.order):
        job = bring_back(core, record.job, record.definition)
        if record.name not in job.instances and (record.state, record.goal) != (states.WAITING, STOP):
            restored.append((_instance(core, job, record), record))
    for instance, record in restored:
        _events_of(core, instance, record, events)
    fired = [job for job in (_condition(core, name, numbers, events) for name, numbers in happened.conditions) if job is not None]
    for instance, record in restored:
        _processes_of(core, instance, record)
    for instance, _ in restored:
        _go_on(core, instance)
    for job in fired:
        start_on_fired(core, job)


def process_never_ran(core: Core, instance: Instance, slot: int) -> None:
    """What was asked for did not come to anything: ask again, unless it is not wanted any more.

    A script that stops the job is wanted for as long as its state waits for it, anything else while
    the job is to run.
    """
    here = _SLOT_OF.get(instance.state) == slot or slot == MAIN and instance.state in (states.POST_START, states.RUNNING)
    if here and (slot in (PRE_STOP, POST_STOP) or instance.goal == START):
        process = instance.processes[slot]
        if process is not None:
            core.spawns.pop(process.spawn, None)
        spawn(core, instance, slot)
    else:
        end(core, instance, slot, 0)


# -- one instance ----------------------------------------------------------------------------------------------


def _instance(core: Core, job: JobClass, record: InstanceRecord) -> Instance:
    definition = job.definition if job.definition == record.definition else record.definition
    instance = Instance(job.name, record.name, definition, place(record.name, core.number()))
    job.instances[record.name] = instance
    core.out.append(InstanceAdded(job.name, record.name))
    core.changed(instance)
    instance.goal, instance.state = record.goal, record.state
    core.out.append(GoalChanged(job.name, record.name, record.goal))
    core.out.append(StateChanged(job.name, record.name, record.state))
    instance.env = dict(record.env)
    instance.start_env, instance.stop_env = _table(record.start_env), _table(record.stop_env)
    instance.failed, instance.failed_process, instance.exit_status = record.failed, record.failed_process, record.exit_status
    instance.respawn_time, instance.respawn_count = record.respawn_time, record.respawn_count
    instance.restarting = record.restarting
    instance.fds, instance.start_fds = record.fds, record.start_fds
    for fd in record.fds + record.start_fds:
        core.use_descriptor(fd)
    return instance


def _table(pairs: Optional[Tuple[Tuple[str, str], ...]]) -> Optional[Table]:
    return None if pairs is None else dict(pairs)


def _events_of(core: Core, instance: Instance, record: InstanceRecord, events: Dict[int, Event]) -> None:
    """What it waits for, who waits for it, and what its ``stop on`` has seen."""
    blocker = events.get(record.blocker)
    if blocker is not None:
        instance.blocker = blocker.number
        blocker.waiters.append(("instance", instance.job, instance.name))
    block_events(core, instance, [events[number].number for number in record.holds if number in events])
    if instance.stop_on is not None:
        _offer_again(core, instance.stop_on, record.seen, events, instance.env)


def _condition(core: Core, name: str, numbers: Tuple[int, ...], events: Dict[int, Event]) -> Optional[JobClass]:
    """Show a class the events again that its ``start on`` held; the class, if it is to be started (E122)."""
    job = core.registry.classes.get(name)
    if job is None or job.start_on is None:
        return None
    core.condition_changed(job)
    _offer_again(core, job.start_on, numbers, events, {})
    return job if job.start_on.true_events() is not None else None


def _offer_again(core: Core, condition: ConditionState, numbers: Tuple[int, ...], events: Dict[int, Event], environment: Table) -> None:
    for number in sorted(set(numbers)):
        event = events.get(number)
        if event is not None:
            for _ in range(condition.offer(event, environment)):
                core.queue.block(event)


def _processes_of(core: Core, instance: Instance, record: InstanceRecord) -> None:
    if instance.state == states.KILLED and record.kill_due is not None and record.processes[MAIN] is not None:
        instance.kill_timer = core.number()
        core.kill_timers[instance.kill_timer] = (instance.job, instance.name)
        # Whatever clock it was.
        instance.kill_due = min(record.kill_due, core.now + instance.definition.kill_timeout)
        core.out.append(SetTimer(instance.kill_timer, max(0.0, instance.kill_due - core.now)))
    for slot, known in enumerate(record.processes):
        if known is None or instance.definition.processes[slot] is None:
            continue
        process = Process(known.spawn)
        process.pid, process.handle, process.signalled = known.pid, known.handle, known.signalled
        instance.processes[slot] = process
        core.serial = max(core.serial, known.spawn)
        core.spawns[known.spawn] = (instance.job, instance.name, slot)
        waits = slot == MAIN and instance.state in (states.SPAWNING, states.SPAWNED)
        core.out.append(AdoptProcess(
            known.spawn, instance.job, instance.name, slot, instance.definition, process_environment(core, instance, slot), instance.fds,
            instance.definition.expect if waits else "none", known.pid, known.handle))
    main = instance.main
    if main is not None and instance.state == states.KILLED:
        if not main.signalled:
            signal_main(core, instance, main, instance.definition.kill_signal)
        if not instance.kill_timer:
            # The time was over, or there never was any (E59).
            signal_main(core, instance, main, KILL)


def _go_on(core: Core, instance: Instance) -> None:
    """Leave a state in which nothing is left to wait for; a record of sound mind has none."""
    if core.find(instance.job, instance.name) != (core.registry.classes.get(instance.job), instance):
        return
    state = instance.state
    if state in (states.STARTING, states.STOPPING):
        waits = bool(instance.blocker)
    elif state == states.RUNNING:
        waits = instance.goal == START
    elif state == states.KILLED:
        waits = instance.main is not None
    else:
        waits = state in _SLOT_OF and instance.processes[_SLOT_OF[state]] is not None
    if not waits:
        take_next_state(core, instance, state if state in _SPAWNING else None)

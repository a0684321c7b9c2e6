"""Everything that may change the goal or the state of an instance.

Theory of operation
-------------------

An instance has a goal (what is wanted) and a state (where it is). Two things move it:

1. ``change_goal``. It acts only where the instance rests: goal start in waiting, goal stop in
   running. Everywhere else it merely redirects where ``successor`` leads once the present wait
   ends; no process is signalled by it (E24).
2. ``take_next_state``, called when a wait ends: the blocker event finished, a process ended, an exec
   was confirmed. It walks along ``successor`` until it enters a state that waits.

Entering a state has the effects of E18, which are the functions of the table _ENTER. Each returns
whether the instance rests in that state. Nothing here starts another job: jobs act on each other
through the event queue only, so there is no recursion between them.

A state such as ``spawning`` lasts until the process exists (X24). Most backends make it at once, and then
nobody sees the instance there (E12); one that has to ask another program for it says so later.

Those who wait for an instance stand in its owner list: events that it blocks, and callers (E106).
Every accepted command and every condition that fires releases the whole list as success before it
adds its own entry; a failure releases it as failure at the moment it is recorded (E107, E108).

What does not fit the table of states.py, each with its reason:

* ``pre-stop`` is left towards stopping although the goal is start if a restart went through it:
  the restart would otherwise be forgotten (E28).
* a main process that dies in ``spawned`` and is to be respawned goes to stopping, as from running,
  instead of on to running without a process (E50).
* ``stop`` in spawned with an unmet ``expect`` goes to stopping at once instead of waiting for forks
  that may never come (X81).
"""
from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Optional, Tuple

from ..parser.definition import MAIN, POST_START, POST_STOP, PRE_START, PRE_STOP, PROCESS_NAMES, SECURITY
from ..parser.signals import signal_name
from . import states
from .actions import (
    Answer,
    CancelTimer,
    DetachTrace,
    GoalChanged,
    InstanceAdded,
    InstanceRemoved,
    JobFailed,
    Refuse,
    SetTimer,
    SignalProcess,
    SpawnProcess,
    StateChanged,
)
from .classes import reconsider
from .core import Core
from .environment import Table, as_entries
from .jobs import Instance, JobClass, Process, place
from .states import RESPAWN, START, STOP

#: SIGKILL
KILL = 9

#: Where an instance rests until a process that was asked for exists: slot -> state.
SPAWNING_STATES: Dict[int, str] = {
    SECURITY: states.SECURITY_SPAWNING, PRE_START: states.PRE_STARTING, MAIN: states.SPAWNING, POST_START: states.POST_STARTING,
    PRE_STOP: states.PRE_STOPPING, POST_STOP: states.POST_STOPPING,
}

# -- goals ---------------------------------------------------------------------------------------------


def new_instance(core: Core, job: JobClass, name: str) -> Instance:
    """Create an instance; the caller changes its goal to start at once (E2, E10)."""
    instance = Instance(job.name, name, job.definition, place(name, core.number()))
    job.instances[name] = instance
    core.changed(instance)
    core.out.append(InstanceAdded(job.name, name))
    return instance


def plan_start(core: Core, instance: Instance, env: Table, fds: Tuple[int, ...] = ()) -> None:
    """Set the environment, and the descriptors, that the next ``starting`` takes over (E18, X21)."""
    core.changed(instance)
    for fd in fds:
        core.use_descriptor(fd)
    for fd in instance.start_fds:
        core.release_descriptor(fd)
    instance.start_env, instance.start_fds = env, fds


def change_goal(core: Core, instance: Instance, goal: str) -> None:
    """E24."""
    if instance.goal == goal:
        return
    core.changed(instance)
    core.info(f"{instance.display_name} goal changed from {instance.goal} to {goal}")
    instance.goal = goal
    core.out.append(GoalChanged(instance.job, instance.name, goal))
    if (goal == START and instance.state == states.WAITING) or (goal == STOP and instance.state == states.RUNNING):
        take_next_state(core, instance)


def request_stop(core: Core, instance: Instance) -> None:
    """An accepted stop: goal stop, and an ``expect`` that is not met is given up (X81)."""
    core.changed(instance)
    instance.restarting = False
    change_goal(core, instance, STOP)
    _give_up_expect(core, instance)


def _give_up_expect(core: Core, instance: Instance) -> None:
    main = instance.main
    if main and instance.goal == STOP and instance.state == states.SPAWNED and instance.definition.expect != "none":
        core.out.append(DetachTrace(main.spawn))
        take_next_state(core, instance)


def request_restart(core: Core, instance: Instance) -> None:
    """An accepted restart: goal stop, then start, in one step (E27)."""
    core.changed(instance)
    if instance.goal == RESPAWN:
        # It is about to be started again anyway, and goal start would forget that (E30).
        return
    change_goal(core, instance, STOP)
    # Only a restart of a running job has put it into pre-stop here (E28).
    instance.restarting = instance.state in (states.PRE_STOPPING, states.PRE_STOP)
    change_goal(core, instance, START)


# -- states --------------------------------------------------------------------------------------------


def successor(core: Core, instance: Instance) -> str:
    """The state that follows, given the goal (E13)."""
    following = states.SUCCESSOR[instance.state, instance.goal]
    if following == states.IF_MAIN_ALIVE:
        return states.PRE_STOPPING if instance.main else states.STOPPING
    if following == states.RESPAWN_NOW:
        change_goal(core, instance, START)
        return states.STOPPING
    if instance.restarting and instance.state == states.PRE_STOP:
        return states.STOPPING
    return following


def take_next_state(core: Core, instance: Instance, state: Optional[str] = None) -> None:
    """Go on to the next state (or to ``state``), and further as long as the state entered does not wait."""
    core.changed(instance)
    while not instance.blocker:
        following = state or successor(core, instance)
        state = None
        previous = instance.state
        core.info(f"{instance.display_name} state changed from {previous} to {following}")
        instance.state = following
        core.out.append(StateChanged(instance.job, instance.name, following))
        if _ENTER[following](core, instance, previous):
            return


def _enter_starting(core: Core, instance: Instance, previous: str) -> bool:
    if instance.start_env is not None:
        for fd in instance.fds:
            core.release_descriptor(fd)
        instance.env, instance.fds = instance.start_env, instance.start_fds
        instance.start_env, instance.start_fds = None, ()
    instance.stop_env = None
    instance.failed = False
    instance.failed_process = None
    instance.exit_status = 0
    instance.restarting = False
    _queue_blocking_event(core, instance, "starting")
    return True


def _enter_spawning(slot: int) -> Callable[[Core, Instance, str], bool]:
    def enter(core: Core, instance: Instance, previous: str) -> bool:
        if instance.definition.processes[slot] is None or (slot == SECURITY and not core.apparmor):
            return False
        spawn(core, instance, slot)
        return True

    return enter


def _enter_waiting_for(slot: int) -> Callable[[Core, Instance, str], bool]:
    def enter(core: Core, instance: Instance, previous: str) -> bool:
        return instance.processes[slot] is not None

    return enter


def _enter_running(core: Core, instance: Instance, previous: str) -> bool:
    if previous == states.PRE_STOP:
        instance.stop_env = None
        release_owners(core, instance)
    else:
        core.queue_event("started", _job_event_env(instance, with_result=False))
        if not instance.definition.task:
            release_owners(core, instance)
    return True


def _enter_stopping(core: Core, instance: Instance, previous: str) -> bool:
    _queue_blocking_event(core, instance, "stopping")
    return True


def _enter_killed(core: Core, instance: Instance, previous: str) -> bool:
    main = instance.main
    if main is None:
        return False
    definition = instance.definition
    if definition.kill_timeout:
        # Before the signal, because a main process that is gone is told of, and cancels it, at once.
        instance.kill_timer = core.number()
        core.kill_timers[instance.kill_timer] = (instance.job, instance.name)
        instance.kill_due = core.now + definition.kill_timeout
        core.out.append(SetTimer(instance.kill_timer, float(definition.kill_timeout)))
    signal_main(core, instance, main, definition.kill_signal)
    if not definition.kill_timeout:
        signal_main(core, instance, main, KILL)
    return True


def _enter_waiting(core: Core, instance: Instance, previous: str) -> bool:
    core.queue_event("stopped", _job_event_env(instance, with_result=True))
    release_owners(core, instance)
    job = core.registry.classes[instance.job]
    if instance.stop_on is not None:
        unblock_events(core, instance.stop_on.reset())
    for fd in instance.fds + instance.start_fds:
        core.release_descriptor(fd)
    del job.instances[instance.name]
    if job.superseded and not job.instances:
        core.debug(f"job_change_state: Destroyed unused job {job.name}")
        reconsider(core, job)
    else:
        core.debug(f"job_change_state: Destroyed inactive instance {instance.display_name}")
        core.out.append(InstanceRemoved(job.name, instance.name))
    return True


_ENTER: Dict[str, Callable[[Core, Instance, str], bool]] = {
    states.WAITING: _enter_waiting,
    states.STARTING: _enter_starting,
    states.SECURITY_SPAWNING: _enter_spawning(SECURITY),
    states.SECURITY: _enter_waiting_for(SECURITY),
    states.PRE_STARTING: _enter_spawning(PRE_START),
    states.PRE_START: _enter_waiting_for(PRE_START),
    states.SPAWNING: _enter_spawning(MAIN),
    states.SPAWNED: _enter_waiting_for(MAIN),
    states.POST_STARTING: _enter_spawning(POST_START),
    states.POST_START: _enter_waiting_for(POST_START),
    states.RUNNING: _enter_running,
    states.PRE_STOPPING: _enter_spawning(PRE_STOP),
    states.PRE_STOP: _enter_waiting_for(PRE_STOP),
    states.STOPPING: _enter_stopping,
    states.KILLED: _enter_killed,
    states.POST_STOPPING: _enter_spawning(POST_STOP),
    states.POST_STOP: _enter_waiting_for(POST_STOP),
}


# -- job events ------------------------------------------------------------------------------------------


def _queue_blocking_event(core: Core, instance: Instance, name: str) -> None:
    event = core.queue_event(name, _job_event_env(instance, with_result=name == "stopping"))
    event.waiters.append(("instance", instance.job, instance.name))
    instance.blocker = event.number


def _job_event_env(instance: Instance, with_result: bool) -> Tuple[str, ...]:
    """The variables of a job event, in the order that positional matching depends on (E92, E93)."""
    env: Table = {"JOB": instance.job, "INSTANCE": instance.name}
    if with_result:
        env["RESULT"] = "failed" if instance.failed else "ok"
        if instance.failed:
            if instance.failed_process is None:
                env["PROCESS"] = "respawn"
            else:
                env["PROCESS"] = PROCESS_NAMES[instance.failed_process]
                status = instance.exit_status
                if status > 0xFF:
                    env["EXIT_SIGNAL"] = signal_name(status >> 8) or str(status >> 8)
                elif status >= 0:
                    env["EXIT_STATUS"] = str(status)
    for name in instance.definition.export:
        if name not in env and name in instance.env:
            env[name] = instance.env[name]
    return as_entries(env)


# -- owners ------------------------------------------------------------------------------------------------


def release_owners(core: Core, instance: Instance, failed: bool = False) -> None:
    """Let go everything that waits for the instance (E107, E108)."""
    owners, instance.owners = instance.owners, []
    core.changed(instance)
    for owner in owners:
        if owner[0] == "event":
            if failed:
                core.event_changed(core.queue.events[owner[1]])  # type: ignore[index]
            core.queue.unblock(owner[1], failed)  # type: ignore[arg-type]
        elif failed:
            core.out.append(Refuse(owner[1], "JobFailed", owner[2]))  # type: ignore[arg-type]
        else:
            core.out.append(Answer(owner[1], owner[3]))  # type: ignore[arg-type]


def block_events(core: Core, instance: Instance, numbers: Iterable[int]) -> None:
    """The instance holds these events until its owners are released (E98, E99).

    But not the event that it waits for itself, as with ``stop on starting`` of its own job: neither would ever end.
    """
    core.changed(instance)
    for number in numbers:
        if number != instance.blocker:
            core.queue.block(core.queue.events[number])
            instance.owners.append(("event", number))


def unblock_events(core: Core, numbers: Iterable[int]) -> None:
    """A condition lets go of these events (E101)."""
    for number in numbers:
        core.queue.unblock(number)


# -- processes -----------------------------------------------------------------------------------------------


def spawn(core: Core, instance: Instance, slot: int) -> None:
    """Ask for the process of a slot, which is empty."""
    core.changed(instance)
    process = Process(core.number())
    instance.processes[slot] = process
    core.spawns[process.spawn] = (instance.job, instance.name, slot)
    expect = instance.definition.expect if slot == MAIN else "none"
    core.out.append(SpawnProcess(process.spawn, instance.job, instance.name, slot, instance.definition,
                                 process_environment(core, instance, slot), instance.fds, expect))


def process_environment(core: Core, instance: Instance, slot: int) -> Tuple[str, ...]:
    """What a process gets (E72)."""
    table = instance.env
    if slot in (PRE_STOP, POST_STOP) and instance.stop_env:
        table = {**table, **instance.stop_env}
    table = {**table, "UPSTART_JOB": instance.job, "UPSTART_INSTANCE": instance.name}
    if core.session is not None:
        table["UPSTART_SESSION"] = core.session
    return as_entries(table)


def signal_main(core: Core, instance: Instance, main: Process, number: int) -> None:
    """A signal of the state ``killed`` (E59)."""
    # What is told of a signal that was not sent is about this one from now on, not about a reload.
    core.reloads.pop(main.spawn, None)
    core.info(f"Sending {signal_name(number) or number} signal to {instance.display_name} main process ({main.pid})")
    core.out.append(SignalProcess(main.spawn, number, True, True))


def kill_timer_fired(core: Core, timer: int) -> None:
    """The main process outlived its kill timeout (E59)."""
    found = core.find(*core.kill_timers.pop(timer, ("", "")))
    if found is None or found[1].kill_timer != timer:
        return
    instance = found[1]
    core.changed(instance)
    instance.kill_timer = 0
    if instance.main:
        signal_main(core, instance, instance.main, KILL)


def _clear(core: Core, instance: Instance, slot: int) -> None:
    process = instance.processes[slot]
    core.changed(instance)
    if process is not None:
        core.spawns.pop(process.spawn, None)
        core.reloads.pop(process.spawn, None)
        instance.processes[slot] = None
    if slot == MAIN and instance.kill_timer:
        core.out.append(CancelTimer(instance.kill_timer))
        core.kill_timers.pop(instance.kill_timer, None)
        instance.kill_timer = 0


def process_spawned(core: Core, instance: Instance, slot: int) -> None:
    """The process exists: on to the state that waits for it, whatever the goal became meanwhile (X25)."""
    if instance.state == SPAWNING_STATES.get(slot):
        take_next_state(core, instance, states.STATES[states.STATES.index(instance.state) + 1])
        _give_up_expect(core, instance)


def process_executed(core: Core, instance: Instance, slot: int) -> None:
    """The exec of a process was confirmed; without ``expect`` main is then up (E18, X26)."""
    if slot == MAIN and instance.state == states.SPAWNED and instance.definition.expect == "none":
        take_next_state(core, instance)


def process_ready(core: Core, instance: Instance, slot: int) -> None:
    """Main did what ``expect`` asks for (E18)."""
    if slot == MAIN and instance.state == states.SPAWNED:
        take_next_state(core, instance)


def process_spawn_failed(core: Core, instance: Instance, slot: int, reason: str) -> None:
    """E20, E21."""
    core.warn(f"Failed to spawn {instance.display_name} {PROCESS_NAMES[slot]} process: {reason}")
    _clear(core, instance, slot)
    if slot == MAIN and instance.state in (states.STOPPING, states.KILLED):
        # It was being stopped already: nothing failed any more.
        if instance.state == states.KILLED:
            take_next_state(core, instance)
        return
    if slot not in (POST_START, PRE_STOP):
        _record_failure(core, instance, slot, -1)
        change_goal(core, instance, STOP)
    take_next_state(core, instance)


def process_vanished(core: Core, instance: Instance, slot: int) -> None:
    """The tracked process is gone and nobody can say how it ended (X80)."""
    process = instance.processes[slot]
    if process is None:
        return
    core.warn(f"{instance.display_name} {PROCESS_NAMES[slot]} process ({process.pid}) no longer exists")
    end(core, instance, slot, 0)


def process_lost(core: Core, instance: Instance, slot: int) -> None:
    """It ended while nobody watched: as it should if the job is to stop, else a failure without a status (X260)."""
    process = instance.processes[slot]
    if process is None:
        return
    core.warn(f"{instance.display_name} {PROCESS_NAMES[slot]} process ({process.pid}) ended, its status is not known")
    end(core, instance, slot, 0 if instance.goal == STOP else -1)


def process_ended(core: Core, instance: Instance, slot: int, status: int) -> None:
    """E32-E50; the line first, then what follows from it."""
    process = instance.processes[slot]
    if process is None:
        return
    line = f"{instance.display_name} {PROCESS_NAMES[slot]} process ({process.pid}) "
    if not status:
        core.info(line + "exited normally")
    else:
        if status > 0xFF:
            name = signal_name(status >> 8)
            line += f"killed by {name} signal" if name else f"killed by signal {status >> 8}"
        else:
            line += f"terminated with status {status}"
        if status in instance.definition.normal_exit:
            core.info(line)
        else:
            core.warn(line)
    end(core, instance, slot, status)


def end(core: Core, instance: Instance, slot: int, status: int) -> None:
    """What follows from the end of a process; status -1: there is none to report."""
    if slot == MAIN:
        _main_ended(core, instance, status)
        return
    _clear(core, instance, slot)
    if status and slot in (PRE_START, POST_STOP):
        _record_failure(core, instance, slot, status)
        change_goal(core, instance, STOP)
    take_next_state(core, instance)


def _main_ended(core: Core, instance: Instance, status: int) -> None:
    if instance.state == states.STOPPING:
        # The stopping event leads on; killed will find nothing to signal (E42).
        _clear(core, instance, MAIN)
        return
    if instance.state == states.KILLED or instance.restarting or instance.goal != START:
        _clear(core, instance, MAIN)
        if not _script_runs(instance):
            take_next_state(core, instance)
        return
    definition = instance.definition
    abnormal = (status != 0 or (definition.respawn and not definition.task)) and status not in definition.normal_exit
    if abnormal and definition.respawn and core.session_end is None and not core.host_goes_down:
        if _respawns_too_fast(core, instance):
            core.warn(f"{instance.display_name} respawning too fast, stopped")
            _clear(core, instance, MAIN)
            _record_failure(core, instance, None, 0)
            _stop_after_end(core, instance)
            return
        core.warn(f"{instance.display_name} main process ended, respawning")
        _clear(core, instance, MAIN)
        if _script_runs(instance):
            change_goal(core, instance, RESPAWN)
        else:
            take_next_state(core, instance, states.STOPPING)
        return
    _clear(core, instance, MAIN)
    if abnormal:
        _record_failure(core, instance, MAIN, status)
    _stop_after_end(core, instance)


def _stop_after_end(core: Core, instance: Instance) -> None:
    """Main ended for good: goal stop, and on, unless a script has to end first (E48)."""
    state = instance.state
    change_goal(core, instance, STOP)
    if instance.state == state and not _script_runs(instance):
        take_next_state(core, instance)


def _script_runs(instance: Instance) -> bool:
    """Whether post-start or pre-stop is what the present state waits for (E48)."""
    return ((instance.state in (states.POST_STARTING, states.POST_START) and instance.processes[POST_START] is not None)
            or (instance.state in (states.PRE_STOPPING, states.PRE_STOP) and instance.processes[PRE_STOP] is not None))


def _record_failure(core: Core, instance: Instance, slot: Optional[int], status: int) -> None:
    """The first failure of a run is kept and reported; later ones are not (E8)."""
    if instance.failed:
        return
    core.changed(instance)
    instance.failed = True
    instance.failed_process = slot
    instance.exit_status = status
    core.out.append(JobFailed(instance.job, instance.name, status))
    release_owners(core, instance, failed=True)


def _respawns_too_fast(core: Core, instance: Instance) -> bool:
    """Count one end of main against the limit (E51)."""
    core.changed(instance)
    limit, interval = instance.definition.respawn_limit, instance.definition.respawn_interval
    if not limit or not interval:
        return False
    now = int(core.now)
    if now - instance.respawn_time < interval:
        instance.respawn_count += 1
        return instance.respawn_count > limit
    instance.respawn_time = now
    instance.respawn_count = 1
    return False


def all_instances(core: Core) -> List[Instance]:
    """Every instance of every class, in the order of E83."""
    return [instance for job in core.registry.ordered() for instance in job.ordered_instances()]

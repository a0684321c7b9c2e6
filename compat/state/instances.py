"""Instances as Instance objects (D205).

What Upstart's keys cannot tell stands in keys of our own: ``order``, ``restarting``, ``start_fds``, which
of the tables are unset, and for each process the number of its spawn.

An instance is read in two steps: ``decode`` makes it, and ``settle`` sees to it that it does not wait for
what is not there. A state of ours needs none of that; one of Upstart's, or a damaged one, may.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..control.paths import instance_path
from ..engine import states
from ..engine.core import Core
from ..engine.environment import as_entries
from ..engine.events import HANDLING
from ..engine.jobs import Instance, JobClass, Process, place
from ..parser.definition import MAIN, POST_START, POST_STOP, PRE_START, PRE_STOP, SECURITY
from . import processes
from .blocked import Blocked, OfCall, OfEvent, blocked, encode_owner
from .conditions import Seen, seen
from .conditions import encode as encode_condition
from .events import ReadEvent
from .processes import PROCESS_WORDS, ProcessState, encode_slot, per_slot
from .reading import Record, Unreadable, count, flag, integer, members, natural, optional, seconds, strings, table, text, tuple_of, word

_GOALS = {"JOB_" + goal.upper(): goal for goal in states.GOALS}
_GOAL_WORDS = {goal: word for word, goal in _GOALS.items()}
_STATES = {"JOB_" + state.upper().replace("-", "_"): state for state in states.STATES}
_STATE_WORDS = {state: word for word, state in _STATES.items()}
_PROCESSES: Dict[str, Optional[int]] = {word: slot for slot, word in enumerate(PROCESS_WORDS)}
_PROCESSES["PROCESS_INVALID"] = None
#: Upstart also waits in the states on the left for the set-up of a process that exists; here that is part of those on the right.
_RESTS = {
    states.SECURITY_SPAWNING: states.SECURITY, states.PRE_STARTING: states.PRE_START, states.SPAWNING: states.SPAWNED,
    states.POST_STARTING: states.POST_START, states.PRE_STOPPING: states.PRE_STOP, states.POST_STOPPING: states.POST_STOP,
}
#: What these states wait for.
_AWAITED = {states.SECURITY: SECURITY, states.PRE_START: PRE_START, states.SPAWNED: MAIN, states.POST_START: POST_START,
            states.PRE_STOP: PRE_STOP, states.KILLED: MAIN, states.POST_STOP: POST_STOP}
_AWAITED.update((spawning, _AWAITED[rests]) for spawning, rests in _RESTS.items())
_BLOCKED = (states.STARTING, states.STOPPING)


class Surroundings(NamedTuple):
    """What is needed to write instances: places of events, when timers are due, what the backend knows of processes."""

    places: Dict[int, int]
    due: Mapping[int, float]
    processes: Mapping[int, ProcessState]


class ReadInstance(NamedTuple):
    """An instance that was read, and what is still to be made of it."""

    instance: Instance
    owners: List[Blocked]
    blocker: int
    slots: List[Optional[ProcessState]]
    timer_due: Optional[float]


def encode(core: Core, instance: Instance, around: Surroundings) -> Dict[str, Any]:
    """The Instance object."""
    slots: List[Optional[ProcessState]] = []
    own: List[Optional[Dict[str, Any]]] = []
    for process in instance.processes:
        if process is None:
            slots.append(None)
            own.append(None)
            continue
        state = around.processes.get(process.spawn) or ProcessState(process.pid)
        slots.append(state)
        entry = encode_slot(state)
        entry["spawn"] = process.spawn
        entry["signalled"] = int(process.signalled)
        if process.handle is not None:
            entry["handle"] = process.handle
        if process.spawn in core.reloads:
            entry["reload"] = core.reloads[process.spawn]
        own.append(entry)
    record: Dict[str, Any] = {
        "name": instance.name, "path": instance_path(instance.job, instance.name),
        "goal": _GOAL_WORDS[instance.goal], "state": _STATE_WORDS[instance.state],
        "env": list(as_entries(instance.env)),
        "start_env": list(as_entries(instance.start_env or {})), "stop_env": list(as_entries(instance.stop_env or {})),
        "fds": list(instance.fds), "pid": [process.pid if process else 0 for process in instance.processes],
        "blocking": [encode_owner(owner, around.places) for owner in instance.owners],
        "kill_process": PROCESS_WORDS[MAIN] if instance.kill_timer else "PROCESS_INVALID",
        "failed": int(instance.failed),
        "failed_process": "PROCESS_INVALID" if instance.failed_process is None else PROCESS_WORDS[instance.failed_process],
        "exit_status": instance.exit_status,
        "respawn_time": instance.respawn_time, "respawn_count": instance.respawn_count,
    }
    record.update(processes.encode(slots))
    if instance.definition.stop_on is not None:
        record["stop_on"] = encode_condition(instance.definition.stop_on, instance.stop_on, around.places)
    if instance.blocker:
        record["blocker"] = around.places[instance.blocker]
    if instance.kill_timer:
        timeout = instance.definition.kill_timeout
        due = around.due.get(instance.kill_timer, instance.kill_due)
        record["kill_timer"] = {"timeout": timeout, "due": int(due), "due_exactly": due, "number": instance.kill_timer}
    elif instance.kill_due:
        record["kill_was_due"] = instance.kill_due
    record.update(
        order=instance.order, restarting=int(instance.restarting), start_fds=list(instance.start_fds), slots=own,
        unset=[key for key, value in (("start_env", instance.start_env), ("stop_env", instance.stop_env)) if value is None])
    return record


def decode(core: Core, job: JobClass, record: Record, events: Sequence[Optional[ReadEvent]], is_open: Callable[[int], bool],
           lost: List[str]) -> Optional[ReadInstance]:
    """The instance, in its class and with its processes known to the core; None if it is one that has ended. Raises Unreadable."""
    name = record.get("name", text)
    if name in job.instances:
        raise Unreadable("it is there twice")
    state = record.get("state", word(_STATES))
    if state == states.WAITING:
        return None
    order = record.get("order", count, 0)
    instance = Instance(job.name, name, job.definition, order or place(name, core.number()))
    instance.goal = record.get("goal", word(_GOALS))
    instance.state = state
    instance.env = record.get("env", table)
    unset = record.get("unset", strings, None)
    tables = {key: record.get(key, table) for key in ("start_env", "stop_env")}
    # An empty one of Upstart's is none.
    instance.start_env, instance.stop_env = (
        None if (key in unset if unset is not None else not value) else value for key, value in tables.items())
    number = numbers(events)
    condition: Optional[Seen] = record.get("stop_on", seen(number), None)
    if condition is not None and condition.condition == job.definition.stop_on:
        condition.of(instance.stop_on)
    instance.failed = record.get("failed", flag)
    instance.failed_process = record.get("failed_process", word(_PROCESSES))
    instance.exit_status = record.get("exit_status", integer)
    instance.respawn_time, instance.respawn_count = record.get("respawn_time", integer), record.get("respawn_count", natural)
    instance.restarting = record.get("restarting", flag, False)
    for key in ("fds", "start_fds"):
        fds = record.get(key, tuple_of(natural), ())
        kept = tuple(fd for fd in fds if is_open(fd))
        if kept != fds:
            lost.append(f"descriptors of {instance.display_name} are lost")
        setattr(instance, key, kept)
    pids: List[int] = [pid or 0 for pid in record.get("pid", per_slot(natural))]
    slots = processes.decode(record, pids, lost)
    timer = record.get("kill_timer", _timer, None)
    instance.kill_due = record.get("kill_was_due", seconds, 0.0)
    if state in _RESTS and pids[_AWAITED[state]]:
        instance.state = _RESTS[state]
    # From here on nothing fails, so that nothing is left behind of an instance that is lost.
    own = _own_slots(record)
    for slot, found in enumerate(slots):
        if found is not None:
            _add_process(core, instance, slot, found.pid, own[slot])
    if timer is not None and instance.main is not None:
        instance.kill_due, number_of_timer = timer
        instance.kill_timer = number_of_timer if number_of_timer and number_of_timer not in core.kill_timers else core.number()
        core.kill_timers[instance.kill_timer] = (job.name, name)
    job.instances[name] = instance
    blocker = record.get("blocker", natural, -1)
    return ReadInstance(instance, record.get("blocking", blocked, []), number(blocker) if blocker >= 0 else 0, slots,
                        timer[0] if timer is not None and instance.kill_timer else None)


def settle(core: Core, read: ReadInstance, events: Sequence[Optional[ReadEvent]]) -> List[int]:
    """Link an instance to the events and callers around it, once all are there; the numbers of events it holds.

    Where it waits for an event or a process that is not there it is given one that is over at once, so
    that it goes on instead of hanging for ever.
    """
    instance = read.instance
    number = numbers(events)
    held: List[int] = []
    for owner in read.owners:
        if isinstance(owner, OfCall):
            instance.owners.append(("call", owner.call, owner.failure or "Job failed", owner.result))
        elif isinstance(owner, OfEvent) and number(owner.place):
            held.append(number(owner.place))
            instance.owners.append(("event", held[-1]))
    if instance.state in _BLOCKED:
        _block(core, instance, read.blocker)
    awaited = _AWAITED.get(instance.state)
    if awaited is None and instance.state == states.RUNNING and instance.definition.processes[MAIN] is not None:
        awaited = MAIN
    if awaited is not None and instance.processes[awaited] is None:
        read.slots[awaited] = ProcessState(0)
        _add_process(core, instance, awaited, 0, None)
    return held


def _block(core: Core, instance: Instance, number: int) -> None:
    event = core.queue.events.get(number)
    if event is None:
        # Its job event is not repeated for others: it was handled, and nobody holds it.
        event = core.queue.add(instance.state, ("JOB=" + instance.job, "INSTANCE=" + instance.name))
        event.progress = HANDLING
    instance.blocker = event.number
    waiter = ("instance", instance.job, instance.name)
    if waiter not in event.waiters:
        event.waiters.append(waiter)


def _add_process(core: Core, instance: Instance, slot: int, pid: int, own: Optional[Record]) -> None:
    spawn, call, handle, signalled = 0, None, None, False
    if own is not None:
        try:
            call, handle = own.get("reload", optional(count), None), own.get("handle", optional(members), None)
            spawn, signalled = own.get("spawn", count), own.get("signalled", flag, False)
        except Unreadable:
            # As one of Upstart's, which have no number.
            pass
    while not spawn or spawn in core.spawns:
        spawn = core.number()
    process = Process(spawn)
    process.pid, process.handle, process.signalled = pid, handle, signalled
    instance.processes[slot] = process
    core.spawns[spawn] = (instance.job, instance.name, slot)
    if call is not None:
        core.reloads[spawn] = call


def _own_slots(record: Record) -> List[Optional[Record]]:
    def forgiving(value: Any) -> Optional[Record]:
        return Record(value) if type(value) is dict else None

    try:
        return record.get("slots", per_slot(forgiving), [None] * processes.SLOTS)
    except Unreadable:
        return [None] * processes.SLOTS


def _timer(value: Any) -> Tuple[float, int]:
    record = Record(value)
    return record.get("due_exactly", seconds, None) or record.get("due", seconds), record.get("number", count, 0)


def numbers(events: Sequence[Optional[ReadEvent]]) -> Callable[[int], int]:
    """From the place of an event to its number, 0 if it is none or lost."""

    def number(place: int) -> int:
        found = events[place] if 0 <= place < len(events) else None
        return found.event.number if found is not None else 0

    return number

"""Working through the event queue: what an event starts and stops, and what its end lets go (E84-E104)."""
from __future__ import annotations

from typing import List, Union

from .actions import Answer, EventEmitted, Refuse
from .conditions import ConditionState
from .core import Core
from .environment import add_entries
from .events import HANDLING, PENDING, Event
from .expansion import ExpansionError, expand
from .jobs import Instance, JobClass
from .lifecycle import block_events, change_goal, new_instance, plan_start, release_owners, request_stop, take_next_state, unblock_events
from .session_end import finish_if_empty
from .states import START, STOP

#: Visits in one poll. A poll is cut into short pieces so that processes start while later events are
#: still being worked on; the caller polls again while there is work, with a bound of its own, because
#: jobs without processes can keep triggering each other for ever (E90).
VISITS_PER_POLL = 50


def poll(core: Core) -> None:
    """Visit events until nothing is left to do, or the bound is reached (E84)."""
    for _ in range(VISITS_PER_POLL):
        event = core.queue.next()
        if event is None:
            return
        if event.progress == PENDING:
            _handle(core, event)
        if not event.blockers:
            _finish(core, event)
        if core.session_end is not None:
            finish_if_empty(core)


def _handle(core: Core, event: Event) -> None:
    core.info(f"Handling {event.name} event")
    event.progress = HANDLING
    core.event_changed(event)
    interested = core.registry.interested(event)
    if interested:
        core.history.note(event, core.now)
    for job in interested:
        for instance in job.ordered_instances():
            if instance.stop_on is not None and _offer(core, instance.stop_on, event, instance):
                _stop_on_fired(core, instance, instance.stop_on)
        if job.start_on is not None and _offer(core, job.start_on, event, job):
            start_on_fired(core, job)


def _offer(core: Core, condition: ConditionState, event: Event, owner: Union[JobClass, Instance]) -> bool:
    """Show the event to a condition; whether it fires (E95). ``start on`` is expanded with nothing (E97)."""
    taken = condition.offer(event, owner.env if isinstance(owner, Instance) else {})
    if taken:
        if isinstance(owner, Instance):
            core.changed(owner)
        else:
            core.condition_changed(owner)
    for _ in range(taken):
        core.queue.block(event)
    return bool(taken) and condition.true_events() is not None


def _stop_on_fired(core: Core, instance: Instance, condition: ConditionState) -> None:
    """E99."""
    numbers = condition.true_events() or []
    if instance.goal != STOP:
        events = [core.queue.events[number] for number in numbers]
        stop_env: "dict[str, str]" = {}
        for event in events:
            add_entries(stop_env, event.env, core.inherited)
        stop_env["UPSTART_STOP_EVENTS"] = " ".join([event.name for event in events])
        instance.stop_env = stop_env
        release_owners(core, instance)
        block_events(core, instance, numbers)
        unblock_events(core, condition.reset())
        request_stop(core, instance)
    else:
        unblock_events(core, condition.reset())


def start_on_fired(core: Core, job: JobClass) -> None:
    """E98, E67."""
    core.condition_changed(job)
    condition = job.start_on
    assert condition is not None
    numbers = condition.true_events() or []
    events: List[Event] = [core.queue.events[number] for number in numbers]
    table = core.class_environment(job)
    for event in events:
        add_entries(table, event.env, core.inherited)
    table["UPSTART_EVENTS"] = " ".join([event.name for event in events])
    fds = tuple(dict.fromkeys(event.fd for event in events if event.fd >= 0))
    if fds:
        table["UPSTART_FDS"] = " ".join(map(str, fds))
    try:
        name = expand(job.definition.instance or "", table)
    except ExpansionError as error:
        core.warn(f"Failed to obtain {job.name} instance: {error}")
        unblock_events(core, condition.reset())
        return
    instance = job.instances.get(name)
    created = instance is None
    if instance is None:
        instance = new_instance(core, job, name)
    core.debug(f"job_class_induct_job: New instance {instance.display_name}")
    if instance.goal == STOP:
        plan_start(core, instance, table, fds)
        if not created:
            release_owners(core, instance)
        block_events(core, instance, numbers)
        unblock_events(core, condition.reset())
        change_goal(core, instance, START)
    else:
        unblock_events(core, condition.reset())


def _finish(core: Core, event: Event) -> None:
    """E87: the waiters in order, each with everything that follows from it."""
    core.debug(f"event_finished: Finished {event.name} event")
    core.queue.remove(event)
    core.event_changed(event)
    for waiter in event.waiters:
        if waiter[0] == "call":
            if event.failed:
                core.out.append(Refuse(waiter[1], "EventFailed", "Event failed"))  # type: ignore[arg-type]
            else:
                core.out.append(Answer(waiter[1]))  # type: ignore[arg-type]
            continue
        found = core.find(waiter[1], waiter[2])  # type: ignore[arg-type]
        if found is not None and found[1].blocker == event.number:
            found[1].blocker = 0
            take_next_state(core, found[1])
    if event.fd >= 0:
        core.release_descriptor(event.fd)
    if event.failed and not event.name.endswith("/failed"):
        core.queue_event(event.name + "/failed", event.env)
    core.out.append(EventEmitted(event.name, event.env))

"""Which definition of a job is registered: the reload rule (E116-E122, D114-D129).

A class is registered, replaced or removed only while it has no instances. A definition that arrives
while instances exist waits in ``JobClass.pending`` until the last of them is gone; so ``restart`` keeps
the old definition and ``stop`` followed by ``start`` takes the new one (P20).
"""
from __future__ import annotations

from typing import Optional

from ..parser.definition import JobDefinition
from .actions import JobAdded, JobRemoved
from .core import Core
from .jobs import JobClass


def define(core: Core, name: str, definition: JobDefinition) -> Optional[JobClass]:
    """A (new) best definition for a name.

    Returns the newly registered class if an idle one was replaced and its half-true condition is
    true under the new definition: the caller starts the job then (E122).
    """
    old = core.registry.classes.get(name)
    if old is None:
        _register(core, name, definition)
        return None
    if old.instances:
        if definition is old.definition:
            # What had replaced it is gone again (D127): nothing is pending any more.
            old.superseded, old.pending = False, None
        else:
            _supersede(core, old, definition)
        return None
    return _replace_idle(core, old, definition)


def forget(core: Core, name: str) -> None:
    """No definition is left for a name (D122, D123)."""
    old = core.registry.classes.get(name)
    if old is None:
        return
    if old.instances:
        _supersede(core, old, None)
    else:
        _unregister(core, old)
        core.debug(f"conf_file_destroy: Destroyed unused job {name}")


def bring_back(core: Core, name: str, definition: JobDefinition) -> JobClass:
    """The class for instances that were started with ``definition``; superseded, if another one is loaded or none (E117)."""
    found = core.registry.classes.get(name)
    if found is not None and (found.instances or found.definition == definition):
        return found
    if found is not None:
        _unregister(core, found)
    job = _register(core, name, definition)
    job.superseded = True
    job.pending = found.definition if found is not None else None
    return job


def reconsider(core: Core, job: JobClass) -> None:
    """The last instance of a superseded class is gone: what was pending takes over (E118)."""
    _unregister(core, job)
    if job.pending is not None:
        if job.pending != job.definition:
            core.info(f"{job.name}: the changed definition is now in use")
        _register(core, job.name, job.pending)


def _supersede(core: Core, job: JobClass, definition: Optional[JobDefinition]) -> None:
    previous, job.pending = job.pending, definition
    job.superseded = True
    if definition is not None and definition not in (job.definition, previous):
        core.info(f"{job.name}: the changed definition waits until the job has stopped")


def _register(core: Core, name: str, definition: JobDefinition) -> JobClass:
    job = JobClass(name, definition, core.registry.next_order(name))
    core.registry.add(job)
    core.out.append(JobAdded(name))
    return job


def _unregister(core: Core, job: JobClass) -> None:
    core.registry.remove(job)
    core.condition_changed(job)
    if job.start_on is not None:
        for number in job.start_on.reset():
            core.queue.unblock(number)
    core.out.append(JobRemoved(job.name))


def _replace_idle(core: Core, old: JobClass, definition: JobDefinition) -> Optional[JobClass]:
    # The new condition takes its events over before the old one lets go of them, so that none can
    # finish in between (E122).
    core.registry.remove(old)
    core.condition_changed(old)
    job = JobClass(old.name, definition, core.registry.next_order(old.name))
    if old.start_on is not None and job.start_on is not None:
        for number in dict.fromkeys(old.start_on.held_events()):
            event = core.queue.events[number]
            for _ in range(job.start_on.offer(event, {})):
                core.queue.block(event)
    if old.start_on is not None:
        for number in old.start_on.reset():
            core.queue.unblock(number)
    core.out.append(JobRemoved(old.name))
    core.debug(f"conf_file_destroy: Destroyed unused job {old.name}")
    core.registry.add(job)
    core.out.append(JobAdded(job.name))
    if job.start_on is not None and job.start_on.true_events() is not None:
        return job
    return None

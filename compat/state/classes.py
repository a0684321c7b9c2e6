"""Registered classes as Class objects (D203), with their instances.

``deleted`` is what the engine calls superseded; what waits to take over stands in ``pending``, which
Upstart does not write, because it reads the files again (D214).
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..control.paths import job_path
from ..engine.core import Core
from ..engine.jobs import JobClass
from ..parser.definition import JobDefinition
from . import definitions, instances
from .conditions import Seen, seen
from .events import ReadEvent
from .instances import ReadInstance, Surroundings
from .reading import Record, Unreadable, array, count, flag, natural, text

#: How many processes of a lost class are named.
_MOST_NAMED = 20


def encode(core: Core, job: JobClass, console: str, around: Surroundings) -> Dict[str, Any]:
    """The Class object; ``console`` as in definitions.encode."""
    record: Dict[str, Any] = {"session": 0, "name": job.name, "path": job_path(job.name)}
    record.update(definitions.encode(job.definition, console, job.start_on, around.places))
    record["deleted"] = int(job.superseded)
    record["jobs"] = [instances.encode(core, instance, around) for instance in job.ordered_instances()]
    record["order"] = job.order
    if job.pending is not None:
        record["pending"] = definitions.encode(job.pending, console, None, {})
    return record


def decode(core: Core, entries: List[Any], events: Sequence[Optional[ReadEvent]], is_open: Callable[[int], bool],
           lost: List[str]) -> List[ReadInstance]:
    """Register every class that can be read; the instances that were read are not linked yet (instances.settle)."""
    found: List[ReadInstance] = []
    for place, entry in enumerate(entries):
        try:
            found += _one(core, Record(entry), events, is_open, lost)
        except Unreadable as fault:
            name = entry.get("name") if type(entry) is dict else None
            label = name[:100] if type(name) is str else f"number {place}"
            jobs = entry.get("jobs") if type(entry) is dict else None
            lost.append(f"Job {label} is lost: {fault}{_left_alone(jobs if type(jobs) is list else [])}")
    return found


def _one(core: Core, record: Record, events: Sequence[Optional[ReadEvent]], is_open: Callable[[int], bool],
         lost: List[str]) -> List[ReadInstance]:
    if record.get("session", natural):
        raise Unreadable("it is of a chroot session")
    name = record.get("name", text)
    if not name or name in core.registry.classes:
        raise Unreadable("it has no name" if not name else "it is there twice")
    definition, start_on = _definition(record, events)
    pending = record.get("pending", Record, None)
    jobs = record.get("jobs", array)
    order = record.get("order", count, 0)
    job = JobClass(name, definition, order or core.registry.next_order(name))
    if start_on is not None:
        start_on.of(job.start_on)
    job.superseded = record.get("deleted", flag)
    if pending is not None:
        job.pending = _definition(pending, ())[0]
    found: List[ReadInstance] = []
    for entry in jobs:
        faults: List[str] = []
        try:
            read = instances.decode(core, job, Record(entry), events, is_open, faults)
            if read is not None:
                found.append(read)
        except Unreadable as fault:
            faults.append(f"an instance is lost: {fault}{_left_alone([entry])}")
        lost += [f"{name}: {fault}" for fault in faults]
    if job.superseded and not job.instances:
        # It was only there for its instances (E119).
        if job.pending is None:
            return found
        job = JobClass(name, job.pending, job.order)
    core.registry.add(job)
    return found


def _definition(record: Record, events: Sequence[Optional[ReadEvent]]) -> Tuple[JobDefinition, Optional[Seen]]:
    number = instances.numbers(events)
    start_on, stop_on = record.get("start_on", seen(number), None), record.get("stop_on", seen(number), None)
    definition = definitions.decode(record)._replace(
        start_on=start_on.condition if start_on is not None else None, stop_on=stop_on.condition if stop_on is not None else None)
    return definition, start_on


def _left_alone(jobs: List[Any]) -> str:
    """Which processes nobody looks after any more (D228)."""
    pids = [pid for job in jobs if type(job) is dict and type(job.get("pid")) is list for pid in job["pid"]
            if type(pid) is int and pid > 0]
    if not pids:
        return ""
    text = ", ".join(map(str, pids[:_MOST_NAMED])) + (", ..." if len(pids) > _MOST_NAMED else "")
    return f"; no longer supervised: {text}"

"""All of the daemon that goes over an exec, put together and taken apart again.

The engine and its processes have keys of their own in the text (compat.state); the rest stands in sections:

* ``control``: clients and their calls (control/kept_clients.py), and whether the private socket is kept;
* ``held``: output of processes that ended (D206);
* ``units``: names of systemd's units that are ours;
* ``requests``: units of jobs that have asked for something (units/requests.py);
* ``read_ahead``: the memfd with the job files that were parsed before (config/read_ahead.py), -1 for none;
* ``daemon``: the log's priority (D245), its lines that could not be written yet, and the limit of descriptors that jobs get.
"""
from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ..engine.actions import FATAL, SpawnProcess
from ..engine.core import Core
from ..parser.definition import MAIN
from ..state.processes import LogState, ProcessState, descriptors, encode_log, log_descriptors, read_log
from ..state.reading import Record, Unreadable, array, data, natural

Limit = Tuple[int, int]


class Own(NamedTuple):
    """Section ``daemon``: priority of the log, descriptor limit as before the daemon raised it, unwritten lines of output and errors."""

    priority: Optional[int]
    nofile: Optional[Limit]
    output: bytes
    errors: bytes


def encode_own(own: Own) -> Dict[str, Any]:
    """The section."""
    return {"log_priority": own.priority, "nofile": own.nofile, "output": own.output.hex(), "errors": own.errors.hex()}


def own(sections: Mapping[str, Any]) -> Own:
    """What the section says; None or nothing for what it does not."""
    record = section(sections, "daemon")
    return Own(_forgiving(record, "log_priority", _priority, None), _forgiving(record, "nofile", _limit, None),
               _forgiving(record, "output", data, b""), _forgiving(record, "errors", data, b""))


def section(sections: Mapping[str, Any], name: str) -> Record:
    """One section, empty if there is none that can be read."""
    try:
        return Record(sections.get(name, {}))
    except Unreadable:
        return Record({})


def encode_held(logs: Iterable[LogState]) -> List[Dict[str, Any]]:
    """Section ``held``."""
    return list(map(encode_log, logs))


def held(sections: Mapping[str, Any]) -> List[LogState]:
    """The logs in the section; what cannot be read is left out."""
    found: List[LogState] = []
    try:
        entries = array(sections.get("held", []))
    except Unreadable:
        entries = []
    for entry in entries:
        try:
            found.append(read_log(Record(entry)))
        except Unreadable:
            continue
    return found


def units(sections: Mapping[str, Any]) -> Optional[List[str]]:
    """Section ``units``: names that can be those of units; None if there is no such section."""
    try:
        entries = array(sections["units"]) if "units" in sections else None
    except Unreadable:
        entries = []
    return None if entries is None else [entry for entry in entries if type(entry) is str and entry.isascii()]


def ahead(sections: Mapping[str, Any]) -> Optional[int]:
    """Section ``read_ahead``; None if there is none."""
    found = sections.get("read_ahead")
    return found if type(found) is int and found >= 0 else None


def needed(processes: Iterable[ProcessState], logs: Iterable[LogState], core: Core) -> Iterator[int]:
    """Every descriptor that processes, held logs and events have (D191)."""
    for process in processes:
        yield from descriptors(process)
    for log in logs:
        yield from log_descriptors(log)
    yield from core.descriptor_users


def requests(core: Core, processes: Mapping[int, ProcessState]) -> List[Tuple[SpawnProcess, ProcessState]]:
    """Each process of the core, with what it was asked for as far as its backend still needs it."""
    found: List[Tuple[SpawnProcess, ProcessState]] = []
    for spawn, (job, name, slot) in core.spawns.items():
        place = core.find(job, name)
        if place is not None and spawn in processes:
            definition = place[1].definition
            expect = definition.expect if slot == MAIN else "none"
            found.append((SpawnProcess(spawn, job, name, slot, definition, (), (), expect), processes[spawn]))
    return found


def _forgiving(record: Record, key: str, kind: Any, default: Any) -> Any:
    try:
        return record.get(key, kind, default)
    except Unreadable:
        return default


def _priority(value: Any) -> int:
    if natural(value) > FATAL:
        raise Unreadable("no priority")
    return int(value)


def _limit(value: Any) -> Optional[Limit]:
    if value is None:
        return None
    numbers = [each for each in array(value) if type(each) is int and -1 <= each < 2 ** 63]
    if len(numbers) != 2:
        raise Unreadable("no limit")
    return numbers[0], numbers[1]



"""The whole state: one JSON object on one line (D198), from a Core and back into a fresh one.

The keys are those that Upstart 1.13.2 reads and writes, so that either reads what the other wrote, as far
as it goes; what it has no key for stands in keys that it ignores. The ``meta`` header says which program
wrote it and in which format (D227); without one it is Upstart's.

Reading gives up only what is damaged (D187): an event, a class, an instance, a log. What is lost is said in
words, never by an exception. Only a text of which nothing can be made raises StateError, and nothing but
that. Whoever reads must be quick and must not grow without bound: the text's length is limited, so is its depth, and
there is no step that costs more than in proportion to it.
"""
from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..engine.core import Core, SessionEnd
from ..engine.environment import as_entries
from ..engine.jobs import ORDER_MASK
from . import classes, events, instances
from .blocked import OfCall, OfInstance
from .instances import Surroundings
from .processes import ProcessState
from .reading import Record, Unreadable, array, count, flag, integer, members, optional, seconds, table, text, word

#: Of the keys beside Upstart's. A reader knows all formats up to its own.
FORMAT = 1
#: Characters of text. 5,000 jobs with 1,000 instances are 20 million.
LARGEST = 256 << 20
_LONGEST_NUMBER = 25
_PHASES = {phase: phase for phase in ("wait", "kill", "over")}
_REASONS = {reason: reason for reason in ("logout", "shutdown", "host")}


class StateError(Exception):
    """Nothing can be made of the text; ``too_new``: because a later program wrote it."""

    def __init__(self, message: str, too_new: bool = False) -> None:
        super().__init__(message)
        self.too_new = too_new


class Source(NamedTuple):
    """A source of job files: its path, whether it is one file, and the names of its jobs with whether each is valid (D202)."""

    path: str
    is_file: bool
    jobs: Tuple[Tuple[str, bool], ...] = ()


class Header(NamedTuple):
    """Which program wrote the text (D227); times in seconds since 1970, and of the monotonic clock."""

    format: int
    version: str
    time: float
    monotonic: float


class Moment(NamedTuple):
    """What is around a Core when it is written: program version and times as in Header, when timers are due, the processes.

    ``due`` is by timer and in monotonic seconds, ``processes`` by spawn. ``console`` is the default console
    (D11). ``sections`` are plain data of others, which come back as they are, and so are ``facts`` of host mode (B203). Without
    ``idle``, classes are left out that are the same again when their files are read anew, which always follows (D183); of most
    hosts that is most of the state.
    """

    version: str = ""
    time: float = 0.0
    monotonic: float = 0.0
    console: str = "log"
    due: Mapping[int, float] = {}
    processes: Mapping[int, ProcessState] = {}
    sources: Sequence[Source] = ()
    bus_address: Optional[str] = None
    sections: Mapping[str, Any] = {}
    facts: Optional[Mapping[str, Any]] = None
    idle: bool = True


class Restored(NamedTuple):
    """What was read beside the Core.

    ``header`` is None for a state of Upstart's. ``timers`` are those of the Core with their monotonic
    times. ``last_call`` is the highest number of a caller who waits. ``lost`` says in sentences what
    could not be read.
    """

    header: Optional[Header]
    timers: Tuple[Tuple[int, float], ...]
    processes: Dict[int, ProcessState]
    last_call: int
    bus_address: Optional[str]
    sections: Dict[str, Any]
    facts: Optional[Dict[str, Any]]
    lost: Tuple[str, ...]


# -- writing -------------------------------------------------------------------------------------------------


def serialise(core: Core, moment: Moment) -> str:
    """The text. The Core must be at rest: every action that it gave was carried out."""
    around = Surroundings(events.places(core.queue), moment.due, moment.processes)
    root: Dict[str, Any] = {
        "sessions": [],
        "events": events.encode(core.queue),
        "control_bus_address": moment.bus_address,
        "job_environment": list(as_entries(core.job_environment)),
        "job_classes": [classes.encode(core, job, moment.console, around) for job in core.registry.ordered()
                        if moment.idle or job.instances or job.superseded or (job.start_on is not None and job.start_on.held)],
        "conf_sources": list(map(_source, moment.sources)),
        "meta": {"format": FORMAT, "version": moment.version, "time": moment.time, "monotonic": moment.monotonic},
        "queue": events.encode_queue(core.queue),
        "history": events.encode_history(core.history),
        "host_goes_down": core.host_goes_down,
        "serial": core.serial,
        "class_serial": core.registry.serial,
        "sections": dict(moment.sections),
    }
    if moment.facts is not None:
        root["facts"] = dict(moment.facts)
    end = core.session_end
    if end is not None:
        root["session_end"] = {
            "reason": end.reason, "began": end.began, "phase": end.phase, "phase_began": end.phase_began, "limit": end.limit,
            "timer": end.timer, "due": moment.due.get(end.timer, core.now)}
    return json.dumps(root, separators=(",", ":"), allow_nan=False)


def _source(source: Source) -> Dict[str, Any]:
    files: List[Dict[str, Any]] = []
    for name, valid in source.jobs:
        entry: Dict[str, Any] = {"path": f"{source.path.rstrip('/')}/{name}.conf", "flag": 0}
        if valid:
            entry["job_class"] = {"name": name, "session": 0}
        files.append(entry)
    return {"session": 0, "path": source.path, "type": "CONF_FILE" if source.is_file else "CONF_JOB_DIR", "flag": 0, "conf_files": files}


# -- reading -------------------------------------------------------------------------------------------------


def _number(digits: str) -> int:
    # The time that conversion takes grows with the square of the length.
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("a number with too many digits")
    return int(digits)


def _python_limits_numbers() -> bool:
    try:
        int("1" * 5000)
    except ValueError:
        return True
    return False


#: To be asked for each number costs as much as many a part of the rest.
_parse_int = None if _python_limits_numbers() else _number

def deserialise(state: str, core: Core, now: float, is_open: Callable[[int], bool] = lambda fd: True) -> Restored:
    """Fill a fresh Core. ``now`` is the monotonic time; ``is_open`` says whether a descriptor of events is one of ours.

    Raises StateError, before the Core was changed.
    """
    root = _parse(state)
    header = _header(root)
    try:
        listed, registered = root.get("events", array), root.get("job_classes", array)
        root.get("sessions", array)
    except Unreadable as fault:
        raise StateError(str(fault)) from None
    lost: List[str] = []
    forgiving = _Forgiving(root, lost)
    core.now = now
    core.serial = forgiving.get("serial", count, 0)
    core.registry.serial = forgiving.get("class_serial", count, 0)
    variables: Optional[Dict[str, str]] = forgiving.get("job_environment", table, None)
    if variables is None:
        lost.append("No global job environment data present in state data")
    else:
        core.job_environment = variables
    found_events = events.decode(listed, core.queue, is_open, lost)
    found = classes.decode(core, registered, found_events, is_open, lost)
    # A number that was given is never given again.
    core.registry.serial = max([core.registry.serial, *(job.order & ORDER_MASK for job in core.registry.classes.values())])
    core.serial = max([core.serial, *core.spawns, *core.kill_timers, *(read.instance.order & ORDER_MASK for read in found)])
    for event in found_events:
        if event is None:
            continue
        for waiter in event.waiters:
            if isinstance(waiter, OfCall):
                event.event.waiters.append(("call", waiter.call))
            elif isinstance(waiter, OfInstance) and core.find(waiter.job, waiter.name) is not None:
                event.event.waiters.append(("instance", waiter.job, waiter.name))
    holders: "Counter[int]" = Counter()
    for read in found:
        holders.update(instances.settle(core, read, found_events))
    _count(core, holders)
    events.decode_queue(forgiving.get("queue", Record, None), core.queue)
    core.history.go_on_from(forgiving.get("history", events.happenings, []))
    timers = [(read.instance.kill_timer, min(read.timer_due, now + read.instance.definition.kill_timeout))
              for read in found if read.timer_due is not None]
    core.host_goes_down = forgiving.get("host_goes_down", flag, False)
    end = forgiving.get("session_end", Record, None)
    if end is not None:
        timers += _session_end(core, end, now, lost)
    found_processes = {process.spawn: state for read in found
                       for process, state in zip(read.instance.processes, read.slots) if process is not None and state is not None}
    return Restored(header, tuple(timers), found_processes, _last_call(core), forgiving.get("control_bus_address", optional(text), None),
                    forgiving.get("sections", members, {}), forgiving.get("facts", members, None), tuple(lost))


class _Forgiving:
    """Members of the root that are not worth giving up the rest for."""

    def __init__(self, root: Record, lost: List[str]) -> None:
        self._root = root
        self._lost = lost

    def get(self, key: str, kind: Any, default: Any) -> Any:
        try:
            return self._root.get(key, kind, default)
        except Unreadable as fault:
            self._lost.append(str(fault))
            return default


def _parse(state: str) -> Record:
    if len(state) > LARGEST:
        raise StateError(f"it is too large ({len(state)} characters)")
    try:
        root = json.loads(state, parse_int=_parse_int, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise StateError(f"it is not JSON: {str(error) or type(error).__name__}") from None
    try:
        return Record(root)
    except Unreadable as fault:
        raise StateError(f"it is {fault}") from None


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _header(root: Record) -> Optional[Header]:
    try:
        meta = root.get("meta", Record, None)
        if meta is None:
            return None
        version = meta.get("version", text)
        header = Header(meta.get("format", integer), version, meta.get("time", seconds, 0.0), meta.get("monotonic", seconds, 0.0))
    except Unreadable as fault:
        raise StateError(f"meta: {fault}") from None
    if header.format > FORMAT:
        raise StateError(f"version {version[:50]} wrote it in format {header.format}, this program knows formats up to {FORMAT}", True)
    return header


def _count(core: Core, holders: "Counter[int]") -> None:
    """Blockers of events and users of descriptors, from what there is."""
    users: "Counter[int]" = Counter()
    for job in core.registry.classes.values():
        if job.start_on is not None:
            holders.update(job.start_on.held_events())
        for instance in job.instances.values():
            if instance.stop_on is not None:
                holders.update(instance.stop_on.held_events())
            users.update(instance.fds + instance.start_fds)
    for number, event in core.queue.events.items():
        event.blockers = holders[number]
        if event.fd >= 0:
            users[event.fd] += 1
    core.descriptor_users = dict(users)


def _last_call(core: Core) -> int:
    waiting: List[Tuple[Any, ...]] = [waiter for event in core.queue.events.values() for waiter in event.waiters]
    waiting += [owner for job in core.registry.classes.values() for instance in job.instances.values() for owner in instance.owners]
    numbers: List[int] = [each[1] for each in waiting if each[0] == "call"]
    return max([0, *core.reloads.values(), *numbers])


def _session_end(core: Core, record: Record, now: float, lost: List[str]) -> List[Tuple[int, float]]:
    try:
        end = SessionEnd(record.get("reason", word(_REASONS)), record.get("began", seconds))
        end.phase = record.get("phase", word(_PHASES))
        end.phase_began, end.limit = record.get("phase_began", seconds), record.get("limit", seconds)
        end.timer = record.get("timer", count)
        due = record.get("due", seconds)
    except Unreadable as fault:
        lost.append(f"session_end: {fault}")
        return []
    core.session_end = end
    return [(end.timer, min(due, now + 1.0))]

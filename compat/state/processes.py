"""What a backend knows of one process, as plain data, and the keys of an Instance that hold it (D206, D207).

The backend makes a ProcessState of each process before a re-exec and goes on from it afterwards. Every
descriptor in it has the number that it keeps over the exec; whether it is still what it was the
backend looks for itself (D229). The arrays of an Instance have one entry a process slot.
"""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..parser.definition import MAIN, PROCESS_NAMES
from .reading import Record, Unreadable, array, count, data, flag, integer, natural, optional, strings, text, tuple_of, word

SLOTS = len(PROCESS_NAMES)
_OLD_SLOTS = 5
#: The words of ``kill_process`` and the like, by slot.
PROCESS_WORDS = tuple("PROCESS_" + name.upper().replace("-", "_") for name in PROCESS_NAMES)
_TRACE = {"TRACE_NEW": "new", "TRACE_NEW_CHILD": "new-child", "TRACE_NORMAL": "normal", "TRACE_NONE": ""}
_TRACE_WORDS = {meaning: word for word, meaning in _TRACE.items()}


class LogState(NamedTuple):
    """The output of a process: the pty's master, the open log file (-1: none), and what was not written yet."""

    path: str
    master: int
    file: int = -1
    unwritten: bytes = b""
    dropped: int = 0
    ended: bool = False
    hung_up: bool = False
    open_error: int = 0


class SetUp(NamedTuple):
    """A process whose exec is not confirmed (``answer_fd``), or whose shell has not read all of its script.

    ``answer`` is the part of the launcher's answer that was read; ``cause`` why a profile's name could
    not be expanded (X41).
    """

    answer_fd: int
    answer: bytes = b""
    script_fd: int = -1
    script: bytes = b""
    cause: str = ""


class Trace(NamedTuple):
    """A process that is followed: ``state`` new, new-child or normal; ``early`` children in their first stop (X71, X74).

    ``parent`` and ``stopped`` are those of tracee.Tracee.
    """

    state: str
    forks: int = 0
    leaving: bool = False
    early: Tuple[int, ...] = ()
    parent: int = 0
    stopped: bool = False


class Waiting(NamedTuple):
    """A process that could not be started yet: how often that was tried, and what is asked for (X33).

    Never, where systemd is still to make it.
    """

    attempts: int
    environment: Tuple[str, ...]
    fds: Tuple[int, ...]
    expect: str


class Adopted(NamedTuple):
    """A main process that outlived a daemon and is still expected to fork: its environment, and when the one that is to was started."""

    environment: Tuple[str, ...]
    expect: str
    started: str


class UnitState(NamedTuple):
    """Where a process is and why (placement.Placement), and the unit that it is in, "" for none.

    ``channel``: a launcher in a service is still to say its pid there, else -1. ``awaited_pid``: systemd is still to take it for
    the service's main process. ``stop_requested``: somebody has told systemd to stop the service. ``settling``: the process
    waits for its scope.
    """

    kind: str
    reason: str
    name: str = ""
    invocation: str = ""
    channel: int = -1
    awaited_pid: int = 0
    stop_requested: bool = False
    settling: bool = False


class ProcessState(NamedTuple):
    """One process. ``started``: its start time as in /proc, "" if unknown; ``identity_fd``: a pidfd, -1 for none.

    ``identified``: it was not the daemon's child, and so had to be known by one of these. ``forks`` led to it. ``unit`` is None
    where no service manager has a part in it.
    """

    pid: int
    started: str = ""
    identity_fd: int = -1
    log: Optional[LogState] = None
    set_up: Optional[SetUp] = None
    trace: Optional[Trace] = None
    waiting: Optional[Waiting] = None
    identified: bool = False
    forks: int = 0
    unit: Optional[UnitState] = None
    adopted: Optional[Adopted] = None


def descriptors(state: ProcessState) -> List[int]:
    """Every descriptor that is to be kept for a process."""
    found = [state.identity_fd]
    if state.log is not None:
        found += log_descriptors(state.log)
    if state.set_up is not None:
        found += [state.set_up.answer_fd, state.set_up.script_fd]
    if state.waiting is not None:
        found += state.waiting.fds
    if state.unit is not None:
        found.append(state.unit.channel)
    return [fd for fd in found if fd >= 0]


def log_descriptors(log: LogState) -> List[int]:
    """The descriptors of a log."""
    return [fd for fd in (log.master, log.file) if fd >= 0]


# -- writing ---------------------------------------------------------------------------------------------


def encode(slots: List[Optional[ProcessState]]) -> Dict[str, Any]:
    """The keys of an Instance that are about its processes, but ``pid``."""
    main = slots[MAIN]
    trace = main.trace if main is not None else None
    record: Dict[str, Any] = {
        "trace_forks": trace.forks if trace else 0,
        "trace_state": _TRACE_WORDS[trace.state if trace else ""],
        "log": [encode_log(state.log if state else None) for state in slots],
        "process_data": [_encode_set_up(slot, state.set_up if state else None) for slot, state in enumerate(slots)],
    }
    if trace is not None:
        record["trace"] = {"leaving": int(trace.leaving), "early": list(trace.early), "parent": trace.parent, "stopped": int(trace.stopped)}
    return record


def encode_log(log: Optional[LogState]) -> Dict[str, Any]:
    """A Log."""
    if log is None:
        return {"path": None}
    record: Dict[str, Any] = {"fd": log.file, "io_watch_fd": log.master, "path": log.path, "uid": 0}
    if log.unwritten:
        record["unflushed"] = log.unwritten.hex()
    record.update(detached=int(log.ended), remote_closed=int(log.hung_up), open_errno=log.open_error, dropped=log.dropped)
    return record


def _encode_set_up(slot: int, set_up: Optional[SetUp]) -> Optional[Dict[str, Any]]:
    if set_up is None:
        return None
    return {"process": PROCESS_WORDS[slot], "script": None, "shell_fd": set_up.script_fd, "job_process_fd": set_up.answer_fd, "status": 0,
            "valid": 1, "script_left": set_up.script.hex(), "answer": set_up.answer.hex(), "cause": set_up.cause}


def encode_slot(state: ProcessState) -> Dict[str, Any]:
    """What no key of Upstart's is for."""
    record: Dict[str, Any] = {"started": state.started, "identity_fd": state.identity_fd, "identified": int(state.identified),
                              "forks": state.forks}
    if state.waiting is not None:
        record["waiting"] = {"attempts": state.waiting.attempts, "environment": list(state.waiting.environment),
                             "fds": list(state.waiting.fds), "expect": state.waiting.expect}
    if state.adopted is not None:
        record["adopted"] = state.adopted._asdict()
    unit = state.unit
    if unit is not None:
        record["unit"] = {**unit._asdict(), "stop_requested": int(unit.stop_requested), "settling": int(unit.settling)}
    return record


# -- reading ---------------------------------------------------------------------------------------------


def per_slot(kind: Any) -> Any:
    """The kind of an array with an entry a slot; before 1.9 there was no security process (D224)."""

    def check(value: Any) -> List[Any]:
        entries = array(value)
        if len(entries) not in (_OLD_SLOTS, SLOTS):
            raise Unreadable(f"{len(entries)} entries")
        return [*map(kind, entries), *[None] * (SLOTS - len(entries))]

    return check


def decode(instance: Record, pids: List[int], lost: List[str]) -> List[Optional[ProcessState]]:
    """The state of each slot with a process; what is wrong with a log or a set-up costs only that (D206)."""
    logs = _each(instance, "log", _log, lost)
    set_ups = _each(instance, "process_data", _set_up, lost)
    slots = _each(instance, "slots", optional(Record), lost)
    trace = _trace(instance)
    out: List[Optional[ProcessState]] = []
    for position, pid in enumerate(pids):
        own = slots[position]
        if not pid and own is None:
            out.append(None)
            continue
        state = ProcessState(pid, log=logs[position], set_up=set_ups[position], trace=trace if position == MAIN else None)
        if own is not None:
            state = state._replace(started=own.get("started", text, ""), identity_fd=own.get("identity_fd", integer, -1),
                                   waiting=own.get("waiting", _waiting, None), identified=own.get("identified", flag, False),
                                   forks=own.get("forks", natural, 0), unit=own.get("unit", _unit, None),
                                   adopted=own.get("adopted", _adopted, None))
        out.append(state)
    return out


def _each(instance: Record, key: str, kind: Any, lost: List[str]) -> List[Any]:
    def forgiving(value: Any) -> Any:
        try:
            return kind(value)
        except Unreadable as fault:
            lost.append(f"{key}: {fault}")
            return None

    try:
        return instance.get(key, per_slot(forgiving), [None] * SLOTS)
    except Unreadable as fault:
        lost.append(str(fault))
        return [None] * SLOTS


def _log(value: Any) -> Optional[LogState]:
    log = Record(value)
    path = log.get("path", optional(text), None)
    if path is None:
        return None
    return read_log(log)


def read_log(log: Record) -> LogState:
    """A Log that has a path. Raises Unreadable."""
    return LogState(
        log.get("path", text), log.get("io_watch_fd", integer), log.get("fd", integer), log.get("unflushed", data, b""),
        log.get("dropped", count, 0), log.get("detached", flag, False), log.get("remote_closed", flag, False),
        log.get("open_errno", natural, 0))


def _set_up(value: Any) -> Optional[SetUp]:
    if value is None:
        return None
    record = Record(value)
    # What Upstart had not fed to the shell is the whole script.
    whole = (record.get("script", optional(text), None) or "").encode("utf-8", "surrogateescape")
    return SetUp(record.get("job_process_fd", integer), record.get("answer", data, b""), record.get("shell_fd", integer),
                 record.get("script_left", data, whole), record.get("cause", text, ""))


def _trace(instance: Record) -> Optional[Trace]:
    state = instance.get("trace_state", word(_TRACE), "")
    if not state:
        return None
    more = instance.get("trace", Record, Record({}))
    return Trace(
        state, instance.get("trace_forks", natural, 0), more.get("leaving", flag, False), more.get("early", tuple_of(natural), ()),
        more.get("parent", natural, 0), more.get("stopped", flag, False))


def _waiting(value: Any) -> Waiting:
    record = Record(value)
    return Waiting(record.get("attempts", natural), record.get("environment", strings), record.get("fds", tuple_of(natural)),
                   record.get("expect", text))


def _adopted(value: Any) -> Adopted:
    record = Record(value)
    return Adopted(record.get("environment", strings), record.get("expect", text), record.get("started", text))


def _unit(value: Any) -> UnitState:
    record = Record(value)
    return UnitState(
        record.get("kind", text), record.get("reason", text, ""), record.get("name", unit_name, ""), record.get("invocation", text, ""),
        record.get("channel", integer, -1), record.get("awaited_pid", natural, 0), record.get("stop_requested", flag, False),
        record.get("settling", flag, False))


def unit_name(value: Any) -> str:
    """The name of a unit, or ""."""
    if not text(value).isascii():
        raise Unreadable("not the name of a unit")
    return str(value)

"""What the engine's objects look like outside of it: plain data, for the journal and for a re-exec.

Encoding gives dicts, lists, strings, numbers, booleans and None, and so does JSON in return. Decoding
takes nothing on trust: keys that it does not know are ignored, so that a newer daemon's record can be
read, and one that is missing or of another kind raises RecordError with the key's name. Text may hold
bytes that are not UTF-8 as lone surrogates (P45); ``json`` in its ASCII form keeps them.

An instance is recorded without its definition, which all instances of a class share and which is many
times its size. Callers are in no record: their connections end with the daemon.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..parser.definition import (
    PROCESS_NAMES,
    And,
    CgroupSetting,
    Condition,
    JobDefinition,
    Limit,
    Match,
    Or,
    ProcessDefinition,
)
from .events import PENDING, Event
from .jobs import ORDER_MASK, Instance
from .states import GOALS, STATES

_Pairs = Tuple[Tuple[str, str], ...]


class RecordError(ValueError):
    """A record that cannot be used; the text names the key."""


class ProcessRecord(NamedTuple):
    """An occupied process slot. ``pid`` 0, ``handle`` None: nobody was told that it exists.

    ``signalled``: the signal of the state ``killed`` has been handed over.
    """

    spawn: int
    pid: int = 0
    handle: Optional[Dict[str, Any]] = None
    signalled: bool = False


class EventRecord(NamedTuple):
    """An event that was not finished. ``handled``: the conditions have seen it."""

    number: int
    name: str
    env: Tuple[str, ...]
    handled: bool
    failed: bool


class InstanceRecord(NamedTuple):
    """An instance as it rested (jobs.Instance), with its definition.

    ``order`` is its position among the instances of all classes that fall into one bin (E83).
    ``respawn_time`` and ``kill_due`` are seconds of the monotonic clock; ``kill_due`` is None unless
    the kill timer runs. Tables are pairs in their order. ``fds`` and ``start_fds`` are the numbers that
    event descriptors had (X21). ``blocker`` is the number of the event that it waits for, 0 for none;
    ``holds`` are the numbers of those that wait for it, ``seen`` of those that its ``stop on`` holds.
    """

    job: str
    name: str
    definition: JobDefinition
    order: int
    goal: str
    state: str
    env: _Pairs
    start_env: Optional[_Pairs]
    stop_env: Optional[_Pairs]
    failed: bool
    failed_process: Optional[int]
    exit_status: int
    respawn_time: int
    respawn_count: int
    restarting: bool
    kill_due: Optional[float]
    fds: Tuple[int, ...]
    start_fds: Tuple[int, ...]
    blocker: int
    holds: Tuple[int, ...]
    seen: Tuple[int, ...]
    processes: Tuple[Optional[ProcessRecord], ...]


# -- instances -----------------------------------------------------------------------------------------------


def encode_instance(instance: Instance, handle_of: Callable[[int], Optional[Dict[str, Any]]]) -> Dict[str, Any]:
    """A fresh dict about an instance, but for its name, its class and its definition; tables are not copied.

    ``handle_of`` is protocol.Backend.handle. What it does not know yet has the handle that it had.
    """
    return {
        "order": instance.order & ORDER_MASK,
        "goal": instance.goal,
        "state": instance.state,
        "env": instance.env,
        "start_env": instance.start_env,
        "stop_env": instance.stop_env,
        "failed": instance.failed,
        "failed_process": instance.failed_process,
        "exit_status": instance.exit_status,
        "respawn_time": instance.respawn_time,
        "respawn_count": instance.respawn_count,
        "restarting": instance.restarting,
        "kill_due": instance.kill_due if instance.kill_timer else None,
        "fds": list(instance.fds),
        "start_fds": list(instance.start_fds),
        "blocker": instance.blocker,
        "holds": [owner[1] for owner in instance.owners if owner[0] == "event"],
        "seen": instance.stop_on.held_events() if instance.stop_on is not None else [],
        "processes": [
            {"spawn": process.spawn, "pid": process.pid, "handle": handle_of(process.spawn) or process.handle,
             "signalled": process.signalled} if process else None
            for process in instance.processes],
    }


def decode_instance(job: str, name: str, definition: JobDefinition, record: Any) -> InstanceRecord:
    """The record of an instance. Raises RecordError."""
    fields = _Fields(record, "")
    slots = fields.get("processes", _list)
    if len(slots) != len(PROCESS_NAMES):
        raise RecordError(f"processes: {len(slots)} instead of {len(PROCESS_NAMES)} entries")
    return InstanceRecord(
        job, name, definition, fields.get("order", _natural), fields.get("goal", _one_of(GOALS)), fields.get("state", _one_of(STATES)),
        fields.get("env", decode_table), fields.get("start_env", _optional(decode_table)), fields.get("stop_env", _optional(decode_table)),
        fields.get("failed", _bool), fields.get("failed_process", _optional(_slot)), fields.get("exit_status", _int),
        fields.get("respawn_time", _int), fields.get("respawn_count", _natural), fields.get("restarting", _bool),
        fields.get("kill_due", _optional(_number)), fields.get("fds", _tuple_of(_natural)), fields.get("start_fds", _tuple_of(_natural)),
        fields.get("blocker", _natural), fields.get("holds", decode_numbers), fields.get("seen", decode_numbers),
        tuple(None if slot is None else _process(slot, f"processes[{position}].") for position, slot in enumerate(slots)))


def _process(record: Any, prefix: str) -> ProcessRecord:
    fields = _Fields(record, prefix)
    return ProcessRecord(fields.get("spawn", _positive), fields.get("pid", _natural), fields.get("handle", _optional(_dict)),
                         fields.get("signalled", _bool))


# -- events --------------------------------------------------------------------------------------------------


def encode_event(event: Event) -> Dict[str, Any]:
    """A fresh dict about an event, but for its number."""
    return {"name": event.name, "env": list(event.env), "handled": event.progress != PENDING, "failed": event.failed}


def decode_event(number: int, record: Any) -> EventRecord:
    """The record of an event. Raises RecordError."""
    fields = _Fields(record, "")
    return EventRecord(number, fields.get("name", _str), fields.get("env", _strings), fields.get("handled", _bool),
                       fields.get("failed", _bool))


def decode_numbers(value: Any) -> Tuple[int, ...]:
    """Numbers of events. Raises RecordError."""
    return tuple(map(_positive, _list(value)))


def decode_table(value: Any) -> _Pairs:
    """An environment table. Raises RecordError."""
    for key, entry in _dict(value).items():
        if type(entry) is not str or not key:
            raise RecordError(f"not a table of strings ({key!r})")
    return tuple(value.items())


# -- definitions ---------------------------------------------------------------------------------------------


def encode_definition(definition: JobDefinition) -> Dict[str, Any]:
    """A definition as a dict."""
    record: Dict[str, Any] = definition._asdict()
    for key in ("start_on", "stop_on"):
        record[key] = _encode_condition(record[key])
    record["processes"] = [list(process) if process else None for process in definition.processes]
    record["limits"] = [list(limit) for limit in definition.limits]
    record["cgroups"] = [list(setting) for setting in definition.cgroups]
    for key in ("env", "export", "emits", "normal_exit"):
        record[key] = list(record[key])
    return record


def decode_definition(record: Any) -> JobDefinition:
    """The definition that was encoded. Raises RecordError."""
    fields = _Fields(record, "")
    return JobDefinition(**{key: fields.get(key, kind) for key, kind in _DEFINITION.items()})


def _encode_condition(condition: Optional[Condition]) -> Optional[List[Any]]:
    """In postfix order, without recursion: ["event", argument ...] and "and" or "or"."""
    if condition is None:
        return None
    out: List[Any] = []
    stack: List[Any] = [condition]
    while stack:
        node = stack.pop()
        if isinstance(node, (And, Or)):
            stack.append("and" if isinstance(node, And) else "or")
            stack.append(node.right)
            stack.append(node.left)
        elif isinstance(node, Match):
            out.append([node.event, *node.args])
        else:
            out.append(node)
    return out


def _condition(value: Any) -> Condition:
    stack: List[Condition] = []
    for node in _list(value):
        if type(node) is list:
            if not node:
                raise RecordError("an event without a name")
            words = [_str(word) for word in node]
            stack.append(Match(words[0], tuple(words[1:])))
            continue
        if _str(node) not in ("and", "or") or len(stack) < 2:
            raise RecordError("not a condition")
        right, left = stack.pop(), stack.pop()
        stack.append(And(left, right) if node == "and" else Or(left, right))
    if len(stack) != 1:
        raise RecordError("not a condition")
    return stack[0]


# -- single values: what they are, or RecordError ------------------------------------------------------------

_Kind = Callable[[Any], Any]


class _Fields:
    """A record while it is read; ``prefix`` says where it stands in the whole."""

    __slots__ = ("_prefix", "_record")

    def __init__(self, record: Any, prefix: str) -> None:
        if type(record) is not dict:
            raise RecordError(f"{prefix.rstrip('.') or 'record'}: not an object")
        self._record = record
        self._prefix = prefix

    def get(self, key: str, kind: _Kind) -> Any:
        if key not in self._record:
            raise RecordError(f"{self._prefix}{key}: missing")
        try:
            return kind(self._record[key])
        except RecordError as error:
            raise RecordError(f"{self._prefix}{key}: {error}") from None


def _typed(expected: type, what: str) -> _Kind:
    def kind(value: Any) -> Any:
        # Not isinstance: True is no number here.
        if type(value) is not expected:
            raise RecordError(f"not {what}")
        return value

    return kind


_bool = _typed(bool, "true or false")
_dict = _typed(dict, "an object")
_int = _typed(int, "a whole number")
_list = _typed(list, "a list")
_str = _typed(str, "a string")


def _number(value: Any) -> float:
    if type(value) not in (int, float) or value != value or value in (float("inf"), float("-inf")):
        raise RecordError("not a number")
    return float(value)


def _at_least(least: int, what: str) -> _Kind:
    def kind(value: Any) -> int:
        if _int(value) < least:
            raise RecordError(f"not {what}")
        return int(value)

    return kind


_natural = _at_least(0, "a number from 0 on")
_positive = _at_least(1, "a number from 1 on")


def _one_of(allowed: Tuple[str, ...]) -> _Kind:
    def kind(value: Any) -> str:
        if _str(value) not in allowed:
            raise RecordError(f"{value!r} is none of {', '.join(allowed)}")
        return str(value)

    return kind


def _optional(kind: _Kind) -> _Kind:
    return lambda value: None if value is None else kind(value)


def _tuple_of(kind: _Kind) -> _Kind:
    return lambda value: tuple(map(kind, _list(value)))


def _row(what: type, *kinds: _Kind) -> _Kind:
    def kind(value: Any) -> Any:
        if len(_list(value)) != len(kinds):
            raise RecordError(f"{len(value)} instead of {len(kinds)} entries")
        return what(*[each(entry) for each, entry in zip(kinds, value)])

    return kind


def _slot(value: Any) -> int:
    if not 0 <= _int(value) < len(PROCESS_NAMES):
        raise RecordError("no process slot")
    return int(value)


def _six(value: Any) -> Tuple[Optional[ProcessDefinition], ...]:
    if len(_list(value)) != len(PROCESS_NAMES):
        raise RecordError(f"{len(value)} instead of {len(PROCESS_NAMES)} entries")
    process = _optional(_row(ProcessDefinition, _bool, _str))
    return tuple(map(process, value))


_text, _strings = _optional(_str), _tuple_of(_str)
_DEFINITION: Dict[str, _Kind] = {
    "instance": _text, "description": _text, "author": _text, "version": _text, "usage": _text,
    "env": _strings, "export": _strings, "emits": _strings,
    "start_on": _optional(_condition), "stop_on": _optional(_condition), "processes": _six,
    "expect": _one_of(("none", "stop", "daemon", "fork")), "task": _bool,
    "respawn": _bool, "respawn_limit": _int, "respawn_interval": _int, "normal_exit": _tuple_of(_int),
    "kill_timeout": _natural, "kill_signal": _natural, "reload_signal": _natural,
    "console": _text, "umask": _optional(_int), "nice": _optional(_int), "oom_score_adj": _int,
    "limits": _tuple_of(_row(Limit, _str, _optional(_int), _optional(_int))),
    "chroot": _text, "chdir": _text, "setuid": _text, "setgid": _text, "apparmor_switch": _text,
    "cgroups": _tuple_of(_row(CgroupSetting, _str, _str, _text, _text)), "debug": _bool,
}

"""The stanzas of a job file: how each reads its arguments and what it leaves in the definition (P52-P92).

``STANZAS`` is the whole table: name, handler, and the name of the field or slot that the handler fills. A handler starts
after the stanza's name and stops at the start of the next line; the first thing wrong raises ParseError.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from .blocks import read_block
from .conditions import read_condition
from .definition import (
    MAIN,
    POST_START,
    POST_STOP,
    PRE_START,
    PRE_STOP,
    SECURITY,
    CgroupSetting,
    JobDefinition,
    Limit,
    ProcessDefinition,
)
from .errors import (
    ILLEGAL_EXIT,
    ILLEGAL_INTERVAL,
    ILLEGAL_LIMIT,
    ILLEGAL_NICE,
    ILLEGAL_OOM,
    ILLEGAL_OOM_SCORE,
    ILLEGAL_SIGNAL,
    ILLEGAL_UMASK,
    UNKNOWN_STANZA,
    ParseError,
)
from .numbers import INT_MAX, UNSIGNED_MAX, signed, unsigned
from .signals import signal_number
from .tokens import Tokens

EXPECTS: Dict[str, str] = {value: value for value in ("none", "stop", "daemon", "fork")}
CONSOLES: Dict[str, str] = {value: value for value in ("none", "output", "owner", "log")}
RESOURCES: Dict[str, str] = {
    value: value
    for value in (
        "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "sigpending", "stack",
    )
}  # fmt: skip

#: The group that a ``cgroup`` stanza without a name means (P88).
DEFAULT_CGROUP = "$UPSTART_CGROUP"


class Draft:
    """A definition being written: ``base``, and what the stanzas read so far change in it (P13)."""

    __slots__ = ("base", "cgroups", "fields", "limits", "lists", "processes")

    def __init__(self, base: JobDefinition) -> None:
        self.base = base
        self.fields: Dict[str, Any] = {}
        self.lists: Dict[str, List[Any]] = {}
        self.limits: Dict[str, Limit] = {}
        self.processes: List[Optional[ProcessDefinition]] = list(base.processes)
        #: controller → group → key → value, each in the order first seen (P89)
        self.cgroups: Dict[str, Dict[str, Dict[str, str]]] = {}

    def append(self, field: str, value: object) -> None:
        """Add to a field that is a list (P13)."""
        if field in self.lists:
            self.lists[field].append(value)
        else:
            self.lists[field] = [value]

    def finish(self) -> JobDefinition:
        """The definition with every change made."""
        base = self.base
        fields = self.fields
        for name, added in self.lists.items():
            fields[name] = getattr(base, name) + tuple(added)
        if self.limits:
            fields["limits"] = tuple({**{limit.resource: limit for limit in base.limits}, **self.limits}.values())
        if self.cgroups:
            fields["cgroups"] = _merged_cgroups(base.cgroups, self.cgroups)
        processes = tuple(self.processes)
        if processes != base.processes:
            fields["processes"] = processes
        return base._replace(**fields)


def _merged_cgroups(
    base: Tuple[CgroupSetting, ...], added: Dict[str, Dict[str, Dict[str, str]]]
) -> Tuple[CgroupSetting, ...]:
    merged: Dict[str, Dict[str, Dict[str, str]]] = {}
    for setting in base:
        keys = merged.setdefault(setting.controller, {}).setdefault(setting.name, {})
        if setting.key is not None and setting.value is not None:
            keys[setting.key] = setting.value
    for controller, groups in added.items():
        for name, keys in groups.items():
            merged.setdefault(controller, {}).setdefault(name, {}).update(keys)
    out: List[CgroupSetting] = []
    for controller, groups in merged.items():
        for name, keys in groups.items():
            if keys:
                out.extend(CgroupSetting(controller, name, key, value) for key, value in keys.items())
            else:
                out.append(CgroupSetting(controller, name))
    return tuple(out)


Handler = Callable[[Tokens, Draft, Any], None]


def _text(tokens: Tokens, draft: Draft, field: str) -> None:
    draft.fields[field] = tokens.argument()
    tokens.finish_stanza()


def _env(tokens: Tokens, draft: Draft, field: str) -> None:
    draft.append(field, tokens.argument())
    tokens.finish_stanza()


def _names(tokens: Tokens, draft: Draft, field: str) -> None:
    draft.append(field, tokens.argument())
    while not tokens.at_end_of_line():
        draft.append(field, tokens.argument())
    tokens.finish_stanza()


def _condition(tokens: Tokens, draft: Draft, field: str) -> None:
    if tokens.word() != "on":
        tokens.fail(UNKNOWN_STANZA, tokens.start)
    draft.fields[field] = read_condition(tokens)


def _exec(tokens: Tokens, draft: Draft, slot: int) -> None:
    draft.processes[slot] = ProcessDefinition(False, tokens.command())


def _script(tokens: Tokens, draft: Draft, slot: int) -> None:
    draft.processes[slot] = ProcessDefinition(True, read_block(tokens))


def _process(tokens: Tokens, draft: Draft, slot: int) -> None:
    word = tokens.word()
    if word == "exec":
        _exec(tokens, draft, slot)
    elif word == "script":
        _script(tokens, draft, slot)
    else:
        tokens.fail(UNKNOWN_STANZA, tokens.start)


def _choice(tokens: Tokens, draft: Draft, choice: Tuple[str, Dict[str, str]]) -> None:
    field, values = choice
    value = values.get(tokens.argument())
    if value is None:
        tokens.fail(UNKNOWN_STANZA, tokens.start)
    draft.fields[field] = value
    tokens.finish_stanza()


def _task(tokens: Tokens, draft: Draft, field: str) -> None:
    draft.fields[field] = True
    tokens.finish_stanza()


def _debug(tokens: Tokens, draft: Draft, field: str) -> None:
    draft.fields[field] = True  # and what follows on the line is a stanza of its own (P54)


def _manual(tokens: Tokens, draft: Draft, field: str) -> None:
    draft.fields[field] = None  # as for debug (P54)


def _respawn(tokens: Tokens, draft: Draft, field: str) -> None:
    if tokens.at_end_of_line():
        draft.fields[field] = True
        tokens.finish_stanza()
        return
    if tokens.word() != "limit":
        tokens.fail(UNKNOWN_STANZA, tokens.start)
    text = tokens.argument()
    limit: Optional[int] = 0
    interval: Optional[int] = 0
    if text != "unlimited":
        limit = signed(text, 0, INT_MAX)
        if limit is None:
            tokens.fail(ILLEGAL_LIMIT, tokens.start)
        interval = signed(tokens.argument(), 0)
        if interval is None:
            tokens.fail(ILLEGAL_INTERVAL, tokens.start)
    draft.fields["respawn_limit"] = limit
    draft.fields["respawn_interval"] = interval
    tokens.finish_stanza()


def _normal(tokens: Tokens, draft: Draft, field: str) -> None:
    if tokens.word() != "exit":
        tokens.fail(UNKNOWN_STANZA, tokens.start)
    while True:
        text = tokens.argument()
        number = signal_number(text)
        status = unsigned(text, INT_MAX) if number is None else number << 8
        if status is None:
            tokens.fail(ILLEGAL_EXIT, tokens.start)
        draft.append(field, status)
        if tokens.at_end_of_line():
            break
    tokens.finish_stanza()


def _signal(tokens: Tokens, draft: Draft, field: str) -> None:
    text = tokens.argument()
    number = signal_number(text)
    if number is None:
        number = unsigned(text, INT_MAX)
    if number is None:
        raise ParseError(ILLEGAL_SIGNAL)
    draft.fields[field] = number
    tokens.finish_stanza()


def _kill(tokens: Tokens, draft: Draft, field: str) -> None:
    word = tokens.word()
    if word == "signal":
        _signal(tokens, draft, "kill_signal")
    elif word == "timeout":
        timeout = signed(tokens.argument(), 0)
        if timeout is None:
            tokens.fail(ILLEGAL_INTERVAL, tokens.start)
        draft.fields["kill_timeout"] = timeout
        tokens.finish_stanza()
    else:
        tokens.fail(UNKNOWN_STANZA, tokens.start)


def _reload(tokens: Tokens, draft: Draft, field: str) -> None:
    if tokens.word() != "signal":
        tokens.fail(UNKNOWN_STANZA, tokens.start)
    _signal(tokens, draft, field)


def _umask(tokens: Tokens, draft: Draft, field: str) -> None:
    mask = unsigned(tokens.argument(), 0o777, octal=True)
    if mask is None:
        tokens.fail(ILLEGAL_UMASK, tokens.start)
    draft.fields[field] = mask
    tokens.finish_stanza()


def _nice(tokens: Tokens, draft: Draft, field: str) -> None:
    nice = signed(tokens.argument(), -20, 19)
    if nice is None:
        tokens.fail(ILLEGAL_NICE, tokens.start)
    draft.fields[field] = nice
    tokens.finish_stanza()


def _oom(tokens: Tokens, draft: Draft, field: str) -> None:
    text = tokens.argument()
    score: Optional[int]
    if text == "score":
        text = tokens.argument()
        score = -1000 if text == "never" else signed(text, -1000, 1000)
        if score is None:
            tokens.fail(ILLEGAL_OOM_SCORE, tokens.start)
    elif text == "never":
        score = -1000
    else:
        adjustment = signed(text, -17, 15)
        if adjustment is None:
            tokens.fail(ILLEGAL_OOM, tokens.start)
        # Truncated toward zero (P80).
        score = adjustment * 1000 // 15 if adjustment >= 0 else -(-adjustment * 1000 // 17)
    draft.fields[field] = score
    tokens.finish_stanza()


def _limit_value(tokens: Tokens) -> Optional[int]:
    text = tokens.argument()
    if text == "unlimited":
        return None
    value = unsigned(text)
    if value is None:
        tokens.fail(ILLEGAL_LIMIT, tokens.start)
    return None if value == UNSIGNED_MAX else value


def _limit(tokens: Tokens, draft: Draft, field: str) -> None:
    resource = RESOURCES.get(tokens.argument())
    if resource is None:
        tokens.fail(UNKNOWN_STANZA, tokens.start)
    soft = _limit_value(tokens)
    draft.limits[resource] = Limit(resource, soft, _limit_value(tokens))
    tokens.finish_stanza()


def _apparmor(tokens: Tokens, draft: Draft, field: str) -> None:
    word = tokens.word()
    if word == "load":
        draft.processes[SECURITY] = ProcessDefinition(False, "/sbin/apparmor_parser -r -W " + tokens.argument())
    elif word == "switch":
        draft.fields["apparmor_switch"] = tokens.argument()
    else:
        tokens.fail(UNKNOWN_STANZA, tokens.start)
    tokens.finish_stanza()


def _cgroup(tokens: Tokens, draft: Draft, field: str) -> None:
    words = [tokens.argument()]
    while len(words) < 4 and not tokens.at_end_of_line():
        words.append(tokens.argument())
    tokens.finish_stanza()
    name = words[1] if len(words) in (2, 4) else DEFAULT_CGROUP
    keys = draft.cgroups.setdefault(words[0], {}).setdefault(name, {})
    if len(words) > 2:
        keys[words[-2]] = words[-1]


STANZAS: Dict[str, Tuple[Handler, Any]] = {
    "instance": (_text, "instance"),
    "description": (_text, "description"),
    "author": (_text, "author"),
    "version": (_text, "version"),
    "usage": (_text, "usage"),
    "env": (_env, "env"),
    "export": (_names, "export"),
    "emits": (_names, "emits"),
    "start": (_condition, "start_on"),
    "stop": (_condition, "stop_on"),
    "manual": (_manual, "start_on"),
    "exec": (_exec, MAIN),
    "script": (_script, MAIN),
    "pre-start": (_process, PRE_START),
    "post-start": (_process, POST_START),
    "pre-stop": (_process, PRE_STOP),
    "post-stop": (_process, POST_STOP),
    "expect": (_choice, ("expect", EXPECTS)),
    "task": (_task, "task"),
    "respawn": (_respawn, "respawn"),
    "normal": (_normal, "normal_exit"),
    "kill": (_kill, None),
    "reload": (_reload, "reload_signal"),
    "console": (_choice, ("console", CONSOLES)),
    "umask": (_umask, "umask"),
    "nice": (_nice, "nice"),
    "oom": (_oom, "oom_score_adj"),
    "limit": (_limit, None),
    "chroot": (_text, "chroot"),
    "chdir": (_text, "chdir"),
    "setuid": (_text, "setuid"),
    "setgid": (_text, "setgid"),
    "apparmor": (_apparmor, None),
    "cgroup": (_cgroup, None),
    "debug": (_debug, "debug"),
}

"""Definitions as Class objects (D203): what the text of a job file said, verbatim (D190, D241).

Upstart's keys cannot tell everything apart: a limit of 0 from no limit, the umask 022 from none. What is
not stated stands in ``unset``, and the limits that are stand in ``limit_names``; both are unknown to
Upstart, which ignores them. States without them are read as Upstart means them.
"""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ..engine.conditions import ConditionState
from ..parser.definition import CgroupSetting, JobDefinition, Limit, ProcessDefinition
from .conditions import encode as encode_condition
from .reading import Record, Unreadable, array, flag, integer, natural, optional, strings, text, tuple_of, word

#: The kernel's numbers, which are places in ``limits``.
_RESOURCES: Tuple[str, ...] = (
    "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending", "msgqueue", "nice",
    "rtprio", "rttime")
#: No job file can say the last.
_SETTABLE = _RESOURCES[:-1]
_NO_LIMIT = {"rlim_cur": 0, "rlim_max": 0}
_NO_NICE = -21
_UMASK = 0o022
_EXPECT = {"EXPECT_NONE": "none", "EXPECT_STOP": "stop", "EXPECT_DAEMON": "daemon", "EXPECT_FORK": "fork"}
_CONSOLE = {"CONSOLE_NONE": "none", "CONSOLE_OUTPUT": "output", "CONSOLE_OWNER": "owner", "CONSOLE_LOG": "log"}
_EXPECT_WORDS = {meaning: word for word, meaning in _EXPECT.items()}
_CONSOLE_WORDS = {meaning: word for word, meaning in _CONSOLE.items()}
#: Keys whose name and meaning are those of the definition's field.
_TEXTS = ("description", "author", "version", "usage", "chroot", "chdir", "setuid", "setgid")
_NUMBERS = ("respawn_limit", "respawn_interval", "kill_signal", "oom_score_adj")
_FLAGS = ("task", "respawn", "debug")


def encode(definition: JobDefinition, console: str, start_on: Optional[ConditionState], places: Dict[int, int]) -> Dict[str, Any]:
    """The keys of a Class that a definition makes; ``console`` is the default one (D11).

    ``start_on`` says which events the class's condition holds, ``places`` where events stand.
    """
    nice, umask, stated_console = definition.nice, definition.umask, definition.console
    record: Dict[str, Any] = {"instance": definition.instance or ""}
    for key in _TEXTS:
        record[key] = getattr(definition, key)
    for key in _NUMBERS:
        record[key] = getattr(definition, key)
    for key in _FLAGS:
        record[key] = int(getattr(definition, key))
    record["env"] = list(definition.env)
    record["export"] = list(definition.export)
    record["emits"] = list(definition.emits)
    if definition.start_on is not None:
        record["start_on"] = encode_condition(definition.start_on, start_on, places)
    if definition.stop_on is not None:
        record["stop_on"] = encode_condition(definition.stop_on, None, places)
    record["process"] = [
        {"script": int(process.script), "command": process.command} if process else {"script": 0, "command": None}
        for process in definition.processes]
    record["expect"] = _EXPECT_WORDS[definition.expect]
    record["kill_timeout"] = definition.kill_timeout
    record["reload_signal"] = definition.reload_signal
    record["normalexit"] = list(definition.normal_exit)
    record["console"] = _CONSOLE_WORDS[stated_console or console]
    record["umask"] = _UMASK if umask is None else umask
    record["nice"] = _NO_NICE if nice is None else nice
    record["limits"] = _limits(definition.limits)
    record["apparmor_switch"] = definition.apparmor_switch
    if definition.cgroups:
        record["cgmanager_wait"] = 0
        record["cgroups"] = _cgroups(definition.cgroups)
    record["limit_names"] = [limit.resource for limit in definition.limits]
    record["unset"] = [key for key, value in (("instance", definition.instance), ("console", stated_console), ("umask", umask))
                       if value is None]
    return record


def decode(record: Record) -> JobDefinition:
    """The definition of a Class, without its conditions. Raises Unreadable."""
    unset = record.get("unset", strings, None)
    instance = record.get("instance", optional(text))
    nice = record.get("nice", integer)
    # Upstart means the default by an empty instance; where ``unset`` is written it says so.
    if "instance" in unset if unset is not None else not instance:
        instance = None
    values: Dict[str, Any] = {key: record.get(key, optional(text), None) for key in _TEXTS}
    values.update((key, record.get(key, integer)) for key in _NUMBERS)
    values.update((key, record.get(key, flag)) for key in _FLAGS)
    return JobDefinition(
        instance=instance,
        env=record.get("env", strings), export=record.get("export", strings), emits=record.get("emits", strings),
        processes=record.get("process", _processes),
        expect=record.get("expect", word(_EXPECT)),
        kill_timeout=record.get("kill_timeout", natural),
        reload_signal=record.get("reload_signal", integer, 1),
        normal_exit=record.get("normalexit", tuple_of(integer)),
        console=None if unset and "console" in unset else record.get("console", word(_CONSOLE)),
        umask=None if unset and "umask" in unset else record.get("umask", natural) & 0o777,
        nice=None if nice == _NO_NICE else nice,
        limits=_limits_of(record.get("limits", array), record.get("limit_names", strings, None)),
        apparmor_switch=record.get("apparmor_switch", optional(text), None),
        cgroups=record.get("cgroups", _cgroups_of, ()),
        **values)


def _processes(value: Any) -> Tuple[Optional[ProcessDefinition], ...]:
    found: List[Optional[ProcessDefinition]] = []
    for entry in array(value):
        process = Record(entry)
        command = process.get("command", optional(text))
        found.append(None if command is None else ProcessDefinition(process.get("script", flag), command))
    if len(found) == 5:
        # Before there were security processes (D224).
        found.append(None)
    if len(found) != 6:
        raise Unreadable(f"{len(found)} entries")
    return tuple(found)


# -- limits ------------------------------------------------------------------------------------------------


def _limits(limits: Tuple[Limit, ...]) -> List[Dict[str, int]]:
    out = [_NO_LIMIT] * len(_RESOURCES)
    for resource, soft, hard in limits:
        out[_RESOURCES.index(resource)] = {"rlim_cur": -1 if soft is None else soft, "rlim_max": -1 if hard is None else hard}
    return out


def _limit(value: Any) -> Optional[int]:
    if type(value) is not int or not -1 <= value < 2 ** 64:
        raise Unreadable("not a limit")
    # Upstart writes RLIM_INFINITY, which is all ones.
    return None if value in (-1, 2 ** 64 - 1) else value


def _limits_of(entries: List[Any], names: Optional[Tuple[str, ...]]) -> Tuple[Limit, ...]:
    found: List[Limit] = []
    for resource in _SETTABLE[:len(entries)] if names is None else names:
        if resource not in _SETTABLE[:len(entries)]:
            raise Unreadable("limit_names: unknown")
        limit = Record(entries[_RESOURCES.index(resource)])
        found.append(Limit(resource, limit.get("rlim_cur", _limit), limit.get("rlim_max", _limit)))
    # What Upstart calls unset may also be a limit of 0; where there are names they tell.
    return tuple(limit for limit in found if names is not None or limit[1:] != (0, 0))


# -- control groups ----------------------------------------------------------------------------------------


def _cgroups(settings: Tuple[CgroupSetting, ...]) -> List[Dict[str, Any]]:
    """Neighbours of one controller together, and of one group: the order can be told again."""
    out: List[Dict[str, Any]] = []
    for controller, name, key, value in settings:
        if not out or out[-1]["controller"] != controller:
            out.append({"controller": controller, "names": []})
        names = out[-1]["names"]
        if not names or names[-1]["name"] != name or key is None or not names[-1]["settings"]:
            names.append({"name": name, "expanded": None, "settings": []})
        if key is not None:
            names[-1]["settings"].append({"key": key, "value": value})
    return out


def _cgroups_of(value: Any) -> Tuple[CgroupSetting, ...]:
    found: List[CgroupSetting] = []
    for entry in array(value):
        group = Record(entry)
        controller = group.get("controller", text)
        for each in group.get("names", array):
            named = Record(each)
            name = named.get("name", text)
            settings = [Record(setting) for setting in named.get("settings", array, ())]
            found.extend([CgroupSetting(controller, name, setting.get("key", text), setting.get("value", optional(text)))
                          for setting in settings] or [CgroupSetting(controller, name)])
    return tuple(found)

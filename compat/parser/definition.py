"""What a job file says, as immutable plain data.

Everything the parser makes and everything the engine and the backends read of a job is in here.
A definition is the content of one ``.conf`` (plus at most one override): it knows neither its job's
name nor its file. It can be pickled, compared and kept for as long as an instance needs it (P20).

Text is kept as ``str`` made from the file's bytes by UTF-8 with ``surrogateescape``, so every byte
sequence survives a round trip (P45).
"""
from __future__ import annotations

from typing import NamedTuple, Optional, Tuple, Union

#: The process slots of an instance, in the order and spelling in which they are printed (E5).
PROCESS_NAMES: Tuple[str, ...] = ("main", "pre-start", "post-start", "pre-stop", "post-stop", "security")
MAIN, PRE_START, POST_START, PRE_STOP, POST_STOP, SECURITY = range(6)


class ProcessDefinition(NamedTuple):
    """One command of a job: ``exec`` text or the body of a ``script`` block (P65, P66)."""

    script: bool
    command: str


class Match(NamedTuple):
    """A leaf of a condition: an event name and its unexpanded arguments in file order (P94)."""

    event: str
    args: Tuple[str, ...] = ()


class And(NamedTuple):
    """Both operands must hold (P94)."""

    left: "Condition"
    right: "Condition"


class Or(NamedTuple):
    """One operand must hold (P94)."""

    left: "Condition"
    right: "Condition"


Condition = Union[Match, And, Or]


class Limit(NamedTuple):
    """A ``limit`` stanza; None means unlimited (P82, P83)."""

    resource: str
    soft: Optional[int]
    hard: Optional[int]


class CgroupSetting(NamedTuple):
    """One line of a ``cgroup`` stanza after merging; ``key`` is None when only the group is asked for (P88, P89)."""

    controller: str
    name: str
    key: Optional[str] = None
    value: Optional[str] = None


class JobDefinition(NamedTuple):
    """A parsed job (defaults: P56).

    ``console``, ``umask`` and ``nice`` are None where the file says nothing: the daemon's own
    defaults then apply when a process starts. ``normal_exit`` holds exit statuses as they are and
    signals shifted left by 8 (P73). ``processes`` has one entry a slot, in the order of PROCESS_NAMES.
    """

    instance: Optional[str] = None
    description: Optional[str] = None
    author: Optional[str] = None
    version: Optional[str] = None
    usage: Optional[str] = None
    env: Tuple[str, ...] = ()
    export: Tuple[str, ...] = ()
    emits: Tuple[str, ...] = ()
    start_on: Optional[Condition] = None
    stop_on: Optional[Condition] = None
    processes: Tuple[Optional[ProcessDefinition], ...] = (None, None, None, None, None, None)
    expect: str = "none"
    task: bool = False
    respawn: bool = False
    respawn_limit: int = 10
    respawn_interval: int = 5
    normal_exit: Tuple[int, ...] = ()
    kill_timeout: int = 5
    kill_signal: int = 15
    reload_signal: int = 1
    console: Optional[str] = None
    umask: Optional[int] = None
    nice: Optional[int] = None
    oom_score_adj: int = 0
    limits: Tuple[Limit, ...] = ()
    chroot: Optional[str] = None
    chdir: Optional[str] = None
    setuid: Optional[str] = None
    setgid: Optional[str] = None
    apparmor_switch: Optional[str] = None
    cgroups: Tuple[CgroupSetting, ...] = ()
    debug: bool = False

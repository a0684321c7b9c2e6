"""Job classes and their instances: plain records without behaviour (E1-E8).

Everything that changes an instance's goal or state is in lifecycle.py.
"""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ..parser.definition import MAIN, PROCESS_NAMES, JobDefinition
from .conditions import ConditionState, postfix
from .environment import Table
from .states import STOP, WAITING

_FNV_START, _FNV_PRIME, _BINS = 2166136261, 16777619, 17
_ORDER_BITS = 48
#: The part of an ``order`` that a number gives (place).
ORDER_MASK = (1 << _ORDER_BITS) - 1


def bucket(name: str) -> int:
    """Where a name stands in upstream's order of jobs and instances (E83, C40)."""
    value = _FNV_START
    for byte in name.encode("utf-8", "surrogateescape"):
        value = value * _FNV_PRIME & 0xFFFFFFFF
        # Upstream's char is signed.
        value ^= byte if byte < 0x80 else byte | 0xFFFFFF00
    return value % _BINS


def place(name: str, number: int) -> int:
    """An ``order``: sorts by bin, inside a bin by number (E83)."""
    return bucket(name) << _ORDER_BITS | number


class Process:
    """One occupied process slot; ``pid`` is 0 until the process exists.

    ``handle`` is what an earlier daemon's backend knew it by (actions.AdoptProcess), None for one of our
    own. ``signalled``: the signal of the state ``killed`` was handed over.
    """

    __slots__ = ("handle", "pid", "signalled", "spawn")

    def __init__(self, spawn: int) -> None:
        self.spawn = spawn
        self.pid = 0
        self.handle: Optional[Dict[str, Any]] = None
        self.signalled = False


class Instance:
    """One copy of a job, from the acceptance of its start to ``waiting`` (E2, E6).

    ``blocker`` is the number of the event it waits for, 0 for none. ``owners`` are those who wait for
    it (E106): ("event", event number) or ("call", call number, text of a failure). ``start_env``
    and ``stop_env`` are None when unset. ``fds`` are the descriptors that the events of ``env`` carried, and
    ``start_fds`` those of ``start_env`` (X21). ``exit_status`` as E7; ``failed_process`` None with
    ``failed`` means the respawn limit. ``restarting``: a restart passes through pre-stop (E28).
    ``kill_due`` is the monotonic time at which the timer ``kill_timer`` fires; void if that is 0.
    """

    __slots__ = (
        "blocker", "definition", "env", "exit_status", "failed", "failed_process", "fds", "goal", "job", "kill_due", "kill_timer",
        "name", "order", "owners", "processes", "respawn_count", "respawn_time", "restarting", "start_env", "start_fds",
        "state", "stop_env", "stop_on",
    )

    def __init__(self, job: str, name: str, definition: JobDefinition, order: int) -> None:
        self.job = job
        self.name = name
        self.definition = definition
        self.order = order
        self.goal = STOP
        self.state = WAITING
        self.env: Table = {}
        self.start_env: Optional[Table] = None
        self.stop_env: Optional[Table] = None
        self.stop_on = ConditionState(postfix(definition.stop_on)) if definition.stop_on is not None else None
        self.blocker = 0
        self.owners: List[Tuple[object, ...]] = []
        self.kill_timer = 0
        self.kill_due = 0.0
        self.failed = False
        self.failed_process: Optional[int] = None
        self.exit_status = 0
        self.respawn_time = 0
        self.respawn_count = 0
        self.restarting = False
        self.fds: Tuple[int, ...] = ()
        self.start_fds: Tuple[int, ...] = ()
        self.processes: List[Optional[Process]] = [None] * len(PROCESS_NAMES)

    @property
    def display_name(self) -> str:
        """J of E4."""
        return self.job + " (" + self.name + ")" if self.name else self.job

    @property
    def main(self) -> Optional[Process]:
        """The main process, if alive."""
        return self.processes[MAIN]

    def has_process(self) -> bool:
        """Whether any slot is taken."""
        return any(self.processes)

    def live_processes(self) -> List[Tuple[str, int]]:
        """(name, pid) of every process that exists, in slot order (C72)."""
        return [(name, process.pid) for name, process in zip(PROCESS_NAMES, self.processes) if process and process.pid]

    def live_spawns(self) -> List[Tuple[str, int]]:
        """The same processes with their spawn numbers."""
        return [(name, process.spawn) for name, process in zip(PROCESS_NAMES, self.processes) if process and process.pid]


class JobClass:
    """A registered job definition and its instances (E1).

    ``superseded``: its file is gone or was replaced while it had instances (E117, E119);
    ``pending`` is what takes over, if anything.
    """

    __slots__ = ("definition", "instances", "name", "order", "pending", "start_on", "superseded")

    def __init__(self, name: str, definition: JobDefinition, order: int) -> None:
        self.name = name
        self.definition = definition
        self.order = order
        self.start_on = ConditionState(postfix(definition.start_on)) if definition.start_on is not None else None
        self.instances: Dict[str, Instance] = {}
        self.superseded = False
        self.pending: Optional[JobDefinition] = None

    def ordered_instances(self) -> List[Instance]:
        """The instances in the order of E83."""
        instances = list(self.instances.values())
        if len(instances) > 1:
            instances.sort(key=lambda instance: instance.order)
        return instances

    def instance_names(self) -> List[str]:
        """Names of the instances in the order of E83."""
        return [instance.name for instance in self.ordered_instances()]

    def instance(self, name: str) -> Optional[Instance]:
        """The instance of that name, if it exists."""
        return self.instances.get(name)

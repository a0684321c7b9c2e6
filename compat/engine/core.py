"""The engine's whole state, and the few operations that every part of the engine shares.

``Core`` is plain data: numbers, strings, tuples, dicts and the records of jobs.py and events.py. It
holds no closures, files or connections, so it can be written out and read back (pickle, and later
the re-exec), and the copy behaves as the original.
"""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .actions import DEBUG, INFO, WARN, CloseDescriptor, LogMessage
from .environment import Table, add_entries, add_entry
from .events import Event, EventQueue
from .history import EventHistory
from .jobs import Instance, JobClass
from .registry import Registry


class Core:
    """Everything the engine knows. ``out`` are the actions of the input that is being handled."""

    def __init__(self, inherited: Dict[str, str], inherit_all: bool, apparmor: bool, session: Optional[str]) -> None:
        self.now = 0.0
        self.out: List[Any] = []
        self.queue = EventQueue()
        self.history = EventHistory()
        self.registry = Registry()
        self.serial = 0
        #: The daemon's own environment, for bare names (E64) and for the defaults of the table (E65).
        self.inherited = inherited
        self.inherit_all = inherit_all
        self.apparmor = apparmor
        self.session = session
        self.job_environment: Table = default_environment(inherited, inherit_all)
        #: spawn number -> (job, instance, process slot)
        self.spawns: Dict[int, Tuple[str, str, int]] = {}
        #: kill timer -> (job, instance)
        self.kill_timers: Dict[int, Tuple[str, str]] = {}
        #: descriptor of an event -> how many events and instances still need it (X21)
        self.descriptor_users: Dict[int, int] = {}
        #: the calls of Reload that SignalNotSent and ProcessVanished are about: spawn -> call
        self.reloads: Dict[int, int] = {}
        self.session_end: Optional["SessionEnd"] = None
        #: nothing is respawned any more (B219)
        self.host_goes_down = False
        #: What a journal has to write next; None if there is none.
        self.changes: Optional[Changes] = None

    def changed(self, instance: Instance) -> None:
        """Something of it that is on record changes in this input, or it comes or goes."""
        if self.changes is not None:
            self.changes.instances[instance.job, instance.name] = None

    def number(self) -> int:
        """A number that was never given before."""
        self.serial += 1
        return self.serial

    def debug(self, text: str) -> None:
        """Log at debug priority."""
        self.out.append(LogMessage(DEBUG, text))

    def info(self, text: str) -> None:
        """Log at info priority."""
        self.out.append(LogMessage(INFO, text))

    def warn(self, text: str) -> None:
        """Log at warn priority."""
        self.out.append(LogMessage(WARN, text))

    def queue_event(self, name: str, env: Tuple[str, ...], fd: int = -1) -> Event:
        """Create an event; nothing happens until the queue is polled (E82)."""
        event = self.queue.add(name, env, fd)
        if fd >= 0:
            self.use_descriptor(fd)
        self.event_changed(event)
        self.debug("event_new: Pending " + name + " event")
        return event

    def bring_back_event(self, name: str, env: Tuple[str, ...], handled: bool, failed: bool) -> Event:
        """EventQueue.bring_back."""
        event = self.queue.bring_back(name, env, handled, failed)
        self.event_changed(event)
        return event

    def event_changed(self, event: Event) -> None:
        """Something of it that is on record changes in this input, or it comes or goes."""
        if self.changes is not None:
            self.changes.events[event.number] = None

    def condition_changed(self, job: JobClass) -> None:
        """The events that a class's ``start on`` holds change in this input."""
        if self.changes is not None:
            self.changes.conditions[job.name] = None

    def use_descriptor(self, fd: int) -> None:
        """One more event or instance needs the descriptor."""
        self.descriptor_users[fd] = self.descriptor_users.get(fd, 0) + 1

    def release_descriptor(self, fd: int) -> None:
        """One less; the last one closes it."""
        left = self.descriptor_users.pop(fd, 1) - 1
        if left:
            self.descriptor_users[fd] = left
        else:
            self.out.append(CloseDescriptor(fd))

    def find(self, job: str, instance: str) -> Optional[Tuple[JobClass, Instance]]:
        """An existing instance with its class."""
        found = self.registry.classes.get(job)
        if found is None:
            return None
        copy = found.instances.get(instance)
        return (found, copy) if copy is not None else None

    def class_environment(self, job: JobClass) -> Table:
        """Global table, then the class's ``env`` stanzas (E66)."""
        table = dict(self.job_environment)
        add_entries(table, job.definition.env, self.inherited)
        return table


class Changes:
    """Names of what changed, each once, in order: events, classes with a half-true ``start on``, instances.

    ``environment``: the global job environment table did.
    """

    __slots__ = ("conditions", "environment", "events", "instances")

    def __init__(self) -> None:
        self.events: Dict[int, None] = {}
        self.conditions: Dict[str, None] = {}
        self.instances: Dict[Tuple[str, str], None] = {}
        self.environment = False


class SessionEnd:
    """A quiesce that is under way (D160-D169). ``phase`` is wait or kill; times in seconds."""

    __slots__ = ("began", "limit", "phase", "phase_began", "reason", "timer")

    def __init__(self, reason: str, now: float) -> None:
        self.reason = reason
        self.began = now
        self.phase = "wait"
        self.phase_began = now
        self.limit = 0.0
        self.timer = 0


def default_environment(inherited: Dict[str, str], inherit_all: bool) -> Table:
    """The global table at start-up: PATH and TERM, then everything in a session (E65, D149)."""
    table: Table = {}
    for key in ("PATH", "TERM"):
        add_entry(table, key, inherited)
    if inherit_all:
        for key, value in inherited.items():
            table.setdefault(key, value)
    return table

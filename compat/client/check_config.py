"""check-config: conditions that nothing on this host can make true (C127-C132)."""
from __future__ import annotations

import ctypes

from .connection import connect, uses_private_socket
from .job_conditions import Condition, Event, JobConditions, read_conditions
from .options import Invocation
from .output import Failure

# What typing.TYPE_CHECKING says, without the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

#: Events that come from the daemon itself (C128).
_BUILT_IN = ("startup", "debug", "control-alt-delete", "keyboard-request", "power-status-changed", "starting", "started", "stopping",
             "stopped")


class _Known:
    """What jobs and events there are."""

    def __init__(self, jobs: list[JobConditions], events: Iterable[str], need_all: bool) -> None:
        self._jobs = {job.name for job in jobs}
        self._patterns = {pattern for job in jobs for pattern in job.emits}
        self._events = {*events, *self._patterns}
        self._need_all = need_all
        # The C library's, since "shell glob" means just what that does; Python's differs in [^…] and \.
        self._fnmatch = ctypes.CDLL(None).fnmatch

    def _emitted(self, name: str) -> bool:
        if name not in self._events:
            text = name.encode()
            if not any(self._fnmatch(pattern.encode(), text, 0) == 0 for pattern in self._patterns):
                return False
            self._events.add(name)
        return True

    def unknown(self, event: Event) -> list[str]:
        """What is not known about an event, in words (C128)."""
        found = [] if self._emitted(event.name) else [f"unknown event {event.name}"]
        if event.job and not event.job.startswith("$") and event.job not in self._jobs:
            found.append(f"unknown job {event.job}")
        return found

    def faults(self, condition: Condition) -> list[str]:
        """What is not known below the first part that cannot become true, in words (C129).

        Parts are the root and the operators, from the root on, the right side before the left.
        """
        def leaf(event: Event) -> tuple[bool, int]:
            return not self.unknown(event), 1

        def join(word: str, left: tuple[bool, int], right: tuple[bool, int]) -> tuple[bool, int]:
            both = word == "and" or self._need_all
            return left[0] and right[0] if both else left[0] or right[0], left[1] + right[1] + 1

        values = condition.fold(leaf, join)
        last = len(values) - 1
        for position in range(last, -1, -1):
            satisfiable, size = values[position]
            if not satisfiable and (position == last or not isinstance(condition.nodes[position], Event)):
                below = condition.nodes[position + 1 - size:position + 1]
                return [words for node in reversed(below) if isinstance(node, Event) for words in self.unknown(node)]
        return []


def check_config(invocation: Invocation) -> int:
    """check-config [CONF]: exit status 1 if anything is wrong, or the daemon is not reached (C132)."""
    connection = connect(invocation)
    jobs = list(read_conditions(connection, connection.all_jobs()))
    events = {*_BUILT_IN, *invocation.ignored_events}
    if uses_private_socket(invocation):
        events.add("session-end")
    known = _Known(jobs, events, invocation.has("warn"))
    if invocation.arguments:
        wanted = invocation.arguments[0]
        jobs = [job for job in jobs if job.name == wanted]
        if not jobs:
            raise Failure(f"Invalid job class: {wanted}")
    status = 0
    for job in jobs:
        lines = [f"  {stanza}: {words}" for stanza, condition in job.conditions for words in known.faults(condition)]
        if lines:
            status = 1
            invocation.say("\n".join([job.name, *lines]))
    return status

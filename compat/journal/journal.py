"""Keeps on record what the engine is, so that the next daemon can go on from it (B204).

``commit`` is called after each input, before anything that the engine asks for is carried out. What
changed becomes one line (content.py) and one write. So the record is ahead of the world, never behind:
a process may be on record that does not exist yet, but no program runs, no caller is answered and no
signal is sent that the record does not know of. How the backends keep their side of that stands in
backends/protocol.py; how a process that was asked for and never came is told from one that ran and
ended, in engine/restore.py.

When the lines are many times what there is to say, the file is written anew. So it is after a failure,
such as a full disk: once at the next change and then, while it goes on failing, at times further and
further apart. Until it works the daemon runs without a record, and says so once.
"""
from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, List, Optional, Protocol, Set, Tuple

from ..engine.actions import INFO, WARN
from ..engine.core import Changes
from ..engine.engine import Engine
from ..engine.inputs import Restore
from ..engine.records import encode_definition, encode_event, encode_instance
from ..parser.definition import JobDefinition
from . import content

#: A file that grew to so many times its size after it was last written anew, and to so many bytes, is written anew.
_GROWTH, _LEAST_SIZE = 8, 1 << 18
_FIRST_RETRY, _LAST_RETRY = 1.0, 300.0

_dumps = json.JSONEncoder(separators=(",", ":")).encode


class File(Protocol):
    """What of journal_file.JournalFile is used here."""

    path: str
    size: int

    def read(self) -> bytes:
        """All of it. Raises OSError."""

    def append(self, line: bytes) -> None:
        """Add a line. Raises OSError, and then nothing was added."""

    def replace(self, content: bytes) -> None:
        """Put this into its place. Raises OSError, and then it is as it was."""

    def keep_aside(self) -> str:
        """Keep what is in it now under another name. Raises OSError."""

    def remove(self) -> None:
        """There is nothing left to go on with. Raises OSError."""


class Journal:
    """``handle_of`` is protocol.Backend.handle; ``boot`` is boot.identity(); ``later`` calls back after so many seconds.

    ``started``: the start-up event of this boot was emitted, by this daemon or by one before it.
    """

    def __init__(self, engine: Engine, file: File, boot: Dict[str, str], handle_of: Callable[[int], Optional[Dict[str, Any]]],
                 log: Callable[[int, str], None], later: Callable[[float, Callable[[], None]], object]) -> None:
        self.started = False
        self._engine = engine
        self._file = file
        self._boot = boot
        self._handle_of = handle_of
        self._log = log
        self._later = later
        #: What the file has a record of.
        self._instances: Set[Tuple[str, str]] = set()
        self._events: Set[int] = set()
        self._definitions: Dict[int, Tuple[int, JobDefinition]] = {}
        self._last_definition = 0
        self._started_on_record = False
        self._written_size = 0
        #: Nothing is appended to what is in the file at present.
        self._outdated = True
        self._retry_seconds = _FIRST_RETRY
        self._retry_due = False
        self._closed = False
        engine.track_changes()

    # -- before anything happens -----------------------------------------------------------------------------

    def load(self) -> Optional[Restore]:
        """What an earlier daemon left, None if there is nothing; to be fed before anything else is.

        What cannot be read is left out, with one warning, and the file is kept. It is replaced by the
        first ``commit``, which comes after the engine took it over.
        """
        try:
            data = self._file.read()
        except OSError as error:
            self._log(WARN, f"Unable to read {self._file.path}, running jobs are not known: {os.strerror(error.errno or 0)}")
            return None
        if not data:
            return None
        found = content.read(data)
        if found.boot is not None and found.boot != self._boot:
            self._log(INFO, f"{self._file.path} is about an earlier boot")
            return None
        if found.problems:
            self._warn_of(found.problems)
        self.started = found.started
        restore = found.restore
        # Descriptors that came with events ended with the daemon that had them.
        instances = tuple(record._replace(fds=(), start_fds=()) for record in restore.instances)
        self._log(INFO, f"Going on with {len(instances)} instances of jobs from {self._file.path}")
        return restore._replace(instances=instances)

    def _warn_of(self, problems: List[str]) -> None:
        try:
            kept = f", kept as {self._file.keep_aside()}"
        except OSError:
            kept = ""
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        self._log(WARN, f"{self._file.path}: {problems[0]}{more}; the rest is used{kept}")

    # -- while the daemon runs -------------------------------------------------------------------------------

    def commit(self) -> None:
        """Put on record what the last input changed."""
        changes = self._engine.take_changes()
        if self._closed or (changes is None and self.started == self._started_on_record):
            return
        if self._outdated:
            if not self._retry_due:
                self._write_anew()
            return
        line = self._line(changes or Changes())
        if not line:
            return
        try:
            self._file.append(line)
        except OSError as error:
            self._failed(error)
            return
        if self._file.size > max(_LEAST_SIZE, _GROWTH * self._written_size):
            self._write_anew()

    def remove(self) -> None:
        """The session ended as it should: the next daemon starts with nothing."""
        self._closed = True
        try:
            self._file.remove()
        except OSError as error:
            self._log(WARN, f"Unable to remove {self._file.path}: {os.strerror(error.errno or 0)}")

    def _write_anew(self) -> None:
        self._outdated = True
        self._instances, self._events, self._definitions = set(), set(), {}
        self._started_on_record = False
        every = self._engine.everything()
        lines = [_dumps({"format": content.FORMAT, **self._boot}).encode("ascii") + b"\n"]
        instances, every.instances = every.instances, {}
        lines.append(self._line(every))
        for key in instances:
            # One line each, so that damage to one is not the end of all.
            one = Changes()
            one.instances[key] = None
            lines.append(self._line(one))
        try:
            self._file.replace(b"".join(lines))
        except OSError as error:
            self._failed(error)
            return
        if self._retry_seconds != _FIRST_RETRY:
            self._log(WARN, f"{self._file.path} is up to date again")
        self._retry_seconds = _FIRST_RETRY
        self._outdated = False
        self._written_size = self._file.size

    def _failed(self, error: OSError) -> None:
        self._outdated = True
        if self._retry_seconds == _FIRST_RETRY:
            self._log(WARN, f"Unable to write {self._file.path}, running jobs would not outlive this daemon: "
                            f"{os.strerror(error.errno or 0)}")
        self._retry_due = True
        self._later(self._retry_seconds, self._retry)
        self._retry_seconds = min(2 * self._retry_seconds, _LAST_RETRY)

    def _retry(self) -> None:
        self._retry_due = False
        if not self._closed:
            self._write_anew()

    # -- lines -------------------------------------------------------------------------------------------------

    def _line(self, changes: Changes) -> bytes:
        """The line about these changes; empty if the file says it all."""
        line: Dict[str, Any] = {}
        if self.started and not self._started_on_record:
            self._started_on_record = line["started"] = True
        if changes.environment:
            line["environment"] = self._engine.changed_environment()
        for key, values in (
                ("events", self._events_of(changes)), ("conditions", {name: self._held_by(name) for name in changes.conditions}),
                *self._instances_of(changes)):
            if values:
                line[key] = values
        if not line:
            return b""
        line["serial"] = self._engine.serial
        return _dumps(line).encode("ascii") + b"\n"

    def _events_of(self, changes: Changes) -> Dict[int, Any]:
        events: Dict[int, Any] = {}
        for number in changes.events:
            event = self._engine.event(number)
            if event is not None:
                events[number] = encode_event(event)
                self._events.add(number)
            elif number in self._events:
                events[number] = None
                self._events.remove(number)
        return events

    def _held_by(self, name: str) -> List[int]:
        job = self._engine.job(name)
        return job.start_on.held_events() if job is not None and job.start_on is not None else []

    def _instances_of(self, changes: Changes) -> Tuple[Tuple[str, Dict[Any, Any]], Tuple[str, Dict[Any, Any]]]:
        definitions: Dict[int, Any] = {}
        instances: Dict[str, Dict[str, Any]] = {}
        for key in changes.instances:
            job = self._engine.job(key[0])
            instance = job.instances.get(key[1]) if job is not None else None
            record: Optional[Dict[str, Any]] = None
            if instance is not None:
                record = encode_instance(instance, self._handle_of)
                record["definition"] = self._number_of(instance.definition, definitions)
                self._instances.add(key)
            elif key in self._instances:
                self._instances.remove(key)
            else:
                # It came and went within one input.
                continue
            instances.setdefault(key[0], {})[key[1]] = record
        return ("definitions", definitions), ("instances", instances)

    def _number_of(self, definition: JobDefinition, new: Dict[int, Any]) -> int:
        known = self._definitions.get(id(definition))
        if known is None:
            self._last_definition += 1
            known = self._definitions[id(definition)] = self._last_definition, definition
            new[known[0]] = encode_definition(definition)
        return known[0]

"""The fact table at work: tells the engine its events, watches the time, keeps the file current (B200, B203)."""
from __future__ import annotations

from typing import Callable, Dict, Protocol

from ..bridges.host.fact import Fact, HostEvent
from ..engine.actions import WARN
from . import fact_file
from .awaited_events import AwaitedEvents
from .facts import Emit, FactTable, Overdue, Watch


class Cancellable(Protocol):
    """A pending call of ``later``."""

    def cancel(self) -> None:
        """Do not call it any more."""


Later = Callable[[float, Callable[[], None]], Cancellable]
_RUNLEVEL = "RUNLEVEL="


class KnownFacts:
    """``later(seconds, callback)`` is the main loop's. ``boot``: which boot this is, as boot_identity gives it."""

    def __init__(self, events: AwaitedEvents, later: Later, log: Callable[[int, str], None], path: str, boot: str) -> None:
        self.table = FactTable()
        self._events = events
        self._later = later
        self._log = log
        self._path = path
        self._boot = boot
        self._limits: Dict[int, Cancellable] = {}
        #: called when a held event is finished
        self.progress: Callable[[], None] = lambda: None
        self._failing = False

    def load(self) -> bool:
        """What an earlier daemon of this boot knew; what it had not emitted yet is emitted now. Whether there was any."""
        known = fact_file.load(self.table, self._path, self._boot, self._log)
        self._work()
        return known

    def tell(self, fact: Fact) -> bool:
        """A fact from the bridge; whether it was news."""
        news = self.table.tell(fact)
        self._work()
        return news

    def observe(self, event: HostEvent) -> None:
        """An event is queued, by whomever: a runlevel is a fact (B215)."""
        if event.name == "runlevel":
            level = next((entry[len(_RUNLEVEL):] for entry in event.env if entry.startswith(_RUNLEVEL)), "")
            if level:
                self.table.runlevel_emitted(level)

    def save(self) -> None:
        """Write the file if something changed.

        An event is taken off the file only when the engine has it, and by then it is in the engine's own journal. Should the
        daemon die in between, it is emitted twice, and what it has started already takes no notice (E104); the other way
        round it would be lost.
        """
        if not self.table.changed:
            return
        try:
            fact_file.save(self.table, self._path, self._boot)
        except OSError as error:
            if not self._failing:
                self._failing = True
                self._log(WARN, f"{self._path}: {error.strerror}; events may be repeated if this daemon is started again")
        else:
            self._failing = False
            self.table.changed = False

    def drop_pending(self) -> None:
        """The host goes down."""
        self.table.drop_pending()
        for limit in self._limits.values():
            limit.cancel()
        self._limits.clear()

    def _work(self) -> None:
        while True:
            action = self.table.take()
            if action is None:
                return
            if isinstance(action, Emit):
                self._emit(action)
                self.save()
            elif isinstance(action, Watch):
                self._watch(action)
            elif isinstance(action, Overdue):
                self._log(WARN, f"event {action.name} not finished after 30 s, going on")

    def _watch(self, action: Watch) -> None:
        self._limits[action.ticket] = self._later(action.seconds, lambda: self._overdue(action.ticket))

    def _emit(self, action: Emit) -> None:
        ticket = action.ticket
        self._events.emit(action.event, (lambda: self._finished(ticket)) if ticket else None)

    def _finished(self, ticket: int) -> None:
        limit = self._limits.pop(ticket, None)
        if limit is not None:
            limit.cancel()
        self.table.finished(ticket)
        self._work()
        self.progress()

    def _overdue(self, ticket: int) -> None:
        self._limits.pop(ticket, None)
        self.table.overdue(ticket)
        self._work()

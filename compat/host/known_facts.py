"""The fact table at work: tells the engine its events, watches the time, keeps the file current (B200, B203)."""
from __future__ import annotations

import time
from typing import Any, Callable, Dict, Protocol, Tuple

from ..bridges.host.fact import Fact, HostEvent
from ..engine.actions import WARN
from . import fact_file
from .awaited_events import AwaitedEvents
from .facts import HOLD_SECONDS, Emit, FactTable, Overdue, Watch


class Cancellable(Protocol):
    """A pending call of ``later``."""

    def cancel(self) -> None:
        """Do not call it any more."""


Later = Callable[[float, Callable[[], None]], Cancellable]
_RUNLEVEL = "RUNLEVEL="


class KnownFacts:
    """``later(seconds, callback)`` is the main loop's. ``boot``: which boot this is, as boot_identity gives it."""

    def __init__(self, events: AwaitedEvents, later: Later, log: Callable[[int, str], None], path: str, boot: str,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.table = FactTable()
        self._events = events
        self._later = later
        self._log = log
        self._path = path
        self._boot = boot
        self._clock = clock
        #: by ticket: when it is overdue, and the call that it then is; and the number by which its event is waited for
        self._limits: Dict[int, Tuple[float, Cancellable]] = {}
        self._numbers: Dict[int, int] = {}
        #: called when a held event is finished
        self.progress: Callable[[], None] = lambda: None
        self._failing = False

    def load(self) -> bool:
        """What an earlier daemon of this boot knew; what it had not emitted yet is emitted now. Whether there was any."""
        known = fact_file.load(self.table, self._path, self._boot, self._log)
        self._work()
        return known

    def state(self) -> Dict[str, Any]:
        """All of it, for the next run of the daemon in its place, as JSON can hold it (B203)."""
        return {**self.table.state(), **self.table.held_state(), "numbers": list(map(list, self._numbers.items())),
                "due": [[ticket, due] for ticket, (due, _) in self._limits.items()]}

    def restore(self, state: Dict[str, Any]) -> bool:
        """Go on from such a state; before anything is fed. False, and a warning, if it makes no sense: then there is the file."""
        table = FactTable()
        try:
            table.restore(state)
            table.restore_held(state)
            numbers = {int(ticket): int(number) for ticket, number in state["numbers"]}
            dues = {int(ticket): float(due) for ticket, due in state["due"]}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._log(WARN, f"facts of the host cannot be used ({type(error).__name__}: {error})")
            return False
        # Others know the table.
        self.table.restore(state)
        self.table.restore_held(state)
        # The file may be older.
        self.table.changed = True
        now = self._clock()
        for ticket, number in numbers.items():
            self._await(ticket, number)
        for ticket, due in dues.items():
            self._watch(Watch(ticket, min(max(0.0, due - now), HOLD_SECONDS)))
        return True

    def go_on(self) -> None:
        """After ``restore``, when the jobs are known: tell what is still to be told."""
        self._work()

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
        for _, limit in self._limits.values():
            limit.cancel()
        self._limits.clear()
        self._numbers.clear()

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
        limit = self._later(action.seconds, lambda: self._overdue(action.ticket))
        self._limits[action.ticket] = self._clock() + action.seconds, limit

    def _emit(self, action: Emit) -> None:
        ticket = action.ticket
        if not ticket:
            self._events.emit(action.event)
            return
        number = self._numbers[ticket] = self._events.number()
        self._events.emit_as(number, action.event, lambda: self._finished(ticket))

    def _await(self, ticket: int, number: int) -> None:
        self._numbers[ticket] = number
        self._events.await_again(number, lambda: self._finished(ticket))

    def _finished(self, ticket: int) -> None:
        self._numbers.pop(ticket, None)
        limit = self._limits.pop(ticket, None)
        if limit is not None:
            limit[1].cancel()
        self.table.finished(ticket)
        self._work()
        self.progress()

    def _overdue(self, ticket: int) -> None:
        self._limits.pop(ticket, None)
        self.table.overdue(ticket)
        self._work()

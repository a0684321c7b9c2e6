"""The daemon's part in the end of the host: takes the steps of shutdown.py and answers who asked for them.

Who asks: the stop command of upstart-shutdown.service and the host bridge, over D-Bus; the daemon's own SIGTERM. Several may,
at different times; there is one way down at a time, and whoever asks again joins it. A cancelled one is undone (B221).
"""
from __future__ import annotations

from typing import Any, Callable, List, Optional

from ..bridges.host.fact import Fact
from ..engine.actions import INFO, WARN
from ..engine.inputs import HostGoesDown, Quiesce
from .awaited_events import AwaitedEvents
from .facts import Emit, Watch
from .known_facts import KnownFacts, Later
from .shutdown import Done, Host, Kind, Reached, Shutdown, StopInstances, Warn
from .virtual_rc import whole_rc

Answer = Callable[[], None]
#: In the fact table, with the phase LEVEL:PREVIOUS.
_OBJECT = "shutdown"


class WayDown:
    """``host`` is what the steps ask; ``feed`` hands an input to the engine. ``with_previous`` as in Shutdown."""

    def __init__(self, facts: KnownFacts, events: AwaitedEvents, feed: Callable[[Any], None], later: Later,
                 log: Callable[[int, str], None], host: Host, with_previous: Callable[[], bool]) -> None:
        self._facts = facts
        self._events = events
        self._feed = feed
        self._later = later
        self._log = log
        self._host = host
        self._with_previous = with_previous
        self._shutdown: Optional[Shutdown] = None
        self._first: List[Answer] = []
        self._all: List[Answer] = []

    @property
    def begun(self) -> bool:
        """Whether the host, or the daemon alone, goes down."""
        return self._shutdown is not None

    @property
    def over(self) -> bool:
        """Whether every step was taken."""
        return self._shutdown is not None and self._shutdown.over

    def begin(self, kind: Kind, limit: float, done: Answer, only_first: bool = False) -> None:
        """Take the steps, or only the first; ``done`` is called when they are taken. ``limit`` in seconds."""
        shutdown = self._shutdown
        if shutdown is None:
            table = self._facts.table
            level, _, previous = table.phase(_OBJECT).partition(":")
            known = bool(kind.level) and level == kind.level
            if not known:
                previous = table.phase("runlevel") or "N"
            shutdown = self._shutdown = Shutdown(kind, previous, self._with_previous(), limit, self._host)
            (self._first if only_first else self._all).append(done)
            if kind.level:
                self._log(INFO, f"The host goes down, runlevel {kind.level}")
                self._facts.drop_pending()
                table.note(Fact(_OBJECT, f"{kind.level}:{previous}"))
                self._feed(HostGoesDown(True))
            shutdown.begin(only_first, known)
        elif shutdown.over or (only_first and shutdown.first_done):
            done()
            return
        else:
            (self._first if only_first else self._all).append(done)
            if not only_first:
                shutdown.go_on()
        self._work()

    def hurry(self) -> None:
        """No time for anybody any more (B259): SIGKILL to what is left."""
        if self._shutdown is not None:
            self._shutdown.hurry()
            self._work()
        self._feed(Quiesce("host", 0.0))

    def cancel(self) -> None:
        """The host stays up after all (B221); nothing if more than the first step was begun.

        Also if an earlier daemon began it.
        """
        if self._shutdown is not None and not self._shutdown.only_first:
            return
        level, _, previous = self._facts.table.phase(_OBJECT).partition(":")
        if not level:
            return
        self._shutdown = None
        self._answer(self._first)
        self._feed(HostGoesDown(False))
        self._facts.table.forget(_OBJECT)
        if previous != "N":
            self._facts.tell(Fact("runlevel", previous, whole_rc(previous, level, self._with_previous(), self._host.virtual_rc())))

    def all_stopped(self) -> bool:
        """The engine has stopped every instance; whether that was asked for here."""
        if self._shutdown is None:
            return False
        self._shutdown.all_stopped()
        self._work()
        return True

    def _work(self) -> None:
        while self._shutdown is not None:
            todo = self._shutdown.take()
            if not todo:
                return
            for action in todo:
                self._perform(self._shutdown, action)
            # Another daemon may have to go on from here at any moment: the engine has on record what it was told.
            self._facts.save()

    def _perform(self, shutdown: Shutdown, action: Any) -> None:
        if isinstance(action, Emit):
            self._events.emit(action.event, lambda: self._finished(shutdown, action.ticket))
        elif isinstance(action, Watch):
            self._later(action.seconds, lambda: self._out_of_time(shutdown))
        elif isinstance(action, Reached):
            self._facts.table.note(action.fact)
        elif isinstance(action, StopInstances):
            self._feed(Quiesce("host", action.seconds))
        elif isinstance(action, Warn):
            self._log(WARN, action.text)
        elif isinstance(action, Done):
            self._answer(self._first)
            if shutdown.over:
                if shutdown.kind.level in ("0", "6"):
                    self._facts.table.clear()
                else:
                    self._facts.table.forget(_OBJECT)
                self._answer(self._all)

    def _finished(self, shutdown: Shutdown, ticket: int) -> None:
        shutdown.finished(ticket)
        if shutdown.first_done:
            self._answer(self._first)
        self._work()

    def _out_of_time(self, shutdown: Shutdown) -> None:
        if shutdown is self._shutdown:
            shutdown.out_of_time()
            self._work()

    @staticmethod
    def _answer(answers: List[Answer]) -> None:
        waiting, answers[:] = list(answers), []
        for done in waiting:
            done()

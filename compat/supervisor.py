"""Between the engine and the world: feeds it, and carries out what it asks for.

Everything that happens reaches the engine through ``Supervisor.feed``, and every action passes
through ``_perform``, in order. In between, what changed is put on record (journal/journal.py). A
defect in the engine or in an adapter is logged with what was being done; the caller, if there is one,
gets an error, the engine hears that the process or the signal came to nothing, and the rest goes on.
"""
from __future__ import annotations

import os
import traceback
from typing import Any, Callable, Dict, Iterable, List, Optional, Protocol, Set, Tuple

from .backends.protocol import Backend
from .engine import actions
from .engine.actions import ERROR
from .engine.engine import Engine
from .engine.inputs import PollEvents, ProcessLost, ProcessSpawned, ProcessSpawnFailed, SignalNotSent, SignalSent, TimerFired

#: Polls in one turn of the loop, of delivery.VISITS_PER_POLL visits each (E90). Upstream polls until
#: nothing is left (E84), and so does this in nearly every turn; but calls wait for the turn to end, and
#: a turn sends signals that clients have to read.
_POLLS_PER_TURN = 10


class Cancellable(Protocol):
    """A pending call of ``later``."""

    def cancel(self) -> None:
        """Do not call it any more."""


class Supervisor:
    """The one place where inputs become actions.

    ``control`` is called with every Answer, Refuse, announcement and environment change. ``later``
    and ``clock`` come from the main loop, or from a simulated one. ``session_ended`` is called when
    the daemon is to exit. ``record`` is Journal.commit, None where nothing is kept.
    """

    def __init__(self, engine: Engine, log: Callable[[int, str], None], clock: Callable[[], float],
                 later: Callable[[float, Callable[[], None]], Cancellable]) -> None:
        self.engine = engine
        self.backend: Optional[Backend] = None
        self.control: Callable[[Any], None] = lambda action: None
        self.session_ended: Callable[[], None] = lambda: None
        self.record: Optional[Callable[[], None]] = None
        self.close_descriptor: Callable[[int], None] = os.close
        self._log = log
        self._clock = clock
        self._later = later
        self._timers: Dict[int, Tuple[float, Cancellable]] = {}
        #: Spawns that the backend is at work on and has told no pid of.
        self._spawning: Set[int] = set()
        self._performers: Dict[type, Callable[[Any], None]] = {
            actions.LogMessage: lambda action: log(action.priority, action.text),
            actions.SpawnProcess: self._spawn,
            actions.AdoptProcess: self._adopt,
            actions.SignalProcess: self._signal,
            actions.DetachTrace: lambda action: self._hands().detach(action),
            actions.CloseDescriptor: lambda action: self.close_descriptor(action.fd),
            actions.SetTimer: self._set_timer,
            actions.CancelTimer: self._cancel_timer,
            actions.SessionEnded: lambda action: self.session_ended(),
        }

    def feed(self, happened: Tuple[Any, ...]) -> None:
        """Hand one input to the engine and carry out what it answers."""
        if type(happened) is ProcessSpawned:
            self._spawning.discard(happened.spawn)
        try:
            todo = self.engine.feed(happened, self._clock())
        except Exception as error:
            self._report(f"handling {happened!r:.500}", error)
            todo = self.engine.take()
            call = getattr(happened, "call", None)
            if call is not None:
                todo.append(actions.Refuse(call, "Failed", f"Internal error: {error}"))
        if self.record is not None:
            try:
                self.record()
            except Exception as error:
                self._report("recording", error)
        self._perform(todo)

    def timers_due(self) -> Dict[int, float]:
        """When each pending timer of the engine is due, in monotonic seconds."""
        return {timer: due for timer, (due, _) in self._timers.items()}

    def restore_timers(self, timers: Iterable[Tuple[int, float]]) -> None:
        """Set timers of the engine as ``timers_due`` told them (D232)."""
        for timer, due in timers:
            self._set_timer(actions.SetTimer(timer, max(0.0, due - self._clock())))

    def poll(self) -> bool:
        """Work through the event queue; whether some is left for the next turn (E84, E90)."""
        for _ in range(_POLLS_PER_TURN):
            if not self.engine.has_work():
                return False
            self.feed(PollEvents())
        return self.engine.has_work()

    def _perform(self, todo: List[Any]) -> None:
        performers = self._performers
        for action in todo:
            try:
                performers.get(type(action), self.control)(action)
            except Exception as error:
                self._report(f"carrying out {action!r:.500}", error)

    def _hands(self) -> Backend:
        assert self.backend is not None
        return self.backend

    def _spawn(self, action: actions.SpawnProcess) -> None:
        self._spawning.add(action.spawn)
        try:
            self._hands().spawn(action)
        except Exception as error:
            self._report(f"carrying out {action!r:.500}", error)
            if action.spawn in self._spawning:
                self.feed(ProcessSpawnFailed(action.spawn, f"internal error: {error}"))
        finally:
            self._spawning.discard(action.spawn)

    def _adopt(self, action: actions.AdoptProcess) -> None:
        try:
            self._hands().adopt(action)
        except Exception as error:
            self._report(f"carrying out {action!r:.500}", error)
            self.feed(ProcessLost(action.spawn))

    def _signal(self, action: actions.SignalProcess) -> None:
        try:
            self._hands().signal(action)
        except Exception as error:
            self._report(f"carrying out {action!r:.500}", error)
            self.feed(SignalNotSent(action.spawn, action.signal, f"internal error: {error}"))
            return
        if self.record is not None:
            self.feed(SignalSent(action.spawn, action.signal))

    def _set_timer(self, action: actions.SetTimer) -> None:
        due = self._clock() + action.seconds
        self._timers[action.timer] = due, self._later(action.seconds, lambda: self._fire(action.timer))

    def _cancel_timer(self, action: actions.CancelTimer) -> None:
        timer = self._timers.pop(action.timer, None)
        if timer is not None:
            timer[1].cancel()

    def _fire(self, timer: int) -> None:
        self._timers.pop(timer, None)
        self.feed(TimerFired(timer))

    def _report(self, what: str, error: BaseException) -> None:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        self._log(ERROR, f"Internal error while {what}: " + " | ".join("".join(lines).split("\n")))

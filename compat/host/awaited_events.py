"""Emits events into the engine and calls back when they are finished.

The engine answers calls by number. Those of D-Bus clients are positive, so these are negative.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from ..bridges.host.fact import HostEvent
from ..engine.actions import Answer, Refuse
from ..engine.inputs import EmitEvent


class AwaitedEvents:
    """``feed`` hands one input to the engine and carries out what it answers."""

    def __init__(self, feed: Callable[[EmitEvent], None]) -> None:
        self._feed = feed
        self._waiting: Dict[int, Callable[[], None]] = {}
        self._last = 0

    def emit(self, event: HostEvent, done: Optional[Callable[[], None]] = None) -> None:
        """Queue an event; ``done`` is called when it is finished, whether it failed or not."""
        if done is None:
            self._feed(EmitEvent(None, event.name, event.env))
        else:
            self.emit_as(self.number(), event, done)

    def number(self) -> int:
        """A fresh one for ``emit_as``."""
        self._last -= 1
        return self._last

    def emit_as(self, number: int, event: HostEvent, done: Callable[[], None]) -> None:
        """``emit``, by a number by which the event can be awaited again after a re-exec."""
        self._waiting[number] = done
        self._feed(EmitEvent(number, event.name, event.env, True))

    def await_again(self, number: int, done: Callable[[], None]) -> None:
        """Go on waiting for an event that the daemon before this one, in its place, has queued."""
        self._last = min(self._last, number)
        self._waiting[number] = done

    def answered(self, action: Any) -> bool:
        """Take an Answer or Refuse of the engine if it is for one of these; whether it was."""
        if type(action) is not Answer and type(action) is not Refuse:
            return False
        if action.call >= 0:
            return False
        done = self._waiting.pop(action.call, None)
        if done is not None:
            done()
        return True

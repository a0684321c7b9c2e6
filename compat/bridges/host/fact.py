"""What the bridge tells the daemon: facts, each with the events that it stands for (B200).

A fact is an object of the host and the phase that it is in. The daemon emits the events only if it does not
know the object in that phase already; so a fact may be told as often as one likes.
"""
from __future__ import annotations

from typing import NamedTuple, Tuple


class HostEvent(NamedTuple):
    """An event; ``hold``: what follows waits until it is finished, 30 seconds at most (B200)."""

    name: str
    env: Tuple[str, ...] = ()
    hold: bool = False


class Fact(NamedTuple):
    """``object`` and ``phase`` as B201 names them; ``events`` are queued in order."""

    object: str
    phase: str
    events: Tuple[HostEvent, ...] = ()

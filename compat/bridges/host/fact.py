"""What the bridge tells the daemon: facts, each with the events that it stands for (B200).

A fact is an object of the host and the phase that it is in. The daemon emits the events only if it does not
know the object in that phase already; so a fact may be told as often as one likes.

What was missed can only be told by who knows what was told last. So the bridge reads the daemon's table when it
connects (``Known``) and hands it to the models, which begin from there (B202).
"""
from __future__ import annotations

from typing import Mapping, NamedTuple, Tuple

#: The daemon's table: object to phase.
Known = Mapping[str, str]

#: The phase of an object that is no more. The table forgets such an object once its events are queued.
GONE = ""


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


def event(name: str, *env: str, hold: bool = False) -> HostEvent:
    """An event whose values come from the host: control characters are left out of them (B273)."""
    return HostEvent(name, tuple(printable(each) for each in env), hold)


def printable(text: str) -> str:
    """The text without control characters (B273). Bytes that are not UTF-8 stay, as surrogates."""
    if text.isprintable():
        return text
    return "".join(each for each in text if not (each < " " or "\x7f" <= each <= "\x9f"))

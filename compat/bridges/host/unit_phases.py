"""From one state of a native unit to the next, told in steps as a job would go them (B201, B202, B226).

A unit is *down*, *starting*, *up* or *stopping*; each time it is started it gets a new invocation. What is seen is
not every state it was in: the manager leaves some out, and nobody may have watched. The table has the steps that
lead from what was told last to what is seen now, none left out.
"""
from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

DOWN, STARTING, UP, STOPPING = "down", "starting", "up", "stopping"
STATES = (DOWN, STARTING, UP, STOPPING)
#: The daemon's answer to a bridge that waits for the next change of a unit to be announced, before it is executed anew.
ASK_AGAIN = "org.upstartcompat.Error.AskAgain"

_STEPS: Dict[Tuple[str, str], Tuple[str, ...]] = {
    (DOWN, DOWN): (),
    (DOWN, STARTING): (STARTING,),
    (DOWN, UP): (STARTING, UP),
    (DOWN, STOPPING): (STARTING, UP, STOPPING),
    (STARTING, DOWN): (STOPPING, DOWN),
    (STARTING, STARTING): (),
    (STARTING, UP): (UP,),
    (STARTING, STOPPING): (STOPPING,),
    (UP, DOWN): (STOPPING, DOWN),
    (UP, STARTING): (STOPPING, STARTING),
    (UP, UP): (),
    (UP, STOPPING): (STOPPING,),
    (STOPPING, DOWN): (DOWN,),
    (STOPPING, STARTING): (STARTING,),
    (STOPPING, UP): (STARTING, UP),
    (STOPPING, STOPPING): (),
}
#: The same where the invocation is another one: a run was missed. One that ended meanwhile was a restart, so
#: it has no ``down`` before the new start (E47).
_STEPS_OF_ANOTHER_RUN: Dict[Tuple[str, str], Tuple[str, ...]] = {
    **_STEPS,
    (DOWN, DOWN): (STARTING, UP, STOPPING, DOWN),
    (STARTING, STARTING): (STOPPING, STARTING),
    (STARTING, UP): (STOPPING, STARTING, UP),
    (UP, UP): (STOPPING, STARTING, UP),
}


class Phase(NamedTuple):
    """A state and the invocation that it is about; "" where the unit was never started or nobody knows."""

    state: str
    invocation: str = ""

    def __str__(self) -> str:
        return f"{self.state}:{self.invocation}"


def read(text: str) -> Phase:
    """What ``str`` made of a phase."""
    state, _, invocation = text.partition(":")
    return Phase(state, invocation) if state in STATES else Phase(DOWN)


def steps(told: Phase, seen: Phase) -> List[Phase]:
    """The phases between what was told last and what is seen, that one included; empty if nothing has changed."""
    another = bool(told.invocation and seen.invocation and told.invocation != seen.invocation)
    if told.state == DOWN and not told.invocation and seen.invocation:
        # Had it never been started, it has been now.
        another = True
    table = _STEPS_OF_ANOTHER_RUN if another else _STEPS
    found: List[Phase] = []
    invocation = told.invocation or seen.invocation
    for state in table[told.state, seen.state]:
        if state == STARTING:
            invocation = seen.invocation
        found.append(Phase(state, invocation))
    return found

"""Goals and states of an instance, and which state follows which (E10-E13).

The table is data and complete: every pair of state and goal that can be asked for has an entry.
Where the answer depends on more than the pair, the entry is one of the two marks below, and
lifecycle.successor, the only reader, gives the rest of the answer.
"""
from __future__ import annotations

from typing import Dict, Tuple

STOP, START, RESPAWN = "stop", "start", "respawn"
GOALS: Tuple[str, ...] = (STOP, START, RESPAWN)

WAITING = "waiting"
STARTING = "starting"
SECURITY_SPAWNING = "security-spawning"
SECURITY = "security"
PRE_STARTING = "pre-starting"
PRE_START = "pre-start"
SPAWNING = "spawning"
SPAWNED = "spawned"
POST_STARTING = "post-starting"
POST_START = "post-start"
RUNNING = "running"
PRE_STOPPING = "pre-stopping"
PRE_STOP = "pre-stop"
STOPPING = "stopping"
KILLED = "killed"
POST_STOPPING = "post-stopping"
POST_STOP = "post-stop"

#: In life-cycle order (E11).
STATES: Tuple[str, ...] = (
    WAITING, STARTING, SECURITY_SPAWNING, SECURITY, PRE_STARTING, PRE_START, SPAWNING, SPAWNED,
    POST_STARTING, POST_START, RUNNING, PRE_STOPPING, PRE_STOP, STOPPING, KILLED, POST_STOPPING, POST_STOP,
)

#: Left towards pre-stopping if a main process is alive, towards stopping otherwise.
IF_MAIN_ALIVE = "if main alive"
#: Leave towards stopping, because the goal respawn has to become start first.
RESPAWN_NOW = "respawn now"

_FORWARD: Tuple[Tuple[str, str], ...] = (
    (STARTING, SECURITY_SPAWNING), (SECURITY_SPAWNING, SECURITY), (SECURITY, PRE_STARTING),
    (PRE_STARTING, PRE_START), (PRE_START, SPAWNING), (SPAWNING, SPAWNED),
    (SPAWNED, POST_STARTING), (POST_STARTING, POST_START), (POST_START, RUNNING),
)

#: (state, goal) -> next state, or one of the marks (E13).
SUCCESSOR: Dict[Tuple[str, str], str] = {}
for _state, _next in _FORWARD:
    SUCCESSOR[_state, STOP] = STOPPING
    SUCCESSOR[_state, START] = _next
    SUCCESSOR[_state, RESPAWN] = RESPAWN_NOW
for _goal in GOALS:
    SUCCESSOR[PRE_STOPPING, _goal] = PRE_STOP
    SUCCESSOR[STOPPING, _goal] = KILLED
    SUCCESSOR[KILLED, _goal] = POST_STOPPING
    SUCCESSOR[POST_STOPPING, _goal] = POST_STOP
    SUCCESSOR[WAITING, _goal] = STARTING
SUCCESSOR[RUNNING, STOP] = IF_MAIN_ALIVE
SUCCESSOR[RUNNING, START] = STOPPING
SUCCESSOR[RUNNING, RESPAWN] = RESPAWN_NOW
SUCCESSOR[PRE_STOP, STOP] = STOPPING
SUCCESSOR[PRE_STOP, START] = RUNNING
SUCCESSOR[PRE_STOP, RESPAWN] = RESPAWN_NOW
SUCCESSOR[POST_STOP, STOP] = WAITING
SUCCESSOR[POST_STOP, START] = STARTING
SUCCESSOR[POST_STOP, RESPAWN] = STARTING

"""What the engine can be told: the complete list.

An adapter turns what it saw into one of these tuples and hands it to ``Engine.feed`` together with
the monotonic time. They hold plain data only, so a run can be recorded and played back.

``call`` is a number that the control side chose for a caller that waits for an answer; the engine
answers it exactly once, by Answer or Refuse. ``spawn`` is the number that the engine gave to one
started process (actions.SpawnProcess); it stays the same when the process's pid changes because a
fork was followed.
"""
from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from ..parser.definition import JobDefinition
from .records import EventRecord, InstanceRecord

# -- configuration ---------------------------------------------------------------------------------


class DefineJob(NamedTuple):
    """The best definition of a job name was (re)loaded (D114); an equal one still replaces (D134)."""

    job: str
    definition: JobDefinition


class ForgetJob(NamedTuple):
    """No source defines this job name any more (D122, D123)."""

    job: str


# -- what an engine before this one left behind --------------------------------------------------------


class Restore(NamedTuple):
    """Go on from what another engine was (restore.py): once, after the job files were loaded.

    ``serial`` is the highest number that was given to a spawn. ``environment`` is the global job
    environment table in its order, None if it is as it was at the start. ``conditions`` are the classes
    whose ``start on`` has seen events, with the numbers of these. An instance that exists already is
    left alone.
    """

    serial: int
    environment: Optional[Tuple[Tuple[str, str], ...]]
    events: Tuple[EventRecord, ...]
    conditions: Tuple[Tuple[str, Tuple[int, ...]], ...]
    instances: Tuple[InstanceRecord, ...]


# -- events ----------------------------------------------------------------------------------------


class EmitEvent(NamedTuple):
    """Queue an event. ``fd`` is a descriptor the daemon owns from now on, -1 for none (C41-C44)."""

    call: Optional[int]
    name: str
    env: Tuple[str, ...] = ()
    wait: bool = False
    fd: int = -1


class PollEvents(NamedTuple):
    """Work through the event queue: once a turn of the main loop (E84)."""


# -- commands on a job or on one of its instances -----------------------------------------------------


class StartJob(NamedTuple):
    """Job.Start (C59). The answer's result is the instance's name."""

    call: int
    job: str
    env: Tuple[str, ...]
    wait: bool


class StopJob(NamedTuple):
    """Job.Stop (C62)."""

    call: int
    job: str
    env: Tuple[str, ...]
    wait: bool


class RestartJob(NamedTuple):
    """Job.Restart (C63). The answer's result is the instance's name."""

    call: int
    job: str
    env: Tuple[str, ...]
    wait: bool


class StartInstance(NamedTuple):
    """Instance.Start (C67)."""

    call: int
    job: str
    instance: str
    wait: bool


class StopInstance(NamedTuple):
    """Instance.Stop (C68)."""

    call: int
    job: str
    instance: str
    wait: bool


class AwaitInstance(NamedTuple):
    """Wait for what is going on with the instance, as if this had been its caller; answered at once where it is at rest.

    Answered when a start has led to ``running`` (a task: to ``waiting``) or a stop to ``waiting``, and
    refused as its caller is; like its caller it is let go when another request takes over (E106).
    """

    call: int
    job: str
    instance: str


class StopFromOutside(NamedTuple):
    """Another program is about to stop the instance's processes, and nobody waits for an answer (X252, X257)."""

    job: str
    instance: str


class RestartInstance(NamedTuple):
    """Instance.Restart (C69)."""

    call: int
    job: str
    instance: str
    wait: bool


class ReloadInstance(NamedTuple):
    """Instance.Reload: the reload signal to the main process (C70, E63)."""

    call: int
    job: str
    instance: str


# -- the job environment table (C81-C89); job is None for the global table ---------------------------


class SetEnv(NamedTuple):
    """SetEnv, SetEnvList."""

    call: int
    job: Optional[str]
    instance: Optional[str]
    variables: Tuple[str, ...]
    replace: bool


class UnsetEnv(NamedTuple):
    """UnsetEnv, UnsetEnvList."""

    call: int
    job: Optional[str]
    instance: Optional[str]
    names: Tuple[str, ...]


class ResetEnv(NamedTuple):
    """ResetEnv."""

    call: int
    job: Optional[str]
    instance: Optional[str]


# -- processes ---------------------------------------------------------------------------------------


class ProcessSpawned(NamedTuple):
    """The process exists; whether its exec works is not known yet (X24). Of an adopted one: it is alive."""

    spawn: int
    pid: int


class ProcessExecuted(NamedTuple):
    """The exec succeeded (X26, X31). Always fed before any end of the process (X28)."""

    spawn: int


class ProcessSpawnFailed(NamedTuple):
    """It could not be started; ``reason`` is a text of X40. Nothing else is fed for this spawn (E22)."""

    spawn: int
    reason: str


class ProcessEnded(NamedTuple):
    """It ended: exit code n as n, death by signal s as s * 256 (E7)."""

    spawn: int
    status: int


class ProcessStopped(NamedTuple):
    """It was stopped by a signal (not by the tracer) (X89)."""

    spawn: int
    signal: int


class ProcessContinued(NamedTuple):
    """It was continued (X89)."""

    spawn: int


class ProcessForked(NamedTuple):
    """A followed fork: ``pid`` is now the process of this spawn (X72)."""

    spawn: int
    pid: int


class ProcessReplaced(NamedTuple):
    """A traced process executed another program (X72)."""

    spawn: int


class ProcessReady(NamedTuple):
    """The forks that ``expect`` asks for were followed (X72)."""

    spawn: int


class ProcessVanished(NamedTuple):
    """The tracked pid is gone without its end having been seen (X80)."""

    spawn: int


class ProcessNeverRan(NamedTuple):
    """Only in answer to AdoptProcess: what was asked for never executed its program, and never will.

    It is spawned again in place, under a new spawn number, if it is still wanted (restore.py).
    """

    spawn: int


class ProcessLost(NamedTuple):
    """It ended while nobody watched, and its status is not known (X260).

    In answer to AdoptProcess, or at any time later for an adopted process that is nobody's child.
    """

    spawn: int


class SignalSent(NamedTuple):
    """A signal was handed to the backend. Told only where a journal is kept; without it one is sent again."""

    spawn: int
    signal: int


class SignalNotSent(NamedTuple):
    """kill(2) failed for another reason than that the process is gone (E61)."""

    spawn: int
    signal: int
    reason: str


# -- time and session ----------------------------------------------------------------------------------


class TimerFired(NamedTuple):
    """A timer that SetTimer asked for is due."""

    timer: int


class Quiesce(NamedTuple):
    """End the session: reason ``logout`` (EndSession), ``shutdown`` (SIGTERM) (D160-D163) or ``host`` (B219 step 5).

    The last stops every instance within ``limit`` seconds, without a ``session-end`` event.
    """

    reason: str
    limit: float = 0.0


class HostGoesDown(NamedTuple):
    """The host goes down, or does not after all: nothing is respawned while it does (B219)."""

    down: bool

"""What the engine can ask for: the complete list.

``Engine.feed`` returns a list of these, to be carried out in order before anything else is fed.
They hold plain data only. The one exception to "in order, then on": carrying out SpawnProcess
tells the engine the pid at once (inputs.ProcessSpawned), and what that answers is carried out
before the rest of the list, because the line with the pid belongs there (X24).
"""
from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

from ..parser.definition import JobDefinition

#: Priorities of log messages, low to high (D63).
DEBUG, INFO, MESSAGE, WARN, ERROR, FATAL = range(6)


class LogMessage(NamedTuple):
    """One line of the daemon's log (E124); ``text`` has neither prefix nor newline."""

    priority: int
    text: str


# -- processes -----------------------------------------------------------------------------------------


class SpawnProcess(NamedTuple):
    """Start a process of an instance.

    ``process`` is an index into PROCESS_NAMES. ``environment`` is complete (E72). ``fds`` are
    descriptors to leave open in the child (X21). ``expect`` is the job's ``expect`` for main and
    ``"none"`` for every other process.
    """

    spawn: int
    job: str
    instance: str
    process: int
    definition: JobDefinition
    environment: Tuple[str, ...]
    fds: Tuple[int, ...] = ()
    expect: str = "none"


class AdoptProcess(NamedTuple):
    """Find a process again that the engine before this one had asked for, and follow it from now on.

    The fields of SpawnProcess as they would be today; ``spawn`` is the number it had. ``pid`` is what
    was last known, 0 if nothing was. ``handle`` is what Backend.handle gave for it, None if it gave
    nothing: the backend was asked to spawn it, and nobody heard whether it did. Answered, at once or
    later, but exactly once, by one of

    * ProcessNeverRan: no such process has executed its program, and none will;
    * ProcessSpawned, with the pid that it has now: it is alive. Then everything as after a spawn:
      ProcessExecuted (at once, if it is known or can never be known again whether its exec worked), and
      in time ProcessStopped, ProcessForked, ProcessReady (at once, if the forks that ``expect`` asks for
      cannot be followed any more), ProcessEnded or ProcessLost;
    * ProcessEnded: it ended, with a status that is still known; preceded by ProcessExecuted where
      the state ``spawned`` may still wait for it (X28);
    * ProcessSpawnFailed: its set-up failed, for a reason that is still known;
    * ProcessLost: it ended, and that is all there is to know.

    Signals for it may be asked for before it is answered.
    """

    spawn: int
    job: str
    instance: str
    process: int
    definition: JobDefinition
    environment: Tuple[str, ...]
    fds: Tuple[int, ...]
    expect: str
    pid: int
    handle: Optional[Dict[str, Any]]


class SignalProcess(NamedTuple):
    """Send a signal, to the process's whole group if ``group`` (X102).

    ``must_exist``: answer with ProcessVanished or SignalNotSent if it cannot be delivered.
    """

    spawn: int
    signal: int
    group: bool
    must_exist: bool = False


class DetachTrace(NamedTuple):
    """Stop following the process and let it run on (X81)."""

    spawn: int


class CloseDescriptor(NamedTuple):
    """Nothing needs the descriptor of an event any more (C44)."""

    fd: int


# -- time ------------------------------------------------------------------------------------------------


class SetTimer(NamedTuple):
    """Feed TimerFired(timer) after this many seconds."""

    timer: int
    seconds: float


class CancelTimer(NamedTuple):
    """TimerFired(timer) is not wanted any more."""

    timer: int


# -- answers to calls --------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The call succeeded. ``result``: the instance's name for StartJob and RestartJob."""

    call: int
    result: Optional[str] = None


class Refuse(NamedTuple):
    """The call failed.

    ``error`` is the last part of ``com.ubuntu.Upstart0_6.Error.*``, or ``InvalidArgs`` or ``Failed``
    of ``org.freedesktop.DBus.Error.*`` (C4.9).
    """

    call: int
    error: str
    message: str


# -- announcements: signals on every D-Bus connection (C1) -----------------------------------------------


class JobAdded(NamedTuple):
    """A class became the registered definition of its name (C53)."""

    job: str


class JobRemoved(NamedTuple):
    """A class stopped being registered (C53)."""

    job: str


class InstanceAdded(NamedTuple):
    """An instance was created (C66)."""

    job: str
    instance: str


class InstanceRemoved(NamedTuple):
    """An instance is gone and its class stays (C66)."""

    job: str
    instance: str


class GoalChanged(NamedTuple):
    """E24."""

    job: str
    instance: str
    goal: str


class StateChanged(NamedTuple):
    """E16."""

    job: str
    instance: str
    state: str


class JobFailed(NamedTuple):
    """The first failure of a run: exit code, signal * 256, -1 (not spawned) or 0 (respawn limit) (C73)."""

    job: str
    instance: str
    status: int


class EventEmitted(NamedTuple):
    """An event is finished (C43)."""

    name: str
    env: Tuple[str, ...]


class ActivationEnvironment(NamedTuple):
    """A variable of the global table of a session changed; the session's bus may want it (C84)."""

    name: str
    value: str


class SessionEnded(NamedTuple):
    """Quiesce is over: the daemon is to exit (D168)."""

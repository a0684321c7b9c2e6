"""What a backend is: the hands of the engine.

A backend starts, follows and signals processes. It reports what it saw by calling ``feed`` with one
of the inputs of compat.engine.inputs, always from within one of the calls below and never from
another thread. The daemon's main loop calls ``dispatch`` when ``fileno`` is readable, and ``reap``
when SIGCHLD arrived or after ``dispatch``.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from ..engine.actions import AdoptProcess, DetachTrace, SignalProcess, SpawnProcess
from ..engine.inputs import ProcessSpawned  # noqa: F401  (named by the docstrings)
from ..state.processes import LogState, ProcessState
from .placement import Placement

#: Hands one input to the engine and carries out what it answers, before returning.
Feed = Callable[[tuple], None]  # type: ignore[type-arg]
#: Writes one line of the daemon's log: priority, text.
Log = Callable[[int, str], None]
#: Calls a function once, after a number of seconds, from the main loop.
Later = Callable[[float, Callable[[], None]], object]


class ProcessDefaults(NamedTuple):
    """What applies to every job process where its definition is silent.

    ``console``: none, log, output or owner (X60). ``logging`` False makes ``console log`` act as
    none (X61). ``log_directory`` is None when output has nowhere to go. ``umask`` and ``chdir``:
    X50, X52. ``nofile`` is the (soft, hard) limit that the daemon was started with, given back to
    jobs because the daemon raises its own. ``debug_stanza``: X149. ``passage``: the path of the file of
    passage.py, None where jobs are not to outlive the daemon.
    """

    console: str = "log"
    logging: bool = True
    log_directory: Optional[str] = "/var/log/upstart"
    umask: int = 0o022
    chdir: str = "/"
    nofile: Optional[Tuple[int, int]] = None
    debug_stanza: bool = False
    passage: Optional[str] = None


class Stray(NamedTuple):
    """A main process that runs for a job, and that nobody asked to adopt; ``handle`` is what ``adopt`` would need."""

    job: str
    instance: str
    pid: int
    environment: Tuple[str, ...]
    handle: Dict[str, Any]


class Backend(Protocol):
    """The calls that the daemon makes."""

    def spawn(self, request: SpawnProcess) -> None:
        """Start a process and feed ProcessSpawned before returning.

        Where fork fails for the moment, ProcessSpawned comes later instead, or ProcessSpawnFailed
        once the retries are used up (X33). Never raises and never blocks.

        The program must not run before ``feed(ProcessSpawned)`` has returned, and never if the daemon
        dies until then: only after it the pid and the handle are on record (B204).
        """

    def foresee(self, requests: Sequence[SpawnProcess]) -> None:
        """All of these are going to be asked for by ``spawn``, in this order: what takes time may begin now.

        Nothing is fed for any of them before its ``spawn``.
        """

    def adopt(self, request: AdoptProcess) -> None:
        """Find and follow a process of the daemon before this one (X260); how to answer: AdoptProcess."""

    def handle(self, spawn: int) -> Optional[Dict[str, Any]]:
        """What finds the process again in another daemon: plain data for JSON; None while there is none.

        It is asked for, and must be right, from within ``feed(ProcessSpawned)`` and ``feed(ProcessForked)``
        on, and whenever something of the instance is recorded: it should cost next to nothing. It holds
        what tells a process from a later one with the same pid (start time, invocation id).
        """

    def placement(self, spawn: int) -> Placement:
        """Where a process is, and why (X261)."""

    def unit(self, spawn: int) -> str:
        """The name of the unit that it is in, "" where there is none, or none yet (X251)."""

    def strays(self) -> List[Stray]:
        """What a daemon before this one started and the engine does not know, because its record was lost.

        To be asked once, after everything that is on record was adopted.
        """

    def signal(self, request: SignalProcess) -> None:
        """Send a signal to a process that is still the one that was spawned (X80, X102)."""

    def detach(self, request: DetachTrace) -> None:
        """Stop tracing a process (X81)."""

    def fileno(self) -> int:
        """A descriptor that is readable while ``dispatch`` has something to do."""

    def dispatch(self) -> None:
        """Handle every ready descriptor: exec confirmations, spawn errors, job output (X27)."""

    def reap(self) -> None:
        """Handle every child that ended, stopped or continued, in kernel order (X87)."""

    def write_held_output(self) -> None:
        """NotifyDiskWriteable: write all kept output; raises OSError if it still cannot be (X128)."""

    def close(self) -> None:
        """Give up every descriptor; processes run on."""


class LastingBackend(Backend, Protocol):
    """A backend whose processes go on with the next run of the program in the daemon's place (D191-D194, D229).

    Before the exec it says what it knows; in the next run ``restore_held`` and ``restore`` are called before anything else is asked
    of it. Descriptors have kept their numbers, or are gone.
    """

    @property
    def at_rest(self) -> bool:
        """Whether ``states`` says all; if not, it will in a moment."""

    def states(self) -> Dict[int, ProcessState]:
        """What ``restore`` goes on from, by spawn; the descriptors in it are to be kept open."""

    def unit_names(self) -> List[str]:
        """Units that systemd may still have of us, those of processes that have ended among them."""

    def held_states(self) -> List[LogState]:
        """The output that is held of ended processes (X128)."""

    def restore_held(self, states: List[LogState]) -> None:
        """Hold it again."""

    def restore(self, found: Iterable[Tuple[SpawnProcess, ProcessState]], units: Sequence[str] = ()) -> None:
        """Go on with these processes, each with what was asked for, and with ``units``, as ``states`` and ``unit_names`` gave them.

        What happened meanwhile is fed when signals are handled and the main loop runs.
        """

"""Try out job files without running anything: a simulated machine with a clock of its own.

For the tests of this project and of those who write job files::

    machine = SimulatedMachine()
    machine.define("web", "start on startup\\nrespawn\\nexec /usr/sbin/web")
    machine.emit("startup")
    assert machine.status("web") == "web start/running, process 101"
    machine.process("web").killed_by(11)
    machine.settle()
    assert machine.status("web") == "web start/running, process 102"
    machine.advance(60)
    print("\\n".join(machine.transcript))

Every call returns when nothing is left to do at the present time; time stands still until
``advance``. Processes live until they are told to do something else.
"""
from __future__ import annotations

import heapq
import itertools
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .backends.simulated import SimulatedBackend, SimulatedProcess
from .engine import actions, inputs
from .engine.engine import Engine
from .parser import ParseError, parse_job
from .supervisor import Supervisor

_LETTERS = "DIMWEF"
#: Turns with more events than one turn may handle, after which a machine is not expected to come to rest.
_FULL_TURNS = 100

__all__ = ["Call", "ParseError", "SimulatedMachine", "SimulatedProcess"]


class Call:
    """What became of one request: ``done`` once answered; ``error`` and ``message`` if refused."""

    def __init__(self) -> None:
        self.done = False
        self.result: Optional[str] = None
        self.error: Optional[str] = None
        self.message: Optional[str] = None

    @property
    def ok(self) -> bool:
        """Answered without an error."""
        return self.done and self.error is None


class _Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Optional[Callable[[], None]] = callback

    def cancel(self) -> None:
        """Do not call it any more."""
        self.callback = None


class SimulatedMachine:
    """An engine, a simulated backend and a clock (seconds, monotonic)."""

    def __init__(self, environment: Optional[Mapping[str, str]] = None, inherit_all: bool = False,
                 session: Optional[str] = None, apparmor: bool = False, now: float = 1000.0) -> None:
        self.now = now
        #: every log line, as "W text" with the first letter of its priority
        self.transcript: List[str] = []
        #: every announcement, as the action itself
        self.announcements: List[Any] = []
        self.ended = False
        self._timers: List[Tuple[float, int, _Timer]] = []
        self._serial = itertools.count(1)
        self._calls: Dict[int, Call] = {}
        self.engine = Engine(environment if environment is not None else {"PATH": "/bin", "TERM": "linux"},
                             inherit_all, apparmor, session)
        self.supervisor = Supervisor(self.engine, self._log, lambda: self.now, self._later)
        self.supervisor.control = self._control
        self.supervisor.session_ended = self._session_ended
        #: descriptors of events that nothing needs any more
        self.closed_descriptors: List[int] = []
        self.supervisor.close_descriptor = self.closed_descriptors.append
        self.backend = SimulatedBackend(self.supervisor.feed)
        self.supervisor.backend = self.backend

    # -- job files ---------------------------------------------------------------------------------------

    def define(self, job: str, text: str, override: Optional[str] = None) -> None:
        """Load a job file's text, with the text of its override. Raises ParseError."""
        definition = parse_job(text.encode("utf-8", "surrogateescape"))
        if override is not None:
            definition = parse_job(override.encode("utf-8", "surrogateescape"), definition)
        self.feed(inputs.DefineJob(job, definition))

    def forget(self, job: str) -> None:
        """Remove a job file."""
        self.feed(inputs.ForgetJob(job))

    # -- requests ------------------------------------------------------------------------------------------

    def emit(self, name: str, *env: str, wait: bool = True, fd: int = -1) -> Call:
        """Emit an event."""
        return self._call(lambda call: inputs.EmitEvent(call, name, env, wait, fd))

    def start(self, job: str, *env: str, wait: bool = True) -> Call:
        """Start a job."""
        return self._call(lambda call: inputs.StartJob(call, job, env, wait))

    def stop(self, job: str, *env: str, wait: bool = True) -> Call:
        """Stop a job."""
        return self._call(lambda call: inputs.StopJob(call, job, env, wait))

    def restart(self, job: str, *env: str, wait: bool = True) -> Call:
        """Restart a job."""
        return self._call(lambda call: inputs.RestartJob(call, job, env, wait))

    def start_instance(self, job: str, instance: str = "", wait: bool = False) -> Call:
        """What ``start`` without a name does inside a job."""
        return self._call(lambda call: inputs.StartInstance(call, job, instance, wait))

    def stop_instance(self, job: str, instance: str = "", wait: bool = False) -> Call:
        """What ``stop`` without a name does inside a job."""
        return self._call(lambda call: inputs.StopInstance(call, job, instance, wait))

    def restart_instance(self, job: str, instance: str = "", wait: bool = False) -> Call:
        """What ``restart`` without a name does inside a job."""
        return self._call(lambda call: inputs.RestartInstance(call, job, instance, wait))

    def reload(self, job: str, instance: str = "") -> Call:
        """Send the reload signal."""
        return self._call(lambda call: inputs.ReloadInstance(call, job, instance))

    def request(self, make: Callable[[int], Tuple[Any, ...]]) -> Call:
        """Any other input with a call number."""
        return self._call(make)

    # -- what is there ---------------------------------------------------------------------------------------

    def process(self, job: str, process: str = "main", instance: str = "") -> SimulatedProcess:
        """A live process. Raises LookupError."""
        found = self.backend.find(job, process, instance)
        if found is None:
            raise LookupError(f"{job} ({instance}) has no live {process} process")
        return found

    def status(self, job: str, instance: str = "") -> str:
        """The line that ``initctl status`` prints (C112)."""
        found = self.engine.job(job)
        if found is None:
            return f"Unknown job: {job}"
        copy = found.instance(instance)
        if copy is None:
            return f"{job} stop/waiting"
        line = f"{copy.display_name} {copy.goal}/{copy.state}"
        for position, (name, pid) in enumerate(copy.live_processes()):
            if position:
                line += f"\n\t{name} process {pid}"
            else:
                line += f", process {pid}" if name in ("main", "pre-start", "post-stop") else f", ({name}) process {pid}"
        return line

    def events(self, name: str) -> List[Tuple[str, ...]]:
        """The variables of every finished event of a name, oldest first."""
        return [each.env for each in self.announcements if isinstance(each, actions.EventEmitted) and each.name == name]

    def lines(self, *priorities: str) -> List[str]:
        """The transcript's lines of some priorities (letters D I M W E), without the letters."""
        return [line[2:] for line in self.transcript if line[0] in priorities]

    # -- time ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Do all that can be done now. Raises RuntimeError if jobs keep triggering each other for ever (E90)."""
        full_turns = 0
        while full_turns < _FULL_TURNS:
            self.backend.dispatch()
            self.backend.reap()
            self.fire_due_timers()
            if self.supervisor.poll():
                full_turns += 1
            elif not self.backend.busy():
                return
        raise RuntimeError("the machine does not come to rest")

    def advance(self, seconds: float) -> None:
        """Let time pass, doing everything on the way at its time."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now = max(self.now, self._timers[0][0])
            self.settle()
        self.now = end
        self.settle()

    def feed(self, happened: Tuple[Any, ...]) -> None:
        """Any input, and then everything that follows."""
        self.supervisor.feed(happened)
        self.settle()

    # -- inside ------------------------------------------------------------------------------------------------

    def fire_due_timers(self) -> None:
        """Call every timer that is due."""
        while self._timers and self._timers[0][0] <= self.now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                timer.callback()

    def _call(self, make: Callable[[int], Tuple[Any, ...]]) -> Call:
        number = next(self._serial)
        call = self._calls[number] = Call()
        self.feed(make(number))
        return call

    def _later(self, seconds: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._timers, (self.now + seconds, next(self._serial), timer))
        return timer

    def _log(self, priority: int, text: str) -> None:
        self.transcript.append(f"{_LETTERS[priority]} {text}")

    def _control(self, action: Any) -> None:
        if isinstance(action, (actions.Answer, actions.Refuse)):
            call = self._calls.pop(action.call, None)
            if call is None:
                return
            call.done = True
            if isinstance(action, actions.Answer):
                call.result = action.result
            else:
                call.error, call.message = action.error, action.message
        else:
            self.announcements.append(action)

    def _session_ended(self) -> None:
        self.ended = True

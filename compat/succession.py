"""How one run of the daemon follows another in the same process: what it leaves, and what it finds (D175-D197).

It stands beside daemon.py and knows as many rooms, because what is to go over an exec is in all of them. The
daemon calls it at these moments of its start:

1. ``__init__``, before there are processes: the state is read into the engine;
2. ``go_on``: processes, timers and output are taken up again; nothing of what happened meanwhile is seen yet;
3. then the configuration is loaded as ever, which brings what changed (D183), and ``loaded`` forgets what is gone;
4. the private socket listens, and ``complete`` serves the old clients again.

Without a predecessor all of them do nothing.
"""
from __future__ import annotations

import os
import signal
import time
from typing import AbstractSet, Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from . import VERSION
from .backends.protocol import LastingBackend
from .command_line import Options
from .config import read_ahead
from .config.catalogue import Catalogue
from .config.names import CONF
from .control import listening_socket
from .control.calls import Call
from .control.service import Control
from .engine.actions import INFO, WARN
from .engine.engine import Engine
from .engine.inputs import ForgetJob
from .engine.view import Refused
from .host.mode import HostMode
from .log import Log
from .loop import MainLoop
from .reexec import arguments, arrival, snapshot
from .reexec.arrival import Inherited
from .reexec.departure import Departure, Luggage
from .reexec.snapshot import Limit, Own
from .state.document import Moment, Restored, Source, serialise
from .supervisor import Supervisor
from .units.job_units import JobUnits


class Succession:
    """``directory`` is that of the jobs' output, where a state file goes (D196). ``inherited`` is None without a predecessor."""

    def __init__(self, options: Options, environment: Mapping[str, str], engine: Engine, log_lines: Log, log: Callable[[int, str], None],
                 directory: Optional[str], inherited: Optional[Inherited]) -> None:
        self._options = options
        self._engine = engine
        self._log_lines = log_lines
        self._log = log
        self._inherited = inherited
        self._restored: Optional[Restored] = None
        self._own = snapshot.own({})
        if inherited is None:
            return
        if options.state_fd < 0:
            log(WARN, "Stateful re-exec supported but stateless re-exec requested")
        elif not inherited.claim(options.state_fd):
            log(WARN, f"Failed to read serialisation data: descriptor {options.state_fd} is not open")
        else:
            keep = options.has("--write-state-file") or "UPSTART_WRITE_STATEFILE" in environment
            self._restored = arrival.receive(
                options.state_fd, environment, engine.core, time.monotonic(), inherited, directory, keep, log)
        if self._restored is not None:
            self._own = snapshot.own(self._restored.sections)
            if self._own.priority is not None:
                log_lines.priority = self._own.priority
            log_lines.restore(self._own.output, self._own.errors)

    @property
    def nofile(self) -> Optional[Limit]:
        """The descriptor limit that the first daemon was started with; only that one can have seen it."""
        return self._own.nofile

    @property
    def knows(self) -> bool:
        """Whether the state of the predecessor was read: there is nothing else to go on from then."""
        return self._restored is not None

    @property
    def had_units(self) -> bool:
        """Whether processes of the predecessor may be in units of systemd."""
        return self._restored is not None and bool(snapshot.units(self._restored.sections))

    @property
    def replaces(self) -> bool:
        """Whether another daemon executed this one, so that this is no start of the system (D45)."""
        return self._inherited is not None

    def attach(self, loop: MainLoop, supervisor: Supervisor, backend: LastingBackend, control: Control, catalogue: Catalogue,
               job_units: Optional[JobUnits], host: Optional[HostMode], own_limit: Limit, console: str,
               address: Callable[[], Optional[str]], words: Sequence[str]) -> None:
        """Know the rest of the daemon. ``address`` is that of the private socket if there is one; ``words`` are the command line."""
        self._loop = loop
        self._supervisor = supervisor
        self._backend = backend
        self._control = control
        self._catalogue = catalogue
        self._job_units = job_units
        self._host = host
        self._own_limit = own_limit
        self._console = console
        self._address = address
        self._words = list(words)
        # What systemd gave at the start was taken, and is not for the next run.
        listening_socket.taken_back()
        self._program: List[str] = arguments.own_program(os.path.abspath(words[0]) if words else "", max(0, len(words) - 1))
        self._departure = Departure(
            loop, self._log, self._command, self._trial, self._ahead, self._pack, self._leave, self._tell)

    def knows_nothing(self) -> None:
        """Neither the state nor a journal says anything of the predecessor's processes."""
        if self.replaces and not self.knows:
            arrival.name_children(self._log)

    # -- arriving --------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Take up what the predecessor left, before the configuration is loaded."""
        restored = self._restored
        if restored is None:
            return
        assert self._inherited is not None
        core, claim = self._engine.core, self._inherited.claim
        ahead = snapshot.ahead(restored.sections)
        if ahead is not None and claim(ahead):
            self._catalogue.read_ahead = read_ahead.receive(ahead)
            os.close(ahead)
        logs = snapshot.held(restored.sections)
        for fd in snapshot.needed(restored.processes.values(), logs, core):
            claim(fd)
        self._supervisor.restore_timers(restored.timers)
        section = snapshot.section(restored.sections, "control")
        self._control.take_over(section, restored.last_call, claim)
        if self._host is not None and restored.facts is not None:
            self._host.restore(restored.facts, restored.header is not None and restored.header.version == VERSION)
        if self._job_units is not None:
            self._job_units.restore(snapshot.section(restored.sections, "requests"), claim)
        self._backend.restore_held(logs)
        self._backend.restore(snapshot.requests(core, restored.processes), snapshot.units(restored.sections) or ())
        self._log(INFO, "Stateful re-exec completed")

    def loaded(self) -> None:
        """The configuration was loaded: what has no file any more is forgotten (D122)."""
        if self._restored is not None:
            self._catalogue.read_ahead = None
            for name in self._engine.job_names():
                if self._catalogue.best(name) is None:
                    self._supervisor.feed(ForgetJob(name))

    @property
    def listens(self) -> bool:
        """Whether the private socket was kept open."""
        address = self._address()
        if self._inherited is None or address is None:
            return False
        return listening_socket.listens_at(listening_socket.DESCRIPTOR, address) and self._inherited.claim(listening_socket.DESCRIPTOR)

    def complete(self) -> None:
        """The private socket listens: serve the old clients, and let signals come."""
        if self._inherited is None:
            return
        self._inherited.close_rest()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        # What ended while signals were blocked is told of once, or was told of to the predecessor.
        self._loop.later(0.0, self._backend.reap)
        address = self._address()
        if self._restored is not None and address is not None:
            self._control.join_clients(address)
        if self._restored is not None and self._restored.bus_address is not None:
            self._control.connect_notified_bus(self._restored.bus_address)

    # -- leaving ---------------------------------------------------------------------------------------------

    def request(self, call: Optional[Call] = None) -> None:
        """Re-execute; raises Refused while the session ends (D247)."""
        self._refuse_at_the_end()
        self._departure.request(call)

    def state(self) -> str:
        """The whole state as text (D197); nothing is changed by asking."""
        return self._text({}, True, -1)[0]

    def _refuse_at_the_end(self) -> None:
        if self._engine.core.session_end is not None:
            raise Refused("Failed", "The session is ending")
        if self._host is not None and self._host.goes_down:
            raise Refused("Failed", "The host is going down")

    def _text(self, control: Dict[str, Any], whole: bool, ahead: int) -> Tuple[str, Set[int]]:
        core = self._engine.core
        processes, logs, units = self._backend.states(), self._backend.held_states(), self._backend.unit_names()
        requests = self._job_units.state() if self._job_units is not None else {"askers": []}
        output, errors = self._log_lines.state()
        own = Own(self._log_lines.priority, self._own_limit, output, errors)
        moment = Moment(
            version=VERSION, time=time.time(), monotonic=time.monotonic(), console=self._console, due=self._supervisor.timers_due(),
            processes=processes, idle=whole,
            sources=[Source(source.path, source.is_file, tuple(jobs) if whole else ()) for source, jobs in self._catalogue.listing()],
            bus_address=self._control.bus_address, facts=self._host.state() if self._host is not None else None,
            sections={"control": control, "held": snapshot.encode_held(logs), "daemon": snapshot.encode_own(own), "units": units,
                      "requests": requests, "read_ahead": ahead})
        return serialise(core, moment), {*snapshot.needed(processes.values(), logs, core), *(each["fd"] for each in requests["askers"])}

    def _ahead(self) -> int:
        try:
            return read_ahead.request(source.encoded(name + CONF) for source, jobs in self._catalogue.listing() for name, _ in jobs)
        except OSError:
            # All is read later then.
            return -1

    def _pack(self, calls: List[Call], at_once: bool, ahead: int) -> Optional[Luggage]:
        self._refuse_at_the_end()
        if not self._backend.at_rest and not at_once:
            return None
        control = self._control.hand_over(calls, at_once)
        if control is None:
            return None
        self._log_lines.flush()
        text, descriptors = self._text(control, False, ahead)
        descriptors.update(client["fd"] for client in control["clients"])
        if ahead >= 0:
            descriptors.add(ahead)
        return Luggage(text, descriptors)

    def _leave(self, taken: AbstractSet[int]) -> Callable[[], None]:
        address = self._address()
        moved = listening_socket.Moved(address, taken) if address is not None else None

        def back() -> None:
            if moved is not None:
                moved.back()

        return back

    def _command(self, state_fd: int) -> List[str]:
        return self._program + arguments.edited(self._words[1:], self._log_lines.priority, state_fd)

    def _trial(self) -> List[str]:
        return self._program + arguments.asking(self._words[1:])

    def _tell(self, calls: List[Call], reason: str) -> None:
        self._control.go_on()
        for call in calls:
            if call.connection.get_is_connected():
                call.fail("Failed", reason)

"""What the tests of this folder have for systemd and for the sockets: a machine with a clock, and askers of paper."""
from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Set

from compat.backends.systemd_connection import SystemdError
from compat.control.calls import PendingCalls
from compat.engine import actions
from compat.state.reading import Record
from compat.testing import SimulatedMachine
from compat.units.requests import UnitRequests
from compat.units.systemd_manager import LoadedUnit

_OURS = 1_000_000


class Paper:
    """A requests.Asker that writes down what it is told: "r", "d" or "f: TEXT"."""

    def __init__(self) -> None:
        self.told: List[str] = []
        self.is_taken = False
        self.open = True
        self.verb = ""
        self.connection = self
        self.gone: Any = lambda: None

    def fileno(self) -> int:
        return id(self) % 2 ** 31 if self.open else -1

    def taken(self) -> None:
        # To be asked again is of interest only as long as there is no answer.
        self.is_taken = True

    def ready(self) -> None:
        self.told.append("r")

    def done(self) -> None:
        self.told.append("d")
        self.open = False

    def failed(self, text: str) -> None:
        self.told.append("f: " + text)
        self.open = False

    def hang_up(self) -> None:
        self.open = False
        self.gone()


class Machine(SimulatedMachine):
    """Answers of the engine go to UnitRequests; units are named after their jobs. ``listeners`` hear every announcement."""

    def __init__(self) -> None:
        super().__init__()
        self.pending = PendingCalls()
        # Others than those of SimulatedMachine.
        self.pending._last = _OURS
        self.requests = UnitRequests(self.engine, self._feed, self.pending, lambda unit: unit.partition(".")[0] or None)
        self.listeners: List[Any] = [self.requests.announced]
        self.supervisor.control = self._hear

    def _feed(self, happened: Any) -> None:
        self.supervisor.feed(happened)

    def _hear(self, action: Any) -> None:
        if isinstance(action, (actions.Answer, actions.Refuse)) and action.call > _OURS:
            call = self.pending.leave(action.call)
            if call is None:
                return
            if isinstance(action, actions.Answer):
                call.succeed_with_instance(action.result)
            else:
                call.fail(action.error, action.message)
            return
        self._control(action)
        for each in self.listeners:
            each(action)

    def re_execute(self, *askers: Paper) -> None:
        """The daemon is replaced by another one, which is given these connections."""
        state = json.loads(json.dumps(self.requests.state(askers)))  # type: ignore[arg-type]
        papers = {asker.fileno(): asker for asker in askers if asker.open}
        last, self.pending = self.pending.last, PendingCalls()
        self.pending.go_on_after(last)
        self.listeners.remove(self.requests.announced)
        for asker in askers:
            asker.gone = None
        self.requests = UnitRequests(self.engine, self._feed, self.pending, lambda unit: unit.partition(".")[0] or None)
        self.listeners.insert(0, self.requests.announced)
        self.requests.restore(Record(state), papers.get)  # type: ignore[arg-type]
        self.requests.restored()
        self.settle()

    def ask(self, verb: str, job: str) -> Paper:
        """What a unit asks, and all that follows."""
        asker = Paper()
        asker.verb = verb
        self.requests.asked(asker, verb, job + ".service")  # type: ignore[arg-type]
        self.settle()
        return asker


class FakeManager:
    """systemd_manager.SystemdManager without a systemd. A unit that is started asks at once unless it is ``mute``."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.is_reachable = True
        self.going_down = False
        self.states: Dict[str, str] = {}
        self.fragments: Dict[str, str] = {}
        self.stale: Set[str] = set()
        self.started: List[str] = []
        self.reset: List[str] = []
        self.reloads = 0
        self.mute = False
        self.error: Optional[SystemdError] = None
        self.mains: Dict[str, Paper] = {}
        self.paths: List[str] = []

    def start(self, unit: str) -> None:
        self.started.append(unit)
        if self.error is not None:
            raise self.error
        if not self.mute:
            self.states[unit] = "active"
            self.machine._later(0.001, lambda: self._run(unit))

    def _run(self, unit: str) -> None:
        self.mains[unit] = self.machine.ask("start", unit.partition(".")[0])

    def state(self, unit: str) -> str:
        main = self.mains.get(unit)
        if main is not None and not main.open:
            self.states.pop(unit, None)
        return self.states.get(unit, "inactive")

    def is_going_down(self) -> bool:
        return self.going_down

    def reset_failed(self, unit: str) -> None:
        self.reset.append(unit)

    def reload(self) -> None:
        self.reloads += 1
        self.stale.clear()

    def fragment(self, unit: str) -> str:
        return self.fragments[unit]

    def needs_reload(self, unit: str) -> bool:
        return unit in self.stale

    def folders(self) -> List[str]:
        return self.paths

    def loaded_services(self) -> Dict[str, LoadedUnit]:
        if self.error is not None:
            raise self.error
        return {unit: LoadedUnit("loaded", state) for unit, state in self.states.items()}

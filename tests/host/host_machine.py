"""A simulated machine in host mode: the daemon's side of it, without processes, sockets or waiting."""
from __future__ import annotations

import pathlib
from typing import Any, Callable, List, Optional, Tuple

from compat.bridges.host.fact import Fact, HostEvent
from compat.engine import inputs
from compat.host import detection
from compat.host.mode import HostMode, Settings
from compat.parser import parse_job
from compat.testing import SimulatedMachine


class HostMachine(SimulatedMachine):
    """``directory`` holds host.conf and the fact file."""

    def __init__(self, directory: pathlib.Path, kind: str = detection.SYSTEMD, profile: Optional[str] = "ubuntu",
                 exit_with: Optional[str] = None) -> None:
        super().__init__()
        self.quit_called = False
        self.configuration = directory / "host.conf"
        self.fact_file = directory / "facts.json"
        settings = Settings(kind, profile, exit_with, str(self.configuration), str(self.fact_file),
                            (str(directory / "utmp"), str(directory / "wtmp")), str(directory))
        self.mode = HostMode(settings, self.engine, self.supervisor.feed, self, self._log, {}, lambda: self.now)  # type: ignore[arg-type]
        self.supervisor.control = self._perform
        self.supervisor.session_ended = self.mode.session_ended

    # -- the loop that HostMode sees --------------------------------------------------------------------------

    def later(self, seconds: float, callback: Callable[[], None]) -> Any:
        return self._later(seconds, callback)

    def quit(self) -> None:
        self.quit_called = True

    def _perform(self, action: Any) -> None:
        if not self.mode.perform(action):
            self._control(action)

    # -- what happens --------------------------------------------------------------------------------------------

    def load(self, jobs: "dict[str, str]") -> None:
        """Job files at start-up."""
        for name, text in jobs.items():
            self.mode.define(inputs.DefineJob(name, parse_job(text.encode())))
        self.mode.loaded()
        self.settle()

    def feed(self, happened: Tuple[Any, ...]) -> None:
        self.mode.feed(happened)
        self.settle()

    def settle(self) -> None:
        super().settle()
        self.mode.end_of_turn()

    def fact(self, object: str, phase: str, *events: HostEvent) -> bool:
        """A fact from the bridge."""
        news = self.mode.fact(Fact(object, phase, events))
        self.settle()
        return news

    def go_down(self, level: str, *extra: str, first: bool = False) -> List[bool]:
        """ShutDown; the list gets an element when it is answered."""
        answers: List[bool] = []
        self.mode.shut_down(level, extra, first, lambda: answers.append(True))
        self.settle()
        return answers

    def history(self) -> List[str]:
        """Every finished event, as NAME VALUE…."""
        return [" ".join((each.name, *(entry.partition("=")[2] for entry in each.env)))
                for each in self.announcements if type(each).__name__ == "EventEmitted"]

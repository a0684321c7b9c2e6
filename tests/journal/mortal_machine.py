"""A simulated machine whose daemon can die at any action and be started again; its processes live on."""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from compat.backends.simulated import SimulatedBackend
from compat.engine import inputs
from compat.engine.engine import Engine
from compat.journal.journal import Journal
from compat.parser.definition import JobDefinition
from compat.supervisor import Supervisor
from compat.testing import SimulatedMachine

from .memory_file import MemoryFile

BOOT = {"boot": "a", "init": "1"}


class Killed(BaseException):
    """The daemon is no more. Not an Exception: nothing in the daemon may catch it."""


class MortalMachine(SimulatedMachine):
    """``steps`` counts the actions that were carried out; ``dies_at``: the one that is not any more."""

    def __init__(self, environment: Optional[Mapping[str, str]] = None, apparmor: bool = False) -> None:
        self.environment = dict(environment or {"PATH": "/bin", "HOME": "/root"})
        self.apparmor = apparmor
        super().__init__(self.environment, apparmor=apparmor)
        self.file = MemoryFile()
        #: the job files that there are
        self.files: Dict[str, JobDefinition] = {}
        self.steps = 0
        self.dies_at: Optional[int] = None
        self.wire()
        self.keep_journal()

    def wire(self) -> None:
        """Let the present daemon die when it is time."""
        perform = self.supervisor._perform

        def mortal(todo: List[Any]) -> None:
            for action in todo:
                self.steps += 1
                if self.steps == self.dies_at:
                    raise Killed
                perform([action])

        self.supervisor._perform = mortal  # type: ignore[method-assign]

    def keep_journal(self) -> Optional[inputs.Restore]:
        self.journal = Journal(self.engine, self.file, BOOT, self.backend.handle, self._log, self._later)
        restore = self.journal.load()
        self.supervisor.record = self.journal.commit
        return restore

    def feed(self, happened: Tuple[Any, ...]) -> None:
        if isinstance(happened, inputs.DefineJob):
            self.files[happened.job] = happened.definition
        elif isinstance(happened, inputs.ForgetJob):
            self.files.pop(happened.job, None)
        super().feed(happened)

    def new_daemon(self) -> Optional[inputs.Restore]:
        """A daemon without a past, with the job files as they are now; returns what it is to begin with."""
        self._timers.clear()
        self._calls.clear()
        self.announcements.clear()
        self.closed_descriptors.clear()
        self.engine = Engine(self.environment, apparmor=self.apparmor)
        self.supervisor = Supervisor(self.engine, self._log, lambda: self.now, self._later)
        self.supervisor.control = self._control
        self.supervisor.session_ended = self._session_ended
        self.supervisor.close_descriptor = self.closed_descriptors.append
        before = self.backend
        self.backend = self.supervisor.backend = SimulatedBackend(self.supervisor.feed, before)
        self.backend.failing, self.backend.vanished = before.failing, before.vanished
        self.wire()
        for job, definition in self.files.items():
            self.supervisor.feed(inputs.DefineJob(job, definition))
        return self.keep_journal()

    def restart_daemon(self) -> None:
        """Kill -9 now, if that has not happened yet, and a new daemon that goes on."""
        self.dies_at = None
        restore = self.new_daemon()
        if restore is not None:
            self.supervisor.feed(restore)
        self.settle()

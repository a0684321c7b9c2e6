"""The daemon, but that it kills itself at one step: between two things, as an administrator's kill -9 may.

A step is: something was put on record; something that the world will notice is about to be done, or to be asked
of systemd; it was done. Steps are counted while the file ``armed`` exists in the working directory, and each adds a byte to the
file ``steps``; the one whose number is in MORTAL_STEP is the last. A file ``go.PID`` with the daemon's pid appears
when a daemon knows that the process with this pid runs, and what follows from that was done.
"""
from __future__ import annotations

import os
import pathlib
import signal
import sys
from typing import Any, Callable, Dict, List, Tuple

from compat import daemon
from compat.backends import main_pid
from compat.backends.systemd_connection import SystemdConnection
from compat.engine import actions, inputs
from compat.journal.journal_file import JournalFile
from compat.supervisor import Supervisor

_LAST = int(os.environ.pop("MORTAL_STEP", "0"))
_NOTICED = (actions.SpawnProcess, actions.SignalProcess, actions.AdoptProcess, actions.Answer, actions.DetachTrace)
#: Methods of systemd's that change nothing.
_QUESTIONS = (b"GetUnit", b"GetUnitProcesses")
_taken = 0


def step() -> None:
    global _taken
    if os.path.exists("armed"):
        _taken += 1
        with open("steps", "ab") as file:
            file.write(b".")
        if _taken == _LAST:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalSupervisor(Supervisor):
    pids: Dict[int, int] = {}

    def feed(self, happened: Tuple[Any, ...]) -> None:
        super().feed(happened)
        if isinstance(happened, inputs.ProcessSpawned):
            self.pids[happened.spawn] = happened.pid
        elif isinstance(happened, inputs.ProcessExecuted):
            pathlib.Path(f"go.{self.pids[happened.spawn]}").write_text(str(os.getpid()))

    def _perform(self, todo: List[Any]) -> None:
        for action in todo:
            if isinstance(action, _NOTICED):
                step()
            super()._perform([action])
            if isinstance(action, _NOTICED):
                step()


class MortalFile(JournalFile):
    def append(self, line: bytes) -> None:
        super().append(line)
        step()

    def replace(self, content: bytes) -> None:
        super().replace(content)
        step()


def between_steps(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        if arguments[1:] and arguments[1] in _QUESTIONS:
            return function(*arguments)
        step()
        result = function(*arguments)
        step()
        return result

    return run


if __name__ == "__main__":
    for name in ("start_transient", "call"):
        setattr(SystemdConnection, name, between_steps(getattr(SystemdConnection, name)))
    main_pid.announce = between_steps(main_pid.announce)
    daemon.Supervisor = MortalSupervisor  # type: ignore[misc]
    daemon.JournalFile = MortalFile  # type: ignore[misc]
    sys.exit(daemon.main())

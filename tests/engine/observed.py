"""What the tests of the engine ask a simulated machine, and how they end a process of their job ``s``."""
from __future__ import annotations

from typing import Any, List, Optional, Tuple

from compat.engine import actions
from compat.testing import SimulatedMachine

SERVICE = "exec sleep 100"
#: What the simulated machine is told to say of a program that does not exist.
MISSING = "unable to execute: No such file or directory"
#: The environment of ``stopping`` and ``stopped`` when nothing failed (E92).
OK = ("JOB=s", "INSTANCE=", "RESULT=ok")


def failed(process: str, *more: str) -> Tuple[str, ...]:
    """The environment of ``stopping`` and ``stopped`` when a process failed (E92)."""
    return ("JOB=s", "INSTANCE=", "RESULT=failed", "PROCESS=" + process, *more)


def ends(machine: SimulatedMachine, process: str = "main", status: int = 0, signal: Optional[int] = None) -> None:
    found = machine.process("s", process)
    if signal is None:
        found.exit(status)
    else:
        found.killed_by(signal)
    machine.settle()


def failures(machine: SimulatedMachine) -> List[int]:
    return [each.status for each in machine.announcements if isinstance(each, actions.JobFailed)]


def refusal(call: Any) -> Any:
    return call.error, call.message


def goals(machine: SimulatedMachine) -> List[str]:
    return [line.partition(" goal changed from ")[2] for line in machine.lines("I") if " goal changed from " in line]


def visited(machine: SimulatedMachine) -> List[str]:
    return [line.rpartition(" ")[2] for line in machine.lines("I") if " state changed from " in line]


def job_events(machine: SimulatedMachine) -> List[str]:
    names = ("starting", "started", "stopping", "stopped")
    return [each.name for each in machine.announcements if isinstance(each, actions.EventEmitted) and each.name in names]

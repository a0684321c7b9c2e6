"""An engine that knows no rules: it holds the jobs it was given and notes what it is fed."""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from compat.engine import actions, inputs
from compat.engine.view import Refused
from compat.parser.definition import JobDefinition

_EMPTY = JobDefinition()


class FakeInstance:
    def __init__(self, name: str, goal: str = "start", state: str = "running", processes: Sequence[Tuple[str, int]] = ()) -> None:
        self.name = name
        self.goal = goal
        self.state = state
        self.processes = list(processes)

    def live_processes(self) -> List[Tuple[str, int]]:
        return self.processes


class FakeJob:
    def __init__(self, name: str, definition: JobDefinition = _EMPTY) -> None:
        self.name = name
        self.definition = definition
        self.instances: Dict[str, FakeInstance] = {}

    def instance_names(self) -> List[str]:
        return list(self.instances)

    def instance(self, name: str) -> Optional[FakeInstance]:
        return self.instances.get(name)


class FakeEngine:
    """Every input that does not wait is answered at once; waiting ones wait for the test to perform the answer."""

    def __init__(self) -> None:
        self.jobs: Dict[str, FakeJob] = {}
        self.fed: List[Any] = []
        self.table = ["PATH=/bin", "TERM=linux"]

    def feed(self, given: Any) -> List[Any]:
        self.fed.append(given)
        if isinstance(given, inputs.EmitEvent) and given.name == "raise":
            raise RuntimeError("the engine broke")
        if isinstance(given, inputs.EmitEvent) and given.name == "refuse":
            return [actions.Refuse(given.call, "EventFailed", "Event failed")]
        if getattr(given, "wait", False):
            return []
        result = "made" if isinstance(given, (inputs.StartJob, inputs.RestartJob)) else None
        return [actions.Answer(given.call, result)]

    def job_names(self) -> List[str]:
        return list(self.jobs)

    def job(self, name: str) -> Optional[FakeJob]:
        return self.jobs.get(name)

    def select_instance(self, job: str, env: Sequence[str]) -> str:
        name = env[0] if env else ""
        if name not in self.jobs[job].instances:
            raise Refused("UnknownInstance", f"Unknown instance: {name}")
        return name

    def list_env(self, job: Optional[str], instance: Optional[str]) -> Tuple[str, ...]:
        if job is not None:
            raise Refused("UnknownJobInstance", f"Unknown instance: {instance} of job {job}")
        return tuple(self.table)

    def get_env(self, job: Optional[str], instance: Optional[str], name: str) -> str:
        for entry in self.list_env(job, instance):
            if entry.startswith(name + "="):
                return entry[len(name) + 1:]
        raise Refused("InvalidArgs", f"No such variable: {name}")

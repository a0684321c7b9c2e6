"""Class objects: interface com.ubuntu.Upstart0_6.Job (C54-C66)."""
from __future__ import annotations

from typing import Any, Callable, List, Tuple

from ..engine import inputs
from ..engine.view import EngineView, JobView, Refused
from ..parser.notation import to_postfix
from .calls import Call, PendingCalls
from .interfaces import Interface, Method, Property, Signal
from .paths import instance_path
from .permissions import Permissions
from .wire import JOB_INTERFACE


class JobObject:
    """Serves the methods of every class; their target is the JobView."""

    def __init__(self, engine: EngineView, feed: Callable[[Any], None], pending: PendingCalls, permissions: Permissions) -> None:
        self._engine = engine
        self._feed = feed
        self._pending = pending
        self._check = permissions.check

    def interface(self) -> Interface:
        """The table of C4.6."""
        return Interface(JOB_INTERFACE, (
            Method("GetInstance", "env:as", "instance:o", self._get_instance),
            Method("GetInstanceByName", "name:s", "instance:o", self._get_instance_by_name),
            Method("GetAllInstances", "", "instances:ao", self._get_all_instances),
            Method("Start", "env:as wait:b", "instance:o", self._start, guarded=True, later=True),
            Method("Stop", "env:as wait:b", "", self._stop, guarded=True, later=True),
            Method("Restart", "env:as wait:b", "instance:o", self._restart, guarded=True, later=True),
        ), (
            Property("name", "s", lambda job: job.name),
            Property("description", "s", lambda job: job.definition.description or ""),
            Property("author", "s", lambda job: job.definition.author or ""),
            Property("version", "s", lambda job: job.definition.version or ""),
            Property("start_on", "aas", lambda job: to_postfix(job.definition.start_on)),
            Property("stop_on", "aas", lambda job: to_postfix(job.definition.stop_on)),
            Property("emits", "as", lambda job: list(job.definition.emits)),
            Property("usage", "s", lambda job: job.definition.usage or ""),
        ), (
            Signal("InstanceAdded", "instance:o"),
            Signal("InstanceRemoved", "instance:o"),
        ))

    def _get_instance(self, call: Call, job: JobView, env: Tuple[str, ...]) -> str:
        return instance_path(job.name, self._engine.select_instance(job.name, env))

    def _get_instance_by_name(self, call: Call, job: JobView, name: str) -> str:
        if job.instance(name) is None:
            raise Refused("UnknownInstance", f"Unknown instance: {name}")
        return instance_path(job.name, name)

    def _get_all_instances(self, call: Call, job: JobView) -> List[str]:
        return [instance_path(job.name, name) for name in job.instance_names()]

    def _start(self, call: Call, job: JobView, env: Tuple[str, ...], wait: bool) -> None:
        self._check_modify(call, job)
        self._feed(inputs.StartJob(self._pending.enter(call, job.name), job.name, env, wait))

    def _stop(self, call: Call, job: JobView, env: Tuple[str, ...], wait: bool) -> None:
        self._check_modify(call, job)
        self._feed(inputs.StopJob(self._pending.enter(call), job.name, env, wait))

    def _restart(self, call: Call, job: JobView, env: Tuple[str, ...], wait: bool) -> None:
        self._check_modify(call, job)
        self._feed(inputs.RestartJob(self._pending.enter(call, job.name), job.name, env, wait))

    def _check_modify(self, call: Call, job: JobView) -> None:
        self._check(call, f"You do not have permission to modify job: {job.name}")

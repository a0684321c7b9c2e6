"""Instance objects: interface com.ubuntu.Upstart0_6.Instance (C67-C73)."""
from __future__ import annotations

from typing import Any, Callable, Tuple

from ..engine import inputs
from ..engine.view import InstanceView, JobView
from .calls import Call, PendingCalls
from .interfaces import Interface, Method, Property, Signal
from .permissions import Permissions
from .wire import INSTANCE_INTERFACE

Target = Tuple[JobView, InstanceView]


class InstanceObject:
    """Serves the methods of every instance; their target is (JobView, InstanceView)."""

    def __init__(self, feed: Callable[[Any], None], pending: PendingCalls, permissions: Permissions) -> None:
        self._feed = feed
        self._pending = pending
        self._check = permissions.check

    def interface(self) -> Interface:
        """The table of C4.7."""
        return Interface(INSTANCE_INTERFACE, (
            Method("Start", "wait:b", "", self._start, guarded=True, later=True),
            Method("Stop", "wait:b", "", self._stop, guarded=True, later=True),
            Method("Restart", "wait:b", "", self._restart, guarded=True, later=True),
            Method("Reload", "", "", self._reload, guarded=True, later=True),
        ), (
            Property("name", "s", lambda target: target[1].name),
            Property("goal", "s", lambda target: target[1].goal),
            Property("state", "s", lambda target: target[1].state),
            Property("processes", "a(si)", lambda target: [tuple(process) for process in target[1].live_processes()]),
        ), (
            Signal("GoalChanged", "goal:s"),
            Signal("StateChanged", "state:s"),
            Signal("Failed", "status:i"),
        ))

    def _start(self, call: Call, target: Target, wait: bool) -> None:
        self._feed(inputs.StartInstance(*self._told(call, target), wait))

    def _stop(self, call: Call, target: Target, wait: bool) -> None:
        self._feed(inputs.StopInstance(*self._told(call, target), wait))

    def _restart(self, call: Call, target: Target, wait: bool) -> None:
        self._feed(inputs.RestartInstance(*self._told(call, target), wait))

    def _reload(self, call: Call, target: Target) -> None:
        self._feed(inputs.ReloadInstance(*self._told(call, target)))

    def _told(self, call: Call, target: Target) -> Tuple[int, str, str]:
        """The first three fields of each of these inputs, once the caller is known to be allowed."""
        job, instance = target[0].name, target[1].name
        self._check(call, f"You do not have permission to modify job: {job} ({instance})" if instance
                    else f"You do not have permission to modify job: {job}")
        return self._pending.enter(call), job, instance

"""Turns the engine's announcements into D-Bus signals (C1, C43, C53, C66, C73)."""
from __future__ import annotations

from typing import Any, Callable, Dict, Type

from ..engine import actions
from .paths import MANAGER, instance_path, job_path
from .wire import INSTANCE_INTERFACE, INTERFACE, JOB_INTERFACE, SignalMessage, outgoing, text


def _job_signal(member: str) -> Callable[[Any], Any]:
    def build(action: Any) -> Any:
        message = SignalMessage(MANAGER, INTERFACE, member)
        message.append(job_path(action.job), signature="o")
        return message

    return build


def _existence_signal(member: str) -> Callable[[Any], Any]:
    def build(action: Any) -> Any:
        message = SignalMessage(job_path(action.job), JOB_INTERFACE, member)
        message.append(instance_path(action.job, action.instance), signature="o")
        return message

    return build


def _instance_signal(member: str, signature: str) -> Callable[[Any], Any]:
    def build(action: Any) -> Any:
        message = SignalMessage(instance_path(action.job, action.instance), INSTANCE_INTERFACE, member)
        message.append(action[2], signature=signature)
        return message

    return build


def _event_emitted(action: actions.EventEmitted) -> Any:
    message = SignalMessage(MANAGER, INTERFACE, "EventEmitted")
    message.append(text(action.name), outgoing(action.env), signature="sas")
    return message


#: From the type of an announcement to what builds its signal.
SIGNALS: Dict[Type[Any], Callable[[Any], Any]] = {
    actions.JobAdded: _job_signal("JobAdded"),
    actions.JobRemoved: _job_signal("JobRemoved"),
    actions.InstanceAdded: _existence_signal("InstanceAdded"),
    actions.InstanceRemoved: _existence_signal("InstanceRemoved"),
    actions.GoalChanged: _instance_signal("GoalChanged", "s"),
    actions.StateChanged: _instance_signal("StateChanged", "s"),
    actions.JobFailed: _instance_signal("Failed", "i"),
    actions.EventEmitted: _event_emitted,
}

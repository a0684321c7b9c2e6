"""start, stop, restart, reload, status and usage: what is done with one job, and the line that tells its state (C110-C119, C121)."""
from __future__ import annotations

import os

from .connection import INSTANCE, JOB, PROPERTIES, UNKNOWN_INSTANCE, UNKNOWN_METHOD, Call, Connection, InvalidReply, Refusal, connect
from .options import Invocation
from .output import Failure, UsageError, environment

# What typing.TYPE_CHECKING says, without the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: A lone process of these kinds is shown without its kind (C112).
_UNNAMED = ("main", "pre-start", "post-stop")


class Target:
    """The job that a command is about. ``instance`` is an instance's name if the environment told, else None."""

    def __init__(self, invocation: Invocation) -> None:
        """From the arguments, or within a job's process from its environment. Raises UsageError (C110)."""
        self.instance: str | None = None
        self.env = invocation.arguments[1:]
        if invocation.arguments:
            self.name = invocation.arguments[0]
            return
        name, instance = environment("UPSTART_JOB"), environment("UPSTART_INSTANCE")
        if name is None or instance is None:
            raise UsageError("missing job name")
        self.name = name
        self.instance = instance

    def find(self, connection: Connection, job: str) -> str:
        """The instance's path, by its name or by the arguments. Raises Refusal."""
        if self.instance is None:
            return connection.begin(job, JOB, "GetInstance", "as", self.env, reply="o").text()
        return connection.begin(job, JOB, "GetInstanceByName", "s", self.instance, reply="o").text()


class StatusQuery:
    """The calls that tell how a job or one of its instances is, on their way (4.18)."""

    def __init__(self, connection: Connection, job: str, instance: str | None, name: Call | None = None) -> None:
        self._name = name or connection.begin_get(job, JOB, "name")
        self._properties = connection.begin(instance, PROPERTIES, "GetAll", "s", INSTANCE, reply="a{sv}") if instance else None

    def text(self) -> str:
        """The status text, one line or more, without the last line end (C112). Raises Refusal, InvalidReply.

        An instance that has gone meanwhile counts as stopped; a job that has gone is a Refusal.
        """
        name = self._name.text()
        if self._properties is not None:
            try:
                return status_text(name, self._properties.result())
            except Refusal as refusal:
                if refusal.name != UNKNOWN_METHOD:
                    raise
        return name + " stop/waiting"


def status_text(name: str, properties: dict[str, Any]) -> str:
    """The status text of an instance by its properties; all four must be there (C72, C112). Raises InvalidReply."""
    instance, goal, state, processes = map(properties.get, ("name", "goal", "state", "processes"))
    if not (isinstance(instance, str) and isinstance(goal, str) and isinstance(state, str)
            and isinstance(processes, list) and getattr(processes, "signature", "") == "(si)"):
        raise InvalidReply
    text = f"{name} ({instance}) {goal}/{state}" if instance else f"{name} {goal}/{state}"
    for position, (kind, pid) in enumerate(processes):
        if position:
            text += f"\n\t{kind} process {int(pid)}"
        elif kind in _UNNAMED:
            text += f", process {int(pid)}"
        else:
            text += f", ({kind}) process {int(pid)}"
    return text


def _tell(invocation: Invocation, connection: Connection, target: Target, job: str, instance: str) -> None:
    """Print how an instance is after a command that succeeded."""
    try:
        text = StatusQuery(connection, job, instance).text()
    except Refusal as refusal:
        if refusal.name != UNKNOWN_METHOD:
            raise
        # The job's file was deleted while it ran, so it went with its last instance (C116).
        text = target.name + " stop/waiting"
    invocation.say(text)


def start(invocation: Invocation) -> int:
    """start JOB [KEY=VALUE]... (C113, C114)."""
    return _start(invocation, "Start")


def restart(invocation: Invocation) -> int:
    """restart JOB [KEY=VALUE]... (C117)."""
    return _start(invocation, "Restart")


def _start(invocation: Invocation, method: str) -> int:
    target = Target(invocation)
    connection = connect(invocation)
    job = connection.job(target.name)
    if target.instance is None:
        instance = connection.begin(job, JOB, method, "asb", target.env, not invocation.has("no-wait"), reply="o", forever=True).text()
    else:
        instance = target.find(connection, job)
        connection.call(instance, INSTANCE, method, "b", False, forever=True)
    _tell(invocation, connection, target, job, instance)
    return 0


def stop(invocation: Invocation) -> int:
    """stop JOB [KEY=VALUE]... (C115, C116)."""
    target = Target(invocation)
    connection = connect(invocation)
    job = connection.job(target.name)
    instance = target.find(connection, job)
    if target.instance is None:
        connection.call(job, JOB, "Stop", "asb", target.env, not invocation.has("no-wait"), forever=True)
    else:
        connection.call(instance, INSTANCE, "Stop", "b", False, forever=True)
    _tell(invocation, connection, target, job, instance)
    return 0


def reload(invocation: Invocation) -> int:
    """reload JOB [KEY=VALUE]...: silent (C118)."""
    target = Target(invocation)
    connection = connect(invocation)
    instance = target.find(connection, connection.job(target.name))
    try:
        connection.call(instance, INSTANCE, "Reload")
    except Refusal as refusal:
        if refusal.name != UNKNOWN_METHOD:
            raise
        _signal_main_process(connection, instance)
    return 0


def _signal_main_process(connection: Connection, instance: str) -> None:
    """What reload means to a daemon that is too old to know it: the client sends SIGHUP."""
    processes = connection.begin_get(instance, INSTANCE, "processes").result()
    if getattr(processes, "signature", "") != "(si)":
        raise InvalidReply
    # A pid that is not positive would mean a group of processes, or all.
    if not processes or processes[0][0] != "main" or processes[0][1] <= 0:
        raise Failure("Not running")
    try:
        os.kill(int(processes[0][1]), 1)
    except OSError as error:
        raise Failure(error.strerror or str(error)) from None


def status(invocation: Invocation) -> int:
    """status JOB [KEY=VALUE]...; a job of which there is no instance is stopped (C119)."""
    target = Target(invocation)
    connection = connect(invocation)
    job = connection.job(target.name)
    instance: str | None = None
    try:
        instance = target.find(connection, job)
    except Refusal as refusal:
        if refusal.name != UNKNOWN_INSTANCE or target.env or target.instance:
            raise
    invocation.say(StatusQuery(connection, job, instance).text())
    return 0


def usage(invocation: Invocation) -> int:
    """usage JOB: how its variables are to be given (C121)."""
    target = Target(invocation)
    connection = connect(invocation)
    job = connection.job(target.name)
    name, text = connection.begin_get(job, JOB, "name"), connection.begin_get(job, JOB, "usage")
    name.text()
    invocation.say("Usage: " + text.text())
    return 0

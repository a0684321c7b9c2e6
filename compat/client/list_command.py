"""list: the state of every instance, and of every job that has none (C120).

A host has hundreds of jobs and each takes two calls or more, so calls are sent ahead in two stages:
one asks for the instances and the name of a job, the other for the properties of the instances
that the first found. The calls and the order of the output are those of one after the other.
"""
from __future__ import annotations

from .connection import JOB, UNKNOWN_METHOD, Call, Connection, Refusal, ahead, connect
from .job_commands import StatusQuery
from .options import Invocation

#: Results are printed when this many have come together.
_PRINTED_AT_ONCE = 256


class _Job:
    """A job of which the instances are asked for."""

    def __init__(self, connection: Connection, path: str) -> None:
        self._connection = connection
        self._path = path
        self._instances = connection.begin(path, JOB, "GetAllInstances", reply="ao")
        # Every status begins with the name, whatever instances there are.
        self._name: Call = connection.begin_get(path, JOB, "name")

    def statuses(self) -> list[StatusQuery]:
        """Ask for the state of each instance, or of the job if there is none; nothing if the job is gone."""
        try:
            instances = self._instances.texts()
        except Refusal as refusal:
            if refusal.name == UNKNOWN_METHOD:
                return []
            raise
        if not instances:
            return [StatusQuery(self._connection, self._path, None, self._name)]
        first = StatusQuery(self._connection, self._path, instances[0], self._name)
        return [first, *(StatusQuery(self._connection, self._path, instance) for instance in instances[1:])]


def list_instances(invocation: Invocation) -> int:
    """list (C120). Jobs and instances that end meanwhile are left out; after any other error nothing more is listed."""
    connection = connect(invocation)
    lines: list[str] = []

    def ask(path: str) -> _Job:
        return _Job(connection, path)

    try:
        for statuses in ahead(ahead(connection.all_jobs(), ask, connection.ahead), _Job.statuses, connection.ahead):
            for status in statuses:
                try:
                    lines.append(status.text())
                except Refusal as refusal:
                    if refusal.name != UNKNOWN_METHOD:
                        raise
            if len(lines) >= _PRINTED_AT_ONCE:
                invocation.say("\n".join(lines))
                lines.clear()
    finally:
        if lines:
            invocation.say("\n".join(lines))
    return 0

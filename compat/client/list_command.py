"""list: the state of every instance, and of every job that has none (C120).

A host has hundreds of jobs and each takes two calls or more, so calls are sent ahead in two stages:
one asks for the instances and the name of a job, the other for the properties of the instances
that the first found. The calls and the order of the output are those of one after the other.
"""
from __future__ import annotations

from .connection import JOB, UNKNOWN_METHOD, Call, Connection, Refusal, ahead, connect
from .job_commands import StatusQuery
from .options import Invocation
from .output import Failure

# What typing.TYPE_CHECKING says, without the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

#: Results are printed when this many have come together.
_PRINTED_AT_ONCE = 256


class _Entry:
    """A line to be: an instance, or a job without any. ``name`` is the call for the job's name if that was made already."""

    def __init__(self, job: str, instance: str | None, name: Call | None) -> None:
        self.job = job
        self.instance = instance
        self.name = name


class _Job:
    """A job of which the instances are asked for."""

    def __init__(self, connection: Connection, path: str) -> None:
        self._path = path
        self._instances = connection.begin(path, JOB, "GetAllInstances", reply="ao")
        # Every status begins with the name, whatever instances there are.
        self._name = connection.begin_get(path, JOB, "name")

    def entries(self) -> Iterator[_Entry]:
        """Its instances, or the job itself if there is none; nothing if the job is gone. Raises Failure."""
        try:
            instances = self._instances.texts()
        except Refusal as refusal:
            if refusal.name != UNKNOWN_METHOD:
                raise
            return
        yield _Entry(self._path, instances[0] if instances else None, self._name)
        for instance in instances[1:]:
            yield _Entry(self._path, instance, None)


def _entries(jobs: Iterator[_Job]) -> Iterator[_Entry | Failure]:
    """The entries of all jobs. What goes wrong comes last, as an entry, so that it is told after the output before it."""
    try:
        for job in jobs:
            yield from job.entries()
    except Failure as failure:
        yield failure


def list_instances(invocation: Invocation) -> int:
    """list (C120). Jobs and instances that end meanwhile are left out; after any other error nothing more is listed."""
    connection = connect(invocation)

    def ask(path: str) -> _Job:
        return _Job(connection, path)

    def ask_status(entry: _Entry | Failure) -> StatusQuery | Failure:
        return entry if isinstance(entry, Failure) else StatusQuery(connection, entry.job, entry.instance, entry.name)

    lines: list[str] = []
    try:
        jobs = ahead(connection.all_jobs(), ask, connection.ahead)
        for status in ahead(_entries(jobs), ask_status, connection.ahead):
            if isinstance(status, Failure):
                raise status
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

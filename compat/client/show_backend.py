"""show-backend: who runs the processes of jobs: systemd, in which unit, or the daemon itself, and why (X261).

Upstart has no such command, and a daemon that is not this project's does not answer it.
"""
from __future__ import annotations

from .connection import INSTANCE, JOB, UNKNOWN_METHOD, InvalidReply, Refusal, connect
from .options import Invocation
from .output import Failure

_PLACEMENT = "org.upstartcompat.Instance1"


def show_backend(invocation: Invocation) -> int:
    """show-backend [JOB]: a line for each process."""
    connection = connect(invocation)
    jobs = [connection.job(invocation.arguments[0])] if invocation.arguments else connection.all_jobs()
    for job in jobs:
        try:
            name = connection.begin_get(job, JOB, "name").text()
            instances = connection.begin(job, JOB, "GetAllInstances", reply="ao").texts()
        except Refusal as refusal:
            # It is gone meanwhile.
            if refusal.name != UNKNOWN_METHOD:
                raise
            continue
        for instance in instances:
            asked = connection.begin_get(instance, INSTANCE, "name")
            placements = connection.begin_get(instance, _PLACEMENT, "placements")
            try:
                title = asked.text()
            except Refusal as refusal:
                if refusal.name != UNKNOWN_METHOD:
                    raise
                continue
            try:
                found = placements.result()
            except Refusal as refusal:
                if refusal.name == UNKNOWN_METHOD:
                    raise Failure("The init daemon cannot tell who runs a process") from None
                raise
            if getattr(found, "signature", "") != "(ssss)":
                raise InvalidReply
            for process, kind, unit, reason in found:
                where = f"{kind} {unit}" if unit else str(kind)
                invocation.say(f"{name}{f' ({title})' if title else ''} {process}: {where} ({reason})")
    return 0

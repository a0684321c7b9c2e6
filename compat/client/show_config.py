"""show-config: what each job emits, starts on and stops on (C125, C126)."""
from __future__ import annotations

from .connection import connect
from .job_conditions import JobConditions, read_conditions
from .options import Invocation


def show_config(invocation: Invocation) -> int:
    """show-config [CONF]; with --enumerate a line for each event."""
    connection = connect(invocation)
    paths = [connection.job(invocation.arguments[0])] if invocation.arguments else connection.all_jobs()
    for job in read_conditions(connection, paths):
        invocation.say("\n".join(_lines(job, invocation.has("enumerate"))))
    return 0


def _lines(job: JobConditions, enumerate_events: bool) -> list[str]:
    lines = [job.name, *("  emits " + event for event in job.emits)]
    for stanza, condition in job.conditions:
        if not condition:
            continue
        if not enumerate_events:
            lines.append(f"  {stanza} {condition}")
            continue
        for event in condition.events():
            about = " " + event.job if event.job else ""
            lines.append(f"  {stanza} {event.name} (job:{about}, env:{''.join(' ' + word for word in event.env)})")
    return lines

"""The end of a session: all jobs are stopped, within a bounded time, and the daemon exits (D160-D170).

A logout first gives the jobs that start on ``session-end`` five seconds; a shutdown kills at once. One
timer ticks every second while this goes on. In the kill phase requests to start are refused, and what
is left at its end is killed (D169, beyond upstream).
"""
from __future__ import annotations

from ..parser.definition import Match
from .actions import SessionEnded, SetTimer, SignalProcess
from .conditions import matches, postfix
from .core import Core, SessionEnd
from .events import Event
from .lifecycle import all_instances, request_stop

_GRACE = 5
_TICK = 1.0
#: Containers are given ten seconds in all.
_HOST_TICK = 0.25
_KILL = 9


def begin(core: Core, reason: str, limit: float = 0.0) -> None:
    """D163; only the first request counts (D162). The host's end has no event, and its limit is in seconds and may be cut (B219, B259)."""
    if core.session_end is not None:
        if reason == core.session_end.reason == "host":
            core.session_end.limit = min(core.session_end.limit, core.now - core.session_end.phase_began + limit)
        return
    core.info(f"Quiescing due to {reason} request")
    core.session_end = end = SessionEnd(reason, core.now)
    end.timer = core.number()
    core.out.append(SetTimer(end.timer, _tick(end)))
    if reason == "host":
        _kill_phase(core, end)
        end.limit = limit
        finish_if_empty(core)
        return
    event = core.queue_event("session-end", ("TYPE=" + reason,))
    if reason == "logout" and _some_job_cares(core, event):
        _stop_all(core)
    else:
        _kill_phase(core, end)


def tick(core: Core, timer: int) -> bool:
    """Whether the timer was this module's; the checks of D165 and D166."""
    end = core.session_end
    if end is None or end.timer != timer:
        return False
    if end.phase == "over":
        return True
    busy = any(instance.has_process() for instance in all_instances(core))
    spent = core.now - end.phase_began
    if end.phase == "wait":
        if not busy or spent >= _GRACE:
            _kill_phase(core, end)
    elif not busy:
        _finish(core, end)
        return True
    elif spent > end.limit:
        for instance in all_instances(core):
            core.warn(f"job {instance.display_name} failed to stop")
            for process in instance.processes:
                if process:
                    core.out.append(SignalProcess(process.spawn, _KILL, True))
        _finish(core, end)
        return True
    end.timer = core.number()
    core.out.append(SetTimer(end.timer, _tick(end)))
    return True


def finish_if_empty(core: Core) -> None:
    """An event was handled and no instance is left: done (D167)."""
    end = core.session_end
    if end is not None and end.phase != "over" and not any(job.instances for job in core.registry.classes.values()):
        _finish(core, end)


def refuses_starts(core: Core) -> bool:
    """Whether the kill phase has begun (D169, beyond upstream)."""
    return core.session_end is not None and core.session_end.phase != "wait"


def _tick(end: SessionEnd) -> float:
    return _HOST_TICK if end.reason == "host" else _TICK


def _some_job_cares(core: Core, event: Event) -> bool:
    return any(
        isinstance(leaf, Match) and matches(leaf, event, {})
        for job in core.registry.interested(event) if job.definition.start_on is not None
        for leaf in postfix(job.definition.start_on))


def _stop_all(core: Core) -> None:
    for instance in all_instances(core):
        request_stop(core, instance)


def _kill_phase(core: Core, end: SessionEnd) -> None:
    end.phase = "kill"
    end.phase_began = core.now
    end.limit = max([_GRACE] + [instance.definition.kill_timeout for instance in all_instances(core)])
    _stop_all(core)


def _finish(core: Core, end: SessionEnd) -> None:
    end.phase = "over"
    seconds = int(core.now - end.began)
    took = "<1 second" if seconds < 1 else "1 second" if seconds == 1 else f"{seconds} seconds"
    core.info(f"Quiesce {end.reason} sequence took {took}")
    core.out.append(SessionEnded())

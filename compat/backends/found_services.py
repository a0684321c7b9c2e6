"""Which process is in a service that a daemon before this one had systemd make (X260)."""
from __future__ import annotations

from typing import Optional

from ..engine.actions import WARN, AdoptProcess
from ..parser.definition import MAIN, PROCESS_NAMES
from . import main_pid
from .identity import environment_of, start_time
from .protocol import Log, Stray
from .systemd_connection import Run
from .unit_names import base_name, is_in_unit


def is_main(request: AdoptProcess, found: Run, unit: str) -> bool:
    """Whether the process on record is the unit's main one, if need be because systemd is told so."""
    if found.pid == request.pid:
        return True
    started = _started(request.pid)
    if not started or started != (request.handle or {}).get("started") or not is_in_unit(request.pid, unit):
        return False
    try:
        # A fork was followed, and the daemon died before it told systemd.
        main_pid.announce(request.pid)
    except OSError:
        return False
    return True


def stray(unit: str, found: Run, log: Log) -> Optional[Stray]:
    """The process that runs in a unit, if it says itself which job it is of, and the unit's name agrees."""
    if not found.pid:
        return None
    table = dict(entry.partition("=")[::2] for entry in environment_of(found.pid))
    job, instance = table.pop("UPSTART_JOB", ""), table.pop("UPSTART_INSTANCE", "")
    base, name = base_name(job, instance, PROCESS_NAMES[MAIN]), unit[:-len(".service")]
    if not job or not (name == base or name.startswith(base + "-") and name[len(base) + 1:].isdigit()):
        log(WARN, f"{unit} runs (process {found.pid}), but for no job that is known")
        return None
    handle = {"unit": unit, "invocation": found.invocation, "started": _started(found.pid), "executed": True, "forks": 0}
    return Stray(job, instance, found.pid, tuple(f"{key}={value}" for key, value in table.items()), handle)


def _started(pid: int) -> str:
    return (start_time(pid) or b"").decode("ascii")

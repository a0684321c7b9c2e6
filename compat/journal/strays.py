"""Instances whose record was lost, but whose main process is known by the unit that it runs in.

A journal may be damaged, or deleted by somebody who cleans up. What it said of a job cannot be had again, but
systemd still has the job's service. So such a job is taken to run: with the definition that is loaded now, and
with the environment that the process has. Otherwise the next event would start it a second time.
"""
from __future__ import annotations

from typing import Callable, List, Optional, Sequence

from ..backends.protocol import Stray
from ..engine.actions import WARN
from ..engine.engine import Engine
from ..engine.inputs import Restore
from ..engine.records import InstanceRecord, ProcessRecord
from ..engine.states import RUNNING, START
from ..parser.definition import MAIN, PROCESS_NAMES


def recovered(strays: Sequence[Stray], engine: Engine, log: Callable[[int, str], None]) -> Optional[Restore]:
    """What brings them back, None if there is nothing to bring back; a line says what becomes of each."""
    instances: List[InstanceRecord] = []
    serial = engine.serial
    for stray in strays:
        job = engine.job(stray.job)
        name = f"{stray.job} ({stray.instance})" if stray.instance else stray.job
        if job is None or job.instance(stray.instance) is not None:
            log(WARN, f"{stray.handle.get('unit')} runs {name} (process {stray.pid}), which is "
                      + ("no job any more" if job is None else "not the process that is on record") + ": left alone")
            continue
        serial += 1
        log(WARN, f"{name} main process ({stray.pid}) was not on record, but runs in {stray.handle.get('unit')}: taken over")
        processes: List[Optional[ProcessRecord]] = [None] * len(PROCESS_NAMES)
        processes[MAIN] = ProcessRecord(serial, stray.pid, stray.handle)
        pairs = (entry.partition("=")[::2] for entry in stray.environment)
        instances.append(InstanceRecord(
            stray.job, stray.instance, job.definition, len(instances), START, RUNNING, tuple((key, value) for key, value in pairs),
            start_env=None, stop_env=None, failed=False, failed_process=None, exit_status=0, respawn_time=0, respawn_count=0,
            restarting=False, kill_due=None, fds=(), start_fds=(), blocker=0, holds=(), seen=(), processes=tuple(processes)))
    return Restore(serial, None, (), (), tuple(instances)) if instances else None

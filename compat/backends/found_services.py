"""Services that a daemon before this one had systemd make: which process is in one, or how it ended (X260)."""
from __future__ import annotations

from typing import Callable, Optional

from ..engine.actions import WARN, AdoptProcess, SpawnProcess
from ..engine.inputs import ProcessEnded, ProcessExecuted, ProcessLost, ProcessNeverRan
from ..parser.definition import MAIN, PROCESS_NAMES
from . import main_pid
from .child_setup import ChildSetup, Failed, Process
from .identity import environment_of, start_time
from .protocol import Feed, Log, Stray
from .systemd_connection import Run, SystemdConnection, SystemdError
from .transient_units import TransientUnits
from .unit_names import base_name, is_in_unit

_CLD_EXITED = 1

#: Called with a process that lives, its unit and invocation.
Taken = Callable[[SpawnProcess, Process, str, str], None]


def status_of(code: int, status: int) -> int:
    """ExecMainCode and ExecMainStatus as a status of the engine's (inputs.ProcessEnded)."""
    return status if code == _CLD_EXITED else status << 8


class FoundServices:
    """``taken`` goes on with a process that lives."""

    def __init__(self, feed: Feed, log: Log, connection: SystemdConnection, units: TransientUnits, setup: ChildSetup, failed: Failed,
                 taken: Taken) -> None:
        self._feed = feed
        self._log = log
        self._connection = connection
        self._units = units
        self._setup = setup
        self._failed = failed
        self._taken = taken

    def adopt(self, request: AdoptProcess, unit: str) -> bool:
        """As TransientServices.adopt."""
        handle = request.handle or {}
        if not unit or not self._connection.is_open:
            return False
        try:
            found = self._connection.run_of(unit)
        except SystemdError as error:
            self._log(WARN, f"Failed to ask systemd about {unit}: {error}")
            return False
        finally:
            self._units.dispatch_later()
        if found is None or found.invocation != handle.get("invocation"):
            return False
        self._units.let_go(unit)
        ran = bool(handle.get("executed")) or self._setup.passed(request.spawn)
        if not found.pid and ran and request.expect in ("fork", "daemon"):
            # It forked while nobody followed it, so this is not the end: what it left behind is looked for (adoption.py).
            self._units.release(unit)
            return False
        if not found.pid:
            self._ended(request, found, unit, ran)
            return True
        if not ran or request.expect != "none" or not _is_main(request, found, unit):
            # A launcher without leave, which is about to end; or a trace that ended with the old daemon.
            return False
        log = self._setup.log_of_another_daemon(request)
        spawn = SpawnProcess(request.spawn, request.job, request.instance, request.process, request.definition, request.environment,
                             request.fds, request.expect)
        process = Process(spawn, -1, log, None, "", self._failed)
        process.exists_as(request.pid)
        self._taken(spawn, process, unit, found.invocation)
        return True

    def _ended(self, request: AdoptProcess, found: Run, unit: str, ran: bool) -> None:
        log = self._setup.log_of_another_daemon(request)
        if log is not None:
            self._setup.end_log(log)
        self._units.release(unit)
        if not found.code:
            self._feed(ProcessLost(request.spawn) if ran else ProcessNeverRan(request.spawn))
        elif not ran:
            self._feed(ProcessNeverRan(request.spawn))
        else:
            self._feed(ProcessExecuted(request.spawn))
            self._feed(ProcessEnded(request.spawn, status_of(found.code, found.status)))

    def stray(self, unit: str) -> Optional[Stray]:
        """As TransientServices.stray."""
        try:
            found = self._connection.run_of(unit)
        except SystemdError:
            return None
        finally:
            self._units.dispatch_later()
        return None if found is None else _stray(unit, found, self._log)


def _is_main(request: AdoptProcess, found: Run, unit: str) -> bool:
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


def _stray(unit: str, found: Run, log: Log) -> Optional[Stray]:
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

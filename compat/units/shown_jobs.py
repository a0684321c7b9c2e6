"""Which jobs have a unit of their own: a unit file for each registered job, unless the name is taken (C.6).

Changes of jobs come in bursts, and are worked off together when they have settled. systemd finds new files by
itself. Only where it has a unit in its memory whose file is changed or gone is it asked to read its files again,
once a burst. After it has read them, for whatever reason, everything is compared anew: a package may have
brought a native unit, or somebody masked one.
"""
from __future__ import annotations

from typing import Callable, Dict, List, Optional, Set

from ..backends.systemd_connection import SystemdError
from ..engine.actions import INFO, WARN
from ..engine.view import EngineView
from . import unit_file
from .systemd_manager import LoadedUnit, SystemdManager
from .unit_folder import UnitFolder

#: What is written or removed may fail for all jobs at once; this many failures are told.
_MOST_COMPLAINTS = 5


class ShownJobs:
    """``hidden(job)`` is called before a job's unit goes while the job stays."""

    def __init__(self, engine: EngineView, manager: SystemdManager, folder: UnitFolder, log: Callable[[int, str], None],
                 launcher: str, socket: str, hidden: Callable[[str], None]) -> None:
        self._engine = engine
        self._manager = manager
        self._folder = folder
        self._log = log
        self._launcher = launcher
        self._socket = socket
        self._hidden = hidden
        #: unit -> job, both ways
        self._jobs: Dict[str, str] = {}
        self._units: Dict[str, str] = {}
        #: jobs without a unit -> why
        self._refused: Dict[str, str] = {}
        self._complaints = 0

    def job_of(self, unit: str) -> Optional[str]:
        """The job that a unit shows."""
        return self._jobs.get(unit)

    def unit_of(self, job: str) -> Optional[str]:
        """The unit that shows a job, None if it has none."""
        return self._units.get(job)

    def jobs(self) -> List[str]:
        """All jobs that have a unit."""
        return list(self._units)

    def compare(self) -> None:
        """Bring the unit files in line with the jobs that there are now. Raises SystemdError."""
        others = self._folder.others(self._manager.folders())
        loaded = self._manager.loaded_services()
        wanted: Dict[str, str] = {}
        for job in self._engine.job_names():
            name = unit_file.unit_name(job)
            reason = "its name is too long" if name is None else self._taken(name, others, loaded)
            if name is None or reason:
                self._refuse(job, reason)
            else:
                self._refused.pop(job, None)
                wanted[name] = job
        for job in [job for job in self._refused if self._engine.job(job) is None]:
            del self._refused[job]
        doubtful = self._remove(self._folder.present - set(wanted), loaded)
        for name, job in wanted.items():
            try:
                if self._folder.write(name, unit_file.unit_text(job, self._launcher, self._socket)):
                    doubtful.add(name)
            except OSError as error:
                self._complain(f"Failed to write {error.filename}: {error.strerror}")
            if name in self._folder.present:
                self._jobs[name], self._units[job] = job, name
        if any(name in loaded and self._manager.needs_reload(name) for name in doubtful):
            self._log(INFO, "Units of jobs have changed, systemd is asked to read its files again")
            self._manager.reload()

    def _taken(self, name: str, others: Dict[str, str], loaded: Dict[str, LoadedUnit]) -> str:
        """Why a name cannot be had, or "". Raises SystemdError."""
        if name in others:
            return f"the unit {name} exists already ({others[name]})"
        unit = loaded.get(name)
        if unit is None or unit.load not in ("loaded", "masked") or name in self._folder.present:
            return ""
        return f"systemd has a unit {name} already ({self._manager.fragment(name) or 'without a file'})"

    def _refuse(self, job: str, reason: str) -> None:
        if self._refused.get(job) != reason:
            self._refused[job] = reason
            self._log(WARN, f"{job}: systemctl cannot be used for this job, {reason}")

    def _remove(self, names: Set[str], loaded: Dict[str, LoadedUnit]) -> Set[str]:
        """Returns those that systemd may still know."""
        for name in names:
            job = self._jobs.pop(name, None)
            if job is not None:
                self._units.pop(job, None)
                self._hidden(job)
            try:
                self._folder.remove(name)
            except OSError as error:
                self._complain(f"Failed to remove {error.filename}: {error.strerror}")
            self._forget_failure(name, loaded)
        return set(names)

    def _forget_failure(self, name: str, loaded: Dict[str, LoadedUnit]) -> None:
        unit = loaded.get(name)
        if unit is not None and unit.active == "failed":
            try:
                # Else systemd would remember it for ever.
                self._manager.reset_failed(name)
            except SystemdError:
                pass

    def _complain(self, text: str) -> None:
        self._complaints += 1
        if self._complaints <= _MOST_COMPLAINTS:
            self._log(WARN, text)

    def remove_all(self) -> None:
        """At the daemon's end."""
        try:
            loaded = self._manager.loaded_services()
        except SystemdError:
            loaded = {}
        self._remove(set(self._folder.present), loaded)

"""Signals that the host's init gets once more while the target is still up that it starts for each of them (B216).

systemd starts a target when the power fails, and on some hosts the target stays up. Starting what is up changes nothing about the
unit, but it is a job of its own, and the manager tells of each: one for such a target that was up when the job began, has been up
since, and whose job is done, is the signal again. That is no state that could be seen later, so it is told as an event and not as a fact.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Sequence

from .native_units import UnitSeen

#: What systemd starts for signals, by the name of its own; where that is another name of ``reboot.target`` it is none of these.
TARGETS = frozenset(("sigpwr.target", "kbrequest.target", "ctrl-alt-del.target"))
_ACTIVE, _DONE = "active", "done"


class SignalTargets:
    """``unit(name)``: a unit that is watched, as it was told last. ``again(name)`` is called for each signal after the first."""

    def __init__(self, unit: Callable[[str], Optional[UnitSeen]], again: Callable[[str], None]) -> None:
        self._unit = unit
        self._again = again
        #: jobs of targets that were up already: their number, and the run that the target was in
        self._jobs: Dict[int, str] = {}

    def manager_said(self, member: str, arguments: Sequence[Any]) -> None:
        """A signal of the manager: JobNew has number, path and unit, JobRemoved the result as well."""
        if member == "JobNew" and arguments[2] in TARGETS:
            run = self._run(str(arguments[2]))
            if run:
                self._jobs[int(arguments[0])] = run
        elif member == "JobRemoved" and arguments[2] in TARGETS:
            run = self._jobs.pop(int(arguments[0]), "")
            if run and arguments[3] == _DONE and self._run(str(arguments[2])) == run:
                self._again(str(arguments[2]))

    def forget(self) -> None:
        """There is no connection any more, and these jobs are told of by nobody."""
        self._jobs.clear()

    def _run(self, name: str) -> str:
        seen = self._unit(name)
        return seen.invocation if seen is not None and seen.active == _ACTIVE else ""

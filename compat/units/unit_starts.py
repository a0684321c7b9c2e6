"""Starts the unit of a job that runs: by an event, by initctl, or since before the daemon.

Only a start is needed: a unit ends by itself with its job (requests.py). It has time: what starts the jobs comes
first. So nothing is done until no job has begun to run for a moment, and then one unit after the other. The
start is asked for in mode ``fail``, not ``replace``: what somebody else told systemd to do with the unit counts,
and is waited for. None is started while the host goes down.
"""
from __future__ import annotations

import errno
from functools import partial
from typing import Any, Callable, Dict, Optional

from ..backends.systemd_connection import SystemdError
from ..engine.actions import INFO, StateChanged
from ..engine.view import EngineView
from .expected_start import ExpectedStart
from .request_socket import Loop
from .requests import UnitRequests
from .shown_jobs import ShownJobs
from .systemd_manager import SystemdManager

#: Seconds without a new job after which units are started, and how long that may be put off.
_QUIET, _LONGEST_WAIT = 0.02, 2.0
#: Seconds between attempts while systemd has something else to do with a unit, and their number.
_RETRY, _MOST_RETRIES = 0.2, 50
#: Seconds within which a unit's process has to ask, and until one that was killed is replaced.
_OVERDUE, _REPLACE = 5.0, 1.0
#: Errors of a start that somebody else's work with the unit, or with all units, explains.
_BUSY = (errno.EDEADLK, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT)


class UnitStarts:
    """``clock`` gives monotonic seconds, ``note`` keeps which start is under way."""

    def __init__(self, engine: EngineView, manager: SystemdManager, shown: ShownJobs, requests: UnitRequests, loop: Loop,
                 log: Callable[[int, str], None], clock: Callable[[], float], note: ExpectedStart) -> None:
        self._engine = engine
        self._manager = manager
        self._shown = shown
        self._requests = requests
        self._loop = loop
        self._log = log
        self._clock = clock
        self._note = note
        #: jobs to be looked at -> attempts so far
        self._waiting: Dict[str, int] = {}
        self._latest = 0.0
        self._first = 0.0
        self._timer_due = False
        #: the job whose unit is being started, and a number for that start
        self._current: Optional[str] = None
        self._starts = 0
        requests.came = self._came
        requests.went = self._went

    def take_over(self) -> None:
        """Go on with the start that a daemon before this one has begun, before anybody can ask."""
        job = self._note.left()
        if job is not None:
            self._requests.expect(job)
            self._is_starting(job)

    def announced(self, action: Any) -> None:
        """An announcement of the engine."""
        if type(action) is StateChanged and action.state == "running":
            self.consider(action.job)

    def consider(self, job: str) -> None:
        """Start the job's unit in a while, if it is needed then."""
        self._latest = self._clock()
        if not self._waiting:
            self._first = self._latest
        self._waiting.setdefault(job, 0)
        self._later(_QUIET)

    def consider_all(self) -> None:
        """Look at every job that has a unit."""
        for job in self._shown.jobs():
            if self._is_needed(job):
                self.consider(job)

    def go_on(self) -> None:
        """After a re-exec: units that were being started before it ask soon, or never."""
        for job in self._requests.expected:
            self._loop.later(_OVERDUE, partial(self._requests.expect_no_more, job))

    def _later(self, seconds: float) -> None:
        if not self._timer_due and self._current is None:
            self._timer_due = True
            self._loop.later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer_due = False
        now = self._clock()
        if now < min(self._latest + _QUIET, self._first + _LONGEST_WAIT):
            self._later(_QUIET)
        else:
            self._next()

    def _is_needed(self, job: str) -> bool:
        found = self._engine.job(job)
        if found is None or self._shown.unit_of(job) is None or self._requests.has_main(job):
            return False
        instances = map(found.instance, found.instance_names())
        return any(instance is not None and instance.goal == "start" and instance.state == "running" for instance in instances)

    def _next(self) -> None:
        while self._waiting and self._current is None and self._manager.is_reachable:
            job = next(iter(self._waiting))
            attempts = self._waiting.pop(job)
            if self._is_needed(job):
                self._start(job, attempts)
                break
        if self._waiting and self._manager.is_reachable:
            self._later(0.0)

    def _start(self, job: str, attempts: int) -> None:
        unit = self._shown.unit_of(job) or ""
        try:
            if self._manager.state(unit) not in ("inactive", "failed"):
                # Its process is about to ask, or the unit is about to end.
                self._again(job, attempts)
            elif not self._manager.is_going_down():
                self._note.note(job)
                self._requests.expect(job)
                self._current = job
                self._manager.start(unit)
                self._is_starting(job)
        except SystemdError as error:
            self._requests.expect_no_more(job)
            self._over()
            if error.number in _BUSY:
                self._again(job, attempts)
            elif self._manager.is_reachable:
                self._log(INFO, f"{unit} cannot be started: {error}")

    def _is_starting(self, job: str) -> None:
        self._current = job
        self._starts += 1
        number = self._starts
        self._loop.later(_OVERDUE, lambda: self._overdue(job, number))

    def _over(self) -> None:
        self._current = None
        self._note.clear()

    def _again(self, job: str, attempts: int) -> None:
        if attempts < _MOST_RETRIES:
            self._loop.later(_RETRY, lambda: self._retry(job, attempts + 1))

    def _retry(self, job: str, attempts: int) -> None:
        if self._is_needed(job):
            self._waiting.setdefault(job, attempts)
            self._later(0.0)

    def _came(self, job: str) -> None:
        if job == self._current:
            self._over()
            self._later(0.0)

    def _overdue(self, job: str, number: int) -> None:
        if job == self._current and number == self._starts:
            self._log(INFO, f"The unit of {job} does not start")
            self._requests.expect_no_more(job)
            self._came(job)

    def _went(self, job: str) -> None:
        self._loop.later(_REPLACE, lambda: self.consider(job) if self._is_needed(job) else None)

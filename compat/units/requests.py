"""What the units of jobs ask for, as inputs of the engine, and the answers.

A unit is active while somebody asks ``start`` or ``hold`` for its job and has not been told the end: the unit's
main process (launcher.c). So with the job's last instance the unit ends too, and fails if the job did. This is
all that keeps a unit in step with a job that stops; unit_starts.py does what is needed when one starts.

Other than for callers of D-Bus, a start of a job that has been started already waits for what comes of it, and
a stop is for all instances: systemd does not ask which.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set

from ..control.calls import PendingCalls
from ..engine import actions, inputs
from ..engine.view import EngineView, JobView, Refused
from ..parser.signals import signal_name
from .request_socket import Asker

_START, _STOP, _RELOAD, _HOLD = "start", "stop", "reload", "hold"
#: Refusals of a stop that has come to its end already.
_STOPPED = ("UnknownJob", "UnknownInstance", "AlreadyStopped")


class _Wait:
    """One input that an asker waits for (control.calls.Caller); ``told`` gets the error's name and text, or None and ""."""

    def __init__(self, asker: Asker, told: Callable[[Optional[str], str], None]) -> None:
        self.connection: Any = asker
        self.number = 0
        self.job: Optional[str] = None
        self._told = told

    def succeed_with_instance(self, instance: Optional[str]) -> None:
        self._told(None, "")

    def fail(self, error: str, message: str) -> None:
        self._told(error, message)


class UnitRequests:
    """``job_of(unit)`` is the job that a unit shows, None if it shows none."""

    def __init__(self, engine: EngineView, feed: Callable[[Any], None], pending: PendingCalls,
                 job_of: Callable[[str], Optional[str]]) -> None:
        self._engine = engine
        self._feed = feed
        self._pending = pending
        self._job_of = job_of
        #: Main processes of units, by job.
        self._main: Dict[str, Set[Asker]] = {}
        #: Jobs whose unit the daemon itself has asked systemd to start.
        self._expected: Set[str] = set()
        #: How a job failed in its present or latest run.
        self._failures: Dict[str, str] = {}
        #: called when the main process of a job's unit asks, and when one has gone away before its time
        self.came: Callable[[str], None] = lambda job: None
        self.went: Callable[[str], None] = lambda job: None

    # -- what the daemon tells -----------------------------------------------------------------------------------

    def announced(self, action: Any) -> None:
        """An announcement of the engine."""
        kind = type(action)
        if kind is actions.StateChanged:
            if action.state == "starting":
                self._failures.pop(action.job, None)
        elif kind is actions.JobFailed:
            self._failures[action.job] = _failure(action.status)
        elif kind is actions.InstanceRemoved or kind is actions.JobRemoved:
            self._end_if_over(action.job)
            if kind is actions.JobRemoved and self._engine.job(action.job) is None:
                self._failures.pop(action.job, None)

    def has_main(self, job: str) -> bool:
        """Whether the job's unit has its main process, as far as is known here."""
        return bool(self._main.get(job))

    def expect(self, job: str) -> None:
        """The unit is going to be started because the job runs: that is no request to start the job."""
        self._expected.add(job)

    def expect_no_more(self, job: str) -> None:
        """It was not started."""
        self._expected.discard(job)

    def let_go(self, job: str) -> None:
        """End the unit, whatever the job does."""
        for asker in self._main.pop(job, ()):
            asker.done()

    def end(self) -> None:
        """End all units."""
        for job in list(self._main):
            self.let_go(job)

    # -- questions -------------------------------------------------------------------------------------------------

    def asked(self, asker: Asker, verb: str, unit: str) -> None:
        """A question from a unit."""
        name = self._job_of(unit)
        job = None if name is None else self._engine.job(name)
        if verb in (_STOP, _HOLD) and job is None:
            asker.done()
        elif job is None:
            asker.failed(f"Unknown job: {name or unit}")
        elif verb in (_START, _HOLD):
            self._main.setdefault(job.name, set()).add(asker)
            asker.gone = lambda: self._main_is_gone(asker, job.name)
            expected = job.name in self._expected
            self._expected.discard(job.name)
            if verb == _HOLD or expected:
                self._hold(asker, job.name)
            else:
                self._start(asker, job)
            self.came(job.name)
        elif verb == _STOP:
            self._for_each(asker, job.instance_names(), lambda instance: self._stop(job, instance), _STOPPED)
        elif verb == _RELOAD:
            self._reload(asker, job)
        else:
            asker.failed(f"Unknown request: {verb}")

    def _start(self, asker: Asker, job: JobView) -> None:
        def told(error: Optional[str], message: str) -> None:
            if error is None:
                self._hold(asker, job.name)
            else:
                self._main_is_over(asker, job.name)
                failure = self._failures.get(job.name)
                asker.failed(f"{message} ({failure})" if failure and error == "JobFailed" else message)

        number = self._pending.enter(_Wait(asker, told))
        try:
            name: Optional[str] = self._engine.select_instance(job.name, ())
        except Refused:
            # There is none, or the job does not tell which: the refusal of the start says so.
            name = None
        instance = None if name is None else job.instance(name)
        if name is None or instance is None or instance.goal == "stop":
            self._feed(inputs.StartJob(number, job.name, (), True))
        else:
            self._feed(inputs.AwaitInstance(number, job.name, name))

    def _stop(self, job: JobView, name: str) -> Callable[[int], Any]:
        instance = job.instance(name)
        if instance is not None and instance.goal == "stop":
            return lambda number: inputs.AwaitInstance(number, job.name, name)
        return lambda number: inputs.StopInstance(number, job.name, name, True)

    def _reload(self, asker: Asker, job: JobView) -> None:
        running: List[str] = []
        for name in job.instance_names():
            instance = job.instance(name)
            if instance is not None and any(process == "main" for process, _ in instance.live_processes()):
                running.append(name)
        if running:
            self._for_each(asker, running, lambda name: lambda number: inputs.ReloadInstance(number, job.name, name))
        else:
            asker.failed(f"Job is not running: {job.name}")

    def _for_each(self, asker: Asker, names: List[str], make: Callable[[str], Callable[[int], Any]], fine: Any = ()) -> None:
        """Feed an input for each instance, and answer when all have been answered."""
        left = set(names)
        failures: List[str] = []

        def ended(name: str, error: Optional[str], message: str) -> None:
            left.discard(name)
            if error is not None and error not in fine:
                failures.append(message)
            answer()

        def answer() -> None:
            if left:
                return
            elif failures:
                asker.failed(", ".join(failures))
            else:
                asker.done()

        asker.gone = lambda: self._pending.drop_connection(asker)
        for name in names:
            def told(error: Optional[str], message: str, name: str = name) -> None:
                ended(name, error, message)

            # Made now: what went before may have changed this one.
            self._feed(make(name)(self._pending.enter(_Wait(asker, told))))
        if not names:
            answer()

    # -- main processes of units --------------------------------------------------------------------------------

    def _hold(self, asker: Asker, name: str) -> None:
        """Until the job is over."""
        job = self._engine.job(name)
        if job is not None and job.instance_names() and not job.definition.task:
            asker.ready()
        self._end_if_over(name)

    def _end_if_over(self, name: str) -> None:
        job = self._engine.job(name)
        if name not in self._main or (job is not None and job.instance_names()):
            return
        failure = self._failures.get(name)
        for asker in self._main.pop(name):
            if asker.connection.fileno() < 0:
                continue
            if failure is None:
                asker.done()
            else:
                asker.failed(f"{name}: {failure}")

    def _main_is_over(self, asker: Asker, job: str) -> None:
        askers = self._main.get(job, set())
        askers.discard(asker)
        if not askers:
            self._main.pop(job, None)

    def _main_is_gone(self, asker: Asker, job: str) -> None:
        self._pending.drop_connection(asker)
        self._main_is_over(asker, job)
        self.went(job)


def _failure(status: int) -> str:
    """JobFailed's status in words."""
    if status < 0:
        return "a process could not be started"
    if status == 0:
        return "it is respawning too fast"
    if status > 0xFF:
        return f"a process was killed by signal {signal_name(status >> 8) or status >> 8}"
    return f"a process ended with status {status}"

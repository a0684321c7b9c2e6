"""What the units of jobs ask for, as inputs of the engine, and the answers.

A unit is active while somebody asks ``start`` or ``hold`` for its job and has not been told the end: the unit's
main process (launcher_ask.c). So with the job's last instance the unit ends too, and fails if the job did. This is
all that keeps a unit in step with a job that stops; unit_starts.py does what is needed when one starts.

Other than for callers of D-Bus, a start of a job that has been started already waits for what comes of it, and
a stop is for all instances: systemd does not ask which.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple
from weakref import WeakKeyDictionary

from ..control.calls import PendingCalls
from ..engine import actions, inputs
from ..engine.view import EngineView, JobView, Refused
from ..parser.signals import signal_name
from ..state.reading import Record, Unreadable, array, count, flag, members, natural, optional, strings, text, tuple_of
from .request_socket import Asker

_START, _STOP, _RELOAD, _HOLD = "start", "stop", "reload", "hold"
#: Of a start that a daemon before this one has begun.
_AWAIT = "await"
#: Refusals of a stop that has come to its end already.
_STOPPED = ("UnknownJob", "UnknownInstance", "AlreadyStopped")


class _Wait:
    """One input that an asker waits for (control.calls.Caller); ``told`` gets the error's name and text, or None and "".

    ``instance`` is what is asked of one of several, "" for a start.
    """

    def __init__(self, asker: Asker, told: Callable[[Optional[str], str], None], instance: str = "") -> None:
        self.connection: Any = asker
        self.number = 0
        self.job: Optional[str] = None
        self.instance = instance
        self._told = told

    def succeed_with_instance(self, instance: Optional[str]) -> None:
        self._told(None, "")

    def fail(self, error: str, message: str) -> None:
        self._told(error, message)


class _Gathering:
    """The answers about several instances, until there is one for each. Refusals in ``fine`` count as done."""

    def __init__(self, asker: Asker, left: Set[str], fine: Sequence[str], failures: Sequence[str] = ()) -> None:
        self.left = left
        self.failures = list(failures)
        self._asker = asker
        self._fine = fine

    def wait(self, instance: str) -> _Wait:
        """What is to be told of one of them."""
        def told(error: Optional[str], message: str) -> None:
            self.left.discard(instance)
            if error is not None and error not in self._fine:
                self.failures.append(message)
            self.answer()

        return _Wait(self._asker, told, instance)

    def answer(self) -> None:
        """If nothing is left."""
        if self.left:
            return
        elif self.failures:
            self._asker.failed(", ".join(self.failures))
        else:
            self._asker.done()


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
        #: Of those who ask for something of several instances.
        self._gatherings: "WeakKeyDictionary[Asker, _Gathering]" = WeakKeyDictionary()
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

    @property
    def expected(self) -> List[str]:
        """Jobs whose unit is going to be started, and did not ask yet."""
        return sorted(self._expected)

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
        if verb in (_STOP, _HOLD, _AWAIT) and job is None:
            asker.done()
        elif job is None:
            asker.failed(f"Unknown job: {name or unit}")
        elif verb in (_START, _HOLD, _AWAIT):
            self._is_main(asker, job.name)
            expected = job.name in self._expected
            self._expected.discard(job.name)
            if verb == _HOLD or expected or (verb == _AWAIT and not _is_to_run(job)):
                self._hold(asker, job.name)
            else:
                self._start(asker, job)
            asker.taken()
            self.came(job.name)
        elif verb == _STOP:
            self._for_each(asker, verb, job.instance_names(), lambda instance: self._stop(job, instance))
        elif verb == _RELOAD:
            self._reload(asker, job)
        else:
            asker.failed(f"Unknown request: {verb}")

    def _is_main(self, asker: Asker, job: str) -> None:
        self._main.setdefault(job, set()).add(asker)
        asker.gone = lambda: self._main_is_gone(asker, job)

    def _started(self, asker: Asker, job: str) -> _Wait:
        def told(error: Optional[str], message: str) -> None:
            if error is None:
                self._hold(asker, job)
            else:
                self._main_is_over(asker, job)
                failure = self._failures.get(job)
                asker.failed(f"{message} ({failure})" if failure and error == "JobFailed" else message)

        return _Wait(asker, told)

    def _start(self, asker: Asker, job: JobView) -> None:
        number = self._pending.enter(self._started(asker, job.name))
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
            self._for_each(asker, _RELOAD, running, lambda name: lambda number: inputs.ReloadInstance(number, job.name, name))
        else:
            asker.failed(f"Job is not running: {job.name}")

    def _for_each(self, asker: Asker, verb: str, names: List[str], make: Callable[[str], Callable[[int], Any]]) -> None:
        """Feed an input for each instance, and answer when all have been answered."""
        gathering = self._gather(asker, verb, names)
        for name in names:
            # Made now: what went before may have changed this one.
            self._feed(make(name)(self._pending.enter(gathering.wait(name))))
        if not names:
            gathering.answer()

    def _gather(self, asker: Asker, verb: str, names: Iterable[str], failures: Sequence[str] = ()) -> _Gathering:
        gathering = self._gatherings[asker] = _Gathering(asker, set(names), _STOPPED if verb == _STOP else (), failures)
        asker.gone = lambda: self._pending.drop_connection(asker)
        return gathering

    # -- over a re-exec ------------------------------------------------------------------------------------------

    def state(self, askers: Iterable[Asker]) -> Dict[str, Any]:
        """Plain data for ``restore``; the descriptors in it are to be kept open."""
        listed: List[Dict[str, Any]] = []
        main = {asker: job for job, found in self._main.items() for asker in found}
        for asker in askers:
            waits = [(wait.number, wait.instance) for wait in self._pending.all_of(asker) if isinstance(wait, _Wait)]
            gathering = self._gatherings.get(asker)
            if asker in main or (gathering is not None and waits):
                listed.append({"fd": asker.connection.fileno(), "job": main.get(asker), "waits": waits, "stops": int(asker.verb == _STOP),
                               "failures": gathering.failures if gathering is not None else []})
        return {"askers": listed, "expected": sorted(self._expected), "failures": dict(self._failures)}

    def restore(self, section: Record, adopt: Callable[[int], Optional[Asker]]) -> None:
        """Go on with who has asked the daemon that this one replaces. ``adopt`` makes an Asker of a descriptor.

        What is wrong with one loses only that one: it asks again.
        """
        self._expected.update(_forgiving(section, "expected", strings, ()))
        self._failures.update({job: text(failure) for job, failure in _forgiving(section, "failures", members, {}).items()
                               if type(failure) is str})
        for entry in _forgiving(section, "askers", array, []):
            try:
                found = Record(entry)
                job, stops, failures = found.get("job", optional(text)), found.get("stops", flag), found.get("failures", strings)
                waits = found.get("waits", tuple_of(_wait))
                asker = adopt(found.get("fd", natural))
            except Unreadable:
                continue
            if asker is None:
                continue
            asker.verb = _STOP if stops else _START
            if job is not None:
                self._is_main(asker, job)
                for number, _ in waits:
                    self._pending.enter_again(self._started(asker, job), number, None)
            else:
                gathering = self._gather(asker, asker.verb, (name for _, name in waits), failures)
                for number, name in waits:
                    self._pending.enter_again(gathering.wait(name), number, None)

    def restored(self) -> None:
        """The jobs are known: units whose job is over end."""
        for job in list(self._main):
            if not any(self._pending.all_of(asker) for asker in self._main.get(job, ())):
                self._end_if_over(job)

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


def _is_to_run(job: JobView) -> bool:
    """Whether an instance of the job is being started, or runs."""
    return any(instance is not None and instance.goal == "start" for instance in map(job.instance, job.instance_names()))


def _failure(status: int) -> str:
    """JobFailed's status in words."""
    if status < 0:
        return "a process could not be started"
    if status == 0:
        return "it is respawning too fast"
    if status > 0xFF:
        return f"a process was killed by signal {signal_name(status >> 8) or status >> 8}"
    return f"a process ended with status {status}"


def _wait(value: Any) -> Tuple[int, str]:
    pair = array(value)
    if len(pair) != 2:
        raise Unreadable("not a pair")
    return count(pair[0]), text(pair[1])


def _forgiving(section: Record, key: str, kind: Any, default: Any) -> Any:
    try:
        return section.get(key, kind, default)
    except Unreadable:
        return default

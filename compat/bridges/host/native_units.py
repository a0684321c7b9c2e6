"""What the host's own units mean to jobs: starting, started, stopping and stopped of the names that jobs use (B224-B235).

The names that operands have and no class has are looked up in the alias table; each is told of one unit, the first
that the host has, or another one when that is down and the other comes up (B229). A unit tells its events to every
name that it stands for, in steps (unit_phases).

Only a service that runs once and is named as a task has other steps: it is ``started`` as soon as it starts, and has
``stopped`` when it is done, be it still *active* by then or not.

Objects in the daemon's table are

    unit:UNIT            what unit_phases writes
    native:NAME          the unit that a name is told of, where that is not its first candidate

A unit that is not in it has been there before anybody asked, unless the host is booting (B204, B230).
"""
from __future__ import annotations

from typing import Callable, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ...parser.signals import signal_name
from .aliases import Aliases, Resolution, job_of
from .fact import GONE, Fact, HostEvent, Known, event
from .unit_phases import DOWN, STARTING, STOPPING, UP, Phase, read, steps
from .wanted import Wanted

_KEY, _CHOICE = "unit:", "native:"
_EVENTS = {STARTING: "starting", UP: "started", STOPPING: "stopping", DOWN: "stopped"}
_HELD = frozenset(("starting", "stopping"))
_UP_STATES = frozenset(("active", "reloading", "refreshing"))
_AUTO_RESTART = "auto-restart"
_EXITED, _KILLED, _DUMPED = 1, 2, 3
_NEVER = Phase(DOWN)
_OF_USERS = ("user@", "user-runtime-dir@")


class UnitSeen(NamedTuple):
    """What the manager says of a unit, in its own words.

    ``names``: all of its names, ``unit`` may be left out. ``loaded``: it has a definition, and is not masked. ``job``:
    one is queued for it. ``active_enter``: microseconds on the monotonic clock. ``oneshot``: of services.
    ``main_pid``, ``main_code`` and ``main_status`` are ExecMainPID, ExecMainCode (as si_code of SIGCHLD, 0 while there
    is nothing to say) and ExecMainStatus.
    """

    unit: str
    names: Tuple[str, ...] = ()
    loaded: bool = True
    active: str = "inactive"
    sub: str = "dead"
    invocation: str = ""
    job: bool = False
    active_enter: int = 0
    oneshot: bool = False
    result: str = "success"
    main_pid: int = 0
    main_code: int = 0
    main_status: int = 0


class _Name(NamedTuple):
    """A job's name and instance that a unit stands for; ``asked``: an operand names it."""

    job: str
    instance: str
    task: bool
    asked: bool


class NativeUnits:
    """The native units that jobs wait for. ``booting``: the first pass of a boot.

    ``shows_job(unit)``: whether this is no native unit, but shows a job to systemctl (B235).
    """

    def __init__(self, wanted: Wanted, aliases: Aliases, known: Known, booting: bool,
                 shows_job: Callable[[str], bool] = lambda unit: False) -> None:
        self._wanted = wanted
        self._aliases = aliases
        self._booting = booting
        self._shows_job = shows_job
        #: units that were found to show a job; they do until they are looked at anew, though their file may go before
        self._of_jobs: Set[str] = set()
        self._known = {key[len(_KEY):]: read(phase) for key, phase in known.items() if key.startswith(_KEY)}
        self._told: Dict[str, Phase] = {}
        self._loaded: Dict[str, bool] = {}
        #: what is being reviewed
        self._batch: Dict[str, UnitSeen] = {}
        #: units to all their names, and back
        self._also: Dict[str, Tuple[str, ...]] = {}
        self._unit: Dict[str, str] = {}
        #: which unit each name is told of
        self._chosen: Dict[str, str] = {key[len(_CHOICE):]: unit for key, unit in known.items() if key.startswith(_CHOICE)}
        self._asked: FrozenSet[str] = frozenset()
        self._names: FrozenSet[str] = frozenset()
        self._every = False
        #: candidate to the names that it may stand for
        self._may_be: Dict[str, List[str]] = {}
        self._read_wanted()

    # -- what is asked -------------------------------------------------------------------------------------------

    def needed(self) -> FrozenSet[str]:
        """The units to be loaded and watched."""
        return frozenset(self._may_be)

    def takes(self, unit: str) -> bool:
        """Whether a unit that the manager tells of is to be watched: instances of templates, every service (B224, B227)."""
        if self._names_that_mean(unit):
            return True
        job = job_of(unit)
        if job is None or not (self._every or ("@" in unit and job[0] in self._names)):
            return False
        # Not by what was found out earlier: this is asked before units are looked at anew.
        return not _is_no_job(unit) and not self._shows_job(unit)

    # -- what happens ----------------------------------------------------------------------------------------------

    def update(self, seen: Sequence[UnitSeen], complete: bool = False, new: bool = False) -> List[Fact]:
        """Units as they are now. ``complete``: all there are, as after a connection; what is not among them is not there.
        ``new``: they were not loaded a moment ago, so they were down.

        Those that went down are told first, so that another may take over a name; then the others as they came up (B230).
        """
        if complete:
            self._of_jobs.clear()
        units = {each.unit: each for each in seen if not self._is_ours(each.unit)}
        if complete:
            for unit in {*self._told, *self._known} - set(units):
                units[unit] = UnitSeen(unit, loaded=False)
        for each in units.values():
            self._loaded[each.unit] = each.loaded
            self._also[each.unit] = tuple(dict.fromkeys((each.unit, *each.names)))
            self._unit.update((name, each.unit) for name in each.names)
            if each.unit in self._known:
                self._told[each.unit] = self._known.pop(each.unit)
            elif new:
                self._told.setdefault(each.unit, _NEVER)
        self._batch = units
        facts = self._choose()
        for each in sorted(units.values(), key=lambda each: (each.active in _UP_STATES, each.active_enter)):
            facts += self._review(each)
        self._batch = {}
        if complete:
            self._booting = False
            facts += self._forget()
        return facts

    def announced(self, seen: UnitSeen, state: str) -> List[Fact]:
        """A hooked unit, as it is now, is about to be STARTING or STOPPING, and waits until the jobs are done with that (B232).

        A start has no invocation yet: ``starting`` without one is what was announced and has not begun.
        """
        told = self._told.get(seen.unit)
        if told is None or not seen.job:
            return []
        if state == STARTING and _is_over(seen):
            now = Phase(STARTING)
        elif state == STOPPING and not _is_over(seen) and told.state in (STARTING, UP):
            now = Phase(STOPPING, told.invocation)
        else:
            return []
        self._batch = {seen.unit: seen}
        facts = self._go_on(seen, told, now)
        self._batch = {}
        # Without the invocation of the run before, too.
        self._told[seen.unit] = now
        return facts

    def removed(self, unit: str) -> List[Fact]:
        """The manager has unloaded a unit that is not needed: it is not running, whatever was heard last."""
        if unit not in self._told:
            return []
        facts = self.update([UnitSeen(unit, loaded=False)])
        del self._told[unit]
        return [*facts, Fact(_KEY + unit, GONE)]

    def reconsider(self) -> List[Fact]:
        """Conditions or aliases came or went. The units that nobody asks for any more are forgotten."""
        self._read_wanted()
        return self._forget() + self._choose()

    def _forget(self) -> List[Fact]:
        """The units that nobody asks for."""
        facts: List[Fact] = []
        for unit in [unit for unit in self._told if not self.takes(unit)]:
            del self._told[unit]
            self._loaded.pop(unit, None)
            for name in self._also.pop(unit, ()):
                self._unit.pop(name, None)
            facts.append(Fact(_KEY + unit, GONE))
        for name in [name for name, unit in self._chosen.items() if name not in self._names or unit not in self._told]:
            del self._chosen[name]
            facts.append(Fact(_CHOICE + name, GONE))
        return facts

    def _is_ours(self, unit: str) -> bool:
        """Units that are never told of (B234, B235)."""
        if _is_no_job(unit) or unit in self._of_jobs:
            return True
        if not self._shows_job(unit):
            return False
        self._of_jobs.add(unit)
        return True

    # -- names -----------------------------------------------------------------------------------------------------

    def _read_wanted(self) -> None:
        self._asked, self._every = self._wanted.native_jobs()
        names = set(self._asked)
        if self._every:
            names.update(name for name in self._aliases.names() if not self._wanted.registered(name))
        self._names = frozenset(names)
        self._may_be = {}
        for name in sorted(names):
            for unit in self._aliases.candidates(name):
                if not _is_no_job(unit):
                    self._may_be.setdefault(unit, []).append(name)

    def _names_that_mean(self, unit: str) -> List[str]:
        return [name for each in self._also.get(unit, (unit,)) for name in self._may_be.get(each, ())]

    def _is_there(self, candidate: str) -> bool:
        unit = self._unit.get(candidate, candidate)
        return self._loaded.get(unit, False) or self._told.get(unit, _NEVER).state != DOWN

    def _runs(self, candidate: str) -> bool:
        """Whether it was told to be running, or is about to be."""
        unit = self._unit.get(candidate, candidate)
        seen = self._batch.get(unit)
        # A job of one that is down is that of its start: its turn has not come yet, but it will not be another's place then.
        return self._told.get(unit, _NEVER).state != DOWN or (
            seen is not None and (seen.job or self._seen_phase(seen, _NEVER).state != DOWN))

    def _choose(self) -> List[Fact]:
        """Find a unit for each name that has none. It is kept until it is down and another one comes up."""
        facts: List[Fact] = []
        for name in sorted(self._names):
            if name not in self._chosen:
                found = self._first_that_ran(name) or self._aliases.choose(name, self._is_there, self._runs)
                if found is not None:
                    facts += self._use(name, self._unit.get(found.unit, found.unit))
        return facts

    def _first_that_ran(self, name: str) -> Optional[Resolution]:
        """The first candidate, if it was told to have run: it stood for the name, since the table does not say otherwise.

        It may be down at the moment, while a later candidate is always up, as systemd-journald behind rsyslog.
        """
        first = next(iter(self._aliases.candidates(name)), "")
        ran = self._told.get(self._unit.get(first, first), _NEVER).invocation
        return Resolution(first, self._aliases.task(name)) if ran and self._is_there(first) else None

    def _take_over(self, unit: str) -> List[Fact]:
        """A unit comes up: it stands for the names whose unit is down."""
        return [fact for name in self._names_that_mean(unit) if not self._runs(self._chosen.get(name, ""))
                for fact in self._use(name, unit)]

    def _use(self, name: str, unit: str) -> List[Fact]:
        first = self._aliases.candidates(name)[0]
        before = self._chosen.get(name, first)
        self._chosen[name] = unit
        return [Fact(_CHOICE + name, GONE if unit == first else unit)] if unit != before else []

    def _names_of(self, seen: UnitSeen) -> List[_Name]:
        unit = seen.unit
        found = [_Name(name, "", seen.oneshot and self._aliases.task(name), name in self._asked)
                 for name in dict.fromkeys(self._names_that_mean(unit)) if self._chosen.get(name) == unit]
        job = job_of(unit)
        if job is not None and not self._wanted.registered(job[0]):
            instance = "@" in unit
            if (self._every or (instance and job[0] in self._names)) and (instance or job[0] not in {each.job for each in found}):
                found.append(_Name(job[0], job[1], False, instance and job[0] in self._asked))
        return found

    # -- states ------------------------------------------------------------------------------------------------------

    def _review(self, seen: UnitSeen) -> List[Fact]:
        unit = seen.unit
        told = self._told.get(unit)
        silent = told is None and not self._booting
        if told is None:
            told = Phase(DOWN, seen.invocation if _is_over(seen) else "")
        now = self._seen_phase(seen, told)
        if silent:
            self._told[unit] = now
            return [Fact(_KEY + unit, str(now))]
        return self._go_on(seen, told, now)

    def _go_on(self, seen: UnitSeen, told: Phase, now: Phase) -> List[Fact]:
        unit = seen.unit
        facts = self._take_over(unit) if now.state != DOWN and told.state == DOWN else []
        names = self._names_of(seen)
        previous = told
        for step in steps(told, now):
            events = [each for name in names for each in self._events(name, previous.state, step, seen)]
            facts.append(Fact(_KEY + unit, str(step), tuple(events)))
            previous = step
        if unit not in self._told and previous is told:
            # Known from now on, with what a task has done before anybody could watch.
            facts = self._past_of_tasks(names, seen) + [Fact(_KEY + unit, str(now))]
        self._told[unit] = now._replace(invocation=now.invocation or told.invocation)
        return facts

    def _past_of_tasks(self, names: Iterable[_Name], seen: UnitSeen) -> List[Fact]:
        tasks = [name for name in names if name.task]
        if not tasks or not seen.invocation:
            return []
        events = [each for name in tasks for state, previous in ((STARTING, DOWN), (STOPPING, STARTING))
                  for each in self._events(name, previous, Phase(state, seen.invocation), seen)]
        return [Fact(_KEY + seen.unit, str(Phase(STOPPING, seen.invocation)), tuple(events))]

    def _seen_phase(self, seen: UnitSeen, told: Phase) -> Phase:
        if seen.active in _UP_STATES:
            announced = seen.job and told == Phase(STOPPING, seen.invocation)
            return told if announced else Phase(UP, seen.invocation)
        if seen.active == "deactivating":
            return Phase(STOPPING, seen.invocation)
        if seen.active == "activating":
            if _AUTO_RESTART not in seen.sub:
                return Phase(STARTING, seen.invocation)
            # It has ended, and is only waiting for its next start.
            return told if told.state == DOWN else Phase(STOPPING, told.invocation)
        if seen.job and told == Phase(STARTING):
            return told
        if seen.job:
            # A restart is under way: no ``stopped`` (E27). Or it is about to start, and has its invocation already.
            return told if told.state == DOWN else Phase(STOPPING, told.invocation)
        return Phase(DOWN, seen.invocation)

    # -- events --------------------------------------------------------------------------------------------------------

    def _events(self, name: _Name, previous: str, step: Phase, seen: UnitSeen) -> List[HostEvent]:
        told: List[str] = [_EVENTS[step.state]]
        if name.task:
            if step.state == STARTING:
                told = ["starting", "started"]
            elif (step.state == UP and seen.active in _UP_STATES) or (step.state == STOPPING and previous == STARTING):
                told = ["stopping", "stopped"]
            else:
                told = []
        # What is not over may be a restart, and what was missed ended somehow.
        ended = seen.active not in _UP_STATES and seen.active != "activating"
        found: List[HostEvent] = []
        for each in told:
            result: Tuple[str, ...] = ()
            if each in ("stopping", "stopped"):
                result = _result(seen, each == "stopping") if ended else ("RESULT=ok",)
            variables = event(each, f"JOB={name.job}", f"INSTANCE={name.instance}", *result, f"HOST_UNIT={seen.unit}", hold=each in _HELD)
            if name.asked or self._is_met(variables, name, seen.unit):
                found.append(variables)
        return found

    def _is_met(self, told: HostEvent, name: _Name, unit: str) -> bool:
        if self._wanted.could_match(told.name, told.env):
            return True
        # That it was started is remembered by who will have to say that it stops (B219).
        stopping = event("stopping", f"JOB={name.job}", f"INSTANCE={name.instance}", "RESULT=ok", f"HOST_UNIT={unit}")
        return told.name == "started" and self._wanted.could_match("stopping", stopping.env)


def object_of(unit: str) -> str:
    """The object of a unit in the daemon's table."""
    return _KEY + unit


def _is_over(seen: UnitSeen) -> bool:
    return seen.active not in _UP_STATES and seen.active not in ("activating", "deactivating")


def _is_no_job(unit: str) -> bool:
    """Units that jobs run in, those of the program (B235), and what systemd has for each user (B234)."""
    return unit.startswith(_OF_USERS) or unit.startswith("upstart-") and unit.endswith((".service", ".scope"))


def _result(seen: UnitSeen, stopping: bool) -> Tuple[str, ...]:
    """RESULT and what follows it (B227)."""
    if seen.result == "success":
        return ("RESULT=ok",)
    if not seen.unit.endswith(".service"):
        return ("RESULT=failed", "PROCESS=main")
    if seen.result == "start-limit-hit":
        return ("RESULT=failed", "PROCESS=respawn")
    if not seen.main_pid:
        return ("RESULT=failed", "PROCESS=pre-start")
    if not seen.main_code or (seen.main_code == _EXITED and not seen.main_status):
        # It is running still, or did well; something else failed.
        return ("RESULT=ok",) if stopping else ("RESULT=failed", "PROCESS=main")
    if seen.main_code == _EXITED:
        return ("RESULT=failed", "PROCESS=main", f"EXIT_STATUS={seen.main_status}")
    name: Optional[str] = signal_name(seen.main_status) if seen.main_code in (_KILLED, _DUMPED) else None
    return ("RESULT=failed", "PROCESS=main", f"EXIT_SIGNAL={name or seen.main_status}")

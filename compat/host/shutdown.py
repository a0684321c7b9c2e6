"""What is done when the host goes down, step by step (B219, B220).

1. ``runlevel`` and the virtual job ``rc`` begin; both are awaited: jobs that stop on them are down, tasks done.
2. ``stopping`` of every native unit that is up, the latest first, each awaited.
3. ``deconfiguring-networking``, ``unmounting-filesystem`` and ``unmounted-remote-filesystems``, each awaited.
4. ``rc`` ends; on the way to single-user mode the level is S from here on (B214).
5. Every instance that is left is stopped, and what does not stop is killed.

A plain stop is step 5 alone (B237). Pure: ``take`` hands out what is to be done, and the caller tells ``finished``,
``out_of_time`` and ``all_stopped``. Steps 1 to 4 leave enough of the limit for step 5.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from ..bridges.host.fact import Fact, HostEvent
from .facts import Emit, Watch
from .virtual_rc import rc_begins, rc_ends

#: Seconds that step 5 gets beside the largest kill timeout.
_STOP_SECONDS = 5.0


class Kind(NamedTuple):
    """How the host goes down: the runlevel and more variables of its event (B214). No level: a plain stop."""

    level: str = ""
    extra: Tuple[str, ...] = ()


class Reached(NamedTuple):
    """A native unit is about to be stopped: keep that in the fact table."""

    fact: Fact


class StopInstances(NamedTuple):
    """Stop every instance, within so many seconds; then tell ``all_stopped``."""

    seconds: float


class Done(NamedTuple):
    """Everything that was asked for is done."""


class Warn(NamedTuple):
    """A warning for the log."""

    text: str


class Host(NamedTuple):
    """What the steps ask while they go on. ``kill_timeout``: the largest of all instances, in seconds."""

    clock: Callable[[], float]
    units: Callable[[], List[Fact]]
    wanted: Callable[[str], bool]
    network_mounts: Callable[[], bool]
    kill_timeout: Callable[[], float]
    virtual_rc: Callable[[], bool]


class Shutdown:
    """One way down. ``previous`` is the runlevel before; ``with_previous`` puts it into the events of ``rc`` (B217)."""

    def __init__(self, kind: Kind, previous: str, with_previous: bool, limit: float, host: Host) -> None:
        self.kind = kind
        self._host = host
        self._begins = rc_begins(kind.level, previous, with_previous)
        self._ends = rc_ends(kind.level, previous, with_previous)
        self._runlevel = HostEvent("runlevel", (f"RUNLEVEL={kind.level}", f"PREVLEVEL={previous}", *kind.extra), True)
        self._deadline = host.clock() + limit
        self._limit = limit
        self._tickets: Dict[int, str] = {}
        self._last_ticket = 0
        self._todo: List[Any] = []
        #: what is still to come: functions that emit something and say what is to be awaited
        self._steps: List[Callable[[], None]] = []
        self._units: List[Fact] = []
        self._stopping = False
        #: the host may still stay up: it is not decided that step 2 follows
        self.only_first = False
        self.first_done = False
        self.over = False

    # -- what the caller says ------------------------------------------------------------------------------

    def begin(self, only_first: bool = False, first_known: bool = False) -> None:
        """Begin. ``only_first``: stop after step 1 for the moment (B221). ``first_known``: an earlier daemon took that step."""
        self.only_first = only_first
        if not self.kind.level:
            self._stop_instances()
            return
        self._steps = [] if first_known else [self._begin_rc, self._rc_has_begun]
        if not only_first:
            self._plan_later_steps()
        self._next()

    def go_on(self) -> None:
        """After ``begin(only_first=True)``: the rest, when step 1 is done."""
        if self.only_first:
            self.only_first = False
            self._deadline = self._host.clock() + self._limit
            self._plan_later_steps()
            if not self._tickets:
                self._next()

    def finished(self, ticket: int) -> None:
        """An event is finished."""
        name = self._tickets.pop(ticket, None)
        if name is None or self._stopping:
            return
        if name == "starting" and self._steps and self._steps[0] == self._rc_has_begun:
            # Not after the runlevel event: both hold at the same time.
            self._steps.pop(0)()
        elif not self._tickets:
            self._next()

    def out_of_time(self) -> None:
        """The time for steps 1 to 4 is over."""
        if self._stopping or self.only_first:
            return
        names = ", ".join(sorted(set(self._tickets.values())))
        self._todo.append(Warn(f"event {names} not finished, stopping all jobs" if names else "no time left, stopping all jobs"))
        self._stop_instances()

    def hurry(self) -> None:
        """There is no time any more for whatever is left."""
        self._deadline = self._host.clock()
        if not self._stopping:
            self.only_first = False
            self._stop_instances()

    def all_stopped(self) -> None:
        """Step 5 is done."""
        if self._stopping and not self.over:
            self.over = True
            self._todo.append(Done())

    def take(self) -> List[Any]:
        """What is to be done, in order: Emit, Watch (ticket 0: ``out_of_time``), Reached, StopInstances, Warn, Done."""
        todo, self._todo = self._todo, []
        return todo

    # -- steps -------------------------------------------------------------------------------------------------

    def _plan_later_steps(self) -> None:
        self._steps += [self._stop_units, self._end_network, self._unmount, self._unmounted, self._end_rc, self._rc_has_ended]
        self._todo.append(Watch(0, self._time_for_events()))

    def _next(self) -> None:
        while self._steps and not self._tickets and not self._stopping:
            if self._steps[0] == self._stop_units:
                self.first_done = True
            self._steps.pop(0)()
        if self._tickets or self._stopping:
            return
        self.first_done = True
        if self.only_first:
            self._todo.append(Done())
        else:
            self._stop_instances()

    def _await(self, *events: HostEvent) -> None:
        for event in events:
            self._last_ticket += 1
            self._tickets[self._last_ticket] = event.name
            self._todo.append(Emit(event, self._last_ticket))

    def _begin_rc(self) -> None:
        if self._host.virtual_rc():
            self._await(self._runlevel, self._begins[0])
        else:
            self._steps.pop(0)
            self._await(self._runlevel)

    def _rc_has_begun(self) -> None:
        self._await(self._begins[1])

    def _stop_units(self) -> None:
        # One after the other: a job may have to be down before the unit that it uses.
        self._units = self._host.units()
        self._steps[:0] = [self._stop_unit] * len(self._units)
        self._await_if_wanted("desktop-shutdown")

    def _stop_unit(self) -> None:
        fact = self._units.pop(0)
        self._todo.append(Reached(fact))
        self._await(*fact.events)

    def _end_network(self) -> None:
        self._await_if_wanted("deconfiguring-networking")

    def _unmount(self) -> None:
        self._await_if_wanted("unmounting-filesystem")

    def _unmounted(self) -> None:
        name = "unmounted-remote-filesystems"
        if not self._host.wanted(name):
            return
        if self._host.network_mounts():
            self._todo.append(Warn(f"{name}: there are network mounts left, not emitted"))
        else:
            self._await(HostEvent(name, (), True))

    def _end_rc(self) -> None:
        if self._host.virtual_rc():
            self._await(self._ends[0])

    def _rc_has_ended(self) -> None:
        if self._host.virtual_rc():
            self._await(self._ends[1])
        if self.kind.level == "1":
            self._await(HostEvent("runlevel", ("RUNLEVEL=S", "PREVLEVEL=1"), True))

    def _await_if_wanted(self, name: str) -> None:
        if self._host.wanted(name):
            self._await(HostEvent(name, (), True))

    # -- time ----------------------------------------------------------------------------------------------------

    def _time_for_events(self) -> float:
        # B220; where the limit is as short as that, half of it.
        return max(self._limit - _STOP_SECONDS - self._host.kill_timeout(), self._limit / 2)

    def _stop_instances(self) -> None:
        self._stopping = True
        self._tickets.clear()
        self._steps.clear()
        self._todo.append(StopInstances(max(0.0, self._deadline - self._host.clock())))

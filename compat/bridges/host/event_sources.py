"""Who on this host emits what an operand waits for (B199, B210, B276, B278).

For every operand of a condition there is one answer: a source of the host, a job, or nobody. Nobody is
what a typing error, a pattern in the wrong place and an event of another system have in common. The answer
is made of the table of the host's events, the jobs that are loaded, the units that exist and the
administrator's mappings; so a file can be judged before it is installed, and for a host other than this.
"""
from __future__ import annotations

from typing import Callable, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ...engine.conditions import Argument, postfix, split_argument
from ...engine.globs import glob_match, is_literal
from ...host.profile import RHEL, UBUNTU
from ...parser.definition import Condition, Match
from .aliases import Aliases
from .loaded_jobs import Jobs
from .master_table import EARLY_JOBS, EVENTS, MILESTONES, NEVER, SYSTEMD, VALUES, WITH_SERVICES, Milestone, Row
from .wanted import JOB_EVENTS, Operand, job_argument, operands, possible

_TOO_EARLY = "too early on this host"
#: Below these the kernel and the host have mounted everything before any job is asked (B210).
_VIRTUAL_PLACES = ("/proc", "/sys", "/dev", "/run")
_FAILED = "/failed"
#: How alike two names have to be, of 1, to take one for a slip of the other.
_NEAR = 0.8
#: With as many names at most a name is compared; to compare takes a few microseconds.
_MOST_COMPARED = 200
_UNIT_STARTS = ("JOB", "INSTANCE", "HOST_UNIT")
_UNIT_ENDS = ("JOB", "INSTANCE", "RESULT", "PROCESS", "EXIT_STATUS", "EXIT_SIGNAL", "HOST_UNIT")


class Host(NamedTuple):
    """What is known of a host.

    ``unit_exists``: whether a unit of this name can be loaded and is not masked. ``mapped``: events of the lines
    ``on … emit …`` (B270). ``programs``: the bridges that are installed.
    """

    kind: str = SYSTEMD
    profile: str = UBUNTU
    unit_exists: Callable[[str], bool] = lambda unit: False
    aliases: Aliases = Aliases()
    mapped: FrozenSet[str] = frozenset()
    programs: FrozenSet[str] = frozenset()


class Source(NamedTuple):
    """``label`` is what B199 prints, "none" for nobody; ``note`` is what there is to say about it."""

    label: str
    note: str = ""

    @property
    def exists(self) -> bool:
        """Whether the operand can ever be met."""
        return self.label != "none"

    def __str__(self) -> str:
        return f"{self.label} ({self.note})" if self.note else self.label


class EventSources:
    """The sources of one host with its jobs; what is asked later sees what is loaded later."""

    def __init__(self, host: Host, jobs: Jobs) -> None:
        self._host = host
        self._jobs = jobs
        self._rows = tuple(row for row in EVENTS if host.kind in row.kinds and host.profile in row.profiles)
        self._milestones = tuple(
            name for name, milestone in MILESTONES.items() if host.kind in milestone.kinds and host.profile in milestone.profiles)

    def source(self, operand: Operand) -> Source:
        """Who emits what this operand waits for."""
        leaf = possible(operand)
        if leaf is None:
            return Source("none", "variables are never set in start on")
        # An event that failed is followed by one with the same variables (E87).
        name = leaf.event[:-len(_FAILED)] if leaf.event.endswith(_FAILED) else leaf.event
        if name in JOB_EVENTS:
            return self._of_job_event(Match(name, leaf.args))
        return self._of_event(leaf, name)

    def reachable(self, job: str, stanza: str, condition: Condition) -> bool:
        """Whether the condition can become true: both sides of an ``and``, one of an ``or``."""
        values: List[bool] = []
        for node in postfix(condition):
            if isinstance(node, Match):
                values.append(self.source(Operand(job, stanza, node)).exists)
            else:
                right = values.pop()
                left = values.pop()
                values.append(left and right if node == "and" else left or right)
        return values[0]

    def unmet(self, job: str, start_on: Optional[Condition], stop_on: Optional[Condition]) -> Iterator[Tuple[Operand, Source]]:
        """The operands of a job that nobody can meet, for the log at start-up and on loading (B199)."""
        for operand in operands(job, start_on, stop_on):
            source = self.source(operand)
            if not source.exists:
                yield operand, source

    # -- events ------------------------------------------------------------------------------------------

    def _of_event(self, leaf: Match, name: str) -> Source:
        if name in self._host.mapped:
            return Source("mapping")
        row = self._row(name)
        problem: Optional[str] = None
        if row is not None:
            if row.program and row.program not in self._host.programs:
                problem = f"{row.program} is not installed"
            else:
                problem = _mismatch(leaf, row.variables)
            if problem is None:
                return Source(row.source, row.program or (_TOO_EARLY if _mounts_virtual(leaf) else ""))
        emitter = self._jobs.emitter(name)
        if emitter is not None:
            return Source("emits of " + emitter)
        if problem is None:
            problem = NEVER.get(name) or self._advice(name)
        return Source("none", problem)

    def _row(self, name: str) -> Optional[Row]:
        for row in self._rows:
            if row.event == name or not is_literal(row.event) and glob_match(row.event, name):
                return row
        return None

    def _advice(self, name: str) -> str:
        if not is_literal(name):
            return "the name of an event is no pattern, and an argument stands apart from it"
        if self.stands(name):
            return f"did you mean started {name}?"
        known = [row.event for row in self._rows if is_literal(row.event)]
        near = _nearest(name, known)
        return f"did you mean {near}?" if near else ""

    # -- jobs and what stands for them ---------------------------------------------------------------------

    def _of_job_event(self, leaf: Match) -> Source:
        argument = job_argument(leaf)
        if argument is None or argument.negated or not is_literal(argument.value):
            return self._of_many(leaf, argument)
        name = argument.value
        if self._jobs.loaded(name):
            return Source("job " + name)
        found = self._of_unit(leaf, name) or self._of_milestone(leaf, name)
        if found is not None:
            return found
        near = _nearest(name, self._names_like(name))
        what = "job or unit" if self._host.kind in WITH_SERVICES else "job"
        return Source("none", f"there is no {what} {name}" + (f", did you mean {near}?" if near else ""))

    def _of_many(self, leaf: Match, argument: Optional[Argument]) -> Source:
        """An operand that is about every job, or about those that a pattern means."""
        what = "any job"
        if self._host.kind in WITH_SERVICES:
            what = "any job or unit"
        elif argument is not None and not any(
                glob_match(argument.value, name) != argument.negated for name in (*self._jobs.names(), *self._milestones)):
            return Source("none", f"there is no job {argument.value}")
        return Source(what)

    def _of_unit(self, leaf: Match, name: str) -> Optional[Source]:
        if self._host.kind not in WITH_SERVICES:
            return None
        aliases = self._host.aliases
        resolution = aliases.resolve(name, self._host.unit_exists)
        if resolution is None:
            return None
        problem = _mismatch(leaf, _UNIT_STARTS if leaf.event in ("starting", "started") else _UNIT_ENDS)
        if problem is not None:
            return Source("none", problem)
        return Source(f"{self._host.kind} {resolution.unit}", _TOO_EARLY if leaf.event == "starting" and name in EARLY_JOBS else "")

    def _of_milestone(self, leaf: Match, name: str) -> Optional[Source]:
        if name not in self._milestones:
            return None
        milestone = MILESTONES[name]
        problem = _mismatch(leaf, self._variables(leaf.event, name, milestone))
        if problem is not None:
            return Source("none", problem)
        return Source(milestone.source, _TOO_EARLY if leaf.event in milestone.early else "")

    def _variables(self, event: str, name: str, milestone: Milestone) -> Tuple[str, ...]:
        variables = milestone.variables
        if name == "rc" and self._host.profile == RHEL:
            # Red Hat's rc exported the level only (B189, B217).
            variables = variables[:1]
        return ("JOB", "INSTANCE", *(("RESULT",) if event in ("stopping", "stopped") else ()), *variables)

    def stands(self, name: str) -> bool:
        """Whether there is a job, a unit or a milestone of this name, so that it has job events."""
        return self._jobs.loaded(name) or name in self._milestones or (
            self._host.kind in WITH_SERVICES and self._host.aliases.resolve(name, self._host.unit_exists) is not None)

    def _names_like(self, name: str) -> List[str]:
        known = (*self._jobs.names(), *self._milestones, *self._host.aliases.names())
        return [each for each in known if _alike(name, each) and self.stands(each)]


def _mismatch(leaf: Match, variables: Optional[Tuple[str, ...]]) -> Optional[str]:
    """Why no event with these variables can match, in words; None if one can."""
    for position, text in enumerate(leaf.args):
        key, negated, pattern = split_argument(text)
        if key is None:
            if variables is None:
                continue
            if position >= len(variables):
                return f"{leaf.event} has no {position + 1} variables" if variables else f"{leaf.event} has no variables"
            key = variables[position]
        elif variables is not None and key not in variables:
            return f"{leaf.event} has no variable {key}"
        # Who may add variables may give them values of their own.
        values = VALUES.get(key) if variables is not None else None
        if values is not None and not any(glob_match(pattern, value) != negated for value in values):
            return f"{key} is never {'other than ' if negated else ''}{pattern}"
    return None


def _mounts_virtual(leaf: Match) -> bool:
    """Whether the operand waits for the mounting of what was mounted before any job is asked (B210)."""
    if leaf.event != "mounting":
        return False
    places = [argument.value for argument in map(split_argument, leaf.args) if argument.key == "MOUNTPOINT" and not argument.negated]
    return any(place == top or place.startswith(top + "/") for place in places for top in _VIRTUAL_PLACES)


def _alike(name: str, known: str) -> bool:
    """Whether it is worth to compare two names closely; there may be thousands."""
    return abs(len(known) - len(name)) < 3 and known[:1] == name[:1]


def _nearest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` may be a slip of, or ""."""
    # Rarely needed, and slow to load.
    from difflib import get_close_matches
    near = get_close_matches(name, sorted({each for each in known if _alike(name, each)})[:_MOST_COMPARED], 1, _NEAR)
    return near[0] if near else ""


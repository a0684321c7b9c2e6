"""What control asks of the rest of the daemon."""
from __future__ import annotations

from typing import Callable, Mapping, Protocol, Sequence

from ..backends.placement import Placement
from ..bridges.host.fact import Fact
from ..host.hooks import Announcement
from ..parser.definition import Match
from .calls import Call


class DaemonServices(Protocol):
    """The daemon's side of the methods that are not about jobs. All calls return at once."""

    @property
    def user_mode(self) -> bool:
        """Started with --user (C35, C84)."""

    @property
    def pid1(self) -> bool:
        """Running as process 1 (C50, C52, C82)."""

    @property
    def uid(self) -> int:
        """The daemon's own real user id (C35)."""

    def version(self) -> str:
        """``init (upstart VERSION)`` (C45)."""

    def log_priority(self) -> str:
        """The least priority that is logged: debug, info, message, warn, error or fatal (C46)."""

    def set_log_priority(self, priority: str) -> None:
        """Change it; ``priority`` is one of those names."""

    def reload_configuration(self) -> None:
        """Read all configuration sources again (C38). Control has logged ``Reloading configuration``."""

    def write_held_output(self) -> None:
        """Write out the job output that is being kept (C49). Raises OSError where it still cannot be written."""

    def end_session(self) -> None:
        """Begin to quiesce with reason ``logout``; does nothing if that is going on already (C52).

        The daemon may not exit before this returns. Not called in pid 1.
        """

    def state(self) -> str:
        """The daemon's whole state as text (C47, D197)."""

    def re_execute(self, call: Call) -> None:
        """Execute the program anew, keeping the state (C48). ``call`` is answered only if nothing comes of it.

        Raises Refused where that is not possible at the moment (D247).
        """

    def placement(self, spawn: int) -> Placement:
        """Where a process is, and why (X261)."""

    def unit(self, spawn: int) -> str:
        """The name of the unit that it is in, "" for none."""

    def event_source(self, job: str, stanza: str, operand: Match) -> str:
        """Who emits what an operand of the job's ``start on`` or ``stop on`` waits for, in words (B199)."""


class HostServices(Protocol):
    """The daemon's side of host mode. All calls return at once."""

    @property
    def kind(self) -> str:
        """One of compat.host.detection.KINDS (B194)."""

    @property
    def profile(self) -> str:
        """ubuntu, rhel, chromeos or minimal (B197)."""

    def masked(self) -> Sequence[str]:
        """The names of jobs that are left to the host (B198)."""

    def fact(self, fact: Fact) -> bool:
        """Take a fact; whether it was news (B200)."""

    def facts(self) -> Mapping[str, str]:
        """Every known object with its phase (B202)."""

    def announce(self, unit: str, state: str, done: Callable[[], None]) -> None:
        """A hooked unit is about to be in this state; ``done`` is called when the jobs are done with that (B232)."""

    def take_announcement(self, again: bool, taker: Callable[[Announcement], None]) -> None:
        """The bridge takes the next announcement; ``again``: also one that was handed out before and not told."""

    def announcement_told(self, number: int, objects: Sequence[str]) -> None:
        """The bridge has told it; ``objects`` are those of the fact table that it is about."""

    def shut_down(self, level: str, extra: Sequence[str], only_first: bool, done: Callable[[], None]) -> None:
        """The host goes down to this level ("": a plain stop); ``done`` is called after all steps, or the first (B219, B221)."""

    def shutdown_cancelled(self) -> None:
        """It does not after all (B221)."""

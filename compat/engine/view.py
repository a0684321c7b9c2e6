"""What others may read of the engine without telling it anything.

Control answers queries from these; nobody outside the engine changes what they return.
``Engine`` and its classes satisfy these protocols.
"""
from __future__ import annotations

from typing import List, Optional, Protocol, Sequence, Tuple

from ..parser.definition import JobDefinition
from .condition_report import ConditionReport


class Refused(Exception):
    """A request that the engine refuses: the same two texts as actions.Refuse."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


class InstanceView(Protocol):
    """One running (or starting, or stopping) copy of a job."""

    @property
    def name(self) -> str:
        """Expanded instance name, empty for singletons (E3)."""

    @property
    def goal(self) -> str:
        """stop, start or respawn (E10)."""

    @property
    def state(self) -> str:
        """A state name of E11."""

    def live_processes(self) -> List[Tuple[str, int]]:
        """(process name, pid) of each live process, in slot order (C72)."""

    def live_spawns(self) -> List[Tuple[str, int]]:
        """The same processes with their spawn numbers (actions.SpawnProcess)."""


class JobView(Protocol):
    """One registered job class."""

    @property
    def name(self) -> str:
        """The job's name."""

    @property
    def definition(self) -> JobDefinition:
        """The definition in force, which may be older than its file (E118)."""

    def instance_names(self) -> List[str]:
        """Names of the instances in the order of E83."""

    def instance(self, name: str) -> Optional[InstanceView]:
        """The instance of that name, if it exists."""


class EngineView(Protocol):
    """All that can be asked."""

    def job_names(self) -> List[str]:
        """Names of the registered jobs in the order of E83 (C40)."""

    def job(self, name: str) -> Optional[JobView]:
        """The registered job of that name."""

    def select_instance(self, job: str, env: Sequence[str]) -> str:
        """The name of the existing instance that ``env`` selects, for GetInstance (C54-C57).

        Raises Refused: InvalidArgs (with the usage text) or UnknownInstance.
        """

    def conditions(self, job: str) -> "List[ConditionReport]":
        """How far the conditions of a registered job are met; none for a name that is not registered."""

    def list_env(self, job: Optional[str], instance: Optional[str]) -> Tuple[str, ...]:
        """The global table (job None) or an instance's (C88). Raises Refused (C81)."""

    def get_env(self, job: Optional[str], instance: Optional[str], name: str) -> str:
        """One variable of such a table. Raises Refused (C81, C87)."""

"""What the models ask of whoever knows the conditions of all loaded jobs (B196).

``wanted.Wanted`` is the one who knows; a model needs no more of it than this.
"""
from __future__ import annotations

from typing import FrozenSet, Protocol, Tuple


class Interest(Protocol):
    """Questions about the operands of all conditions."""

    def event(self, name: str) -> bool:
        """Whether some operand names this event."""

    def could_match(self, name: str, env: Tuple[str, ...]) -> bool:
        """Whether some operand of this event could match these variables."""

    def native_jobs(self) -> Tuple[FrozenSet[str], bool]:
        """Names of jobs that are the host's, as operands have them; and whether every service is meant (B224)."""

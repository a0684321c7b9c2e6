"""A session that also says which conditions nobody on this host can meet (B199)."""
from __future__ import annotations

from typing import Callable, Sequence

from .daemon_link import Session


class JudgedSession:
    """``judge`` is called when all jobs are known, and again when jobs came or went."""

    def __init__(self, session: Session, judge: Callable[[], None]) -> None:
        self._session = session
        self._judge = judge
        judge()

    def reconsider(self) -> None:
        """As daemon_link.Session."""
        self._session.reconsider()
        self._judge()

    def emitted(self, name: str, env: Sequence[str]) -> None:
        """As daemon_link.Session."""
        self._session.emitted(name, env)

    def close(self) -> None:
        """As daemon_link.Session."""
        self._session.close()

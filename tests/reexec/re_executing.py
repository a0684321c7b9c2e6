"""Re-executing a real daemon, and calls that wait over it."""
from __future__ import annotations

import os
import pathlib
import threading
from typing import Any, Callable, List, Optional

from tests.daemon.running import MANAGER, Client, Daemon, E, F, Failed, U, alive, eventually

__all__ = ["Waiting", "re_execute", "runs"]


def runs(daemon: Daemon) -> int:
    """How many re-execs the daemon's log tells of."""
    return daemon.output.count("Stateful re-exec completed")


def re_execute(daemon: Daemon) -> None:
    """Ask for it over a connection of its own; return when the new program is at work (C48, D176)."""
    before = runs(daemon)
    client = daemon.connect()
    try:
        client.call(MANAGER, U, "Restart")
    except Failed as failure:
        assert failure.name in (F + "NoReply", F + "Disconnected"), failure
    else:
        raise AssertionError("Restart was answered")
    eventually(lambda: runs(daemon) > before, daemon.log)
    # Over the connection that every other test of the daemon uses, too.
    assert daemon.client.get(MANAGER, U, "version")


class Waiting:
    """A call that waits for its answer in a thread."""

    def __init__(self, client: Client, path: str, interface: str, member: str, signature: str = "", *arguments: object) -> None:
        self.result: Any = None
        self.failed: Optional[Failed] = None
        self._work: Callable[[], Any] = lambda: client.call(path, interface, member, signature, *arguments)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Failed as failure:
            self.failed = failure

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> Any:
        """The result; raises Failed."""
        self._thread.join(30)
        assert self.over, "the caller was not answered"
        if self.failed is not None:
            raise self.failed
        return self.result


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def gone(pid: int) -> bool:
    return not alive(pid)


def text(path: pathlib.Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def lines(path: pathlib.Path) -> List[str]:
    return text(path).splitlines()


JOB_FAILED = E + "JobFailed"

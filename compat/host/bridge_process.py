"""Runs the host bridge as a child of the daemon, where no service manager does (B257).

It is a process like any other: should it end, it is started again, at once at first and then after growing pauses.
What it had told is in the fact table, so nothing is repeated. Jobs are not affected (B274).
"""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Callable, Mapping, Optional, Protocol, Sequence

from ..engine.actions import DEBUG, WARN
from .known_facts import Cancellable

#: The directory that this package is in. The child gets it said: an installed program has it in no variable.
_LIBRARY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from compat.bridges.host.main import main; sys.exit(main())"
#: Isolated: neither the environment nor the working directory choose what root runs.
COMMAND = (sys.executable, "-I", "-c", _PROGRAM, _LIBRARY, "--child")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
#: Having lived so long, it is started again without a pause to speak of.
_WELL = 60.0


class Loop(Protocol):
    """What is asked of the main loop."""

    def later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call back once, so many seconds from now."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back when the descriptor is readable."""

    def remove_reader(self, fd: int) -> None:
        """Do not any more."""

    def quit(self) -> None:
        """End the daemon."""


class BridgeProcess:
    """``environment`` of the child, and the ``command`` that it is."""

    def __init__(self, environment: Mapping[str, str], loop: Loop, log: Callable[[int, str], None],
                 command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._environment = dict(environment)
        self._loop = loop
        self._log = log
        self._pid = 0
        self._fd = -1
        self._began = 0.0
        self._pause = _FIRST_PAUSE
        self._retry: Optional[Cancellable] = None

    def start(self) -> None:
        """Start it, now."""
        self._retry = None
        self._began = time.monotonic()
        try:
            # The daemon waits for all of its children, so for this one as well.
            self._pid = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, env=self._environment, cwd="/", start_new_session=True).pid
            self._fd = os.pidfd_open(self._pid)
        except OSError as error:
            self._log(WARN, f"Unable to start the host bridge: {error.strerror}")
            self._again()
            return
        self._log(DEBUG, f"host bridge process ({self._pid})")
        self._loop.add_reader(self._fd, self._ended)

    @property
    def pid(self) -> int:
        """The process, 0 if there is none."""
        return self._pid if self._fd >= 0 else 0

    def go_on(self, pid: int) -> bool:
        """Take over the process that the daemon before this one, in its place, has started. False if that has ended."""
        try:
            # Not one that was not ours, whatever the number says.
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            self._fd = os.pidfd_open(pid)
        except (OSError, OverflowError):
            return False
        self._pid, self._began = pid, time.monotonic()
        self._loop.add_reader(self._fd, self._ended)
        return True

    def stop(self) -> None:
        """End it for good."""
        if self._retry is not None:
            self._retry.cancel()
        if self._fd >= 0:
            try:
                signal.pidfd_send_signal(self._fd, signal.SIGTERM)
            except OSError:
                pass
            self._forget()

    def _ended(self) -> None:
        self._forget()
        self._log(WARN, "The host bridge has ended, starting it again")
        if time.monotonic() - self._began > _WELL:
            self._pause = _FIRST_PAUSE
        self._again()

    def _again(self) -> None:
        self._retry = self._loop.later(self._pause, self.start)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _forget(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

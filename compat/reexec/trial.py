"""Whether the program would start: it is run aside once before anything depends on it (D244).

Behind an exec there is no way back. A program that is there but does not run, because half of an upgrade is
missing or its libraries do not fit, would take the jobs' supervisor down. So the daemon, which works on
meanwhile, first lets it load everything and say its version. Once it has said that it reads ahead (config/read_ahead.py).
"""
from __future__ import annotations

import os
import signal
from typing import Any, Callable, List, Optional, Tuple

from ..backends.identity import Identity
from ..config import read_ahead
from ..loop import MainLoop, Timer

#: Seconds that it may take to start, and to read ahead.
PATIENCE = 20.0
_MOST_READ = 65536
_EXPECTED = "init (upstart "


class Trial:
    """One trial. ``done`` is called once, with None if the program starts, else with the reason.

    ``ahead`` is the memfd that asks it to read ahead, -1 for none.
    """

    def __init__(self, loop: MainLoop, command: List[str], done: Callable[[Optional[str]], None], ahead: int = -1,
                 patience: float = PATIENCE) -> None:
        self._loop = loop
        self._done = done
        self._output = b""
        self._pipe = -1
        self._identity: Optional[Identity] = None
        self._pid = 0
        self._deadline: Optional[Timer] = None
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.set_blocking(writing, True)
            actions: List[Tuple[Any, ...]] = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
            environment = dict(os.environ)
            if ahead >= 0:
                actions.append((os.POSIX_SPAWN_DUP2, ahead, 0))
                environment[read_ahead.VARIABLE] = "1"
            else:
                actions.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
            # A session of its own: a terminal's signals are for the daemon.
            self._pid = os.posix_spawnp(command[0], command, environment, file_actions=actions, setsid=True, setsigmask=[])
        except OSError as error:
            os.close(reading)
            reason = error.strerror or str(error)
            self._deadline = loop.later(0.0, lambda: self._finish(reason))
            return
        finally:
            os.close(writing)
        self._pipe = reading
        self._identity = Identity(self._pid)
        self._deadline = loop.later(
            patience, lambda: self._finish(None if self._started() else f"it did not start within {patience:g} seconds"))
        loop.add_reader(reading, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, _MOST_READ)
        except BlockingIOError:
            return
        self._output = (self._output + data)[:_MOST_READ]
        if not data:
            lines = self._lines()
            self._finish(None if self._started() else (lines[-1][:500] if lines else "it ended without a word"))

    def _lines(self) -> List[str]:
        return self._output.decode("utf-8", "replace").strip().splitlines()

    def _started(self) -> bool:
        return any(line.startswith(_EXPECTED) for line in self._lines())

    def _finish(self, reason: Optional[str]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._pipe >= 0:
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
        if self._identity is not None:
            # Its end is seen where all children are waited for.
            if self._identity.holds():
                try:
                    os.kill(self._pid, signal.SIGKILL)
                except OSError:
                    pass
            self._identity.close()
        self._done(reason)

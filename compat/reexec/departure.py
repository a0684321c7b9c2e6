"""From the request for a re-exec to the exec (D177, D182, D243, D244).

Nothing that is done here hurts the daemon that does it: what is to stay open merely loses its close-on-exec,
everything else ends by the exec itself. So if there is no exec, the daemon goes on as if nothing had been asked for,
and whoever asked is told why.

The state goes through a memfd, which needs nobody who writes while the other reads; the new program may as
well be given a pipe (arrival.py).
"""
from __future__ import annotations

import gc
import os
import signal
import time
from typing import AbstractSet, Any, Callable, Dict, List, NamedTuple, NoReturn, Optional

from ..engine.actions import ERROR, INFO
from ..engine.view import Refused
from ..loop import MainLoop
from .trial import Trial

#: Seconds that clients which are just connecting, or are in the midst of reading or writing, have for it; and how soon it is looked again.
_PATIENCE = 5.0
_MOMENT = 0.05


class Luggage(NamedTuple):
    """What goes over the exec: the state as text, and the descriptors that it names."""

    state: str
    descriptors: AbstractSet[int]


class Departure:
    """``ahead`` gives the memfd by which the trial is asked to read ahead, -1 for none. ``pack(calls, at_once, ahead)`` makes the
    Luggage, without keeping the clients that made the calls, or raises Refused; None if somebody needs another moment and it has not
    to be at once. ``command(state_fd)`` gives the words to execute, ``trial`` those by which it is tried out. ``tell(calls, reason)``
    says that nothing came of it. ``leave()`` is the last moment before the exec; what it returns is called if that fails.
    """

    def __init__(self, loop: MainLoop, log: Callable[[int, str], None], command: Callable[[int], List[str]], trial: Callable[[], List[str]],
                 ahead: Callable[[], int], pack: Callable[[List[Any], bool, int], Optional[Luggage]],
                 leave: Callable[[AbstractSet[int]], Callable[[], None]], tell: Callable[[List[Any], str], None]) -> None:
        self._loop = loop
        self._log = log
        self._command = command
        self._trial = trial
        self._make_ahead = ahead
        self._ahead = -1
        self._pack = pack
        self._leave = leave
        self._tell = tell
        self._calls: List[Any] = []
        self._trying: Optional[Trial] = None

    def request(self, call: Optional[Any] = None) -> None:
        """Re-execute; requests that come before it has happened are one."""
        if call is not None:
            self._calls.append(call)
        if self._trying is None:
            self._ahead = self._make_ahead()
            self._trying = Trial(self._loop, self._trial(), self._tried, self._ahead)

    def _tried(self, reason: Optional[str]) -> None:
        if reason is not None:
            self._give_up(f"{self._trial()[0]} does not start: {reason}")
        else:
            self._attempt(time.monotonic() + _PATIENCE)

    def _attempt(self, end: float) -> None:
        # All of them: SIGCHLD and the like come when the new program is ready for them (D177).
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        # All that is made now goes with the exec, and clients wait.
        gc.disable()
        try:
            self._loop.handle_signals()
            luggage = self._pack(self._calls, time.monotonic() >= end, self._ahead)
            if luggage is not None:
                self._go(luggage)
            else:
                self._loop.later(_MOMENT, lambda: self._attempt(end))
        except Refused as refusal:
            self._give_up(refusal.message)
        except Exception as error:
            self._give_up(f"{type(error).__name__}: {error}")
            raise
        finally:
            gc.enable()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _go(self, luggage: Luggage) -> None:
        """Returns only if there was no exec."""
        state_fd = _in_memory(luggage.state)
        changed: Dict[int, bool] = {}
        back: Optional[Callable[[], None]] = None
        try:
            for fd in {*luggage.descriptors, state_fd}:
                changed[fd] = os.get_inheritable(fd)
                os.set_inheritable(fd, True)
            self._log(INFO, "Performing stateful re-exec")
            command = self._command(state_fd)
            back = self._leave(luggage.descriptors)
            _execute(command)
        except OSError as error:
            if back is not None:
                back()
            for fd, inheritable in changed.items():
                os.set_inheritable(fd, inheritable)
            self._give_up(f"Failed to re-execute {self._command(state_fd)[0]}: {error.strerror or error}")
        finally:
            os.close(state_fd)

    def _give_up(self, reason: str) -> None:
        self._trying = None
        ahead, self._ahead = self._ahead, -1
        if ahead >= 0:
            os.close(ahead)
        calls, self._calls = self._calls, []
        self._log(ERROR, reason)
        self._tell(calls, reason)


def _execute(command: List[str]) -> NoReturn:
    os.execvp(command[0], command)


def _in_memory(text: str) -> int:
    """A descriptor to read the text from. Raises OSError."""
    data = memoryview(text.encode("ascii"))
    fd = os.memfd_create("upstart-state", os.MFD_CLOEXEC)
    try:
        while data:
            data = data[os.write(fd, data):]
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd

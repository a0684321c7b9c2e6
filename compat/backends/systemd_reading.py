"""When the daemon reads what systemd says (X259).

As soon as it comes, a few messages at a time; and after each call, because signals may have been read with its
answer. But not while a launcher has leave to go on and has not answered yet: systemd has a dozen things to say of each
new unit, and reading them would keep a processor from the launcher, and from whoever waits for the job.
"""
from __future__ import annotations

from functools import partial
from typing import Callable, List

from .protocol import Later

#: How long a launcher that does not answer may hold up the reading, in seconds.
_HOLD_SECONDS = 0.002


class SystemdReading:
    """``watch`` and ``unwatch`` belong to whoever waits for descriptors; ``dispatch`` says whether it got all that there was."""

    def __init__(self, watch: Callable[[int, Callable[[], None]], None], unwatch: Callable[[int], None], later: Later,
                 dispatch: Callable[[], bool]) -> None:
        self._watch = watch
        self._unwatch = unwatch
        self._later = later
        self._dispatch = dispatch
        self._descriptor = -1
        self._due = False
        self._held = False
        self._holds = 0
        self._heard: List[Callable[[], None]] = []

    def begin(self, descriptor: int) -> None:
        """There is a connection."""
        self._descriptor = descriptor
        self._held = False
        self._watch(descriptor, self._read)
        self.soon()

    def end(self) -> None:
        """There is none any more."""
        if self._descriptor >= 0:
            self._unwatch(self._descriptor)
            self._descriptor = -1

    def soon(self) -> None:
        """Signals may be waiting inside the connection, where no descriptor tells of them."""
        if not self._due:
            self._due = True
            self._later(0.0, self._now)

    def when_heard(self, then: Callable[[], None]) -> None:
        """Call it when everything that has been sent until now has been handled."""
        self._heard.append(then)
        self.soon()

    def hold(self) -> None:
        """A launcher has leave to go on; ``go_on`` follows when it has answered."""
        if not self._held and self._descriptor >= 0:
            self._held = True
            self._holds += 1
            self._unwatch(self._descriptor)
            self._later(_HOLD_SECONDS, partial(self._held_long_enough, self._holds))

    def go_on(self) -> None:
        """Read again."""
        if self._held:
            self._held = False
            if self._descriptor >= 0:
                self._watch(self._descriptor, self._read)
            self.soon()

    def _held_long_enough(self, hold: int) -> None:
        if hold == self._holds:
            self.go_on()

    def _now(self) -> None:
        self._due = False
        if not self._held:
            self._read()

    def _read(self) -> None:
        heard, self._heard = self._heard, []
        if self._dispatch():
            for then in heard:
                then()
        else:
            self._heard = heard + self._heard
            self.soon()

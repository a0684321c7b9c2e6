"""Jobs as units of systemd, as the daemon sees it: one object that hears what happens and does the rest.

See the modules beside it: request_socket.py and requests.py for what units ask, shown_jobs.py for the
unit files, unit_starts.py for units whose job was not started by systemd.
"""
from __future__ import annotations

from typing import Any, Callable, Dict

from ..backends.systemd_connection import SystemdError
from ..control.calls import PendingCalls
from ..engine.actions import INFO, JobAdded, JobRemoved
from ..engine.view import EngineView
from ..state.reading import Record
from .expected_start import ExpectedStart
from .request_socket import Loop, RequestSocket
from .requests import UnitRequests
from .shown_jobs import ShownJobs
from .systemd_manager import SystemdManager
from .unit_folder import UnitFolder
from .unit_starts import UnitStarts

#: Seconds within which jobs that come and go are taken together.
_SETTLED = 0.05
#: Until systemd is asked again that did not answer.
_RETRY = 5.0


class JobUnits:
    """``socket`` is the path that units ask at, ``launcher`` the program that does, ``clock`` gives monotonic seconds."""

    def __init__(self, engine: EngineView, feed: Callable[[Any], None], pending: PendingCalls, manager: SystemdManager, loop: Loop,
                 log: Callable[[int, str], None], clock: Callable[[], float], launcher: str, socket: str, folder: UnitFolder) -> None:
        self._manager = manager
        self._loop = loop
        self._log = log
        self._requests = UnitRequests(engine, feed, pending, lambda unit: self._shown.job_of(unit))
        self._shown = ShownJobs(engine, manager, folder, log, launcher, socket, self._requests.let_go)
        self._starts = UnitStarts(engine, manager, self._shown, self._requests, loop, log, clock, ExpectedStart(socket + ".expected"))
        self._socket = RequestSocket(socket, loop, log, self._requests.asked)
        self._compare_due = False
        self._is_closed = False

    def open(self, goes_on: bool = False) -> None:
        """Begin, when the jobs are known. Raises OSError.

        ``goes_on``: another daemon has seen to the units of nearly all jobs, and clients wait; so that comes later.
        """
        self._socket.open()
        self._requests.restored()
        self._starts.take_over()
        if goes_on:
            self._starts.go_on()
            self._compare_later(_SETTLED)
        else:
            self._compare()

    def state(self) -> Dict[str, Any]:
        """Plain data for ``restore``; the descriptors ``fd`` of its ``askers`` are to be kept open over a re-exec."""
        return self._requests.state(self._socket.askers)

    def restore(self, section: Record, usable: Callable[[int], bool]) -> None:
        """Before ``open``: go on with who has asked the daemon that this one replaces."""
        self._requests.restore(section, lambda descriptor: self._socket.adopt(descriptor) if usable(descriptor) else None)

    def announced(self, action: Any) -> None:
        """An announcement of the engine."""
        self._requests.announced(action)
        self._starts.announced(action)
        if type(action) in (JobAdded, JobRemoved):
            self._compare_later(_SETTLED)

    def look_again(self) -> None:
        """systemd has read its files again, or it is back."""
        self._compare_later(_SETTLED)

    def _compare_later(self, seconds: float) -> None:
        if not self._compare_due:
            self._compare_due = True
            self._loop.later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        # Else it was done meanwhile.
        if self._compare_due:
            self._compare()

    def _compare(self) -> None:
        self._compare_due = False
        if self._is_closed or not self._manager.is_reachable:
            # It is looked again when it is.
            return
        try:
            self._shown.compare()
        except SystemdError as error:
            self._log(INFO, f"systemd does not say which units there are: {error}")
            self._compare_later(_RETRY)
            return
        # Not before it is known which unit shows which job.
        self._socket.serve()
        self._starts.consider_all()

    def close(self) -> None:
        """End all units and remove them, at the daemon's end; before the connection to systemd is closed."""
        self._is_closed = True
        self._shown.remove_all()
        self._requests.end()
        self._socket.close()

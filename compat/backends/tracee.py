"""Follows a main process with ``expect fork`` or ``expect daemon`` from parent to child (X68-X86).

Why ptrace: a daemon's parent ends as soon as its child runs, and only the kernel knows, without a
race, which child that was. The launcher is seized (PTRACE_SEIZE) while it waits for leave to go on; from
then on the kernel stops the process at every fork, exec and signal and reports the stop through
waitpid. ``TraceeTable.handle`` is given each status that the caller's one waitpid loop collects, does
the next step of X72, and lets the process go on. There is no thread and no waiting in here; all calls
must come from the thread that reaps, because the kernel refuses ptrace requests from any other (X85).

Seized, and not by PTRACE_TRACEME: then the tracer's stops show as events, and none is a signal that would
kill the process if the tracer died just then; and a stop that is to last (a group-stop) can be told from the
delivery of a signal. Of a process of systemd's it is left to last (PTRACE_LISTEN).

States of a tracee (X71); one that is in no table is in state "none"::

    new        the launcher, whose exec is still to come
    normal     runs its program; forks and execs will show as events
    new-child  a fork was followed; the child's own first stop is still to come

What is easy to get wrong:

* The child's first stop may be reported before its parent's fork event (X74). Nobody knows the pid
  then, so the table remembers it with its parent, who is a tracee in state normal. Where the parent is
  gone the child is let go at once, and the ones remembered go with their parent; nothing is left over.
* A tracee can only be let go while it is stopped. ``detach`` therefore interrupts it and marks it as
  leaving: its next stop, whichever that is, is answered with PTRACE_DETACH.
* The SIGSTOP of ``expect stop`` is seen here where the process is not our child, because only its parent
  could wait for it: it is not delivered, and said to have happened.
* Who else follows the main process may have to know the new pid before the old one can end. ``held`` of a
  tracee is called with both while parent and child are stopped, and ``resume_held`` lets them go.
* ESRCH from ptrace means that the process was killed while it was stopped. Its end is reported next,
  and that is when it counts.
"""
from __future__ import annotations

import ctypes
import errno
import os
import signal
from typing import Callable, Dict, Iterator, Optional, Tuple

from ..engine.actions import WARN
from ..engine.inputs import ProcessForked, ProcessReady, ProcessReplaced, ProcessStopped
from ..state.processes import Trace
from .protocol import Feed, Log

NEW, NORMAL, NEW_CHILD = "new", "normal", "new-child"

#: Called with the pids of a parent and of its child, which is the main process from now on.
Held = Callable[[int, int], None]

_CONT, _DETACH, _GETEVENTMSG, _SEIZE, _INTERRUPT, _LISTEN = 7, 17, 0x4201, 0x4206, 0x4207, 0x4208
_EVENT_FORK, _EVENT_EXEC, _EVENT_STOP = 1, 4, 128
# Neither TRACEVFORK nor TRACECLONE: vfork, posix_spawn and threads do not count (X76).
_OPTIONS = (1 << _EVENT_FORK) | (1 << _EVENT_EXEC)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, pid: int, data: int = 0) -> None:
    """One ptrace(2) request with address 0; raises OSError."""
    if _libc.ptrace(request, pid, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _event_message(pid: int) -> int:
    message = ctypes.c_ulong()
    ptrace(_GETEVENTMSG, pid, ctypes.addressof(message))
    return message.value


def _state_and_parent(pid: int) -> Tuple[str, int]:
    """The letter of the process's state and its parent's pid; ("", 0) if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
            # The name in parentheses may itself hold blanks and parentheses.
            fields = stat.read(1024).rpartition(b")")[2].split()
        return fields[0].decode("ascii"), int(fields[1])
    except (OSError, ValueError, IndexError):
        return "", 0


class Tracee:
    """One followed process: plain data, so that it can be written down for a re-exec.

    ``state`` is NEW, NORMAL or NEW_CHILD, ``forks`` how many were followed (X71). ``leaving``:
    ``detach`` was asked for and nothing of this process is reported any more. ``parent`` is the one that is
    kept stopped until ``resume_held``, 0 for none; ``stopped``: so is the child, which has had its first stop.
    """

    __slots__ = ("expect", "forks", "held", "label", "leaving", "parent", "pid", "spawn", "state", "stopped")

    def __init__(self, spawn: int, pid: int, expect: str, label: str) -> None:
        self.spawn = spawn
        self.pid = pid
        self.expect = expect
        self.label = label
        self.state = NEW
        self.forks = 0
        self.leaving = False
        self.held: Optional[Held] = None
        self.parent = 0
        self.stopped = False


class TraceeTable:
    """All processes that are being followed.

    ``on_pid(spawn, old, new)`` is called just before ProcessForked is fed. ``feed`` may call back
    into the table: every change is complete before it is called.
    """

    def __init__(self, feed: Feed, log: Log, on_pid: Callable[[int, int, int], None]) -> None:
        self._feed = feed
        self._log = log
        self._on_pid = on_pid
        self._tracees: Dict[int, Tracee] = {}
        #: Children in their first stop whose parent's fork event is still to come: pid -> parent.
        self.early: Dict[int, int] = {}

    def __iter__(self) -> Iterator[Tracee]:
        return iter(list(self._tracees.values()))

    def __len__(self) -> int:
        return len(self._tracees)

    # -- what the backend asks for -------------------------------------------------------------------

    def seize(self, spawn: int, pid: int, expect: str, label: str, held: Optional[Held] = None) -> None:
        """Follow a launcher that waits for leave to go on. Raises OSError.

        ``expect`` is "fork" or "daemon", or "stop" for one that is not our child; ``label`` is "NAME main process". If
        there is somebody who has to know, ``held`` is called each time that the main process is another.
        """
        # Forks and execs are of no interest to ``expect stop``.
        ptrace(_SEIZE, pid, 0 if expect == "stop" else _OPTIONS)
        tracee = self._tracees[pid] = Tracee(spawn, pid, expect, label)
        tracee.held = held

    def resume_held(self, spawn: int) -> None:
        """Whoever had to know of the new main process knows."""
        tracee = self._find(spawn)
        if tracee is None or not tracee.parent:
            return
        parent, tracee.parent = tracee.parent, 0
        self._let_go(parent, 0, tracee)
        if tracee.stopped:
            tracee.stopped = False
            self._first_stop(tracee)

    def state(self, spawn: int) -> Optional[Trace]:
        """What is known of a process that is followed, for a re-exec; it stays traced over the exec (D193)."""
        tracee = self._find(spawn)
        if tracee is None:
            return None
        early = tuple(child for child, parent in self.early.items() if parent == tracee.pid)
        return Trace(tracee.state, tracee.forks, tracee.leaving, early, tracee.parent, tracee.stopped)

    def restore(self, spawn: int, pid: int, expect: str, label: str, trace: Trace, held: Optional[Held] = None) -> None:
        """Go on following; stops that came meanwhile are reported yet (D238). ``held`` as of ``seize``."""
        tracee = Tracee(spawn, pid, expect, label)
        tracee.state, tracee.forks, tracee.leaving = trace.state, trace.forks, trace.leaving
        tracee.parent, tracee.stopped, tracee.held = trace.parent, trace.stopped, held
        self._tracees[pid] = tracee
        self.early.update((child, pid) for child in trace.early)

    def detach(self, spawn: int) -> None:
        """Stop following; the process runs on (X81). Nothing is fed for this spawn any more."""
        tracee = self._find(spawn)
        if tracee is None or tracee.leaving:
            return
        tracee.leaving = True
        if tracee.parent:
            self.resume_held(spawn)
        else:
            try:
                ptrace(_INTERRUPT, tracee.pid)
            except OSError:
                self._drop(tracee)

    def forget(self, spawn: int) -> None:
        """The process is gone. Should it be traced still, it is let go at its next stop."""
        tracee = self._find(spawn)
        if tracee is not None:
            self._drop(tracee)

    def handle(self, pid: int, status: int) -> bool:
        """Deal with one raw waitpid status; to be called for every status of every child.

        True: a stop of the tracer's, dealt with. False: an end, a stop or a continuation that
        means what it says; an end is forgotten here first. Never raises OSError.
        """
        tracee = self._tracees.get(pid)
        if not os.WIFSTOPPED(status):
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self.early.pop(pid, None)
                if tracee is not None:
                    self._drop(tracee)
            return False
        number, event = os.WSTOPSIG(status), status >> 16
        if tracee is None:
            return self._unknown_stopped(pid, number, event)
        if tracee.leaving:
            self._leave(tracee, number, event)
        elif event == _EVENT_STOP:
            self._event_stopped(tracee, number)
        elif not event and number == signal.SIGSTOP and tracee.expect == "stop":
            self._raised_stop(tracee)
        elif event == _EVENT_FORK:
            self._forked(tracee)
        elif event == _EVENT_EXEC:
            self._executed(tracee)
        elif event:
            self._resume(tracee)
        else:
            # Delivered unchanged (X82).
            self._resume(tracee, number)
        return True

    # -- the steps of X72 --------------------------------------------------------------------------------

    def _event_stopped(self, tracee: Tracee, number: int) -> None:
        """The first stop of a child, or that all of a process is stopped, or goes on."""
        if tracee.state == NEW_CHILD:
            self._first_stop(tracee)
        elif number == signal.SIGTRAP:
            self._resume(tracee)
        elif number == signal.SIGSTOP and tracee.expect == "stop":
            # One of its other threads took the signal.
            self._raised_stop(tracee)
        elif tracee.held is None:
            # Our child goes on, as it does under Upstart: a stop of its own must not hold up its forks.
            self._resume(tracee)
        else:
            try:
                ptrace(_LISTEN, tracee.pid)
            except OSError as error:
                self._failed("Failed to listen to traced", tracee, error)

    def _raised_stop(self, tracee: Tracee) -> None:
        self._release(tracee)
        self._feed(ProcessStopped(tracee.spawn, int(signal.SIGSTOP)))

    def _forked(self, tracee: Tracee) -> None:
        old = tracee.pid
        try:
            new = _event_message(old)
        except OSError as error:
            self._failed("Failed to obtain child process id for", tracee, error)
            self._release(tracee)
            return
        stopped = self.early.pop(new, None) is not None
        if not stopped and _state_and_parent(new)[0] in ("", "Z"):
            # Killed before this event was seen, and its end may have been reported already. Its
            # parent stays the main process, so that there is one whose end will be seen.
            self._resume(tracee)
            return
        del self._tracees[old]
        tracee.pid = new
        tracee.state = NEW_CHILD
        self._tracees[new] = tracee
        if tracee.held is None:
            self._let_go(old, 0, tracee)
        else:
            tracee.parent = old
            tracee.held(old, new)
        self._on_pid(tracee.spawn, old, new)
        self._feed(ProcessForked(tracee.spawn, new))
        if stopped and self._tracees.get(new) is tracee:
            self._first_stop(tracee)
        elif stopped:
            self._let_go(new, 0, tracee)

    def _first_stop(self, tracee: Tracee) -> None:
        if tracee.parent:
            tracee.stopped = True
        elif tracee.leaving:
            self._release(tracee)
        else:
            self._child_stopped(tracee)

    def _child_stopped(self, tracee: Tracee) -> None:
        tracee.forks += 1
        if tracee.forks > 1 or tracee.expect == "fork":
            self._release(tracee)
            self._feed(ProcessReady(tracee.spawn))
            return
        # It inherited the options.
        tracee.state = NORMAL
        self._resume(tracee)

    def _executed(self, tracee: Tracee) -> None:
        if tracee.state == NEW:
            # The launcher's. One that was executed itself just now may show that first; then the program's is said, too.
            tracee.state = NORMAL
            self._resume(tracee)
            return
        if tracee.forks == 0:
            self._resume(tracee)
            self._feed(ProcessReplaced(tracee.spawn))
            return
        self._release(tracee)
        self._feed(ProcessReplaced(tracee.spawn))
        self._feed(ProcessReady(tracee.spawn))

    # -- leaving, and processes nobody follows ---------------------------------------------------------

    def _leave(self, tracee: Tracee, number: int, event: int) -> None:
        if event == _EVENT_FORK:
            # The child may have stopped already; otherwise it is let go when it does.
            try:
                new = _event_message(tracee.pid)
            except OSError:
                new = 0
            if self.early.pop(new, None) is not None:
                self._let_go(new, 0, tracee)
        self._release(tracee, 0 if event else number)

    def _unknown_stopped(self, pid: int, number: int, event: int) -> bool:
        if event == _EVENT_STOP:
            parent = self._tracees.get(_state_and_parent(pid)[1])
            if parent is not None and parent.state == NORMAL and not parent.leaving:
                self.early[pid] = parent.pid
                return True
        try:
            ptrace(_DETACH, pid, 0 if event else number)
        except OSError:
            # Not traced, so somebody stopped it on purpose.
            return False
        return True

    # -- letting processes run ---------------------------------------------------------------------------

    def _resume(self, tracee: Tracee, number: int = 0) -> None:
        try:
            ptrace(_CONT, tracee.pid, number)
        except OSError as error:
            if error.errno != errno.ESRCH:
                self._failed("Failed to deliver signal to traced" if number else "Failed to continue traced", tracee, error)
                self._release(tracee, number)

    def _release(self, tracee: Tracee, number: int = 0) -> bool:
        """Let it run untraced and drop it; False if the kernel says it is not a stopped tracee."""
        self._drop(tracee)
        return self._let_go(tracee.pid, number, tracee)

    def _let_go(self, pid: int, number: int, tracee: Tracee) -> bool:
        try:
            ptrace(_DETACH, pid, number)
        except OSError as error:
            if error.errno == errno.ESRCH:
                return False
            self._failed("Failed to detach traced", tracee, error, pid)
            try:
                ptrace(_CONT, pid, number)
            except OSError:
                pass
        return True

    def _drop(self, tracee: Tracee) -> None:
        if self._tracees.get(tracee.pid) is tracee:
            del self._tracees[tracee.pid]
        if tracee.parent:
            parent, tracee.parent = tracee.parent, 0
            self._let_go(parent, 0, tracee)
        for child in [child for child, parent in self.early.items() if parent == tracee.pid]:
            del self.early[child]
            self._let_go(child, 0, tracee)

    def _find(self, spawn: int) -> Optional[Tracee]:
        for tracee in self._tracees.values():
            if tracee.spawn == spawn:
                return tracee
        return None

    def _failed(self, what: str, tracee: Tracee, error: OSError, pid: int = 0) -> None:
        if error.errno != errno.ESRCH:
            self._log(WARN, f"{what} {tracee.label} ({pid or tracee.pid}): {error.strerror}")

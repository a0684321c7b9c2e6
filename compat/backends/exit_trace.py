"""Learns how processes end that are not our children (X260).

The exit status of a process goes to its parent, and to whoever traces it. A script of a job, or a task, that
outlived its daemon is some other process's child by now; whether it succeeded decides how the job goes on.
So it is seized: it runs on, its signals are passed on, and its end comes out of our own waitpid. The
main process of a service is not: that would last, keep debuggers away, and tell little.

As with every tracer, all calls must come from the thread that waits.
"""
from __future__ import annotations

import os
import signal
from typing import Set

from .tracee import ptrace

_CONT, _SEIZE, _LISTEN = 7, 0x4206, 0x4208
_EVENT_STOP = 128
_STOPPING = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class ExitTrace:
    """All processes that are traced for their end."""

    def __init__(self) -> None:
        self._pids: Set[int] = set()

    def seize(self, pid: int) -> bool:
        """Trace a process; False if that is not allowed, or if it has ended."""
        try:
            ptrace(_SEIZE, pid)
        except OSError:
            return False
        self._pids.add(pid)
        return True

    def go_on(self, pid: int) -> bool:
        """Whether a process is traced already, by the daemon that this one replaces in place; it is one of these then."""
        try:
            with open(f"/proc/{pid}/status", "rb") as file:
                traced = b"\nTracerPid:\t%d\n" % os.getpid() in file.read()
        except OSError:
            return False
        if traced:
            self._pids.add(pid)
        return traced

    def handle(self, pid: int, status: int) -> bool:
        """Deal with one raw waitpid status. False: not one of these, or its end."""
        if pid not in self._pids:
            return False
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            self._pids.discard(pid)
            return False
        if not os.WIFSTOPPED(status):
            # That it goes on is nothing that a tracer has to do something about.
            return True
        number, event = os.WSTOPSIG(status), status >> 16
        try:
            if event == _EVENT_STOP and number in _STOPPING:
                # It stays stopped until it is continued.
                ptrace(_LISTEN, pid)
            else:
                ptrace(_CONT, pid, 0 if event else number)
        except OSError:
            # It was killed while it was stopped; its end comes next.
            pass
        return True

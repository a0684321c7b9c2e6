"""The daemon's side of ``upstart-compat-launcher serve``: a small process that makes the jobs' processes.

A process made by the server is the daemon's child (CLONE_PARENT), so nothing else knows of the server:
waitpid, ptrace and the exit status are as if the daemon had forked. What is saved is executing the
launcher once for each process. The server has a session of its own, so a terminal's signals do not
reach it, and it ends with the daemon, whose end of the socket is then closed.

If the server dies it is started again. If it does not answer it is killed, and the request is made
again with a new one, but not before the end of the old one shows, because it holds descriptors of the
process, nor before it is certain that no process will come of the old request. Where even the kill
has no effect, our end of the socket is shut: after that nobody can answer any more, and a process that
cannot say its pid ends.
"""
from __future__ import annotations

import array
import os
import signal
import socket
from typing import Optional, Sequence

from .identity import Identity

#: As many descriptors as one message can carry.
MOST_PASSED = 253
_NAME = "upstart-compat-launcher"
_PATIENCE = 10.0
_REPLY_SIZE = 4


class LaunchServer:
    """Starts processes.

    ``program`` is the launcher's path, ``patience`` how many seconds it may take to answer.
    """

    def __init__(self, program: str, patience: float = _PATIENCE) -> None:
        self._program = program
        self._patience = patience
        self._socket: Optional[socket.socket] = None
        self._pid = 0
        self._identity: Optional[Identity] = None

    def start(self, descriptors: Sequence[int]) -> int:
        """Make a process that has these descriptors; the first is its specification. Returns the pid.

        Raises OSError if it cannot be made.
        """
        if len(descriptors) > MOST_PASSED:
            return self._start_directly(descriptors)
        numbers = array.array("i", descriptors)
        for _ in range(2):
            connection = self._connection()
            try:
                connection.sendmsg([numbers], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
                reply = self._reply(connection)
            except ConnectionError:
                reply = b""
            if len(reply) == _REPLY_SIZE:
                pid = int(array.array("i", reply)[0])
                if pid < 0:
                    raise OSError(-pid, os.strerror(-pid))
                return pid
            self.close()
        return self._start_directly(descriptors)

    def close(self) -> None:
        """Let the server end."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._identity is not None:
            self._identity.close()
            self._identity = None

    def _connection(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                # Not by a file action: before glibc 2.29 a dup2 to the same number leaves close-on-exec on.
                theirs.set_inheritable(True)
                try:
                    pid = os.posix_spawn(self._program, (_NAME, "serve", str(theirs.fileno())), {}, setsid=True)
                except OSError:
                    ours.close()
                    raise
            self._pid = pid
            self._identity = Identity(pid)
            ours.settimeout(self._patience)
            self._socket = ours
        return self._socket

    def _reply(self, connection: socket.socket) -> bytes:
        """The answer to a request; empty if no process will come of it. Raises ConnectionError, which means the same."""
        try:
            return connection.recv(_REPLY_SIZE)
        except socket.timeout:
            self._kill()
        try:
            return connection.recv(_REPLY_SIZE)
        except socket.timeout:
            connection.shutdown(socket.SHUT_RD)
        # Does not wait any more: what was sent before, or nothing.
        return connection.recv(_REPLY_SIZE)

    def _kill(self) -> None:
        if self._identity is not None and self._identity.holds():
            os.kill(self._pid, signal.SIGKILL)

    def _start_directly(self, descriptors: Sequence[int]) -> int:
        closed_on_exec = [fd for fd in set(descriptors) if not os.get_inheritable(fd)]
        try:
            for fd in closed_on_exec:
                os.set_inheritable(fd, True)
            return os.posix_spawn(self._program, (_NAME, str(descriptors[0])), {}, setsid=True)
        finally:
            for fd in closed_on_exec:
                os.set_inheritable(fd, False)

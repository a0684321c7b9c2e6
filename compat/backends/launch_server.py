"""The daemon's side of ``upstart-compat-launcher serve``: a small process that makes the jobs' processes.

A process made by the server is the daemon's child (CLONE_PARENT), so nothing else knows of the server:
waitpid, ptrace and the exit status are as if the daemon had forked. What is saved is executing the
launcher once for each process. The server has a session of its own, so a terminal's signals do not
reach it, and it ends with the daemon, whose end of the socket is then closed.

If the server dies it is started again. If it does not answer it is killed; the request is only made
again once the socket shows that no process of it can still appear.
"""
from __future__ import annotations

import array
import errno
import os
import signal
import socket
from typing import Optional, Sequence

#: As many descriptors as one message can carry.
MOST_PASSED = 253
_NAME = "upstart-compat-launcher"
_PATIENCE = 10.0
_REPLY_SIZE = 4


class LaunchServer:
    """Starts processes; ``program`` is the launcher's path."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._socket: Optional[socket.socket] = None
        self._pidfd = -1

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
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _connection(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                fd = theirs.fileno()
                try:
                    pid = os.posix_spawn(
                        self._program, (_NAME, "serve", str(fd)), {}, setsid=True, file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd)])
                except OSError:
                    ours.close()
                    raise
            try:
                self._pidfd = os.pidfd_open(pid)
            except OSError:
                # Kernels before 5.3: a server that hangs is then given up, not killed.
                self._pidfd = -1
            ours.settimeout(_PATIENCE)
            self._socket = ours
        return self._socket

    def _reply(self, connection: socket.socket) -> bytes:
        """The server's answer; empty if it died without having made a process."""
        try:
            return connection.recv(_REPLY_SIZE)
        except socket.timeout:
            self._kill()
        # Now only a process that it has just made can hold the socket, and that either answers or ends.
        try:
            return connection.recv(_REPLY_SIZE)
        except socket.timeout:
            self.close()
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None

    def _kill(self) -> None:
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _start_directly(self, descriptors: Sequence[int]) -> int:
        return os.posix_spawn(
            self._program, (_NAME, str(descriptors[0])), {}, setsid=True,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd) for fd in descriptors])

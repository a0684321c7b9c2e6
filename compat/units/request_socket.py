"""The socket at which the units of jobs ask the daemon to start, stop and reload them.

What asks is ``upstart-compat-launcher ask``, run by systemd; the messages are described there. One question a
connection. Only root can connect. The socket gets its name when it is ready, in place of one that a
daemon before this has left: who finds no socket may take it that no daemon runs.
"""
from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Callable, Dict, List, Optional, Protocol

from ..backends.kept_descriptors import is_channel
from ..engine.actions import WARN

_LONGEST_QUESTION, _LONGEST_TEXT = 512, 4000
#: Seconds without new connections when there are too many already.
_PAUSE = 1.0
_TOO_MANY = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Loop(Protocol):
    """The part of loop.MainLoop that is needed."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """As MainLoop."""

    def remove_reader(self, fd: int) -> None:
        """As MainLoop."""

    def later(self, seconds: float, callback: Callable[[], None]) -> object:
        """As MainLoop."""


class Asker:
    """One connection. ``gone`` is called when the other side has closed it, not after ``done`` or ``failed``."""

    def __init__(self, connection: socket.socket, closed: Callable[[Asker], None]) -> None:
        self.connection = connection
        #: what was asked for, "" as long as nothing was
        self.verb = ""
        self.gone: Callable[[], None] = lambda: None
        self._closed = closed

    def taken(self) -> None:
        """The start that was asked for is under way: it is not to be asked for again."""
        self._send(b"t")

    def ready(self) -> None:
        """The job runs; there is more to come."""
        self._send(b"r")

    def done(self) -> None:
        """What was asked for is done, or the job is over."""
        self._send(b"d")
        self.close()

    def failed(self, text: str) -> None:
        """What was asked for failed, or the job did."""
        self._send(b"f" + text.encode("utf-8", "surrogateescape")[:_LONGEST_TEXT])
        self.close()

    def close(self) -> None:
        """Without an answer."""
        if self.connection.fileno() >= 0:
            self._closed(self)
            self.connection.close()

    def _send(self, answer: bytes) -> None:
        if self.connection.fileno() < 0:
            return
        try:
            self.connection.send(answer, socket.MSG_NOSIGNAL)
        except OSError:
            # It is gone, which is noticed in time; a few short messages always fit.
            pass


class RequestSocket:
    """``asked(asker, verb, unit)`` is called with each question."""

    def __init__(self, path: str, loop: Loop, log: Callable[[int, str], None], asked: Callable[[Asker, str, str], None]) -> None:
        self.path = path
        self._loop = loop
        self._log = log
        self._asked = asked
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._is_served = False
        self._askers: Dict[int, Asker] = {}

    def open(self) -> None:
        """Let askers connect, and wait. Raises OSError."""
        fresh = self.path + ".new"
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        try:
            os.unlink(fresh)
        except FileNotFoundError:
            pass
        mask = os.umask(0o177)
        try:
            self._listener.bind(fresh)
        finally:
            os.umask(mask)
        self._listener.listen(socket.SOMAXCONN)
        os.rename(fresh, self.path)

    def serve(self) -> None:
        """Hear what they ask, from now on."""
        if not self._is_served:
            self._is_served = True
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Nobody is answered any more."""
        try:
            os.unlink(self.path)
        except OSError:
            pass
        for asker in list(self._askers.values()):
            asker.close()
        if self._is_served:
            self._loop.remove_reader(self._listener.fileno())
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _TOO_MANY:
                    self._log(WARN, f"Unable to accept a request of a unit: {error.strerror}")
                    self._loop.remove_reader(self._listener.fileno())
                    self._is_served = False
                    self._loop.later(_PAUSE, self._accept_again)
                    return
                continue
            connection.setblocking(False)
            if _uid(connection) not in (0, os.geteuid()):
                connection.close()
                continue
            self._add(connection)

    def _add(self, connection: socket.socket) -> Asker:
        asker = self._askers[connection.fileno()] = Asker(connection, self._forget)
        self._loop.add_reader(connection.fileno(), lambda: self._read(asker))
        return asker

    @property
    def askers(self) -> List[Asker]:
        """Who is connected."""
        return list(self._askers.values())

    def adopt(self, descriptor: int) -> Optional[Asker]:
        """Go on with a connection of the daemon that this one replaces; None if it is none."""
        if not is_channel(descriptor) or descriptor in self._askers:
            return None
        return self._add(socket.socket(fileno=descriptor))

    def _accept_again(self) -> None:
        if self._listener.fileno() >= 0:
            self.serve()

    def _read(self, asker: Asker) -> None:
        try:
            question = asker.connection.recv(_LONGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            question = b""
        if not question or asker.verb:
            asker.close()
            asker.gone()
            return
        verb, _, unit = question.partition(b"\0")
        asker.verb = verb.decode("ascii", "replace") or "?"
        self._asked(asker, asker.verb, unit.rstrip(b"\0").decode("ascii", "replace"))

    def _forget(self, asker: Asker) -> None:
        descriptor = asker.connection.fileno()
        del self._askers[descriptor]
        self._loop.remove_reader(descriptor)


def _uid(connection: socket.socket) -> int:
    peer = struct.Struct("3i")
    return int(peer.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, peer.size))[1])

"""Client connections that stay open over an exec (D239).

A re-exec keeps the socket of a client, but libdbus cannot be given a socket whose client has
authenticated long ago. So each of them gets a connection of its own to our private socket, which is made
and authenticated here, and from then on every byte is carried over from one to the other, descriptors
included. The client notices nothing, and nothing else here knows the difference.

Nothing waits: what the one side does not take is kept (one read of it), and until it is gone nothing more is
read for it. An idle relay costs no wake-up.
"""
from __future__ import annotations

import array
import os
import select
import socket
import struct
from typing import Dict, List, Optional, Tuple

_READ_SIZE = 65536
_MOST_FDS = 253
_INT = struct.calcsize("i")
#: Everything that a client says before its first message, without waiting for the answers.
_HANDSHAKE = b"\0AUTH EXTERNAL %s\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
_ANSWERS = 2


class _Direction:
    """From one socket to the other: what was read and not written yet."""

    __slots__ = ("data", "fds", "source", "target")

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.data = b""
        self.fds: List[int] = []

    def read(self) -> bool:
        """Read once; False at the end of the stream."""
        try:
            data, ancillary, _, _ = self.source.recvmsg(_READ_SIZE, socket.CMSG_SPACE(_MOST_FDS * _INT))
        except BlockingIOError:
            return True
        except OSError:
            return False
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[:len(content) - len(content) % _INT])
                self.fds += numbers
        self.data = data
        return bool(data)

    def write(self) -> bool:
        """Write what there is room for; False if nobody is there any more."""
        while self.data:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", self.fds))] if self.fds else []
            try:
                count = self.target.sendmsg([self.data], rights, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return True
            except OSError:
                return False
            self.close_fds()
            self.data = self.data[count:]
        return True

    def close_fds(self) -> None:
        """They were passed on, or never will be."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []


class Relay:
    """One client. ``outer`` is its socket, ``name`` the address of our side of the connection to ourselves."""

    def __init__(self, outer: socket.socket, inner: socket.socket) -> None:
        self.outer = outer
        self.inner = inner
        self.name = bytes(inner.getsockname())
        self.up = _Direction(outer, inner)
        self.down = _Direction(inner, outer)
        #: answers to the handshake that are not for the client
        self.answers = _ANSWERS
        self.beginning = b""

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self.up.data or self.down.data or self.answers or self.beginning)

    def interest(self, paused: bool) -> Tuple[int, int]:
        """What to wait for at ``outer`` and at ``inner``."""
        outer = select.EPOLLOUT if self.down.data else 0
        inner = select.EPOLLOUT if self.up.data else 0
        if not self.up.data and not paused:
            outer |= select.EPOLLIN
        if not self.down.data:
            inner |= select.EPOLLIN
        return outer, inner

    def carry(self, paused: bool) -> bool:
        """Carry over what can be; False when it is over."""
        if not self.up.write() or not self.down.write():
            return False
        if not self.up.data and not paused and not (self.up.read() and self.up.write()):
            return False
        if not self.down.data:
            if not self.down.read():
                return False
            if self.answers:
                self._take_answers()
            return self.down.write()
        return True

    def _take_answers(self) -> None:
        self.beginning += self.down.data
        self.down.data = b""
        while self.answers:
            _, end, rest = self.beginning.partition(b"\r\n")
            if not end:
                return
            self.beginning = rest
            self.answers -= 1
        self.down.data, self.beginning = self.beginning, b""


class Relays:
    """All of them. The main loop calls ``dispatch`` whenever ``fileno`` is readable."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._relays: Dict[int, Relay] = {}
        self._interest: Dict[int, int] = {}
        self._by_name: Dict[bytes, Relay] = {}
        self._paused = False

    def __len__(self) -> int:
        return len(self._by_name)

    def fileno(self) -> int:
        """The epoll descriptor."""
        return self._epoll.fileno()

    def add(self, fd: int, address: str, first: bytes) -> Optional[Relay]:
        """Join a client's socket to a new connection to the abstract socket at ``address``.

        ``first`` is said there before anything that comes from the client. None, and both closed, on failure.
        """
        sides: List[socket.socket] = []
        try:
            outer = socket.socket(fileno=fd)
            sides.append(outer)
            os.set_inheritable(fd, False)
            inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sides.append(inner)
            for each in sides:
                each.setblocking(False)
            # A name of its own, given by the kernel: by that it is known again where it is accepted.
            inner.bind(b"")
            inner.connect("\0" + address.partition("abstract=")[2])
            inner.sendall(_HANDSHAKE % str(os.getuid()).encode("ascii").hex().encode("ascii") + first)
            relay = Relay(outer, inner)
        except OSError:
            for each in sides:
                each.close()
            return None
        self._by_name[relay.name] = relay
        for side, mask in zip((relay.outer, relay.inner), relay.interest(self._paused)):
            self._relays[side.fileno()] = relay
            self._interest[side.fileno()] = mask
            self._epoll.register(side.fileno(), mask)
        return relay

    def at(self, name: bytes) -> Optional[Relay]:
        """The relay whose connection to us has this address."""
        return self._by_name.get(name)

    def dispatch(self) -> None:
        """Carry over what can be."""
        self.carry()

    def carry(self) -> bool:
        """Carry over what can be; whether anything was ready."""
        ready = self._epoll.poll(0)
        for fd, events in ready:
            relay = self._relays.get(fd)
            if relay is not None:
                over = not relay.carry(self._paused)
                # We have closed the connection, and a client that does not read holds up the rest: it would be reported for ever.
                cut_off = events & select.EPOLLHUP and fd == relay.inner.fileno() and not self._interest[fd] & select.EPOLLIN
                if over or cut_off:
                    self._remove(relay)
                else:
                    self._wait(relay)
        return bool(ready)

    def pause(self, paused: bool) -> None:
        """Do not read from clients any more, before an exec; or do again."""
        self._paused = paused
        for relay in self._by_name.values():
            self._wait(relay)

    def close(self) -> None:
        """Close everything."""
        for relay in list(self._by_name.values()):
            self._remove(relay)
        self._epoll.close()

    def _wait(self, relay: Relay) -> None:
        for side, mask in zip((relay.outer, relay.inner), relay.interest(self._paused)):
            if self._interest[side.fileno()] != mask:
                self._interest[side.fileno()] = mask
                self._epoll.modify(side.fileno(), mask)

    def _remove(self, relay: Relay) -> None:
        self._by_name.pop(relay.name, None)
        for side in (relay.outer, relay.inner):
            self._relays.pop(side.fileno(), None)
            self._interest.pop(side.fileno(), None)
            side.close()
        for direction in (relay.up, relay.down):
            direction.close_fds()

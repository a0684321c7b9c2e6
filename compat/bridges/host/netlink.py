"""Netlink sockets: datagrams of the kernel, and of those that one trusts, without waiting (B240, B252).

The kernel drops messages for a reader that is too slow, and says so; then what there is has to be asked for again.
"""
from __future__ import annotations

import errno
import socket
import struct
from typing import Any, List, NamedTuple

ROUTE, UEVENT = 0, 15
_CREDENTIALS = struct.Struct("=iII")
_SO_RCVBUFFORCE = 33
#: More than any message has; a dump's parts are 32 KiB at most.
_LONGEST = 65536
#: Datagrams in one go, so that a flood leaves others a chance.
_BATCH = 64


class Datagram(NamedTuple):
    """``group``: 0 if it was sent to this socket alone. ``from_kernel``, else ``uid`` is that of the sender."""

    data: bytes
    group: int
    from_kernel: bool
    uid: int


class Overflow(Exception):
    """Messages were lost."""


class NetlinkSocket:
    """A netlink socket of ``protocol``, member of ``groups`` (a bit mask). Raises OSError."""

    def __init__(self, protocol: int, groups: int, buffer: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self._socket.bind((0, groups))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Send a request to the kernel. Raises OSError."""
        self._socket.sendto(data, (0, 0))

    def receive(self) -> List[Datagram]:
        """The next datagrams, some dozens at most; empty if there are none. Raises Overflow, OSError."""
        received: List[Datagram] = []
        while len(received) < _BATCH:
            try:
                data, ancillary, _, address = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # What was received before is older than what was lost, and asking again covers it too.
                raise Overflow from None
            received.append(_datagram(data, ancillary, address))
        return received

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


def _datagram(data: bytes, ancillary: Any, address: Any) -> Datagram:
    port, groups = address
    uid = -1
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(content) == _CREDENTIALS.size:
            uid = _CREDENTIALS.unpack(content)[1]
    return Datagram(data, groups, port == 0, uid)


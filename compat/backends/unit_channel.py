"""The socket to a launcher that systemd starts in a unit, whose standard input is the other end.

The daemon sends the descriptors that the launcher needs (child_setup.py); the launcher says its pid, or why there will be
none, and the invocation that it is part of. A launcher whose channel ends before that ends itself, and runs nothing.
"""
from __future__ import annotations

import array
import select
import socket
import sys
from typing import List, NamedTuple, Optional, Tuple


class Said(NamedTuple):
    """``pid`` is negative, an errno, if the launcher could not make a process, and 0 if it said nothing and is gone."""

    pid: int
    invocation: str = ""


class UnitChannel:
    """``end``: ours; it may be one that a daemon before this one has used."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.setblocking(False)

    @classmethod
    def pair(cls) -> "Tuple[UnitChannel, socket.socket]":
        """A new one, and the launcher's end. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def pass_on(self, descriptors: List[int]) -> None:
        """Give the launcher what it needs. Raises OSError."""
        numbers = array.array("i", descriptors)
        self._end.sendmsg([numbers], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])

    def wait(self, seconds: float) -> None:
        """Until there is something to read, but no longer than this."""
        ready = select.poll()
        ready.register(self._end, select.POLLIN)
        ready.poll(seconds * 1000)

    def read(self) -> Optional[Said]:
        """What the launcher has said; None if that is to come."""
        try:
            said = self._end.recv(64)
        except BlockingIOError:
            return None
        except OSError:
            said = b""
        return Said(int.from_bytes(said[:4], sys.byteorder, signed=True), said[4:].decode("ascii", "replace"))

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._end.fileno()

    def close(self) -> None:
        """A launcher that has said nothing yet ends at once, and nothing runs."""
        self._end.close()

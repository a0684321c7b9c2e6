"""Keeps the private socket listening over an exec, so that whoever connects meanwhile waits instead of being refused.

libdbus takes a socket that listens already only in the way in which systemd gives sockets: as descriptor 3.
``Moved`` puts it there for an exec, and back if the exec fails.
"""
from __future__ import annotations

import os
import socket
import stat
from typing import AbstractSet, Optional

#: SD_LISTEN_FDS_START, see sd_listen_fds(3).
DESCRIPTOR = 3
#: The libdbus address of sockets that were given in this way.
ADDRESS = "systemd:"


def listens_at(fd: int, address: str) -> bool:
    """Whether a descriptor is the socket that listens at an abstract D-Bus address."""
    try:
        with socket.socket(fileno=os.dup(fd)) as found:
            return (found.family == socket.AF_UNIX and bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
                    and found.getsockname() == b"\0" + os.fsencode(address.partition("abstract=")[2]))
    except (OSError, ValueError):
        return False


def find(address: str) -> int:
    """The descriptor that listens at an address, -1 if none does; libdbus does not say which one it has."""
    # Where it is after an exec: else there may be thousands to look at.
    for fd in (DESCRIPTOR, *map(int, os.listdir("/proc/self/fd"))):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and listens_at(fd, address):
                return fd
        except OSError:
            continue
    return -1


class Moved:
    """The listening socket at its place for an exec. ``taken`` are descriptors that must keep theirs."""

    def __init__(self, address: str, taken: AbstractSet[int]) -> None:
        #: whether it is there, open over an exec
        self.there = False
        self._before: Optional[int] = None
        fd = find(address)
        if fd < 0 or DESCRIPTOR in taken:
            return
        if fd != DESCRIPTOR:
            try:
                # Whoever has the number at the moment gets it back, and notices nothing.
                self._before = os.dup(DESCRIPTOR)
            except OSError:
                self._before = -1
            os.dup2(fd, DESCRIPTOR, inheritable=True)
        else:
            os.set_inheritable(DESCRIPTOR, True)
        self.there = True

    def back(self) -> None:
        """There was no exec."""
        if self._before is None:
            if self.there:
                os.set_inheritable(DESCRIPTOR, False)
        elif self._before < 0:
            os.close(DESCRIPTOR)
        else:
            os.dup2(self._before, DESCRIPTOR, inheritable=False)
            os.close(self._before)
        self._before, self.there = None, False


def offered() -> None:
    """Tell libdbus of the socket, as systemd would: it asks once, for ADDRESS."""
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")


def taken_back() -> None:
    """Nobody else is to be told of it."""
    for name in ("LISTEN_PID", "LISTEN_FDS"):
        os.environ.pop(name, None)

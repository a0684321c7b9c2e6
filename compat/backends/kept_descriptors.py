"""Whether a descriptor that came over an exec is what it is said to be (D229, and BEYOND D192).

Each of them is checked before it is used: a number in a state that was damaged may belong to anything.
Close-on-exec is set again on those that are right.
"""
from __future__ import annotations

import fcntl
import os
import stat
from typing import Callable

#: Major and minor number of /dev/ptmx, which every master is a copy of.
_PTMX = (5, 2)


def is_pty_master(fd: int) -> bool:
    """The side of a pty that a job's output comes out of."""
    if not _is(fd, stat.S_ISCHR):
        return False
    device = os.fstat(fd).st_rdev
    return (os.major(device), os.minor(device)) == _PTMX


def is_log_file(fd: int) -> bool:
    """A file that is open for writing; not a directory, and nothing that answers."""
    return (_is(fd, lambda mode: stat.S_ISREG(mode) or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode))
            and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY)


def is_channel(fd: int) -> bool:
    """What a launcher answers through: a socket here, a pipe in Upstart."""
    return _is(fd, lambda mode: stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode))


def is_pipe(fd: int) -> bool:
    """What a script goes through."""
    return _is(fd, stat.S_ISFIFO)


def is_pidfd_of(fd: int, pid: int) -> bool:
    """A pidfd of this process."""
    if fd < 0:
        return False
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
            found = b"\nPid:\t%d\n" % pid in file.read(4096)
        if found:
            os.set_inheritable(fd, False)
        return found
    except OSError:
        return False


def _is(fd: int, kind: Callable[[int], bool]) -> bool:
    try:
        if not kind(os.fstat(fd).st_mode):
            return False
        os.set_inheritable(fd, False)
    except (OSError, OverflowError):
        return False
    return True

"""The kernel's file notifications, through pyinotify's WatchManager.

Only its raw level is used: add a watch, remove one, the descriptor. pyinotify's own reading takes
the whole queue at once and stops at a file name that is not UTF-8, so events are read here: some at
a time, names as bytes. For the same reason directories are handed to it as /proc/self/fd/N.

pyinotify is imported when the first instance is made: initctl and tests of other rooms need none of it.
"""
from __future__ import annotations

import ctypes
import errno
import os
import struct
import warnings
from typing import Any, List, NamedTuple

CLOSE_WRITE = 0x00000008
MOVED_FROM = 0x00000040
MOVED_TO = 0x00000080
CREATE = 0x00000100
DELETE = 0x00000200
MOVE_SELF = 0x00000800
OVERFLOW = 0x00004000
IGNORED = 0x00008000
ISDIR = 0x40000000

_MASK_ADD = 0x20000000
_HEADER = struct.Struct("iIII")
#: An event with a name of up to 15 bytes takes 32, so this is about 500 events.
_BATCH_BYTES = 16384


class Event(NamedTuple):
    """One event; ``name`` is the entry of the watched directory that it is about, or empty."""

    watch: int
    mask: int
    name: bytes


class Inotify:
    """One inotify instance. Raises OSError if the kernel has none to give, ImportError without pyinotify."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # asyncore is deprecated, and 3.12 dislikes some of its string literals.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", SyntaxWarning)
            import pyinotify
        self._error: Any = pyinotify.WatchManagerError
        try:
            self._watches: Any = pyinotify.WatchManager()
        except pyinotify.InotifyBindingNotFoundError:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
        except OSError:
            raise _last_error() from None
        self._fd: int = self._watches.get_fd()
        os.set_inheritable(self._fd, False)
        os.set_blocking(self._fd, False)

    def fileno(self) -> int:
        """The descriptor that is readable while there are events."""
        return self._fd

    def add(self, directory: bytes, mask: int) -> int:
        """Watch a directory, for ``mask`` besides what it is watched for already. Raises OSError.

        The result is the same number for the same directory, whatever path leads to it.
        """
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{fd}"
            watch: int = self._watches.add_watch(path, mask | _MASK_ADD, quiet=False)[path]
            return watch
        except self._error:
            raise _last_error() from None
        finally:
            os.close(fd)

    def remove(self, watch: int) -> None:
        """Stop watching; nothing if the kernel has stopped already."""
        try:
            self._watches.rm_watch(watch, quiet=False)
        except self._error:
            self.forget(watch)

    def forget(self, watch: int) -> None:
        """The kernel said IGNORED: the number means nothing any more."""
        self._watches.watches.pop(watch, None)

    def read(self) -> List[Event]:
        """The next events, some hundred at most; empty if there are none."""
        try:
            data = os.read(self._fd, _BATCH_BYTES)
        except BlockingIOError:
            return []
        events = []
        position = 0
        while position < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, position)
            position += _HEADER.size
            events.append(Event(watch, mask, data[position:position + length].rstrip(b"\0")))
            position += length
        return events

    def close(self) -> None:
        """Give the instance back to the kernel."""
        self._watches.close()


def _last_error() -> OSError:
    # pyinotify keeps the number to itself; it calls the C library by ctypes, which remembers it.
    number = ctypes.get_errno() or errno.ENOSYS
    return OSError(number, os.strerror(number))

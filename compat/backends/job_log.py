"""What job processes print: from a pty of their own to the log file of their instance (X115-X135).

One ``JobLog`` per process with ``console log``. It holds the master of the pty; the launcher opens the
slave for the process. The main loop calls ``readable`` when the master is, and ``finish`` is called
when the process has ended. Nothing blocks: master and file are non-blocking, and what one call reads is
bounded, so that neither a full disk nor a flood of output holds up the engine. A job that prints
faster than this reads waits in its own write; that is the backpressure that keeps memory flat without
losing anything.

Data goes to the file as it comes. Only what cannot be written is kept, bounded (X121). What a process
of the early boot leaves unwritten, because the disk is still read-only, moves to the one ``HeldOutput``
until NotifyDiskWriteable (X127, X128).

Where only the last descriptors are left (descriptor_reserve.py) a log file is not opened before the
process has ended, and then it is closed again at once.
"""
from __future__ import annotations

import errno
import os
from typing import Callable, List, Optional, Tuple

from ..engine.actions import DEBUG, WARN
from ..state.processes import LogState
from .descriptor_reserve import exhausted, in_reserve
from .kept_descriptors import is_log_file, is_pty_master
from .protocol import Log

#: Most that is kept of one process's output while it cannot be written (X121).
KEPT_LIMIT = 1 << 20
#: Most that is kept of all ended processes together.
HELD_LIMIT = 16 << 20

_READ_LIMIT = 256 << 10
# A pty holds less than 100 KiB. More than this is being written by somebody who is still alive (X125).
_DRAIN_LIMIT = 1 << 20
_READ_SIZE = 64 << 10
_NAME_MAX = 255
_PATH_MAX = 4095

_OPEN_FLAGS = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# No room: as the same for the reader of a log as ENOSPC.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_YET_WRITEABLE = (errno.EROFS, errno.EPERM, errno.EACCES)


def log_path(directory: str, job: str, instance: str) -> str:
    """The log file of an instance (X116)."""
    name = f"{job}-{instance}" if instance else job
    return f"{directory}/{name.replace('/', '_')}.log"


def _too_long(path: bytes) -> bool:
    return len(path) > _PATH_MAX or any(len(name) > _NAME_MAX for name in path.split(b"/"))


class KeptOutput:
    """The newest bytes of a stream, at most ``limit``; what was dropped leaves one marker line.

    The data is one bytearray: dropping at its front is cheap, and a million lines of one byte cost
    a megabyte, which a list of pieces would not hold to.
    """

    __slots__ = ("_data", "_dropped", "limit")

    def __init__(self, limit: int = KEPT_LIMIT) -> None:
        self.limit = limit
        self._data = bytearray()
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._data)

    def append(self, data: bytes) -> None:
        """Add the newest data."""
        self._data += data
        excess = len(self._data) - self.limit
        if excess > 0:
            del self._data[:excess]
            self._dropped += excess

    def state(self) -> Tuple[bytes, int]:
        """The data, and how much was dropped before it."""
        return bytes(self._data), self._dropped

    @classmethod
    def restored(cls, data: bytes, dropped: int) -> KeptOutput:
        """What another one kept."""
        kept = cls()
        kept.append(data)
        kept._dropped += dropped
        return kept

    def content(self) -> bytes:
        """What is to be written: the marker, if anything was dropped, and the data."""
        if not self._dropped:
            return bytes(self._data)
        return b"[%d bytes of output could not be kept]\r\n" % self._dropped + self._data

    def written(self, count: int) -> None:
        """The first ``count`` bytes of ``content`` are in the file."""
        if count:
            rest = self.content()[count:]
            self._dropped = 0
            self._data = bytearray(rest)


class JobLog:
    """The output of one process.

    ``master`` is the descriptor to watch, -1 once it is closed; ``closed`` is called then. ``path`` is where
    the log file goes.
    """

    __slots__ = ("_ended", "_file", "_held", "_hung_up", "_is_held", "_kept", "_log", "_open_error", "_raw_path", "closed", "master",
                 "path")

    def __init__(self, path: str, master: int, log: Log, held: Optional[HeldOutput]) -> None:
        self.path = path
        self.master = master
        self.closed: Callable[[], None] = lambda: None
        self._raw_path = os.fsencode(path)
        self._log = log
        self._held = held
        self._file = -1
        self._kept: Optional[KeptOutput] = None
        self._open_error = 0
        self._hung_up = False
        self._is_held = False
        self._ended = False

    @classmethod
    def create(cls, path: str, log: Log, held: Optional[HeldOutput] = None) -> JobLog:
        """Open a pty for a process that is about to be started.

        Raises OSError if there is no pty, or if no file can have this path (ENAMETOOLONG), in
        which case the job goes without a log (X32, X33).
        """
        if _too_long(os.fsencode(path)):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
        return cls(path, master, log, held)

    @classmethod
    def restored(cls, state: LogState, log: Log, held: Optional[HeldOutput]) -> Optional[JobLog]:
        """Go on with the log of a daemon that this one replaces; None if its pty is lost (D229)."""
        found = cls(state.path, state.master, log, held)
        if state.unwritten or state.dropped:
            found._kept = KeptOutput.restored(state.unwritten, state.dropped)
        found._ended, found._hung_up, found._open_error = state.ended, state.hung_up, state.open_error
        if state.file >= 0 and is_log_file(state.file):
            found._file = state.file
        if state.master >= 0 and not is_pty_master(state.master):
            found.master = -1
            return None
        return found

    def state(self) -> LogState:
        """What ``restored`` goes on from; descriptors are to be kept open."""
        unwritten, dropped = self._kept.state() if self._kept is not None else (b"", 0)
        return LogState(self.path, self.master, self._file, unwritten, dropped, self._ended, self._hung_up, self._open_error)

    @property
    def unwritten(self) -> int:
        """How many bytes are kept because they could not be written yet."""
        return len(self._kept) if self._kept is not None else 0

    def readable(self) -> bool:
        """Write what the process printed.

        False: every copy of the other end is closed, so stop watching ``master`` (X126). Never
        raises and never blocks; reads a bounded amount, the master stays readable while there is
        more.
        """
        if self.master < 0:
            return False
        if not self._hung_up:
            data = self._read(_READ_LIMIT)
            if data:
                self._write(data)
        return not self._hung_up

    def finish(self) -> bool:
        """The process ended: write what is left (X124).

        True: everything is closed. False: its output is held until the disk is writeable, and the
        master stays open because somebody still has the other end; go on calling ``readable`` for
        it, and once that is False, ``finish`` again. Stop watching ``master`` before the call and,
        after False, watch it again. Harmless if repeated.
        """
        if self.master < 0:
            return True
        self._ended = True
        self._drain()
        if not self._hung_up:
            self._log(DEBUG, f"Process associated with log leaked a file descriptor {self.path}")
        if self.unwritten:
            try:
                self.flush()
            except OSError as error:
                if error.errno in _FULL:
                    self._warn()
        if not self._is_held and self.unwritten and self._open_error in _NOT_YET_WRITEABLE and self._held is not None:
            self._is_held = self._held.add(self)
        if not self._is_held:
            self.close()
        elif self._hung_up:
            self._close_master()
        return self.master < 0

    def is_held(self) -> None:
        """It is among the held ones already."""
        self._is_held = True

    def flush(self) -> None:
        """Write all kept data, in order; raises OSError and keeps the rest if that fails."""
        kept = self._kept
        while kept:
            kept.written(self._append(kept.content()))
        self._kept = None

    def close(self) -> None:
        """Give up the master, the file and what is kept; all there is to do if no process was started."""
        self._close_master()
        self._close_file()
        self._kept = None
        self._hung_up = True

    # -- the pty -----------------------------------------------------------------------------------------

    def _drain(self) -> None:
        left = _DRAIN_LIMIT
        while left > 0 and not self._hung_up:
            data = self._read(_READ_LIMIT)
            if not data:
                break
            left -= len(data)
            self._write(data)

    def _read(self, limit: int) -> bytes:
        pieces: List[bytes] = []
        size = 0
        while size < limit:
            try:
                piece = os.read(self.master, _READ_SIZE)
            except BlockingIOError:
                break
            except OSError:
                # EIO, after all data was read: the last copy of the slave was closed.
                piece = b""
            if not piece:
                self._hung_up = True
                break
            pieces.append(piece)
            size += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _close_master(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
            self.closed()

    # -- the file ----------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        try:
            self.flush()
            count = self._append(data)
        except OSError as error:
            if error.errno in _FULL:
                # Only the new data is lost; what was kept before stays (X122).
                self._warn()
                return
            count = 0
        if count < len(data):
            if self._kept is None:
                self._kept = KeptOutput()
            self._kept.append(data[count:])

    def _append(self, data: bytes) -> int:
        """Write to the file; the number of bytes written, at least one. Raises OSError."""
        descriptor = self._open()
        try:
            count = os.write(descriptor, data)
        except OSError as error:
            if error.errno not in _FULL and error.errno != errno.EAGAIN:
                # A stale handle, a device that is gone, a disk that became read-only: look again.
                self._close_file()
            raise
        if count == 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), self.path)
        return count

    def _warn(self) -> None:
        self._log(WARN, f"Failed to write to log file {self.path}")

    def _open(self) -> int:
        """The file's descriptor, opened anew if the file was deleted (X120); raises OSError."""
        if self._file >= 0:
            if os.fstat(self._file).st_nlink:
                return self._file
            self._close_file()
        # Whatever umask the engine has, the mode is this one; an existing file's is left alone (X119).
        umask = os.umask(0)
        try:
            self._file = os.open(self._raw_path, _OPEN_FLAGS, 0o640)
            if not self._ended and in_reserve(self._file):
                self._close_file()
                raise exhausted()
        except OSError as error:
            self._open_error = error.errno or 0
            raise
        finally:
            os.umask(umask)
        self._open_error = 0
        return self._file

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class HeldOutput:
    """Output of ended processes that waits for a writeable disk (X127-X129).

    ``release`` is called with the descriptor of a master that is about to be closed, for whoever
    watches it; it must not fail for one that is not watched.
    """

    def __init__(self, log: Log, release: Callable[[int], None] = lambda descriptor: None) -> None:
        self._log = log
        self._release = release
        self._logs: List[JobLog] = []
        #: Everything was written once; nothing is held after that (X128).
        self.flushed = False

    def __len__(self) -> int:
        return len(self._logs)

    def states(self) -> List[LogState]:
        """Each log that is held, oldest first."""
        return [log.state() for log in self._logs]

    def restore(self, states: List[LogState]) -> List[JobLog]:
        """Hold what another one held; returns the logs, some of which have a master to watch."""
        for state in states:
            log = JobLog.restored(state, self._log, self)
            if log is None:
                # Nobody prints any more, but what was printed is still to be written.
                log = JobLog.restored(state._replace(master=-1), self._log, self)
            if log is not None:
                log.is_held()
                self._logs.append(log)
        return self._logs

    def add(self, log: JobLog) -> bool:
        """Hold a log; False if it is too late for that, or too much is held already."""
        if self.flushed:
            return False
        if sum(each.unwritten for each in self._logs) + log.unwritten > HELD_LIMIT:
            self._log(WARN, "Failed to add log to unflushed queue")
            return False
        self._logs.append(log)
        return True

    def write_all(self) -> None:
        """Write everything, oldest first.

        Raises OSError at the first log that cannot be written; that one and the later ones stay.
        """
        while self._logs:
            log = self._logs[0]
            # What a child of the ended process printed since.
            log.readable()
            log.flush()
            del self._logs[0]
            if log.master >= 0:
                self._release(log.master)
            log.close()
        self.flushed = True

"""The file of a journal: lines are appended, and now and then all of it is replaced at once.

One write(2) a line and no fsync: the file has to outlive the daemon, not the host, so it belongs on a
tmpfs. Replacing it is a rename. A line that does not fit any more is taken back, so that the next one
does not stick to half of it. Nothing here waits for anything.

The file is locked for as long as the daemon lives. That tells a file that was left behind from that of
another daemon, of which a user may have several.
"""
from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from typing import Iterable, List, Optional, Sequence

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_READ_SIZE = 1 << 20


class JournalFile:
    """``path`` is where it is, ``size`` how long; whoever makes one with ``open`` is the only one who has it."""

    def __init__(self, path: str, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self._descriptor = descriptor

    @classmethod
    def open(cls, paths: Iterable[str]) -> Optional[JournalFile]:
        """Take the first of these files that no other daemon has; None if all are taken. Raises OSError."""
        for path in paths:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            descriptor = _lock(path)
            if descriptor >= 0:
                return cls(path, descriptor, os.fstat(descriptor).st_size)
        return None

    def read(self) -> bytes:
        """All of it. Raises OSError."""
        pieces: List[bytes] = []
        position = 0
        while True:
            piece = os.pread(self._descriptor, _READ_SIZE, position)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            position += len(piece)

    def append(self, line: bytes) -> None:
        """Add a line. Raises OSError, and then nothing was added."""
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += written

    def replace(self, content: bytes) -> None:
        """Put this into its place. Raises OSError, and then it is as it was."""
        temporary = self.path + ".new"
        # Whatever is left of one: this is the only daemon that writes here.
        _unlink(temporary)
        descriptor = os.open(temporary, _FLAGS | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            written = 0
            while written < len(content):
                written += os.write(descriptor, content[written:])
            os.rename(temporary, self.path)
        except OSError:
            os.close(descriptor)
            _unlink(temporary)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor
        self.size = len(content)

    def keep_aside(self) -> str:
        """Keep what is in it now under another name, which is returned, for whoever looks into it. Raises OSError."""
        kept = self.path + ".damaged"
        _unlink(kept)
        os.link(self.path, kept)
        return kept

    def remove(self) -> None:
        """There is nothing left to go on with. Raises OSError."""
        _unlink(self.path)
        self.close()

    def close(self) -> None:
        """Let go of it; harmless if repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def paths(directory: str, sources: Optional[Sequence[str]], several: bool) -> List[str]:
    """Where a daemon with these sources of job files may have its journal, in the order in which to look.

    Daemons with other job files have nothing to do with each other; None stands for the usual ones. Where
    there may be ``several`` with the same, as with two sessions of one user, each has a file, and a new
    daemon goes on from the first one that was left behind.
    """
    key = "" if sources is None else "-" + hashlib.sha256("\0".join(sources).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    numbers = ["", *(f"-{number}" for number in range(2, 10))] if several else [""]
    return [os.path.join(directory, f"instances{key}{number}.json") for number in numbers]


def _lock(path: str) -> int:
    """An open descriptor of the file, locked; -1 if somebody else has it. Raises OSError."""
    while True:
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return -1
        except OSError:
            os.close(descriptor)
            raise
        # It was replaced or removed before the lock was ours.
        os.close(descriptor)


def _same(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass

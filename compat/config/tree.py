"""Walking a directory source and reading one file of it (P4, P7, P8, D73-D77).

A walk only lists; what it lists is read afterwards. Every directory is announced before it is
listed, so that a watch on it misses nothing. Names are sorted bytewise and each sub-directory is
descended at its place (P8). There is no recursion: a deep tree must not exhaust the stack.
"""
from __future__ import annotations

import errno
import os
import stat
from typing import Callable, Iterator, List, NamedTuple, Tuple

from ..engine.actions import WARN
from .names import CONF, is_ignored_directory, suffix_of
from .sources import Log, Source

#: Nobody's job file is this large; a mistaken link to a disk image is.
_LARGEST = 16 << 20

#: Told of a directory (its path below the source) before it is listed; False: do not list it.
Enter = Callable[[str], bool]


class Found(NamedTuple):
    """The names of the jobs that have a ``.conf`` and of those that have a ``.override``, in walking order."""

    jobs: List[str]
    overrides: List[str]


class NotRegular(Exception):
    """A fifo, socket, device or directory has the name of a job file: it is ignored (D77)."""


def walk(source: Source, relative: str, enter: Enter, log: Log) -> Found:
    """List the job files below a directory of a source; ``relative`` is empty for the source's own.

    What cannot be looked at below it is warned of and left out. Raises OSError if the directory
    itself cannot be listed.
    """
    found = Found([], [])
    stack: List[Tuple[str, Iterator["os.DirEntry[bytes]"]]] = []
    if enter(relative):
        stack.append((relative, _entries(source, relative)))
    while stack:
        directory, entries = stack[-1]
        for entry in entries:
            name = entry.name.decode("utf-8", "surrogateescape")
            path = f"{directory}/{name}" if directory else name
            try:
                if _visit(source, path, name, entry, found, stack) and enter(path):
                    stack.append((path, _entries(source, path)))
                    break
            except OSError as error:
                log(WARN, f"{source.text(path)}: {error.strerror}")
        else:
            stack.pop()
    return found


def read_regular(path: bytes) -> bytes:
    """The content of a regular file. Raises NotRegular or OSError."""
    # Without O_NONBLOCK a fifo of that name would stop the daemon.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise NotRegular
        size = found.st_size
        if size > _LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        data = os.read(fd, size + 1)
        if len(data) == size:
            return data
        # It is being written to, or it is of a file system that does not know sizes.
        pieces, total = [data], len(data)
        while pieces[-1]:
            if total > _LARGEST:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            pieces.append(os.read(fd, 1 << 16))
            total += len(pieces[-1])
        return b"".join(pieces)
    finally:
        os.close(fd)


def _entries(source: Source, relative: str) -> Iterator["os.DirEntry[bytes]"]:
    with os.scandir(source.encoded(relative)) as entries:
        return iter(sorted(entries, key=_by_name))


def _by_name(entry: "os.DirEntry[bytes]") -> bytes:
    return entry.name


def _visit(source: Source, path: str, name: str, entry: "os.DirEntry[bytes]", found: Found,
           stack: List[Tuple[str, Iterator["os.DirEntry[bytes]"]]]) -> bool:
    """Take note of an entry that is a job file. Returns whether it is a directory to descend into."""
    suffix = suffix_of(name)
    linked = entry.is_symlink()
    if linked and not suffix:
        return False
    # With follow_symlinks a dangling link raises here, which is what warns of it (D75).
    mode = entry.stat().st_mode if linked else 0
    if stat.S_ISDIR(mode) if linked else entry.is_dir(follow_symlinks=False):
        if is_ignored_directory(name):
            return False
        if linked:
            _refuse_loop(source, entry.stat(), stack)
        return True
    if suffix and (stat.S_ISREG(mode) if linked else entry.is_file(follow_symlinks=False)):
        (found.jobs if suffix == CONF else found.overrides).append(path[:-len(suffix)])
    return False


def _refuse_loop(source: Source, target: os.stat_result, stack: List[Tuple[str, Iterator["os.DirEntry[bytes]"]]]) -> None:
    for directory, _ in stack:
        if os.path.samestat(os.stat(source.encoded(directory)), target):
            raise OSError(errno.ELOOP, "Directory loop detected")

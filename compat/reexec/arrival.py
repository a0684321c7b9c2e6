"""What a daemon that was executed by its predecessor finds: the state to read, and descriptors (D183-D196, D228)."""
from __future__ import annotations

import os
import select
import time
from typing import Callable, List, Mapping, Optional, Set

from ..engine.actions import ERROR, WARN
from ..engine.core import Core
from ..state.document import LARGEST, Restored, StateError, deserialise

#: Seconds to wait for the state (D38).
_PATIENCE = 3.0
_PIECE = 1 << 20
_FILE = "upstart.state"
_MOST_NAMED = 200


class Inherited:
    """The descriptors that were open when the program started, and which of them somebody has a use for."""

    def __init__(self) -> None:
        self._open: Set[int] = set()
        for fd in map(int, os.listdir("/proc/self/fd")):
            # Without the one that listed them.
            if fd > 2 and _is_open(fd):
                self._open.add(fd)
        self._claimed: Set[int] = set()

    def claim(self, fd: int) -> bool:
        """Whether it was inherited; it is then not closed by ``close_rest``."""
        if fd in self._open:
            self._claimed.add(fd)
            return True
        return False

    def close_rest(self) -> None:
        """Close what nobody claimed: in a daemon that runs for years nothing may be left over."""
        for fd in self._open - self._claimed:
            try:
                os.close(fd)
            except OSError:
                pass
        self._open.clear()


def _is_open(fd: int) -> bool:
    try:
        # Of all questions about a descriptor the cheapest; there may be thousands.
        os.get_inheritable(fd)
    except OSError:
        return False
    return True


def patience(environment: Mapping[str, str]) -> Optional[float]:
    """How long to wait for the state; None for ever (D38)."""
    try:
        seconds = float(int(environment.get("UPSTART_STATE_WAIT_SECS", "")))
    except ValueError:
        return _PATIENCE
    return None if seconds < 0 else seconds


def read_all(fd: int, seconds: Optional[float]) -> bytes:
    """Everything that comes out of a file, a pipe or a socket until its end; then it is closed (D185).

    Raises OSError; TimeoutError if the end does not come in time.
    """
    try:
        os.set_blocking(fd, False)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        end = None if seconds is None else time.monotonic() + seconds
        pieces: List[bytes] = []
        size = 0
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not poll.poll(None if left is None else left * 1000):
                raise TimeoutError(f"nothing more came within {seconds:g} seconds")
            try:
                piece = os.read(fd, _PIECE)
            except BlockingIOError:
                continue
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                raise OSError(f"it is larger than {LARGEST} bytes")
    finally:
        os.close(fd)


def save(directory: str, data: bytes) -> str:
    """Write the state file, mode 0400 (D196); its path. Raises OSError."""
    path = os.path.join(directory, _FILE)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
    with open(fd, "wb") as file:
        file.write(data)
    return path


def receive(fd: int, environment: Mapping[str, str], core: Core, now: float, inherited: Inherited, directory: Optional[str],
            keep: bool, log: Callable[[int, str], None]) -> Optional[Restored]:
    """Read the state into a fresh Core; None, after saying why, if there is nothing to go on from (D186, D228).

    ``keep``: the text is always saved in ``directory`` (D25), else only if something is wrong with it.
    """
    data = b""
    restored = None
    try:
        data = read_all(fd, patience(environment))
        restored = deserialise(data.decode("utf-8", "surrogateescape"), core, now, inherited.claim)
    except StateError as error:
        log(ERROR, f"Detected invalid serialisation data: {error}")
    except OSError as error:
        log(ERROR, f"Failed to read serialisation data: {error.strerror or error}")
    lost = restored.lost if restored is not None else ()
    for sentence in lost:
        log(WARN, sentence)
    if data and directory is not None and (keep or restored is None or lost):
        try:
            path = save(directory, data)
        except OSError as error:
            log(ERROR, f"Failed to write the state file: {error}")
        else:
            if restored is None or lost:
                log(WARN, f"The serialisation data is kept in {path}")
    if restored is None:
        log(ERROR, "Failed to read serialisation data - reverting to stateless re-exec")
    return restored


def name_children(log: Callable[[int, str], None]) -> None:
    """Say which processes nobody looks after any more (D228)."""
    left = children()
    if left:
        names = ", ".join(map(str, left[:_MOST_NAMED])) + (", ..." if len(left) > _MOST_NAMED else "")
        log(WARN, f"Processes that are no longer supervised: {names}")


def children() -> List[int]:
    """The pids of all our children."""
    found: List[int] = []
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return sorted(found)

"""list-sessions: the session daemons of this user, by their session files (C14, C136). Nothing is connected to."""
from __future__ import annotations

import os
import stat

from .options import Invocation
from .output import Failure, environment

_PREFIX = b"UPSTART_SESSION="


def list_sessions(invocation: Invocation) -> int:
    """list-sessions: a line ``PID ADDRESS`` for each daemon that is alive."""
    directory = _directory()
    try:
        names = os.listdir(directory)
    except OSError:
        raise Failure("unable to determine sessions") from None
    for name in names:
        number = name[:-len(".session")]
        if not name.endswith(".session") or not (number.isascii() and number.isdigit()):
            continue
        path = f"{directory}/{name}"
        if not _alive(int(number)):
            invocation.inform(f"Ignoring stale session file: {path}")
            continue
        address = _address(path)
        if address is not None:
            invocation.say(f"{number} {address}")
    return 0


def _directory() -> str:
    """Where session files are; made if missing, as the daemon would."""
    base = environment("XDG_RUNTIME_DIR")
    if base is None or not base.startswith("/"):
        raise Failure("Unable to query session directory")
    path = base
    for part in ("upstart", "sessions"):
        path = f"{path}/{part}"
        try:
            os.mkdir(path, 0o700)
        except OSError:
            # It is there, or reading it will fail.
            pass
    return path


def _alive(pid: int) -> bool:
    try:
        # 0 would be this process's own group.
        if pid > 0:
            os.kill(pid, 0)
            return True
    except (OSError, OverflowError):
        pass
    return False


def _address(path: str) -> str | None:
    """What a session file says; None if it is none. Neither a FIFO nor a huge file may hold this up."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = os.read(descriptor, 4096) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if not content.startswith(_PREFIX):
        return None
    return content[len(_PREFIX):].split(b"\n", 1)[0].decode("utf-8", "surrogateescape")

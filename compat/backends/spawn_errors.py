"""Why a process could not be started: what the launcher answers, and the texts of X40.

The kinds and resources are those of launcher_process.c, in its order; a test compares the two.
"""
from __future__ import annotations

import os
import struct
from typing import Iterator, Tuple

#: kind, errno, detail: one answer of the launcher.
ANSWER = struct.Struct("=iii")

(SPECIFICATION, DUP, CONSOLE, RLIMIT, PRIORITY, OOM_ADJ, CHROOT, CHDIR, EXEC, GETPWNAM, GETGRNAM, GETPWUID, BAD_SETUID,
 BAD_SETGID, SETUID, SETGID, CHOWN, UNLOCKPT, PTSNAME, OPENPT_SLAVE, ALLOC, INITGROUPS, SECURITY) = range(1, 24)
#: Not a failure: the console could not be opened (X57).
NOTICE = 100

#: The resources of ``limit``, in the order of their kernel numbers on most architectures (X36 step 9).
RESOURCES: Tuple[str, ...] = (
    "cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks", "sigpending", "msgqueue", "nice",
    "rtprio")

_TEXTS = {
    SPECIFICATION: "launcher was given a malformed specification: %s",
    DUP: "unable to move script fd: %s",
    CONSOLE: "unable to open console: %s",
    RLIMIT: 'unable to set "{resource}" resource limit: %s',
    PRIORITY: "unable to set priority: %s",
    OOM_ADJ: "unable to set oom adjustment: %s",
    CHROOT: "unable to change root directory: %s",
    CHDIR: "unable to change working directory: %s",
    EXEC: "unable to execute: %s",
    GETPWNAM: "unable to getpwnam: %s",
    GETGRNAM: "unable to getgrnam: %s",
    GETPWUID: "unable to getpwuid: %s",
    BAD_SETUID: "unable to find setuid user",
    BAD_SETGID: "unable to find setgid group",
    SETUID: "unable to setuid: %s",
    SETGID: "unable to setgid: %s",
    CHOWN: "unable to chown: %s",
    UNLOCKPT: "unable to unlockpt: %s",
    PTSNAME: "unable to get ptsname: %s",
    OPENPT_SLAVE: "unable to open pty slave: %s",
    ALLOC: "unable to allocate memory: %s",
    INITGROUPS: "unable to initgroups: %s",
    SECURITY: "unable to switch security profile: %s",
}


def answers(data: bytes) -> Iterator[Tuple[int, int, int]]:
    """The complete answers in what was read from the launcher."""
    return ANSWER.iter_unpack(data[:len(data) - len(data) % ANSWER.size])


def reason(kind: int, error: int, detail: int, cause: str = "") -> str:
    """The text of a failure (X40); ``cause`` is said instead of an errno where there is none (X41)."""
    text = _TEXTS.get(kind)
    if text is None:
        return f"launcher gave an unknown answer ({kind}): {os.strerror(error)}"
    if kind == RLIMIT:
        text = text.format(resource=RESOURCES[detail] if 0 <= detail < len(RESOURCES) else "?")
    return text.replace("%s", os.strerror(error) if error else cause or "unknown cause")


def not_traced(error: OSError) -> str:
    """The text of a failure that is the daemon's own: it is not allowed to follow the process (X40, X86)."""
    return f"unable to set trace: {error.strerror}"

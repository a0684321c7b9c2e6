"""Leaves the daemon some descriptors for whoever has to stop what used up the others.

A job with a log keeps two descriptors open. When many of them have taken all, the daemon can accept
no connection any more, and nobody can stop a job. So what is opened for jobs ends a little before
the limit. The kernel gives out the lowest free number; the number of what was just opened therefore
says, at next to no cost, how much is left.
"""
from __future__ import annotations

import errno
import os
import resource

#: As many numbers below the soft limit are not for jobs; a quarter of them all, if that is less.
RESERVE = 32


def in_reserve(fd: int) -> bool:
    """Whether a descriptor that was just opened is one of the last. The limit may change at any time."""
    limit: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit != resource.RLIM_INFINITY and fd >= limit - min(RESERVE, limit // 4)


def exhausted() -> OSError:
    """What the kernel would say if the reserve did not exist."""
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE))

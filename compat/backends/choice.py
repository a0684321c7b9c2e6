"""Which backend the daemon uses: what ``--backend`` asks for, or what the host has (X250)."""
from __future__ import annotations

import os
from typing import Callable, Optional

from ..engine.actions import WARN
from .descriptor_store import DescriptorStore
from .native import NativeBackend
from .protocol import Feed, LastingBackend, Later, Log, ProcessDefaults
from .systemd import SystemdBackend
from .systemd_connection import SystemdError


class NoBackend(Exception):
    """The backend that was asked for cannot be had; the text says why."""


def choose(wanted: str, system_mode: bool, feed: Feed, log: Log, later: Later, defaults: ProcessDefaults,
           utmp: Optional[Callable[[int], None]], store: Optional[DescriptorStore] = None, goes_on: bool = False) -> LastingBackend:
    """The backend for the daemon's whole life. Raises NoBackend.

    ``goes_on``: with the units of a daemon that this one replaces. So systemd will be there again if it is not now; and where
    it never can be reached, as without pystemd, the processes that there are still need somebody.
    """
    if wanted == "native" or (wanted == "auto" and not (system_mode and os.geteuid() == 0 and systemd_is_init())):
        return NativeBackend(feed, log, later, defaults, utmp, store=store)
    if not system_mode:
        raise NoBackend("--backend=systemd is for the system's jobs, not for a session's")
    backend = SystemdBackend(feed, log, later, defaults, utmp, store=store)
    try:
        backend.connect()
    except SystemdError as error:
        if goes_on and backend.connect_later():
            return backend
        backend.close()
        if wanted == "systemd" and not goes_on:
            raise NoBackend(f"systemd cannot be reached: {error}") from None
        log(WARN, f"systemd cannot be reached, jobs run without units: {error}")
        return NativeBackend(feed, log, later, defaults, utmp, store=store)
    return backend


def systemd_is_init() -> bool:
    """As sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")

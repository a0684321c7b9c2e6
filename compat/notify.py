"""Tells the service manager how the daemon is, where one asked to be told (B207, sd_notify(3)).

The manager's socket is named by NOTIFY_SOCKET. Nobody waits for long: a manager that does not read for a
moment misses a message, and while it goes on not to read nothing waits at all.
"""
from __future__ import annotations

import array
import os
import socket
import time
from typing import Dict, Optional, Sequence

_PATIENCE = 0.1
#: What the manager gives the daemon, and nobody else.
_PRIVATE = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "FDSTORE", "WATCHDOG_PID", "WATCHDOG_USEC")


def take_private(environment: Dict[str, str]) -> Dict[str, str]:
    """Take out of an environment what is only for the daemon itself, and return it."""
    return {name: environment.pop(name) for name in _PRIVATE if name in environment}


class Notifier:
    """``address`` is that of NOTIFY_SOCKET, None where nobody wants to know."""

    def __init__(self, address: Optional[str]) -> None:
        self._address = address if address and address[0] in "/@" else None
        self._socket: Optional[socket.socket] = None
        self._patient = True

    def __bool__(self) -> bool:
        return self._address is not None

    def ready(self) -> None:
        """Started, or reloaded."""
        self.send("READY=1")

    def reloading(self) -> None:
        """READY follows when it is done."""
        self.send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """On the way out."""
        self.send("STOPPING=1")

    def send(self, text: str, descriptors: Sequence[int] = ()) -> bool:
        """Send a message; whether the manager has it."""
        if self._address is None:
            return False
        try:
            return self._send(text.encode("utf-8"), descriptors)
        except OSError:
            # A timeout among them.
            self._patient = False
            return False

    def _send(self, data: bytes, descriptors: Sequence[int]) -> bool:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                connection.connect(_native(self._address or ""))
            except OSError:
                connection.close()
                raise
            self._socket = connection
        self._socket.settimeout(_PATIENCE if self._patient else 0)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self._socket.sendmsg([data], ancillary)
        self._patient = True
        return True

    def close(self) -> None:
        """Nothing more is to be told."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _native(address: str) -> bytes:
    raw = os.fsencode(address)
    return b"\0" + raw[1:] if raw.startswith(b"@") else raw

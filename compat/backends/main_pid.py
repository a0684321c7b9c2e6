"""Tells systemd which process is the main one of a unit now (sd_notify's MAINPID).

The message has to come from a process of the unit; root may say that it does, so nothing has to run there.
"""
from __future__ import annotations

import os
import socket
import struct

_SOCKET = "/run/systemd/notify"
_CREDENTIALS = struct.Struct("=III")


def announce(pid: int, path: str = _SOCKET) -> None:
    """``pid``, which is in the unit's cgroup, is its main process from now on. Raises OSError."""
    message = b"MAINPID=%d" % pid
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
        sender.connect(path)
        sender.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _CREDENTIALS.pack(pid, os.getuid(), os.getgid()))])

"""Descriptors that outlive the daemon, in the service manager's hands (sd_notify(3), FDSTORE).

The output of a job comes through a pty whose master the daemon holds. If the last copy of it goes with the
daemon, the job gets EIO for every line that it prints. So a copy of each lies in systemd's descriptor store
for as long as the process lives, and comes back to the next daemon at its start, with its name. The
service needs FileDescriptorStoreMax= for that. Where there is no such store, nothing is kept.
"""
from __future__ import annotations

import os
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

_FIRST = 3

Send = Callable[[str, Sequence[int]], bool]


class DescriptorStore:
    """``send`` is Notifier.send; ``given`` are the variables LISTEN_* that the daemon got."""

    def __init__(self, send: Send, given: Mapping[str, str]) -> None:
        self._send = send
        self._left: Dict[str, List[int]] = {}
        for name, descriptor in _received(given):
            self._left.setdefault(name, []).append(descriptor)

    def keep(self, name: str, descriptor: int) -> bool:
        """Put a copy into the store. ``name``: printable ASCII without a colon."""
        return self._send(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", (descriptor,))

    def drop(self, name: str) -> None:
        """Take the copy out again; harmless if there is none."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}", ())

    def take(self, name: str) -> int:
        """The descriptor that a daemon before this one kept under a name, -1 if there is none; it stays in the store."""
        found = self._left.pop(name, [-1])
        for surplus in found[1:]:
            os.close(surplus)
        return found[0]

    def forget_the_rest(self) -> None:
        """Close, and take out of the store, what nobody took."""
        left, self._left = self._left, {}
        for name, descriptors in left.items():
            for descriptor in descriptors:
                os.close(descriptor)
            self.drop(name)


def _received(given: Mapping[str, str]) -> List[Tuple[str, int]]:
    """Names and descriptors that are meant for this process, and open."""
    try:
        count = int(given.get("LISTEN_FDS", "0"))
        if int(given.get("LISTEN_PID", "0")) != os.getpid():
            return []
    except ValueError:
        return []
    names = given.get("LISTEN_FDNAMES", "").split(":")
    received: List[Tuple[str, int]] = []
    for position in range(min(count, len(names))):
        descriptor = _FIRST + position
        try:
            os.set_inheritable(descriptor, False)
        except OSError:
            continue
        received.append((names[position], descriptor))
    return received

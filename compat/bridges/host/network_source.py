"""Hands what the kernel says about links and addresses to the network model (B240).

First one dump of the links, then one of the addresses, then what changes. After an overflow the same again.
The kernel answers one dump at a time, so the second is asked for when the first is complete.
"""
from __future__ import annotations

import os
import time
from typing import Callable, Optional, Sequence

from ...loop import MainLoop, Timer
from . import rtnetlink
from .fact import Fact
from .netlink import ROUTE, Datagram, NetlinkSocket, Overflow
from .network import Complete, Network

_BUFFER_BYTES = 4 * 1024 * 1024
#: A dump that changed while it was made is asked for again, but not for ever.
_MOST_DUMPS = 8
_RETRY_SECONDS = 1.0

Tell = Callable[[Sequence[Fact]], None]


class NetworkSource:
    """Watches until ``close``. Raises OSError if there is no such socket to be had.

    ``after`` is called whenever a whole picture has been told.
    """

    def __init__(self, network: Network, loop: MainLoop, tell: Tell, after: Callable[[], None] = lambda: None) -> None:
        self._network = network
        self._loop = loop
        self._tell = tell
        self._after = after
        self._timer: Optional[Timer] = None
        self._due: Optional[float] = None
        self._retry: Optional[Timer] = None
        #: the number of the last request; while it is under way, what is to be done after it
        self._sequence = 0
        self._next: Optional[Callable[[], None]] = None
        self._again = False
        self._interrupted = 0
        self._socket = NetlinkSocket(ROUTE, rtnetlink.GROUPS, _BUFFER_BYTES)
        self._begin()

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def dispatch(self) -> None:
        """Read what there is."""
        try:
            received = self._socket.receive()
        except Overflow:
            self._begin()
            return
        for datagram in received:
            # Anybody may write to a netlink socket who knows its number.
            if datagram.from_kernel:
                self._take(datagram)
        self._arm()

    def settled(self, index: int) -> None:
        """udev is done with an interface (B256)."""
        self._report(self._network.settle(index, time.monotonic()))
        self._arm()

    def reconsider(self) -> None:
        """Conditions came or went."""
        self._report(self._network.reconsider(time.monotonic()))
        self._arm()

    def close(self) -> None:
        """Stop watching."""
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        self._socket.close()

    def _begin(self) -> None:
        if self._next is not None:
            # The kernel has one dump at a time.
            self._again = True
            return
        self._again = False
        self._network.begin()
        self._ask(rtnetlink.request_links, self._ask_addresses)

    def _ask_addresses(self) -> None:
        self._ask(rtnetlink.request_addresses, self._completed)

    def _ask(self, request: Callable[[int], bytes], then: Callable[[], None]) -> None:
        self._sequence += 1
        self._next = then
        try:
            self._socket.send(request(self._sequence))
        except OSError:
            self._dump_ended(True, then)

    def _completed(self) -> None:
        self._interrupted = 0
        self._report(self._network.update(Complete(), time.monotonic()))
        self._after()

    def _take(self, datagram: Datagram) -> None:
        for message in rtnetlink.decode(datagram.data):
            if isinstance(message, rtnetlink.DumpEnd):
                if message.sequence == self._sequence and self._next is not None:
                    self._dump_ended(message.refused, self._next)
            elif isinstance(message, rtnetlink.DumpInterrupted):
                if message.sequence == self._sequence and not self._again and self._interrupted < _MOST_DUMPS:
                    self._interrupted += 1
                    self._again = True
            else:
                self._report(self._network.update(message, time.monotonic()))

    def _dump_ended(self, refused: bool, then: Callable[[], None]) -> None:
        self._next = None
        if refused:
            self._retry = self._loop.later(_RETRY_SECONDS, self._begin)
        elif self._again:
            self._begin()
        else:
            then()

    def _report(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._tell(facts)

    def _arm(self) -> None:
        due = self._network.due()
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.later(max(0.0, due - time.monotonic()), self._expired)

    def _expired(self) -> None:
        self._timer = self._due = None
        self._report(self._network.expire(time.monotonic()))
        self._arm()


def device_path(name: str, sysfs: str = "/sys") -> str:
    """The DEVPATH of a network interface (B245)."""
    link = os.path.join(sysfs, "class/net", name)
    try:
        target = os.readlink(link)
    except OSError:
        return f"/devices/virtual/net/{name}"
    return os.path.normpath(os.path.join("/class/net", target))

"""What links and addresses mean to jobs: net-device-up, net-device-added and the job network-interface (B240-B246).

An interface is *up* for a family of addresses while it is switched on, has a carrier, and has an address of that
family that others can use. It is *down* again when that has not been so for LINGER seconds, or at once when the
interface is removed. Nothing is told before the first whole picture is there (``update`` with Complete); then lo
comes first and the others by number (B243), and later everything as it happens.

Objects in the daemon's table are

    link:INDEX:NAME      added, started (the virtual job network-interface runs)
    addr:INDEX:FAMILY    up:METHOD:NAME as they were told, for a ``down`` that has to be told by someone who was not there
    watched:links, watched:addresses       since when what is not in the table is new

What is not in the table was there before anybody asked, unless the host is booting or it was watched all the time:
jobs that come later see no events of the past (B204).
"""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple, Union

from .fact import GONE, Fact, HostEvent, Known, event
from .rtnetlink import (
    ADDRESS_DEPRECATED,
    ADDRESS_DUPLICATE,
    ADDRESS_PERMANENT,
    ADDRESS_TENTATIVE,
    IFF_LOOPBACK,
    IFF_RUNNING,
    IFF_UP,
    INET,
    INET6,
    SCOPE_GLOBAL,
    SCOPE_HOST,
    Address,
    AddressGone,
    Link,
    LinkGone,
    family_name,
)
from .wanted import Wanted

#: Seconds without carrier or address before an interface counts as down (B241).
LINGER = 2.0
JOB = "network-interface"
_UNUSABLE = ADDRESS_TENTATIVE | ADDRESS_DUPLICATE | ADDRESS_DEPRECATED
_WATCHED_LINKS, _WATCHED_ADDRESSES = "watched:links", "watched:addresses"
_ADDED, _STARTED = "added", "started"


class Complete(NamedTuple):
    """Everything that there is has been told since the picture was begun."""


Seen = Union[Link, LinkGone, Address, AddressGone, Complete]
_Place = Tuple[int, int]


class _Up(NamedTuple):
    """How an interface that is up was told."""

    name: str
    method: str


class Network:
    """The links and addresses of the host.

    ``booting``: the first pass of a boot. ``udev``: it names the interfaces and tells of them (B245); they count from
    ``settle`` on. ``device_path`` is asked for the DEVPATH of a link where it does not.
    """

    def __init__(self, wanted: Wanted, known: Known, booting: bool, udev: bool, device_path: Callable[[str], str]) -> None:
        self._wanted = wanted
        self._udev = udev
        self._device_path = device_path
        self._links: Dict[int, Link] = {}
        self._paths: Dict[int, str] = {}
        self._addresses: Dict[Tuple[int, int, bytes], Address] = {}
        self._complete = False
        #: keys that were told since the picture was begun
        self._fresh: Set[object] = set()
        self._settled: Set[int] = set()
        # What the table has: index to name and phase, place to how it is up.
        self._told: Dict[int, Tuple[str, str]] = {}
        self._up: Dict[_Place, _Up] = {}
        self._down_at: Dict[_Place, float] = {}
        self._read(known)
        self._tell_links = booting or _WATCHED_LINKS in known
        self._tell_addresses = booting or _WATCHED_ADDRESSES in known
        self._marked: Set[str] = {each for each in (_WATCHED_LINKS, _WATCHED_ADDRESSES) if each in known}

    def _read(self, known: Known) -> None:
        for key, phase in known.items():
            kind, _, rest = key.partition(":")
            index, _, name = rest.partition(":")
            if not index.isdecimal():
                continue
            if kind == "link":
                self._told[int(index)] = (name, phase)
            elif kind == "addr" and phase.startswith("up:"):
                _, method, interface = phase.split(":", 2)
                self._up[int(index), INET if name == "inet" else INET6] = _Up(interface, method)

    # -- what is asked ---------------------------------------------------------------------------------------

    @staticmethod
    def asked_for(wanted: Wanted, udev: bool) -> bool:
        """Whether some operand needs to know of links or addresses at all (B196)."""
        return _links_asked(wanted, udev) or _addresses_asked(wanted)

    def due(self) -> Optional[float]:
        """When ``expire`` has something to say, on the clock of ``update``; None: not at all."""
        return min(self._down_at.values(), default=None) if self._complete else None

    def is_up(self) -> bool:
        """Whether there is an interface beside lo that is switched on and has a carrier, and each such one has an address (B244)."""
        connected = [link for link in self._links.values()
                     if link.flags & IFF_UP and link.flags & IFF_RUNNING and not link.flags & IFF_LOOPBACK]
        return self._complete and bool(connected) and all(self._usable(link, INET) or self._usable(link, INET6) for link in connected)

    # -- what happens ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A new picture is being taken; what is not told until Complete is not there any more."""
        self._complete = False
        self._fresh.clear()

    def settle(self, index: int, now: float) -> List[Fact]:
        """udev is done with an interface: its name is final (B256)."""
        self._settled.add(index)
        return self._review(index, now) if self._complete else []

    def update(self, seen: Seen, now: float) -> List[Fact]:
        """Something was told by the kernel, at ``now`` (seconds on any clock that goes forward)."""
        if isinstance(seen, Complete):
            return self._completed(now)
        if isinstance(seen, Link):
            self._links[seen.number] = seen
            self._fresh.add(seen.number)
        elif isinstance(seen, Address):
            key = (seen.number, seen.family, seen.address)
            self._addresses[key] = seen
            self._fresh.add(key)
        elif isinstance(seen, AddressGone):
            self._addresses.pop((seen.number, seen.family, seen.address), None)
        else:
            self._forget(seen.number)
        return self._review(seen.number, now) if self._complete else []

    def expire(self, now: float) -> List[Fact]:
        """Tell of what has been down for long enough."""
        if not self._complete:
            return []
        return [self._down(place) for place in sorted(place for place, when in self._down_at.items() if when <= now)]

    def reconsider(self, now: float) -> List[Fact]:
        """Conditions came or went."""
        facts: List[Fact] = []
        if _WATCHED_LINKS in self._marked and not _links_asked(self._wanted, self._udev):
            facts += [Fact(_link(index, name), GONE) for index, (name, _) in self._told.items()] + [Fact(_WATCHED_LINKS, GONE)]
            self._told.clear()
            self._tell_links = False
            self._marked.discard(_WATCHED_LINKS)
        if _WATCHED_ADDRESSES in self._marked and not _addresses_asked(self._wanted):
            facts += [Fact(_addr(place), GONE) for place in self._up] + [Fact(_WATCHED_ADDRESSES, GONE)]
            self._up.clear()
            self._down_at.clear()
            self._tell_addresses = False
            self._marked.discard(_WATCHED_ADDRESSES)
        return facts + (self._pass(now) if self._complete else [])

    # -- inside ----------------------------------------------------------------------------------------------------

    def _forget(self, index: int) -> None:
        self._links.pop(index, None)
        self._settled.discard(index)
        for key in [key for key in self._addresses if key[0] == index]:
            del self._addresses[key]

    def _completed(self, now: float) -> List[Fact]:
        for index in [index for index in self._links if index not in self._fresh]:
            self._forget(index)
        for key in [key for key in self._addresses if key not in self._fresh]:
            del self._addresses[key]
        self._fresh.clear()
        self._complete = True
        return self._pass(now)

    def _pass(self, now: float) -> List[Fact]:
        """Review everything, in order; from then on what is not in the table is new."""
        places = {index for index, _ in self._up}
        order = sorted({*self._links, *self._told, *places}, key=lambda index: (not self._is_loopback(index), index))
        facts = [fact for index in order for fact in self._review(index, now)]
        for mark, asked in ((_WATCHED_LINKS, _links_asked(self._wanted, self._udev)),
                            (_WATCHED_ADDRESSES, _addresses_asked(self._wanted))):
            if asked and mark not in self._marked:
                self._marked.add(mark)
                facts.append(Fact(mark, "done"))
        self._tell_links = _WATCHED_LINKS in self._marked
        self._tell_addresses = _WATCHED_ADDRESSES in self._marked
        return facts

    def _is_loopback(self, index: int) -> bool:
        link = self._links.get(index)
        return link is not None and bool(link.flags & IFF_LOOPBACK)

    def _review(self, index: int, now: float) -> List[Fact]:
        """What has changed about an interface. An address is told after its link, its end before the link's."""
        link = self._links.get(index)
        facts: List[Fact] = []
        if link is None:
            facts += [self._down(place) for place in ((index, INET), (index, INET6)) if place in self._up]
            if index in self._told:
                facts += self._removed(index)
            return facts
        if _links_asked(self._wanted, self._udev) and (not self._udev or index in self._settled):
            facts += self._added(link)
        if _addresses_asked(self._wanted):
            addresses = [fact for family in (INET, INET6) for fact in self._review_family(link, family, now)]
            facts += self._started(link) + addresses
        return facts

    def _added(self, link: Link) -> List[Fact]:
        index = link.number
        if index not in self._told:
            events: List[HostEvent] = []
            if not self._udev:
                self._paths[index] = self._device_path(link.name)
                events += self._if_wanted("net-device-added", *self._device(index, link.name, "add"))
            events += self._job_events("starting", link.name, hold=True)
            self._told[index] = (link.name, _ADDED)
            return [Fact(_link(index, link.name), _ADDED, tuple(events) if self._tell_links else ())]
        name, phase = self._told[index]
        if name == link.name:
            return []
        # A new name is no event (B242).
        self._told[index] = (link.name, phase)
        return [Fact(_link(index, name), GONE), Fact(_link(index, link.name), phase)]

    def _removed(self, index: int) -> List[Fact]:
        name, _ = self._told.pop(index)
        events: List[HostEvent] = []
        if not self._udev:
            events += self._if_wanted("net-device-removed", *self._device(index, name, "remove"))
        events += self._job_events("stopping", name, hold=True) + self._job_events("stopped", name)
        self._paths.pop(index, None)
        return [Fact(_link(index, name), GONE, tuple(events))]

    def _device(self, index: int, name: str, action: str) -> Tuple[str, ...]:
        # The path of one that went while nobody looked is not known.
        path = self._paths.get(index) or f"/devices/virtual/net/{name}"
        return (f"KERNEL={name}", f"DEVPATH={path}", "SUBSYSTEM=net", f"ACTION={action}", f"IFINDEX={index}", f"INTERFACE={name}")

    def _review_family(self, link: Link, family: int, now: float) -> List[Fact]:
        place = (link.number, family)
        address = self._usable(link, family)
        up = self._up.get(place)
        if address is not None:
            self._down_at.pop(place, None)
            return self._came_up(link, address) if up is None else []
        if up is not None:
            self._down_at.setdefault(place, now + LINGER)
        return []

    def _usable(self, link: Link, family: int) -> Optional[Address]:
        loopback = bool(link.flags & IFF_LOOPBACK)
        needed = IFF_UP if loopback else IFF_UP | IFF_RUNNING
        if link.flags & needed != needed:
            return None
        scopes = (SCOPE_HOST, SCOPE_GLOBAL) if loopback else (SCOPE_GLOBAL,)
        for address in self._addresses.values():
            if (address.number, address.family) == (link.number, family) and address.scope in scopes and not address.flags & _UNUSABLE:
                return address
        return None

    def _came_up(self, link: Link, address: Address) -> List[Fact]:
        up = _Up(link.name, _method(link, address))
        self._up[link.number, address.family] = up
        events = self._if_wanted("net-device-up", *_variables(up, address.family)) if self._tell_addresses else []
        return [Fact(_addr((link.number, address.family)), f"up:{up.method}:{up.name}", tuple(events))]

    def _started(self, link: Link) -> List[Fact]:
        """With its first address an interface's virtual job has done its work (B246)."""
        index, name = link.number, link.name
        if self._told.get(index) != (name, _ADDED) or not ((index, INET) in self._up or (index, INET6) in self._up):
            return []
        self._told[index] = (name, _STARTED)
        return [Fact(_link(index, name), _STARTED, tuple(self._job_events("started", name) if self._tell_links else ()))]

    def _down(self, place: _Place) -> Fact:
        self._down_at.pop(place, None)
        up = self._up.pop(place)
        return Fact(_addr(place), GONE, tuple(self._if_wanted("net-device-down", *_variables(up, place[1]))))

    def _job_events(self, name: str, interface: str, hold: bool = False) -> List[HostEvent]:
        """An event of the virtual job, with its export last, as E93 has it (B246)."""
        if not _job_asked(self._wanted):
            return []
        result = ("RESULT=ok",) if name in ("stopping", "stopped") else ()
        return self._if_wanted(name, f"JOB={JOB}", f"INSTANCE={interface}", *result, f"INTERFACE={interface}", hold=hold)

    def _if_wanted(self, name: str, *env: str, hold: bool = False) -> List[HostEvent]:
        told = event(name, *env, hold=hold)
        return [told] if self._wanted.could_match(name, told.env) else []


def _links_asked(wanted: Wanted, udev: bool) -> bool:
    devices = not udev and (wanted.event("net-device-added") or wanted.event("net-device-removed"))
    return devices or _job_asked(wanted)


def _addresses_asked(wanted: Wanted) -> bool:
    return wanted.event("net-device-up") or wanted.event("net-device-down") or _job_asked(wanted)


def _job_asked(wanted: Wanted) -> bool:
    names, everything = wanted.native_jobs()
    return JOB in names or (everything and not wanted.registered(JOB))


def _method(link: Link, address: Address) -> str:
    if link.flags & IFF_LOOPBACK:
        return "loopback"
    if address.flags & ADDRESS_PERMANENT:
        return "static"
    return "dhcp" if address.family == INET else "auto"


def _variables(up: _Up, family: int) -> Tuple[str, ...]:
    return (f"IFACE={up.name}", f"LOGICAL={up.name}", f"ADDRFAM={family_name(family)}", f"METHOD={up.method}")


def _link(index: int, name: str) -> str:
    return f"link:{index}:{name}"


def _addr(place: _Place) -> str:
    return f"addr:{place[0]}:{family_name(place[1])}"

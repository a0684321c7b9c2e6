"""What mounts and swaps mean to jobs: mounting and mounted (B247-B251).

A mount that came while somebody watched is told as ``mounting``, held, and ``mounted``; one that was there at the
first pass of a boot as ``mounted`` only, virtual ones first. Its unmounting is no event. Where /etc/fstab has the
mount point its line is told as written, as mountall did, else what the kernel says.

Much of what containers and sandboxes mount is of no interest to any job of old. Bind mounts, layers and whatever is
below the places of such software are only told if an operand names them, and not even known otherwise (B250).

Objects in the daemon's table are

    mount:MOUNTPOINT     device and mount id, or ``mounting`` while the host's init is about it (B249)
    swap:DEVICE          on
    watched:mounts       since when what is not in the table is new
"""
from __future__ import annotations

from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Set, Tuple

from .fact import GONE, Fact, HostEvent, Known, event
from .mount_table import NETWORK, VIRTUAL, FstabEntry, Mount, class_of, is_below, joined_options
from .wanted import Wanted

_WATCHED = "watched:mounts"
_MOUNTING, _MOUNTED = "mounting", "mounted"
_ON = "on"
#: Where container engines, login sessions and snaps mount (B250).
_FOREIGN_PLACES = ("/run/user", "/var/lib/docker", "/var/lib/containers", "/run/netns", "/snap")
_LAYERS = "overlay"


class Swap(NamedTuple):
    """A swap space: the kernel's name for it, and its line in fstab if there is one."""

    device: str
    entry: Optional[FstabEntry]


class Tables(NamedTuple):
    """What there is now, in the kernel's order; ``fstab`` is what should be."""

    mounts: Sequence[Mount]
    swaps: Sequence[Swap]
    fstab: Sequence[FstabEntry]


class Mounts:
    """The mounts of the host. ``booting``: the first pass of a boot."""

    def __init__(self, wanted: Wanted, known: Known, booting: bool) -> None:
        self._wanted = wanted
        self._told = {key: phase for key, phase in known.items() if key.startswith(("mount:", "swap:"))}
        self._watched = _WATCHED in known
        #: what is not in the table is told, as found / as new
        self._tell = booting or self._watched
        self._first = booting and not self._watched
        self._entries: Dict[str, FstabEntry] = {}
        self._tables: Optional[Tables] = None
        #: the phases of all mounts of the last time, also of those that others cover
        self._there: Set[str] = set()

    @staticmethod
    def asked_for(wanted: Wanted) -> bool:
        """Whether some operand needs to know of mounts at all (B196)."""
        return wanted.event(_MOUNTING) or wanted.event(_MOUNTED)

    def update(self, tables: Tables) -> List[Fact]:
        """What has changed since the last time."""
        self._tables = tables
        # The first line of a mount point counts.
        self._entries = {entry.mount_point: entry for entry in reversed(tables.fstab)}
        now: Dict[str, Tuple[str, Tuple[HostEvent, ...]]] = {}
        for mount in self._in_order(self._told_of(tables.mounts)):
            phase = _phase(mount)
            key = f"mount:{mount.mount_point}"
            # What only comes to light again was told when it was new.
            now[key] = (phase, () if phase in self._there else self._events(self._mount_variables(mount), key))
        for swap in tables.swaps:
            now[f"swap:{swap.device}"] = (_ON, self._events(_swap_variables(swap), ""))
        facts = [Fact(key, GONE) for key, phase in self._told.items() if key not in now and phase != _MOUNTING]
        for fact in facts:
            del self._told[fact.object]
        for key, (phase, events) in now.items():
            if self._told.get(key) != phase:
                self._told[key] = phase
                facts.append(Fact(key, phase, events if self._tell else ()))
        if not self._watched:
            facts.append(Fact(_WATCHED, "done"))
        self._there = {_phase(mount) for mount in tables.mounts}
        self._watched = self._tell = True
        self._first = False
        return facts

    def reconsider(self) -> List[Fact]:
        """Conditions came or went: of a mount that is named only now nothing is told (B204)."""
        if self._tables is None:
            return []
        self._tell = False
        return self.update(self._tables)

    def stop(self) -> List[Fact]:
        """Nobody asks any more: what is mounted by then will be old when somebody does."""
        facts = [Fact(key, GONE) for key in (*self._told, _WATCHED)]
        self._told.clear()
        self._watched = self._tell = False
        return facts

    # -- what the host's init is about to mount --------------------------------------------------------------

    def expected(self) -> FrozenSet[str]:
        """Mount points of fstab whose ``mounting`` somebody waits for; the units of these are to be watched (B249)."""
        return frozenset(entry.mount_point for entry in self._entries.values()
                         if entry.mount_point.startswith("/") and self._if_wanted(_MOUNTING, _fields(entry), True))

    def activating(self, mount_point: str) -> List[Fact]:
        """The host's init begins to mount something (B249)."""
        key, entry = f"mount:{mount_point}", self._entries.get(mount_point)
        if entry is None or key in self._told:
            return []
        self._told[key] = _MOUNTING
        return [Fact(key, _MOUNTING, self._if_wanted(_MOUNTING, _fields(entry), True))]

    def failed(self, mount_point: str) -> List[Fact]:
        """It did not succeed in mounting that."""
        key = f"mount:{mount_point}"
        if self._told.get(key) != _MOUNTING:
            return []
        del self._told[key]
        return [Fact(key, GONE)]

    # -- inside ------------------------------------------------------------------------------------------------

    def _told_of(self, mounts: Sequence[Mount]) -> List[Mount]:
        """The mounts that are told of, one for each mount point: the one that is seen there."""
        seen = set()
        found: Dict[str, Mount] = {}
        for mount in mounts:
            again = (mount.device, mount.root) in seen
            seen.add((mount.device, mount.root))
            if self._is_told(mount, again):
                found.pop(mount.mount_point, None)
                found[mount.mount_point] = mount
        return list(found.values())

    def _is_told(self, mount: Mount, again: bool) -> bool:
        point = mount.mount_point
        if point == "/" or point in self._entries:
            return True
        # A subvolume has a root of its own without being a bind mount.
        part = mount.root != "/" and f"subvol={mount.root}" not in mount.super_options.split(",") and not mount.type.startswith("cgroup")
        foreign = again or part or mount.type == _LAYERS or is_below(point, _FOREIGN_PLACES)
        return not foreign or self._wanted.names_mount_point(point)

    def _in_order(self, mounts: List[Mount]) -> List[Mount]:
        if not self._first:
            return mounts
        return sorted(mounts, key=lambda mount: class_of(mount, self._entries.get(mount.mount_point)) != VIRTUAL)

    def _events(self, variables: Tuple[str, ...], key: str) -> Tuple[HostEvent, ...]:
        mounting: Tuple[HostEvent, ...] = ()
        if not self._first and self._told.get(key) != _MOUNTING:
            mounting = self._if_wanted(_MOUNTING, variables, True)
        return mounting + self._if_wanted(_MOUNTED, variables, False)

    def _if_wanted(self, name: str, variables: Tuple[str, ...], hold: bool) -> Tuple[HostEvent, ...]:
        told = event(name, *variables, hold=hold)
        return (told,) if self._wanted.could_match(name, told.env) else ()

    def _mount_variables(self, mount: Mount) -> Tuple[str, ...]:
        entry = self._entries.get(mount.mount_point)
        if entry is not None:
            return _fields(entry)
        source = "none" if class_of(mount, None) == VIRTUAL else mount.source
        return _variables(source, mount.mount_point, mount.type, joined_options(mount))


def _phase(mount: Mount) -> str:
    return f"{mount.device} {mount.id}"


def network_mounts(tables: Tables) -> List[str]:
    """The mount points of network file systems that are mounted (B208 line 7, B219 step 3)."""
    entries = {entry.mount_point: entry for entry in reversed(tables.fstab)}
    return [mount.mount_point for mount in tables.mounts if class_of(mount, entries.get(mount.mount_point)) == NETWORK]


def _swap_variables(swap: Swap) -> Tuple[str, ...]:
    entry = swap.entry
    return _variables(entry.spec if entry is not None else swap.device, "none", "swap", entry.options if entry is not None else "defaults")


def _fields(entry: FstabEntry) -> Tuple[str, ...]:
    return _variables(entry.spec, entry.mount_point, entry.type, entry.options)


def _variables(device: str, mount_point: str, kind: str, options: str) -> Tuple[str, ...]:
    return (f"DEVICE={device}", f"MOUNTPOINT={mount_point}", f"TYPE={kind}", f"OPTIONS={options}")

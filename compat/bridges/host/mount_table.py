"""The kernel's and the administrator's tables of mounts and swaps, from bytes to records (B247, B251, B261).

proc(5), fstab(5). Lines that make no sense are left out.
"""
from __future__ import annotations

import re
from typing import List, NamedTuple, Optional, Tuple

VIRTUAL, LOCAL, NETWORK = "virtual", "local", "network"

_VIRTUAL_TYPES = frozenset((
    "proc", "sysfs", "devtmpfs", "devpts", "securityfs", "debugfs", "cgroup", "cgroup2", "bpf", "tracefs", "pstore",
    "fusectl", "configfs", "mqueue", "hugetlbfs", "efivarfs"))
#: A tmpfs is one of these if it is there or below.
_VIRTUAL_PLACES = ("/run", "/dev", "/sys", "/tmp")
_NETWORK_TYPES = frozenset((
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs", "davfs", "afs", "lustre", "gfs2", "ocfs2"))
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """A line of mountinfo. ``options`` are those of the mount, ``super_options`` those of the file system.

    ``id``: that of the line, or a lasting one in its place (mount_numbers).
    """

    id: int
    device: str
    root: str
    mount_point: str
    options: str
    type: str
    source: str
    super_options: str


class FstabEntry(NamedTuple):
    """A line of fstab, as written."""

    spec: str
    mount_point: str
    type: str
    options: str


def decode_mountinfo(data: bytes) -> List[Mount]:
    """The mounts, in the kernel's order."""
    found: List[Mount] = []
    for line in data.split(b"\n"):
        # Fields of no use here stand before the dash, as many as there are.
        own, dash, rest = line.partition(b" - ")
        fields, of_file_system = own.split(b" "), rest.split(b" ")
        if not dash or len(fields) < 6 or len(of_file_system) < 3 or not fields[0].isdigit():
            continue
        found.append(Mount(int(fields[0]), _text(fields[2]), _text(fields[3]), _text(fields[4]), _text(fields[5]),
                           _text(of_file_system[0]), _text(of_file_system[1]), _text(of_file_system[2])))
    return found


def decode_swaps(data: bytes) -> List[str]:
    """The devices and files that are swapped to."""
    return [_text(line.split()[0]) for line in data.split(b"\n")[1:] if line.strip()]


def decode_fstab(data: bytes) -> List[FstabEntry]:
    """The entries of fstab."""
    found: List[FstabEntry] = []
    for line in data.split(b"\n"):
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith(b"#"):
            continue
        options = fields[3] if len(fields) > 3 else b"defaults"
        mount_point = _text(fields[1])
        if len(mount_point) > 1:
            mount_point = mount_point.rstrip("/")
        found.append(FstabEntry(_text(fields[0]), mount_point, _text(fields[2]), _text(options)))
    return found


def _text(field: bytes) -> str:
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 8) & 0xFF,)), field).decode("utf-8", "surrogateescape")


def classify(mount_point: str, kind: str, options: str) -> str:
    """VIRTUAL, NETWORK or LOCAL, of a file system of type ``kind`` (B261)."""
    if kind in _VIRTUAL_TYPES or (kind == "tmpfs" and is_below(mount_point, _VIRTUAL_PLACES)):
        return VIRTUAL
    words = options.split(",")
    if kind in _NETWORK_TYPES or "_netdev" in words or (kind == "9p" and "trans=tcp" in words):
        return NETWORK
    return LOCAL


def class_of(mount: Mount, entry: Optional[FstabEntry]) -> str:
    """As ``classify``, of a mount and its entry in fstab, which alone has ``_netdev``."""
    return classify(mount.mount_point, mount.type, ",".join((mount.super_options, entry.options if entry is not None else "")))


def is_below(path: str, places: Tuple[str, ...]) -> bool:
    """Whether the path is one of the places or below one."""
    return any(path == place or path.startswith(place + "/") for place in places)


def joined_options(mount: Mount) -> str:
    """The options of mount and file system, each once (B248)."""
    return ",".join(dict.fromkeys(f"{mount.options},{mount.super_options}".split(",")))

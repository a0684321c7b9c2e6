"""Whether a network file system is still mounted, at the end of the host (B219)."""
from __future__ import annotations

from ..bridges.host.mount_table import decode_fstab, decode_mountinfo
from ..bridges.host.mounts import Tables, network_mounts


def network_mounts_left(mountinfo: str = "/proc/self/mountinfo", fstab: str = "/etc/fstab") -> bool:
    """Whether the mount table has one. Of a table that cannot be read nothing is known, so: no."""
    return bool(network_mounts(Tables(decode_mountinfo(_contents(mountinfo)), (), decode_fstab(_contents(fstab)))))


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""

"""Hands /proc/self/mountinfo, /proc/swaps and /etc/fstab to the mounts model whenever one has changed (B247, B251).

The kernel tells of changes by POLLPRI on the open file. A container may have another file system's file in the
place of /proc/swaps, or of both; such a file tells nothing, so it is looked at every POLL_SECONDS (B272). Where the kernel has
lasting numbers of mounts the model gets these, so that a mount that took the place of another between two looks is a new one.
"""
from __future__ import annotations

import os
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from ...loop import MainLoop, Timer
from .fact import Fact
from .mount_numbers import MountNumbers
from .mount_table import FstabEntry, decode_fstab, decode_mountinfo, decode_swaps
from .mounts import Mounts, Swap, Tables

POLL_SECONDS = 10.0
_CHUNK_BYTES = 65536
#: How often the mounts are read again because one came or went meanwhile. After that the kernel tells of another change anyway.
_MOST_READS = 5
#: Where udev has links to block devices, by the word before the ``=`` in fstab.
_LINKS = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}


class MountSource:
    """Watches until ``close``; it adds its files to the loop by itself, since they are urgent ones.

    Raises OSError if mountinfo cannot be read. ``after`` is called with the tables when they were told.
    """

    def __init__(self, mounts: Mounts, loop: MainLoop, tell: Callable[[Sequence[Fact]], None],
                 after: Callable[[Tables], None] = lambda tables: None,
                 mountinfo: str = "/proc/self/mountinfo", swaps: str = "/proc/swaps", fstab: str = "/etc/fstab") -> None:
        self._mounts = mounts
        self._loop = loop
        self._tell = tell
        self._after = after
        self._fstab = fstab
        self._files: Dict[str, int] = {}
        self._timer: Optional[Timer] = None
        self._numbers = MountNumbers()
        self._last: Optional[Tuple[bytes, Dict[int, int], bytes, bytes]] = None
        self._mountinfo, self._swaps = mountinfo, swaps
        self._open(mountinfo)
        try:
            self._open(swaps)
        except OSError:
            # A kernel without swap.
            pass
        self.dispatch()

    def dispatch(self) -> None:
        """Read everything and tell what has changed."""
        mountinfo, numbers = self._read_mounts()
        data = (mountinfo, numbers, self._read(self._swaps), _contents(self._fstab))
        if data == self._last:
            return
        self._last = data
        fstab = decode_fstab(data[3])
        mounts = [each._replace(id=numbers.get(each.id, each.id)) for each in decode_mountinfo(mountinfo)]
        tables = Tables(mounts, _swaps(decode_swaps(data[2]), fstab), fstab)
        facts = self._mounts.update(tables)
        if facts:
            self._tell(facts)
        self._after(tables)

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        for fd in self._files.values():
            if _tells_changes(fd):
                self._loop.remove_urgent_reader(fd)
            os.close(fd)
        self._files.clear()

    def _open(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._files[path] = fd
        if _tells_changes(fd):
            self._loop.add_urgent_reader(fd, self.dispatch)
        elif self._timer is None:
            self._look_later()

    def _look_later(self) -> None:
        self._timer = self._loop.later(POLL_SECONDS, self._look)

    def _look(self) -> None:
        self._look_later()
        self.dispatch()

    def _read_mounts(self) -> Tuple[bytes, Dict[int, int]]:
        """Mountinfo, and the lasting numbers of the very same mounts."""
        numbers = self._numbers.read()
        for _ in range(_MOST_READS):
            before, mountinfo, numbers = numbers, self._read(self._mountinfo), self._numbers.read()
            if numbers == before:
                break
        return mountinfo, numbers

    def _read(self, path: str) -> bytes:
        fd = self._files.get(path)
        if fd is None:
            return b""
        os.lseek(fd, 0, os.SEEK_SET)
        chunks: List[bytes] = []
        while True:
            chunk = os.read(fd, _CHUNK_BYTES)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)


def _tells_changes(fd: int) -> bool:
    return os.fstat(fd).st_dev == os.stat("/proc/self").st_dev


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _swaps(devices: Sequence[str], fstab: Sequence[FstabEntry]) -> List[Swap]:
    entries = {_device(entry.spec): entry for entry in reversed(fstab) if entry.type == "swap"}
    return [Swap(device, entries.get(device)) for device in devices]


def _device(spec: str) -> str:
    """The device that an entry of fstab means, by the name that the kernel has for it."""
    tag, equals, value = spec.partition("=")
    directory = _LINKS.get(tag) if equals else None
    value = value.strip('"')
    return os.path.realpath(f"/dev/disk/{directory}/{value}" if directory else spec)

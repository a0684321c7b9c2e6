"""Hands messages about devices to the devices model, and what there is when watching begins (B252-B255).

Where udev runs its own messages count, which come when it is done with a device; anybody could send such, so the
sender must be root. Else the kernel's count. When messages were lost stock is taken again.
"""
from __future__ import annotations

import os
import re
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence

from .devices import Devices
from .fact import Fact
from .netlink import UEVENT, Datagram, NetlinkSocket, Overflow
from .uevents import (
    KERNEL_GROUP,
    KERNEL_GROUPS,
    UDEV_GROUP,
    UDEV_GROUPS,
    Device,
    database_name,
    decode_database,
    decode_kernel,
    decode_udev,
    decode_uevent_file,
)

#: What Upstart's own bridge asked for (B146); the kernel only takes it as messages come.
_BUFFER_BYTES = 128 * 1024 * 1024
_NET = frozenset(("net",))
#: The kernel's names of what may be the display.
_DISPLAYS = {"drm": re.compile(r"card[0-9]+"), "graphics": re.compile(r"fb[0-9]+")}


class DeviceSource:
    """Watches until ``close``. ``settled`` hears the number of each link that udev is done with (B256).

    Raises OSError if there is no such socket to be had.
    """

    def __init__(self, devices: Devices, udev: bool, tell: Callable[[Sequence[Fact]], None],
                 settled: Callable[[int], None] = lambda index: None, sysfs: str = "/sys", database: str = "/run/udev/data") -> None:
        self._devices = devices
        self._udev = udev
        self._tell = tell
        self._settled = settled
        self._sysfs = sysfs
        self._database = database
        # Before stock is taken, so that nothing comes in between.
        self._socket = NetlinkSocket(UEVENT, UDEV_GROUPS if udev else KERNEL_GROUPS, _BUFFER_BYTES)
        self._take_stock(devices.followed())

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def dispatch(self) -> None:
        """Read what there is."""
        try:
            received = self._socket.receive()
        except Overflow:
            self._take_stock(self._devices.followed())
            return
        for datagram in received:
            device = self._decode(datagram)
            if device is not None:
                self._report(self._devices.update(self._with_display(device)))
                if device.action != "remove":
                    self._settle(device)

    def reconsider(self) -> None:
        """Conditions came or went."""
        self._report(self._devices.reconsider())
        self._take_stock(self._devices.unstocked())

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _decode(self, datagram: Datagram) -> Optional[Device]:
        if self._udev:
            return decode_udev(datagram.data) if datagram.group == UDEV_GROUP and datagram.uid == 0 else None
        return decode_kernel(datagram.data) if datagram.group == KERNEL_GROUP and datagram.from_kernel else None

    def _take_stock(self, of: FrozenSet[str]) -> None:
        there = [device for subsystem in sorted(of | _NET if self._udev else of) for device in self._all(subsystem)]
        self._report(self._devices.stock([self._with_display(device) for device in there], of))
        for device in there:
            self._settle(device)

    def _settle(self, device: Device) -> None:
        index = device.properties.get("IFINDEX", "")
        if self._udev and device.subsystem == "net" and index.isdecimal():
            self._settled(int(index))

    def _report(self, facts: Sequence[Fact]) -> None:
        if facts:
            self._tell(facts)

    # -- what there is -----------------------------------------------------------------------------------------------

    def _all(self, subsystem: str) -> List[Device]:
        found: Dict[str, Device] = {}
        for directory in (f"class/{subsystem}", f"bus/{subsystem}/devices"):
            place = os.path.join(self._sysfs, directory)
            for name in _names(place):
                path = os.path.realpath(os.path.join(place, name))
                device = self._read(path, subsystem)
                if device is not None:
                    found[device.path] = device
        return list(found.values())

    def _read(self, directory: str, subsystem: str) -> Optional[Device]:
        try:
            # Some directories of a class hold files besides the devices; those have no such file.
            with open(os.path.join(directory, "uevent"), "rb") as file:
                properties = decode_uevent_file(file.read())
        except OSError:
            return None
        path = directory[len(os.path.realpath(self._sysfs)):]
        properties.update(DEVPATH=path, SUBSYSTEM=subsystem, ACTION="add")
        if self._udev:
            try:
                with open(os.path.join(self._database, database_name(path, properties)), "rb") as file:
                    properties = {**decode_database(file.read()), **properties}
            except OSError:
                if "MAJOR" in properties or "IFINDEX" in properties:
                    # udev is not done with it; it will say so when it is.
                    return None
        return Device("add", path, properties)

    def _with_display(self, device: Device) -> Device:
        pattern = _DISPLAYS.get(device.subsystem)
        if pattern is None or not pattern.fullmatch(device.name):
            return device
        place = os.path.join(self._sysfs, "class", device.subsystem)
        displays = [name for name in _names(place) if pattern.fullmatch(name)]
        first = [name for name in displays if self._boot_vga(os.path.realpath(os.path.join(place, name)))]
        return device._replace(primary=device.name in first if first else displays == [device.name])

    def _boot_vga(self, directory: str) -> bool:
        """Whether the firmware used this display, which the PCI device above it knows."""
        while len(directory) > len(self._sysfs):
            try:
                with open(os.path.join(directory, "boot_vga"), "rb") as file:
                    return file.read(1) == b"1"
            except OSError:
                directory = os.path.dirname(directory)
        return False


def _names(directory: str) -> List[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []

"""Messages about devices, from bytes to records: those of the kernel, and those of udev when it is done with them (B252).

A message of udev has a header, of which the magic number and where the properties are matter here, and then, as the
kernel's after its first line, ``KEY=VALUE`` with NULs between. What udev keeps of a device is read here too: lines
of /run/udev/data, and of the file ``uevent`` that the kernel has for each device.
"""
from __future__ import annotations

import struct
from typing import Dict, NamedTuple, Optional

#: Multicast groups, as numbers and as bits.
KERNEL_GROUP, UDEV_GROUP = 1, 2
KERNEL_GROUPS, UDEV_GROUPS = 1, 2

_UDEV_PREFIX = b"libudev\0"
_UDEV_MAGIC = 0xFEEDCAFE
_UDEV_HEADER = struct.Struct("=8s4sIII")
_NODES = "/dev/"


class Device(NamedTuple):
    """A device and what has happened to it. ``primary``: it is the display that the machine starts with (B254)."""

    action: str
    path: str
    properties: Dict[str, str]
    primary: bool = False

    @property
    def subsystem(self) -> str:
        """Its subsystem, "" if it has none."""
        return self.properties.get("SUBSYSTEM", "")

    @property
    def name(self) -> str:
        """The kernel's name of it; in a path a slash in it is written ``!``."""
        return self.path.rpartition("/")[2].replace("!", "/")


def decode_udev(data: bytes) -> Optional[Device]:
    """A message of udev; None if it makes no sense."""
    if len(data) < _UDEV_HEADER.size:
        return None
    prefix, magic, _, start, length = _UDEV_HEADER.unpack_from(data)
    if prefix != _UDEV_PREFIX or int.from_bytes(magic, "big") != _UDEV_MAGIC or start < _UDEV_HEADER.size:
        return None
    return _device(_properties(data[start:start + length], b"\0"))


def decode_kernel(data: bytes) -> Optional[Device]:
    """A message of the kernel; None if it makes no sense, such as a copy of udev's."""
    head, _, rest = data.partition(b"\0")
    if b"@" not in head:
        return None
    return _device(with_node(_properties(rest, b"\0")))


def _device(properties: Dict[str, str]) -> Optional[Device]:
    path, action = properties.get("DEVPATH"), properties.get("ACTION")
    if not path or not action:
        # Without an action Upstart's bridge dropped it too (B147).
        return None
    return Device(action, path, properties)


def decode_uevent_file(data: bytes) -> Dict[str, str]:
    """The properties in a device's file ``uevent``."""
    return with_node(_properties(data, b"\n"))


def with_node(properties: Dict[str, str]) -> Dict[str, str]:
    """The kernel names a node without its directory, udev with it."""
    node = properties.get("DEVNAME")
    if node and not node.startswith("/"):
        properties["DEVNAME"] = _NODES + node
    return properties


def decode_database(data: bytes) -> Dict[str, str]:
    """The properties in udev's file about a device, as its messages have them."""
    found: Dict[str, str] = {}
    links, tags, current = [], [], []
    for line in data.split(b"\n"):
        kind, _, content = line.partition(b":")
        text = _text(content)
        if kind == b"E":
            key, equals, value = text.partition("=")
            if key and equals:
                found[key] = value
        elif kind == b"S":
            links.append(_NODES + text)
        elif kind == b"G":
            tags.append(text)
        elif kind == b"Q":
            current.append(text)
        elif kind == b"I":
            found["USEC_INITIALIZED"] = text
    if links:
        found["DEVLINKS"] = " ".join(links)
    if tags:
        found["TAGS"] = f":{':'.join(tags)}:"
    if current:
        found["CURRENT_TAGS"] = f":{':'.join(current)}:"
    return found


def database_name(path: str, properties: Dict[str, str]) -> str:
    """The name of udev's file about a device; udev has none of some devices."""
    subsystem = properties.get("SUBSYSTEM", "")
    if "MAJOR" in properties and "MINOR" in properties:
        return f"{'b' if subsystem == 'block' else 'c'}{properties['MAJOR']}:{properties['MINOR']}"
    if "IFINDEX" in properties:
        return f"n{properties['IFINDEX']}"
    return f"+{subsystem}:{path.rpartition('/')[2]}"


def _properties(data: bytes, separator: bytes) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for part in data.split(separator):
        key, equals, value = part.partition(b"=")
        if key and equals:
            found[_text(key)] = _text(value)
    return found


def _text(data: bytes) -> str:
    """Without what is neither printable nor blank in the C locale (B149)."""
    return bytes(byte for byte in data if 0x20 <= byte < 0x7F or byte == 0x09).decode("ascii")

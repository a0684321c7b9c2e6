"""The kernel's messages about links and addresses, from bytes to records (B240).

rtnetlink(7), netlink(7). Only what the network model needs is decoded. A message that is cut off or of an unknown
type is left out; nothing here raises for what the kernel sends.
"""
from __future__ import annotations

import struct
from typing import Dict, Iterator, NamedTuple, Union

INET, INET6 = 2, 10
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40
ADDRESS_DUPLICATE, ADDRESS_DEPRECATED, ADDRESS_TENTATIVE, ADDRESS_PERMANENT = 0x08, 0x20, 0x40, 0x80
SCOPE_GLOBAL, SCOPE_HOST = 0, 254
#: Multicast groups: links, IPv4 and IPv6 addresses.
GROUPS = 0x1 | 0x10 | 0x100

_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR, _GETADDR = 16, 17, 18, 20, 21, 22
_ERROR, _DONE = 2, 3
_FLAG_REQUEST, _FLAG_DUMP, _FLAG_DUMP_INTERRUPTED = 0x1, 0x300, 0x10
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_LINK_NAME = 3
_ADDRESS_ADDRESS, _ADDRESS_LOCAL, _ADDRESS_FLAGS = 1, 2, 8


class Link(NamedTuple):
    """A network interface as the kernel has it."""

    number: int
    name: str
    flags: int


class LinkGone(NamedTuple):
    """The interface was removed."""

    number: int


class Address(NamedTuple):
    """An address of an interface; ``family`` is INET or INET6."""

    number: int
    family: int
    address: bytes
    scope: int
    flags: int


class AddressGone(NamedTuple):
    """The address was removed."""

    number: int
    family: int
    address: bytes


class DumpEnd(NamedTuple):
    """The answer to request number ``sequence`` is complete, or was ``refused``."""

    sequence: int
    refused: bool


class DumpInterrupted(NamedTuple):
    """Something changed while the answer was made, so it may be wrong."""

    sequence: int


Message = Union[Link, LinkGone, Address, AddressGone, DumpEnd, DumpInterrupted]


def request_links(sequence: int) -> bytes:
    """Ask for all links."""
    return _request(_GETLINK, sequence, _LINK.pack(0, 0, 0, 0, 0))


def request_addresses(sequence: int) -> bytes:
    """Ask for all addresses."""
    return _request(_GETADDR, sequence, _ADDRESS.pack(0, 0, 0, 0, 0))


def _request(kind: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, _FLAG_REQUEST | _FLAG_DUMP, sequence, 0) + body


def decode(data: bytes) -> Iterator[Message]:
    """The records in one datagram."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, position)
        if length < _HEADER.size or position + length > len(data):
            return
        body = data[position + _HEADER.size:position + length]
        position += _aligned(length)
        if flags & _FLAG_DUMP_INTERRUPTED:
            yield DumpInterrupted(sequence)
        if kind in (_DONE, _ERROR):
            yield DumpEnd(sequence, kind == _ERROR)
        elif kind in (_NEWLINK, _DELLINK):
            yield from _link(kind, body)
        elif kind in (_NEWADDR, _DELADDR):
            yield from _address(kind, body)


def _link(kind: int, body: bytes) -> Iterator[Message]:
    if len(body) < _LINK.size:
        return
    family, _, index, flags, _ = _LINK.unpack_from(body)
    if family:
        # A bridge says in its own family that the link left or joined it; the link itself is as before.
        return
    if kind == _DELLINK:
        yield LinkGone(index)
        return
    name = _attributes(body, _LINK.size).get(_LINK_NAME)
    if name is not None:
        yield Link(index, name.rstrip(b"\0").decode("utf-8", "surrogateescape"), flags)


def _address(kind: int, body: bytes) -> Iterator[Message]:
    if len(body) < _ADDRESS.size:
        return
    family, _, flags, scope, index = _ADDRESS.unpack_from(body)
    if family not in (INET, INET6):
        return
    attributes = _attributes(body, _ADDRESS.size)
    # Of a point-to-point interface ADDRESS is the other end.
    address = attributes.get(_ADDRESS_LOCAL, attributes.get(_ADDRESS_ADDRESS))
    if address is None:
        return
    if kind == _DELADDR:
        yield AddressGone(index, family, address)
        return
    wide = attributes.get(_ADDRESS_FLAGS, b"")
    yield Address(index, family, address, scope, struct.unpack("=I", wide)[0] if len(wide) == 4 else flags)


def _attributes(body: bytes, position: int) -> Dict[int, bytes]:
    found: Dict[int, bytes] = {}
    while position + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, position)
        if length < _ATTRIBUTE.size or position + length > len(body):
            break
        found[kind & 0x3FFF] = body[position + _ATTRIBUTE.size:position + length]
        position += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def family_name(family: int) -> str:
    """As ADDRFAM has it (B242)."""
    return "inet" if family == INET else "inet6"

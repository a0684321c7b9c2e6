"""rtnetlink as bytes, and the real kernel in a namespace of its own."""
from __future__ import annotations

import struct
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host import rtnetlink
from compat.bridges.host.network import Network
from compat.bridges.host.network_source import NetworkSource, device_path
from compat.bridges.host.rtnetlink import Address, AddressGone, DumpEnd, DumpInterrupted, Link, LinkGone
from tests.bridges.host.namespaces import HandLoop, Namespace, needs_root
from tests.bridges.host.telling import Table, wanted


def attribute(kind: int, value: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(value), kind) + value).ljust((4 + len(value) + 3) & ~3, b"\0")


def message(kind: int, body: bytes, flags: int = 0, sequence: int = 0) -> bytes:
    return (struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body).ljust((16 + len(body) + 3) & ~3, b"\0")


def link(kind: int = 16, family: int = 0, name: bytes = b"eth0\0") -> bytes:
    return message(kind, struct.pack("=BxHiII", family, 1, 2, 0x41, 0) + attribute(30, b"junk") + attribute(3, name))


def address(kind: int, *attributes: bytes, flags: int = 0x80, family: int = 2) -> bytes:
    return message(kind, struct.pack("=BBBBI", family, 24, flags, 0, 2) + b"".join(attributes))


@pytest.mark.parametrize("data, records", [
    (link(), [Link(2, "eth0", 0x41)]),
    (link(17), [LinkGone(2)]),
    # A bridge port: the link itself stays.
    (link(17, family=7), []),
    (link(name=b"caf\xe9\0"), [Link(2, "caf\udce9", 0x41)]),
    (address(20, attribute(1, b"\x0a\0\0\2"), attribute(2, b"\x0a\0\0\1")), [Address(2, 2, b"\x0a\0\0\1", 0, 0x80)]),
    (address(20, attribute(1, b"\x0a\0\0\2"), attribute(8, struct.pack("=I", 0x340))), [Address(2, 2, b"\x0a\0\0\2", 0, 0x340)]),
    (address(21, attribute(1, b"\x0a\0\0\2")), [AddressGone(2, 2, b"\x0a\0\0\2")]),
    (address(20, attribute(1, b"x"), family=7), []),
    (message(3, bytes(4), sequence=5), [DumpEnd(5, False)]),
    (message(2, bytes(20), sequence=5), [DumpEnd(5, True)]),
    (message(3, bytes(4), flags=0x10, sequence=5), [DumpInterrupted(5), DumpEnd(5, False)]),
    (link() + address(21, attribute(1, b"abcd")), [Link(2, "eth0", 0x41), AddressGone(2, 2, b"abcd")]),
    (link()[:-9] + b"", []),
])
def test_b240_messages_of_the_kernel(data: bytes, records: List[object]) -> None:
    assert list(rtnetlink.decode(data)) == records


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: link()[:30] + tail))
def test_b240_no_bytes_are_an_error(data: bytes) -> None:
    for record in rtnetlink.decode(data):
        assert isinstance(record, (Link, LinkGone, Address, AddressGone, DumpEnd, DumpInterrupted))


@needs_root
def test_b240_the_real_kernel(namespace: Namespace) -> None:
    events: List[str] = []
    table, loop = Table(), HandLoop()
    network = Network(wanted("net-device-up", "net-device-down", "net-device-added", "net-device-removed"), {}, True, False, device_path)
    namespace.run("ip", "link", "set", "lo", "up")
    with namespace.network():
        source = NetworkSource(network, loop, lambda facts: events.extend(table.take(facts)))  # type: ignore[arg-type]
    try:
        loop.turn_until(source, lambda: "watched:addresses" in table.known)
        assert events[0].startswith("net-device-added KERNEL=lo ")
        assert events[1] == "net-device-up IFACE=lo LOGICAL=lo ADDRFAM=inet METHOD=loopback"
        del events[:]

        namespace.run("ip", "link", "add", "a0", "type", "veth", "peer", "name", "b0")
        loop.turn_until(source, lambda: len([each for each in events if each.startswith("net-device-added")]) == 2)
        namespace.run("ip", "addr", "add", "10.9.8.7/24", "dev", "a0")
        namespace.run("ip", "link", "set", "a0", "up")
        namespace.run("ip", "link", "set", "b0", "up")
        loop.turn_until(source, lambda: "net-device-up IFACE=a0 LOGICAL=a0 ADDRFAM=inet METHOD=static" in events)
        assert not any("b0" in each for each in events if "up" in each)

        # No carrier on this side when the other is switched off.
        namespace.run("ip", "link", "set", "b0", "down")
        loop.turn_until(source, lambda: "net-device-down IFACE=a0 LOGICAL=a0 ADDRFAM=inet METHOD=static" in events)
        del events[:]
        namespace.run("ip", "link", "set", "b0", "up")
        namespace.run("ip", "addr", "add", "10.9.8.6/24", "dev", "b0", "valid_lft", "600", "preferred_lft", "600")
        loop.turn_until(source, lambda: len(events) == 2)
        assert sorted(events) == ["net-device-up IFACE=a0 LOGICAL=a0 ADDRFAM=inet METHOD=static",
                                  "net-device-up IFACE=b0 LOGICAL=b0 ADDRFAM=inet METHOD=dhcp"]
        del events[:]
        namespace.run("ip", "link", "del", "a0")
        loop.turn_until(source, lambda: len(events) == 4)
        assert {each.split()[0] for each in events} == {"net-device-down", "net-device-removed"}
        assert loop.quiet(source)
    finally:
        source.close()


@needs_root
def test_b240_an_overflow_ends_with_the_right_picture(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    table, loop = Table(), HandLoop()
    network = Network(wanted("net-device-added or net-device-removed"), {}, True, False, device_path)
    monkeypatch.setattr("compat.bridges.host.network_source._BUFFER_BYTES", 4096)
    with namespace.network():
        source = NetworkSource(network, loop, lambda facts: table.take(facts) and None)  # type: ignore[arg-type]
    try:
        loop.turn_until(source, lambda: "watched:links" in table.known)
        namespace.run("sh", "-ec", "i=0; while [ $i -lt 40 ]; do ip link add v$i type veth peer name w$i; i=$((i+1)); done; ip link del v7")
        loop.turn_until(source, lambda: sum(key.startswith("link:") for key in table.known) == 79 and loop.quiet(source))
        assert not any(key.endswith((":v7", ":w7")) for key in table.known)
    finally:
        source.close()


def test_b245_device_path(tmp_path: object) -> None:
    assert device_path("lo") == "/devices/virtual/net/lo"
    assert device_path("none", str(tmp_path)) == "/devices/virtual/net/none"

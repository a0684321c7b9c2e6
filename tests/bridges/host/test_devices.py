"""The devices model, on devices that are made up and on messages that udev 252 sent."""
from __future__ import annotations

from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host.devices import Devices, event_of, subsystems
from compat.bridges.host.uevents import (
    Device,
    database_name,
    decode_database,
    decode_kernel,
    decode_udev,
    decode_uevent_file,
)
from tests.bridges.host.telling import Table, define, wanted

#: A rule had renamed v1 to lan0.
UDEV_ADD = (
    b"libudev\0\xfe\xed\xca\xfe(\0\0\0(\0\0\0\x14\x01\0\0\xa7M<\xc8\0\0\0\0\x02\0\x04\0\x10\x80\0\0"
    b"UDEV_DATABASE_VERSION=1\0ACTION=add\0DEVPATH=/devices/virtual/net/lan0\0SUBSYSTEM=net\0INTERFACE=lan0\0IFINDEX=2\0SEQNUM=6062\0"
    b"USEC_INITIALIZED=2706195579\0FOO=b a\\x07r\0TAGS=:systemd:\0CURRENT_TAGS=:systemd:\0"
    b"SYSTEMD_ALIAS=/sys/subsystem/net/devices/lan0\0ID_RENAMING=1\0INTERFACE_OLD=v1\0")
UDEV_MOVE = (
    b"libudev\0\xfe\xed\xca\xfe(\0\0\0(\0\0\0\x0d\x01\0\0\xa7M<\xc8\0\0\0\0\x02\0\x04\0\x10\x80\0\0"
    b"UDEV_DATABASE_VERSION=1\0ACTION=move\0DEVPATH=/devices/virtual/net/lan0\0SUBSYSTEM=net\0DEVPATH_OLD=/devices/virtual/net/v1\0"
    b"INTERFACE=lan0\0IFINDEX=2\0SEQNUM=6076\0USEC_INITIALIZED=2706195579\0TAGS=:systemd:\0CURRENT_TAGS=:systemd:\0"
    b"SYSTEMD_ALIAS=/sys/subsystem/net/devices/lan0\0")
KERNEL_CHANGE = (
    b"change@/devices/virtual/mem/null\0ACTION=change\0DEVPATH=/devices/virtual/mem/null\0SUBSYSTEM=mem\0SYNTH_UUID=0\0MAJOR=1\0MINOR=3\0"
    b"DEVNAME=null\0DEVMODE=0666\0SEQNUM=6083\0")


def device(action: str = "add", path: str = "/devices/pci/sda", subsystem: str = "block", number: str = "7", **more: Any) -> Device:
    return Device(action, path, {"DEVPATH": path, "SUBSYSTEM": subsystem, "ACTION": action, "SEQNUM": number, **more})


BLOCK = frozenset(("block",))
SDA, SDA1 = device(), device(path="/devices/pci/sda/sda1")
ALL = "block-device-added or block-device-removed or block-device-changed or block-device-move"


class Host:
    """A host whose devices are told to a model; the daemon's table outlives models."""

    def __init__(self, *conditions: str, booting: bool = False, udev: bool = True) -> None:
        self.wanted = wanted(*conditions)
        self.udev = udev
        self.table = Table()
        self.connect(booting)

    def connect(self, booting: bool = False) -> None:
        self.devices = Devices(self.wanted, dict(self.table.known), booting, self.udev)

    def stock(self, *there: Device) -> List[str]:
        return short(self.table.take(self.devices.stock(there, self.devices.followed())))

    def see(self, *seen: Device) -> List[str]:
        return short([told for each in seen for told in self.table.take(self.devices.update(each))])


def short(told: List[str]) -> List[str]:
    """Name and KERNEL."""
    return [" ".join(each.split()[:2]).replace("KERNEL=", "") for each in told]


def test_b148_variables_of_a_message_of_udev_in_order() -> None:
    seen = decode_udev(UDEV_ADD)
    assert seen is not None
    assert event_of(seen) == ("net-device-added", (
        "KERNEL=lan0", "DEVPATH=/devices/virtual/net/lan0", "SUBSYSTEM=net", "ACTION=add", "CURRENT_TAGS=:systemd:", "FOO=b a\\x07r",
        "ID_RENAMING=1", "IFINDEX=2", "INTERFACE=lan0", "INTERFACE_OLD=v1", "SEQNUM=6062", "SYSTEMD_ALIAS=/sys/subsystem/net/devices/lan0",
        "TAGS=:systemd:", "UDEV_DATABASE_VERSION=1", "USEC_INITIALIZED=2706195579"))


def test_b148_a_message_of_the_kernel_has_the_whole_name_of_the_node() -> None:
    seen = decode_kernel(KERNEL_CHANGE)
    assert seen is not None
    assert event_of(seen) == ("mem-device-changed", (
        "KERNEL=null", "DEVPATH=/devices/virtual/mem/null", "DEVNAME=/dev/null", "SUBSYSTEM=mem", "ACTION=change", "DEVMODE=0666",
        "MAJOR=1", "MINOR=3", "SEQNUM=6083", "SYNTH_UUID=0"))


@pytest.mark.parametrize("action, name", [
    ("add", "added"), ("change", "changed"), ("remove", "removed"), ("move", "move"), ("online", "online"), ("bind", "bind")])
def test_b147_names(action: str, name: str) -> None:
    assert event_of(device(action))[0] == f"block-device-{name}"
    assert event_of(Device(action, "/devices/x", {"ACTION": action}))[0] == f"(null)-device-{name}"


def test_b147_kernel_names_with_a_slash() -> None:
    assert event_of(device(path="/devices/x/cciss!c0d0"))[1][0] == "KERNEL=cciss/c0d0"


def test_b149_bytes_that_are_not_printable_are_removed() -> None:
    seen = decode_kernel(b"add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=a\x01b\xe9\0NA\x02ME=x\ty z\x7f\0")
    assert seen is not None and seen.subsystem == "ab" and seen.properties["NAME"] == "x\ty z"


@pytest.mark.parametrize("data", [
    b"", b"libudev\0", UDEV_ADD.replace(b"\xfe\xed\xca\xfe", b"\xfe\xed\xca\xff"), UDEV_ADD.replace(b"ACTION=add\0", b""),
    UDEV_ADD.replace(b"DEVPATH=", b"DEVPATX="), KERNEL_CHANGE, UDEV_ADD[:40]])
def test_b252_what_is_no_message_of_udev(data: bytes) -> None:
    assert decode_udev(data) is None


@pytest.mark.parametrize("data", [b"", UDEV_ADD, b"add@/x\0", KERNEL_CHANGE.replace(b"ACTION=change\0", b"")])
def test_b252_what_is_no_message_of_the_kernel(data: bytes) -> None:
    assert decode_kernel(data) is None


@given(st.binary(max_size=100) | st.binary(max_size=100).map(lambda tail: UDEV_ADD[:40] + tail), st.integers(0, 60))
def test_b252_no_bytes_are_an_error(data: bytes, cut: int) -> None:
    for decode in (decode_udev, decode_kernel):
        assert decode(data[cut:]) is None or isinstance(decode(data[cut:]), Device)
    assert isinstance(decode_database(data), dict) and isinstance(decode_uevent_file(data), dict)


def test_b253_what_udev_keeps_of_a_device() -> None:
    data = b"S:disk/by-id/x\nS:disk/by-path/y\nL:10\nI:123\nE:ID_TYPE=disk\nE:bad\nG:systemd\nG:seat\nQ:systemd\nV:1\n"
    assert decode_database(data) == {
        "ID_TYPE": "disk", "DEVLINKS": "/dev/disk/by-id/x /dev/disk/by-path/y", "USEC_INITIALIZED": "123", "TAGS": ":systemd:seat:",
        "CURRENT_TAGS": ":systemd:"}
    assert database_name("/devices/sda", {"SUBSYSTEM": "block", "MAJOR": "8", "MINOR": "0"}) == "b8:0"
    assert database_name("/devices/null", {"SUBSYSTEM": "mem", "MAJOR": "1", "MINOR": "3"}) == "c1:3"
    assert database_name("/devices/eth0", {"SUBSYSTEM": "net", "IFINDEX": "2"}) == "n2"
    assert database_name("/devices/pci0/0000:00:01.0", {"SUBSYSTEM": "pci"}) == "+pci:0000:00:01.0"


def test_b252_only_what_operands_name_is_followed() -> None:
    asked = wanted("block-device-added", "net-device-up", "net-device-removed", "device-not-ready", "runlevel 2")
    assert subsystems(asked, udev=True) == {"block", "net"}
    assert subsystems(asked, udev=False) == {"block"}
    assert not Devices.asked_for(wanted("net-device-up or net-device-down"), udev=True)
    host = Host("block-device-added KERNEL=sda")
    assert host.see(device(path="/devices/x/tty0", subsystem="tty"), SDA, SDA1) == ["block-device-added sda"]


def test_b253_cold_plug_once_a_boot_parents_first() -> None:
    host = Host(ALL, booting=True)
    assert host.stock(SDA1, SDA) == ["block-device-added sda", "block-device-added sda1"]
    assert host.stock(SDA1, SDA) == []
    assert host.see(SDA) == []
    host.connect()
    assert host.stock(SDA1, SDA) == []


def test_b253_lo_is_the_first_link() -> None:
    host = Host("net-device-added", booting=True)
    links = [device(path=f"/devices/{name}", subsystem="net") for name in ("a/eth0", "virtual/lo")]
    assert host.stock(*links) == ["net-device-added lo", "net-device-added eth0"]


def test_b202_what_was_missed_is_told() -> None:
    host = Host(ALL, "net-device-removed", booting=True)
    link = device(path="/devices/virtual/net/eth0", subsystem="net")
    host.stock(SDA, SDA1, link)
    host.connect()
    sdb = device(path="/devices/pci/sdb")
    told = host.table.take(host.devices.stock([SDA, sdb], host.devices.followed()))
    assert told[0] == "net-device-removed KERNEL=eth0 DEVPATH=/devices/virtual/net/eth0 SUBSYSTEM=net ACTION=remove INTERFACE=eth0"
    assert short(told[1:]) == ["block-device-removed sda1", "block-device-added sdb"]


def test_b204_a_job_that_comes_later_sees_nothing_of_the_past() -> None:
    host = Host("mem-device-added", booting=True)
    host.stock()
    define(host.wanted, "later", ALL)
    assert host.table.take(host.devices.reconsider()) == []
    assert host.devices.unstocked() == BLOCK
    assert host.stock(SDA) == []
    assert host.see(SDA1) == ["block-device-added sda1"]
    assert host.see(device("remove")) == ["block-device-removed sda"]


def test_b196_what_nobody_asks_for_any_more_is_forgotten() -> None:
    host = Host(ALL, booting=True)
    host.stock(SDA)
    host.wanted.forget("a0")
    host.table.take(host.devices.reconsider())
    assert host.table.known == {}
    assert host.see(SDA1) == []


def test_b252_every_change_is_told_once() -> None:
    host = Host(ALL, booting=True)
    host.stock(SDA)
    changes = [device("change", number=number) for number in ("8", "8", "9")]
    assert host.see(*changes) == ["block-device-changed sda"] * 2
    host.connect()
    assert host.stock(SDA) == []
    assert host.see(device("change", number="9")) == []


def test_b252_added_and_removed() -> None:
    host = Host(ALL)
    host.stock()
    assert host.see(SDA, SDA, device("remove"), device("remove"), SDA) == [
        "block-device-added sda", "block-device-removed sda", "block-device-added sda"]


def test_b201_another_disk_in_the_same_place() -> None:
    host = Host(ALL, booting=True)
    host.stock(device(DISKSEQ="1"))
    host.connect()
    assert host.stock(device(DISKSEQ="2")) == ["block-device-removed sda", "block-device-added sda"]
    assert host.see(device(DISKSEQ="2")) == []


def test_b256_the_kernels_own_renaming_is_one_added() -> None:
    host = Host("net-device-added or net-device-move or net-device-removed")
    host.stock()
    add, move = decode_udev(UDEV_ADD), decode_udev(UDEV_MOVE)
    assert add is not None and move is not None
    assert host.see(add, move) == ["net-device-added lan0"]
    later = device("move", "/devices/virtual/net/wan0", "net", "8", DEVPATH_OLD="/devices/virtual/net/lan0")
    assert host.see(later) == ["net-device-move wan0"]
    assert [key for key in host.table.known if key.startswith("dev:")] == ["dev:/devices/virtual/net/wan0"]


def test_b254_the_display_that_the_machine_starts_with() -> None:
    host = Host("drm-device-added card0 PRIMARY_DEVICE_FOR_DISPLAY=1")
    host.stock()
    card = device(path="/devices/pci/drm/card0", subsystem="drm", ID_PATH="x")
    assert host.see(card, device("remove", card.path, "drm"), card._replace(primary=True)) == ["drm-device-added card0"]
    assert event_of(card._replace(primary=True))[1][-3:] == ("ID_PATH=x", "PRIMARY_DEVICE_FOR_DISPLAY=1", "SEQNUM=7")
    assert "PRIMARY_DEVICE_FOR_DISPLAY=1" not in event_of(SDA._replace(primary=True))[1]

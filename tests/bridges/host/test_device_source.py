"""Devices of a made-up /sys, and messages through the real kernel in a namespace of its own."""
from __future__ import annotations

import pathlib
import socket
from typing import Dict, List

import pytest

from compat.bridges.host.device_source import DeviceSource
from compat.bridges.host.devices import Devices
from tests.bridges.host.namespaces import HandLoop, Namespace, needs_root
from tests.bridges.host.telling import Table, define, wanted
from tests.bridges.host.test_devices import UDEV_ADD


def pci(slot: int) -> str:
    return f"devices/pci0000:00/0000:00:0{slot}.0"



@pytest.fixture
def sysfs(tmp_path: pathlib.Path) -> pathlib.Path:
    place = tmp_path / "sys"
    place.mkdir()
    return place


def add(sysfs: pathlib.Path, path: str, subsystem: str, properties: str = "", **files: str) -> None:
    directory = sysfs / path
    directory.mkdir(parents=True)
    (directory / "uevent").write_text(properties)
    for name, content in files.items():
        (directory / name).write_text(content)
    link = sysfs / "class" / subsystem / directory.name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(directory)


class Watching:
    """A source on a made-up /sys; ``told`` are the events, ``settled`` the links that udev is done with."""

    def __init__(self, sysfs: pathlib.Path, *conditions: str, booting: bool = True, udev: bool = True) -> None:
        self.told: List[str] = []
        self.settled: List[int] = []
        self.table = Table()
        self.wanted = wanted(*conditions)
        devices = Devices(self.wanted, {}, booting, udev)
        self.source = DeviceSource(devices, udev, lambda facts: self.told.extend(self.table.take(facts)), self.settled.append,
                                   str(sysfs), str(sysfs / "data"))

    def close(self) -> None:
        self.source.close()


def test_b253_cold_plug_has_the_properties_of_kernel_and_udev(sysfs: pathlib.Path) -> None:
    disk = pci(1) + "/block/sda"
    add(sysfs, disk, "block", "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\nDISKSEQ=5\n")
    add(sysfs, disk + "/sda1", "block", "MAJOR=8\nMINOR=1\nDEVNAME=sda1\n")
    (sysfs / "class/block/version").write_text("not a device")
    (sysfs / "data").mkdir()
    (sysfs / "data/b8:0").write_text("E:ID_MODEL=x\nS:disk/by-id/x\n")
    watching = Watching(sysfs, "block-device-added")
    # udev is not done with sda1 yet.
    assert watching.told == [
        f"block-device-added KERNEL=sda DEVPATH=/{disk} DEVNAME=/dev/sda SUBSYSTEM=block ACTION=add DEVLINKS=/dev/disk/by-id/x "
        "DEVTYPE=disk DISKSEQ=5 ID_MODEL=x MAJOR=8 MINOR=0"]
    watching.close()
    assert len(watching.told) == 1
    without = Watching(sysfs, "block-device-added", udev=False)
    assert len(without.told) == 2
    without.close()


def test_b253_devices_of_a_bus(sysfs: pathlib.Path) -> None:
    add(sysfs, pci(1), "unused", "PCI_ID=1\n")
    (sysfs / "bus/pci/devices").mkdir(parents=True)
    (sysfs / "bus/pci/devices/0000:00:01.0").symlink_to(sysfs / pci(1))
    watching = Watching(sysfs, "pci-device-added")
    assert watching.told == [f"pci-device-added KERNEL=0000:00:01.0 DEVPATH=/{pci(1)} SUBSYSTEM=pci ACTION=add PCI_ID=1"]
    watching.close()


@pytest.mark.parametrize("firmware, primary", [
    ({1: "0", 2: "1"}, ["card1"]), ({1: "0"}, ["card0"]), ({1: "0", 2: "0"}, []), ({1: "1"}, ["card0"])])
def test_b254_the_primary_display(sysfs: pathlib.Path, firmware: Dict[int, str], primary: List[str]) -> None:
    for place, flag in firmware.items():
        card = f"{pci(place)}/drm/card{place - 1}"
        add(sysfs, card, "drm")
        add(sysfs, f"{card}/card{place - 1}-HDMI", "drm")
        (sysfs / pci(place) / "boot_vga").write_text(flag + "\n")
    watching = Watching(sysfs, "drm-device-added PRIMARY_DEVICE_FOR_DISPLAY=1")
    assert [each.split()[1] for each in watching.told] == [f"KERNEL={name}" for name in primary]
    watching.close()


def test_b256_links_that_udev_is_done_with(sysfs: pathlib.Path) -> None:
    add(sysfs, "devices/virtual/net/lo", "net", "IFINDEX=1\n")
    add(sysfs, "devices/virtual/net/eth0", "net", "IFINDEX=2\n")
    (sysfs / "data").mkdir()
    (sysfs / "data/n1").write_text("")
    watching = Watching(sysfs, "net-device-up")
    assert watching.settled == [1] and watching.told == [] and watching.table.known == {}
    watching.close()


def test_b196_a_subsystem_that_is_asked_for_later(sysfs: pathlib.Path) -> None:
    add(sysfs, "devices/virtual/mem/null", "mem")
    watching = Watching(sysfs, "tty-device-added")
    define(watching.wanted, "later", "mem-device-added")
    watching.source.reconsider()
    assert watching.told == [] and "dev:/devices/virtual/mem/null" in watching.table.known
    watching.close()


@needs_root
def test_b252_the_real_kernels_messages(namespace: Namespace, sysfs: pathlib.Path) -> None:
    loop = HandLoop()
    with namespace.network():
        watching = Watching(sysfs, "queues-device-added", "queues-device-removed", udev=False)
    namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    loop.turn_until(watching.source, lambda: any("/v0/queues/tx-0 SUBSYSTEM=queues ACTION=add SEQNUM=" in each for each in watching.told))
    assert watching.told[0].startswith("queues-device-added KERNEL=rx-0 DEVPATH=/devices/virtual/net/v")
    namespace.run("ip", "link", "del", "v0")
    loop.turn_until(watching.source, lambda: watching.told[-1].startswith("queues-device-removed")
                    and not [key for key in watching.table.known if key.startswith("dev:")])
    watching.close()


def say(group: int, data: bytes) -> None:
    """Send to a group, as udev does."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as speaker:
        speaker.sendto(data, (0, group))


@needs_root
def test_b252_messages_of_udev_and_of_nobody_else(namespace: Namespace, sysfs: pathlib.Path) -> None:
    loop = HandLoop()
    with namespace.network():
        watching = Watching(sysfs, "net-device-added")
        say(2, UDEV_ADD.replace(b"libudev", b"liaudev"))
        say(1, UDEV_ADD)
        say(2, UDEV_ADD)
    loop.turn_until(watching.source, lambda: bool(watching.told))
    assert len(watching.told) == 1 and watching.told[0].startswith("net-device-added KERNEL=lan0 ")
    assert watching.settled == [2]
    # To this socket alone: not what udev does.
    with namespace.network(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as speaker:
        speaker.sendto(UDEV_ADD.replace(b"lan0", b"lan1"), (watching.source._socket._socket.getsockname()[0], 0))
        say(2, UDEV_ADD.replace(b"lan0", b"lan2"))
    loop.turn_until(watching.source, lambda: len(watching.told) == 2)
    assert "KERNEL=lan2" in watching.told[1]
    watching.close()


@needs_root
def test_b255_after_an_overflow_stock_is_taken_again(namespace: Namespace, sysfs: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.bridges.host.device_source._BUFFER_BYTES", 4096)
    add(sysfs, "devices/a/sda", "block")
    loop = HandLoop()
    with namespace.network():
        watching = Watching(sysfs, "block-device-added or block-device-removed", udev=False)
    assert len(watching.told) == 1
    add(sysfs, "devices/a/sdb", "block")
    (sysfs / "class/block/sda").unlink()
    namespace.run("sh", "-ec", "for i in 1 2 3 4 5 6 7 8 9; do ip link add v$i type veth peer name w$i; done")
    loop.turn_until(watching.source, lambda: len(watching.told) == 3)
    assert [each.split()[0] for each in watching.told[1:]] == ["block-device-removed", "block-device-added"]
    watching.close()

"""The network model on links and addresses that are made up, with a clock of its own."""
from __future__ import annotations

from typing import List, Optional

import pytest

from compat.bridges.host.network import LINGER, Complete, Network, Seen
from compat.bridges.host.rtnetlink import INET, INET6, Address, AddressGone, Link, LinkGone
from compat.bridges.host.wanted import Wanted
from tests.bridges.host.telling import Table, define, wanted

UP, CARRIER, LOOPBACK = 0x1, 0x40, 0x8
PERMANENT, TENTATIVE, DEPRECATED, DUPLICATE = 0x80, 0x40, 0x20, 0x08
LO = Link(1, "lo", UP | LOOPBACK)
ETH0 = Link(2, "eth0", UP | CARRIER)
WITHOUT_CARRIER = Link(2, "eth0", UP)
LO4 = Address(1, INET, b"\x7f\0\0\1", 254, PERMANENT)
LO6 = Address(1, INET6, bytes(15) + b"\1", 254, PERMANENT)
STATIC4 = Address(2, INET, b"\x0a\0\0\1", 0, PERMANENT)
DHCP4 = Address(2, INET, b"\x0a\0\0\2", 0, 0)
AUTO6 = Address(2, INET6, b"\x20\1" + bytes(14), 0, 0)
EVERYTHING = ("net-device-up or net-device-down", "net-device-added or net-device-removed",
              "starting network-interface or started network-interface or stopping network-interface or stopped network-interface")
UP_ONLY = ("net-device-up", "net-device-down")


class Host:
    """A host whose network is told to a model; the daemon's table outlives models."""

    def __init__(self, *conditions: str, booting: bool = True, udev: bool = False) -> None:
        self.wanted = wanted(*conditions)
        self.udev = udev
        self.table = Table()
        self.now = 100.0
        self.connect(booting)

    def connect(self, booting: bool = False, wanted: Optional[Wanted] = None) -> None:
        self.network = Network(wanted or self.wanted, dict(self.table.known), booting, self.udev, lambda name: f"/devices/pci/{name}")

    def see(self, *seen: Seen) -> List[str]:
        return [told for each in seen for told in self.table.take(self.network.update(each, self.now))]

    def wait(self, seconds: float) -> List[str]:
        """As a loop would: wakes up only when something is due."""
        self.now += seconds
        due = self.network.due()
        return self.table.take(self.network.expire(self.now)) if due is not None and due <= self.now else []


def up(name: str, family: str, method: str) -> str:
    return f"net-device-up IFACE={name} LOGICAL={name} ADDRFAM={family} METHOD={method}"


def down(name: str, family: str, method: str) -> str:
    return up(name, family, method).replace("-up", "-down")


def test_b243_the_first_report_has_lo_first_then_by_number_inet_before_inet6() -> None:
    host = Host(*UP_ONLY)
    br0 = Link(3, "br0", UP | CARRIER)
    lo = Link(4, "lo", UP | LOOPBACK)
    there = [ETH0, br0, lo, AUTO6, STATIC4, LO6._replace(number=4), LO4._replace(number=4), DHCP4._replace(number=3)]
    assert host.see(*there) == []
    assert host.see(Complete()) == [
        up("lo", "inet", "loopback"), up("lo", "inet6", "loopback"), up("eth0", "inet", "static"), up("eth0", "inet6", "auto"),
        up("br0", "inet", "dhcp")]


def test_b242_method_says_where_the_address_is_from() -> None:
    host = Host(*UP_ONLY)
    assert host.see(ETH0, DHCP4, Complete()) == [up("eth0", "inet", "dhcp")]


@pytest.mark.parametrize("flag", [TENTATIVE, DEPRECATED, DUPLICATE])
def test_b241_addresses_that_nobody_may_use_do_not_count(flag: int) -> None:
    host = Host(*UP_ONLY)
    assert host.see(ETH0, AUTO6._replace(flags=flag), Complete()) == []
    assert host.see(AUTO6) == [up("eth0", "inet6", "auto")]


@pytest.mark.parametrize("link", [WITHOUT_CARRIER, Link(2, "eth0", CARRIER)])
def test_b241_up_needs_the_switch_and_the_carrier(link: Link) -> None:
    host = Host(*UP_ONLY)
    assert host.see(link, STATIC4, Complete()) == []
    assert host.see(ETH0) == [up("eth0", "inet", "static")]


def test_b241_link_local_addresses_do_not_count_but_those_of_lo() -> None:
    host = Host(*UP_ONLY)
    assert host.see(ETH0, AUTO6._replace(scope=253), LO, LO4, Complete()) == [up("lo", "inet", "loopback")]


def test_b241_down_after_two_seconds_without_carrier() -> None:
    host = Host(*UP_ONLY)
    host.see(ETH0, STATIC4, Complete())
    assert host.see(WITHOUT_CARRIER) == []
    assert host.wait(LINGER - 0.1) == []
    assert host.wait(0.2) == [down("eth0", "inet", "static")]
    assert host.network.due() is None
    assert host.see(ETH0) == [up("eth0", "inet", "static")]


def test_b241_a_short_flap_is_no_event() -> None:
    host = Host(*UP_ONLY)
    host.see(ETH0, STATIC4, Complete())
    host.see(WITHOUT_CARRIER)
    host.wait(1)
    assert host.see(ETH0) == []
    assert host.network.due() is None
    host.see(AddressGone(2, INET, STATIC4.address))
    host.wait(1)
    assert host.see(DHCP4) == []
    assert host.wait(10) == []


def test_b241_each_family_by_itself_and_the_last_address_counts() -> None:
    host = Host(*UP_ONLY)
    host.see(ETH0, STATIC4, DHCP4, AUTO6, Complete())
    host.see(AddressGone(2, INET, STATIC4.address), AddressGone(2, INET6, AUTO6.address))
    assert host.wait(3) == [down("eth0", "inet6", "auto")]
    host.see(AddressGone(2, INET, DHCP4.address))
    assert host.wait(3) == [down("eth0", "inet", "static")]


def test_b241_a_removed_link_is_down_at_once() -> None:
    host = Host(*UP_ONLY)
    host.see(ETH0, STATIC4, Complete(), WITHOUT_CARRIER)
    assert host.see(LinkGone(2)) == [down("eth0", "inet", "static")]
    assert host.network.due() is None
    assert not [key for key in host.table.known if key.startswith("addr:")]


def test_b242_a_rename_is_no_event_and_down_has_the_name_that_up_had() -> None:
    host = Host(*EVERYTHING)
    host.see(ETH0, STATIC4, Complete())
    assert host.see(ETH0._replace(name="lan0")) == []
    assert host.table.known["link:2:lan0"] == "started" and "link:2:eth0" not in host.table.known
    host.see(AddressGone(2, INET, STATIC4.address))
    assert host.wait(3) == [down("eth0", "inet", "static")]
    assert host.see(STATIC4) == [up("lan0", "inet", "static")]


def test_b245_without_udev_links_are_devices() -> None:
    host = Host("net-device-added", "net-device-removed")
    assert host.see(LO, Complete(), ETH0) == [
        "net-device-added KERNEL=lo DEVPATH=/devices/pci/lo SUBSYSTEM=net ACTION=add IFINDEX=1 INTERFACE=lo",
        "net-device-added KERNEL=eth0 DEVPATH=/devices/pci/eth0 SUBSYSTEM=net ACTION=add IFINDEX=2 INTERFACE=eth0"]
    assert host.see(LinkGone(2)) == [
        "net-device-removed KERNEL=eth0 DEVPATH=/devices/pci/eth0 SUBSYSTEM=net ACTION=remove IFINDEX=2 INTERFACE=eth0"]


def test_b245_with_udev_it_tells_of_devices() -> None:
    host = Host("net-device-added or net-device-removed", udev=True)
    assert host.see(LO, ETH0, Complete(), LinkGone(2)) == []
    assert not Network.asked_for(host.wanted, udev=True)


def test_b246_the_virtual_job_network_interface() -> None:
    host = Host(EVERYTHING[2])
    assert host.see(Complete(), ETH0) == ["starting! JOB=network-interface INSTANCE=eth0 INTERFACE=eth0"]
    assert host.see(STATIC4) == ["started JOB=network-interface INSTANCE=eth0 INTERFACE=eth0"]
    assert host.see(AUTO6, AddressGone(2, INET, STATIC4.address), STATIC4) == []
    assert host.see(LinkGone(2)) == ["stopping! JOB=network-interface INSTANCE=eth0 RESULT=ok INTERFACE=eth0",
                                     "stopped JOB=network-interface INSTANCE=eth0 RESULT=ok INTERFACE=eth0"]


def test_b246_a_class_of_that_name_wins() -> None:
    host = Host(EVERYTHING[2])
    host.wanted.define("network-interface", None, None)
    assert host.see(ETH0, STATIC4, Complete()) == []


def test_b246_started_comes_before_net_device_up() -> None:
    host = Host(*EVERYTHING)
    host.see(Complete(), ETH0)
    assert [each.split()[0] for each in host.see(STATIC4)] == ["started", "net-device-up"]


def test_b256_with_udev_an_interface_counts_when_its_name_is_final() -> None:
    host = Host(EVERYTHING[2], udev=True)
    host.see(Complete(), ETH0, STATIC4)
    host.see(ETH0._replace(name="enp1s0"))
    assert host.table.take(host.network.settle(2, host.now)) == [
        "starting! JOB=network-interface INSTANCE=enp1s0 INTERFACE=enp1s0",
        "started JOB=network-interface INSTANCE=enp1s0 INTERFACE=enp1s0"]
    host.network.settle(7, host.now)
    assert host.see(Link(7, "wlan0", 0)) == ["starting! JOB=network-interface INSTANCE=wlan0 INTERFACE=wlan0"]


def test_b202_a_second_bridge_tells_what_was_missed_and_nothing_else() -> None:
    host = Host(*EVERYTHING)
    host.see(LO, LO4, ETH0, DHCP4, Complete())
    host.connect()
    assert host.see(LO, LO4, ETH0, DHCP4, Complete()) == []
    host.connect()
    br0 = Link(3, "br0", UP | CARRIER)
    told = host.see(LO, LO4, br0, STATIC4._replace(number=3), Complete())
    assert [each.split()[0] for each in told] == ["net-device-down", "net-device-removed", "stopping!", "stopped", "net-device-added",
                                                 "starting!", "started", "net-device-up"]
    assert down("eth0", "inet", "dhcp") in told and up("br0", "inet", "static") in told
    assert host.wait(10) == []


def test_b202_an_address_that_went_unseen_is_down_two_seconds_later() -> None:
    host = Host(*UP_ONLY)
    host.see(ETH0, DHCP4, Complete())
    host.connect()
    assert host.see(ETH0, Complete()) == []
    assert host.wait(3) == [down("eth0", "inet", "dhcp")]


def test_b204_a_job_that_comes_later_sees_nothing_of_the_past() -> None:
    host = Host("runlevel 2")
    assert host.see(ETH0, STATIC4, Complete()) == []
    assert host.table.known == {}
    assert not Network.asked_for(host.wanted, udev=False)
    for condition in EVERYTHING:
        define(host.wanted, condition, condition)
    assert host.table.take(host.network.reconsider(host.now)) == []
    host.connect(wanted=host.wanted)
    assert host.see(ETH0, STATIC4, Complete()) == []
    assert host.see(AUTO6) == [up("eth0", "inet6", "auto")]


def test_b204_after_a_time_without_interest_what_is_there_is_old_again() -> None:
    host = Host(*UP_ONLY)
    host.see(Complete())
    host.wanted.forget("a0")
    host.wanted.forget("a1")
    assert host.table.take(host.network.reconsider(host.now)) == []
    host.see(ETH0, STATIC4)
    assert host.table.known == {}
    host.connect(wanted=wanted(*UP_ONLY))
    assert host.see(ETH0, STATIC4, Complete()) == []


def test_b196_only_what_an_operand_could_match_is_told() -> None:
    host = Host("net-device-up IFACE!=lo ADDRFAM=inet6")
    assert host.see(LO, LO4, LO6, ETH0, STATIC4, AUTO6, Complete()) == [up("eth0", "inet6", "auto")]


def test_b255_what_went_during_an_overflow_is_noticed() -> None:
    host = Host(*UP_ONLY)
    host.see(LO, LO4, ETH0, STATIC4, Complete())
    host.network.begin()
    assert host.see(LO, LO4) == []
    assert host.network.due() is None
    assert host.see(Complete()) == [down("eth0", "inet", "static")]


def test_b273_control_characters_of_a_name_are_left_out() -> None:
    host = Host("net-device-up IFACE=eth0")
    assert host.see(Link(2, "eth\x1b0", UP | CARRIER), STATIC4, Complete()) == [up("eth0", "inet", "static")]

"""Names of jobs and the native units that stand for them."""
from __future__ import annotations

from typing import Optional, Set, Tuple

import pytest

from compat.bridges.host.aliases import NOT_A_UNIT, Aliases, Resolution, job_of, unescape

#: B238, row by row: name, candidates after the unit of the same name, task.
ROWS = [(name, units.split(), task) for names, units, task in (
    ("dbus messagebus", "dbus.service dbus-broker.service", False),
    ("rsyslog sysklogd syslog syslog-ng syslogd", "rsyslog.service syslog-ng.service systemd-journald.service", False),
    ("udev", "systemd-udevd.service", False),
    ("udevtrigger udev-trigger udev-post", "systemd-udev-trigger.service", True),
    ("udev-finish udevmonitor", "systemd-udev-settle.service systemd-udev-trigger.service", True),
    ("network networking",
     "networking.service network.service systemd-networkd.service NetworkManager.service network.target", False),
    ("network-manager NetworkManager wicd", "NetworkManager.service", False),
    ("ssh sshd openssh-server", "ssh.service sshd.service ssh.socket", False),
    ("netfs mountnfs nfs-mountpoints", "remote-fs.target", False),
    ("portmap rpcbind", "rpcbind.service rpcbind.socket", False),
    ("nfs nfs-kernel-server", "nfs-server.service", False),
    ("statd", "rpc-statd.service", False),
    ("gssd", "rpc-gssd.service", False),
    ("idmapd", "nfs-idmapd.service", False),
    ("cron crond", "cron.service crond.service systemd-cron.target", False),
    ("anacron atd acpid autofs ypbind sssd irqbalance haveged", "", False),
    ("ntp ntpd openntpd chrony", "ntpsec.service ntp.service ntpd.service chronyd.service chrony.service "
     "systemd-timesyncd.service time-sync.target", False),
    ("mysql mysqld", "mysql.service mysqld.service mariadb.service", False),
    ("postgresql", "postgresql.service", False),
    ("apache2 httpd", "apache2.service httpd.service", False),
    ("libvirt-bin libvirtd", "libvirtd.service virtqemud.service", False),
    ("iptables ip6tables ufw firewall", "netfilter-persistent.service nftables.service firewalld.service ufw.service", False),
    ("lightdm gdm kdm xdm lxdm prefdm display-manager", "display-manager.service", False),
    ("plymouth plymouth-splash", "plymouth-start.service", False),
    ("avahi-daemon bluetooth cups docker lxc postfix nginx haproxy", "", False),
    ("procps", "systemd-sysctl.service", True),
    ("apparmor", "apparmor.service", True),
    ("cgroups cgroup-lite cgconfig hostname hwclock console-setup", "", True),
    ("rc.local rc-local", "rc-local.service", False),
    ("cloud-init cloud-init-local cloud-config cloud-final", "", True),
) for name in names.split()]


@pytest.mark.parametrize("name, units, task", ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_b238_every_row_of_the_table(name: str, units: Tuple[str, ...], task: bool) -> None:
    aliases = Aliases()
    expected = tuple(dict.fromkeys((f"{name}.service", *units)))
    assert aliases.candidates(name) == expected
    assert aliases.task(name) is task
    for position, unit in enumerate(expected):
        later = set(expected[position:])
        assert aliases.resolve(name, later.__contains__) == Resolution(unit, task)
    assert aliases.resolve(name, lambda unit: False) is None


@pytest.mark.parametrize("name", sorted(NOT_A_UNIT))
def test_b238_milestones_have_no_unit(name: str) -> None:
    assert Aliases().resolve(name, lambda unit: True) is None


def test_b238_lines_of_the_administrator_come_before_everything() -> None:
    aliases = Aliases([("network", ("wicked.service",)), ("mydb", ("postgresql@14.service", "pg.service")),
                       ("network", ("netctl.service",)), ("rc", ("multi-user.target",))])
    assert aliases.candidates("network")[:3] == ("wicked.service", "netctl.service", "network.service")
    assert aliases.candidates("networking")[0] == "networking.service"
    assert aliases.candidates("mydb") == ("postgresql@14.service", "pg.service", "mydb.service")
    assert aliases.candidates("rc") == ("multi-user.target", "rc.service")
    assert {"mydb", "network", "messagebus"} <= set(aliases.names())


def test_b238_a_line_that_names_the_own_unit_late_brings_it_once_and_first_as_written() -> None:
    assert Aliases([("x", ("y.service", "x.service"))]).candidates("x") == ("y.service", "x.service")


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä", "x" * 248, "[!2345]"])
def test_b238_a_name_that_no_unit_can_have_has_no_candidate(name: str) -> None:
    assert Aliases().candidates(name) == ()


@pytest.mark.parametrize("up, chosen, expected", [
    (set(), None, "networking.service"),
    ({"NetworkManager.service"}, None, "NetworkManager.service"),
    ({"NetworkManager.service"}, "networking.service", "NetworkManager.service"),
    ({"NetworkManager.service", "networking.service"}, "NetworkManager.service", "NetworkManager.service"),
    ({"NetworkManager.service", "networking.service"}, None, "networking.service"),
    (set(), "NetworkManager.service", "networking.service"),
])
def test_b229_the_choice_changes_only_while_the_chosen_is_down(up: Set[str], chosen: Optional[str], expected: str) -> None:
    there = {"networking.service", "NetworkManager.service"}
    found = Aliases().choose("network", there.__contains__, up.__contains__, chosen)
    assert found == Resolution(expected, False)


def test_b239_nothing_is_chosen_until_a_unit_appears() -> None:
    there: Set[str] = set()
    aliases = Aliases()
    assert aliases.choose("nginx", there.__contains__, there.__contains__) is None
    there.add("nginx.service")
    assert aliases.choose("nginx", there.__contains__, lambda unit: False) == Resolution("nginx.service", False)


@pytest.mark.parametrize("unit, expected", [
    ("rsyslog.service", ("rsyslog", "")),
    ("getty@tty1.service", ("getty", "tty1")),
    ("mount@srv-data.service", ("mount", "srv/data")),
    (r"x@a\x2db.service", ("x", "a-b")),
    ("network.target", None),
])
def test_b227_job_and_instance_of_a_unit(unit: str, expected: Optional[Tuple[str, str]]) -> None:
    assert job_of(unit) == expected


@pytest.mark.parametrize("escaped, text", [
    (r"\x2d", "-"), (r"\xc3\xa4", "ä"), (r"\x2", r"\x2"), (r"\xzz", r"\xzz"), ("a-b", "a/b"), (r"\xff", "\udcff")])
def test_b227_instances_are_unescaped(escaped: str, text: str) -> None:
    assert unescape(escaped) == text

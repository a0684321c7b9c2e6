"""Which native unit stands for the name of a job (B238, B227, B229).

Job files name the services of the distribution that they were written for. The host's own unit for the
same purpose is found in a table; lines of the administrator come before it.
"""
from __future__ import annotations

from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

#: (names, candidates, task): the first candidate that the host has is meant. ``task``: as a job it is done
#: once the unit has run (B226).
_TABLE: Tuple[Tuple[str, str, bool], ...] = (
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
    ("ntp ntpd openntpd chrony",
     "ntpsec.service ntp.service ntpd.service chronyd.service chrony.service systemd-timesyncd.service time-sync.target", False),
    ("mysql mysqld", "mysql.service mysqld.service mariadb.service", False),
    ("postgresql", "postgresql.service", False),
    ("apache2 httpd", "apache2.service httpd.service", False),
    ("libvirt-bin libvirtd", "libvirtd.service virtqemud.service", False),
    ("iptables ip6tables ufw firewall", "netfilter-persistent.service nftables.service firewalld.service ufw.service", False),
    ("lightdm gdm kdm xdm lxdm prefdm display-manager", "display-manager.service", False),
    ("plymouth plymouth-splash", "plymouth-start.service", False),
    ("procps", "systemd-sysctl.service", True),
    ("apparmor", "apparmor.service", True),
    ("cgroups cgroup-lite cgconfig hostname hwclock console-setup", "", True),
    ("rc.local rc-local", "rc-local.service", False),
    ("cloud-init cloud-init-local cloud-config cloud-final", "", True),
)
#: Names that no unit stands for by the table: links do, or the boot itself (B246, B211, B217).
NOT_A_UNIT = frozenset(("network-interface", "rc", "rcS", "rc-sysinit", "mountall"))
_UNIT_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@")
_SERVICE = ".service"
#: systemd takes no longer names.
_LONGEST_UNIT = 255


class Resolution(NamedTuple):
    """The unit that stands for a name; ``task`` as in the table."""

    unit: str
    task: bool


class Aliases:
    """The table and the administrator's lines: each a name and its candidates, the first line of a name first."""

    def __init__(self, lines: Iterable[Tuple[str, Tuple[str, ...]]] = ()) -> None:
        self._candidates: Dict[str, List[str]] = {}
        self._tasks = set()
        for name, units in lines:
            self._candidates.setdefault(name, []).extend(units)
        self._given = frozenset(self._candidates)
        for names, units_of_row, task in _TABLE:
            for name in names.split():
                self._candidates.setdefault(name, []).extend((*_own(name), *units_of_row.split()))
                if task:
                    self._tasks.add(name)

    def names(self) -> Tuple[str, ...]:
        """Every name of the table and of the lines: with all services wanted, these are wanted too (B224)."""
        return tuple(self._candidates)

    def candidates(self, name: str) -> Tuple[str, ...]:
        """The units that may stand for a name, in the order of preference, each once."""
        found = self._candidates.get(name)
        if found is None:
            found = [] if name in NOT_A_UNIT else _own(name)
        elif name in self._given:
            # Lines come even before the unit of the same name.
            found = [*found, *_own(name)]
        return tuple(dict.fromkeys(found))

    def task(self, name: str) -> bool:
        """Whether the name is a task's (B226)."""
        return name in self._tasks

    def resolve(self, name: str, exists: Callable[[str], bool]) -> Optional[Resolution]:
        """The first candidate that ``exists`` (is loaded, and neither not-found nor masked), or None."""
        for unit in self.candidates(name):
            if exists(unit):
                return Resolution(unit, self.task(name))
        return None

    def choose(self, name: str, exists: Callable[[str], bool], active: Callable[[str], bool],
               chosen: Optional[str] = None) -> Optional[Resolution]:
        """As ``resolve``, for a host that runs: ``chosen`` is kept while it is active; else an active candidate wins (B229)."""
        if chosen is not None and exists(chosen) and active(chosen):
            return Resolution(chosen, self.task(name))
        return self.resolve(name, lambda unit: exists(unit) and active(unit)) or self.resolve(name, exists)


def _own(name: str) -> List[str]:
    """The unit of the same name, if there can be one."""
    if not name or not _UNIT_CHARACTERS.issuperset(name) or len(name) + len(_SERVICE) > _LONGEST_UNIT:
        return []
    return [name + _SERVICE]


def job_of(unit: str) -> Optional[Tuple[str, str]]:
    """The job name and the instance, unescaped, that a service unit has by its own name; None for other units (B227)."""
    if not unit.endswith(_SERVICE):
        return None
    name, at, instance = unit[:-len(_SERVICE)].partition("@")
    return name, unescape(instance) if at else ""


def unescape(text: str) -> str:
    r"""A part of a unit's name as it was before systemd escaped it: ``-`` was ``/``, ``\xNN`` any byte."""
    out = bytearray()
    position = 0
    while position < len(text):
        char = text[position]
        digits = text[position + 2:position + 4]
        if text.startswith("\\x", position) and len(digits) == 2 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            out.append(int(digits, 16))
            position += 4
            continue
        out += b"/" if char == "-" else char.encode("utf-8", "surrogateescape")
        position += 1
    return out.decode("utf-8", "surrogateescape")

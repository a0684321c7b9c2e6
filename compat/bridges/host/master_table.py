"""Which events a host of each kind gives, from what, and with which variables: table 6.28 as data (B267).

Whoever judges a condition, before it is installed or while it waits, looks here (B278). What a host gives on
behalf of single jobs and units is in the tables at the end; event_sources.py puts both together.
"""
from __future__ import annotations

from typing import Dict, FrozenSet, NamedTuple, Optional, Tuple

from ...host import detection
from ...host.profile import PROFILES, RHEL, UBUNTU

#: Kinds of hosts (B194, B257, B266); a daemon of a user's session, and one of the system that is not in host mode.
#: Those two are served by no host bridge.
SYSTEMD, CONTAINER, BARE, SESSION, PLAIN = detection.SYSTEMD, detection.CONTAINER, detection.NONE, "session", "plain"
#: Whose services stand for jobs.
WITH_SERVICES = (SYSTEMD, detection.OPENRC, detection.RUNIT, detection.S6)
_HOSTS = (SYSTEMD, *detection.OTHER_INITS)

_BOOTED = (*_HOSTS, CONTAINER, BARE)
_WATCHED = (*_HOSTS, CONTAINER)
#: Whose values are all known: of these an operand must match one, or it can never be true.
VALUES: Dict[str, Tuple[str, ...]] = {
    "RUNLEVEL": ("0", "1", "2", "3", "4", "5", "6", "S"),
    "PREVLEVEL": ("N", "0", "1", "2", "3", "4", "5", "6", "S"),
    "INIT_HALT": ("POWEROFF", "HALT"),
    "RESULT": ("ok", "failed"),
    "ADDRFAM": ("inet", "inet6"),
    "METHOD": ("loopback", "static", "dhcp", "auto"),
}


class Row(NamedTuple):
    """``event`` may be a pattern. ``source`` is the word of B199, ``program`` the bridge that is needed.

    ``variables`` are in order; None: there are more than are known.
    """

    event: str
    kinds: Tuple[str, ...]
    source: str
    variables: Optional[Tuple[str, ...]] = ()
    program: str = ""
    profiles: Tuple[str, ...] = PROFILES


_MOUNT = ("DEVICE", "MOUNTPOINT", "TYPE", "OPTIONS")
_LINK = ("IFACE", "LOGICAL", "ADDRFAM", "METHOD")

#: The first row that fits counts.
EVENTS: Tuple[Row, ...] = (
    Row("startup", (*_BOOTED, SESSION, PLAIN), "boot"),
    Row("mounting", _WATCHED, "mountinfo", _MOUNT),
    Row("mounted", _WATCHED, "mountinfo", _MOUNT),
    Row("virtual-filesystems", _BOOTED, "boot"),
    Row("local-filesystems", _BOOTED, "boot"),
    Row("remote-filesystems", _BOOTED, "boot"),
    Row("filesystem", _BOOTED, "boot"),
    Row("all-swaps", _BOOTED, "boot"),
    Row("container", _WATCHED, "boot", ("CONTAINER",)),
    # In a container one is always found (B257, B258).
    Row("not-container", _HOSTS, "boot"),
    Row("net-device-up", _WATCHED, "netlink", _LINK),
    Row("net-device-down", _WATCHED, "netlink", _LINK),
    Row("net-device-added", (CONTAINER,), "netlink", None),
    Row("net-device-removed", (CONTAINER,), "netlink", None),
    Row("static-network-up", _WATCHED, "boot"),
    Row("failsafe-boot", (SYSTEMD,), "boot", profiles=(UBUNTU,)),
    Row("runlevel", _BOOTED, "boot", ("RUNLEVEL", "PREVLEVEL", "INIT_HALT")),
    Row("deconfiguring-networking", _BOOTED, "shutdown"),
    Row("unmounting-filesystem", _BOOTED, "shutdown"),
    Row("unmounted-remote-filesystems", _BOOTED, "shutdown"),
    Row("power-status-changed", (SYSTEMD,), "systemd sigpwr.target"),
    # From whoever runs the container (B259).
    Row("power-status-changed", (CONTAINER,), "SIGPWR"),
    Row("keyboard-request", (SYSTEMD,), "systemd kbrequest.target"),
    Row("plymouth-ready", _BOOTED, "boot"),
    Row("login-session-start", (SYSTEMD,), "systemd display-manager.service", ("DISPLAY_MANAGER",)),
    Row("desktop-session-start", (SYSTEMD,), "logind", ("DISPLAY_MANAGER", "USER")),
    Row("desktop-shutdown", _BOOTED, "shutdown"),
    Row("*-device-added", _HOSTS, "udev", None),
    Row("*-device-changed", _HOSTS, "udev", None),
    Row("*-device-removed", _HOSTS, "udev", None),
    Row("*-device-*", _HOSTS, "udev", None),
    Row("socket", (*_BOOTED, PLAIN), "bridge", None, "upstart-socket-bridge"),
    Row("file", (*_BOOTED, SESSION, PLAIN), "bridge", None, "upstart-file-bridge"),
    Row("dbus", (*_BOOTED, SESSION, PLAIN), "bridge", None, "upstart-dbus-bridge"),
    Row("dconf", (SESSION,), "bridge", None, "upstart-dconf-bridge"),
    Row(":sys:*", (SESSION,), "bridge", None, "upstart-event-bridge"),
    Row("session-end", (SESSION,), "session", ("TYPE",)),
)

#: Events of other times and places, and why none of them comes here (B193, B267).
NEVER: Dict[str, str] = {
    "control-alt-delete": "these keys are the host's, unless host.conf says emit-control-alt-delete=yes",
    "fedora.serial-console-available": "the host owns its consoles",
    "splash-request": "the host owns its splash screen",
    "recovery": "the host owns its recovery",
    "rotate-logs": "the host rotates its logs",
    "device-not-ready": "the host owns its mounts",
    "shutdown": "no system ever emitted it; stop on runlevel [016] is meant",
}


class Milestone(NamedTuple):
    """A job that the host's own life stands for (B211, B217, B246). ``variables`` are those after E92's.

    ``early``: the events that come later than old jobs expect (B210).
    """

    variables: Tuple[str, ...] = ()
    source: str = "boot"
    kinds: Tuple[str, ...] = _BOOTED
    profiles: Tuple[str, ...] = PROFILES
    early: FrozenSet[str] = frozenset()


#: Those that are over when the host can run the daemon at all.
PAST_JOBS: Tuple[str, ...] = (
    "udevtrigger", "udevmonitor", "udev-trigger", "udev-finish", "udev-post", "kmod", "module-init-tools", "procps",
    "hostname", "hostname.sh", "console-setup", "console-font", "setvtrgb", "hwclock", "hwclock.sh", "hwclock-save",
    "checkroot.sh", "checkroot-bootclean.sh", "checkfs.sh", "mountall.sh", "mountkernfs.sh", "mountdevsubfs.sh", "mountall-bootclean.sh",
    "mtab.sh", "bootmisc.sh", "resolvconf", "cgroup-lite", "cgroups", "cgconfig", "dmesg")
MILESTONES: Dict[str, Milestone] = {
    "rc": Milestone(variables=("RUNLEVEL", "PREVLEVEL")),
    "rc-sysinit": Milestone(profiles=(UBUNTU,)),
    "rcS": Milestone(profiles=(RHEL,)),
    "mountall": Milestone(early=frozenset(("starting",))),
    "network-interface": Milestone(variables=("INTERFACE",), source="netlink", kinds=_WATCHED),
    "udev-fallback-graphics": Milestone(),
    **dict.fromkeys(PAST_JOBS, Milestone()),
}
#: Units that are up long before any old job can be asked (B210).
EARLY_JOBS: FrozenSet[str] = frozenset(("udev",))

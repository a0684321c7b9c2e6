"""emit and the commands about the daemon itself: one call each (C122, C123)."""
from __future__ import annotations

from .connection import MANAGER, PROPERTIES, UPSTART, connect
from .options import Invocation
from .output import UsageError


def emit(invocation: Invocation) -> int:
    """emit EVENT [KEY=VALUE]... (C122)."""
    if not invocation.arguments:
        raise UsageError("missing event name")
    name, *env = invocation.arguments
    connect(invocation).call(MANAGER, UPSTART, "EmitEvent", "sasb", name, env, not invocation.has("no-wait"), forever=True)
    return 0


def reload_configuration(invocation: Invocation) -> int:
    """reload-configuration."""
    connect(invocation).call(MANAGER, UPSTART, "ReloadConfiguration")
    return 0


def version(invocation: Invocation) -> int:
    """version: the daemon's (C45)."""
    invocation.say(connect(invocation).begin_get(MANAGER, UPSTART, "version").text())
    return 0


def log_priority(invocation: Invocation) -> int:
    """log-priority [PRIORITY] (C46)."""
    connection = connect(invocation)
    if not invocation.arguments:
        invocation.say(connection.begin_get(MANAGER, UPSTART, "log_priority").text())
        return 0
    connection.call(MANAGER, PROPERTIES, "Set", "ssv", UPSTART, "log_priority", invocation.arguments[0])
    return 0


def notify_disk_writeable(invocation: Invocation) -> int:
    """notify-disk-writeable (C49)."""
    connect(invocation).call(MANAGER, UPSTART, "NotifyDiskWriteable")
    return 0


def notify_dbus_address(invocation: Invocation) -> int:
    """notify-dbus-address ADDRESS (C50)."""
    return _notify(invocation, "NotifyDBusAddress", "missing D-Bus address")


def notify_cgroup_manager_address(invocation: Invocation) -> int:
    """notify-cgroup-manager-address ADDRESS (C51)."""
    return _notify(invocation, "NotifyCGroupManagerAddress", "missing address")


def _notify(invocation: Invocation, method: str, missing: str) -> int:
    if not invocation.arguments:
        raise UsageError(missing)
    connect(invocation).call(MANAGER, UPSTART, method, "s", invocation.arguments[0])
    return 0

"""How a systemd host goes down, told from its job queue (B214, B218)."""
from __future__ import annotations

from typing import Iterable, NamedTuple, Optional, Tuple


class WayDown(NamedTuple):
    """The runlevel that old jobs know this by, and what follows PREVLEVEL in the event."""

    level: str
    extra: Tuple[str, ...] = ()


#: The daemon's own unit (B207).
DAEMON = "upstart-compat.service"
#: Targets in the order in which they are looked for.
TARGETS = {
    "reboot.target": WayDown("6"),
    "soft-reboot.target": WayDown("6"),
    "kexec.target": WayDown("6"),
    "poweroff.target": WayDown("0", ("INIT_HALT=POWEROFF",)),
    "halt.target": WayDown("0", ("INIT_HALT=HALT",)),
    "exit.target": WayDown("0"),
    "rescue.target": WayDown("1"),
    "emergency.target": WayDown("1"),
}
#: What logind calls them (PrepareForShutdownWithMetadata, ScheduledShutdown), without "dry-".
_LOGIND_TYPES = {
    "reboot": "reboot.target", "soft-reboot": "soft-reboot.target", "kexec": "kexec.target", "poweroff": "poweroff.target",
    "power-off": "poweroff.target", "halt": "halt.target", "exit": "exit.target",
}


def way_down(jobs: Iterable[Tuple[str, str]], state: str) -> Optional[WayDown]:
    """From the queue, as (unit, job type), and SystemState; None if the host does not go down."""
    starting = {unit for unit, kind in jobs if kind in ("start", "restart")}
    for target, way in TARGETS.items():
        if target in starting:
            return way
    return WayDown("0") if state == "stopping" else None


def way_of_logind(kind: str) -> Optional[WayDown]:
    """From the type of shutdown that logind tells; None if it is none of those."""
    target = _LOGIND_TYPES.get(kind[4:] if kind.startswith("dry-") else kind)
    return None if target is None else TARGETS[target]

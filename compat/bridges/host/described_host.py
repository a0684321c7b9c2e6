"""The host as conditions are judged by: what it is, and what host.conf adds (B197, B238, B270, B278)."""
from __future__ import annotations

from typing import Callable, Iterable, Optional, Tuple

from ...host.configuration import HostConfiguration
from ...host.detection import OTHER_INITS
from ...host.profile import UBUNTU
from .aliases import Aliases
from .event_sources import Host
from .other_inits import SUFFIX, init_of, service_of
from .unit_files import UnitFiles


def described_host(kind: str, profile: str, configuration: HostConfiguration,
                   unit_exists: Optional[Callable[[str], bool]] = None) -> Host:
    """``profile`` may be "" while it is not known. ``unit_exists``: where it is not this host that is asked."""
    mapped = frozenset(each.event for each in configuration.mappings)
    unit_exists = unit_exists or (service_exists(kind) if kind in OTHER_INITS else UnitFiles().exists)
    return Host(kind, profile or UBUNTU, unit_exists, aliases_on(kind, configuration.aliases), mapped)


def aliases_on(kind: str, lines: Iterable[Tuple[str, Tuple[str, ...]]]) -> Aliases:
    """The table and the administrator's lines; where an init has services without suffix, they are named in those as they are."""
    if kind in OTHER_INITS:
        lines = [(name, tuple(unit if unit.endswith(SUFFIX) else unit + SUFFIX for unit in units)) for name, units in lines]
    return Aliases(lines)


def service_exists(kind: str) -> Callable[[str], bool]:
    """Whether the init of such a host has a service, asked for by the name that systemd would have for it."""
    init = init_of(kind)
    return lambda unit: init.exists(service_of(unit))

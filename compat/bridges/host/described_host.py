"""The host as conditions are judged by: what it is, and what host.conf adds (B197, B238, B270, B278)."""
from __future__ import annotations

from typing import Callable

from ...host.configuration import HostConfiguration
from ...host.profile import UBUNTU
from .aliases import Aliases
from .event_sources import Host


def described_host(kind: str, profile: str, configuration: HostConfiguration, unit_exists: Callable[[str], bool]) -> Host:
    """``profile`` may be "" while it is not known."""
    mapped = frozenset(each.event for each in configuration.mappings)
    return Host(kind, profile or UBUNTU, unit_exists, Aliases(configuration.aliases), mapped)

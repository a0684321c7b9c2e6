"""What kind of system the job files come from, told from their names (B197)."""
from __future__ import annotations

from typing import AbstractSet

UBUNTU, RHEL, CHROMEOS, MINIMAL = "ubuntu", "rhel", "chromeos", "minimal"
PROFILES = (UBUNTU, RHEL, CHROMEOS, MINIMAL)


def detect_profile(names: AbstractSet[str]) -> str:
    """The profile that a folder with these job names has. ``minimal`` is only ever configured."""
    if names & {"rc-sysinit", "mountall"}:
        return UBUNTU
    if "rcS" in names and names & {"start-ttys", "rcS-sulogin"}:
        return RHEL
    if {"boot-services", "system-services"} <= names:
        return CHROMEOS
    return UBUNTU

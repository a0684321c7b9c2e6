"""Whether AppArmor is there, and the name of the profile that a job switches to (X136, X138)."""
from __future__ import annotations

import os
import stat
from typing import Sequence

from ..engine.expansion import expand

_ENABLED = "sys/module/apparmor/parameters/enabled"
_PARSER = "sbin/apparmor_parser"
# In a container and on a live medium the profiles are the host's, or the ones below.
_FOREIGN = ("run/container_type", "rofs/etc/apparmor.d")


def usable(root: str = "/") -> bool:
    """Whether ``apparmor load`` and ``apparmor switch`` do anything; ``root`` is for tests."""
    try:
        with open(os.path.join(root, _ENABLED), "rb", buffering=0) as file:
            if file.read(1) != b"Y":
                return False
        parser = os.stat(os.path.join(root, _PARSER))
    except OSError:
        return False
    return (stat.S_ISREG(parser.st_mode) and bool(parser.st_mode & stat.S_IXUSR)
            and not any(os.path.lexists(os.path.join(root, path)) for path in _FOREIGN))


def profile(name: str, environment: Sequence[str]) -> str:
    """The name of a profile with its variables replaced; raises engine.expansion.ExpansionError."""
    if "$" not in name:
        return name
    return expand(name, {key: value for key, _, value in (entry.partition("=") for entry in environment)})

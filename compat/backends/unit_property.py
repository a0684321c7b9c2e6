"""One property of a transient unit, as StartTransientUnit takes it."""
from __future__ import annotations

from typing import Any, NamedTuple

#: systemd's "infinity" for numbers without a sign.
UNLIMITED = (1 << 64) - 1


class Property(NamedTuple):
    """One assignment; ``signature`` is D-Bus's. ``needed``: without it the unit would be wrong."""

    name: bytes
    signature: bytes
    value: Any
    needed: bool = False

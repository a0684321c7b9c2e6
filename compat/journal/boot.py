"""Which boot of the host, or which start of the container, this is (B203, B263).

A container that is stopped and started again keeps the kernel's boot id, but not its first process.
"""
from __future__ import annotations

from typing import Dict

_START_TIME = 19


def identity() -> Dict[str, str]:
    """Plain data that is equal for as long as nothing was booted; what cannot be read is empty."""
    # The name, which comes second, may contain anything.
    fields = _read("/proc/1/stat").rpartition(b")")[2].split()
    return {
        "boot": _read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip(),
        "init": fields[_START_TIME].decode("ascii", "replace") if len(fields) > _START_TIME else ""}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(4096)
    except OSError:
        return b""

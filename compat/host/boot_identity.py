"""Which boot this is: what was written down under another one says nothing about this one (B203, B263).

The kernel's boot id alone does not do: a container that is stopped and started again keeps it. The start time
of PID 1 tells those apart.
"""
from __future__ import annotations

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_FIRST_PROCESS = "/proc/1/stat"


def boot_identity(boot_id: str = _BOOT_ID, first_process: str = _FIRST_PROCESS) -> str:
    """A text that is the same during one boot of the host or container; "" where the kernel does not tell."""
    try:
        with open(boot_id, encoding="ascii") as file:
            boot = file.read().strip()
        with open(first_process, encoding="utf-8", errors="replace") as file:
            # The second field, the name in brackets, may hold blanks and brackets; start time is the 22nd.
            started = file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError, ValueError):
        return ""
    return f"{boot} {started}"

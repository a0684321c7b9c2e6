"""Whether a network file system is still mounted, at the end of the host (B219)."""
from __future__ import annotations


def network_mounts_left(path: str = "/proc/self/mountinfo") -> bool:
    """Whether the mount table has one. One that cannot be read counts as none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError:
        return False
    return any(_is_network(line) for line in text.splitlines())


def _is_network(line: str) -> bool:
    return False

"""Which units this host has, by the files that systemd reads: without asking it, so also where it does not run.

A unit that is linked to /dev/null, or empty, is masked: for whoever looks for it, it is not there (B229). Nor is one that shows
a job to systemctl: it is the layer's own (B235).
"""
from __future__ import annotations

import os
from typing import Sequence, Tuple

from ...units.unit_file import is_made_here

#: Where systemd looks, the first that has a file wins. Generators make units of init scripts and of fstab.
DIRECTORIES: Tuple[str, ...] = (
    "etc/systemd/system.control", "run/systemd/system.control", "run/systemd/transient", "run/systemd/generator.early",
    "etc/systemd/system", "run/systemd/system", "run/systemd/generator", "usr/local/lib/systemd/system", "usr/lib/systemd/system",
    "lib/systemd/system", "run/systemd/generator.late")

_OF_THIS_BOOT = "run/systemd/system"


def shows_job(unit: str, root: str = "/") -> bool:
    """Whether a unit's file was made by the daemon, to show a job to systemctl (B235)."""
    try:
        with open(os.path.join(root, _OF_THIS_BOOT, unit), encoding="utf-8", errors="replace") as file:
            return is_made_here(file.read())
    except (OSError, ValueError):
        return False


class UnitFiles:
    """The unit files below ``root``."""

    def __init__(self, root: str = "/", directories: Sequence[str] = DIRECTORIES) -> None:
        self._root = root
        self._paths = [os.path.join(root, each) for each in directories]

    def exists(self, unit: str) -> bool:
        """Whether the unit, or the template that it is an instance of, has a file and is not masked."""
        if not unit or "/" in unit or "\0" in unit:
            return False
        name, at, rest = unit.partition("@")
        suffix = rest.rpartition(".")[2]
        return self._has(unit) if not at else self._has(unit) or self._has(f"{name}@.{suffix}")

    def enabled(self, unit: str) -> bool:
        """Whether another unit wants or requires it by a link, as ``systemctl enable`` makes one."""
        for directory in self._paths:
            try:
                names = os.listdir(directory)
            except OSError:
                continue
            if any(os.path.lexists(os.path.join(directory, name, unit)) for name in names if name.endswith((".wants", ".requires"))):
                return True
        return False

    def _has(self, name: str) -> bool:
        for directory in self._paths:
            path = os.path.join(directory, name)
            try:
                # A link leads to the file, wherever below another root that may be; one to nothing is as good as none.
                if os.path.islink(path) and os.readlink(path) == os.devnull:
                    return False
                status = os.stat(path)
            except (OSError, ValueError):
                continue
            # The daemon makes no file for a job whose unit would hide another one.
            return status.st_size > 0 and not shows_job(name, self._root)
        return False

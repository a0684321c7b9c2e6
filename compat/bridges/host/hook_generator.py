"""``upstart-host-bridge --hooks DIRECTORY``: what the systemd generator of this package runs where host.conf has hooks (B232).

It runs before every other unit, with nothing there but files. What it has to say goes to the kernel's log, as is the custom.
"""
from __future__ import annotations

import os
import sys
from typing import List, Sequence

from ...host.configuration import HostConfiguration
from .hook_units import chosen_hooks, write_hooks
from .mount_table import FstabEntry, decode_fstab
from .unit_files import UnitFiles
from .unit_order import UnitOrder

KERNEL_LOG = "/dev/kmsg"
_PROGRAM = "upstart-host-bridge"


def generate(directory: str, configuration: HostConfiguration, root: str = "/") -> int:
    """Write the units; the exit status, 1 if that was not possible."""
    if not configuration.hooks:
        return 0
    order = UnitOrder(root)
    hooks = chosen_hooks(configuration, UnitFiles(root).exists, order.name, order.needed_by_daemon(), _fstab(root))
    lines: List[str] = list(hooks.refusals)
    status = 0
    try:
        write_hooks(hooks.units, directory)
    except OSError as error:
        lines.append(f"{error.filename or directory}: {error.strerror}")
        status = 1
    for line in lines:
        _log(line)
    return status


def _fstab(root: str) -> Sequence[FstabEntry]:
    try:
        with open(os.path.join(root, "etc/fstab"), "rb") as file:
            return decode_fstab(file.read())
    except OSError:
        return ()


def _log(line: str) -> None:
    text = f"{_PROGRAM}: {line}\n"
    try:
        with open(KERNEL_LOG, "a", encoding="utf-8", errors="surrogateescape") as log:
            log.write("<4>" + text)
    except OSError:
        sys.stderr.write(text)

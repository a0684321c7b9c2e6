"""The slice that all units of jobs are in, as a unit file.

systemd would make one by itself, but with its default dependencies: then it would stop the slice at shutdown, and
with it every job, before the daemon has stopped them in their own order (X254). A transient slice cannot be
without them. The package brings the file; without the package it is written where units of the present
boot belong, before systemd looks for it.
"""
from __future__ import annotations

import os

from .unit_names import SLICE

_TEXT = """\
[Unit]
Description=Upstart jobs
DefaultDependencies=no
"""
_FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def provide(folder: str = "/run/systemd/system") -> bool:
    """Write the file unless there is one; whether it was written. Raises OSError."""
    if any(os.path.lexists(os.path.join(each, SLICE)) for each in (folder, *_FOLDERS)):
        return False
    path = os.path.join(folder, SLICE)
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(_TEXT)
    os.replace(path + ".new", path)
    return True

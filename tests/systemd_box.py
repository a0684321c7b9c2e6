"""One box of tests/systemd-box: a systemd of this machine's as PID 1 of a throw-away container."""
from __future__ import annotations

import functools
import itertools
import os
import pathlib
import shutil
import subprocess
from typing import Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent
_SCRIPT = ROOT / "tests" / "systemd-box"
_numbers = itertools.count()


@functools.cache
def missing() -> str:
    """Why there can be no box here; "" if there can."""
    if os.getuid() != 0:
        return "needs root, to boot a systemd in a box"
    if not any(os.path.exists(path) for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")):
        return "needs systemd on the disk"
    for program in ("unshare", "nsenter", "dbus-daemon", "systemctl"):
        if shutil.which(program) is None:
            return f"needs {program}"
    systems = pathlib.Path("/proc/filesystems").read_text().split()
    for system in ("overlay", "cgroup2"):
        if system not in systems:
            return f"needs a kernel with {system}"
    done = subprocess.run(
        ["unshare", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--net", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True, text=True, check=False)
    if done.returncode:
        return f"needs the right to mount in namespaces of its own: {done.stderr.strip()}"
    return ""


class SystemdBox:
    """Not there until it is started. ``state`` is a folder for what the script keeps of it; the script has one of its own.

    ``kind`` begins the name, which is also that of a control group: no other run of tests on this machine may have it.
    """

    def __init__(self, kind: str, state: Optional[pathlib.Path] = None) -> None:
        self._name = f"{kind}-{os.getpid()}-{next(_numbers)}"
        self.environment = dict(os.environ)
        if state is not None:
            self.environment["SYSTEMD_BOX_STATE"] = str(state)

    def command(self, verb: str, *arguments: str) -> "list[str]":
        """A command of the script's for this box, to be run with ``environment``."""
        return ["bash", str(_SCRIPT), verb, "-n", self._name, *arguments]

    def call(self, verb: str, *arguments: str, limit: float) -> "subprocess.CompletedProcess[str]":
        """Run it, for at most ``limit`` seconds."""
        return subprocess.run(self.command(verb, *arguments), env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=limit, check=False)

    def start(self, expiry: int, *options: str, limit: float) -> None:
        """Boot it; it ends by itself after ``expiry`` seconds."""
        done = self.call("start", "-t", str(expiry), *options, limit=limit)
        assert done.returncode == 0, done.stderr

    def stop(self, limit: float) -> None:
        """End it at once, whatever goes on in it. What cannot be ended ends when its time is over."""
        self.call("stop", "-k", limit=limit)

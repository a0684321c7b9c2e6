"""A real daemon in system mode, on the systemd that is PID 1, and what systemd says of its units."""
from __future__ import annotations

import os
import pathlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from tests.daemon.running import PATIENCE, Daemon, eventually

SYSTEMD = ("--backend", "systemd", "--no-dbus")
NATIVE = ("--backend", "native", "--no-dbus")


def systemctl(*arguments: str) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    done = subprocess.run(
        ["systemctl", "--no-pager", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def shown(unit: str, name: str) -> str:
    """A property of a unit, as systemctl prints it."""
    code, output, errors = systemctl("show", "--value", "-p", name, "--", unit)
    assert code == 0, errors
    return output.rstrip("\n")


def units(pattern: str = "upstart-*") -> dict[str, str]:
    """Units that systemd has in memory, with their states."""
    code, output, errors = systemctl("list-units", "--all", "--plain", "--no-legend", "--full", pattern)
    assert code == 0, errors
    return {line.split()[0]: line.split()[2] for line in output.splitlines()}


def unit_of(pid: int) -> str:
    """The unit whose cgroup a process is in, "" for none."""
    line = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()[-1]
    return next((part for part in line.split("/") if part.endswith((".service", ".scope"))), "")


def _no_units() -> bool:
    """Ends what is left: who is just about to execute its program shows no environment, and so no mark."""
    found = units()
    if found:
        systemctl("kill", "--signal=KILL", *found)
        # systemd keeps how they ended until somebody has read it.
        systemctl("reset-failed")
        systemctl("stop", "--no-block", *found)
    return not found


class Process:
    """What /proc says of a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def read(self, name: str) -> bytes:
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_bytes()

    @property
    def arguments(self) -> list[bytes]:
        return self._strings("cmdline")

    @property
    def environment(self) -> list[bytes]:
        """In their order."""
        return self._strings("environ")

    def _strings(self, name: str) -> list[bytes]:
        # In the midst of an exec, when the old program is gone and its descriptors are closed, there are none.
        return bytes(eventually(lambda: self.read(name), name)).split(b"\0")[:-1]

    def status(self, key: str) -> str:
        found = re.search(rf"^{key}:[ \t]*(.*)$", self.read("status").decode(), re.MULTILINE)
        assert found is not None, key
        return found[1].strip()

    def stat(self, number: int) -> int:
        """A field of /proc/PID/stat, counted from 1 as in proc(5)."""
        return int(self.read("stat").decode().rpartition(")")[2].split()[number - 3])

    def link(self, name: str) -> str:
        return os.readlink(f"/proc/{self.pid}/{name}")

    def limit(self, name: str) -> tuple[str, str]:
        """Soft and hard."""
        found = re.search(rf"^{name}\s+(\S+)\s+(\S+)", self.read("limits").decode(), re.MULTILINE)
        assert found is not None, name
        return found[1], found[2]


class Upstart(Daemon):
    """In system mode; unless options are given it uses systemd."""

    def __init__(self, directory: pathlib.Path, jobs: Optional[Mapping[str, Any]] = None, options: Sequence[str] = SYSTEMD,
                 **settings: Any) -> None:
        super().__init__(directory, jobs, options, **{"mode": "", **settings})

    def main(self, name: str, instance: str = "") -> Process:
        """The main process of an instance."""
        return Process(self.main_pid(name, instance))

    def pid_of(self, name: str, process: str) -> int:
        """The pid of one of the processes of a job; 0 if it does not run."""
        for path in self.client.call(self.job(name), "com.ubuntu.Upstart0_6.Job", "GetAllInstances"):
            for each, pid in self.client.get(path, "com.ubuntu.Upstart0_6.Instance", "processes"):
                if each == process:
                    return int(pid)
        return 0

    def define(self, name: str, text: str) -> None:
        """Write a job file and wait until the job is known."""
        self.write(f"{name}.conf", text)
        self.wait_known(name)

    def kill(self) -> None:
        """As an administrator's kill -9."""
        self.process.kill()
        self.process.wait()

    def destroy(self) -> None:
        super().destroy()
        eventually(_no_units, lambda: f"no unit is left, but: {systemctl('status', '--full', *units())[1]}")

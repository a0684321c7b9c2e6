"""A throw-away host with systemd as its init, over a copy-on-write view of this machine's files (tests/systemd-box)."""
from __future__ import annotations

import pathlib
import shutil
import subprocess
import time
from types import TracebackType
from typing import Dict, Optional, Type

import pytest

from tests.systemd_box import ROOT, SystemdBox, missing

#: Seconds that anything may take before a test fails.
PATIENCE = 120.0

needs_box = pytest.mark.skipif(bool(missing()), reason=missing())


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing; packaging/setup-builders installs them."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"missing: {', '.join(missing)} (see packaging/setup-builders)")


class Box:
    """A running box with files of its own in ``directory``; it sees what is in ``shown`` besides the checkout."""

    def __init__(self, directory: pathlib.Path, *shown: pathlib.Path) -> None:
        self._shown = (ROOT, *shown)
        self._box = SystemdBox("packaging", directory / "box")

    def __enter__(self) -> "Box":
        # What is below /tmp has to be shown, because the box has a fresh one. It ends by itself if we cannot end it.
        self._box.start(900, *(word for path in self._shown for word in ("-r", str(path))), limit=PATIENCE)
        # Images for containers forbid every package to touch services, hosts do not.
        self.run("rm -f /usr/sbin/policy-rc.d")
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._box.stop(PATIENCE)

    def try_run(self, command: str, environment: Optional[Dict[str, str]] = None) -> "subprocess.CompletedProcess[str]":
        """Run a line of shell as root; both outputs are in ``stdout``."""
        settings = [f"{name}={value}" for name, value in (environment or {}).items()]
        # With one pipe for both, in their order.
        return self._box.call(
            "exec", "--", "env", "-i", "HOME=/root", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *settings, "bash", "-c", f"exec 2>&1\n{command}",
            limit=PATIENCE)

    def run(self, command: str, environment: Optional[Dict[str, str]] = None) -> str:
        """The same, which must succeed; what it prints."""
        done = self.try_run(command, environment)
        assert done.returncode == 0, f"{command}: exit status {done.returncode}: {done.stdout}{self.journal()}"
        return done.stdout

    def fails(self, command: str) -> str:
        """The same, which must fail; what it prints."""
        done = self.try_run(command)
        assert done.returncode != 0, f"{command}: {done.stdout}"
        return done.stdout

    def journal(self) -> str:
        """What systemd and the daemon said, for messages."""
        return "\n" + self.try_run("journalctl --no-pager -b -n 60").stdout

    def eventually(self, command: str, text: str) -> str:
        """Run a command until it succeeds and prints ``text``; what it prints."""
        deadline = time.monotonic() + PATIENCE
        while True:
            done = self.try_run(command)
            if done.returncode == 0 and text in done.stdout:
                return done.stdout
            assert time.monotonic() < deadline, f"{command}: never {text!r}: {done.stdout}{self.journal()}"
            time.sleep(0.05)

    def files(self) -> "set[str]":
        """Every path where a package may put something, but what package managers and loggers keep for themselves."""
        listed = self.run("find /etc /opt /srv /usr /var -xdev \\( -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /var/cache -o "
                          "-path /var/log/journal -o -path /var/lib/systemd -o -path '/var/log/*.log' \\) -prune -o -print")
        return set(listed.splitlines())

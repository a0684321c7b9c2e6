"""Other supervisors that may be installed on this machine, run as overview.py runs our daemon. Measures nothing itself.

Each works in a directory of its own, without root, on services that are `sleep` unless said
otherwise; closing it kills it and all it started.
"""
from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
import time
from typing import Dict, List, Type

from bench.processes import children, end, program, total, wait_for

SLEEP = "/bin/sleep 1000000"


class Peer:
    """A supervisor with its services; use it as a context manager. ``up_after``: from exec to the last service's exec, in s."""

    name = ""
    programs: List[str] = []
    #: Seconds to leave between stopping a service and starting it, so that no pause of its own is measured.
    pause = 0.0

    def __init__(self, services: Dict[str, str]) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="upstart-compat-peer-"))
        self.services = services
        self.configure()
        self._output = (self.directory / "output").open("wb")
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output,
                                        cwd=str(self.directory))
        try:
            self._waiting = list(services)
            wait_for(self._all_up, f"{self.name}: {len(services)} services")
            self.up_after = time.monotonic() - begin
        except BaseException:
            self.close()
            raise

    @classmethod
    def installed(cls) -> bool:
        """Whether all its programs are in PATH."""
        return all(map(shutil.which, cls.programs))

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill everything and remove the directory."""
        end(self.process)
        self._output.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _all_up(self) -> bool:
        """Ask about the last service only until it is up, then the one before: many do not have to be asked again and again."""
        while self._waiting and self.is_up(self._waiting[-1]):
            self._waiting.pop()
        return not self._waiting

    def run(self, command: List[str]) -> float:
        """Run one of its commands; seconds until it returned. Some tell by their status what a service does, so it is not looked at."""
        begin = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False,
                       cwd=str(self.directory))
        return time.monotonic() - begin

    def resident(self) -> float:
        """Resident memory of all its processes, without the services', in MB."""
        return total("VmRSS", self.supervising()) / 1024

    def wakeups(self) -> int:
        """Voluntary context switches of all its processes so far."""
        return total("voluntary_ctxt_switches", self.supervising())

    def configure(self) -> None:
        """Write what describes the services."""
        raise NotImplementedError

    def command(self) -> List[str]:
        """What starts it."""
        raise NotImplementedError

    def pid(self, service: str) -> int:
        """The process of a service, 0 if there is none."""
        raise NotImplementedError

    def is_up(self, service: str) -> bool:
        """Whether a service's program has been executed."""
        raise NotImplementedError

    def supervising(self) -> List[int]:
        """Its own processes."""
        raise NotImplementedError

    def act(self, verb: str, service: str) -> List[str]:
        """The command to start, stop or show (status) a service."""
        raise NotImplementedError

    def listing(self) -> List[str]:
        """The command to show all services."""
        raise NotImplementedError


class Supervisor(Peer):
    """supervisord with its defaults, but that output goes nowhere, as with ``console none``."""

    name = "supervisor"
    programs = ["supervisord", "supervisorctl"]

    def configure(self) -> None:
        here = self.directory
        # It keeps two pipes a service, and closes minfds descriptors in every child.
        minfds = max(1024, 64 + 3 * len(self.services))
        lines = ["[unix_http_server]", f"file={here}/control",
                 "[rpcinterface:supervisor]", "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
                 "[supervisorctl]", f"serverurl=unix://{here}/control",
                 "[supervisord]", "nodaemon=true", f"logfile={here}/log", f"pidfile={here}/pid", f"minfds={minfds}"]
        for name, line in self.services.items():
            lines += [f"[program:{name}]", f"command={line}", "stdout_logfile=NONE", "redirect_stderr=true"]
        (here / "configuration").write_text("\n".join(lines) + "\n")

    def command(self) -> List[str]:
        return ["supervisord", "-c", "configuration"]

    def pid(self, service: str) -> int:
        # Asking supervisorctl costs it more than starting a service, so this is for one service only.
        found = children(self.process.pid)
        return found[0] if found else 0

    def is_up(self, service: str) -> bool:
        found = children(self.process.pid)
        wanted = self.services[service].split()[0].rpartition("/")[2]
        return len(found) == len(self.services) and all(program(child) == wanted for child in found)

    def _all_up(self) -> bool:
        return self.is_up(self._waiting[-1])

    def supervising(self) -> List[int]:
        return [self.process.pid]

    def act(self, verb: str, service: str) -> List[str]:
        return ["supervisorctl", "-c", "configuration", verb, service]

    def listing(self) -> List[str]:
        return ["supervisorctl", "-c", "configuration", "status"]


class Runit(Peer):
    """runsvdir on a directory of services whose run scripts exec the program."""

    name = "runit"
    programs = ["runsvdir", "runsv", "sv"]
    # runsv starts a service once a second at most.
    pause = 1.5

    def configure(self) -> None:
        for name, line in self.services.items():
            directory = self.directory / "services" / name
            directory.mkdir(parents=True)
            run = directory / "run"
            run.write_text(f"#!/bin/sh\nexec {line}\n")
            run.chmod(0o755)

    def command(self) -> List[str]:
        return ["runsvdir", "services"]

    def pid(self, service: str) -> int:
        try:
            return int((self.directory / "services" / service / "supervise" / "pid").read_text() or 0)
        except (FileNotFoundError, ValueError):
            return 0

    def is_up(self, service: str) -> bool:
        pid = self.pid(service)
        return pid > 0 and program(pid) == self.services[service].split()[0].rpartition("/")[2]

    def supervising(self) -> List[int]:
        return [self.process.pid, *children(self.process.pid)]

    def act(self, verb: str, service: str) -> List[str]:
        return ["sv", verb, f"./services/{service}"]

    def listing(self) -> List[str]:
        return ["sv", "status", *(f"./services/{name}" for name in self.services)]


PEERS: List[Type[Peer]] = [Supervisor, Runit]

"""A container of its own for a daemon in host mode: namespaces of processes, mounts and network, /run and the log folder empty."""
from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from typing import Dict, List, Mapping, Optional, Tuple

from tests.daemon.running import PATIENCE, ROOT, eventually

_SET_UP = """\
set -e
mount -t tmpfs -o mode=755 none /run
[ -z "$KEPT" ] || { mkdir -p "$KEPT" /run/upstart-compat; mount --bind "$KEPT" /run/upstart-compat; }
mount -t tmpfs none /var/log
ip link set lo up
cd /
eval "$BEFORE"
"""


def possible() -> bool:
    """Whether this is root, who may make namespaces."""
    command = ["unshare", "-nmpf", "--mount-proc", "true"]
    return os.getuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


class Container:
    """``supervised``: what PID 1 does to run the daemon, as a shell script with the command as its arguments.

    ``kept``: a directory that is /run/upstart-compat, so that it outlives the container.
    """

    def __init__(self, directory: pathlib.Path, jobs: Mapping[str, str], *options: str, host: str = "container", kept: str = "",
                 before: str = "", supervised: str = 'exec "$@"', environment: Optional[Mapping[str, str]] = None) -> None:
        self.directory = directory
        self.conf, self.logs, self.log_file = directory / "conf", directory / "log", directory / "output"
        for each in (directory, self.conf, self.logs):
            each.mkdir(exist_ok=True)
        for name, text in jobs.items():
            path = self.conf / f"{name}.conf"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", "utf-8", "surrogateescape")
        self.daemon = [sys.executable, "-m", "compat.daemon", f"--host={host}", "--no-dbus", "-v", f"--confdir={self.conf}",
                       f"--logdir={self.logs}", *options]
        values = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "KEPT": kept, "BEFORE": before, "HOME": "/", "container": "test",
                  **(environment or {})}
        with open(self.log_file, "ab") as output:
            self.process = subprocess.Popen(
                ["unshare", "-nmpf", "--mount-proc", "--kill-child", "sh", "-c", _SET_UP + supervised, "sh", *self.daemon],
                env=values, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._commands: List["subprocess.Popen[str]"] = []
        self.pid1 = eventually(self._find_pid1)

    def _find_pid1(self) -> int:
        # unshare has one child, and that is PID 1 inside.
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    @property
    def output(self) -> str:
        """What the daemon and the bridge print."""
        return self.log_file.read_text("utf-8", "replace")

    def events(self) -> List[str]:
        """The names of the events that were handled, in order."""
        return re.findall(r"^Handling (.*) event$", self.output, re.MULTILINE)

    def facts(self) -> Dict[str, str]:
        """What the daemon has on record of its host: object to phase."""
        try:
            text = pathlib.Path(f"/proc/{self.pid1}/root/run/upstart-compat/facts.json").read_text("utf-8")
        except FileNotFoundError:
            return {}
        phases: Dict[str, str] = json.loads(text)["table"]["phases"]
        return phases

    def wait_event(self, name: str, count: int = 1) -> None:
        eventually(lambda: self.events().count(name) >= count, lambda: f"{name}: {self.output[-3000:]}")

    def popen(self, *command: str) -> "subprocess.Popen[str]":
        """A command inside."""
        process = subprocess.Popen(["nsenter", "-t", str(self.pid1), "-n", "-m", "-p", *command], text=True, cwd="/",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, "PYTHONPATH": str(ROOT), "UPSTART_SESSION": ""})
        self._commands.append(process)
        return process

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """A command inside; its result."""
        process = self.popen(*command)
        output, errors = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def initctl(self, *arguments: str) -> Tuple[int, str, str]:
        """The client, inside."""
        done = self.run(sys.executable, "-m", "compat.initctl", *arguments)
        return done.returncode, done.stdout, done.stderr

    def client(self, name: str, *arguments: str) -> Tuple[int, str, str]:
        """The client by another name, inside."""
        code = f"import sys; sys.argv[0] = {name!r}; from compat.initctl import run; run()"
        done = self.run("env", "-u", "RUNLEVEL", sys.executable, "-c", code, *arguments)
        return done.returncode, done.stdout, done.stderr

    def status(self, job: str) -> str:
        return self.initctl("status", job)[1].strip()

    def wait_status(self, job: str, beginning: str) -> None:
        eventually(lambda: self.status(job).startswith(beginning), lambda: f"{job} {beginning}: {self.status(job)} {self.output[-3000:]}")

    def log(self, job: str) -> str:
        """What a job has printed."""
        try:
            return (self.logs / f"{job}.log").read_text().replace("\r\n", "\n")
        except FileNotFoundError:
            return ""

    def wait_log(self, job: str, text: str) -> None:
        eventually(lambda: text in self.log(job), lambda: f"{text} in {self.log(job)} {self.output[-3000:]}")

    def processes(self) -> Dict[int, str]:
        """Pid inside to command line, of every process; "" for zombies."""
        listing = self.run("ps", "-eo", "pid=,stat=,args=").stdout
        found = {}
        for line in listing.splitlines():
            pid, state, command = line.split(None, 2)
            found[int(pid)] = "" if state.startswith("Z") else command
        return found

    def pid_of(self, part: str) -> int:
        """The pid inside of the process whose command line has this part; 0 if there is none."""
        return next((pid for pid, command in self.processes().items() if part in command and not command.startswith(("ps ", "sh "))), 0)

    def signal(self, number: int) -> None:
        """To PID 1."""
        os.kill(self.pid1, number)

    def wait_end(self, limit: float = PATIENCE) -> int:
        """The exit status of PID 1."""
        return self.process.wait(limit)

    def destroy(self) -> None:
        if self.process.poll() is None:
            os.kill(self.pid1, signal.SIGKILL)
            self.process.wait()
        for command in self._commands:
            command.communicate()

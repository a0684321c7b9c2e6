"""A real daemon in a directory of its own, a D-Bus client for it, and the certainty that nothing of it is left."""
from __future__ import annotations

import ctypes
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, Union

import _dbus_bindings as bindings
from dbus.exceptions import DBusException

from compat.bridges.host.peer import Peer

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MANAGER = "/com/ubuntu/Upstart"
U = "com.ubuntu.Upstart0_6"
PROPERTIES = "org.freedesktop.DBus.Properties"
F = "org.freedesktop.DBus.Error."
E = U + ".Error."
#: Seconds that anything may take before a test fails.
PATIENCE = 20.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def eventually(condition: Callable[[], Any], what: Any = "", limit: float = PATIENCE) -> Any:
    """Wait until the condition holds; its value. ``what``: something, or a function's result, to show on failure."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit} s: {what() if callable(what) else what}")
        time.sleep(0.01)


def as_user(uid: int) -> list[str]:
    """A command prefix for root: run as an ordinary user who may read what root may, such as an interpreter in his home directory."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=+dac_read_search",
            "--ambient-caps=+dac_read_search"]


def after(code: str) -> list[str]:
    """A command prefix: run a line of Python in the process that then becomes the daemon."""
    return [sys.executable, "-c", f"import os, resource, socket, sys; {code}; os.execv(sys.argv[1], sys.argv[1:])"]


class Failed(Exception):
    """An error reply."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


class Client:
    """One private connection whose calls wait for their replies."""

    def __init__(self, address: str) -> None:
        self.connection = Peer(address)

    def call(self, path: str, interface: str, member: str, signature: str = "", *arguments: object) -> Any:
        """The value that the call returns, a tuple if there are several; raises Failed."""
        message = bindings.MethodCallMessage(None, path, interface, member)
        if signature:
            message.append(*arguments, signature=signature)
        try:
            values = self.connection.send_message_with_reply_and_block(message, PATIENCE).get_args_list()
        except DBusException as error:
            raise Failed(error.get_dbus_name() or "", error.get_dbus_message() or "") from None
        return None if not values else values[0] if len(values) == 1 else tuple(values)

    def send(self, path: str, interface: str, member: str, signature: str = "", *arguments: object) -> None:
        """Send a call and do not wait."""
        message = bindings.MethodCallMessage(None, path, interface, member)
        if signature:
            message.append(*arguments, signature=signature)
        self.connection.send_message(message)

    def get(self, path: str, interface: str, name: str) -> Any:
        """A property."""
        return self.call(path, PROPERTIES, "Get", "ss", interface, name)

    def close(self) -> None:
        self.connection.close()


def process_status(pid: int, key: str) -> str:
    """A value of /proc/PID/status; "" if there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    for line in text.splitlines():
        if line.startswith(key + ":"):
            return line.partition(":")[2].strip()
    return ""


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    state = process_status(pid, "State")
    return bool(state) and not state.startswith(("Z", "X"))


def _kill_marked(mark: str) -> None:
    """Kill every process whose environment holds the mark."""
    wanted = mark.encode()
    for _ in range(100):
        found = False
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry.name}/environ", "rb") as stream:
                    if wanted not in stream.read():
                        continue
                os.kill(int(entry.name), signal.SIGKILL)
                found = True
            except OSError:
                continue
        if not found:
            return


def destroy_all(daemons: Sequence["Daemon"]) -> None:
    """``Daemon.destroy`` of each. First none is left that would start anew what is killed: one may have what another started."""
    for each in daemons:
        if each.process.poll() is None:
            each.process.kill()
        each.process.wait()
    for each in daemons:
        each.destroy()


class Daemon:
    """``directory`` gets ``conf``, ``log`` and ``run``; job files are given as name (with suffix) → text.

    ``prefix`` is a command that executes the daemon; ``mode`` its first option, "" in system mode. ``uid``: as an ordinary
    user, if this is root.
    """

    def __init__(self, directory: pathlib.Path, jobs: Optional[Mapping[str, Union[str, bytes]]] = None, options: Sequence[str] = (), *,
                 mode: str = "--user", confdir: bool = True, logdir: bool = True, level: str = "--verbose",
                 environment: Optional[Mapping[str, Optional[str]]] = None, prefix: Sequence[str] = (), uid: int = 0, wait: bool = True,
                 stdout: Any = None, stderr: Any = None, python: Sequence[str] = ("-m", "compat.daemon"),
                 pass_fds: Sequence[int] = ()) -> None:
        self.directory = directory
        self.mode = mode
        self.conf = directory / "conf"
        self.logs = directory / "log"
        self.runtime = directory / "run"
        for each in (directory, self.conf, self.logs, self.runtime):
            each.mkdir(mode=0o755, exist_ok=True)
        self.runtime.chmod(0o700)
        for name, text in (jobs or {}).items():
            self.write(name, text)
        self.mark = f"marked-{uuid.uuid4()}"
        values: dict[str, Optional[str]] = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "TERM": self.mark, "XDG_RUNTIME_DIR": str(self.runtime),
            "PYTHONPATH": str(ROOT), **(environment or {})}
        self.environment = {name: value for name, value in values.items() if value is not None}
        self.uid = os.getuid()
        if uid and self.uid == 0:
            self.uid = uid
            prefix = [*prefix, *as_user(uid)]
            for each in (self.logs, self.runtime):
                os.chown(each, uid, uid)
        arguments = [*prefix, sys.executable, *python, *([mode] if mode else [])]
        if level:
            arguments.append(level)
        if confdir:
            arguments += ["--confdir", str(self.conf)]
        if logdir:
            arguments += ["--logdir", str(self.logs)]
        if not mode:
            arguments += ["--statedir", str(self.runtime)]
        parent = os.getpid()

        def prepare() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        with open(directory / "stdout", "ab") as output, open(directory / "stderr", "ab") as errors:
            self.process = subprocess.Popen(
                [*arguments, *options], env=self.environment, cwd=directory, stdin=subprocess.DEVNULL,
                stdout=output if stdout is None else stdout, stderr=errors if stderr is None else stderr, preexec_fn=prepare,
                pass_fds=pass_fds)
        self.pid = self.process.pid
        self.clients: list[Client] = []
        self._client: Optional[Client] = None
        if wait:
            self.wait_ready()

    # -- life -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        if not self.mode:
            return "unix:abstract=/com/ubuntu/upstart"
        return f"unix:abstract=/com/ubuntu/upstart-session/{self.uid}/{self.pid}"

    def wait_ready(self) -> None:
        """Wait until the daemon answers."""
        eventually(self._answers, self.log)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}: {self.log()}")
        try:
            return bool(self.client.get(MANAGER, U, "version"))
        except (DBusException, Failed):
            self._client = None
            return False

    def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def wait_end(self, limit: float = PATIENCE) -> int:
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not end: {self.log()}") from None

    def destroy(self) -> None:
        """Kill the daemon and every process of its jobs."""
        for client in self.clients:
            client.close()
        # Stopped first, so that it does not start anew what is killed.
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        _kill_marked(self.mark)

    # -- what it prints -----------------------------------------------------------------------------------------

    @property
    def output(self) -> str:
        """Its standard output so far."""
        return (self.directory / "stdout").read_text("utf-8", "surrogateescape")

    @property
    def errors(self) -> str:
        """Its standard error so far."""
        return (self.directory / "stderr").read_text("utf-8", "surrogateescape")

    def log(self) -> str:
        """Both, the end of them, for messages."""
        return f"\n{self.output[-4000:]}\n-- errors --\n{self.errors[-4000:]}"

    def wait_output(self, text: str) -> None:
        eventually(lambda: text in self.output, lambda: f"{text!r} in{self.log()}")

    def wait_errors(self, text: str) -> None:
        eventually(lambda: text in self.errors, lambda: f"{text!r} in{self.log()}")

    def status(self, key: str) -> str:
        """A value of its /proc/PID/status."""
        return process_status(self.pid, key)

    # -- files ---------------------------------------------------------------------------------------------------

    def write(self, name: str, text: Union[str, bytes]) -> None:
        """Write a file of the job directory, as an editor does that writes in place."""
        path = self.conf / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))

    def job_log(self, name: str) -> str:
        """A job's log file, "" if it does not exist."""
        try:
            return (self.logs / f"{name}.log").read_text("utf-8", "surrogateescape").replace("\r\n", "\n")
        except FileNotFoundError:
            return ""

    def wait_job_log(self, name: str, text: str) -> None:
        eventually(lambda: text in self.job_log(name), lambda: f"{text!r} in {self.job_log(name)!r} {self.log()}")

    # -- D-Bus ---------------------------------------------------------------------------------------------------

    def connect(self) -> Client:
        """Another connection."""
        client = Client(self.address)
        self.clients.append(client)
        return client

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = self.connect()
        return self._client

    def job(self, name: str) -> str:
        """A job's path; raises Failed."""
        return str(self.client.call(MANAGER, U, "GetJobByName", "s", name))

    def knows(self, name: str) -> bool:
        try:
            self.job(name)
        except Failed as error:
            if error.name != E + "UnknownJob":
                raise
            return False
        return True

    def wait_known(self, name: str) -> None:
        eventually(lambda: self.knows(name), lambda: f"{name} known{self.log()}")

    def wait_unknown(self, name: str) -> None:
        eventually(lambda: not self.knows(name), lambda: f"{name} unknown{self.log()}")

    def start(self, name: str, *env: str, wait: bool = True) -> str:
        """Start a job; the instance's path."""
        return str(self.client.call(self.job(name), U + ".Job", "Start", "asb", list(env), wait))

    def stop(self, name: str, *env: str, wait: bool = True) -> None:
        self.client.call(self.job(name), U + ".Job", "Stop", "asb", list(env), wait)

    def restart(self, name: str, *env: str, wait: bool = True) -> None:
        self.client.call(self.job(name), U + ".Job", "Restart", "asb", list(env), wait)

    def emit(self, name: str, *env: str, wait: bool = True) -> None:
        self.client.call(MANAGER, U, "EmitEvent", "sasb", name, list(env), wait)

    def reload_configuration(self) -> None:
        self.client.call(MANAGER, U, "ReloadConfiguration")

    def _seen(self, name: str) -> "list[dict[str, Any]]":
        """The properties of each instance, those of one instance at one moment."""
        found = []
        for path in self.client.call(self.job(name), U + ".Job", "GetAllInstances"):
            try:
                found.append(self.client.call(path, PROPERTIES, "GetAll", "s", U + ".Instance"))
            except Failed as error:
                # Gone in the meantime.
                if error.name != F + "UnknownMethod":
                    raise
        return found

    def instances(self, name: str) -> dict[str, tuple[str, str]]:
        """Instance name → (goal, state); nothing for an unknown job."""
        if not self.knows(name):
            return {}
        return {str(values["name"]): (str(values["goal"]), str(values["state"])) for values in self._seen(name)}

    def running(self, name: str, instance: str = "") -> bool:
        return self.instances(name).get(instance) == ("start", "running")

    def wait_running(self, name: str, instance: str = "") -> None:
        eventually(lambda: self.running(name, instance), lambda: f"{name} running{self.log()}")

    def wait_stopped(self, name: str) -> None:
        eventually(lambda: not self.instances(name), lambda: f"{name} stopped{self.log()}")

    def main_pid(self, name: str, instance: str = "") -> int:
        """The pid of an instance's main process."""
        for values in self._seen(name):
            for process, pid in values["processes"]:
                if (values["name"], process) == (instance, "main"):
                    return int(pid)
        raise LookupError(name)

    def wait_respawned(self, name: str, before: int, instance: str = "") -> int:
        """Wait until another main process than ``before`` has executed its program; its pid.

        State and pid are of one moment: asked for one after the other, the old process may be seen running and the new one before it runs.
        """
        def pid() -> int:
            return next((int(pid) for values in self._seen(name) for process, pid in values["processes"]
                         if (values["name"], values["goal"], values["state"], process) == (instance, "start", "running", "main")
                         and pid != before), 0)

        return int(eventually(pid, lambda: f"{name} respawned{self.log()}"))

    # -- initctl -----------------------------------------------------------------------------------------------

    def initctl_process(self, *arguments: str) -> "subprocess.Popen[str]":
        """The real client; the caller waits for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "compat.initctl", *arguments], text=True, cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**self.environment, "UPSTART_SESSION": self.address})

    def initctl(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, output and errors of the real client."""
        with self.initctl_process(*arguments) as process:
            try:
                output, errors = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return process.returncode, output, errors

    # -- measures --------------------------------------------------------------------------------------------------

    def switches(self) -> int:
        """Each is one sleep that ended."""
        return int(self.status("voluntary_ctxt_switches"))

    def resident_mb(self) -> float:
        return int(re.sub(r"\D", "", self.status("VmRSS"))) / 1024

    def cpu_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

"""A daemon under measurement: started on a scratch directory of job files, spoken to on one connection.

The programs beside this one use it; it measures nothing itself. The client side is the low-level
part of dbus-python, so that its own share in a round trip is small and known. It dispatches what
comes in while it waits: a blocking call of libdbus would look through all signals that came before
its reply each time another comes, and after some thousands that is most of what is measured.
"""
from __future__ import annotations

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Dict, List, Optional, Sequence, Tuple

import _dbus_bindings as wire
from _dbus_glib_bindings import DBusGMainLoop

from bench.processes import end, total
from compat.bridges.host.peer import Peer

ROOT = pathlib.Path(__file__).resolve().parent.parent
MANAGER = "/com/ubuntu/Upstart"
UPSTART = "com.ubuntu.Upstart0_6"
_FOREVER = 0x7FFFFFFF / 1000.0
_iterate = ctypes.CDLL("libglib-2.0.so.0").g_main_context_iteration


def compile_program(directory: pathlib.Path) -> pathlib.Path:
    """Build programs/stamp.c into a directory."""
    binary = directory / "stamp"
    subprocess.run(["gcc", "-O2", "-o", str(binary), str(ROOT / "bench" / "programs" / "stamp.c")], check=True)
    return binary


class Session:
    """A session daemon, or one in system mode; use it as a context manager.

    ``ready_after`` is the time from exec to the first answer, in s.
    """

    #: What the interpreter is to run; exchange it for a profiler's.
    program: List[str] = ["-m", "compat.daemon"]

    def __init__(self, jobs: Dict[str, str], options: Sequence[str] = (), nofile: Optional[int] = None, system: bool = False) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="upstart-compat-bench-"))
        for name in ("conf", "log", "run"):
            (self.directory / name).mkdir(mode=0o700)
        for name, text in jobs.items():
            (self.directory / "conf" / f"{name}.conf").write_text(text)
        self.log = os.open(self.directory / "daemon.log", os.O_WRONLY | os.O_CREAT, 0o644)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.directory / "run"), "PYTHONPATH": str(ROOT)}
        # Without compiled modules it is the compiler that would be measured.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        limit = ["prlimit", f"--nofile={nofile}:"] if nofile else []
        mode = ["--statedir", str(self.directory / "run")] if system else ["--user"]
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [*limit, sys.executable, *self.program, *mode, "--no-startup-event", "--confdir", str(self.directory / "conf"),
             "--logdir", str(self.directory / "log"), *options],
            env=self.environment, cwd=str(self.directory), stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        session = f"-session/{os.getuid()}/{self.process.pid}"
        self.address = f"unix:abstract=/com/ubuntu/upstart{'' if system else session}"
        self.environment["UPSTART_SESSION"] = self.address
        self.connection = self._connect()
        self.get_property("version")
        self.ready_after = time.monotonic() - begin

    def _connect(self) -> wire.Connection:
        mainloop = DBusGMainLoop()
        while True:
            try:
                return Peer(self.address, mainloop)
            except Exception:
                if self.process.poll() is not None:
                    raise RuntimeError((self.directory / "daemon.log").read_text()) from None
                time.sleep(0.001)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *failure: object) -> None:
        self.connection.close()
        end(self.process)
        os.close(self.log)
        shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, path: str, interface: str, member: str, signature: str = "", *arguments: object) -> Tuple[object, ...]:
        """One call, waiting for its reply without limit."""
        message = wire.MethodCallMessage(None, path, interface, member)
        if signature:
            message.append(*arguments, signature=signature)
        replies: List[wire.Message] = []
        self.connection.send_message_with_reply(message, replies.append, _FOREVER)
        while not replies:
            _iterate(None, 1)
        if replies[0].get_type() == wire.MESSAGE_TYPE_ERROR:
            raise RuntimeError(f"{member}: {replies[0].get_error_name()}: {replies[0].get_args_list()}")
        return tuple(replies[0].get_args_list())

    def wait_signal(self, path: str, member: str) -> None:
        """The next signal of an object, of those that come from now on."""
        seen: List[bool] = []

        def filter(connection: wire.Connection, message: wire.Message) -> int:
            if message.get_type() == wire.MESSAGE_TYPE_SIGNAL and message.get_path() == path and message.get_member() == member:
                seen.append(True)
            return wire.HANDLER_RESULT_NOT_YET_HANDLED

        self.connection.add_message_filter(filter)
        try:
            while not seen:
                _iterate(None, 1)
        finally:
            self.connection.remove_message_filter(filter)

    def get_property(self, name: str) -> object:
        """A property of the manager."""
        return self.call(MANAGER, "org.freedesktop.DBus.Properties", "Get", "ss", UPSTART, name)[0]

    def emit(self, name: str, *env: str, wait: bool = True) -> None:
        """EmitEvent."""
        self.call(MANAGER, UPSTART, "EmitEvent", "sasb", name, list(env), wait)

    def job(self, name: str) -> str:
        """The path of a job."""
        return str(self.call(MANAGER, UPSTART, "GetJobByName", "s", name)[0])

    def start(self, path: str) -> str:
        """Start a job by its path and wait; returns the instance's path."""
        return str(self.call(path, UPSTART + ".Job", "Start", "asb", [], True)[0])

    def stop(self, path: str) -> None:
        """Stop a job by its path and wait."""
        self.call(path, UPSTART + ".Job", "Stop", "asb", [], True)

    def instances(self, path: str) -> List[str]:
        """The instances of a job by its path."""
        return [str(each) for each in self.call(path, UPSTART + ".Job", "GetAllInstances")[0]]  # type: ignore[attr-defined]

    def main_pid(self, instance: str) -> int:
        """The main process of an instance, by its path."""
        processes = self.call(instance, "org.freedesktop.DBus.Properties", "Get", "ss", UPSTART + ".Instance", "processes")[0]
        return next(int(pid) for name, pid in processes if name == "main")  # type: ignore[attr-defined]

    def resident(self) -> float:
        """The daemon's resident memory in MB."""
        return total("VmRSS", [self.process.pid]) / 1024

    def wakeups(self) -> int:
        """Voluntary context switches so far: each is one sleep that ended."""
        return total("voluntary_ctxt_switches", [self.process.pid])


def table(title: str, heading: Sequence[str], rows: List[Sequence[str]]) -> None:
    """Print rows under a heading, columns aligned."""
    lines = [list(heading), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    print(f"\n{title}")
    for line in lines:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())

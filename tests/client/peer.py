"""A daemon that is not one: it answers on a real D-Bus socket from a table of jobs and keeps every call.

It lives in the test's own process and thread. ``run`` starts the client as a process and serves
until that ends, so no test waits for anything else. Answers stand in ``answers``: member → function
of the call; the table's own are the methods ``_Member``.
"""
from __future__ import annotations

import itertools
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import _dbus_bindings as bindings
from dbus.mainloop.glib import DBusGMainLoop

from compat.control.wire import Connection
from tests.received import plain, take_in

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENT = ROOT / "packaging" / "bin" / "initctl"
MANAGER = "/com/ubuntu/Upstart"
U = "com.ubuntu.Upstart0_6"
JOB = U + ".Job"
INSTANCE = U + ".Instance"
PROPERTIES = "org.freedesktop.DBus.Properties"
E = U + ".Error."
F = "org.freedesktop.DBus.Error."
NAME = "com.ubuntu.Upstart"
_PATIENCE = 30.0
_numbers = itertools.count()


class Error(Exception):
    """To be answered with an error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


#: As an answer: there is none, ever.
SILENCE = object()
#: As an answer: the peer hangs up.
HANG_UP = object()


def escaped(name: str) -> str:
    return "".join(chr(c) if chr(c).isascii() and chr(c).isalnum() else f"_{c:02x}" for c in name.encode()) or "_"


class Call:
    """A call that came. ``key`` is what it is called in the tables of 4.18: (path, member, *arguments)."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.path = str(message.get_path())
        self.interface = message.get_interface()
        self.member = str(message.get_member())
        self.signature = str(message.get_signature())
        self.arguments = [plain(each) for each in message.get_args_list()]
        self.key = (self.path, self.member, *self.arguments)


class Job:
    """A job of the table. ``parameter``: the variable that its instances are named by, if it has several."""

    def __init__(self, name: str, parameter: str = "", **properties: Any) -> None:
        self.path = f"{MANAGER}/jobs/{escaped(name)}"
        self.parameter = parameter
        self.instances: Dict[str, Dict[str, Any]] = {}
        self.properties = {"name": name, "usage": "", "emits": [], "start_on": [], "stop_on": [], **properties}

    def add(self, name: str = "", goal: str = "start", state: str = "running",
            processes: Sequence[Tuple[str, int]] = (("main", 100),)) -> str:
        """An instance; its path."""
        self.instances[name] = {"name": name, "goal": goal, "state": state, "processes": list(processes)}
        return f"{self.path}/{escaped(name)}"

    def find(self, env: List[str], usage: bool = True) -> str:
        """The name of the instance that is meant; it need not exist."""
        if any("=" not in word for word in env):
            raise Error(F + "InvalidArgs", "Env must be KEY=VALUE pairs")
        if not self.parameter:
            return ""
        variables = dict(word.split("=", 1) for word in env)
        if self.parameter not in variables:
            suffix = f"\nUsage: {self.properties['usage']}" if usage and self.properties["usage"] else ""
            raise Error(F + "InvalidArgs", f"Unknown parameter: {self.parameter}{suffix}")
        return variables[self.parameter]

    def existing(self, name: str) -> str:
        """The path of an instance that exists."""
        if name not in self.instances:
            raise Error(E + "UnknownInstance", f"Unknown instance: {name}")
        return f"{self.path}/{escaped(name)}"


_SIGNATURES = {"name": "s", "usage": "s", "emits": "as", "start_on": "aas", "stop_on": "aas", "goal": "s", "state": "s",
               "processes": "a(si)", "version": "s", "log_priority": "s"}


def variant(signature: str, value: Any) -> Any:
    """A value as a variant holds it."""
    if signature == "s":
        return bindings.String(value, variant_level=1)
    if signature == "o":
        return bindings.ObjectPath(value, variant_level=1)
    return bindings.Array(value, signature=signature[1:], variant_level=1)


class Ended:
    """How a client ended: ``status`` as subprocess has it, ``out`` and ``err``."""

    def __init__(self, status: int, out: bytes, err: bytes) -> None:
        self.status = status
        self.out = os.fsdecode(out)
        self.err = os.fsdecode(err)

    def __eq__(self, other: object) -> bool:
        return (self.status, self.out, self.err) == other

    def __repr__(self) -> str:
        return repr((self.status, self.out, self.err))


def client_command(words: Sequence[str], links: Path) -> List[str]:
    """The command line of a client by the name ``words[0]``."""
    path = links / words[0]
    if not path.is_symlink():
        links.mkdir(exist_ok=True)
        path.symlink_to(CLIENT)
    return [sys.executable, str(path), *words[1:]]


def client_environment(**variables: Optional[str]) -> Dict[str, str]:
    """An environment in which only ``variables`` are about Upstart."""
    ours = ("UPSTART_", "DBUS_", "LC_", "LANG", "COLUMNS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment["PYTHONPATH"] = str(ROOT)
    environment.update((name, value) for name, value in variables.items() if value is not None)
    return environment


class Peer:
    """The daemon. ``bus``: the address of a message bus to serve on, instead of a private socket."""

    def __init__(self, links: Path, bus: str = "") -> None:
        self.links = links
        self.jobs: List[Job] = []
        self.calls: List[Call] = []
        self.variables: List[str] = []
        self.log_priority = "message"
        self.answers: Dict[str, Any] = {}
        self.before_reply: Callable[[Any, Call], None] = lambda connection, call: None
        self.connections: List[Any] = []
        loop = DBusGMainLoop()
        if bus:
            self.address = bus
            connection = Connection(bus, loop)
            connection.set_unique_name(self._ask_bus(connection, "Hello"))
            self._ask_bus(connection, "RequestName", "su", NAME, 4)
            self._accept(connection)
            return
        outer = self
        self.address = f"unix:abstract=/upstart-compat-test/{os.getpid()}/{next(_numbers)}"

        class Listener(bindings._Server):  # type: ignore[misc]
            def _on_new_connection(self, connection: Any) -> None:
                outer._accept(connection)

        self._server = Listener(self.address, bindings.Connection, loop, None)

    def _ask_bus(self, connection: Any, member: str, signature: str = "", *arguments: Any) -> Any:
        message = bindings.MethodCallMessage("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member)
        if signature:
            message.append(*arguments, signature=signature)
        return connection.send_message_with_reply_and_block(message).get_args_list()[0]

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        if hasattr(self, "_server"):
            self._server.disconnect()
        take_in()

    def _accept(self, connection: Any) -> None:
        self.connections.append(connection)
        connection.add_message_filter(self._got)

    def add_job(self, name: str, parameter: str = "", **properties: Any) -> Job:
        self.jobs.append(Job(name, parameter, **properties))
        return self.jobs[-1]

    # Serving

    def run(self, *words: str, closed: Sequence[int] = (), uid: Optional[int] = None, until: Optional[Callable[[], bool]] = None,
            **variables: Optional[str]) -> Ended:
        """Run a client and serve it until it ends; SIGINT is sent to it when ``until`` holds. Forked from here for another ``uid``."""
        if self.address and "UPSTART_SESSION" not in variables and "DBUS_SYSTEM_BUS_ADDRESS" not in variables:
            variables["UPSTART_SESSION"] = self.address
        environment = client_environment(**variables)
        if uid is not None:
            return self._run_as(uid, words, environment)
        with subprocess.Popen(client_command(words, self.links), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, preexec_fn=(lambda: [os.close(fd) for fd in closed]) if closed else None) as process:
            def interrupt() -> None:
                if until is not None and until():
                    process.send_signal(signal.SIGINT)

            out, err = self.serve(process, each_turn=interrupt)
        return Ended(process.returncode, out, err)

    def serve(self, process: "subprocess.Popen[bytes]", each_turn: Callable[[], None] = lambda: None) -> List[bytes]:
        """Serve a client until it has ended, in time or killed: what it wrote to each of its pipes."""
        descriptors = [stream.fileno() for stream in (process.stdout, process.stderr) if stream is not None]
        try:
            return self._collect(descriptors, lambda: process.poll() is None, each_turn)
        finally:
            if process.poll() is None:
                process.kill()

    def _collect(self, descriptors: List[int], alive: Callable[[], bool], each_turn: Callable[[], None] = lambda: None) -> List[bytes]:
        collected = dict.fromkeys(descriptors, b"")
        open_ones = list(descriptors)
        deadline = time.monotonic() + _PATIENCE
        while open_ones or alive():
            assert time.monotonic() < deadline, f"the client does not end; calls so far: {self.made()}"
            take_in()
            each_turn()
            for descriptor in select.select(open_ones, [], [], 0.001)[0]:
                data = os.read(descriptor, 65536)
                collected[descriptor] += data
                if not data:
                    open_ones.remove(descriptor)
        return list(collected.values())

    def _run_as(self, uid: int, words: Sequence[str], environment: Dict[str, str]) -> Ended:
        # The interpreter may be where that user cannot start it, so everything is imported before.
        import dbus.exceptions  # noqa: F401

        from compat.client import daemon_commands, job_commands  # noqa: F401
        from compat.initctl import main
        out, err = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(out[1], 1)
                os.dup2(err[1], 2)
                for descriptor in (*out, *err):
                    os.close(descriptor)
                os.environ.clear()
                os.environ.update(environment)
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
                os._exit(main(list(words)))
            finally:
                os._exit(99)
        os.close(out[1])
        os.close(err[1])
        texts = self._collect([out[0], err[0]], lambda: False)
        os.close(out[0])
        os.close(err[0])
        return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *texts)

    def made(self) -> List[Tuple[Any, ...]]:
        """The calls that came, in order, since the last time this was asked. Those to a bus itself are not seen here."""
        made = [call.key for call in self.calls]
        self.calls.clear()
        return made

    def _got(self, connection: Any, message: Any) -> int:
        if not isinstance(message, bindings.MethodCallMessage):
            return bindings.HANDLER_RESULT_NOT_YET_HANDLED
        call = Call(message)
        self.calls.append(call)
        try:
            answer = self.answers.get(call.member, getattr(self, "_" + call.member, self._unknown))(call)
        except Error as error:
            reply = bindings.ErrorMessage(message, error.name, error.text)
        else:
            if answer is SILENCE:
                return bindings.HANDLER_RESULT_HANDLED
            if answer is HANG_UP:
                connection.close()
                return bindings.HANDLER_RESULT_HANDLED
            reply = bindings.MethodReturnMessage(message)
            if answer is not None:
                signature, *values = answer
                reply.append(*values, signature=signature)
        self.before_reply(connection, call)
        connection.send_message(reply)
        return bindings.HANDLER_RESULT_HANDLED

    # What the daemon does, as far as a client can tell

    def _unknown(self, call: Call) -> Any:
        raise Error(F + "UnknownMethod",
                    f'Method "{call.member}" with signature "{call.signature}" on interface "{call.interface}" doesn\'t exist\n')

    def _job(self, call: Call) -> Job:
        for job in self.jobs:
            if job.path == call.path:
                return job
        return self._unknown(call)

    def _instance(self, call: Call) -> Tuple[Job, str]:
        for job in self.jobs:
            for name in job.instances:
                if f"{job.path}/{escaped(name)}" == call.path:
                    return job, name
        return self._unknown(call)

    def _GetJobByName(self, call: Call) -> Any:
        name = call.arguments[0]
        if not name:
            raise Error(F + "InvalidArgs", "Name may not be empty string")
        for job in self.jobs:
            if job.properties["name"] == name:
                return "o", job.path
        raise Error(E + "UnknownJob", f"Unknown job: {name}")

    def _GetAllJobs(self, call: Call) -> Any:
        return "ao", [job.path for job in self.jobs]

    def _GetInstance(self, call: Call) -> Any:
        job = self._job(call)
        return "o", job.existing(job.find(call.arguments[0]))

    def _GetInstanceByName(self, call: Call) -> Any:
        return "o", self._job(call).existing(call.arguments[0])

    def _GetAllInstances(self, call: Call) -> Any:
        job = self._job(call)
        return "ao", [job.existing(name) for name in job.instances]

    def _Start(self, call: Call) -> Any:
        if call.interface == INSTANCE:
            job, name = self._instance(call)
            job.instances[name]["goal"] = "start"
            return None
        job = self._job(call)
        name = job.find(call.arguments[0])
        if name in job.instances:
            shown = job.properties["name"] + (f" ({name})" if name else "")
            raise Error(E + "AlreadyStarted", f"Job is already running: {shown}")
        return "o", job.add(name)

    def _Stop(self, call: Call) -> Any:
        if call.interface == INSTANCE:
            job, name = self._instance(call)
        else:
            job = self._job(call)
            name = job.find(call.arguments[0], usage=False)
            job.existing(name)
        del job.instances[name]
        return None

    def _Restart(self, call: Call) -> Any:
        if call.interface == INSTANCE:
            self._instance(call)
            return None
        job = self._job(call)
        return "o", job.existing(job.find(call.arguments[0], usage=False))

    def _Reload(self, call: Call) -> Any:
        self._instance(call)
        return None

    def _EmitEvent(self, call: Call) -> Any:
        if any("=" not in word for word in call.arguments[1]):
            raise Error(F + "InvalidArgs", "Env must be KEY=VALUE pairs")
        return None

    def _accepted_silently(self, call: Call) -> Any:
        return None

    _ReloadConfiguration = _NotifyDiskWriteable = _NotifyDBusAddress = _NotifyCGroupManagerAddress = _accepted_silently
    _ResetEnv = _UnsetEnvList = _SetEnvList = _accepted_silently

    def _GetEnv(self, call: Call) -> Any:
        for variable in self.variables:
            if variable.startswith(call.arguments[1] + "="):
                return "s", variable.split("=", 1)[1]
        raise Error(F + "InvalidArgs", f"No such variable: {call.arguments[1]}")

    def _ListEnv(self, call: Call) -> Any:
        return "as", self.variables

    def _Get(self, call: Call) -> Any:
        interface, name = call.arguments
        if interface == U:
            properties = {"version": "init (upstart 1.13.2)", "log_priority": self.log_priority}
        elif interface == JOB:
            properties = self._job(call).properties
        else:
            job, instance = self._instance(call)
            properties = job.instances[instance]
        if name not in properties:
            return self._unknown(call)
        return "v", variant(_SIGNATURES[name], properties[name])

    def _GetAll(self, call: Call) -> Any:
        job, instance = self._instance(call)
        return "a{sv}", {name: variant(_SIGNATURES.get(name, "s"), value) for name, value in job.instances[instance].items()}

    def _Set(self, call: Call) -> Any:
        if call.arguments[2] not in ("debug", "info", "message", "warn", "error", "fatal"):
            raise Error(F + "InvalidArgs", "The log priority given was not recognised")
        self.log_priority = call.arguments[2]
        return None

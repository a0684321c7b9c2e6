"""Runs the D-Bus service in a process of its own, with the fake engine, under the test's control.

As a program it is the service; ``Service`` is the test's side. Both talk by pickles over a socket:
(name of a Host method, arguments, named arguments) one way, (whether it worked, result) the other.
"""
from __future__ import annotations

import itertools
import os
import pickle
import socket
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from compat.backends.placement import Placement
from compat.engine import actions, inputs
from compat.parser.definition import JobDefinition, Match

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_numbers = itertools.count()
_EMPTY = JobDefinition()


def _send(stream: socket.socket, value: Any) -> None:
    data = pickle.dumps(value)
    stream.sendall(len(data).to_bytes(4, "big") + data)


def _receive(stream: socket.socket) -> Any:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = stream.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    return pickle.loads(exactly(int.from_bytes(exactly(4), "big")))


class FakeServices:
    def __init__(self, user_mode: bool, pid1: bool, uid: int) -> None:
        self.user_mode, self.pid1, self.uid = user_mode, pid1, uid
        self.priority = "message"
        self.calls: List[str] = []
        self.write_error = 0

    def version(self) -> str:
        return "init (upstart 1.13.2)"

    def log_priority(self) -> str:
        return self.priority

    def set_log_priority(self, priority: str) -> None:
        self.priority = priority

    def reload_configuration(self) -> None:
        self.calls.append("reload")

    def write_held_output(self) -> None:
        self.calls.append("write")
        if self.write_error:
            raise OSError(self.write_error, os.strerror(self.write_error), "/some/file")

    def end_session(self) -> None:
        self.calls.append("end")

    def state(self) -> str:
        return "{}"

    def re_execute(self, call: Any) -> None:
        self.calls.append("re-execute")

    def placement(self, spawn: int) -> Placement:
        return Placement("scope", f"reason of {spawn}")

    def unit(self, spawn: int) -> str:
        return f"unit-{spawn}.scope"

    def event_source(self, job: str, stanza: str, operand: Match) -> str:
        return f"source of {operand.event}"


class FakeHost:
    """Host mode as control sees it: keeps what it is told; a shutdown is done when ``finish_shutdown`` says so."""

    kind, profile = "systemd", "ubuntu"

    def __init__(self) -> None:
        self.calls: List[Any] = []
        self.known: Dict[str, str] = {}
        self.waiting: List[Any] = []

    def masked(self) -> List[str]:
        return ["rc", "tty1"]

    def fact(self, fact: Any) -> bool:
        self.calls.append(fact)
        news = self.known.get(fact.object) != fact.phase
        self.known[fact.object] = fact.phase
        return news

    def facts(self) -> Dict[str, str]:
        return self.known

    def shut_down(self, level: str, extra: Any, only_first: bool, done: Any) -> None:
        self.calls.append((level, tuple(extra), only_first))
        self.waiting.append(done)

    def shutdown_cancelled(self) -> None:
        self.calls.append("cancelled")

    def announce(self, unit: str, state: str, done: Any) -> None:
        self.calls.append((unit, state))
        self.waiting.append(done)

    def take_announcement(self, again: bool, taker: Any) -> None:
        self.calls.append(again)
        taker((3, "a.service", "starting"))

    def announcement_told(self, number: int, objects: Any) -> None:
        self.calls.append((number, objects))


class Host:
    """The service's process; the methods without underscore are what a test can call."""

    def __init__(self, stream: socket.socket, options: Dict[str, Any]) -> None:
        from compat.control.service import Control
        from compat.loop import MainLoop

        self._stream = stream
        self.loop = MainLoop(lambda what, error: self._log(actions.FATAL, f"{what}: {error!r}"))
        self._lines: List[Tuple[int, str]] = []
        self._engine = self._make_engine()
        self.services = FakeServices(options["user_mode"], options["pid1"], options["uid"])
        self.host = FakeHost() if options["host"] else None
        self._control = Control(self._engine, self._feed, self.services, self._log, self.loop, self.host)
        self.loop.add_reader(stream.fileno(), self._serve)

    def _make_engine(self) -> Any:
        from tests.control.fake_engine import FakeEngine
        return FakeEngine()

    def _log(self, priority: int, text: str) -> None:
        self._lines.append((priority, text))

    def _feed(self, given: Any) -> None:
        for action in self._engine.feed(given):
            self._control.perform(action)

    def _serve(self) -> None:
        try:
            name, arguments, named = _receive(self._stream)
        except EOFError:
            self.loop.quit()
            return
        try:
            _send(self._stream, (True, getattr(self, name)(*arguments, **named)))
        except Exception as error:
            _send(self._stream, (False, repr(error)))

    def control(self, name: str, *arguments: Any) -> Any:
        return getattr(self._control, name)(*arguments)

    def status(self) -> Tuple[int, int, int]:
        """Open descriptors, connections, calls that wait."""
        return len(os.listdir("/proc/self/fd")), self._control.connections, self._control.pending_calls

    def perform(self, performed: List[Any]) -> None:
        for action in performed:
            self._control.perform(action)

    def perform_and_close(self, performed: List[Any]) -> None:
        """Before the main loop has written anything of it."""
        self.perform(performed)
        self._control.close()

    def define(self, job: str, definition: JobDefinition = _EMPTY, instances: Tuple[Tuple[Any, ...], ...] = ()) -> None:
        from tests.control.fake_engine import FakeInstance, FakeJob

        made = FakeJob(job, definition)
        made.instances = {each[0]: FakeInstance(*each) for each in instances}
        self._engine.jobs[job] = made

    def define_many(self, count: int) -> None:
        for number in range(count):
            self.define(f"job-{number}")

    def forget(self, job: str) -> None:
        del self._engine.jobs[job]

    def fed(self) -> List[Any]:
        """What the engine was fed since this was asked last."""
        fed, self._engine.fed = self._engine.fed, []
        return fed

    def log(self) -> List[Tuple[int, str]]:
        """What was logged since this was asked last."""
        lines, self._lines = self._lines, []
        return lines

    def service_calls(self) -> List[str]:
        calls, self.services.calls = self.services.calls, []
        return calls

    def host_calls(self) -> List[Any]:
        calls, self.host.calls = self.host.calls, []
        return calls

    def finish_shutdown(self) -> None:
        self.host.waiting.pop(0)()

    def fail_writing(self, number: int) -> None:
        self.services.write_error = number

    def fd_identity(self, fd: int) -> Tuple[int, int]:
        status = os.fstat(fd)
        return status.st_dev, status.st_ino

    def close_descriptor(self, fd: int) -> None:
        os.close(fd)

    def authentication_seconds(self, seconds: float) -> None:
        from compat.control import server
        server.AUTHENTICATION_SECONDS = seconds

    def become(self, uid: int) -> None:
        os.setgid(uid)
        os.setuid(uid)

    def reset(self) -> None:
        """Forget jobs, lines and inputs."""
        self._engine.__init__()  # type: ignore[misc]
        self._lines.clear()
        self.services.__init__(self.services.user_mode, self.services.pid1, self.services.uid)  # type: ignore[misc]


class EngineHost(Host):
    """With the real engine, on simulated processes."""

    def __init__(self, stream: socket.socket, options: Dict[str, Any]) -> None:
        from compat.backends.simulated import SimulatedBackend

        super().__init__(stream, options)
        self._backend = SimulatedBackend(self._feed)
        self.loop.events = self._work

    def _make_engine(self) -> Any:
        from compat.engine import Engine
        return Engine({"PATH": "/bin", "TERM": "linux"})

    def _feed(self, given: Any) -> None:
        from compat.control.service import ACTIONS

        for action in self._engine.feed(given, time.monotonic()):
            if type(action) in ACTIONS:
                self._control.perform(action)
            elif isinstance(action, actions.SpawnProcess):
                self._backend.spawn(action)
            elif isinstance(action, actions.SignalProcess):
                self._backend.signal(action)
            elif isinstance(action, actions.CloseDescriptor):
                os.close(action.fd)

    def _work(self) -> None:
        while self._backend.busy() or self._engine.has_work():
            self._backend.dispatch()
            self._backend.reap()
            self._feed(inputs.PollEvents())

    def define(self, job: str, definition: JobDefinition = _EMPTY, instances: Tuple[Tuple[Any, ...], ...] = ()) -> None:
        self._feed(inputs.DefineJob(job, definition))

    def forget(self, job: str) -> None:
        self._feed(inputs.ForgetJob(job))

    def finish(self, job: str, process: str, status: int = 0, instance: str = "") -> None:
        """Let a process end."""
        self._backend.find(job, process, instance).exit(status)

    def environment(self, job: str, process: str, instance: str = "") -> Dict[str, str]:
        return self._backend.find(job, process, instance).environment

    def signals_of(self, job: str, process: str, instance: str = "") -> List[int]:
        return self._backend.find(job, process, instance).received

    def ignore(self, job: str, process: str, signal: int) -> None:
        self._backend.find(job, process, "").ignores = (signal,)


class Service:
    """A running service; its methods are Host's."""

    def __init__(self, *, engine: bool = False, user_mode: bool = False, pid1: bool = False, uid: Optional[int] = None,
                 environment: Optional[Dict[str, str]] = None, listen: bool = True, host: bool = False) -> None:
        ours, theirs = socket.socketpair()
        self.stream = ours
        options = {"engine": engine, "user_mode": user_mode, "pid1": pid1, "uid": os.getuid() if uid is None else uid, "host": host}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.control.service_process", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),), cwd=_ROOT, env={**os.environ, **(environment or {})})
        theirs.close()
        _send(ours, options)
        self.address = f"unix:abstract=/compat-test/{os.getpid()}/{next(_numbers)}"
        if listen:
            assert self.control("listen", self.address)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            _send(self.stream, (name, arguments, named))
            worked, result = _receive(self.stream)
            if not worked:
                raise AssertionError(result)
            return result

        return call

    def stop(self) -> None:
        self.stream.close()
        assert self.process.wait(10) == 0


def main() -> None:
    stream = socket.socket(fileno=int(sys.argv[1]))
    options = _receive(stream)
    host = (EngineHost if options["engine"] else Host)(stream, options)
    host.loop.run()


if __name__ == "__main__":
    main()

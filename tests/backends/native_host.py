"""A native backend and the smallest main loop around it, with the timers in the test's hands.

What the backend feeds is kept in ``fed``, what it logs in ``lines``. ``run`` waits for a condition
and does what a daemon's main loop does meanwhile: descriptors first, then children.
"""
from __future__ import annotations

import ctypes
import os
import pathlib
import pickle
import select
import shutil
import signal
import tempfile
import time
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

from compat.backends.native import LAUNCHER, NativeBackend
from compat.backends.protocol import ProcessDefaults
from compat.engine.actions import DetachTrace, SignalProcess, SpawnProcess
from compat.engine.inputs import ProcessEnded, ProcessExecuted, ProcessSpawned, ProcessSpawnFailed
from compat.parser import parse_job
from compat.parser.definition import PROCESS_NAMES

NOBODY = 65534
PATIENCE = 20.0
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin"
LETTERS = "DIMWEF"
_SUBREAPER, _GET_SUBREAPER = 36, 37
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


class Host:
    """``folder`` holds ``log`` for the logs; it may be given to an ordinary user."""

    def __init__(self, folder: pathlib.Path, launcher: str = LAUNCHER, utmp: Optional[Callable[[int], None]] = None,
                 **defaults: Any) -> None:
        self.folder = folder
        self.logs = folder / "log"
        self.logs.mkdir(exist_ok=True)
        self.fed: List[Any] = []
        #: "W text"
        self.lines: List[str] = []
        #: seconds and callback of everything that ``later`` was asked for, oldest first
        self.timers: List[Tuple[float, Callable[[], None]]] = []
        #: called with every input before ``feed`` returns, as an engine's answer is carried out
        self.react: Callable[[Any], None] = lambda happened: None
        self.pids: Dict[int, int] = {}
        self.serial = 0
        was = ctypes.c_int()
        _libc.prctl(_GET_SUBREAPER, ctypes.byref(was), 0, 0, 0)
        self._was_subreaper = was.value
        _libc.prctl(_SUBREAPER, 1, 0, 0, 0)
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wake = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._old_handler = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.backend = self.make_backend(ProcessDefaults(**{"log_directory": str(self.logs), **defaults}), utmp, launcher)

    def make_backend(self, defaults: ProcessDefaults, utmp: Optional[Callable[[int], None]], launcher: str) -> Any:
        return NativeBackend(self.feed, self._log, self.later, defaults, utmp, launcher)

    # -- the backend's side ------------------------------------------------------------------------------

    def feed(self, happened: Any) -> None:
        self.fed.append(happened)
        if isinstance(happened, ProcessSpawned):
            self.pids[happened.spawn] = happened.pid
        self.react(happened)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.timers.append((seconds, callback))

    def _log(self, priority: int, text: str) -> None:
        self.lines.append(f"{LETTERS[priority]} {text}")

    # -- the engine's side -------------------------------------------------------------------------------

    def request(self, text: str, process: str = "main", job: str = "web", instance: str = "", env: Tuple[str, ...] = (PATH,),
                fds: Tuple[int, ...] = ()) -> SpawnProcess:
        """A request for a process of a job file."""
        self.serial += 1
        definition = parse_job(text.encode())
        return SpawnProcess(self.serial, job, instance, PROCESS_NAMES.index(process), definition, env, fds,
                            definition.expect if process == "main" else "none")

    def spawn(self, text: str, **given: Any) -> int:
        """Start a process of a job file; the number of the spawn."""
        request = self.request(text, **given)
        self.backend.spawn(request)
        return request.spawn

    def output(self, text: str, **given: Any) -> List[str]:
        """Run a job to its end, exit status 0; the lines that it printed."""
        given.setdefault("job", f"printer{self.serial}")
        spawn = self.spawn(text, **given)
        assert self.end(spawn) == 0, (self.of(spawn), self.lines, self.printed(given["job"]))
        return self.printed(given["job"])

    def printed(self, job: str) -> List[str]:
        path = self.logs / f"{job}.log"
        return path.read_bytes().decode("utf-8", "surrogateescape").splitlines() if path.exists() else []

    def failure(self, text: str, **given: Any) -> str:
        """Why a job cannot be started."""
        spawn = self.spawn(text, **given)
        self.run(lambda: any(isinstance(each, ProcessSpawnFailed) for each in self.of(spawn)))
        failed = self.of(spawn)[-1]
        if spawn in self.pids:
            self.reaped(self.pids[spawn])
        # Nothing comes after it (E22).
        assert self.of(spawn)[-1] is failed
        return str(failed.reason)

    def running(self, text: str, **given: Any) -> int:
        """Start a job and wait until its exec was confirmed; the number of the spawn."""
        spawn = self.spawn(text, **given)
        self.run(lambda: len(self.of(spawn)) >= 2)
        assert isinstance(self.of(spawn)[1], ProcessExecuted), (self.of(spawn), self.lines)
        return spawn

    def kill(self, spawn: int, number: int, group: bool = True, must_exist: bool = True) -> None:
        self.backend.signal(SignalProcess(spawn, number, group, must_exist))

    def detach(self, spawn: int) -> None:
        self.backend.detach(DetachTrace(spawn))

    # -- time --------------------------------------------------------------------------------------------

    def of(self, spawn: int) -> List[Any]:
        """Everything fed about one spawn."""
        return [happened for happened in self.fed if happened.spawn == spawn]

    def saw(self, happened: Any) -> bool:
        """Whether exactly this was fed."""
        return exactly(happened) in [exactly(each) for each in self.fed]

    def course(self, spawn: int) -> List[Tuple[Any, ...]]:
        """Everything fed about one spawn, to be compared with a list of ``exactly``."""
        return [exactly(happened) for happened in self.of(spawn)]

    def turn(self, timeout: float) -> None:
        """Wait, at most so long, and do what there is to do."""
        select.select([self.backend.fileno(), self._wake_read], [], [], timeout)
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
        self.backend.dispatch()
        self.backend.reap()

    def run(self, until: Callable[[], Any]) -> None:
        """Until a condition holds; it is looked at after everything that happens."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            left = deadline - time.monotonic()
            assert left > 0, (self.fed, self.lines, self.timers)
            # Not everything that a condition may look at wakes us.
            self.turn(min(left, 0.02))

    def reaped(self, pid: int) -> None:
        """Wait until a child's status was taken."""
        self.run(lambda: pid not in children())

    def end(self, spawn: int) -> int:
        """Wait for the end of a process; its status as the engine gets it."""
        self.run(lambda: any(isinstance(each, (ProcessEnded, ProcessSpawnFailed)) for each in self.of(spawn)))
        last = self.of(spawn)[-1]
        assert isinstance(last, ProcessEnded), (last, self.lines)
        return int(last.status)

    def fire(self) -> List[float]:
        """Call every timer that was asked for before this call; how long each was to wait."""
        timers, self.timers = self.timers, []
        for _, callback in timers:
            callback()
        return [seconds for seconds, _ in timers]

    def close(self) -> None:
        """Kill and bury every child."""
        while True:
            for pid in children():
                os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0x40000000)
            except ChildProcessError:
                break
        self.backend.close()
        signal.signal(signal.SIGCHLD, self._old_handler)
        signal.set_wakeup_fd(self._old_wake)
        os.close(self._wake_read)
        os.close(self._wake_write)
        _libc.prctl(_SUBREAPER, self._was_subreaper, 0, 0, 0)


def exactly(happened: Any) -> Tuple[Any, ...]:
    """An input with its kind, because named tuples of different kinds may be equal."""
    return type(happened).__name__, *happened


def children(of: Optional[int] = None) -> List[int]:
    """The pids of our children, or of another process's."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = pathlib.Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == (of or os.getpid()):
                found.append(int(name))
    return found


def status(pid: int) -> Dict[str, str]:
    """/proc/PID/status; empty if there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def argv(pid: int) -> List[str]:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]


def descriptors(pid: int) -> Dict[int, str]:
    """Open descriptors and what they lead to."""
    folder = f"/proc/{pid}/fd"
    found = {}
    for name in os.listdir(folder):
        try:
            found[int(name)] = os.readlink(f"{folder}/{name}")
        except FileNotFoundError:
            pass
    return found


def as_ordinary_user(check: Callable[[Host], T], **defaults: Any) -> T:
    """Call ``check`` with a host that belongs to nobody, in a process of nobody's; what it returned.

    Where the tests run as an ordinary user already, that user will do.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="upstart-compat-test-"))
    launcher = str(folder / "launcher")
    # The checkout may be in a place where nobody may not look.
    shutil.copy(LAUNCHER, launcher)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer: Tuple[bool, Any] = (False, "no answer")
        try:
            os.close(receive)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            os.chdir("/")
            host = Host(folder, launcher, **defaults)
            answer = True, check(host)
            host.close()
        except BaseException as error:
            answer = False, repr(error)
        finally:
            with open(send, "wb") as file:
                pickle.dump(answer, file)
            os._exit(0)
    os.close(send)
    with open(receive, "rb") as file:
        good, result = pickle.load(file)
    os.waitpid(pid, 0)
    shutil.rmtree(folder)
    assert good, result
    return result  # type: ignore[no-any-return]


__all__ = ["NOBODY", "PATH", "Host", "argv", "as_ordinary_user", "children", "descriptors", "exactly", "status"]

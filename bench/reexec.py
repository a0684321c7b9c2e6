"""How long a client waits while the daemon re-executes itself, and whether anything is lost in many of them.

    python bench/reexec.py [BACKEND]            pauses, in milliseconds
    python bench/reexec.py [BACKEND] ROUNDS     as many re-execs under load; fails if anything is lost

BACKEND is native (a session's daemon) or systemd (the system's, in a box with a systemd of its own, which needs root);
without it pauses are measured with both.

A pause is the longest time between asking for a property and getting it, over a connection that stays open,
while a re-exec happens; "answer" is that time without one. The program is tried out before, beside the daemon's
work, and so is in none of them. "cpu" is the processor time that the daemon takes for one; on a busy machine it says more.
"""
from __future__ import annotations

import os
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Dict, List

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import _dbus_bindings as wire  # noqa: E402
from dbus.exceptions import DBusException  # noqa: E402

from bench.session import MANAGER, UPSTART, Session  # noqa: E402
from compat.bridges.host.peer import Peer  # noqa: E402

NATIVE, SYSTEMD = "native", "systemd"
_INSIDE = "--inside"
ROUNDS = 5
_JOB = UPSTART + ".Job"
_ERROR = "org.freedesktop.DBus.Error."
_PATIENCE = 60.0


class Client:
    """One connection whose calls wait, for use in one thread."""

    def __init__(self, address: str) -> None:
        self.connection = Peer(address)

    def call(self, path: str, interface: str, member: str, signature: str = "", *arguments: Any) -> Any:
        message = wire.MethodCallMessage(None, path, interface, member)
        if signature:
            message.append(*arguments, signature=signature)
        return self.connection.send_message_with_reply_and_block(message, _PATIENCE).get_args_list()

    def version(self) -> None:
        self.call(MANAGER, "org.freedesktop.DBus.Properties", "Get", "ss", UPSTART, "version")


def re_execute(address: str) -> None:
    """Ask for it; returns when it has happened, which is when this connection is cut."""
    client = Client(address)
    try:
        client.call(MANAGER, UPSTART, "Restart")
    except DBusException as error:
        if error.get_dbus_name() not in (_ERROR + "NoReply", _ERROR + "Disconnected"):
            raise
        return
    raise RuntimeError("Restart was answered")


def longest(client: Client, during: Callable[[], None]) -> float:
    """The longest round trip until ``during`` is over and one more was made, in ms."""
    thread = threading.Thread(target=during)
    thread.start()
    found = 0.0
    more = True
    while more:
        more = thread.is_alive()
        begin = time.monotonic()
        client.version()
        found = max(found, time.monotonic() - begin)
        time.sleep(0.001)
    thread.join()
    return found * 1000


def session(backend: str, jobs: Dict[str, str]) -> Session:
    """A daemon with one of the backends."""
    return Session(jobs, ["--no-dbus", "--backend", backend], system=backend == SYSTEMD)


def pause(backend: str, loaded: int, running: int) -> List[str]:
    """One row of the table."""
    jobs = {f"job{number}": "exec sleep 100000\n" for number in range(running)}
    jobs.update((f"idle{number}", f"description 'idle {number}'\nstart on event{number} or (runlevel [2345] and net-device-up IFACE=eth0)\n"
                                  "stop on runlevel [!2345]\nrespawn\nenv A=b\nexport A\nlimit nofile 1024 4096\nexec sleep 1\n")
                for number in range(loaded - running))
    with session(backend, jobs) as daemon:
        client = Client(daemon.address)
        for number in range(running):
            client.call(f"{MANAGER}/jobs/job{number}", _JOB, "Start", "asb", [], True)
        # Units for systemctl are started some time later.
        time.sleep(0.005 * running)
        usual = longest(client, lambda: time.sleep(0.3))
        before = _cpu_seconds(daemon.process.pid)
        pauses = [longest(client, lambda: re_execute(daemon.address)) for _ in range(ROUNDS)]
        cpu = (_cpu_seconds(daemon.process.pid) - before) / ROUNDS * 1000
        if backend == SYSTEMD:
            # What runs would be the next daemon's.
            daemon.process.terminate()
            daemon.process.wait()
    return [backend, str(loaded), str(running), f"{usual:.1f}", f"{statistics.median(pauses):.0f}", f"{max(pauses):.0f}", f"{cpu:.0f}"]


def _cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- many of them under load -------------------------------------------------------------------------------------


class Load:
    """Clients that start, stop, emit and kill without a pause, and count what they were answered."""

    JOBS: Dict[str, str] = {
        "service": "instance $N\nexport N\nexec sleep 100000\n",
        "task": "task\nstart on work\ninstance $N\nexec true\n",
        "dying": "respawn\nrespawn limit unlimited\nexec sleep 0.05\n",
        "counter": "start on never\nexec sleep 100000\n",
    }

    def __init__(self, session: Session) -> None:
        self.session = session
        self.stop = threading.Event()
        self.failures: List[str] = []
        self.done: Dict[str, int] = {"started": 0, "emitted": 0, "commands": 0}
        self.threads = [threading.Thread(target=self._run, args=(work, number)) for work in (self._services, self._events, self._commands)
                        for number in range(2)]

    def _run(self, work: Callable[[Client, int, int], None], number: int) -> None:
        try:
            client = Client(self.session.address)
            turn = 0
            while not self.stop.is_set():
                turn += 1
                work(client, number, turn)
        except Exception as error:
            self.failures.append(f"{work.__name__}: {error!r}")

    def _services(self, client: Client, number: int, turn: int) -> None:
        name = f"N={number}-{turn % 5}"
        path = f"{MANAGER}/jobs/service"
        client.call(path, _JOB, "Start", "asb", [name], True)
        if random.random() < 0.5:
            client.call(path, _JOB, "Restart", "asb", [name], True)
        client.call(path, _JOB, "Stop", "asb", [name], True)
        self.done["started"] += 1

    def _events(self, client: Client, number: int, turn: int) -> None:
        # Answered when the task that it starts has ended.
        client.call(MANAGER, UPSTART, "EmitEvent", "sasb", "work", [f"N={number}-{turn}"], True)
        self.done["emitted"] += 1

    def _commands(self, client: Client, number: int, turn: int) -> None:
        """A connection for every command, as initctl has."""
        Client(self.session.address).version()
        self.done["commands"] += 1


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _resident_mb(pid: int) -> float:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def endure(rounds: int, backend: str = NATIVE) -> int:
    """So many re-execs under load; the exit status."""
    with session(backend, Load.JOBS) as daemon:
        pid = daemon.process.pid
        Client(daemon.address).call(f"{MANAGER}/jobs/dying", _JOB, "Start", "asb", [], True)
        load = Load(daemon)
        for thread in load.threads:
            thread.start()
        first: List[float] = []
        begin = time.monotonic()
        for number in range(rounds):
            re_execute(daemon.address)
            Client(daemon.address).version()
            if load.failures:
                break
            if number == min(5, rounds - 1):
                first = [_descriptors(pid), _resident_mb(pid)]
            if not (number + 1) % (10 if rounds < 500 else 50):
                print(f"{number + 1} re-execs in {time.monotonic() - begin:.0f} s, {load.done}, {_descriptors(pid)} descriptors, "
                      f"{_resident_mb(pid):.1f} MB", flush=True)
        load.stop.set()
        for thread in load.threads:
            thread.join(_PATIENCE)
            if thread.is_alive():
                load.failures.append("a caller was not answered")
        client = Client(daemon.address)
        left = client.call(f"{MANAGER}/jobs/service", _JOB, "GetAllInstances")[0]
        tasks = client.call(f"{MANAGER}/jobs/task", _JOB, "GetAllInstances")[0]
        if left or tasks:
            load.failures.append(f"left over: {list(left) + list(tasks)}")
        last = [_descriptors(pid), _resident_mb(pid)]
        print(f"{rounds} re-execs, {load.done}; descriptors and MB after a few {first}, at the end {last}")
        if first and last[0] > first[0] + 20:
            load.failures.append("descriptors are lost")
        if first and last[1] > first[1] * 1.3 + 5:
            load.failures.append("memory grows")
        for failure in load.failures:
            print("FAILED:", failure)
        if load.failures:
            print((daemon.directory / "daemon.log").read_text()[-3000:])
        return 1 if load.failures else 0


def main() -> int:
    words = [word for word in sys.argv[1:] if word != _INSIDE]
    backends = [words.pop(0)] if words and not words[0].isdigit() else []
    if len(words) > 1 or not set(backends) <= {NATIVE, SYSTEMD} or not all(word.isdigit() for word in words):
        print(__doc__)
        return 2
    if backends == [SYSTEMD] and _INSIDE not in sys.argv:
        return in_a_box([SYSTEMD, *words])
    if words:
        return endure(int(words[0]), backends[0] if backends else NATIVE)
    if _INSIDE not in sys.argv:
        print(f"{'backend':>8} {'loaded':>8} {'running':>8} {'answer':>8} {'pause':>8} {'longest':>8} {'cpu':>8}   (ms)")
    for loaded, running in ((10, 1), (100, 100), (5000, 1000)):
        print(" ".join(f"{cell:>8}" for cell in pause(backends[0] if backends else NATIVE, loaded, running)), flush=True)
    return 0 if backends else in_a_box([SYSTEMD])


def in_a_box(words: List[str]) -> int:
    """Run this program in a box; its exit status."""
    if os.getuid():
        print("not measured with systemd: a box needs root")
        return 0
    places = [word for path in dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix)) for word in ("-r", path)]
    box = [str(ROOT / "tests" / "systemd-box"), "run", "-n", f"bench-{os.getpid()}", "-t", "3000", *places]
    return subprocess.run([*box, "--", sys.executable, str(pathlib.Path(__file__).resolve()), _INSIDE, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

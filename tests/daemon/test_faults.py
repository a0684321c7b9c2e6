"""Faults of the host, of jobs and of clients: the daemon says so and goes on."""
from __future__ import annotations

import fcntl
import os
import pathlib
import re
import resource
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.daemon.conftest import Launch
from tests.daemon.running import MANAGER, Daemon, Failed, U, after, alive, as_user, eventually, process_status

IS_ROOT = os.getuid() == 0
#: Not in the module before Python 3.10.
F_SETPIPE_SZ = 1031
SLEEP = "exec sleep 1000\n"


def set_limit(pid: int, kind: int, limit: int) -> tuple[int, int]:
    """Set the soft limit of a process; both of before."""
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (limit, before[1]))
    return before


# -- disks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(place: pathlib.Path) -> Iterator[pathlib.Path]:
    path = place / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no mount: {done.stderr}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_x122_full_disk_under_the_logs(launch: Launch, small_disk: pathlib.Path) -> None:
    daemon = launch({"loud.conf": "exec sh -c 'head -c 3000000 /dev/zero | tr \"\\0\" x; echo end; exec sleep 1000'\n",
                     "short.conf": "task\nexec echo fits\n"}, ("--logdir", str(small_disk)))
    daemon.start("loud")
    daemon.wait_errors(f"init: Failed to write to log file {small_disk}/loud.log\n")
    pid = daemon.main_pid("loud")
    # All of its output was taken from it.
    eventually(lambda: pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n", daemon.log)
    assert daemon.running("loud")
    daemon.stop("loud")
    (small_disk / "loud.log").unlink()
    daemon.start("short")
    eventually(lambda: (small_disk / "short.log").read_bytes() == b"fits\r\n")


def test_x122_log_files_that_may_not_grow(launch: Launch) -> None:
    # Much more than is read at once: what a write leaves that is cut off by the limit is kept until there is more (X123).
    daemon = launch({"loud.conf": "exec sh -c 'head -c 3000000 /dev/zero | tr \"\\0\" x; exec sleep 1000'\n"}, wait=False,
                    stdout=subprocess.DEVNULL)
    daemon.wait_ready()
    before = set_limit(daemon.pid, resource.RLIMIT_FSIZE, 50_000)
    daemon.start("loud")
    daemon.wait_errors(f"init: Failed to write to log file {daemon.logs}/loud.log\n")
    assert (daemon.logs / "loud.log").stat().st_size == 50_000
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, before)
    assert daemon.running("loud")


def test_log_directory_that_does_not_exist(launch: Launch, place: pathlib.Path) -> None:
    daemon = launch({"j.conf": "exec sh -c 'echo x; exec sleep 1000'\n"}, ("--logdir", str(place / "none")))
    daemon.start("j")
    assert daemon.running("j")
    daemon.stop("j")
    assert daemon.terminate() == 0


# -- processes and descriptors --------------------------------------------------------------------------------------


def test_x33_fork_fails_for_a_while(launch: Launch) -> None:
    daemon = launch({"j.conf": SLEEP, "k.conf": "exec true\n"}, uid=12346)
    # By somebody with the daemon's own uid: even root need not have the right.
    prlimit = [*(as_user(12346) if IS_ROOT else ()), "prlimit", f"--pid={daemon.pid}"]
    subprocess.run([*prlimit, "--nproc=1:"], check=True)
    daemon.start("j", wait=False)
    daemon.wait_errors("init: Temporary process spawn error: Resource temporarily unavailable\n")
    # Responsive in the meantime.
    assert daemon.knows("k")
    assert daemon.instances("j") == {"": ("start", "spawned")} or "spawn" in daemon.instances("j")[""][1]
    subprocess.run([*prlimit, "--nproc=1000:"], check=True)
    daemon.wait_running("j")


def test_e51_job_that_always_fails_is_not_respawned_for_ever(launch: Launch) -> None:
    daemon = launch({"bomb.conf": "respawn\nexec sh -c 'echo again; exit 1'\n", "other.conf": SLEEP})
    daemon.start("bomb", wait=False)
    daemon.start("other")
    daemon.wait_errors("init: bomb respawning too fast, stopped\n")
    assert daemon.instances("bomb") == {}
    assert daemon.job_log("bomb") == "again\n" * 11
    assert daemon.running("other")


def test_job_that_makes_processes_without_end(launch: Launch) -> None:
    daemon = launch({"bomb.conf": "limit nproc 300 300\nscript\nwhile :; do sleep 1000 & n=$((n+1)); [ $n -lt 400 ] || break; done\nwait\n"
                                  "end script\n", "other.conf": SLEEP}, uid=12347)
    daemon.start("bomb")
    pid = daemon.main_pid("bomb")
    daemon.start("other")
    # As many as it likes, or as its limit allows; all in its group.
    eventually(lambda: len(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) >= 50 or not alive(pid))
    daemon.stop("bomb")
    assert daemon.instances("bomb") == {}
    assert daemon.running("other")


def _settled(daemon: Daemon) -> int:
    """How many jobs have started or failed so far."""
    return daemon.output.count(" state changed from post-start to running\n") + daemon.errors.count("init: Failed to spawn j")


def test_too_few_descriptors_for_300_jobs(launch: Launch) -> None:
    daemon = launch({f"j{number:03}.conf": f"start on go\n{SLEEP}" for number in range(300)},
                    prefix=after("resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"))
    daemon.emit("go", wait=False)
    daemon.wait_errors("init: Temporary process spawn error: Too many open files\n")
    # Connections that are open work, and what has its descriptors.
    daemon.client.call(MANAGER, U, "GetAllJobs")
    before = daemon.cpu_seconds()
    # Given up after ten seconds.
    eventually(lambda: _settled(daemon) == 300, daemon.log, 60)
    assert daemon.cpu_seconds() - before < 8
    # Room again: everything works as before.
    names = [f"j{number:03}" for number in range(300)]
    started = [name for name in names if daemon.running(name)]
    assert len(started) >= 50
    failed = next(name for name in names if name not in started)
    for name in started[:30]:
        daemon.stop(name)
    daemon.start(failed)
    assert daemon.initctl("status", failed)[0] == 0
    assert daemon.errors.count("Internal error") == 0


# -- output ------------------------------------------------------------------------------------------------------------


def test_two_hundred_megabytes_of_output(launch: Launch) -> None:
    size = 200_000_000
    daemon = launch({"flood.conf": f"task\nexec sh -c 'head -c {size} /dev/zero | tr \"\\0\" x; echo; echo end'\n", "other.conf": SLEEP})
    calm = daemon.resident_mb()
    daemon.start("flood", wait=False)
    slowest = most = 0.0
    while daemon.instances("flood"):
        begin = time.monotonic()
        daemon.start("other")
        daemon.stop("other")
        slowest = max(slowest, time.monotonic() - begin)
        most = max(most, daemon.resident_mb())
    log = daemon.logs / "flood.log"
    assert log.stat().st_size == size + len("\r\nend\r\n")
    with log.open("rb") as stream:
        assert not stream.read(1000).strip(b"x")
        stream.seek(-100, 2)
        assert stream.read() == b"x" * 93 + b"\r\nend\r\n"
    log.unlink()
    assert most < calm + 20
    assert slowest < 5


def test_job_whose_output_never_ends_does_not_hold_up_calls(launch: Launch) -> None:
    """The descriptor of its output is always ready; D-Bus has its turn all the same."""
    daemon = launch({"flood.conf": "exec yes\n", "other.conf": SLEEP})
    daemon.start("flood")
    for _ in range(10):
        daemon.start("other")
        daemon.stop("other")
    daemon.stop("flood")
    (daemon.logs / "flood.log").unlink()


def test_daemon_s_own_output_is_a_full_pipe_that_nobody_reads(launch: Launch) -> None:
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        os.set_blocking(writer, False)
        os.write(writer, b"." * 4096)
        os.set_blocking(writer, True)
        daemon = launch({"j.conf": SLEEP, "bad.conf": "bogus\n"}, stdout=writer, stderr=writer)
        for number in range(300):
            daemon.emit(f"event{number}", "V=" + "x" * 5000)
        daemon.start("j")
        # Somebody reads after all: nothing was lost that fits into the bound.
        os.set_blocking(reader, False)
        received = ""

        def read() -> bool:
            nonlocal received
            try:
                received += os.read(reader, 65536).decode()
            except BlockingIOError:
                pass
            return "j state changed from post-start to running\n" in received

        eventually(read, lambda: received[-500:])
        assert "init:" in received
        assert [int(each) for each in re.findall(r"^Handling event(\d+) event$", received, re.MULTILINE)] == list(range(300))
        assert daemon.terminate() == 0
    finally:
        os.close(reader)
        os.close(writer)


def test_reader_of_the_daemon_s_output_went_away(launch: Launch) -> None:
    reader, writer = os.pipe()
    daemon = launch({"j.conf": SLEEP}, stdout=writer, stderr=writer)
    os.close(writer)
    os.close(reader)
    daemon.emit("e")
    daemon.start("j")
    daemon.reload_configuration()
    assert daemon.running("j")
    assert daemon.terminate() == 0


# -- clients -------------------------------------------------------------------------------------------------------------


def test_client_that_never_reads(launch: Launch) -> None:
    daemon = launch({"j.conf": SLEEP})
    silent = daemon.connect()
    silent.call(MANAGER, U, "GetAllJobs")
    before = daemon.resident_mb()
    for number in range(10_000):
        daemon.client.send(MANAGER, U, "EmitEvent", "sasb", f"event{number}", ["V=" + "x" * 100], False)
        if number % 1000 == 999:
            daemon.emit("fence")
    daemon.start("j")
    assert daemon.resident_mb() - before < 60
    silent.close()
    eventually(lambda: daemon.output.count("Handling event") == 10_000 or daemon.output.count("Handling event9999 event"))
    daemon.stop("j")


def test_client_killed_while_it_waits(launch: Launch) -> None:
    daemon = launch({"t.conf": "start on e\ntask\nexec sh -c 'read line < $FIFO; echo got $line'\n"})
    fifo = daemon.directory / "fifo"
    os.mkfifo(fifo)
    with daemon.initctl_process("emit", "e", f"FIFO={fifo}") as waiting, daemon.initctl_process("stop", "none"):
        daemon.wait_running("t")
        descriptors = len(os.listdir(f"/proc/{daemon.pid}/fd"))
        waiting.kill()
        waiting.wait()
    eventually(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) < descriptors)
    fifo.write_text("word\n")
    daemon.wait_job_log("t", "got word\n")
    daemon.wait_stopped("t")
    daemon.emit("fence")
    assert daemon.errors == ""


def test_many_connections(launch: Launch) -> None:
    daemon = launch({"j.conf": SLEEP})
    descriptors = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    clients = [daemon.connect() for _ in range(100)]
    for client in clients:
        client.call(MANAGER, U, "GetAllJobs")
    daemon.start("j")
    for client in clients:
        client.close()
    eventually(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= descriptors + 5)
    assert daemon.errors == ""


# -- defects of our own -----------------------------------------------------------------------------------------------------

HOOK = """
import sys
import compat.daemon, compat.engine.engine, compat.backends.native, compat.control.manager_object
from compat.engine import inputs
failing = {"yes"}
def once(name, real):
    def faulty(*args, **keywords):
        if name in failing:
            failing.discard(name)
            raise ValueError("injected into " + name)
        return real(*args, **keywords)
    return faulty
def patch(owner, member):
    failing.add(member)
    setattr(owner, member, once(member, getattr(owner, member)))
"""


def hooked(patches: str) -> tuple[str, str]:
    return "-c", f"{HOOK}\n{patches}\nsys.argv[0] = 'init'\nsys.exit(compat.daemon.main())"


def test_defect_in_a_handler_of_the_engine(launch: Launch) -> None:
    daemon = launch({"j.conf": SLEEP}, python=hooked(
        "handlers = compat.engine.engine._HANDLERS\nfailing.add('start')\n"
        "handlers[inputs.StartJob] = once('start', handlers[inputs.StartJob])"))
    with pytest.raises(Failed) as caught:
        daemon.start("j")
    assert (caught.value.name, caught.value.text) == ("org.freedesktop.DBus.Error.Failed", "Internal error: injected into start")
    assert "init: Internal error while handling StartJob(" in daemon.errors
    daemon.start("j")


def test_defect_in_a_handler_of_control(launch: Launch) -> None:
    daemon = launch({"j.conf": SLEEP}, python=hooked("patch(compat.control.manager_object.ManagerObject, '_get_all_jobs')"))
    with pytest.raises(Failed) as caught:
        daemon.client.call(MANAGER, U, "GetAllJobs")
    assert caught.value.name == "org.freedesktop.DBus.Error.Failed"
    assert "injected into _get_all_jobs" in daemon.errors
    assert len(daemon.client.call(MANAGER, U, "GetAllJobs")) == 1


def test_defect_in_spawning(launch: Launch) -> None:
    daemon = launch({"j.conf": SLEEP}, python=hooked("patch(compat.backends.native.NativeBackend, '_start')"))
    with pytest.raises(Failed) as caught:
        daemon.start("j")
    assert caught.value.text == "Job failed to start"
    assert "init: Failed to spawn j main process: internal error: injected into _start\n" in daemon.errors
    assert daemon.instances("j") == {}
    daemon.start("j")


@pytest.mark.parametrize("member", ["dispatch", "reap"])
def test_defect_in_the_backend_s_work(launch: Launch, member: str) -> None:
    daemon = launch({"j.conf": SLEEP}, python=hooked(f"patch(compat.backends.native.NativeBackend, {member!r})"))
    daemon.start("j")
    pid = daemon.main_pid("j")
    daemon.stop("j")
    assert not alive(pid)
    assert f"injected into {member}" in daemon.errors
    assert daemon.errors.count("Internal error") == 1


@pytest.mark.parametrize(("owner", "member"), [("watcher.Watcher", "dispatch"), ("catalogue.Catalogue", "conf_written")])
def test_defect_in_reading_files(launch: Launch, owner: str, member: str) -> None:
    daemon = launch(None, python=hooked(f"import compat.config.watcher, compat.config.catalogue\npatch(compat.config.{owner}, {member!r})"))
    daemon.write("j.conf", SLEEP)
    daemon.wait_errors(f"injected into {member}")
    daemon.reload_configuration()
    daemon.start("j")


def test_defect_at_the_first_load_is_not_the_end(launch: Launch) -> None:
    daemon = launch({"a.conf": SLEEP, "b.conf": SLEEP, "c.conf": SLEEP}, python=hooked(
        "import compat.config.catalogue\nreal = compat.config.catalogue.parse_job\n"
        "def parse(data, *more):\n    if b'1000' in data and 'yes' in failing:\n        failing.discard('yes')\n"
        "        raise RecursionError('injected into parsing')\n    return real(data, *more)\n"
        "compat.config.catalogue.parse_job = parse"))
    assert "injected into parsing" in daemon.errors
    daemon.reload_configuration()
    daemon.start("c")


# -- time ------------------------------------------------------------------------------------------------------------------


def test_stopped_and_continued_with_much_going_on_meanwhile(launch: Launch) -> None:
    jobs = {f"j{number}.conf": "respawn\nexec sh -c 'echo up; exec sleep 1000'\n" for number in range(10)}
    daemon = launch({**jobs, "seen.conf": "start on last\n" + SLEEP})
    for number in range(10):
        daemon.start(f"j{number}")
        daemon.wait_job_log(f"j{number}", "up\n")
    pids = [daemon.main_pid(f"j{number}") for number in range(10)]
    client = daemon.client
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        eventually(lambda: process_status(daemon.pid, "State").startswith("T"))
        for number in range(3000):
            client.send(MANAGER, U, "EmitEvent", "sasb", f"event{number}", [], False)
        for number in range(3000):
            daemon.conf.joinpath("noise.conf").write_text(f"author {number}\n")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        client.send(MANAGER, U, "EmitEvent", "sasb", "last", [], False)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    daemon.wait_running("seen")
    for number in range(10):
        daemon.wait_job_log(f"j{number}", "up\nup\n")
        daemon.wait_running(f"j{number}")
    handled = [line for line in daemon.output.splitlines() if line.startswith("Handling event")]
    assert handled == [f"Handling event{number} event" for number in range(3000)]
    daemon.wait_known("noise")


def test_e90_jobs_that_trigger_each_other_for_ever(launch: Launch) -> None:
    daemon = launch({"a.conf": "start on go or stopped b\nstop on started a\n", "b.conf": "start on stopped a\nstop on started b\n",
                     "other.conf": SLEEP}, level="")
    daemon.emit("go", wait=False)
    # One connection for each, as the one above does not read the signals that rain down on it.
    for command in ("start", "stop") * 3:
        assert daemon.initctl(command, "other")[0] == 0
    assert daemon.initctl("log-priority", "error")[0] == 0
    (daemon.conf / "b.conf").unlink()
    eventually(lambda: daemon.initctl("list")[1].count("\n") == 2)
    begin = daemon.cpu_seconds()
    assert daemon.initctl("start", "other")[0] == 0
    assert daemon.cpu_seconds() - begin < 1


def test_idle_with_20_jobs_the_daemon_sleeps(launch: Launch) -> None:
    daemon = launch({f"j{number}.conf": "start on startup\nrespawn\nexec sh -c 'echo x; exec sleep 1000'\n" for number in range(20)})
    for number in range(20):
        daemon.wait_running(f"j{number}")
        daemon.wait_job_log(f"j{number}", "x\n")
    for client in daemon.clients:
        client.close()
    daemon.clients.clear()
    # Nothing may move for five seconds in a row; what is left of the start, or a client's end, may come before.
    rested = [time.monotonic(), daemon.switches(), 0.0]

    def five_quiet_seconds() -> bool:
        switches = daemon.switches()
        if switches != rested[1]:
            rested[:] = [time.monotonic(), switches, rested[2] + 1]
            assert rested[2] < 20
        return time.monotonic() - rested[0] >= 5

    eventually(five_quiet_seconds)



"""System mode: as root, in a network namespace of its own, where the abstract address is free (C2, D12, D18, D30, D40, D53-D57)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.daemon.conftest import Launch
from tests.daemon.running import PATIENCE, ROOT, Daemon, alive, as_user, eventually

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs root and network namespaces")


def initctl(daemon: Daemon, *arguments: str) -> tuple[int, str, str]:
    """The client, in the daemon's network namespace."""
    done = subprocess.run(
        ["nsenter", "-t", str(daemon.pid), "-n", sys.executable, "-m", "compat.initctl", *arguments], cwd=ROOT, text=True,
        capture_output=True, timeout=PATIENCE, check=False, env={**daemon.environment, "UPSTART_SESSION": ""})
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def system(launch: Launch) -> Launch:
    def run(jobs: object = None, options: object = (), **settings: object) -> Daemon:
        daemon = launch(jobs, options, mode="", prefix=("unshare", "-n"), wait=False, **settings)
        eventually(lambda: "/com/ubuntu/upstart\n" in _listeners(daemon) or daemon.process.poll() is not None)
        assert daemon.process.poll() is None, daemon.log()
        return daemon

    return run  # type: ignore[return-value]


def _listeners(daemon: Daemon) -> str:
    try:
        return pathlib.Path(f"/proc/{daemon.pid}/net/unix").read_text() + "\n" if _is_python(daemon.pid) else ""
    except OSError:
        return ""


def _is_python(pid: int) -> bool:
    # Before unshare did its work, the sockets are those of the host.
    return os.stat(f"/proc/{pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino


def test_c2_private_socket_and_the_life_of_a_job(system: Launch) -> None:
    daemon = system({"j.conf": "start on startup\nexec sleep 1000\n"}, ("--no-dbus",))
    assert initctl(daemon, "version")[:2][0] == 0
    eventually(lambda: initctl(daemon, "status", "j")[1].startswith("j start/running, process "))
    code, output, errors = initctl(daemon, "restart", "j")
    assert (code, errors) == (0, "")
    assert initctl(daemon, "stop", "j") == (0, "j stop/waiting\n", "")
    assert initctl(daemon, "stop", "j") == (1, "", "initctl: Unknown instance: \n")
    assert not (daemon.runtime / "upstart").exists()


def test_d40_d142_d149_surroundings_of_system_jobs(system: Launch) -> None:
    daemon = system({"e.conf": "task\nscript\nenv\numask\npwd\nend script\n"}, ("--no-dbus",), environment={"MINE": "1"})
    assert initctl(daemon, "start", "e") == (0, "e stop/waiting\n", "")
    daemon.wait_job_log("e", "0022\n/\n")
    lines = daemon.job_log("e").splitlines()
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin" in lines
    names = {line.partition("=")[0] for line in lines[:-2]}
    # PWD is the shell's own.
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "TERM", "UPSTART_JOB", "UPSTART_INSTANCE"}


def test_d30_d32_directories(system: Launch, place: pathlib.Path) -> None:
    directory = place / "system"
    directory.mkdir()
    daemon = system(None, ("--no-dbus",), confdir=False, environment={"UPSTART_CONFDIR": str(directory / "conf")}, directory=directory)
    loaded = [line for line in daemon.output.splitlines() if line.startswith("Loading configuration from ")]
    assert loaded == ["Loading configuration from /etc/init.conf", f"Loading configuration from {daemon.conf}"]


def test_d33_environment_wins_over_the_option_for_job_logs(system: Launch, place: pathlib.Path) -> None:
    daemon = system({"j.conf": "task\nexec echo x\n"}, ("--no-dbus",), environment={"UPSTART_LOGDIR": str(place)})
    initctl(daemon, "start", "j")
    eventually((place / "j.log").exists)


def test_d55_hangup(system: Launch) -> None:
    daemon = system(None, ("--no-dbus",))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_output("Reloading configuration\nLoading configuration from /etc/init.conf\n")


def test_d56_d18_user_signal_without_bus_is_nothing(system: Launch) -> None:
    daemon = system(None, ("--no-dbus",))
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_output("Reloading configuration")
    assert "Reconnecting" not in daemon.output
    assert daemon.errors == ""


def test_d56_c11_c12_bus_that_is_not_there(system: Launch, place: pathlib.Path) -> None:
    daemon = system(None, (), environment={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={place}/bus"})
    assert initctl(daemon, "version")[0] == 0
    assert daemon.errors == ""
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.wait_output("Reconnecting to D-Bus system bus\n")
    daemon.wait_errors("init: Unable to connect to the D-Bus system bus: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_terminate_ends_the_jobs_and_the_daemon(system: Launch, number: signal.Signals) -> None:
    daemon = system({"j.conf": "start on startup\nexec sleep 1000\n"}, ("--no-dbus",))
    eventually(lambda: initctl(daemon, "status", "j")[1].startswith("j start/running, process "))
    pid = int(initctl(daemon, "status", "j")[1].rsplit(" ", 1)[1])
    daemon.process.send_signal(number)
    assert daemon.wait_end() == 0
    assert not alive(pid)


def test_c5_only_root_may_talk_to_it(system: Launch) -> None:
    daemon = system({"j.conf": "exec sleep 1000\n"}, ("--no-dbus",))
    done = subprocess.run(
        ["nsenter", "-t", str(daemon.pid), "-n", *as_user(12345), sys.executable, "-m", "compat.initctl", "list"], cwd=ROOT, text=True,
        capture_output=True, timeout=PATIENCE, check=False, env=daemon.environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("initctl: ")
    assert initctl(daemon, "list")[1] == "j stop/waiting\n"


def _beside(daemon: Daemon, *more: str) -> tuple[str, ...]:
    """A command prefix: in the same network namespace."""
    return "nsenter", "-t", str(daemon.pid), "-n", *more


def test_a_second_daemon_is_refused(system: Launch, launch: Launch, place: pathlib.Path) -> None:
    jobs = {"once.conf": f"start on startup\ntask\nexec sh -c 'echo x >> {place}/once'\n", "j.conf": "start on startup\nexec sleep 1000\n"}
    first = system(jobs, ("--no-dbus",))
    eventually((place / "once").exists)
    eventually(lambda: initctl(first, "status", "j")[1].startswith("j start/running, process "))
    running = initctl(first, "status", "j")
    for _ in range(2):
        second = launch(jobs, ("--no-dbus",), mode="", prefix=_beside(first), wait=False)
        assert second.wait_end() == 1
        assert second.errors.endswith("init: Another daemon is running already\n")
        assert "Traceback" not in second.errors
    # Nothing was run twice, and the first noticed nothing.
    assert initctl(first, "status", "j") == running
    assert (place / "once").read_text() == "x\n"
    assert first.process.poll() is None
    assert first.errors == ""


def test_where_a_daemon_was_killed_the_next_one_starts(system: Launch, launch: Launch) -> None:
    first = system(None, ("--no-dbus",))
    with subprocess.Popen(_beside(first, "sleep", "1000")) as holder:
        try:
            eventually(lambda: os.stat(f"/proc/{holder.pid}/ns/net").st_ino == os.stat(f"/proc/{first.pid}/ns/net").st_ino)
            first.process.kill()
            first.process.wait()
            second = launch({"j.conf": "exec sleep 1000\n"}, ("--no-dbus",), mode="", wait=False,
                            prefix=("nsenter", "-t", str(holder.pid), "-n"))
            eventually(lambda: "/com/ubuntu/upstart\n" in _listeners(second) or second.process.poll() is not None)
            assert initctl(second, "list") == (0, "j stop/waiting\n", "")
            assert "Another daemon" not in second.errors
        finally:
            holder.kill()


def test_a_daemon_that_is_pid_1_goes_on_without_the_socket(system: Launch, launch: Launch) -> None:
    """Who else should run the jobs of that container?"""
    first = system(None, ("--no-dbus",))
    second = launch({"j.conf": "start on startup\nexec sh -c 'echo up; exec sleep 1000'\n"}, ("--no-dbus",), mode="",
                    prefix=_beside(first, "unshare", "-p", "-f", "--mount-proc", "--kill-child"), wait=False)
    second.wait_job_log("j", "up\n")
    assert second.process.poll() is None
    assert "init: Unable to listen for private connections" in second.errors
    assert "Another daemon" not in second.errors


def test_b199_explain_where_nobody_watches_the_host(system: Launch) -> None:
    daemon = system({"web.conf": "start on filesystem or startup\nexec sleep 1000\n"}, ("--no-dbus",))
    status, output, errors = initctl(daemon, "explain", "web")
    assert (status, errors) == (0, "")
    assert "      [ ] filesystem -- nothing on this host emits this event\n" in output
    assert "      [ ] startup -- from boot, last " in output


def test_b204_a_system_daemon_goes_on_after_a_crash(system: Launch) -> None:
    first = system({"j.conf": "start on startup\nconsole none\nexec sleep 1000\n"}, ("--no-dbus",))
    eventually(lambda: "j start/running" in initctl(first, "status", "j")[1])
    before = initctl(first, "status", "j")[1]
    [journal] = first.runtime.glob("*.json")
    assert journal.stat().st_mode & 0o777 == 0o600
    first.process.kill()
    first.process.wait()
    second = system(None, ("--no-dbus",), directory=first.directory)
    eventually(lambda: initctl(second, "status", "j")[1] == before, second.log)
    assert second.output.count("Handling startup event") == 1, "of both together"
    assert initctl(second, "stop", "j")[0] == 0
    assert second.terminate() == 0
    assert list(second.runtime.glob("*.json")) == []


def test_b204_two_daemons_at_once_do_not_share_a_journal(system: Launch) -> None:
    first = system({"j.conf": "start on startup\nconsole none\nexec sleep 1000\n"}, ("--no-dbus",))
    eventually(lambda: "j start/running" in initctl(first, "status", "j")[1])
    second = system(None, ("--no-dbus",), directory=first.directory)
    second.wait_errors(f"Unable to use {first.runtime}, running jobs would not outlive this daemon: other daemons have it")
    assert initctl(second, "status", "j")[1].count("process") == 1, "it has its own"


def test_b204_a_state_directory_that_cannot_be_used_is_a_warning(system: Launch, place: pathlib.Path) -> None:
    (place / "file").touch()
    jobs = {"j.conf": "start on startup\nconsole none\nexec sleep 1000\n"}
    daemon = system(jobs, ("--no-dbus", "--statedir", str(place / "file" / "sub")))
    daemon.wait_errors(f"Unable to use {place}/file/sub, running jobs would not outlive this daemon: Not a directory")
    eventually(lambda: "j start/running" in initctl(daemon, "status", "j")[1])

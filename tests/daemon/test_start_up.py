"""Command line as the daemon obeys it, start-up, environment (D1-D51, D138-D148; checklist 1-14, 50-53)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from compat import UPSTART_VERSION
from tests.daemon.conftest import Launch
from tests.daemon.running import ROOT, after, as_user, eventually, process_status

IS_ROOT = os.getuid() == 0


def run(*arguments: str, prefix: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """A daemon that is to end by itself."""
    return subprocess.run([*prefix, sys.executable, "-m", "compat.daemon", *arguments], cwd=ROOT, text=True, capture_output=True,
                          timeout=20)


def test_d2_wrong_use_exits_1() -> None:
    done = run("--foo=bar", "--user")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "init: unexpected argument: --foo=bar\nTry `init --help' for more information.\n"


def test_d4_d6_version_after_words_that_are_ignored() -> None:
    done = run("--foo", "-z", "junk", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"init (upstart {UPSTART_VERSION})"


def test_d3_invalid_console() -> None:
    done = run("--user", "--default-console", "loud")
    assert (done.returncode, done.stderr) == (1, "init: invalid console type specified: loud\n")


def test_d42_system_mode_needs_root() -> None:
    done = run("--no-dbus", prefix=as_user(12345) if IS_ROOT else ())
    assert (done.returncode, done.stderr) == (1, "init: Need to be root\n")


def test_d29_d127_order_of_directories(launch: Launch, place: pathlib.Path) -> None:
    for each in "PBA":
        (place / each).mkdir()
        (place / each / "j.conf").write_text(f"author {each}\n")
    daemon = launch(None, ("--append-confdir", str(place / "A"), "--confdir", str(place / "B"), "--prepend-confdir", str(place / "P")),
                    confdir=False)

    def author() -> str:
        return str(daemon.client.get(daemon.job("j"), "com.ubuntu.Upstart0_6.Job", "author"))

    assert author() == "P"
    (place / "P" / "j.conf").unlink()
    eventually(lambda: author() == "B")
    (place / "B" / "j.conf").unlink()
    eventually(lambda: author() == "A")


def test_d8_first_of_two_directories_wins(launch: Launch, place: pathlib.Path) -> None:
    (place / "second").mkdir()
    (place / "second" / "j.conf").write_text("author second\n")
    daemon = launch({"j.conf": "author first\n"}, ("--confdir", str(place / "second")))
    assert daemon.client.get(daemon.job("j"), "com.ubuntu.Upstart0_6.Job", "author") == "first"


def test_d32_user_mode_ignores_the_system_variables(launch: Launch, place: pathlib.Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "x.conf").write_text("exec true\n")
    directory = place / "home"
    (directory / ".config/upstart").mkdir(parents=True)
    (directory / ".config/upstart/y.conf").write_text("task\nexec echo written\n")
    daemon = launch(None, directory=directory, confdir=False, logdir=False,
                    environment={"UPSTART_CONFDIR": str(place / "elsewhere"), "UPSTART_LOGDIR": str(place / "elsewhere")})
    assert not daemon.knows("x")
    daemon.start("y")
    eventually((directory / ".cache/upstart/y.log").exists)
    assert sorted(os.listdir(place / "elsewhere")) == ["x.conf"]
    assert (directory / ".cache/upstart").stat().st_mode & 0o777 == 0o700


def test_d138_d139_default_directories_of_a_session(launch: Launch, place: pathlib.Path) -> None:
    directory = place / "home"
    daemon = launch(None, directory=directory, confdir=False, level="--debug",
                    environment={"XDG_CONFIG_HOME": str(directory / "cfg"), "XDG_CONFIG_DIRS": "/x1:relative:/x2"})
    loaded = [line.rpartition(" ")[2] for line in daemon.output.splitlines() if line.startswith("Loading configuration from ")]
    assert loaded == [f"{directory}/cfg/upstart", f"{directory}/.init", "/x1/upstart", "/x2/upstart", "/usr/share/upstart/sessions"]
    assert (directory / "cfg/upstart").stat().st_mode & 0o777 == 0o700
    assert (directory / "cfg").stat().st_mode & 0o777 == 0o700


def test_d36_no_system_userconfdir(launch: Launch) -> None:
    daemon = launch(None, confdir=False, environment={"UPSTART_NO_SYSTEM_USERCONFDIR": "0"})
    assert "/usr/share/upstart/sessions" not in daemon.output


def test_d68_start_up_messages(launch: Launch) -> None:
    daemon = launch({"j.conf": "exec true\n"}, ("--no-log", "--no-startup-event"), level="--debug")
    lines = daemon.output.splitlines()
    for expected in (f"main: Running with UID {os.getuid()} as PID {daemon.pid} (PPID {os.getpid()})",
                     f"main: Using configuration directory {daemon.conf}", f"handle_logdir: Using alternate log directory {daemon.logs}",
                     "main: Job logging disabled", "main: Startup event disabled", f"Loading configuration from {daemon.conf}",
                     f"conf_load_path_with_override: Loading configuration file {daemon.conf}/j.conf",
                     f"conf_reload_path: Loading j from {daemon.conf}/j.conf", "Connection from private client"):
        assert expected in lines
    assert daemon.errors == ""


def test_d45_startup_event_starts_once(launch: Launch) -> None:
    daemon = launch({"a.conf": "start on startup\ntask\nexec echo once\n"})
    daemon.wait_job_log("a", "once")
    daemon.wait_stopped("a")
    daemon.process.send_signal(1)
    daemon.wait_output("Reloading configuration")
    daemon.reload_configuration()
    daemon.emit("fence")
    assert daemon.job_log("a") == "once\n"


def test_d45_startup_is_the_first_event_and_comes_after_all_is_loaded_and_open(launch: Launch) -> None:
    daemon = launch({"b.conf": "start on startup\nexec sleep 1000\n", "z.conf": "start on starting b\n"})
    daemon.wait_running("b")
    daemon.wait_running("z")
    lines = daemon.output.splitlines()
    handled = [line for line in lines if line.startswith("Handling ")]
    assert handled[0] == "Handling startup event"
    assert lines.index(f"Loading configuration from {daemon.conf}") < lines.index("Handling startup event")


def test_d46_file_that_appears_later_does_not_start(launch: Launch) -> None:
    daemon = launch()
    daemon.wait_output("Handling startup event")
    daemon.write("late.conf", "start on startup\nexec sleep 1000\n")
    daemon.wait_known("late")
    daemon.emit("fence")
    assert daemon.instances("late") == {}


def test_d17_other_startup_event(launch: Launch) -> None:
    daemon = launch({"h.conf": "start on hello\n", "s.conf": "start on startup\n"}, ("--startup-event", "hello"))
    daemon.wait_running("h")
    daemon.emit("fence")
    assert not daemon.instances("s")


def test_d16_no_startup_event_at_all(launch: Launch) -> None:
    daemon = launch({"h.conf": "start on hello\n", "s.conf": "start on startup\n"}, ("--startup-event", "hello", "--no-startup-event"))
    daemon.emit("fence")
    assert not daemon.instances("s")
    assert not daemon.instances("h")


def test_d28_debug_stanza_only_with_the_option(launch: Launch) -> None:
    job = {"d.conf": "debug\nexec sleep 1000\n"}
    daemon = launch(job, level="--debug")
    daemon.start("d", wait=False)
    # To the daemon it is as if it had been executed (X149).
    daemon.wait_running("d")
    pid = daemon.main_pid("d")
    eventually(lambda: process_status(pid, "State")[:1] == "T", daemon.log)
    os.kill(pid, signal.SIGCONT)
    daemon.wait_output(f"d main process ({pid}) continued by CONT signal")
    other = launch(job)
    assert other.initctl("log-priority", "debug")[0] == 0
    other.start("d")
    assert process_status(other.main_pid("d"), "State")[:1] != "T"


def test_d113_directory_that_does_not_exist_yet(launch: Launch, place: pathlib.Path) -> None:
    later = place / "later"
    daemon = launch(None, ("--confdir", str(later)), confdir=False)
    assert daemon.errors == ""
    later.mkdir()
    (later / "j.conf").write_text("exec true\n")
    daemon.reload_configuration()
    assert daemon.knows("j")


def test_c4_d43_socket_taken_is_a_warning(launch: Launch) -> None:
    occupy = ('taken = socket.socket(socket.AF_UNIX); taken.bind("\\0/com/ubuntu/upstart-session/%d/%d" % (os.getuid(), os.getpid()));'
              ' taken.listen(); os.dup2(taken.fileno(), 100)')
    daemon = launch({"a.conf": "start on startup\nexec sleep 1000\n"}, prefix=after(occupy), wait=False)
    daemon.wait_errors("Unable to listen for private connections: ")
    daemon.wait_output("a state changed from post-start to running")
    assert not (daemon.runtime / "upstart" / "sessions").exists()
    assert daemon.terminate() == 0


def test_d144_d145_session_file(launch: Launch) -> None:
    daemon = launch()
    sessions = daemon.runtime / "upstart" / "sessions"
    path = sessions / f"{daemon.pid}.session"
    eventually(path.exists)
    eventually(lambda: path.read_text() == f"UPSTART_SESSION=unix:abstract=/com/ubuntu/upstart-session/{os.getuid()}/{daemon.pid}\n")
    assert sessions.stat().st_mode & 0o777 == 0o700
    assert sessions.parent.stat().st_mode & 0o777 == 0o700
    assert daemon.terminate() == 0
    assert not path.exists()
    assert sessions.is_dir()


@pytest.mark.parametrize("runtime", [None, "relative", ""])
def test_d141_without_a_usable_runtime_directory_there_is_no_session_file(launch: Launch, runtime: str) -> None:
    daemon = launch(environment={"XDG_RUNTIME_DIR": runtime})
    assert daemon.errors == ""
    assert not any(each.name == "upstart" for each in daemon.directory.rglob("*"))


def test_d145_session_file_that_cannot_be_written(launch: Launch, place: pathlib.Path) -> None:
    (place / "file").write_text("")
    daemon = launch(environment={"XDG_RUNTIME_DIR": str(place / "file")})
    daemon.wait_errors(f"unable to create session file: {place}/file/upstart/sessions/{daemon.pid}.session\n")


def test_d141_home_unset(launch: Launch) -> None:
    daemon = launch({"a.conf": "start on startup\nexec sleep 1000\n"}, environment={"HOME": None})
    daemon.wait_running("a")


@pytest.mark.parametrize(("options", "mask"), [((), "0077"), (("--no-inherit-env",), "0022")])
def test_d142_umask_of_jobs(launch: Launch, options: tuple[str, ...], mask: str) -> None:
    daemon = launch({"u.conf": "task\nexec sh -c umask\n"}, options, prefix=after("os.umask(0o077)"))
    daemon.start("u")
    daemon.wait_job_log("u", mask + "\n")


def test_d149_d146_environment_of_jobs(launch: Launch) -> None:
    jobs = {"e.conf": "task\nexec env\n"}
    daemon = launch(jobs, environment={"MINE": "1"})
    daemon.start("e")
    daemon.wait_job_log("e", "UPSTART_JOB=e\n")
    lines = daemon.job_log("e").splitlines()
    assert "MINE=1" in lines
    assert f"UPSTART_SESSION={daemon.address}" in lines
    bare = launch(jobs, ("--no-inherit-env",), environment={"MINE": "1"})
    bare.start("e")
    bare.wait_job_log("e", "UPSTART_JOB=e\n")
    names = {line.partition("=")[0] for line in bare.job_log("e").splitlines()}
    assert names == {"PATH", "TERM", "UPSTART_JOB", "UPSTART_INSTANCE", "UPSTART_SESSION"}


def test_x65_jobs_get_clean_descriptors_signals_and_limits(launch: Launch) -> None:
    """What the daemon did to itself, or was given, is not passed on."""
    leak = 'os.dup2(os.open("/dev/null", os.O_RDONLY), 150); resource.setrlimit(resource.RLIMIT_NOFILE, (200, 4000))'
    daemon = launch({"p.conf": "task\nscript\nls /proc/$$/fd\nulimit -Sn\nulimit -Hn\necho end\nend script\n",
                     "s.conf": "task\nexec grep Sig /proc/self/status\n"}, prefix=after(leak))
    assert os.path.exists(f"/proc/{daemon.pid}/fd/150")
    daemon.start("p")
    daemon.wait_job_log("p", "end\n")
    lines = daemon.job_log("p").split()
    assert lines[-3:] == ["200", "4000", "end"]
    assert all(int(each) <= 2 or 9 <= int(each) < 150 for each in lines[:-3])
    daemon.start("s")
    daemon.wait_job_log("s", "SigIgn")
    words = daemon.job_log("s").split()
    assert int(words[words.index("SigBlk:") + 1], 16) == 0
    # Signals 32 and 33 are glibc's own; its posix_spawn ignores them.
    assert int(words[words.index("SigIgn:") + 1], 16) & ~(3 << 31) == 0


def test_deleted_working_directory(launch: Launch, place: pathlib.Path) -> None:
    gone = place / "gone"
    gone.mkdir()

    daemon = launch({"a.conf": "task\nexec pwd\n"}, prefix=after(f"os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})"))
    daemon.start("a")
    daemon.wait_job_log("a", "/\n")


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_standard_descriptors_closed_at_start(launch: Launch, closed: tuple[int, ...]) -> None:
    daemon = launch({"a.conf": "bogus\n", "b.conf": "task\nexec echo works\n", "c.conf": "exec sleep 1000\nconsole output\n"},
                    prefix=after(f"[os.close(fd) for fd in {closed}]"))
    daemon.start("b")
    daemon.wait_job_log("b", "works\n")
    daemon.start("c")
    for fd in closed:
        assert os.readlink(f"/proc/{daemon.pid}/fd/{fd}") == "/dev/null"


def test_d20_session_bus_mode_has_no_private_socket(launch: Launch, place: pathlib.Path) -> None:
    address = f"unix:path={place}/bus"
    config = place / "bus.conf"
    config.write_text(f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"
eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>""")
    bus = subprocess.Popen(["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL)
    try:
        assert bus.stdout is not None
        assert bus.stdout.readline()
        daemon = launch({"a.conf": "task\nexec echo hello\n"}, mode="--session", wait=False, level="--debug",
                        environment={"DBUS_SESSION_BUS_ADDRESS": address, "UPSTART_LOGDIR": str(place / "daemon0" / "elsewhere")})
        (place / "daemon0" / "elsewhere").mkdir()
        daemon.wait_output("control_bus_open: Connected to D-Bus session bus")
        daemon.environment["DBUS_SESSION_BUS_ADDRESS"] = address
        with subprocess.Popen([sys.executable, "-m", "compat.initctl", "--session", "start", "a"], cwd=ROOT, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=daemon.environment) as initctl:
            output, errors = initctl.communicate(timeout=20)
        assert (output, errors) == ("a stop/waiting\n", "")
        # D33: the variable wins over the option.
        eventually((place / "daemon0" / "elsewhere" / "a.log").exists)
        assert f"/{daemon.pid}\n" not in pathlib.Path("/proc/net/unix").read_text()
        bus.kill()
        bus.wait()
        daemon.wait_errors("init: Disconnected from D-Bus session bus\n")
        assert daemon.terminate() == 0
    finally:
        bus.kill()
        bus.communicate()


def test_d18_no_dbus_says_so(launch: Launch) -> None:
    daemon = launch(None, ("--no-dbus",))
    daemon.wait_output("Not connecting to system bus\n")

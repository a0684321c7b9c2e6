"""What a job process is set up with: X36-X67, X131, X136-X138, X149; checklist 30-44, 93-97 and 100 of 3.19."""
from __future__ import annotations

import errno
import grp
import os
import pathlib
import pwd
import signal
import stat
import subprocess
import sys
from typing import Any, List

import pytest

from compat.backends import apparmor, child_setup, job_log
from compat.engine.inputs import ProcessEnded, ProcessExecuted, ProcessSpawned, ProcessSpawnFailed, ProcessStopped
from tests.backends.conftest import MakeHost
from tests.backends.native_host import NOBODY, PATH, Host, as_ordinary_user, children, descriptors, exactly, status

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes users, roots or mounts")
SLEEP = "exec /bin/sleep 1000"


def groups_of(user: str, *more: int) -> str:
    gid = pwd.getpwnam(user).pw_gid
    listed = {entry.gr_gid for entry in grp.getgrall() if user in entry.gr_mem}
    return " ".join(map(str, sorted(listed | set(more or (gid,)))))


def identity(host: Host, text: str) -> List[str]:
    """Real uid, real gid, supplementary groups in order."""
    spawn = host.running(text)
    seen = status(host.pids[spawn])
    return [seen["Uid"].split()[0], seen["Gid"].split()[0], " ".join(map(str, sorted(map(int, seen["Groups"].split()))))]


# -- sessions and surroundings ----------------------------------------------------------------------------


def test_x36_x50_x52_defaults(host: Host) -> None:
    pid = host.pids[host.running(SLEEP)]
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert int(status(pid)["Umask"], 8) == 0o022
    # No controlling terminal.
    assert pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] == "0"


def test_x36_the_session_exists_before_spawn_returns(host: Host) -> None:
    """Otherwise a signal to the group, sent at once, would go to the daemon's own group."""
    spawn = host.spawn(SLEEP)
    assert os.getpgid(host.pids[spawn]) == host.pids[spawn]


def test_x36_what_the_stanzas_say_is_what_the_process_has(host: Host) -> None:
    text = "limit nofile 100 500\nlimit core unlimited unlimited\nnice 5\numask 077\nchdir /usr\n"
    pid = host.pids[host.running(text + ("oom score 300\n") + SLEEP)]
    assert os.readlink(f"/proc/{pid}/cwd") == "/usr"
    assert int(status(pid)["Umask"], 8) == 0o077
    assert os.getpriority(os.PRIO_PROCESS, pid) == 5
    assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == "300\n"
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
    assert next(line.split()[3:5] for line in limits if line.startswith("Max open files")) == ["100", "500"]


def test_x36_defaults_of_a_session(make_host: MakeHost) -> None:
    host = make_host(umask=0o027, chdir="/tmp")
    pid = host.pids[host.running(SLEEP)]
    assert os.readlink(f"/proc/{pid}/cwd") == "/tmp"
    assert int(status(pid)["Umask"], 8) == 0o027


@needs_root
@pytest.mark.parametrize("text", ["exec true", "setuid nobody\nexec true", "nice 3\nchdir /tmp\nlimit core 0 0\numask 077\nexec true"])
def test_x37_the_security_process_is_not_confined(host: Host, text: str) -> None:
    definition = f"apparmor load /x\n{text}"
    request = host.request(definition, process="security")
    processes = list(request.definition.processes)
    processes[5] = processes[5]._replace(command="/bin/sleep 1000")  # type: ignore[union-attr]
    host.backend.spawn(request._replace(definition=request.definition._replace(processes=tuple(processes))))
    host.run(lambda: host.saw(ProcessExecuted(request.spawn)))
    pid = host.pids[request.spawn]
    assert os.readlink(f"/proc/{pid}/cwd") == os.getcwd()
    assert status(pid)["Uid"].split()[0] == "0"
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)


def test_the_daemons_raised_limit_is_taken_back(make_host: MakeHost) -> None:
    host = make_host(nofile=(123, 456))
    def limit(text: str) -> List[str]:
        lines = pathlib.Path(f"/proc/{host.pids[host.running(text)]}/limits").read_text().splitlines()
        return next(line.split()[3:5] for line in lines if line.startswith("Max open files"))

    assert limit(SLEEP) == ["123", "456"]
    assert limit("limit nofile 50 60\n" + SLEEP) == ["50", "60"]


@needs_root
def test_x49_jobs_do_not_inherit_the_daemons_oom_score(make_host: MakeHost) -> None:
    own = pathlib.Path("/proc/self/oom_score_adj")
    before = own.read_text()
    own.write_text("200")
    try:
        host = make_host()
        scores = [pathlib.Path(f"/proc/{host.pids[host.running(text + SLEEP)]}/oom_score_adj").read_text()
                  for text in ("", "oom score 250\n")]
    finally:
        own.write_text(before)
    assert scores == ["0\n", "250\n"]


# -- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", ["main", "pre-start", "post-start", "pre-stop", "post-stop"])
def test_x40_missing_program_in_every_process(host: Host, process: str) -> None:
    stanza = "" if process == "main" else process + " "
    assert host.failure(f"{stanza}exec /nonexistent", process=process) == "unable to execute: No such file or directory"


@pytest.mark.parametrize("text, reason", [
    ("chdir /nonexist", "unable to change working directory: No such file or directory"),
    ("limit nofile 100 50", 'unable to set "nofile" resource limit: Invalid argument'),
    ("setuid nosuch", "unable to find setuid user"),
    ("setgid nosuch", "unable to find setgid group"),
    ("setuid 65534", "unable to find setuid user"),
])
def test_x40_texts_of_set_up_failures(host: Host, text: str, reason: str) -> None:
    assert host.failure(f"{text}\nexec /bin/true") == reason
    assert not host.logs.joinpath("web.log").exists()


@needs_root
def test_x40_chroot(host: Host) -> None:
    assert host.failure("chroot /nonexist\nexec true") == "unable to change root directory: No such file or directory"


@needs_root
@pytest.mark.parametrize("text, reason", [
    ("setuid root", "unable to getpwnam: No such file or directory"),
    ("setgid root", "unable to getgrnam: No such file or directory"),
])
def test_x53_names_are_looked_up_inside_the_chroot(host: Host, text: str, reason: str) -> None:
    root = host.folder / "empty"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "nsswitch.conf").write_text("passwd: files\ngroup: files\n")
    assert host.failure(f"chroot {root}\n{text}\nexec true") == reason


@needs_root
def test_x51_chdir_is_inside_the_chroot(host: Host) -> None:
    root = host.folder / "empty"
    (root / "inner").mkdir(parents=True)
    assert host.failure(f"chroot {root}\nchdir /inner\nexec /bin/true") == "unable to execute: No such file or directory"
    assert host.failure(f"chroot {root}\nchdir /tmp\nexec /bin/true") == "unable to change working directory: No such file or directory"


@needs_root
def test_x54_b_a_chroot_without_accounts_needs_none(host: Host) -> None:
    root = host.folder / "root"
    for name in ("bin", "usr", "lib", "lib64"):
        (root / name).mkdir(parents=True)
    program = root / "bin" / "program"
    source = host.folder / "program.c"
    source.write_text("int main(void) { return 4; }")
    subprocess.run(["gcc", "-static", "-o", program, source], check=True)
    assert host.end(host.spawn(f"chroot {root}\nexec /bin/program")) == 4


def test_x55_an_ordinary_user_cannot_become_root() -> None:
    def check(host: Host) -> List[str]:
        return [host.failure("setuid root\nexec true"), host.failure("nice -5\nexec true"),
                host.failure("setgid root\nexec true"), host.failure("chroot /tmp\nexec true")]

    user, nice, group, root = as_ordinary_user(check)
    assert user == "unable to setgid: Operation not permitted"
    assert nice == "unable to set priority: Permission denied"
    assert group == "unable to setgid: Operation not permitted"
    assert root == "unable to change root directory: Operation not permitted"


def test_x55_setuid_to_oneself_works() -> None:
    name = pwd.getpwuid(os.getuid() or NOBODY).pw_name

    def check(host: Host) -> List[str]:
        return host.output(f"setuid {name}\nscript\ntrue\nid -un\nend script")

    assert as_ordinary_user(check) == [name]


# -- users ----------------------------------------------------------------------------------------------------


@needs_root
def test_x54_a_setuid_alone_takes_the_users_own_group(host: Host) -> None:
    gid = pwd.getpwnam("nobody").pw_gid
    assert identity(host, "setuid nobody\n" + SLEEP) == [str(NOBODY), str(gid), groups_of("nobody")]


@needs_root
def test_x54_setuid_and_setgid(host: Host) -> None:
    gid = grp.getgrnam("daemon").gr_gid
    assert identity(host, "setuid nobody\nsetgid daemon\n" + SLEEP) == [str(NOBODY), str(gid), groups_of("nobody", gid)]


@needs_root
def test_x54_c_setgid_alone(host: Host) -> None:
    gid = grp.getgrnam("daemon").gr_gid
    assert identity(host, "setgid daemon\n" + SLEEP) == ["0", str(gid), groups_of("root", gid)]


@needs_root
def test_x36_a_setuid_job_can_read_its_script(host: Host) -> None:
    assert host.output("setuid nobody\nscript\ntrue\nid -u\nend script") == [str(NOBODY)]


@needs_root
def test_x131_a_setuid_job_can_open_its_stderr(host: Host) -> None:
    assert host.output("setuid nobody\nscript\necho x >/dev/stderr\nend script") == ["x"]


# -- console and descriptors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("console", ["none", "log"])
@pytest.mark.parametrize("command", ["exec /bin/sleep 1000", "script\ntrue\n/bin/sleep 1000\nend script"])
def test_x64_only_three_descriptors(host: Host, console: str, command: str) -> None:
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        spawn = host.running(f"console {console}\n{command}")
        pid = host.pids[spawn]
        if "script" in command:
            sleeping: List[int] = []
            host.run(lambda: sleeping or sleeping.extend(_children_running("sleep", pid)))
            pid = sleeping[0]
        # X65: also what the daemon inherited itself. The program loads its libraries first.
        host.run(lambda: sorted(descriptors(pid)) == [0, 1, 2])
    finally:
        os.close(leaked)


def _children_running(name: str, parent: int) -> List[int]:
    return [pid for pid in children(parent) if status(pid).get("Name") == name]


def test_x57_x58_console_none(host: Host) -> None:
    pid = host.pids[host.running("console none\n" + SLEEP)]
    host.run(lambda: descriptors(pid) == dict.fromkeys(range(3), "/dev/null"))
    flags = [int(pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0], 8) for fd in range(3)]
    assert [each & 3 for each in flags] == [os.O_RDWR] * 3


def test_x57_console_log(host: Host) -> None:
    pid = host.pids[host.running("console log\n" + SLEEP)]
    found = descriptors(pid)
    assert found[0] == "/dev/null"
    assert found[1] == found[2]
    assert found[1].startswith("/dev/pts/")
    assert pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] == "0"


def test_x60_x61_defaults(make_host: MakeHost) -> None:
    def standard_output(**defaults: Any) -> str:
        host = make_host(**defaults)
        return descriptors(host.pids[host.running(SLEEP)])[1]

    assert standard_output().startswith("/dev/pts/")
    assert standard_output(console="none") == "/dev/null"
    assert standard_output(logging=False) == "/dev/null"
    assert standard_output(log_directory=None) == "/dev/null"


def test_x63_every_process_has_a_pty_of_its_own(host: Host) -> None:
    text = "console log\nexec /bin/sleep 1000\npost-start exec /bin/sleep 1000"
    main = host.pids[host.running(text)]
    post_start = host.pids[host.running(text, process="post-start")]
    assert os.readlink(f"/proc/{main}/fd/1") != os.readlink(f"/proc/{post_start}/fd/1")


_CONSOLE_TEST = """
import os, sys
sys.path.insert(0, {root!r})
import pathlib
from tests.backends.native_host import Host, descriptors
host = Host(pathlib.Path({folder!r}))
{body}
host.close()
"""


def _with_console(tmp_path: pathlib.Path, set_up: str, body: str) -> str:
    """Run Python in a mount namespace of its own where /dev/console is what ``set_up`` (shell) makes it."""
    script = tmp_path / "body.py"
    script.write_text(_CONSOLE_TEST.format(root=os.getcwd(), folder=str(tmp_path), body=body))
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f"{set_up}\nexec {sys.executable} {script}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True, cwd=os.getcwd())
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs_root
def test_x57_console_output_and_owner(tmp_path: pathlib.Path) -> None:
    """/dev/console is a pty here, since a machine for tests may have none that can be opened."""
    body = """
import subprocess
master, slave = os.openpty()
name = os.ttyname(slave)
subprocess.run(["mount", "--bind", name, "/dev/console"], check=True)
device = os.stat(slave).st_rdev
for console in ("output", "owner"):
    pid = host.pids[host.running(f"console {console}\\nexec /bin/sleep 1000")]
    opened = {os.stat(f"/proc/{pid}/fd/{fd}").st_rdev == device for fd in range(3)}
    tty = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[4])
    print(console, opened, tty == (device if console == "owner" else 0))
print(host.lines)
"""
    assert _with_console(tmp_path, "", body).splitlines() == ["output {True} True", "owner {True} True", "[]"]


@needs_root
def test_x57_console_that_cannot_be_opened(tmp_path: pathlib.Path) -> None:
    body = """
pid = host.pids[host.running("console output\\nexec /bin/sleep 1000")]
print({os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)}, host.lines)
print(host.failure("console owner\\nexec /bin/sleep 1000"))
"""
    assert _with_console(tmp_path, "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3", body).splitlines() == [
        "{'/dev/null'} ['W Failed to open system console: No such file or directory']",
        "unable to open console: No such file or directory"]


@needs_root
def test_x57_without_dev_null_nothing_runs(tmp_path: pathlib.Path) -> None:
    body = 'print(host.failure("console none\\nexec /bin/sleep 1000"))'
    # Python opens it for itself first.
    body = 'import subprocess; subprocess.run(["mount", "-t", "tmpfs", "none", "/dev"], check=True)\n' + body
    assert _with_console(tmp_path, "", body) == "unable to open console: No such file or directory\n"


@needs_root
def test_x32_no_pty(tmp_path: pathlib.Path) -> None:
    body = """
import subprocess
subprocess.run(["mount", "-t", "tmpfs", "none", "/dev"], check=True)
os.mknod("/dev/null", 0o020666, os.makedev(1, 3))
request = host.request("exec /bin/sleep 1000")
for spawn in (1, 2):
    host.backend.spawn(request._replace(spawn=spawn))
    host.run(lambda: len(host.of(spawn)) == 2)
print(*[{os.readlink(f"/proc/{host.pids[spawn]}/fd/{fd}") for fd in range(3)} for spawn in (1, 2)])
print(*host.lines, sep="\\n")
host.lines.clear()
host.running("exec /bin/sleep 1000")
print(*host.lines, sep="\\n")
"""
    lines = ["E Failed to create pty - disabling logging for job", "W Temporary process spawn error: No such file or directory"]
    # Once for a class, and again when its file was loaded again.
    assert _with_console(tmp_path, "", body).splitlines() == ["{'/dev/null'} {'/dev/null'}", *lines, *lines]


def test_x33_a_log_path_that_is_too_long_disables_the_log_of_that_instance(host: Host) -> None:
    request = host.request("instance $N\nexec /bin/echo hello", instance="n" * 250)
    for spawn in (1, 2):
        host.backend.spawn(request._replace(spawn=spawn))
        assert host.end(spawn) == 0
    assert host.lines == ["E Failed to create pty - disabling logging for job"]
    host.backend.spawn(request._replace(spawn=3, instance="short"))
    assert host.end(3) == 0
    assert (host.logs / "web-short.log").read_bytes() == b"hello\r\n"


def test_x66_no_process_holds_the_pty_master_of_another(host: Host) -> None:
    first = host.pids[host.running("exec /bin/sleep 1000")]
    second = host.pids[host.running("exec /bin/sleep 1000", job="other")]
    host.run(lambda: sorted(descriptors(first)) == sorted(descriptors(second)) == [0, 1, 2])
    assert not [path for pid in (first, second) for path in descriptors(pid).values() if "ptmx" in path]


def test_descriptors_0_to_2_of_the_daemon_may_be_closed(tmp_path: pathlib.Path) -> None:
    """Then the launcher's own descriptors have these numbers."""
    body = 'host.end(host.spawn("script\\ntrue\\necho well\\nend script")); open({0!r}, "w").write(host.printed("web")[0])'
    script = tmp_path / "body.py"
    result = tmp_path / "result"
    script.write_text(_CONSOLE_TEST.format(root=os.getcwd(), folder=str(tmp_path), body=body.format(str(result))))
    subprocess.run(["sh", "-c", f"exec {sys.executable} {script} <&- >&- 2>&-"], timeout=60, check=True)
    assert result.read_text() == "well"


# -- apparmor, cgroup, debug --------------------------------------------------------------------------------------


def apparmor_root(folder: pathlib.Path) -> pathlib.Path:
    for name, text in (("sys/module/apparmor/parameters/enabled", "Y\n"), ("sbin/apparmor_parser", "")):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (folder / "sbin/apparmor_parser").chmod(0o755)
    return folder


def test_x136_when_apparmor_is_usable(tmp_path: pathlib.Path) -> None:
    root = apparmor_root(tmp_path)
    enabled, parser = root / "sys/module/apparmor/parameters/enabled", root / "sbin/apparmor_parser"
    assert apparmor.usable(str(root))
    enabled.write_text("N\n")
    assert not apparmor.usable(str(root))
    enabled.write_text("Y")
    parser.chmod(0o655)
    assert not apparmor.usable(str(root))
    parser.chmod(0o700)
    assert apparmor.usable(str(root))
    for foreign in ("run/container_type", "rofs/etc/apparmor.d"):
        path = root / foreign
        path.parent.mkdir(parents=True)
        path.write_text("")
        assert not apparmor.usable(str(root))
        path.unlink()
    parser.unlink()
    parser.mkdir()
    assert not apparmor.usable(str(root))


def test_x136_without_apparmor_the_stanza_does_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apparmor, "usable", lambda: False)
    assert host.output("apparmor switch $NOSUCH\nexec echo well") == ["well"]


def test_x41_x138_a_profile_name_that_cannot_be_expanded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apparmor, "usable", lambda: True)
    text = "apparmor switch $NOSUCH\nexec true"
    spawn = host.spawn(text)
    host.run(lambda: len(host.of(spawn)) == 2)
    # The pid is known first, as of every failure in the child.
    assert host.course(spawn) == [
        exactly(ProcessSpawned(spawn, host.pids[spawn])),
        exactly(ProcessSpawnFailed(spawn, "unable to switch security profile: Unknown parameter: NOSUCH"))]


def test_x138_the_profile_is_written_to_attr_exec(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.path.exists("/sys/module/apparmor"):
        pytest.skip("this kernel has AppArmor: the write may succeed")
    monkeypatch.setattr(apparmor, "usable", lambda: True)
    # EINVAL is what a kernel without any such module answers.
    assert host.failure("apparmor switch a-$B\nexec true", env=(PATH, "B=c")) == "unable to switch security profile: Invalid argument"
    # Main only.
    assert host.end(host.spawn("apparmor switch x\npre-start exec true", process="pre-start")) == 0


def test_cgroup_stanza_is_said_once_not_to_be_honoured(host: Host) -> None:
    for _ in range(2):
        assert host.end(host.spawn("cgroup memory limit_in_bytes 1000000\nexec true")) == 0
    assert host.lines == ["W web cgroup stanza is not honoured by this backend"]


def test_x149_debug(make_host: MakeHost) -> None:
    host = make_host(debug_stanza=True)
    spawn = host.spawn("debug\nexec /bin/sleep 1000")
    pid = host.pids[spawn]
    host.run(lambda: len(host.of(spawn)) == 3)
    assert host.course(spawn)[1:] == [exactly(ProcessExecuted(spawn)), exactly(ProcessStopped(spawn, signal.SIGSTOP))]
    assert host.lines == [f"I Pausing web ({pid}) [pre-exec] for debug"]
    assert status(pid)["State"].startswith("T")
    os.kill(pid, signal.SIGCONT)
    host.run(lambda: status(pid)["Name"] == "sleep")


def test_x149_an_exec_that_fails_after_the_stop_is_an_exit_with_255(make_host: MakeHost) -> None:
    host = make_host(debug_stanza=True)
    spawn = host.spawn("debug\nexec /nonexistent")
    host.run(lambda: len(host.of(spawn)) == 3)
    os.kill(host.pids[spawn], signal.SIGCONT)
    assert host.end(spawn) == 255


def test_x149_debug_is_ignored_without_the_daemons_option(host: Host) -> None:
    assert host.output("debug\nexec echo on") == ["on"]


# -- the older ways of the kernel -----------------------------------------------------------------------------------


def test_pty_modes(host: Host) -> None:
    """The slave is nobody else's to read."""
    pid = host.pids[host.running("console log\n" + SLEEP)]
    mode = os.stat(f"/proc/{pid}/fd/1").st_mode
    assert not stat.S_IMODE(mode) & 0o007


def test_errno_of_a_pty_that_cannot_be_had_for_the_moment(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(path: str, log: Any, held: Any = None) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(child_setup.JobLog, "create", create)
    spawn = host.spawn("exec /bin/echo hello")
    assert host.course(spawn) == []
    assert host.lines == ["W Temporary process spawn error: Too many open files"] * 3
    monkeypatch.undo()
    assert host.fire() == [1.0]
    assert host.end(spawn) == 0
    # It was not for that that output is thrown away.
    assert host.printed("web") == ["hello"]


def test_log_of_a_failed_direct_exec_is_not_created(host: Host) -> None:
    host.failure("console log\nexec /nonexistent")
    assert list(host.logs.iterdir()) == []


def test_job_log_is_the_one_of_the_instance(host: Host) -> None:
    spawn = host.spawn("exec /bin/echo hello", job="a/b", instance="c/d_?/")
    assert host.end(spawn) == 0
    assert job_log.log_path(str(host.logs), "a/b", "c/d_?/") == str(host.logs / "a_b-c_d_?_.log")
    assert (host.logs / "a_b-c_d_?_.log").read_bytes() == b"hello\r\n"
    assert host.course(spawn)[-1] == exactly(ProcessEnded(spawn, 0))

"""How job processes are executed and what they find: X1-X22, checklist 1-21 of 3.19."""
from __future__ import annotations

import os
import pathlib
import signal

import pytest

from compat.engine.inputs import ProcessEnded, ProcessExecuted, ProcessSpawned
from tests.backends.native_host import PATH, Host, argv, as_ordinary_user, exactly, status

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes users or roots")


def test_x1_direct_exec_without_a_shell(host: Host) -> None:
    spawn = host.running("exec /bin/sleep   1000   2")
    assert argv(host.pids[spawn]) == ["/bin/sleep", "1000", "2"]


def test_x2_characters_that_need_no_shell(host: Host) -> None:
    # A # would begin a comment of the job file (P34).
    assert host.output("exec /bin/echo  a+b %c @d") == ["a+b %c @d"]


def test_x4_the_shell_of_an_exec_line_is_replaced(host: Host) -> None:
    file = host.folder / "F"
    spawn = host.running(f"exec sh -c 'echo $$ > {file}; kill -STOP $$'")
    host.run(lambda: status(host.pids[spawn])["State"].startswith("T"))
    assert file.read_text() == f"{host.pids[spawn]}\n"


def test_x4_only_the_first_of_a_list_runs(host: Host) -> None:
    assert host.output("exec echo a; echo b") == ["a"]


def test_x4_a_word_with_an_equals_sign_is_no_assignment(host: Host) -> None:
    spawn = host.spawn("exec FOO=1 /bin/true", job="assign")
    assert host.end(spawn) == 127
    assert host.printed("assign") == ["/bin/sh: 1: exec: FOO=1: not found"]


def test_x4_a_variable_of_the_job_is_the_program(host: Host) -> None:
    assert host.output("exec $BIN --x", env=(PATH, "BIN=echo")) == ["--x"]


def test_x5_shell_c_case(host: Host) -> None:
    assert host.output("script\necho $0 [$@]\nend script") == ["/bin/sh []"]


def test_x5_x6_shell_fd_case(host: Host) -> None:
    assert host.output("script\ntrue\necho $0 [$@]\nend script") == ["/proc/self/fd/9 []"]


def test_x6_line_numbers_are_one_higher(host: Host) -> None:
    spawn = host.spawn("script\ntrue\ntrue\nnosuchcmd\nend script", job="lines")
    assert host.end(spawn) == 127
    assert host.printed("lines") == ["/proc/self/fd/9: 4: nosuchcmd: not found"]


def test_x6_a_script_of_1_mib(host: Host) -> None:
    text = "script\n" + "".join(f"VAR={number}\n" for number in range(120_000)) + "echo $VAR\nend script"
    assert len(text) > 1 << 20
    assert host.output(text) == ["119999"]


def test_x6_a_script_that_ends_before_it_was_read(host: Host) -> None:
    spawn = host.spawn("script\nexit 3\n" + "true\n" * 100_000 + "end script")
    assert host.end(spawn) == 3
    assert not [fd for fd in host.backend.setup._readers if fd >= 0]


def test_x7_errors_end_a_script(host: Host) -> None:
    spawn = host.spawn(f"script\ntrue\nfalse\ntouch {host.folder}/F\nend script")
    assert host.end(spawn) == 1
    assert not (host.folder / "F").exists()


def test_x8_a_line_of_200_kib_is_too_long(host: Host) -> None:
    assert host.failure("script\n: " + "x" * 200_000 + "\nend script") == "unable to execute: Argument list too long"


def test_x8_an_empty_script(host: Host) -> None:
    assert host.output("script\nend script") == []


@pytest.mark.parametrize("name", ["./text", "text"])
def test_x11_a_file_without_an_interpreter_line(host: Host, name: str) -> None:
    file = host.folder / "text"
    file.write_text('echo "$0 $1"; tr "\\0" "\\n" < /proc/$$/cmdline')
    file.chmod(0o755)
    printed = host.output(f"chdir {host.folder}\nexec {name} one", env=(f"PATH={host.folder}:/bin",))
    path = "./text" if name == "./text" else str(file)
    assert printed == [f"{path} one", "/bin/sh", path, "one"]


def test_x10_the_path_of_the_job_is_searched(host: Host) -> None:
    folder = host.folder / "x"
    folder.mkdir()
    (folder / "foo").symlink_to("/bin/echo")
    assert host.output("exec foo found", env=(f"PATH=/nonexistent:{folder}",)) == ["found"]
    assert host.failure("exec foo", env=("PATH=/nonexistent",)) == "unable to execute: No such file or directory"
    assert host.failure("exec foo", env=("PATH=",)) == "unable to execute: No such file or directory"


def test_x10_an_empty_entry_is_the_working_directory(host: Host) -> None:
    (host.folder / "foo").symlink_to("/bin/echo")
    for path in (":/bin", "/nonexistent:", "/nonexistent::/bin", ""):
        assert host.output(f"chdir {host.folder}\nexec foo found", env=(f"PATH={path}",)) == ["found"]


def test_x10_without_path_the_default_is_searched(host: Host) -> None:
    assert host.output("exec echo found", env=()) == ["found"]


def test_x10_permission_denied_goes_before_not_found(host: Host) -> None:
    (host.folder / "foo").write_text("")
    denied = "unable to execute: Permission denied"
    assert host.failure("exec foo", env=(f"PATH={host.folder}:/nonexistent",)) == denied
    assert host.failure(f"exec {host.folder}/foo") == denied
    assert host.failure("exec " + "x" * 256) == "unable to execute: File name too long"


def test_x13_a_script_in_a_root_without_proc(host: Host) -> None:
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    root = host.folder / "root"
    (root / "bin").mkdir(parents=True)
    shell = root / "bin" / "sh"
    _static_shell(shell)
    spawn = host.spawn(f"chroot {root}\nscript\necho $0\nfalse\nend script", job="rooted")
    assert host.end(spawn) == 1
    assert host.printed("rooted") == ["/proc/self/fd/9"]


def _static_shell(path: pathlib.Path) -> None:
    """/bin/sh with the libraries it needs, in a directory that will be a root."""
    root = path.parent.parent
    path.write_bytes(pathlib.Path("/bin/sh").read_bytes())
    path.chmod(0o755)
    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if "/" in line}
    for file in files:
        name = os.path.basename(file)
        if name.startswith(("libc.so", "ld-linux", "libc-", "ld-")):
            for target in {file, os.path.join("/lib64", name), os.path.join("/lib", name)}:
                copy = root / target.lstrip("/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(pathlib.Path(file).read_bytes())
                copy.chmod(0o755)


def test_x15_x16_the_environment_is_what_the_engine_says_and_nothing_else(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "x")
    given = (PATH, "TERM=linux", "UPSTART_JOB=web", "UPSTART_INSTANCE=", "ODD=a b=c\udcff")
    assert host.output("exec env", env=given) == list(given)


@needs_root
def test_x16_setuid_adds_nothing_to_the_environment(host: Host) -> None:
    assert host.output("setuid nobody\nexec env", env=(PATH,)) == [PATH]


def test_x15_the_environment_of_a_job_does_not_act_on_the_launcher(host: Host) -> None:
    # The dynamic linker would complain of the first on stderr, and write a trace for the second.
    hostile = (PATH, "LD_PRELOAD=/nonexistent.so", "LD_DEBUG=all", f"LD_DEBUG_OUTPUT={host.folder}/trace")
    assert host.failure("exec /nonexistent", env=hostile) == "unable to execute: No such file or directory"
    assert not list(host.folder.glob("trace*"))


def test_x21_descriptors_of_the_event_stay_open_under_their_numbers(host: Host) -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)
    assert host.end(host.spawn(f"exec sh -c 'echo through > /proc/self/fd/{write}; test ! -e /proc/self/fd/{read}'", fds=(write,))) == 0
    assert os.read(read, 100) == b"through\n"
    os.close(read)
    os.close(write)


def test_x21_a_descriptor_that_is_closed_already_does_not_harm(host: Host) -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    assert host.output("exec echo well", fds=(fd,)) == ["well"]


def test_x21_a_descriptor_that_is_number_9_and_a_script(host: Host) -> None:
    """Both are had: the script comes another way, with the same $0."""
    saved = os.dup(9) if _is_open(9) else -1
    null = os.open("/dev/null", os.O_RDWR)
    try:
        # Whatever the test's process has there is put back below.
        if null != 9:
            os.dup2(null, 9, inheritable=False)
        spawn = host.spawn("script\ntrue\nreadlink /proc/self/fd/9\necho $0\nend script", fds=(9,), job="nine")
    finally:
        if saved >= 0:
            os.dup2(saved, 9, inheritable=False)
            os.close(saved)
        else:
            os.close(9)
        if null != 9:
            os.close(null)
    assert host.end(spawn) == 0
    assert host.printed("nine") == ["/dev/null", "/proc/self/fd/9"]


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_x24_x26_spawned_then_executed_then_ended(host: Host) -> None:
    spawn = host.spawn("exec /bin/true")
    pid = host.pids[spawn]
    host.end(spawn)
    assert host.course(spawn) == [exactly(ProcessSpawned(spawn, pid)), exactly(ProcessExecuted(spawn)), exactly(ProcessEnded(spawn, 0))]


def test_x39_sigpipe_is_not_ignored(host: Host) -> None:
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    spawn = host.running("exec /bin/sleep 1000")
    seen = status(host.pids[spawn])
    # Real-time signals are as the daemon had them.
    assert int(seen["SigIgn"], 16) & 0x7FFFFFFF == int(seen["SigBlk"], 16) == int(seen["SigCgt"], 16) == 0
    assert host.output("exec sh -c 'yes | head -1'") == ["y"]


def test_x39_blocked_signals_are_not_passed_on(host: Host) -> None:
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    try:
        spawn = host.running("exec /bin/sleep 1000")
        assert int(status(host.pids[spawn])["SigBlk"], 16) == 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def test_ordinary_users_run_scripts_as_well() -> None:
    def check(host: Host) -> list:  # type: ignore[type-arg]
        return [host.output("script\ntrue\necho $0\nend script"), host.output("exec /bin/echo a b"), host.output("exec echo 'c'")]

    assert as_ordinary_user(check) == [["/proc/self/fd/9"], ["a b"], ["c"]]

"""X254, row by row: what the process of a service has, and what systemd shows of it.

Where unit_properties.py leaves something to the launcher, the process has it all the same, and systemd shows its default.
"""
from __future__ import annotations

import os
import pwd
import signal
import subprocess
from typing import Any

import pytest

from tests.daemon.running import alive, eventually, process_status
from tests.systemd.upstart import Process, Upstart, shown, systemctl, unit_of, units

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def job(request: pytest.FixtureRequest, upstart: Upstart) -> Any:
    """Defines and starts a job that is named after the test; its main process, and the unit."""
    names: list[str] = []

    def run(text: str, name: str = "") -> tuple[Process, str]:
        name = name or request.node.originalname.replace("_", ".")
        names.append(name)
        upstart.define(name, text)
        upstart.start(name)
        process = upstart.main(name)
        return process, unit_of(process.pid)

    yield run
    for name in names:
        if upstart.instances(name):
            upstart.stop(name)


# -- argv -------------------------------------------------------------------------------------------------------------


def test_x254_arguments_reach_the_program_as_they_are(job: Any) -> None:
    process, unit = job(r"""exec sleep 1000 """)
    assert process.arguments == [b"sleep", b"1000"]
    assert unit == "upstart-test.x254.arguments.reach.the.program.as.they.are-main.service"


def test_x254_nothing_in_arguments_is_expanded_by_systemd(job: Any, upstart: Upstart) -> None:
    program = upstart.directory / "arguments.py"
    program.write_text("import time\ntime.sleep(1000)\n")
    words = "%n %% %h %i ,a:b @x - + -x % a%20b \xc3 é"
    process, _ = job(f"exec python3 {program} {words}")
    assert process.arguments[2:] == [word.encode() for word in words.split()]


def test_x254_dollars_are_for_the_shell(job: Any, upstart: Upstart) -> None:
    """Checklist 107: not for systemd, which would take the variable from its own environment."""
    file = upstart.directory / "dollars"
    job(f"""env HOME=/of/the/job
exec sh -c 'echo "$HOME $$ $$$$ ${{HOME}} %n" > {file}; exec sleep 1000'""")
    eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    home, pid, pids, braced, percent = file.read_text().split()
    assert (home, braced, percent) == ("/of/the/job", "/of/the/job", "%n")
    assert pids == pid * 2


def test_x10_the_path_of_the_job_is_searched(job: Any, upstart: Upstart) -> None:
    folder = upstart.directory / "programs"
    folder.mkdir()
    (folder / "only-here").symlink_to("/bin/sleep")
    process, unit = job(f"env PATH={folder}\nexec only-here 1000")
    assert process.arguments == [b"only-here", b"1000"]
    assert unit.endswith("-main.service")


def test_x11_a_file_without_an_interpreter_is_a_shell_script(job: Any, upstart: Upstart) -> None:
    program = upstart.directory / "plain"
    program.write_text("while :; do sleep 1000; done\n")
    program.chmod(0o755)
    process, _ = job(f"exec {program}")
    assert process.arguments == [b"/bin/sh", os.fsencode(program)]


def test_x5_a_script_of_several_lines_comes_through_descriptor_9(job: Any, upstart: Upstart) -> None:
    file = upstart.directory / "script"
    process, _ = job(f"script\n  echo $0 $# > {file}\n  sleep 1000\nend script")
    assert process.arguments == [b"/bin/sh", b"-e", b"/proc/self/fd/9"]
    eventually(lambda: file.exists() and file.read_text() == "/proc/self/fd/9 0\n")


def test_x6_lines_of_a_script_are_counted_as_in_upstart(upstart: Upstart) -> None:
    upstart.define("lines", "script\n:\n:\nnosuchprogram\nend script")
    upstart.start("lines")
    upstart.wait_job_log("lines", "/proc/self/fd/9: 4: nosuchprogram: not found\n")
    upstart.wait_stopped("lines")


def test_x6_a_script_of_a_mebibyte(job: Any, upstart: Upstart) -> None:
    file = upstart.directory / "long"
    filler = "\n".join([": " + "x" * 1000] * 1050)
    process, unit = job(f"script\n{filler}\necho done > {file}\nexec sleep 1000\nend script")
    eventually(file.exists)
    assert unit.endswith("-main.service")


def test_x254_what_systemd_executes_is_the_launcher(job: Any) -> None:
    _, unit = job("exec sleep 1000")
    assert "/upstart-compat-launcher unit ;" in shown(unit, "ExecStart")
    assert "1000" not in shown(unit, "ExecStart")


# -- readiness ----------------------------------------------------------------------------------------------------------


def test_x254_type_is_exec_and_start_never_times_out(job: Any) -> None:
    process, unit = job("exec sleep 1000")
    assert shown(unit, "Type") == "exec"
    assert shown(unit, "TimeoutStartUSec") == "infinity"
    assert (shown(unit, "ActiveState"), shown(unit, "SubState")) == ("active", "running")
    assert shown(unit, "MainPID") == str(process.pid)


@pytest.mark.parametrize("expect, forks", [("fork", 1), ("daemon", 2)])
def test_x254_forks_are_followed_and_systemd_knows_the_main_process(
        job: Any, upstart: Upstart, expect: str, forks: int) -> None:
    name = f"forks.{expect}"
    program = f"import os, time\nfor _ in range({forks}):\n    if os.fork(): os._exit(0)\ntime.sleep(1000)"
    file = upstart.directory / f"{name}.py"
    file.write_text(program)
    process, unit = job(f"expect {expect}\nexec python3 {file}", name)
    assert unit == f"upstart-{name}-main.service"
    assert shown(unit, "MainPID") == str(process.pid) and shown(unit, "Type") == "exec"
    assert len([line for line in upstart.output.splitlines() if line.startswith(f"{name} main process") and "became" in line]) == forks
    assert process.status("TracerPid") == "0"
    os.kill(process.pid, signal.SIGTERM)
    upstart.wait_stopped(name)
    assert f"{name} main process ({process.pid}) killed by TERM signal" in upstart.errors


def test_x254_expect_stop_is_seen_by_the_tracer(job: Any, upstart: Upstart) -> None:
    process, unit = job("expect stop\nexec sh -c 'kill -STOP $$; exec sleep 1000'")
    eventually(lambda: process.arguments == [b"sleep", b"1000"])
    assert process.status("TracerPid") == "0" and shown(unit, "MainPID") == str(process.pid)


def test_x254_expect_daemon_with_an_exit_status_of_its_own(upstart: Upstart) -> None:
    """The end of the child is told by systemd, whose child it is."""
    go = upstart.directory / "end"
    upstart.define("ending", f"expect daemon\nexec sh -c '(( until test -e {go}; do sleep 0.01; done; exit 7 ) & ) & '")
    upstart.start("ending", wait=False)
    upstart.wait_running("ending")
    pid = upstart.main("ending").pid
    go.touch()
    upstart.wait_stopped("ending")
    assert f"ending main process ({pid}) terminated with status 7" in upstart.errors


# -- environment, identity, place ---------------------------------------------------------------------------------------


def test_x254_the_environment_is_the_jobs_alone(job: Any, upstart: Upstart) -> None:
    process, unit = job("env FOO=a%n$b\nenv EMPTY=\nexec sleep 1000")
    name = unit.partition("-")[2].rpartition("-")[0]
    assert sorted(process.environment) == sorted([
        b"EMPTY=", b"FOO=a%n$b", b"PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin", b"TERM=" + upstart.mark.encode(),
        b"UPSTART_INSTANCE=", b"UPSTART_JOB=" + name.encode()])
    assert shown(unit, "Environment") == ""


@pytest.mark.parametrize("given, uid, gid, groups", [
    ("setuid nobody", NOBODY.pw_uid, NOBODY.pw_gid, {NOBODY.pw_gid}),
    ("setgid daemon", 0, 1, None),
    ("setuid nobody\nsetgid daemon", NOBODY.pw_uid, 1, None)])
def test_x254_setuid_and_setgid(job: Any, given: str, uid: int, gid: int, groups: Any) -> None:
    process, unit = job(f"{given}\nexec sleep 1000", f"identity.{uid}.{gid}")
    assert process.status("Uid").split() == [str(uid)] * 4
    assert process.status("Gid").split() == [str(gid)] * 4
    if groups is not None:
        assert {int(group) for group in process.status("Groups").split()} == groups
    # The launcher's to do, which needs privileges until then (unit_properties.py).
    assert shown(unit, "User") == shown(unit, "Group") == ""
    # Without the capabilities of the launcher, which has all.
    assert uid == 0 or int(process.status("CapEff"), 16) == 0


def test_x254_chroot_alone_is_a_service(job: Any, upstart: Upstart) -> None:
    root = upstart.directory / "root"
    root.mkdir()
    subprocess.run(["mount", "--rbind", "/", str(root)], check=True)
    try:
        process, unit = job(f"chroot {root}\nchdir /usr\nexec sleep 1000")
        assert process.link("root") == str(root) and process.link("cwd") == f"{root}/usr"
        assert unit.endswith("-main.service")
        assert shown(unit, "RootDirectory") == "" and shown(unit, "WorkingDirectory") == "", "the launcher's to do"
        upstart.stop(unit.partition("-")[2].rpartition("-")[0])
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


@pytest.mark.parametrize("text, cwd, told", [("", "/", "!/"), ("chdir /usr", "/usr", "!/usr"), ("chdir /usr/../tmp/.", "/tmp", "!/tmp")])
def test_x254_chdir(job: Any, text: str, cwd: str, told: str) -> None:
    process, unit = job(f"{text}\nexec sleep 1000", f"place.{len(text)}")
    assert process.link("cwd") == cwd and process.link("root") == "/"
    assert shown(unit, "WorkingDirectory") == told


def test_x254_umask_nice_and_oom(job: Any) -> None:
    process, unit = job("umask 077\nnice 5\noom score 300\nexec sleep 1000")
    assert process.status("Umask") == "0077" and shown(unit, "UMask") == "0077"
    assert process.stat(19) == 5 and shown(unit, "Nice") == "5"
    assert process.read("oom_score_adj") == b"300\n" and shown(unit, "OOMScoreAdjust") == "300"


def test_x254_umask_nice_and_oom_that_are_not_given(job: Any) -> None:
    process, unit = job("exec sleep 1000")
    assert process.status("Umask") == "0022" and shown(unit, "UMask") == "0022"
    assert process.stat(19) == 0 and shown(unit, "Nice") == "0"
    assert process.read("oom_score_adj") == b"0\n" and shown(unit, "OOMScoreAdjust") == "0"


_LIMITS = {
    "nofile": ("100 500", "Max open files", "LimitNOFILE"), "core": ("0 unlimited", "Max core file size", "LimitCORE"),
    "nproc": ("1000 2000", "Max processes", "LimitNPROC"), "cpu": ("unlimited unlimited", "Max cpu time", "LimitCPU"),
    "stack": ("4194304 8388608", "Max stack size", "LimitSTACK"), "nice": ("0 0", "Max nice priority", "LimitNICE"),
    "rtprio": ("0 0", "Max realtime priority", "LimitRTPRIO"), "as": ("8589934592 unlimited", "Max address space", "LimitAS"),
    "fsize": ("1048576 2097152", "Max file size", "LimitFSIZE"), "data": ("8589934592 unlimited", "Max data size", "LimitDATA"),
    "rss": ("1048576 2097152", "Max resident set", "LimitRSS"), "memlock": ("65536 65536", "Max locked memory", "LimitMEMLOCK"),
    "sigpending": ("100 200", "Max pending signals", "LimitSIGPENDING"), "msgqueue": ("4096 8192", "Max msgqueue size", "LimitMSGQUEUE")}


@pytest.mark.parametrize("resource", sorted(_LIMITS))
def test_x254_limits(job: Any, resource: str) -> None:
    values, name, told = _LIMITS[resource]
    process, unit = job(f"limit {resource} {values}\nexec sleep 1000", f"limit.{resource}")
    soft, hard = values.split()
    assert process.limit(name) == (soft, hard)
    assert shown(unit, told) == hard.replace("unlimited", "infinity")
    assert shown(unit, told + "Soft") == soft.replace("unlimited", "infinity")


def test_x254_limits_that_are_not_given_are_the_daemons_own(job: Any, upstart: Upstart) -> None:
    """And not systemd's, whose default for open files and core dumps is another."""
    process, _ = job("exec sleep 1000")
    native = Process(os.getpid())
    names = ("Max open files", "Max core file size", "Max processes", "Max locked memory", "Max stack size", "Max pending signals")
    assert {name: process.limit(name) for name in names} == {name: native.limit(name) for name in names}


# -- streams --------------------------------------------------------------------------------------------------------------


def descriptors(process: Process) -> dict[str, str]:
    # The dynamic linker opens and closes others.
    eventually(lambda: process.arguments == [b"sleep", b"1000"] and sorted(os.listdir(f"/proc/{process.pid}/fd")) == ["0", "1", "2"])
    return {name: process.link(f"fd/{name}") for name in ("0", "1", "2")}


def test_x254_console_none(job: Any) -> None:
    process, unit = job("console none\nexec sleep 1000")
    assert descriptors(process) == {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"}
    assert process.stat(7) == 0, "no controlling terminal"
    assert (shown(unit, "StandardOutput"), shown(unit, "StandardError")) == ("null", "null")


def test_x254_console_log(job: Any, upstart: Upstart) -> None:
    process, unit = job("console log\nexec sh -c 'echo out; echo err >&2; exec sleep 1000'")
    found = descriptors(process)
    assert found["0"] == "/dev/null"
    assert found["1"] == found["2"] and found["1"].startswith("/dev/pts/")
    assert process.stat(7) == 0, "no controlling terminal"
    assert (shown(unit, "StandardOutput"), shown(unit, "StandardError")) == ("null", "null"), "the launcher's to do"
    name = unit.partition("-")[2].rpartition("-")[0]
    upstart.wait_job_log(name, "out\nerr\n")
    assert (upstart.logs / f"{name}.log").stat().st_mode & 0o777 == 0o640


def test_x133_output_of_a_fast_end_is_complete(upstart: Upstart) -> None:
    upstart.define("fast.output", "task\nexec python3 -c \"print('x' * 3000000)\"")
    upstart.start("fast.output")
    assert len(upstart.job_log("fast.output")) == 3000001


# -- how it ends ------------------------------------------------------------------------------------------------------------


def test_x254_kill_signal_and_timeout_are_for_the_job_and_not_for_systemd(job: Any) -> None:
    process, unit = job("kill timeout 7\nkill signal INT\nexec sleep 1000")
    assert shown(unit, "KillSignal") == str(int(signal.SIGCONT))
    assert shown(unit, "TimeoutStopUSec") == "1min 37s"
    # 32 and 33 are glibc's own: what a test's runner ignores of these nobody can change.
    assert int(process.status("SigIgn"), 16) & ~(3 << 31) == 0 == int(process.status("SigBlk"), 16)


def test_x254_who_is_killed(job: Any) -> None:
    _, unit = job("exec sleep 1000")
    assert shown(unit, "KillMode") == "process"
    # Of a stop that the daemon has not done in time.
    assert shown(unit, "SendSIGKILL") == "yes" and shown(unit, "FinalKillSignal") == str(int(signal.SIGKILL))


def test_x254_leader_of_a_session_and_a_group(job: Any) -> None:
    process, _ = job("exec sleep 1000")
    assert process.stat(5) == process.pid and process.stat(6) == process.pid


def test_x254_sigpipe_has_its_default(job: Any) -> None:
    process, unit = job("exec sleep 1000")
    assert not int(process.status("SigIgn"), 16) & 1 << signal.SIGPIPE - 1
    assert shown(unit, "IgnoreSIGPIPE") == "no"


def test_x254_the_engine_respawns_and_systemd_does_not(job: Any, upstart: Upstart) -> None:
    process, unit = job("respawn\nrespawn limit 3 60\nexec sleep 1000")
    name = unit.partition("-")[2].rpartition("-")[0]
    assert shown(unit, "Restart") == "no" and shown(unit, "StartLimitIntervalUSec") == "0"
    pids, invocations = {process.pid}, {shown(unit, "InvocationID")}
    for count in range(2, 5):
        os.kill(process.pid, signal.SIGKILL)
        process = Process(upstart.wait_respawned(name, process.pid))
        pids.add(process.pid)
        invocations.add(shown(unit_of(process.pid), "InvocationID"))
        assert len(pids) == len(invocations) == count
    os.kill(process.pid, signal.SIGKILL)
    upstart.wait_stopped(name)
    assert f"{name} respawning too fast, stopped" in upstart.errors


def test_x254_the_end_of_a_process_is_the_end_of_its_unit(job: Any, upstart: Upstart) -> None:
    process, unit = job("exec sleep 1000")
    assert shown(unit, "RemainAfterExit") == "yes", "until the daemon has read how it ended"
    assert shown(unit, "CollectMode") == "inactive"
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.kill(upstart.main(unit.partition("-")[2].rpartition("-")[0]).pid, number)
        upstart.wait_stopped(unit.partition("-")[2].rpartition("-")[0])
        eventually(lambda: unit not in units(), units)
        upstart.start(unit.partition("-")[2].rpartition("-")[0])


_ENDS = {
    "exit 0": "EXIT_STATUS=,EXIT_SIGNAL=,RESULT=ok", "exit 7": "EXIT_STATUS=7,EXIT_SIGNAL=,RESULT=failed",
    "exit 200": "EXIT_STATUS=200,EXIT_SIGNAL=,RESULT=failed", "exit 203": "EXIT_STATUS=203,EXIT_SIGNAL=,RESULT=failed",
    "kill -TERM $$": "EXIT_STATUS=,EXIT_SIGNAL=TERM,RESULT=failed", "kill -KILL $$": "EXIT_STATUS=,EXIT_SIGNAL=KILL,RESULT=failed",
    "kill -SEGV $$": "EXIT_STATUS=,EXIT_SIGNAL=SEGV,RESULT=failed", "kill -PIPE $$": "EXIT_STATUS=,EXIT_SIGNAL=PIPE,RESULT=failed",
    "kill -HUP $$": "EXIT_STATUS=,EXIT_SIGNAL=HUP,RESULT=failed", "kill -40 $$": "EXIT_STATUS=,EXIT_SIGNAL=40,RESULT=failed"}


@pytest.mark.parametrize("end", sorted(_ENDS))
def test_x254_x259_x99_how_a_process_ended(upstart: Upstart, end: str) -> None:
    """Checklist 110. Also what systemd would take for its own errors (200…) or for a clean end (HUP, PIPE, TERM)."""
    name = "end." + end.replace(" ", ".").replace("$", "").replace("-", "")
    said = "EXIT_STATUS=$EXIT_STATUS,EXIT_SIGNAL=$EXIT_SIGNAL,RESULT=$RESULT"
    upstart.define(name + ".follower", f"start on stopped {name}\ntask\nexec echo {said}")
    upstart.define(name, f"exec sh -c '{end}'")
    upstart.start(name)
    upstart.wait_job_log(name + ".follower", _ENDS[end] + "\n")
    eventually(lambda: not units(f"upstart-{name}-*"), units)


def test_x259_fast_ends_all_count(upstart: Upstart) -> None:
    upstart.define("fast", "instance $N\nexec /bin/false")
    for number in range(30):
        upstart.start("fast", f"N={number}", wait=False)
    eventually(lambda: all(f"fast ({number}) main process" in upstart.errors for number in range(30)), upstart.log)
    upstart.wait_stopped("fast")
    ends = [line for line in upstart.errors.splitlines() if "fast (" in line]
    assert len(ends) == 30 and all(line.endswith(" terminated with status 1") for line in ends)


def test_x254_oom_policy_and_tasks(job: Any) -> None:
    _, unit = job("exec sleep 1000")
    assert shown(unit, "OOMPolicy") == "continue" and shown(unit, "TasksMax") == "infinity"


def test_x254_order_at_shutdown(job: Any) -> None:
    """The daemon's own unit stops the jobs: systemd must not do so before it, by default dependencies of the unit or of its slice."""
    _, unit = job("exec sleep 1000")
    assert shown(unit, "Slice") == "upstart.slice"
    for each in (unit, "upstart.slice"):
        assert shown(each, "DefaultDependencies") == "no"
        assert shown(each, "Conflicts") == "" and "shutdown.target" not in shown(each, "Before")


def test_x254_utmp_is_the_engines_to_do(job: Any) -> None:
    _, unit = job("exec sleep 1000")
    assert shown(unit, "UtmpIdentifier") == ""


def test_x254_apparmor(job: Any, upstart: Upstart) -> None:
    """The launcher switches, and where there is no AppArmor both stanzas do nothing (X136)."""
    if os.path.exists("/sys/module/apparmor"):
        pytest.skip("this kernel has AppArmor")
    process, unit = job("apparmor load /no/such/profile\napparmor switch some-profile\nexec sleep 1000")
    assert process.arguments == [b"sleep", b"1000"]
    assert shown(unit, "AppArmorProfile") == "" and not units("upstart-*-security.scope")


def test_x258_the_parent_is_pid_1(job: Any) -> None:
    process, _ = job("exec sleep 1000")
    assert process.status("PPid") == "1"


# -- names and texts ----------------------------------------------------------------------------------------------------------


def test_x251_names_and_descriptions(upstart: Upstart) -> None:
    upstart.define("many-named", "description \"does nothing\"\ninstance $ID\nexec sleep 1000")
    upstart.start("many-named", "ID=a/b c@ü-1")
    pid = upstart.main("many-named", "a/b c@ü-1").pid
    unit = r"upstart-many\x2dnamed-a\x2fb\x20c\x40\xc3\xbc\x2d1-main.service"
    assert unit_of(pid) == unit
    assert shown(unit, "Description") == "many-named (a/b c@ü-1): does nothing"
    assert systemctl("is-active", unit)[1] == "active\n"
    upstart.stop("many-named", "ID=a/b c@ü-1")


def test_x251_a_name_that_is_too_long_for_systemd(upstart: Upstart) -> None:
    upstart.define("long-named", "console none\ninstance $ID\nexec sleep 1000")
    for letter in "ab":
        upstart.start("long-named", f"ID={'é' * 150}{letter}")
    found = {unit_of(upstart.main("long-named", f"{'é' * 150}{letter}").pid) for letter in "ab"}
    assert len(found) == 2 and all(unit.endswith(".service") and len(unit) < 255 for unit in found)
    for letter in "ab":
        upstart.stop("long-named", f"ID={'é' * 150}{letter}")


# -- other processes of a job ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["pre-start", "post-start", "pre-stop", "post-stop"])
def test_x251_the_other_processes_have_scopes_in_the_same_slice(upstart: Upstart, stage: str) -> None:
    name, go = f"other.{stage}", upstart.directory / f"go.{stage}"
    upstart.define(name, f"{stage} exec sh -c 'until test -e {go}; do sleep 0.01; done'\nexec sleep 1000\n")
    upstart.start(name, wait=False)
    if stage.endswith("stop"):
        upstart.wait_running(name)
        upstart.stop(name, wait=False)
    pid = eventually(lambda: upstart.pid_of(name, stage), upstart.log)
    # It is made where the daemon is, and waits there for its scope.
    unit = eventually(lambda: unit_of(pid) if unit_of(pid).startswith("upstart-") else "")
    escaped = stage.replace("-", r"\x2d")
    assert unit == f"upstart-other.{escaped}-{escaped}.scope"
    expected = {"Slice": "upstart.slice", "KillMode": "process", "SendSIGKILL": "no", "DefaultDependencies": "no", "TasksMax": "infinity",
                "TimeoutStopUSec": "1min 35s", "CollectMode": "inactive-or-failed", "Description": name}
    assert {key: shown(unit, key) for key in expected} == expected
    assert shown(unit, "OOMPolicy") in ("continue", ""), "scopes have none before systemd 253"
    assert shown(unit, "Controller").startswith(":")
    assert process_status(pid, "PPid") == str(upstart.pid)
    go.touch()
    eventually(lambda: not alive(pid))
    eventually(lambda: unit not in units(), units)
    if stage.endswith("start"):
        upstart.wait_running(name)
        upstart.stop(name)
    upstart.wait_stopped(name)

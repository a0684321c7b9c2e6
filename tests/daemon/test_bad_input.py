"""Whatever is wrong with files and calls gets one clear message; everything else goes on."""
from __future__ import annotations

import os
import pathlib
import socket

import pytest

from tests.daemon.conftest import Launch
from tests.daemon.running import MANAGER, PROPERTIES, Daemon, E, F, Failed, U

IS_ROOT = os.getuid() == 0
JOB = U + ".Job"
INSTANCE = U + ".Instance"
#: A command prefix: root without the right to read what is not his.
UNPRIVILEGED_ROOT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def refused(daemon: Daemon, *call: object) -> tuple[str, str]:
    with pytest.raises(Failed) as caught:
        daemon.client.call(*call)  # type: ignore[arg-type]
    return caught.value.name, caught.value.text


def test_broken_files_are_named_with_their_line_and_the_others_load(launch: Launch) -> None:
    daemon = launch({
        "a-good.conf": "exec sleep 1000\n",
        "unknown.conf": "description \"x\"\n\nbogus\n",
        "unterminated.conf": "exec true\nscript\necho\n",
        "quote.conf": "description \"never closed\n",
        "binary.conf": bytes(range(256)) * 40,
        "signal.conf": "exec true\nkill signal BOGUS\n",
        "number.conf": "kill timeout soon\n",
        "condition.conf": "start on (a and\n",
        "empty.conf": "",
        "sub/deep.conf": "exec true\nbogus\n",
        "z-good.conf": "exec sleep 1000\n",
    })
    daemon.start("a-good")
    daemon.start("z-good")
    daemon.start("empty")
    for name, line in (("unknown", 3), ("number", 1), ("condition", 1), ("sub/deep", 2), ("unterminated", 4)):
        assert not daemon.knows(name)
        assert f"init:{daemon.conf}/{name}.conf:{line}: " in daemon.errors
    for name in ("signal", "quote", "binary"):
        assert not daemon.knows(name)
        assert f"init:{daemon.conf}/{name}.conf:" in daemon.errors
    assert len(daemon.errors.splitlines()) == 8


def test_d87_broken_override_is_discarded_as_a_whole(launch: Launch) -> None:
    daemon = launch({"j.conf": "start on x\nexec sleep 1000\n", "j.override": "manual\nbogus\nauthor \"me\"\n"})
    assert daemon.errors == f"init:{daemon.conf}/j.override:2: Unknown stanza\n"
    daemon.emit("x")
    daemon.wait_running("j")
    daemon.stop("j")
    assert daemon.knows("j")


def test_d75_dangling_link_and_directory_called_conf(launch: Launch) -> None:
    daemon = launch({"good.conf": "exec true\n", "d.conf/x.conf": "exec true\n"})
    (daemon.conf / "dangling.conf").symlink_to("nowhere")
    daemon.reload_configuration()
    assert f"{daemon.conf}/dangling.conf: No such file or directory" in daemon.errors
    assert daemon.knows("good")
    assert daemon.knows("d.conf/x")


def _skip_if_readable(path: pathlib.Path) -> None:
    if IS_ROOT:
        return
    try:
        os.close(os.open(path, os.O_RDONLY))
    except PermissionError:
        return
    pytest.skip("this user may read everything")


def test_file_and_directory_without_permission(launch: Launch) -> None:
    conf = launch({"a.conf": "exec true\n", "b.conf": "exec true\n", "closed/x.conf": "exec true\n"}).conf
    for path in (conf / "a.conf", conf / "closed"):
        if IS_ROOT:
            os.chown(path, 12345, 12345)
        path.chmod(0)
    _skip_if_readable(conf / "a.conf")
    daemon = launch(None, ("--confdir", str(conf)), prefix=UNPRIVILEGED_ROOT if IS_ROOT else (), confdir=False)
    assert daemon.knows("b")
    assert f"init:{conf}/a.conf: Error while loading configuration file: Permission denied\n" in daemon.errors
    assert f"init:{conf}/closed: Permission denied\n" in daemon.errors
    (conf / "closed").chmod(0o755)
    daemon.reload_configuration()
    assert daemon.knows("closed/x")


def test_job_directory_without_permission(launch: Launch) -> None:
    conf = launch({"a.conf": "exec true\n"}).conf
    if IS_ROOT:
        os.chown(conf, 12345, 12345)
    conf.chmod(0)
    _skip_if_readable(conf)
    daemon = launch({"b.conf": "exec true\n"}, ("--confdir", str(conf)), prefix=UNPRIVILEGED_ROOT if IS_ROOT else ())
    assert f"init:{conf}: Unable to load configuration: Permission denied\n" in daemon.errors
    assert daemon.knows("b")
    conf.chmod(0o755)
    daemon.reload_configuration()
    assert daemon.knows("a")


def test_d136_job_directory_that_is_a_file(launch: Launch) -> None:
    other = launch({"b.conf": "exec true\n"})
    (other.directory / "notdir").write_text("")
    daemon = launch(None, ("--confdir", str(other.directory / "notdir"), "--confdir", str(other.conf)), confdir=False)
    assert daemon.errors == f"init:{other.directory}/notdir: Unable to load configuration: Not a directory\n"
    assert daemon.knows("b")


@pytest.mark.parametrize(("text", "reason"), [
    ("exec /nonexistent/program\n", "unable to execute: No such file or directory"),
    ("exec /etc/passwd\n", "unable to execute: Permission denied"),
    ("exec /\n", "unable to execute: Permission denied"),
    ("chdir /nonexistent\nexec true\n", "unable to change working directory: No such file or directory"),
    ("setuid no-such-user\nexec true\n", None),
    ("chroot /nonexistent\nexec /bin/true\n", None),
    ("limit nofile 5 4\nexec true\n", None),
])
def test_bad_commands(launch: Launch, text: str, reason: str) -> None:
    daemon = launch({"j.conf": text, "good.conf": "exec sleep 1000\n"})
    with pytest.raises(Failed) as caught:
        daemon.start("j")
    assert (caught.value.name, caught.value.text) == (E + "JobFailed", "Job failed to start")
    warned = f"init: Failed to spawn j main process: {reason or ''}"
    assert warned in daemon.errors
    assert daemon.instances("j") == {}
    daemon.start("good")


def test_shell_syntax_error_is_the_shell_s_business(launch: Launch) -> None:
    daemon = launch({"j.conf": "task\nscript\nif then (\nend script\n"})
    with pytest.raises(Failed):
        daemon.start("j")
    daemon.wait_errors("init: j main process (")
    assert "ntax error" in daemon.job_log("j")


def test_bad_calls_are_refused_and_change_nothing(launch: Launch) -> None:
    daemon = launch({"j.conf": "instance $N\nexec sleep 1000\n"})
    job = daemon.job("j")
    assert refused(daemon, MANAGER, U, "NoSuchMethod") == (
        F + "UnknownMethod", f'Method "NoSuchMethod" with signature "" on interface "{U}" doesn\'t exist\n')
    assert refused(daemon, "/nowhere", U, "GetAllJobs")[0] == F + "UnknownMethod"
    assert refused(daemon, MANAGER, "no.such.Interface", "GetAllJobs")[0] == F + "UnknownMethod"
    assert refused(daemon, MANAGER, U, "GetJobByName") == (F + "InvalidArgs", "Invalid arguments to GetJobByName method")
    assert refused(daemon, MANAGER, U, "GetJobByName", "i", 7)[0] == F + "InvalidArgs"
    assert refused(daemon, MANAGER, U, "GetJobByName", "s", "") == (F + "InvalidArgs", "Name may not be empty string")
    assert refused(daemon, MANAGER, U, "GetJobByName", "s", "none") == (E + "UnknownJob", "Unknown job: none")
    assert refused(daemon, MANAGER, U, "EmitEvent", "sas", "e", []) == (F + "InvalidArgs", "Invalid arguments to EmitEvent method")
    assert refused(daemon, MANAGER, U, "EmitEvent", "sasb", "", [], False) == (F + "InvalidArgs", "Name may not be empty string")
    assert refused(daemon, MANAGER, U, "EmitEvent", "sasb", "e", ["novalue"], False) == (F + "InvalidArgs", "Env must be KEY=VALUE pairs")
    assert refused(daemon, job, JOB, "Start", "asb", ["novalue"], False)[0] == F + "InvalidArgs"
    assert refused(daemon, job, JOB, "Start", "asb", [], False)[0].startswith((E, F))
    assert refused(daemon, job, JOB, "Stop", "asb", ["N=1"], False)[0] == E + "UnknownInstance"
    assert refused(daemon, job, JOB, "GetInstanceByName", "s", "none")[0] == E + "UnknownInstance"
    assert refused(daemon, job + "/none", INSTANCE, "Start", "b", True)[0] == F + "UnknownMethod"
    assert refused(daemon, MANAGER, PROPERTIES, "Get", "ss", U, "none")[0] == F + "UnknownMethod"
    assert refused(daemon, MANAGER, PROPERTIES, "Set", "ssv", U, "version", "x")[0] == F + "AccessDenied"
    assert refused(daemon, MANAGER, PROPERTIES, "Set", "ssv", U, "log_priority", 5)[0] == F + "InvalidArgs"
    assert refused(daemon, MANAGER, U, "NotifyDBusAddress", "s", "nonsense")[0].startswith(F)
    assert refused(daemon, MANAGER, U, "GetEnv", "ass", ["none"], "X")[0] == E + "UnknownJob"
    assert daemon.instances("j") == {}
    daemon.start("j", "N=1")
    assert daemon.running("j", "1")


def test_strange_names_and_values(launch: Launch) -> None:
    daemon = launch({"café.conf": "start on große-änderung\nexec sh -c 'echo $V; exec sleep 1000'\n", "raw.conf": "exec true\n",
                     "i.conf": "instance $N\nexec sleep 1000\n"})
    os.rename(daemon.conf / "raw.conf", os.fsencode(daemon.conf) + b"/\xff\xfe.conf")
    daemon.emit("große-änderung", "V=\u00fcber=\n two")
    daemon.wait_running("café")
    daemon.wait_job_log("café", "über= two\n")
    for name in ("", "a/b", "../../etc/x", "ö", "a b", "x" * 240):
        daemon.start("i", f"N={name}")
        assert daemon.running("i", name)
    daemon.emit("x" * 100_000, *(f"V{number}=" + "y" * 1000 for number in range(300)))
    assert set(os.listdir(daemon.logs.parent)) <= {"conf", "log", "run", "stdout", "stderr"}
    assert daemon.initctl("list")[0] == 0


def test_garbage_on_the_socket(launch: Launch) -> None:
    daemon = launch({"j.conf": "exec sleep 1000\n"})
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100_000, b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n" + b"\xff" * 10_000):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect("\0" + daemon.address.partition("=")[2])
            try:
                stranger.sendall(garbage)
            except OSError:
                pass
    daemon.start("j")
    assert daemon.errors == ""

"""X261, row by row: what a job gets, and that it works as it does without systemd."""
from __future__ import annotations

import os
import signal
from typing import Optional

import pytest
from dbus.types import UnixFd

from tests.daemon.running import MANAGER, U, alive, eventually, process_status
from tests.systemd.upstart import Process, Upstart, shown, systemctl, unit_of, units

FORKING = "import os, time\nfor _ in range({}):\n    if os.fork(): os._exit(0)\ntime.sleep(1000)"


def placed(upstart: Upstart, name: str) -> Optional[str]:
    """service, scope, or None for no unit of ours; it has its name, and is in the slice."""
    unit = unit_of(upstart.main(name).pid)
    if not unit.startswith("upstart-"):
        return None
    base, _, kind = unit.rpartition(".")
    assert base == f"upstart-{name}-main"
    assert shown(unit, "Slice") == "upstart.slice"
    assert systemctl("is-active", unit)[1] == "active\n"
    return kind


_KINDS = {
    "plain": ("", "service"), "none": ("console none", "service"), "log": ("console log", "service"),
    "output": ("console output", "scope"), "chroot": ("chroot /", "service"), "setuid": ("setuid nobody", "service"),
    "chroot.setuid": ("chroot /\nsetuid nobody", "scope"), "chroot.setgid": ("chroot /\nsetgid daemon", "scope"),
    "respawn": ("respawn", "service"), "task": ("task", "service"), "not.debug": ("debug", "service"), "cgroup": ("cgroup cpu", "service")}


@pytest.mark.parametrize("name", sorted(_KINDS))
def test_x261_kinds(upstart: Upstart, name: str) -> None:
    text, kind = _KINDS[name]
    upstart.define(name, f"{text}\nexec sleep 1000")
    upstart.start(name, wait="task" not in text)
    eventually(lambda: upstart.pid_of(name, "main"))
    assert placed(upstart, name) == kind
    pid = upstart.main(name).pid
    assert process_status(pid, "PPid") == ("1" if kind == "service" else str(upstart.pid)), "ppid 1"
    upstart.stop(name)
    assert not alive(pid)
    eventually(lambda: not units(f"upstart-{name}-*"))


def test_x261_console_owner(upstart: Upstart) -> None:
    """There is no terminal here to own: the text is the launcher's own, and nothing is left."""
    upstart.define("owner", "console owner\nexec sleep 1000")
    code, _, errors = upstart.initctl("start", "owner")
    if code == 0:
        assert placed(upstart, "owner") == "scope"
        upstart.stop("owner")
    else:
        assert errors == "initctl: Job failed to start\n"
    eventually(lambda: not units("upstart-owner-*"))


def test_x261_descriptors_of_an_event(upstart: Upstart) -> None:
    upstart.define("given", "start on file\nexec sh -c 'cat /proc/self/fd/$UPSTART_FDS; exec sleep 1000'")
    reader, writer = os.pipe()
    os.write(writer, b"through the descriptor\n")
    os.close(writer)
    upstart.client.call(MANAGER, U, "EmitEventWithFile", "sasbh", "file", [], False, UnixFd(reader))
    os.close(reader)
    upstart.wait_job_log("given", "through the descriptor\n")
    upstart.wait_running("given")
    assert placed(upstart, "given") == "scope"
    upstart.stop("given")


@pytest.mark.parametrize("expect, forks", [("fork", 1), ("daemon", 2)])
def test_x261_forks(upstart: Upstart, expect: str, forks: int) -> None:
    """Exact, though the specification's table says otherwise of services: systemd is told of each main process."""
    program = upstart.directory / f"{expect}.py"
    program.write_text(FORKING.format(forks))
    upstart.define(expect, f"expect {expect}\nexec python3 {program}")
    upstart.start(expect)
    assert placed(upstart, expect) == "service"
    pid = upstart.main(expect).pid
    assert shown(f"upstart-{expect}-main.service", "MainPID") == str(pid)
    upstart.stop(expect)
    assert not alive(pid)


@pytest.mark.parametrize("kind, text", [("service", ""), ("scope", "console output")])
def test_x261_group_kill_and_reload(upstart: Upstart, kind: str, text: str) -> None:
    name, trace = f"signals.{kind}", upstart.directory / f"signals.{kind}"
    script = (f"trap 'echo main HUP >> {trace}' HUP; trap 'exit 0' TERM; "
              f"(trap 'echo child HUP >> {trace}' HUP; trap 'echo child TERM >> {trace}; exit' TERM; echo ready >> {trace}; "
              "while :; do sleep 0.05; done) & while :; do sleep 0.05; done")
    upstart.define(name, f"{text}\nexec sh -c \"{script}\"")
    upstart.start(name)
    assert placed(upstart, name) == kind
    eventually(lambda: trace.exists())
    assert upstart.initctl("reload", name) == (0, "", "")
    eventually(lambda: "main HUP\n" in trace.read_text())
    upstart.stop(name)
    eventually(lambda: "child TERM\n" in trace.read_text())
    assert "child HUP" not in trace.read_text(), "a reload is for the main process alone (X102)"


@pytest.mark.parametrize("kind, text", [("service", ""), ("scope", "console output")])
def test_x261_visible_and_accounted(upstart: Upstart, kind: str, text: str) -> None:
    name = f"visible.{kind}"
    upstart.define(name, f"description \"can be seen\"\n{text}\nexec sleep 1000")
    upstart.start(name)
    pid = upstart.main(name).pid
    assert upstart.main(name).arguments == [b"sleep", b"1000"]
    status = systemctl("status", f"upstart-{name}-main.{kind}")[1]
    assert f"{name}: can be seen" in status and f"{pid} sleep 1000" in status
    assert f"upstart-{name}-main.{kind}" in systemctl("status", "upstart.slice")[1]
    assert int(shown(f"upstart-{name}-main.{kind}", "CPUUsageNSec")) > 0
    upstart.stop(name)


@pytest.mark.parametrize("kind, text", [("service", ""), ("scope", "console output")])
def test_x252_x257_a_stop_by_systemctl_is_a_stop_of_the_job(upstart: Upstart, kind: str, text: str) -> None:
    """Checklist 105: pre-stop runs, nothing respawns, nothing failed."""
    name, trace = f"stopped.{kind}", upstart.directory / f"stopped.{kind}"
    upstart.define(name, f"respawn\n{text}\npre-stop exec sh -c 'echo pre-stop $UPSTART_STOP_EVENTS >> {trace}'\n"
                         f"post-stop exec sh -c 'echo post-stop >> {trace}'\nexec sleep 1000")
    upstart.define(f"{name}.after", f"task\nstart on stopped {name}\nexec sh -c 'echo $RESULT $PROCESS >> {trace}'")
    upstart.start(name)
    pid = upstart.main(name).pid
    assert placed(upstart, name) == kind
    done = systemctl("stop", f"upstart-{name}-main.{kind}")
    assert done[0] == 0, done
    upstart.wait_stopped(name)
    eventually(lambda: trace.read_text().splitlines()[-1:] == ["ok"], trace.read_text)
    assert trace.read_text().splitlines() == ["pre-stop", "post-stop", "ok"]
    assert not alive(pid)
    eventually(lambda: not units(f"upstart-{name}-*"))
    upstart.start(name)
    assert placed(upstart, name) == kind and upstart.main(name).pid != pid
    upstart.stop(name)


@pytest.mark.parametrize("kind, text", [("service", ""), ("scope", "console output")])
def test_x253_x255_a_child_with_a_session_of_its_own_survives_a_stop(upstart: Upstart, kind: str, text: str) -> None:
    """Checklist 106: it stays in the unit's cgroup; the job is waiting, and can be started again, with another unit.

    A stop of the first unit is none of the job by then.
    """
    name, file = f"left.{kind}", upstart.directory / f"left.{kind}"
    upstart.define(name, f"{text}\nexec sh -c 'setsid sh -c \"echo \\$\\$ > {file}; exec sleep 1001\" & exec sleep 1000'")
    upstart.start(name)
    first = unit_of(upstart.main(name).pid)
    child = int(eventually(lambda: file.exists() and file.read_text().strip()))
    eventually(lambda: Process(child).arguments == [b"sleep", b"1001"])
    upstart.stop(name)
    assert alive(child) and unit_of(child) == first
    file.unlink()
    upstart.start(name)
    second = unit_of(upstart.main(name).pid)
    other = int(eventually(lambda: file.exists() and file.read_text().strip()))
    eventually(lambda: Process(other).arguments == [b"sleep", b"1001"])
    assert (first, second) == (f"upstart-{name}-main.{kind}", f"upstart-{name}-main-2.{kind}")
    for unit in (first, second):
        assert systemctl("stop", "--no-block", unit)[0] == 0
    upstart.wait_stopped(name)
    assert upstart.output.count(f"{name} is stopped by systemd") == 1
    assert alive(child) and alive(other)
    for pid in (child, other):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not units(f"upstart-{name}-*"), units)


def test_x254_a_job_without_a_main_process_has_no_unit(upstart: Upstart) -> None:
    upstart.define("abstract", "env A=1")
    upstart.start("abstract")
    assert not units("upstart-abstract*") and upstart.running("abstract")
    upstart.stop("abstract")

"""Kill -9 of the daemon, with real processes: jobs go on, and the next daemon goes on with them (B204, X260).

``BACKENDS`` says how a daemon is launched that uses one; what is said here holds for each.
"""
from __future__ import annotations

import os
import pathlib
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dbus.exceptions import DBusException

from .running import Daemon, Failed, alive, destroy_all, eventually

Launch = Callable[..., Daemon]

Settings = dict[str, Any]
BACKENDS: dict[str, Settings] = {"native": {"options": ("--backend", "native")}}
MORTAL = ("-m", "tests.daemon.mortal_daemon")
#: Values of ``expect``, and scripts that do what they say.
EXPECTS = {
    "none": "echo main $$ >> trace\nexec sleep 1000",
    "stop": "echo main $$ >> trace\nkill -STOP $$\nexec sleep 1000"}
#: What is to run, once each. A script may be quicker than the main process that was there before it.
START = sorted(["pre-start", "main", "post-start"])
COURSE = sorted([*START, "pre-stop", "post-stop"])

_YAMA = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
needs_trace = pytest.mark.skipif(
    os.getuid() != 0 and _YAMA.exists() and int(_YAMA.read_text()) > 0, reason="this user may trace nothing but children")


def job(expect: str, directory: pathlib.Path) -> str:
    """Every process notes that it runs. A script then waits for a daemon that knows of that, and lives to see how it ends."""
    scripts = [
        f"{stage} exec sh -c 'echo {stage} $$ >> trace; until test -e /proc/$(cat go.$$ 2>&-)/exe; do sleep 0.01; done'"
        for stage in ("pre-start", "post-start", "pre-stop", "post-stop")]
    main = ["script", EXPECTS[expect], "end script"]
    if expect != "none":
        main.append(f"expect {expect}")
    return "\n".join(["start on startup", "console none", f"chdir {directory}", *scripts, *main, ""])


def stages(daemon: Daemon) -> list[str]:
    """What ran."""
    path = daemon.directory / "trace"
    return sorted(line.split()[0] for line in path.read_text().splitlines()) if path.exists() else []


def mains(daemon: Daemon) -> list[int]:
    """The pids of all main processes that there ever were."""
    return [int(line.split()[1]) for line in (daemon.directory / "trace").read_text().splitlines() if line.startswith("main ")]


def kill(daemon: Daemon) -> None:
    daemon.process.kill()
    daemon.process.wait()


def again(launch: Launch, dead: Daemon, **settings: Any) -> Daemon:
    """A new daemon in the place of one that is dead."""
    dead.process.wait()
    return launch(None, directory=dead.directory, **settings)


class Course:
    """The course of one job under a daemon that dies at a step, and under the one after it."""

    def __init__(self, launch: Launch, directory: pathlib.Path, settings: Settings, expect: str, armed: str) -> None:
        self.launch = launch
        self.directory = directory
        self.settings = settings
        self.expect = expect
        self.armed = armed

    def steps(self) -> int:
        """How many there are when nobody dies."""
        daemon = self.first(0)
        self.stop(daemon)
        count = (self.directory / "steps").stat().st_size
        assert count > 10 and stages(daemon) == COURSE
        self.clean(daemon)
        return count

    def first(self, step: int) -> Daemon:
        """A daemon that dies at a step; the job runs, or the daemon is dead."""
        self.directory.mkdir()
        if self.armed == "start":
            (self.directory / "armed").touch()
        daemon = self.launch({"j.conf": job(self.expect, self.directory)}, python=MORTAL, directory=self.directory, wait=False,
                             environment={"MORTAL_STEP": str(step)}, **self.settings)

        def settled() -> bool:
            return daemon.process.poll() is not None or self.try_to(lambda: daemon.running("j"))

        eventually(settled, daemon.log)
        if self.armed == "start":
            (self.directory / "armed").unlink()
        return daemon

    def stop(self, daemon: Daemon) -> None:
        """Stop the job; it is stopped, or the daemon is dead."""
        if self.armed == "stop":
            (self.directory / "armed").touch()
        self.try_to(lambda: daemon.stop("j"))
        eventually(lambda: daemon.process.poll() is not None or self.try_to(lambda: not daemon.instances("j")), daemon.log)
        (self.directory / "armed").unlink(missing_ok=True)

    def wait_for(self, daemon: Daemon, wanted: list[str]) -> None:
        """Until exactly these stages ran."""
        eventually(lambda: stages(daemon) == wanted, lambda: f"{wanted}, but {stages(daemon)}{daemon.log()}")

    def try_to(self, what: Callable[[], Any]) -> Any:
        """What becomes of a call to a daemon that may be dead."""
        try:
            return what()
        except (DBusException, Failed):
            return None

    def clean(self, *daemons: Daemon) -> None:
        destroy_all(daemons)
        shutil.rmtree(self.directory)


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Iterator[Settings]:
    yield BACKENDS[request.param]


@needs_trace
@pytest.mark.parametrize("expect", sorted(EXPECTS))
def test_b204_killed_at_every_step_of_a_start(launch: Launch, place: pathlib.Path, backend: Settings, expect: str) -> None:
    course = Course(launch, place / "course", backend, expect, "start")
    for step in range(1, course.steps() + 1):
        first = course.first(step)
        if first.process.poll() is None:
            course.clean(first)
            break
        second = again(launch, first, **backend, python=MORTAL)
        second.wait_running("j")
        course.wait_for(second, START)
        assert second.main_pid("j") == mains(second)[0] and alive(second.main_pid("j"))
        second.stop("j")
        second.wait_stopped("j")
        assert stages(second) == COURSE, (step, second.log())
        assert not alive(mains(second)[0])
        course.clean(first, second)


@needs_trace
@pytest.mark.parametrize("expect", ["none"])
def test_b204_killed_at_every_step_of_a_stop(launch: Launch, place: pathlib.Path, backend: Settings, expect: str) -> None:
    course = Course(launch, place / "course", backend, expect, "stop")
    for step in range(1, course.steps() + 1):
        first = course.first(step)
        course.stop(first)
        if first.process.poll() is None:
            course.clean(first)
            break
        second = again(launch, first, **backend, python=MORTAL)
        if second.instances("j").get("", ("stop", ""))[0] == "start":
            assert stages(second) == START, "the stop was not on record yet, and so nothing of it was done"
            second.stop("j")
        second.wait_stopped("j")
        assert stages(second) == COURSE, (step, second.log())
        assert not alive(mains(second)[0])
        course.clean(first, second)


def test_x260_running_instances_are_adopted(launch: Launch, backend: Settings) -> None:
    first = launch({"web.conf": "instance $ID\nexec sleep 1000\n"}, **backend)
    first.start("web", "ID=1", "EXTRA=two words")
    first.start("web", "ID=2")
    pids = [first.main_pid("web", "1"), first.main_pid("web", "2")]
    kill(first)
    assert all(map(alive, pids))
    second = again(launch, first, **backend)
    assert second.instances("web") == {"1": ("start", "running"), "2": ("start", "running")}
    assert [second.main_pid("web", "1"), second.main_pid("web", "2")] == pids
    assert second.errors == ""
    second.stop("web", "ID=1")
    assert not alive(pids[0]) and alive(pids[1])
    os.kill(pids[1], signal.SIGKILL)
    second.wait_stopped("web")


def test_x260_ends_that_nobody_saw(launch: Launch, backend: Settings) -> None:
    first = launch({"service.conf": "respawn\nexec sleep 1000\n", "plain.conf": "exec sleep 1000\n", "follower.conf": (
        "task\nstart on stopped plain RESULT=failed PROCESS=main\nexec sh -c 'echo status:$EXIT_STATUS$EXIT_SIGNAL; env'\n")}, **backend)
    for name in ("service", "plain"):
        first.start(name)
    pids = [first.main_pid(name) for name in ("service", "plain")]
    kill(first)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(map(alive, pids)))
    second = again(launch, first, **backend)
    second.wait_running("service")
    assert second.main_pid("service") not in pids
    second.wait_stopped("plain")
    second.wait_job_log("follower", "status:\n")


def test_x260_a_respawning_service_that_ends_after_the_crash(launch: Launch, backend: Settings) -> None:
    first = launch({"service.conf": "respawn\nrespawn limit 3 60\nexec sleep 1000\n"}, **backend)
    first.start("service")
    pid = first.main_pid("service")
    kill(first)
    second = again(launch, first, **backend)
    assert second.main_pid("service") == pid
    os.kill(pid, signal.SIGTERM)
    second.wait_respawned("service", pid)
    second.stop("service")
    second.wait_stopped("service")


def test_b204_nothing_is_emitted_again(launch: Launch, backend: Settings) -> None:
    jobs = {"once.conf": "task\nstart on startup\nexec echo once\n", "later.conf": "start on a and b\nexec sleep 1000\n"}
    first = launch(jobs, **backend)
    first.wait_job_log("once", "once\n")
    first.wait_stopped("once")
    first.emit("a", wait=False)
    kill(first)
    second = again(launch, first, **backend)
    second.emit("b")
    second.wait_running("later")
    assert second.job_log("once") == "once\n"


def test_b204_an_orderly_end_leaves_nothing_behind(launch: Launch, backend: Settings) -> None:
    first = launch({"j.conf": "start on startup\nconsole none\nexec sleep 1000\n"}, **backend)
    first.wait_running("j")
    assert first.terminate() == 0
    assert list(first.runtime.rglob("*.json")) == []
    second = again(launch, first, **backend)
    second.wait_running("j")


def test_d121_a_job_keeps_the_definition_that_it_was_started_with(launch: Launch, backend: Settings) -> None:
    first = launch({"j.conf": "console none\nexec sleep 1000\n", "gone.conf": "console none\nexec sleep 1000\n"}, **backend)
    for name in ("j", "gone"):
        first.start(name)
    pid = first.main_pid("j")
    kill(first)
    first.write("j.conf", "console none\nexec sleep 2000\n")
    (first.conf / "gone.conf").unlink()
    second = again(launch, first, **backend)
    second.restart("j")
    second.wait_respawned("j", pid)
    eventually(lambda: pathlib.Path(f"/proc/{second.main_pid('j')}/cmdline").read_bytes() == b"sleep\x001000\0")
    second.stop("j")
    second.stop("gone")
    second.wait_unknown("gone")
    second.start("j")
    eventually(lambda: pathlib.Path(f"/proc/{second.main_pid('j')}/cmdline").read_bytes() == b"sleep\x002000\0")


def test_b204_set_env_outlives_the_daemon(launch: Launch, backend: Settings) -> None:
    first = launch({}, **backend)
    assert first.initctl("set-env", "--global", "COLOUR=red")[0] == 0
    kill(first)
    second = again(launch, first, **backend)
    assert second.initctl("get-env", "--global", "COLOUR")[1] == "red\n"


def test_a_damaged_journal_costs_what_is_damaged(launch: Launch, backend: Settings) -> None:
    first = launch({"a.conf": "console none\nexec sleep 1000\n", "b.conf": "console none\nexec sleep 1000\n"}, **backend)
    first.start("a")
    first.start("b")
    pid = first.main_pid("a")
    kill(first)
    [path] = first.runtime.rglob("*.json")
    content = path.read_bytes()
    path.write_bytes(content + content.splitlines()[-1][:-20])
    second = again(launch, first, **backend)
    assert second.main_pid("a") == pid and second.running("b")
    assert second.errors.count("the rest is used, kept as") == 1
    assert path.with_name(path.name + ".damaged").exists()


@pytest.mark.parametrize("when", ["before", "after"])
def test_x260_a_daemon_that_forks_while_nobody_follows_it(launch: Launch, place: pathlib.Path, backend: Settings, when: str) -> None:
    """Before the next daemon comes, or after."""
    # Nothing in it forks but what is meant to.
    script = "echo $$ > parent\nread line < go\nsh -c 'echo $$ > new; mv new child; exec sleep 1000' &"
    directory = place / "forking"
    jobs = {"d.conf": f"console none\nchdir {directory}\nrespawn\nexpect fork\nscript\n{script}\nend script\n"}
    first = launch(jobs, directory=directory, **backend)
    os.mkfifo(first.directory / "go")
    first.start("d", wait=False)
    eventually(lambda: (first.directory / "parent").exists() and (first.directory / "parent").read_text())
    assert first.instances("d") == {"": ("start", "spawned")}
    kill(first)
    if when == "before":
        (first.directory / "go").write_text("go\n")
        eventually((first.directory / "child").exists)
    second = again(launch, first, **backend)
    if when == "after":
        (first.directory / "go").write_text("go\n")
    second.wait_running("d")
    child = int((first.directory / "child").read_text())
    assert second.main_pid("d") == child and alive(child)
    second.stop("d")
    second.wait_stopped("d")
    assert not alive(child)

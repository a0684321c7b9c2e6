"""A re-exec of a daemon whose jobs have outlived the crash of one before it (X260, D208, D229)."""
from __future__ import annotations

import os
import pathlib
from typing import Any

import pytest

from tests.daemon.running import alive, eventually
from tests.daemon.test_crash import BACKENDS, Launch, Settings, again, kill, needs_trace
from tests.reexec.re_executing import lines, re_execute
from tests.reexec.test_cases import SLEEP, WAIT


@pytest.fixture
def backend() -> Settings:
    return BACKENDS["native"]


@needs_trace
def test_x260_adopted_processes_end_as_they_did(launch: Launch, place: pathlib.Path, backend: Settings) -> None:
    go, seen = place / "go", place / "seen"
    first = launch({
        "plain.conf": SLEEP, "dies.conf": "respawn\n" + SLEEP, "task.conf": f"task\nscript\n{WAIT % go}\nexit 3\nend script\n",
        "pre.conf": f"pre-start script\n{WAIT % go}\nend script\n{SLEEP}",
        "seen.conf": f"task\nstart on stopped JOB=task\nscript\necho $RESULT:$EXIT_STATUS >> {seen}\nend script\n"}, **backend)
    for name in ("plain", "dies", "task", "pre"):
        first.start(name, wait=name in ("plain", "dies"))
    eventually(lambda: first.instances("task") == {"": ("start", "running")} and first.instances("pre") == {"": ("start", "pre-start")})
    pids = {name: first.main_pid(name) for name in ("plain", "dies", "task")}
    kill(first)
    second = again(launch, first, **backend)
    for _ in range(3):
        re_execute(second)
    assert {name: second.main_pid(name) for name in pids} == pids
    go.touch()
    os.kill(pids["dies"], 9)
    eventually(lambda: lines(seen) == ["failed:3"], second.log)
    second.wait_running("pre")
    second.wait_respawned("dies", pids["dies"])
    second.stop("plain")
    assert not alive(pids["plain"])


@pytest.mark.parametrize("when", ["before", "just before", "after"])
def test_x260_a_fork_that_is_still_to_come(launch: Launch, place: pathlib.Path, backend: Any, when: str) -> None:
    directory = place / "forking"
    script = "echo $$ > parent\nread line < go\nsh -c 'echo $$ > new; mv new child; exec sleep 1000' &"
    text = f"console none\nchdir {directory}\nrespawn\nexpect fork\nscript\n{script}\nend script\n"
    first = launch({"d.conf": text}, directory=directory, **backend)
    os.mkfifo(directory / "go")
    first.start("d", wait=False)
    eventually(lambda: (directory / "parent").exists() and (directory / "parent").read_text())
    kill(first)
    second = again(launch, first, **backend)
    assert second.instances("d") == {"": ("start", "spawned")}
    if when == "before":
        re_execute(second)
    if when != "after":
        (directory / "go").write_text("go\n")
        eventually((directory / "child").exists)
    re_execute(second)
    if when == "after":
        re_execute(second)
        assert second.instances("d") == {"": ("start", "spawned")}
        (directory / "go").write_text("go\n")
    second.wait_running("d")
    child = int((directory / "child").read_text())
    assert second.main_pid("d") == child and alive(child)
    re_execute(second)
    assert second.main_pid("d") == child
    os.kill(child, 9)
    eventually(lambda: second.main_pid("d") != child)

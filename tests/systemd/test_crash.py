"""Kill -9 of the daemon at every step, and what the next one makes of it, with transient units (B204, X260)."""
from __future__ import annotations

import pathlib

import pytest

from tests.daemon import test_crash as crash
from tests.daemon.running import alive
from tests.systemd.conftest import Launch
from tests.systemd.upstart import SYSTEMD


@pytest.fixture
def backend() -> crash.Settings:
    """In place of the parameters there; the tests are the same.

    Without units for systemctl: asking systemd for these takes steps at any time, and a script that ends while a daemon dies
    at one of them has a status that nobody can know (X260).
    """
    return {"options": (*SYSTEMD, "--expose-units", "no")}


#: What is otherwise with units, and stands in test_daemons.py.
_NATIVE_ONLY = ("test_x260_ends_that_nobody_saw",)

#: Main processes that fork: as often as they are expected to, and then say who they are.
_MAIN = "echo main $$ >> trace; exec sleep 1000"
_FORKING = {"fork": f"sh -c '{_MAIN}' &", "daemon": f"(sh -c '{_MAIN}' &) &"}


@pytest.mark.parametrize("expect", sorted(_FORKING))
def test_b204_killed_at_every_step_of_a_start_with_forks(
        launch: Launch, place: pathlib.Path, backend: crash.Settings, monkeypatch: pytest.MonkeyPatch, expect: str) -> None:
    """What is not followed any more is found by its environment. It is one process, whenever the daemon died."""
    monkeypatch.setitem(crash.EXPECTS, expect, _FORKING[expect])
    course = crash.Course(launch, place / "course", backend, expect, "start")
    for step in range(1, course.steps() + 1):
        first = course.first(step)
        if first.process.poll() is None:
            course.clean(first)
            break
        second = crash.again(launch, first, **backend, python=crash.MORTAL)
        second.wait_running("j")
        course.wait_for(second, crash.START)
        assert [second.main_pid("j")] == crash.mains(second) and alive(second.main_pid("j")), step
        second.stop("j")
        second.wait_stopped("j")
        assert crash.stages(second) == crash.COURSE, (step, second.log())
        assert not alive(crash.mains(second)[0])
        course.clean(first, second)


for _name, _value in vars(crash).items():
    if _name.startswith("test_") and _name not in _NATIVE_ONLY:
        globals()[_name] = _value

"""Units of jobs that systemd did not start (C.5)."""
from __future__ import annotations

import errno
import pathlib

import pytest

from compat.backends.systemd_connection import SystemdError
from compat.units.expected_start import ExpectedStart
from compat.units.shown_jobs import ShownJobs
from compat.units.unit_folder import UnitFolder
from compat.units.unit_starts import UnitStarts
from tests.units.asking import FakeManager, Machine

SERVICE = "exec sleep 100"


class Shown(Machine):
    """With unit files in a folder, and units that are started."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__()
        self.manager = FakeManager(self)
        self.shown = ShownJobs(self.engine, self.manager, UnitFolder(str(folder)), self._log, "/l", "/s",  # type: ignore[arg-type]
                               self.requests.let_go)
        self.starts = UnitStarts(self.engine, self.manager, self.shown, self.requests, self, self._log,  # type: ignore[arg-type]
                                 lambda: self.now, ExpectedStart(str(folder / "expected")))
        self.listeners.append(self.starts.announced)
        self.turns = 0

    def later(self, seconds: float, callback: object) -> None:
        self.turns += 1
        self._later(seconds, callback)  # type: ignore[arg-type]

    def job(self, name: str, text: str = SERVICE) -> None:
        self.define(name, text)
        self.shown.compare()


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Shown:
    return Shown(tmp_path)


def test_the_unit_is_started_a_moment_after_the_job(machine: Shown) -> None:
    machine.job("web")
    machine.start("web")
    assert machine.manager.started == []
    machine.advance(0.1)
    assert machine.manager.started == ["web.service"] and machine.manager.mains["web.service"].told == ["r"]
    machine.stop("web")
    assert machine.manager.mains["web.service"].told == ["r", "d"]
    machine.advance(60)
    assert machine.manager.started == ["web.service"]


def test_b204_a_start_that_a_daemon_before_has_begun_is_no_request(tmp_path: pathlib.Path) -> None:
    dead = Shown(tmp_path)
    dead.job("task", "task\nexec t")
    dead.start("task", wait=False)
    dead.manager.start = lambda unit: None  # type: ignore[method-assign]
    dead.advance(0.1)
    # It dies before the unit's process has asked, and the task ends.
    machine = Shown(tmp_path)
    machine.job("task", "task\nexec t")
    machine.starts.take_over()
    asker = machine.ask("start", "task.service")
    assert machine.status("task") == "task stop/waiting" and asker.told == ["d"]
    # The next one is somebody's.
    machine.ask("start", "task.service")
    assert machine.status("task").startswith("task start/running")
    assert not (tmp_path / "expected").exists()


def test_b204_a_process_that_does_not_ask_is_not_expected_for_ever(tmp_path: pathlib.Path) -> None:
    ExpectedStart(str(tmp_path / "expected")).note("task")
    machine = Shown(tmp_path)
    machine.job("task", "task\nexec t")
    machine.starts.take_over()
    machine.advance(6)
    assert not (tmp_path / "expected").exists()
    machine.ask("start", "task.service")
    assert machine.status("task").startswith("task start/running")


def test_a_note_that_cannot_be_kept_is_none(tmp_path: pathlib.Path) -> None:
    note = ExpectedStart(str(tmp_path / "nowhere" / "expected"))
    note.note("web")
    note.clear()
    assert note.left() is None


def test_one_after_the_other_and_not_while_jobs_begin(machine: Shown) -> None:
    for number in range(20):
        machine.job(f"j{number}")
    for number in range(20):
        machine.start(f"j{number}")
        machine.advance(0.015)
    assert machine.manager.started == [], "0.3 s without a pause of 20 ms"
    machine.advance(1)
    assert sorted(machine.manager.started) == sorted(f"j{number}.service" for number in range(20))


def test_it_is_not_put_off_for_ever(machine: Shown) -> None:
    machine.job("web")
    machine.job("busy", "task\nexec t")
    machine.start("web")
    for _ in range(300):
        machine.start("busy", wait=False)
        machine.advance(0.005)
        machine.process("busy").exit()
        machine.advance(0.005)
    assert "web.service" in machine.manager.started


def test_a_job_that_is_over_meanwhile(machine: Shown) -> None:
    machine.job("web")
    machine.start("web")
    machine.stop("web")
    machine.advance(1)
    assert machine.manager.started == []


def test_a_job_that_ends_while_its_unit_starts(machine: Shown) -> None:
    machine.job("web")
    machine.start("web")
    machine.advance(0.0205)
    assert machine.manager.started == ["web.service"] and not machine.manager.mains
    machine.stop("web")
    machine.advance(1)
    assert machine.manager.mains["web.service"].told == ["d"] and machine.status("web") == "web stop/waiting"


def test_what_systemd_started_is_left_alone(machine: Shown) -> None:
    machine.job("web")
    machine.ask("start", "web")
    machine.advance(1)
    assert machine.manager.started == []


@pytest.mark.parametrize("state", ["activating", "deactivating", "active"])
def test_what_somebody_else_does_with_the_unit_is_waited_for(machine: Shown, state: str) -> None:
    machine.job("web")
    machine.manager.states["web.service"] = state
    machine.start("web")
    machine.advance(1)
    assert machine.manager.started == []
    del machine.manager.states["web.service"]
    machine.advance(1)
    assert machine.manager.started == ["web.service"]


def test_a_contradiction_is_tried_again(machine: Shown) -> None:
    machine.job("web")
    machine.manager.error = SystemdError(errno.EDEADLK, "Transaction contains conflicting jobs")
    machine.start("web")
    machine.advance(1)
    assert len(machine.manager.started) > 1
    machine.manager.error = None
    machine.advance(1)
    assert machine.manager.mains["web.service"].told == ["r"]


def test_attempts_end(machine: Shown) -> None:
    machine.job("web")
    machine.manager.error = SystemdError(errno.EBUSY, "busy")
    machine.start("web")
    machine.advance(100)
    turns = machine.turns
    machine.advance(100)
    assert machine.turns == turns, "idle means that nothing wakes up"


def test_other_errors_are_told_once(machine: Shown) -> None:
    machine.job("web")
    machine.job("db")
    machine.manager.error = SystemdError(errno.ERFKILL, "Unit web.service is masked.")
    machine.start("web")
    machine.advance(10)
    assert machine.lines("I").count("web.service cannot be started: Unit web.service is masked.") == 1
    machine.manager.error = None
    machine.start("db")
    machine.advance(1)
    assert machine.manager.started[-1] == "db.service", "and the next one has its turn"


def test_a_unit_that_does_not_ask(machine: Shown) -> None:
    machine.job("web")
    machine.job("db")
    machine.manager.mute = True
    machine.start("web")
    machine.start("db")
    machine.advance(1)
    machine.manager.mute = False
    machine.advance(10)
    assert machine.manager.started == ["web.service", "db.service"]
    assert "The unit of web does not start" in machine.lines("I")
    assert machine.manager.mains["db.service"].told == ["r"]
    machine.stop("web")
    assert machine.ask("start", "web").told == ["r"], "no start is taken for the one that never came"


def test_not_while_the_host_goes_down(machine: Shown) -> None:
    machine.job("web")
    machine.manager.going_down = True
    machine.start("web")
    machine.advance(100)
    assert machine.manager.started == []


def test_not_while_systemd_is_away_and_then_all(machine: Shown) -> None:
    for name in ("web", "db", "idle"):
        machine.job(name)
    machine.manager.is_reachable = False
    machine.start("web")
    machine.start("db")
    machine.advance(1)
    turns = machine.turns
    machine.advance(10)
    assert machine.manager.started == [] and machine.turns == turns
    machine.manager.is_reachable = True
    machine.starts.consider_all()
    machine.advance(1)
    assert machine.manager.started == ["web.service", "db.service"]


def test_who_is_killed_is_replaced_but_not_in_a_loop(machine: Shown) -> None:
    machine.job("web")
    machine.start("web")
    machine.advance(1)
    for _ in range(5):
        machine.manager.states.clear()
        machine.manager.mains["web.service"].hang_up()
        machine.advance(0.5)
    assert len(machine.manager.started) <= 4
    machine.advance(2)
    assert machine.manager.mains["web.service"].open


def test_a_task_is_followed_without_being_ready(machine: Shown) -> None:
    machine.job("job", "task\nexec t")
    machine.start("job", wait=False)
    machine.advance(1)
    assert machine.manager.started == ["job.service"] and machine.manager.mains["job.service"].told == []
    machine.process("job").exit()
    machine.settle()
    assert machine.manager.mains["job.service"].told == ["d"]

"""Which jobs have a unit file (C.5, C.6)."""
from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.units.shown_jobs import ShownJobs
from compat.units.unit_file import is_made_here, unit_name, unit_text
from compat.units.unit_folder import UnitFolder
from tests.units.asking import FakeManager, Machine

SERVICE = "exec sleep 100"


class Folders(Machine):
    def __init__(self, root: pathlib.Path) -> None:
        super().__init__()
        self.run, self.native = root / "run", root / "usr"
        for each in (self.run, self.native):
            each.mkdir(exist_ok=True)
        self.manager = FakeManager(self)
        self.manager.paths = [str(self.run), str(self.native), str(root / "none")]
        self.hidden: list[str] = []
        self.make()

    def make(self) -> None:
        """As another daemon would."""
        self.shown = ShownJobs(self.engine, self.manager, UnitFolder(str(self.run)), self._log, "/l", "/s",  # type: ignore[arg-type]
                               self.hidden.append)

    def files(self) -> list[str]:
        return sorted(os.listdir(self.run))


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Folders:
    return Folders(tmp_path)


def test_a_file_for_each_job(machine: Folders) -> None:
    machine.define("web", SERVICE)
    machine.define("a/b", SERVICE)
    machine.shown.compare()
    assert machine.files() == ["a\\x2fb.service", "web.service"]
    assert machine.shown.job_of("a\\x2fb.service") == "a/b" and machine.shown.unit_of("web") == "web.service"
    machine.forget("a/b")
    machine.shown.compare()
    assert machine.files() == ["web.service"] and machine.shown.job_of("a\\x2fb.service") is None
    machine.shown.remove_all()
    assert machine.files() == [] and machine.manager.reloads == 0


def test_a_file_that_stays_is_not_touched(machine: Folders) -> None:
    machine.define("web", SERVICE)
    machine.shown.compare()
    before = (machine.run / "web.service").stat()
    machine.define("web", "task\ndescription other\n" + SERVICE)
    machine.shown.compare()
    assert (machine.run / "web.service").stat() == before


@pytest.mark.parametrize("text", ["[Service]\n", ""])
def test_c6_a_native_unit_wins_and_is_told_of_once(machine: Folders, text: str) -> None:
    (machine.native / "web.service").write_text(text)
    machine.define("web", SERVICE)
    for _ in range(3):
        machine.shown.compare()
    assert machine.files() == [] and machine.shown.unit_of("web") is None
    path = machine.native / "web.service"
    assert machine.lines("W") == [f"web: systemctl cannot be used for this job, the unit web.service exists already ({path})"]
    path.unlink()
    machine.shown.compare()
    assert machine.files() == ["web.service"]


def test_c6_masked_is_taken(machine: Folders) -> None:
    (machine.native / "web.service").symlink_to("/dev/null")
    (machine.run / "db.service").symlink_to("/dev/null")
    machine.define("web", SERVICE)
    machine.define("db", SERVICE)
    machine.shown.compare()
    assert machine.files() == ["db.service"] and len(machine.lines("W")) == 2


def test_c6_what_is_loaded_from_elsewhere_is_taken(machine: Folders) -> None:
    machine.manager.states["web.service"] = "active"
    machine.manager.fragments["web.service"] = "/usr/lib/gone/web.service"
    machine.define("web", SERVICE)
    machine.shown.compare()
    assert machine.files() == [] and "(/usr/lib/gone/web.service)" in machine.lines("W")[0]


def test_a_native_unit_that_comes_later(machine: Folders) -> None:
    machine.define("web", SERVICE)
    machine.shown.compare()
    machine.manager.states["web.service"] = "active"
    machine.manager.stale.add("web.service")
    (machine.native / "web.service").write_text("")
    machine.shown.compare()
    assert machine.files() == [] and machine.hidden == ["web"] and machine.manager.reloads == 1


def test_what_another_daemon_left_is_taken_over(machine: Folders) -> None:
    for name in ("web", "gone"):
        machine.define(name, SERVICE)
    machine.shown.compare()
    machine.forget("gone")
    machine.manager.states["gone.service"] = "failed"
    machine.make()
    machine.shown.compare()
    assert machine.files() == ["web.service"] and machine.manager.reset == ["gone.service"]


def test_a_new_text_is_one_reload_for_all(machine: Folders) -> None:
    for number in range(3):
        machine.define(f"j{number}", SERVICE)
    machine.shown.compare()
    for number in range(3):
        path = machine.run / f"j{number}.service"
        path.write_text(path.read_text().replace("/l ", "/old "))
        machine.manager.states[path.name] = "active"
        machine.manager.stale.add(path.name)
    machine.make()
    machine.shown.compare()
    assert "/old" not in (machine.run / "j0.service").read_text() and machine.manager.reloads == 1


def test_others_files_are_left_alone(machine: Folders) -> None:
    (machine.run / "own.service").write_text("[Service]\nExecStart=/bin/true\n")
    machine.define("own", SERVICE)
    machine.shown.compare()
    machine.shown.remove_all()
    assert machine.files() == ["own.service"]


def test_a_folder_that_cannot_be_written(machine: Folders) -> None:
    shutil.rmtree(machine.run)
    for number in range(20):
        machine.define(f"j{number}", SERVICE)
    machine.shown.compare()
    assert 1 <= len(machine.lines("W")) <= 5 and "No such file or directory" in machine.lines("W")[0]
    assert machine.shown.jobs() == []


def test_a_name_that_is_too_long(machine: Folders) -> None:
    machine.define("ä" * 100, SERVICE)
    machine.shown.compare()
    assert machine.files() == [] and "too long" in machine.lines("W")[0]


# -- names and texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job,name", [
    ("hadoop-yarn-resourcemanager", "hadoop-yarn-resourcemanager.service"), ("a/b", "a\\x2fb.service"), (".a", "\\x2ea.service"),
    ("a\\b", "a\\x5cb.service"), ("a@b", "a\\x40b.service"), ("\udcff", "\\xff.service")])
def test_names(job: str, name: str) -> None:
    assert unit_name(job) == name


@given(first=st.text(min_size=1), second=st.text(min_size=1))
def test_two_jobs_have_two_units(first: str, second: str) -> None:
    assert first == second or unit_name(first) is None or unit_name(first) != unit_name(second)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("job", ["web", "a b", "100%", "a\\b", "a\nb", "$HOME", "\udcff", "ä"])
def test_systemd_understands_the_text(tmp_path: pathlib.Path, job: str) -> None:
    launcher = tmp_path / "with space $x %n" / "launcher"
    launcher.parent.mkdir()
    launcher.write_text("")
    launcher.chmod(0o755)
    text = unit_text(job, str(launcher), "/run/s %i $y")
    assert is_made_here(text)
    file = tmp_path / (unit_name(job) or "")
    file.write_text(text, "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True,
                          env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    mine = [line for line in done.stderr.splitlines() if file.name in line or str(file) in line]
    assert not mine, mine

"""Units of jobs when names are taken, systemd reads its files again, or the daemon ends or dies (C.5, C.6)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
from typing import Any, Iterator

import pytest

from tests.daemon.running import alive, eventually
from tests.systemd.test_job_units import FOLDER, SERVICE, active, ok, state, wait_active, wait_file
from tests.systemd.upstart import SYSTEMD, Upstart, shown, systemctl, units

NATIVE = "[Service]\nExecStart=/bin/sleep 1000\n"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Daemons are killed after a test, and leave their units to the next one; here there is none."""
    yield
    for path in FOLDER.glob("*.service"):
        path.unlink()
    eventually(lambda: systemctl("daemon-reload")[0] == 0)
    systemctl("reset-failed")
    eventually(lambda: not units("web.service"), lambda: units("web.service"))


@pytest.fixture
def native() -> Iterator[Any]:
    """Writes unit files of packages."""
    written: list[pathlib.Path] = []

    def write(name: str, text: str = NATIVE, folder: str = "/usr/lib/systemd/system") -> None:
        written.append(pathlib.Path(folder) / name)
        written[-1].write_text(text)

    yield write
    for each in written:
        systemctl("stop", each.name)
        each.unlink(missing_ok=True)
    systemctl("daemon-reload")


def warnings(daemon: Upstart) -> list[str]:
    # What it is in the midst of, such as writing the files of units, is done when it answers.
    daemon.knows("web")
    return [line for line in daemon.errors.splitlines() if "systemctl cannot be used" in line]


# -- names that are taken -------------------------------------------------------------------------------------------


def test_c6_a_native_unit_wins(launch: Any, native: Any) -> None:
    native("web.service")
    daemon = launch({"web.conf": SERVICE, "other.conf": SERVICE})
    wait_file("other.service")
    assert not (FOLDER / "web.service").exists()
    assert len(warnings(daemon)) == 1 and "lib/systemd/system/web.service" in warnings(daemon)[0]
    daemon.start("web")
    ok("start", "web")
    assert shown("web.service", "FragmentPath").endswith("lib/systemd/system/web.service")
    ok("stop", "web")
    assert state(daemon, "web") == ("start", "running")
    daemon.write("web.conf", SERVICE)
    daemon.reload_configuration()
    daemon.write("more.conf", SERVICE)
    daemon.reload_configuration()
    wait_file("more.service")
    assert len(warnings(daemon)) == 1, "once a job"


def test_c6_a_native_unit_that_comes_later_wins(launch: Any, native: Any) -> None:
    daemon = launch({"web.conf": SERVICE})
    wait_file("web.service")
    ok("start", "web")
    native("web.service")
    ok("daemon-reload")
    eventually(lambda: warnings(daemon), daemon.log)
    eventually(lambda: not (FOLDER / "web.service").exists(), daemon.log)
    eventually(lambda: shown("web.service", "FragmentPath").endswith("lib/systemd/system/web.service"), daemon.log)
    assert state(daemon, "web") == ("start", "running"), "the job has nothing to do with it"
    pathlib.Path("/usr/lib/systemd/system/web.service").unlink()
    ok("daemon-reload")
    wait_file("web.service")
    wait_active("web")


def test_c6_masked_is_masked(launch: Any) -> None:
    daemon = launch({"web.conf": SERVICE})
    wait_file("web.service")
    ok("mask", "web")
    try:
        eventually(lambda: not (FOLDER / "web.service").exists())
        code, _, errors = systemctl("start", "web")
        assert code and "masked" in errors
        daemon.start("web")
        assert "(/etc/systemd/system/web.service)" in warnings(daemon)[0]
    finally:
        ok("unmask", "web")
    wait_active("web")


def test_c6_a_unit_without_a_file_wins(launch: Any) -> None:
    subprocess.run(["systemd-run", "-q", "--unit=web", "sleep", "1000"], check=True)
    daemon = launch({"web.conf": SERVICE, "other.conf": SERVICE})
    wait_file("other.service")
    assert len(warnings(daemon)) == 1 and not (FOLDER / "web.service").exists()
    ok("stop", "web")
    ok("daemon-reload")
    wait_file("web.service")


def test_c6_an_unloaded_file_of_a_package_that_is_gone(launch: Any, native: Any) -> None:
    native("web.service")
    ok("start", "web")
    pathlib.Path("/usr/lib/systemd/system/web.service").unlink()
    daemon = launch({"web.conf": SERVICE, "other.conf": SERVICE})
    wait_file("other.service")
    assert "systemd has a unit web.service already" in warnings(daemon)[0]


def test_others_files_are_left_alone(launch: Any) -> None:
    own = FOLDER / "mine.service"
    own.write_text(NATIVE)
    try:
        daemon = launch({"mine.conf": SERVICE, "other.conf": SERVICE})
        wait_file("other.service")
        assert daemon.terminate() == 0
        assert own.read_text() == NATIVE
    finally:
        own.unlink()


# -- systemd ----------------------------------------------------------------------------------------------------------


def test_systemd_reads_its_files_again(launch: Any) -> None:
    daemon = launch({"web.conf": SERVICE})
    wait_file("web.service")
    ok("start", "web")
    holder = shown("web.service", "MainPID")
    for _ in range(3):
        ok("daemon-reload")
    assert active("web") == "active" and shown("web.service", "MainPID") == holder
    ok("stop", "web")
    assert state(daemon, "web") == ("stop", "waiting")


def test_systemd_executes_itself_anew(launch: Any) -> None:
    daemon = launch({"web.conf": SERVICE, "later.conf": SERVICE})
    wait_file("later.service")
    ok("start", "web")
    ok("daemon-reexec")
    # It does not wait until systemd answers again.
    wait_active("web")
    daemon.start("later")
    wait_active("later")
    ok("stop", "web", "later")
    assert state(daemon, "web") == state(daemon, "later") == ("stop", "waiting")


def test_c5_a_unit_that_a_native_one_waits_for(launch: Any, native: Any) -> None:
    native("needs.service", "[Unit]\nRequires=web.service\nAfter=web.service\n" + NATIVE)
    ok("daemon-reload")
    daemon = launch({"web.conf": "pre-start exec sleep 0.3\n" + SERVICE})
    wait_file("web.service")
    ok("start", "needs")
    assert state(daemon, "web") == ("start", "running")


# -- the daemon's end -----------------------------------------------------------------------------------------------


def test_at_a_clean_end_all_units_are_gone(launch: Any) -> None:
    daemon = launch({"web.conf": SERVICE, "idle.conf": SERVICE, "bad.conf": "exec false\n", "ev.conf": "start on go\n" + SERVICE})
    for name in ("web", "idle", "bad", "ev"):
        wait_file(f"{name}.service")
    ok("start", "web")
    systemctl("start", "bad")
    daemon.emit("go")
    wait_active("ev")
    assert daemon.terminate() == 0
    assert not list(FOLDER.glob("*.service"))
    assert not (daemon.runtime / "requests").exists()
    names = ("web", "idle", "bad", "ev")
    eventually(lambda: {shown(f"{name}.service", "LoadState") for name in names} == {"not-found"},
               lambda: [units(f"{name}.service") for name in names])
    assert active("web") == "inactive"


def test_b204_units_outlive_the_daemon(launch: Any) -> None:
    jobs = {f"{name}.conf": SERVICE for name in ("web", "gone", "idle", "dies")}
    daemon = launch(jobs)
    for name in ("web", "gone", "idle", "dies"):
        wait_file(f"{name}.service")
    ok("start", "web", "gone", "dies")
    holder, pid = shown("web.service", "MainPID"), daemon.main("web").pid
    dies = daemon.main("dies").pid
    daemon.kill()
    os.kill(dies, signal.SIGTERM)
    eventually(lambda: not alive(dies))
    assert active("web") == "active"
    (daemon.conf / "idle.conf").unlink()
    successor = launch(None, directory=daemon.directory)
    eventually(lambda: not (FOLDER / "idle.service").exists(), successor.log)
    wait_active("dies", "failed")
    assert active("web") == "active" and shown("web.service", "MainPID") == holder and successor.main("web").pid == pid
    ok("stop", "web")
    assert state(successor, "web") == ("stop", "waiting") and not alive(pid)
    eventually(lambda: not alive(int(holder)))


def test_b204_a_start_and_a_stop_wait_for_the_next_daemon(launch: Any, place: pathlib.Path) -> None:
    go = place / "go"
    daemon = launch({"web.conf": SERVICE, "db.conf": SERVICE,
                     "slow.conf": f"pre-start exec sh -c 'until test -e {go}; do sleep 0.02; done'\n{SERVICE}"})
    for name in ("web", "db", "slow"):
        wait_file(f"{name}.service")
    ok("start", "db")
    during = subprocess.Popen(["systemctl", "start", "slow"])
    eventually(lambda: state(daemon, "slow") == ("start", "pre-start"))
    daemon.kill()
    after = [subprocess.Popen(["systemctl", *words]) for words in (("start", "web"), ("stop", "db"))]
    eventually(lambda: active("web") == "activating" and active("db") == "deactivating")
    successor = launch(None, directory=daemon.directory)
    go.touch()
    assert [each.wait(20) for each in (during, *after)] == [0, 0, 0], successor.log()
    assert [state(successor, name)[1] for name in ("web", "db", "slow")] == ["running", "waiting", "running"]
    assert [active(name) for name in ("web", "db", "slow")] == ["active", "inactive", "active"]


def test_units_that_no_daemon_comes_back_for_are_stopped_at_once(launch: Any) -> None:
    """No socket: the daemon has ended in good order, whoever asks."""
    daemon = launch({"web.conf": SERVICE})
    wait_file("web.service")
    text = (FOLDER / "web.service").read_text()
    assert daemon.terminate() == 0
    (FOLDER / "web.service").write_text(text)
    try:
        assert systemctl("start", "web")[0] == 1
    finally:
        (FOLDER / "web.service").unlink()
        systemctl("reset-failed", "web")


def test_expose_units_no(launch: Any) -> None:
    daemon = launch({"web.conf": SERVICE}, (*SYSTEMD, "--expose-units=no"))
    daemon.start("web")
    assert not list(FOLDER.glob("*.service")) and not (daemon.runtime / "requests").exists()
    assert systemctl("start", "web")[0] == 5


# -- many ------------------------------------------------------------------------------------------------------------


def test_many_jobs_by_one_event(launch: Any) -> None:
    names = [f"many{number}" for number in range(100)]
    daemon = launch({f"{name}.conf": "start on go\n" + SERVICE for name in names})
    wait_file("many99.service")
    daemon.emit("go")
    eventually(lambda: set(units("many*.service").values()) == {"active"} and len(units("many*.service")) == len(names),
               lambda: units("many*.service"))
    ok("stop", *names)
    assert not any(daemon.instances(name) for name in names)

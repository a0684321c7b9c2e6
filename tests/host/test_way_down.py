"""The end of the host, step by step, on the simulated machine (B214, B218-B223, B237, B259, B260)."""
from __future__ import annotations

import pathlib
from typing import List

import pytest

from compat.bridges.host.fact import HostEvent
from compat.bridges.host.systemd_question import Answer
from compat.host import detection, mode
from tests.host.host_machine import HostMachine

STUBBORN = "kill timeout 20\nexec stubborn"


def unit_up(machine: HostMachine, name: str) -> None:
    env = (f"JOB={name}", "INSTANCE=", f"HOST_UNIT={name}.service")
    machine.fact(f"unit:{name}.service", "up:1", HostEvent("starting", env, True), HostEvent("started", env))


def at_level_2(machine: HostMachine) -> None:
    machine.fact("boot:runlevel", "done", HostEvent("runlevel", ("RUNLEVEL=2", "PREVLEVEL=N")))


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> HostMachine:
    return HostMachine(tmp_path)


def test_b219_the_steps_in_order(machine: HostMachine) -> None:
    machine.load({
        "web": "start on runlevel [2345]\nstop on runlevel [!2345]\nexec web",
        "db": "start on runlevel [2345]\nstop on starting rc RUNLEVEL=[016]\nexec db",
        "net": "start on runlevel [2345]\nstop on deconfiguring-networking\nexec net",
        "log": "start on started rsyslog\nstop on stopping rsyslog\nexec log",
        "other": "start on runlevel [2345]\nexec other",
        "late": "task\nstart on unmounted-remote-filesystems\nexec late"})
    unit_up(machine, "dbus")
    unit_up(machine, "rsyslog")
    at_level_2(machine)
    for job in ("web", "db", "net", "log", "other"):
        machine.process(job).ignores = (15,)
    before = len(machine.history())
    answers = machine.go_down("6")
    assert machine.status("web").startswith("web stop/killed")
    assert machine.status("db").startswith("db stop/killed")
    assert machine.status("net").startswith("net start/running")
    machine.process("web").exit(0)
    machine.settle()
    assert machine.status("net").startswith("net start/running"), "db is not down yet"
    machine.process("db").exit(0)
    machine.settle()
    assert machine.status("log").startswith("log stop/killed"), "rsyslog was activated last and is to be stopped first"
    assert machine.status("net").startswith("net start/running")
    machine.process("log").exit(0)
    machine.settle()
    assert machine.status("net").startswith("net stop/killed")
    machine.process("net").exit(0)
    machine.settle()
    assert machine.status("other").startswith("other start/running")
    machine.process("late").exit(0)
    machine.settle()
    assert machine.status("other").startswith("other stop/killed")
    assert not answers
    machine.process("other").exit(0)
    machine.settle()
    assert answers == [True] and not machine.quit_called
    ours = [line for line in machine.history()[before:] if line.split()[0] not in ("started", "stopped", "stopping", "starting")
            or line.split()[1] in ("rc", "dbus", "rsyslog")]
    assert ours == [
        "runlevel 6 2", "starting rc  6 2", "started rc  6 2", "stopping rsyslog  ok rsyslog.service", "stopping dbus  ok dbus.service",
        "deconfiguring-networking", "unmounted-remote-filesystems", "stopping rc  ok 6 2", "stopped rc  ok 6 2"]


def test_b218_kinds_carry_their_variables(machine: HostMachine) -> None:
    machine.load({})
    at_level_2(machine)
    assert machine.go_down("0", "INIT_HALT=POWEROFF") == [True]
    assert machine.events("runlevel")[-1] == ("RUNLEVEL=0", "PREVLEVEL=2", "INIT_HALT=POWEROFF")


def test_b217_profile_rhel_leaves_prevlevel_out(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, profile="rhel")
    machine.load({})
    at_level_2(machine)
    machine.go_down("6")
    assert machine.events("started")[-1] == ("JOB=rc", "INSTANCE=", "RUNLEVEL=6")


def test_b217_an_unmasked_rc_is_a_job_like_any_other(machine: HostMachine) -> None:
    machine.configuration.write_text("unmask rc\n")
    machine.mode.reconfigure()
    machine.load({"rc": "start on runlevel [0123456]\nstop on runlevel [!$RUNLEVEL]\ntask\nexport RUNLEVEL\nexec rc"})
    answers = machine.go_down("6")
    assert machine.status("rc").startswith("rc start/running")
    assert not answers
    machine.process("rc").exit(0)
    machine.settle()
    assert answers == [True]
    assert machine.events("started") == [("JOB=rc", "INSTANCE=", "RUNLEVEL=6")]


def test_b219_b220_what_ignores_sigterm_is_killed_at_its_timeout_and_at_the_limit(machine: HostMachine) -> None:
    machine.configuration.write_text("shutdown-limit=60\n")
    machine.mode.reconfigure()
    machine.load({"a": "start on runlevel 2\nstop on runlevel 6\nkill timeout 20\nexec a",
                  "b": "start on runlevel 2\nkill timeout 1000\nexec b"})
    at_level_2(machine)
    for job in ("a", "b"):
        machine.process(job).ignores = (15,)
    answers = machine.go_down("6")
    machine.advance(19)
    assert machine.status("a").startswith("a stop/killed")
    machine.advance(2)
    assert machine.status("a") == "a stop/waiting"
    assert machine.status("b").startswith("b stop/killed")
    machine.advance(38)
    assert not answers
    machine.advance(2)
    assert answers == [True]
    assert "job b failed to stop" in machine.lines("W")


def test_b220_events_leave_time_for_the_rest(machine: HostMachine) -> None:
    machine.configuration.write_text("shutdown-limit=30\n")
    machine.mode.reconfigure()
    machine.load({"slow": "start on runlevel 6\ntask\nexec slow", "web": "start on runlevel 2\nexec web"})
    at_level_2(machine)
    answers = machine.go_down("6")
    machine.advance(19.5)
    assert machine.status("web").startswith("web start/running")
    machine.advance(1)
    assert (machine.status("web"), machine.status("slow")) == ("web stop/waiting", "slow stop/waiting")
    assert answers == [True]
    assert "event runlevel not finished, stopping all jobs" in machine.lines("W")


def test_b219_nothing_is_respawned_after_the_first_step(machine: HostMachine) -> None:
    machine.load({"web": "start on runlevel 2\nrespawn\nexec web", "slow": "start on runlevel 6\ntask\nexec slow"})
    at_level_2(machine)
    machine.go_down("6")
    machine.process("web").killed_by(9)
    machine.settle()
    assert machine.status("web") == "web stop/waiting"


def test_b237_a_plain_stop_has_no_events(machine: HostMachine) -> None:
    machine.load({"web": "start on runlevel 2\nstop on runlevel [!2]\nexec web"})
    at_level_2(machine)
    before = machine.mode.facts()
    assert machine.go_down("") == [True]
    assert machine.status("web") == "web stop/waiting"
    assert [line for line in machine.history() if line.startswith(("runlevel 6", "runlevel 0", "session-end"))] == []
    assert machine.mode.facts() == before, "facts stay"


@pytest.mark.parametrize("can_leave", [True, False])
def test_b237_a_daemon_that_is_started_anew_leaves_its_jobs(machine: HostMachine, monkeypatch: pytest.MonkeyPatch, can_leave: bool) -> None:
    machine.load({"web": "start on runlevel 2\nstop on runlevel [!2]\nexec web"})
    at_level_2(machine)
    monkeypatch.setattr(mode, "ask_later", lambda done, glib: done(Answer(answered=True, restarts=True)))
    asked: List[bool] = []

    def leave() -> bool:
        asked.append(True)
        return can_leave

    machine.mode.leave_jobs = leave
    machine.mode.terminated()
    machine.settle()
    assert asked == [True]
    # Without a journal nobody could go on with them.
    assert machine.status("web").startswith("web start/running" if can_leave else "web stop/waiting")
    assert machine.quit_called != can_leave, "whoever leaves the jobs ends the loop"


def test_b221_the_first_step_early_and_the_rest_later(machine: HostMachine) -> None:
    machine.load({"web": "start on runlevel 2\nstop on runlevel 6\nexec web", "other": "start on runlevel 2\nexec other"})
    at_level_2(machine)
    machine.process("web").ignores = (15,)
    early = machine.go_down("6", first=True)
    late = machine.go_down("6")
    assert (early, late) == ([], [])
    machine.process("web").exit(0)
    machine.settle()
    assert (early, late) == ([True], [True])
    assert len([line for line in machine.history() if line.startswith("runlevel 6")]) == 1


def test_b221_cancelled(machine: HostMachine) -> None:
    machine.load({"web": "start on runlevel [2345]\nstop on runlevel [!2345]\nrespawn\nexec web"})
    at_level_2(machine)
    assert machine.go_down("6", first=True) == [True]
    assert machine.status("web") == "web stop/waiting"
    machine.mode.shutdown_cancelled()
    machine.settle()
    assert machine.status("web").startswith("web start/running")
    assert machine.events("runlevel")[-1] == ("RUNLEVEL=2", "PREVLEVEL=6")
    assert machine.mode.facts()["runlevel"] == "2"
    machine.process("web").killed_by(9)
    machine.settle()
    assert machine.status("web").startswith("web start/running"), "respawned again"
    machine.mode.shutdown_cancelled()
    assert machine.events("runlevel")[-1] == ("RUNLEVEL=2", "PREVLEVEL=6")


def test_b214_single_user_mode_ends_with_level_s(machine: HostMachine) -> None:
    machine.load({"web": "start on runlevel 2\nexec web"})
    at_level_2(machine)
    assert machine.go_down("1") == [True]
    assert machine.events("runlevel")[-2:] == [("RUNLEVEL=1", "PREVLEVEL=2"), ("RUNLEVEL=S", "PREVLEVEL=1")]
    assert machine.mode.facts()["runlevel"] == "S" and "shutdown" not in machine.mode.facts()


def test_b204_a_daemon_that_is_started_again_on_the_way_down_repeats_no_runlevel(tmp_path: pathlib.Path) -> None:
    first = HostMachine(tmp_path)
    first.load({"web": "start on runlevel 2\nstop on runlevel 6\nexec web"})
    at_level_2(first)
    first.process("web").ignores = (15,)
    assert first.go_down("6") == []
    second = HostMachine(tmp_path)
    second.load({"web": "start on runlevel 2\nstop on runlevel 6\nexec web"})
    second.mode._facts.load()
    assert second.go_down("6") == [True]
    assert second.events("runlevel") == []
    assert second.mode.facts() == {}, "what comes next is another boot"


def test_b259_a_container_ends_with_its_steps(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, detection.CONTAINER)
    machine.load({"web": "start on runlevel 2\nstop on runlevel [!2]\nexec web"})
    at_level_2(machine)
    machine.mode.terminated()
    machine.settle()
    assert machine.quit_called
    assert machine.events("runlevel")[-1] == ("RUNLEVEL=0", "PREVLEVEL=2")


def test_b259_nine_seconds_and_at_once_when_told_twice(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, detection.CONTAINER)
    machine.load({"web": "start on runlevel 2\nkill timeout 100\nexec web"})
    at_level_2(machine)
    machine.process("web").ignores = (15,)
    machine.mode.interrupted()
    machine.settle()
    assert machine.events("runlevel")[-1] == ("RUNLEVEL=6", "PREVLEVEL=2")
    machine.advance(8.5)
    assert not machine.quit_called
    machine.advance(1)
    assert machine.quit_called

    machine = HostMachine(tmp_path, detection.CONTAINER)
    machine.load({"web": "start on runlevel 2\nstop on runlevel 0\nkill timeout 100\nexec web"})
    at_level_2(machine)
    machine.process("web").ignores = (15,)
    machine.mode.terminated()
    machine.settle()
    machine.mode.terminated()
    machine.advance(0.5)
    assert machine.quit_called


def test_b259_power_failure(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, detection.CONTAINER)
    machine.load({"power": "start on power-status-changed\ntask\nexec power"})
    machine.mode.power_failed()
    machine.settle()
    assert machine.status("power").startswith("power start/running") and not machine.quit_called
    machine = HostMachine(tmp_path, detection.CONTAINER)
    machine.load({})
    machine.mode.power_failed()
    machine.settle()
    assert machine.quit_called


@pytest.mark.parametrize(("end", "status"), [(lambda process: process.exit(7), 7), (lambda process: process.killed_by(9), 137),
                                            (lambda process: process.exit(0), 0)])
def test_b260_the_exit_status_of_a_job(tmp_path: pathlib.Path, end: object, status: int) -> None:
    machine = HostMachine(tmp_path, detection.CONTAINER, exit_with="main")
    machine.load({"main": "start on startup\nexec main", "web": "start on startup\nexec web"})
    machine.fact("boot:startup", "done", HostEvent("startup"))
    end(machine.process("main"))  # type: ignore[operator]
    machine.settle()
    assert machine.quit_called and machine.mode.exit_status == status
    assert machine.status("web") == "web stop/waiting"


def test_b219_network_mounts_hold_the_last_event_back(machine: HostMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "network_mounts_left", lambda: True)
    other = HostMachine(machine.fact_file.parent)
    other.load({"late": "start on unmounted-remote-filesystems\nexec late"})
    assert other.go_down("6") == [True]
    assert other.events("unmounted-remote-filesystems") == []
    assert any("network mounts left" in line for line in other.lines("W"))


def test_b215_a_level_of_any_kind_is_no_trouble_in_a_container(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, detection.CONTAINER)
    machine.load({"web": "start on runlevel\nexec web"})
    assert machine.emit("runlevel", "RUNLEVEL=12x", wait=False).ok
    assert machine.emit("runlevel", "RUNLEVEL=\u0663", wait=False).ok
    assert machine.status("web").startswith("web start/running")


def test_b260_a_signal_after_the_job_has_ended_is_the_first(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, detection.CONTAINER, exit_with="main")
    machine.load({"main": "start on startup\nexec main", "web": "start on startup\nkill timeout 3\nexec web"})
    machine.fact("boot:startup", "done", HostEvent("startup"))
    machine.process("web").ignores = (15,)
    machine.process("main").exit(3)
    machine.settle()
    machine.mode.terminated()
    machine.advance(2)
    assert machine.status("web").startswith("web stop/killed")
    machine.advance(2)
    assert machine.quit_called and machine.mode.exit_status == 3


@pytest.mark.parametrize("kind", detection.OTHER_INITS)
def test_b264_b265_another_init_stops_the_daemon_itself(tmp_path: pathlib.Path, kind: str) -> None:
    machine = HostMachine(tmp_path, kind)
    machine.load({"web": "start on runlevel [2345]\nstop on runlevel [!2345]\nexec web", "last": "start on runlevel 6\ntask\nexec last"})
    at_level_2(machine)
    assert not machine.mode.ending_signals
    answers = machine.go_down("6")
    machine.process("last").exit()
    machine.settle()
    assert machine.status("web") == "web stop/waiting" and answers == [True] and "runlevel 6 2" in machine.history()
    assert not machine.quit_called, "its script does that"
    machine.mode.terminated()
    machine.settle()
    assert machine.quit_called and machine.history().count("runlevel 6 2") == 1


def test_b237_b265_a_stop_by_a_script_alone_is_no_end_of_the_host(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, detection.SYSVINIT)
    machine.load({"web": "start on runlevel [2345]\nexec web"})
    at_level_2(machine)
    machine.mode.power_failed()
    machine.mode.interrupted()
    machine.settle()
    assert machine.quit_called and not [each for each in machine.history() if each.startswith("runlevel 0")]


@pytest.mark.parametrize(("at_boot", "mode_of_reboot", "expected"), [
    (True, 0o100, ["runlevel 6 2"]), (True, 0o000, ["runlevel 0 2 POWEROFF"]), (False, None, ["runlevel 0 2 POWEROFF"])])
def test_b218_b265_the_end_of_a_host_with_runit(
        tmp_path: pathlib.Path, at_boot: bool, mode_of_reboot: "int | None", expected: List[str]) -> None:
    files = tmp_path / "etc" / "runit"
    files.mkdir(parents=True)
    stop, reboot = files / "stopit", files / "reboot"
    if at_boot:
        for file in (stop, reboot):
            file.touch(0o000)
    machine = HostMachine(tmp_path, detection.RUNIT)
    machine.load({"web": "start on runlevel [2345]\nstop on runlevel [!2345]\nexec web"})
    at_level_2(machine)
    # As runit-init does it, and runit after it.
    before = stop.stat().st_ctime_ns if at_boot else 0
    stop.touch()
    while stop.stat().st_ctime_ns == before:
        # The kernel's clock for files ticks every few milliseconds.
        stop.chmod(0o100)
    if mode_of_reboot is not None:
        reboot.chmod(mode_of_reboot)
    stop.chmod(0o000)
    machine.mode.terminated()
    machine.settle()
    assert machine.quit_called and machine.status("web") == "web stop/waiting"
    assert [each for each in machine.history() if each.startswith(("runlevel 0", "runlevel 6"))] == expected


def test_b237_b265_a_service_of_runit_that_is_stopped_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc" / "runit").mkdir(parents=True)
    for name in ("stopit", "reboot"):
        # Left by the last boot's end, on a file system that is not made anew.
        (tmp_path / "etc" / "runit" / name).touch(0o100)
    machine = HostMachine(tmp_path, detection.RUNIT)
    machine.load({"web": "start on runlevel [2345]\nexec web"})
    at_level_2(machine)
    machine.mode.terminated()
    machine.settle()
    assert machine.quit_called and not [each for each in machine.history() if each.startswith(("runlevel 0", "runlevel 6"))]


def test_b221_b264_a_way_down_that_an_earlier_daemon_began_is_over(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, detection.OPENRC)
    machine.load({})
    at_level_2(machine)
    machine.go_down("6", first=True)
    later = HostMachine(tmp_path, detection.OPENRC)
    later.load({})
    later.mode._bridge = None
    later.mode.start()
    later.settle()
    assert "runlevel 2 6" in later.history() and "shutdown" not in later.mode.facts()


def test_b203_b204_what_the_way_down_has_told_is_on_record_while_the_engine_is_busy_with_it(tmp_path: pathlib.Path) -> None:
    """A daemon that dies then is followed by one that repeats nothing, however long the turn would have been."""
    first = HostMachine(tmp_path)
    first.load({})
    at_level_2(first)
    # Without anything that ends the turn.
    first.mode.shut_down("6", (), False, lambda: None)
    second = HostMachine(tmp_path)
    second.load({})
    second.mode._bridge = None
    second.mode.start()
    assert second.mode.facts()["shutdown"] == "6:2"
    second.go_down("6")
    assert "runlevel 6 2" not in second.history()

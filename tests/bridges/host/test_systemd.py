"""Units over D-Bus: a made-up manager for what is hard to get a real one to do, and a real one in a box."""
from __future__ import annotations

import importlib
import pathlib
import shutil
import sys
import tempfile
import time
from typing import Any, Callable, FrozenSet, List, Sequence

import pytest

from compat.bridges.host.native_units import UnitSeen
from compat.bridges.host.systemd import Systemd, bears_references
from compat.loop import MainLoop
from tests.bridges.host.fake_systemd import FakeSystemd, path_of
from tests.daemon.test_loop import in_a_process
from tests.systemd_box import ROOT, SystemdBox, missing

SSH = "ssh.service"


class Watching:
    """A manager that is made up and a Systemd that hears it. ``told`` has what a watcher gets, in short."""

    def __init__(self, *needed: str, pattern: str = "\0") -> None:
        self.directory = tempfile.mkdtemp()
        self.errors: List[Any] = []
        self.logged: List[str] = []
        self.told: List[str] = []
        self.needs = frozenset(needed)
        self.pattern = pattern
        self.loop = MainLoop(lambda what, error: self.errors.append(error))
        self.glib = importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()
        self.address = f"unix:path={self.directory}/private"
        self.fake = FakeSystemd(self.address, self.glib)
        self.systemd = Systemd(self.glib, self.loop, lambda priority, text: self.logged.append(text), ("", self.address))
        self.systemd.watch(self)

    def needed(self) -> FrozenSet[str]:
        return self.needs

    def takes(self, unit: str) -> bool:
        return unit.startswith(self.pattern)

    def seen(self, units: Sequence[UnitSeen], complete: bool, new: bool) -> None:
        text = " ".join(f"{unit.unit}={unit.active}" for unit in units)
        self.told.append(("all: " if complete else "new: " if new else "") + text)

    def removed(self, unit: str) -> None:
        self.told.append(f"removed: {unit}")

    def until(self, condition: Callable[[], object]) -> None:
        """Turn the loop until it holds; the process has a time limit."""
        def look() -> None:
            if condition():
                self.loop.quit()
            else:
                self.loop.later(0.002, look)

        self.loop._quit = False
        look()
        if not self.loop._quit:
            self.loop.run()
        assert not self.errors, self.errors

    def start(self) -> None:
        self.systemd.start()
        self.until(lambda: self.told)

    def after_all(self) -> None:
        """Turn the loop until everything that was said has been heard."""
        answered: List[Any] = []
        self.systemd.get("Version", answered.append)
        self.until(lambda: answered)

    def take(self) -> List[str]:
        self.after_all()
        told, self.told = self.told, []
        return told

    def close(self) -> None:
        self.systemd.close()
        self.fake.close()
        shutil.rmtree(self.directory)


@in_a_process
def test_b277_two_hundred_units_in_a_second() -> None:
    names = [f"unit{number}.service" for number in range(200)]
    watching = Watching(*names)
    for number, name in enumerate(names):
        watching.fake.define(name, ActiveState="active", InvocationID=bytes((number + 1,)), ActiveEnterTimestampMonotonic=number)
    # The processor's time, which is that of the manager too here: others on this machine do not count.
    before = time.process_time()
    watching.start()
    assert time.process_time() - before < 1.0
    assert watching.told[0].count("=active") == 200
    watching.close()


@in_a_process
def test_b232_current_when_all_that_was_said_has_been_told() -> None:
    watching = Watching(SSH)
    watching.fake.define(SSH)
    events: List[str] = []
    # Before there is a connection, and while the first round goes on.
    watching.systemd.when_current(lambda: events.append(f"first {watching.told}"))
    watching.start()
    assert events == [f"first ['all: {SSH}=inactive']"]
    watching.fake.change(SSH, Job=9)
    watching.systemd.when_current(lambda: events.append(f"second {watching.systemd.unit(SSH)}"))
    watching.until(lambda: len(events) == 2)
    assert "job=True" in events[1] and watching.systemd.unit("other.service") is None
    # It reloads before it can answer.
    watching.fake.manager("Reloading", "b", True)
    watching.systemd.when_current(lambda: events.append("third"))
    watching.after_all()
    assert len(events) == 2
    watching.fake.manager("Reloading", "b", False)
    watching.until(lambda: len(events) == 3)
    # It goes away before it can answer.
    watching.fake.held = []
    watching.systemd.when_current(lambda: events.append("fourth"))
    watching.until(lambda: watching.fake.held)
    watching.fake.held = None
    watching.fake.hang_up()
    watching.until(lambda: len(events) == 4)
    watching.after_all()
    assert events[2:] == ["third", "fourth"]
    watching.close()


@in_a_process
def test_b225_everything_at_once_then_what_changes() -> None:
    watching = Watching(SSH, "none.service", "bad\x7f.service")
    watching.fake.define(SSH, ActiveState="active", InvocationID=b"\x01\xab", Type="oneshot", ActiveEnterTimestampMonotonic=5)
    watching.fake.define("other.service")
    seen: List[UnitSeen] = []
    watching.seen = lambda units, complete, new: seen.extend(units)  # type: ignore[method-assign, misc]
    watching.systemd.start()
    watching.until(lambda: seen)
    assert sorted(seen) == [
        UnitSeen("none.service", ("none.service",), loaded=False),
        UnitSeen(SSH, (SSH,), active="active", invocation="01ab", oneshot=True, active_enter=5)]
    watching.fake.change(SSH, ActiveState="deactivating", Result="exit-code", ExecMainPID=7, ExecMainCode=1, ExecMainStatus=3, Job=9)
    watching.until(lambda: len(seen) == 3)
    assert seen[2] == UnitSeen(SSH, (SSH,), active="deactivating", invocation="01ab", oneshot=True, active_enter=5, result="exit-code",
                               main_pid=7, main_code=1, main_status=3, job=True)
    assert any("BadName" in line for line in watching.logged)
    watching.close()


@in_a_process
def test_b226_an_end_is_told_when_no_restart_follows_at_once() -> None:
    watching = Watching(SSH)
    watching.fake.define(SSH, ActiveState="active")
    watching.start()
    watching.take()
    watching.fake.change(SSH, ActiveState="failed", SubState="failed")
    watching.fake.change(SSH, ActiveState="activating", SubState="auto-restart")
    assert watching.take() == [f"{SSH}=activating"]
    watching.fake.change(SSH, ActiveState="active")
    watching.fake.change(SSH, ActiveState="failed", SubState="failed")
    watching.until(lambda: len(watching.told) == 2)
    assert watching.take() == [f"{SSH}=active", f"{SSH}=failed"]
    watching.close()


@in_a_process
def test_b226_a_quick_new_start_does_not_hide_the_end() -> None:
    watching = Watching(SSH)
    watching.fake.define(SSH, ActiveState="active")
    watching.start()
    watching.take()
    watching.fake.held = []
    watching.fake.change(SSH, ActiveState="inactive")
    watching.fake.change(SSH, ActiveState="activating", SubState="start")
    watching.until(lambda: len(watching.told) == 2)
    watching.fake.release()
    assert watching.take() == [f"{SSH}=inactive", f"{SSH}=activating"]
    watching.close()


@in_a_process
def test_b226_a_restart_that_is_cancelled_is_told_by_its_job() -> None:
    watching = Watching(SSH)
    watching.fake.define(SSH, ActiveState="active", Job=12)
    watching.start()
    watching.take()
    jobs: List[bool] = []
    watching.seen = lambda units, complete, new: jobs.append(units[0].job)  # type: ignore[method-assign, misc]
    watching.fake.manager("JobRemoved", "uoss", 12, "/", SSH, "canceled")
    watching.until(lambda: jobs)
    assert jobs == [False]
    watching.close()


@in_a_process
def test_b225_units_that_come_and_go_are_not_loaded_by_watching() -> None:
    watching = Watching(SSH, pattern="getty@")
    watching.fake.define(SSH, ActiveState="active")
    watching.start()
    watching.take()
    # The manager was asked twice, just in case; both have been answered by now.
    watching.after_all()
    watching.fake.calls.clear()
    getty = "getty@tty1.service"
    watching.fake.define(getty)
    for _ in range(3):
        watching.fake.manager("UnitNew", "so", getty, path_of(getty))
        watching.fake.manager("UnitRemoved", "so", getty, path_of(getty))
        watching.fake.manager("UnitNew", "so", "boring.service", path_of("boring.service"))
    assert watching.take() == [f"removed: {getty}"] * 3
    watching.fake.manager("UnitNew", "so", getty, path_of(getty))
    watching.fake.change(getty, ActiveState="activating")
    watching.fake.change(getty, ActiveState="active")
    assert watching.take() == [f"new: {getty}=activating", f"{getty}=active"]
    # What is needed is only down then; when it is used again its signals come.
    watching.fake.manager("UnitRemoved", "so", SSH, path_of(SSH))
    watching.fake.manager("UnitNew", "so", SSH, path_of(SSH))
    watching.fake.change(SSH, ActiveState="activating")
    assert watching.take() == [f"{SSH}=inactive", f"{SSH}=activating"]
    assert set(watching.fake.calls) == {"Get Version"}
    watching.close()


@in_a_process
def test_b225_after_a_reload_everything_again_and_nothing_in_between() -> None:
    watching = Watching(SSH)
    watching.fake.define(SSH, ActiveState="active")
    watching.start()
    watching.take()
    watching.fake.manager("Reloading", "b", True)
    watching.fake.manager("UnitRemoved", "so", SSH, path_of(SSH))
    watching.fake.manager("UnitNew", "so", SSH, path_of(SSH))
    watching.fake.manager("Reloading", "b", False)
    watching.until(lambda: watching.told)
    assert watching.take() == [f"all: {SSH}=active"]
    watching.close()


@in_a_process
def test_b225_a_connection_that_breaks_is_made_again() -> None:
    watching = Watching(SSH)
    happened: List[str] = []
    watching.systemd.connected = lambda: happened.append("connected")
    watching.systemd.disconnected = lambda: happened.append("disconnected")
    watching.fake.define(SSH)
    watching.start()
    watching.take()
    watching.fake.units[SSH]["ActiveState"] = "active"
    watching.fake.hang_up()
    watching.until(lambda: watching.told)
    assert watching.take() == [f"all: {SSH}=active"]
    assert happened == ["connected", "disconnected", "connected"]
    # Nobody listens for a while.
    watching.fake.close()
    watching.until(lambda: happened[-1] == "disconnected")
    watching.fake = FakeSystemd(watching.address, watching.glib)
    watching.fake.define(SSH)
    watching.until(lambda: watching.told)
    assert watching.take() == [f"all: {SSH}=inactive"]
    watching.close()


@pytest.mark.parametrize("method, error", [
    ("ListUnits", "org.freedesktop.DBus.Error.AccessDenied"), ("ListUnits", "org.freedesktop.DBus.Error.NoReply"),
    ("LoadUnit", "org.freedesktop.DBus.Error.LimitsExceeded")])
def test_b202_half_an_answer_is_none(method: str, error: str) -> None:
    @in_a_process
    def run() -> None:
        watching = Watching(SSH, "none.service")
        watching.fake.define(SSH, ActiveState="active")
        watching.fake.errors[method] = error
        watching.start()
        assert watching.take() == [f"all: {SSH}=active none.service=inactive"]
        assert any(error in line for line in watching.logged)
        watching.close()

    run()


@in_a_process
def test_b239_what_is_needed_later_is_loaded_then() -> None:
    watching = Watching()
    watching.fake.define(SSH, ActiveState="active")
    watching.start()
    assert watching.take() == ["all: "]
    watching.needs = frozenset((SSH,))
    watching.systemd.reconsider()
    watching.until(lambda: watching.told)
    assert watching.take() == [f"{SSH}=active"]
    # While a round is under way it begins anew.
    watching.fake.calls.clear()
    watching.fake.held = []
    watching.fake.manager("Reloading", "b", False)
    watching.until(lambda: watching.fake.calls)
    watching.needs = frozenset((SSH, "b.service"))
    watching.systemd.reconsider()
    watching.fake.release()
    watching.until(lambda: watching.told)
    assert watching.take() == [f"all: {SSH}=active b.service=inactive"]
    watching.close()


@in_a_process
def test_b274_an_error_of_ours_does_not_end_the_loop() -> None:
    watching = Watching(SSH)
    watching.fake.define(SSH)
    watching.start()
    watching.take()
    watching.fake.say(path_of(SSH), "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
                      "org.freedesktop.systemd1.Unit", {"Job": "not what it should be"}, [])
    watching.fake.change(SSH, ActiveState="active")
    assert watching.take() == [f"{SSH}=active"]
    assert any("ValueError" in line for line in watching.logged)
    watching.close()


_SERVICES = r"""
cd /run/systemd/system || { mkdir -p /run/systemd/system; cd /run/systemd/system; }
printf '[Service]\nExecStart=/bin/sleep 1000\n' > rsyslog.service
printf '[Service]\nExecStart=/bin/sleep 1000\n' > getty@.service
printf '[Service]\nExecStart=/bin/sh -c "exit 3"\n' > cron.service
printf '[Service]\nType=oneshot\nExecStart=/bin/true\n' > cloud-init.service
printf '[Service]\nRestart=always\nRestartSec=10ms\nExecStart=/bin/sh -c "kill -SEGV $$$$"\n' > crash.service
printf '[Unit]\nStartLimitIntervalSec=100\nStartLimitBurst=2\n' >> crash.service
systemctl daemon-reload
systemctl start rsyslog
"""
_SCENARIO = r"""
systemctl restart rsyslog
systemctl start cron
until [ "$(systemctl is-active cron)" = failed ]; do sleep 0.05; done
systemctl start crash
until [ "$(systemctl is-active crash)" = failed ]; do sleep 0.05; done
systemctl start cloud-init
systemctl start getty@tty5
systemctl stop getty@tty5
systemctl daemon-reload
systemctl daemon-reexec
systemctl stop rsyslog
"""


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("how", ["bus", "private"])
def test_b226_a_real_systemd(how: str, tmp_path: pathlib.Path) -> None:
    watch = [sys.executable, "-m", "tests.bridges.host.unit_watcher", how, *(
        f"{event} {job}" for job in ("rsyslog", "cron", "crash", "cloud-init", "getty") for event in ("starting", "stopped"))]
    script = (f"{_SERVICES}\ncd {ROOT}\n"
              + " ".join(f"'{word}'" for word in watch) + " > /run/told & watcher=$!\n"
              + "until grep -q 'JOB=rsyslog' /run/told 2>/dev/null; do sleep 0.05; done\n" + _SCENARIO
              + "until grep -q 'stopped JOB=rsyslog' /run/told; do sleep 0.05; done; kill $watcher; wait $watcher; cat /run/told\n")
    binds = [word for path in (ROOT, sys.prefix, sys.base_prefix) for word in ("-r", str(path))]
    done = SystemdBox(f"units-{how}", tmp_path).call("run", "-t", "60", *binds, "--", "bash", "-c", script, limit=100)
    told = [line.replace("INSTANCE= ", "").replace("JOB=", "").rpartition(" HOST_UNIT")[0] for line in done.stdout.splitlines()]

    def of(job: str) -> List[str]:
        return [each for each in told if each.split()[1:2] == [job]]

    assert of("rsyslog") == ["starting! rsyslog", "started rsyslog", "stopping! rsyslog RESULT=ok", "starting! rsyslog", "started rsyslog",
                             "stopping! rsyslog RESULT=ok", "stopped rsyslog RESULT=ok"], done.stderr
    failed = "RESULT=failed PROCESS=main EXIT_STATUS=3"
    assert of("cron") == ["starting! cron", "started cron", f"stopping! cron {failed}", f"stopped cron {failed}"]
    assert [each for each in of("crash") if each.startswith("stopped")] == ["stopped crash RESULT=failed PROCESS=main EXIT_SIGNAL=SEGV"]
    assert len([each for each in of("crash") if each.startswith("started")]) == 2
    assert of("cloud-init") == ["starting! cloud-init", "started cloud-init", "stopping! cloud-init RESULT=ok",
                                "stopped cloud-init RESULT=ok"]
    assert of("getty") == ["starting! getty INSTANCE=tty5", "started getty INSTANCE=tty5", "stopping! getty INSTANCE=tty5 RESULT=ok",
                           "stopped getty INSTANCE=tty5 RESULT=ok"]


@pytest.mark.parametrize("version, bears", [
    ("252.39-1~deb12u2", True), ("257", True), ("v255-rc1", True), ("247.3-7+deb11u5", False), ("249", False), ("", False)])
def test_b225_units_are_kept_loaded_where_that_does_no_harm(version: str, bears: bool) -> None:
    assert bears_references(version) is bears

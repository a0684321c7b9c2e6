"""Hosts with OpenRC, runit or SysV init: services by their files, and the boot's events (B244, B264, B265, B272)."""
from __future__ import annotations

import os
import pathlib
import select
import shutil
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import pytest

from compat.bridges.host import init_source
from compat.bridges.host.aliases import Aliases
from compat.bridges.host.boot import FAILSAFE, Settings
from compat.bridges.host.fact import Fact
from compat.bridges.host.init_session import InitSession
from compat.bridges.host.mappings import Mappings
from compat.bridges.host.network import Complete, Network
from compat.bridges.host.other_inits import Init, OpenRc, SysvInit, init_of, runit, s6
from compat.bridges.host.rtnetlink import ADDRESS_TENTATIVE, IFF_LOOPBACK, IFF_RUNNING, IFF_UP, INET, INET6, SCOPE_GLOBAL, Address, Link
from compat.bridges.host.sources import HostSources
from compat.bridges.host.wanted import Wanted
from tests.bridges.host.telling import Table, define, wanted


class Rc:
    """OpenRC's files below a directory."""

    def __init__(self, root: pathlib.Path, *services: str) -> None:
        self.root = root
        self.state = root / "run" / "openrc"
        for directory in ("starting", "started", "stopping", "inactive", "scheduled"):
            (self.state / directory).mkdir(parents=True)
        (root / "etc" / "init.d").mkdir(parents=True)
        for service in services:
            (root / "etc" / "init.d" / service).touch()
        self.softlevel("default")
        self.init = OpenRc(str(root))

    def softlevel(self, level: str) -> None:
        (self.state / "softlevel").write_text(level + "\n")

    def mark(self, service: str, state: str) -> None:
        """As OpenRC does it: into the new state, then out of the others."""
        if state != "stopped":
            (self.state / state / service).symlink_to(f"/etc/init.d/{service}")
        for other in ("starting", "started", "stopping", "inactive"):
            if other != state:
                (self.state / other / service).unlink(missing_ok=True)


def test_b264_states_of_openrc(tmp_path: pathlib.Path) -> None:
    rc = Rc(tmp_path, "sshd", "cron", "net.eth0")
    assert rc.init.services() == {"sshd": "inactive", "cron": "inactive", "net.eth0": "inactive"}
    for state, active in (("starting", "activating"), ("started", "active"), ("stopping", "deactivating"), ("inactive", "activating")):
        rc.mark("sshd", state)
        assert rc.init.services()["sshd"] == active
    (rc.state / "started" / "cron").symlink_to("x")
    (rc.state / "stopping" / "cron").symlink_to("x")
    assert rc.init.services()["cron"] == "deactivating", "while it changes it is in both"
    assert rc.init.exists("cron") and not rc.init.exists("nothing") and not rc.init.exists("../init.d/cron") and not rc.init.exists("")


@pytest.mark.parametrize(("level", "up"), [("boot", False), ("sysinit", False), ("default", True), ("nonetwork", True), ("single", False),
                                           ("shutdown", False), ("reboot", False), ("", False)])
def test_b264_runlevels_of_openrc(tmp_path: pathlib.Path, level: str, up: bool) -> None:
    rc = Rc(tmp_path)
    rc.softlevel(level)
    assert rc.init.is_up() is up


def test_b265_states_of_runit(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc" / "service").mkdir(parents=True)
    states = {"a": "run", "b": "down", "c": "finish, got TERM", "d": "run, paused, want down", "e": "", "f": None}
    for name, text in states.items():
        (tmp_path / "sv" / name / "supervise").mkdir(parents=True)
        (tmp_path / "etc" / "service" / name).symlink_to(tmp_path / "sv" / name)
        if text is not None:
            (tmp_path / "sv" / name / "supervise" / "stat").write_text(text + "\n")
    init = runit(str(tmp_path))
    assert init.services() == {"a": "active", "b": "inactive", "c": "deactivating", "d": "active", "e": "inactive", "f": "inactive"}
    assert init.exists("a") and not init.exists("z") and init.is_up()
    assert str(tmp_path / "etc/service/a/supervise") in init.directories()


def test_b265_states_of_s6(tmp_path: pathlib.Path) -> None:
    """As s6 2.11 writes them, and a longer one of later versions."""
    stamps = bytes.fromhex("400000006b08ca8737e6d21b400000006b08ca8737ad850b")
    states = {"up": stamps + bytes.fromhex("0000000000003d6a000004"), "finishing": stamps + bytes.fromhex("0000000000003dd5000f02"),
              "down": stamps + bytes.fromhex("0000000000000000000f08"),
              "new": stamps + bytes.fromhex("0000000000003d6a0000000000003d6a00000c"),
              "new-down": stamps + bytes.fromhex("00000000000000000000000000003d6a000f08"), "half": stamps[:20], "never": None}
    scandir = tmp_path / "run" / "service"
    (scandir / ".s6-svscan").mkdir(parents=True)
    for name, data in states.items():
        (scandir / name / "supervise").mkdir(parents=True)
        if data is not None:
            (scandir / name / "supervise" / "status").write_bytes(data)
    init = s6(str(tmp_path))
    assert init.services() == {"up": "active", "finishing": "deactivating", "down": "inactive", "new": "active", "new-down": "inactive",
                               "half": "inactive", "never": "inactive"}
    assert init.exists("up") and not init.exists(".s6-svscan/..") and init.is_up()


def test_b265_sysv_init_has_nothing_to_watch() -> None:
    init = init_of("sysvinit")
    assert isinstance(init, SysvInit) and init.is_up()
    assert (init.directories(), init.services(), init.exists("cron")) == ((), {}, False)
    assert isinstance(init_of("openrc"), OpenRc)


class Loop:
    """A main loop whose turns the test makes."""

    def __init__(self) -> None:
        self.readers: Dict[int, Callable[[], None]] = {}
        self.timers: List[Tuple[float, Callable[[], None]]] = []

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def later(self, seconds: float, callback: Callable[[], None]) -> Any:
        timer = (seconds, callback)
        self.timers.append(timer)
        outer = self

        class Timer:
            def cancel(self) -> None:
                if timer in outer.timers:
                    outer.timers.remove(timer)

        return Timer()

    def fire(self, seconds: float) -> None:
        for timer in [timer for timer in self.timers if timer[0] == seconds]:
            self.timers.remove(timer)
            timer[1]()

    def turn(self) -> None:
        """Until nothing is readable any more."""
        while self.readers:
            ready = select.select(list(self.readers), [], [], 0)[0]
            if not ready:
                return
            for fd in ready:
                if fd in self.readers:
                    self.readers[fd]()


class Host:
    """A bridge's session on a made-up host; ``network`` says whether it is up."""

    def __init__(self, init: Init, jobs: Wanted, monkeypatch: pytest.MonkeyPatch, profile: str = "ubuntu") -> None:
        self.loop = Loop()
        self.table = Table()
        self.told: List[str] = []
        self.logged: List[str] = []
        self.network = False
        self.init = init
        self.jobs = jobs
        self.profile = profile
        monkeypatch.setattr(HostSources, "network_is_up", lambda sources: self.network)
        monkeypatch.setattr(HostSources, "open_network", lambda sources, told=lambda: None: told())
        self.connect()

    def connect(self) -> None:
        settings = Settings(self.profile, lambda graphical: "2")
        self.session = InitSession(settings, dict(self.table.known), self.jobs, Mappings(()), Aliases(), self.init, self._tell,
                                   self.loop, self.logged.append)  # type: ignore[arg-type]

    def _tell(self, facts: Sequence[Fact]) -> None:
        self.told += self.table.take(facts)

    def take(self) -> List[str]:
        self.loop.turn()
        told, self.told = self.told, []
        return told


@pytest.fixture
def rc(tmp_path: pathlib.Path) -> Rc:
    return Rc(tmp_path, "sshd", "dbus", "net.eth0")


SSH = ("starting ssh or started ssh or stopping ssh or stopped ssh",)


def test_b264_services_of_openrc_are_jobs(rc: Rc, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(rc.init, wanted(*SSH), monkeypatch)
    host.take()
    env = "JOB=ssh INSTANCE="
    for state, told in (("starting", [f"starting! {env} HOST_UNIT=sshd"]), ("started", [f"started {env} HOST_UNIT=sshd"]),
                        ("stopping", [f"stopping! {env} RESULT=ok HOST_UNIT=sshd"]),
                        ("stopped", [f"stopped {env} RESULT=ok HOST_UNIT=sshd"]),
                        ("started", [f"starting! {env} HOST_UNIT=sshd", f"started {env} HOST_UNIT=sshd"])):
        rc.mark("sshd", state)
        assert host.take() == told
    rc.mark("dbus", "started")
    assert host.take() == []


def test_b202_b264_a_new_bridge_tells_what_it_missed(rc: Rc, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(rc.init, wanted(*SSH), monkeypatch)
    rc.mark("sshd", "started")
    assert [each.split()[0] for each in host.take() if "JOB=ssh" in each] == ["starting!", "started"]
    host.session.close()
    host.connect()
    assert host.take() == []
    host.session.close()
    rc.mark("sshd", "stopped")
    host.connect()
    assert [each.split()[0] for each in host.take()] == ["stopping!", "stopped"]


def test_b208_b244_the_boot_waits_for_the_network(rc: Rc, monkeypatch: pytest.MonkeyPatch) -> None:
    rc.softlevel("boot")
    host = Host(rc.init, wanted("runlevel"), monkeypatch)
    first = ["startup", "not-container", "virtual-filesystems", "local-filesystems", "remote-filesystems", "filesystem", "plymouth-ready",
             "all-swaps"]
    assert host.take() == first
    host.network = True
    host.session._look_at_network()
    assert host.take() == ["static-network-up"]
    rc.softlevel("default")
    assert host.take()[:2] == ["runlevel RUNLEVEL=2 PREVLEVEL=N", "starting! JOB=rc INSTANCE= RUNLEVEL=2 PREVLEVEL=N"]
    host.network = False
    host.session._look_at_network()
    assert host.take() == [] and not host.loop.timers, "once, and idle after it"


def test_b244_two_minutes_at_most(rc: Rc, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(rc.init, wanted("static-network-up"), monkeypatch)
    assert "static-network-up" not in host.take()
    host.loop.fire(FAILSAFE)
    told = host.take()
    assert told[0] == "static-network-up" and "failsafe-boot" not in told and told[1].startswith("runlevel")
    host.session.close()
    host.connect()
    assert host.take() == [] and not host.loop.timers


def test_b214_b264_single_user_mode_and_back(rc: Rc, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(rc.init, wanted("runlevel"), monkeypatch)
    host.network = True
    host.session._look_at_network()
    host.take()
    rc.softlevel("single")
    assert host.take() == []
    # What the steps of the way down have told.
    host.session.emitted("runlevel", ["RUNLEVEL=S", "PREVLEVEL=1"])
    rc.softlevel("default")
    assert host.take()[0] == "runlevel RUNLEVEL=2 PREVLEVEL=S"


def test_b204_services_that_are_asked_for_later_are_old(rc: Rc, monkeypatch: pytest.MonkeyPatch) -> None:
    rc.mark("sshd", "started")
    jobs = wanted("runlevel")
    host = Host(rc.init, jobs, monkeypatch)
    host.take()
    define(jobs, "late", SSH[0])
    host.session.reconsider()
    assert host.take() == []
    rc.mark("sshd", "stopped")
    assert [each.split()[0] for each in host.take()] == ["stopping!", "stopped"]


def test_b265_a_service_of_runit_that_comes_later(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "run" / "runit" / "runsvdir" / "current"
    place.mkdir(parents=True)
    host = Host(runit(str(tmp_path)), wanted(*SSH), monkeypatch)
    host.take()
    (place / "sshd").mkdir()
    assert host.take() == []
    (place / "sshd" / "supervise").mkdir()
    assert host.take() == []
    stat = place / "sshd" / "supervise" / "stat"
    for text, told in (("run", ["starting!", "started"]), ("finish", ["stopping!"]), ("down", ["stopped"]),
                       ("run", ["starting!", "started"])):
        new = stat.with_name("stat.new")
        new.write_text(text + "\n")
        new.rename(stat)
        assert [each.split()[0] for each in host.take()] == told
    shutil.rmtree(place / "sshd")
    assert [each.split()[0] for each in host.take()] == ["stopping!", "stopped"]


def test_b272_polling_where_nothing_tells(rc: Rc, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> Any:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(init_source, "Inotify", none_left)
    host = Host(rc.init, wanted(*SSH), monkeypatch)
    host.network = True
    host.session._look_at_network()
    host.take()
    assert host.logged == ["The host's services are looked at every 5 s: [Errno 24] Too many open files"]
    rc.mark("sshd", "started")
    assert host.take() == []
    host.loop.fire(5.0)
    assert [each.split()[0] for each in host.take()] == ["starting!", "started"]
    assert [seconds for seconds, _ in host.loop.timers] == [5.0]
    host.session.close()
    assert not host.loop.timers and not host.loop.readers


UP = IFF_UP | IFF_RUNNING


@pytest.mark.parametrize(("links", "addresses", "up"), [
    ([Link(1, "lo", UP | IFF_LOOPBACK)], [], False),
    ([Link(2, "eth0", UP)], [], False),
    ([Link(2, "eth0", UP)], [Address(2, INET, b"1", SCOPE_GLOBAL, 0)], True),
    ([Link(2, "eth0", UP)], [Address(2, INET6, b"1", SCOPE_GLOBAL, ADDRESS_TENTATIVE)], False),
    ([Link(2, "eth0", UP), Link(3, "eth1", UP)], [Address(2, INET, b"1", SCOPE_GLOBAL, 0)], False),
    ([Link(2, "eth0", UP), Link(3, "eth1", UP)], [Address(2, INET, b"1", SCOPE_GLOBAL, 0), Address(3, INET6, b"2", SCOPE_GLOBAL, 0)], True),
    ([Link(2, "eth0", UP), Link(3, "docker0", IFF_UP)], [Address(2, INET, b"1", SCOPE_GLOBAL, 0)], True),
    ([Link(2, "eth0", 0)], [Address(2, INET, b"1", SCOPE_GLOBAL, 0)], False)])
def test_b244_when_the_network_is_up(links: List[Link], addresses: List[Address], up: bool) -> None:
    network = Network(wanted(), {}, True, False, lambda name: "")
    for seen in (*links, *addresses):
        network.update(seen, 0.0)
    assert not network.is_up(), "not before everything was told"
    network.update(Complete(), 0.0)
    assert network.is_up() is up


@pytest.fixture
def loop() -> Iterator[Loop]:
    yield Loop()


def test_b196_b244_the_network_is_watched_as_long_as_the_boot_waits_for_it(loop: Loop) -> None:
    heard: List[bool] = []
    sources = HostSources(wanted("filesystem"), {}, True, loop, lambda facts: None, lambda text: None,  # type: ignore[arg-type]
                          lambda: heard.append(True))
    sources.open_network()
    assert not loop.readers
    sources.need_network(True)
    sources.open_network()
    assert len(loop.readers) == 1
    loop.turn()
    assert heard
    sources.reconsider()
    assert len(loop.readers) == 1
    sources.need_network(False)
    assert not loop.readers and not sources.network_is_up()
    sources.close()

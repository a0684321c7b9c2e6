"""Re-execs in host mode: what the host told is known to the next run, no event is repeated and none missed (B195, B203, D175-D197)."""
from __future__ import annotations

import pathlib
import threading
from typing import Any, Callable, List, Tuple

import pytest

from compat.bridges.host.fact import Fact, HostEvent
from compat.engine.actions import Answer
from compat.engine.inputs import EmitEvent
from compat.host.awaited_events import AwaitedEvents
from compat.host.known_facts import KnownFacts
from tests.daemon.running import eventually
from tests.host import container as containers
from tests.host import systemd_host
from tests.host.conftest import Boot, Start

needs_namespaces = pytest.mark.skipif(not containers.possible(), reason="needs root and namespaces")
needs_systemd = pytest.mark.skipif(not systemd_host.possible(), reason="needs root and systemd")
WEB = "start on stopped rc RUNLEVEL=[2345]\nstop on runlevel [!2345]\nexec sleep 1000"
_JOB_EVENTS = ("starting", "started", "stopping", "stopped")


def of_the_host(events: List[str]) -> List[str]:
    return [each for each in events if each not in _JOB_EVENTS]


# -- the table -----------------------------------------------------------------------------------------------------------------


class Run:
    """The facts of one run of a daemon, with time standing still at ``now``."""

    def __init__(self, path: pathlib.Path, now: float) -> None:
        self.emitted: List[EmitEvent] = []
        self.timers: List[Tuple[float, Callable[[], None]]] = []
        self.warnings: List[str] = []
        self.events = AwaitedEvents(self.emitted.append)
        self.facts = KnownFacts(self.events, self._later, lambda priority, text: self.warnings.append(text), str(path / "facts.json"),
                                "boot", lambda: now)

    def _later(self, seconds: float, callback: Callable[[], None]) -> Any:
        timer = (seconds, callback)
        self.timers.append(timer)

        class Timer:
            def cancel(_) -> None:
                self.timers.remove(timer)

        return Timer()


def fact(object: str, *events: str, hold: bool = True) -> Fact:
    return Fact(object, "up", tuple(HostEvent(name, (), hold) for name in events))


def test_b203_what_is_waited_for_is_waited_for_afterwards(tmp_path: pathlib.Path) -> None:
    first = Run(tmp_path, 100.0)
    first.facts.tell(fact("boot:1", "startup", "filesystem"))
    first.facts.tell(fact("net:eth0", "net-device-up"))
    assert [(each.name, each.call) for each in first.emitted] == [("startup", -1), ("net-device-up", -2)]
    second = Run(tmp_path, 110.0)
    assert second.facts.restore(first.facts.state())
    second.facts.go_on()
    assert not second.emitted and [seconds for seconds, _ in second.timers] == [20.0, 20.0]
    assert second.facts.table.busy("boot:1") and not second.facts.tell(fact("net:eth0", "net-device-up"))
    assert second.events.answered(Answer(-1, None))
    assert [(each.name, each.call) for each in second.emitted] == [("filesystem", -3)]
    # One is overdue, and the other is finished.
    second.timers[0][1]()
    assert second.warnings == ["event net-device-up not finished after 30 s, going on"] and second.facts.table.busy("net:eth0")
    third = Run(tmp_path, 120.0)
    assert third.facts.restore(second.facts.state())
    assert third.facts.table.busy("net:eth0") and third.events.answered(Answer(-2, None)) and not third.facts.table.busy("net:eth0")
    assert third.events.answered(Answer(-3, None)) and not third.timers


@pytest.mark.parametrize("damage", [
    {"phases": 1}, {"held": [["boot", 3, 1]]}, {"numbers": [["x", 1]]}, {"due": [[1]]}, {"last_ticket": None}])
def test_b203_a_table_that_makes_no_sense_is_not_used(tmp_path: pathlib.Path, damage: Any) -> None:
    first = Run(tmp_path, 100.0)
    first.facts.tell(fact("boot:1", "startup", "filesystem"))
    second = Run(tmp_path, 100.0)
    assert not second.facts.restore({**first.facts.state(), **damage})
    assert len(second.warnings) == 1 and not second.timers
    assert second.facts.load(), "the file is there"
    assert [each.name for each in second.emitted] == ["filesystem"]


# -- a container, whose daemon runs the bridge -----------------------------------------------------------------------------------


@needs_namespaces
def test_b203_a_container_goes_on_and_its_bridge_too(start: Start) -> None:
    container = start({"web": WEB, "once": "start on startup or runlevel\ntask\nexec echo once",
                       "m": "start on mounted MOUNTPOINT=/mnt\ntask\nexec env"})
    container.wait_status("web", "web start/running")
    container.wait_status("once", "once stop/waiting")
    once = container.log("once").count("once")
    before, web, bridge = container.events(), container.status("web"), container.pid_of("compat.bridges.host.main")
    for number in range(1, 5):
        assert container.client("telinit", "u") == (0, "", "")
        container.run("mount", "-t", "tmpfs", "none", "/mnt")
        eventually(lambda number=number: container.log("m").count("MOUNTPOINT=/mnt") == number, lambda: container.output[-3000:])
        container.wait_status("m", "m stop/waiting")
        container.run("umount", "/mnt")
    assert of_the_host(container.events()[len(before):]) == ["mounted"] * 4
    assert container.output.count("Stateful re-exec completed") == 4
    assert container.status("web") == web and container.pid_of("compat.bridges.host.main") == bridge
    assert container.log("once").count("once") == once > 0 and "bridge has ended" not in container.output
    # It is still this daemon's.
    container.run("kill", "-9", str(bridge))
    eventually(lambda: container.pid_of("compat.bridges.host.main") not in (0, bridge))
    container.signal(15)
    assert container.wait_end() == 0


@needs_namespaces
def test_d247_not_while_the_container_goes_down(start: Start) -> None:
    container = start({"web": WEB, "slow": "start on runlevel 0\ntask\nexec sleep 3"})
    container.wait_status("web", "web start/running")
    container.signal(15)
    container.wait_status("slow", "slow start/running")
    status, _, errors = container.client("telinit", "u")
    assert status == 1 and "The host is going down" in errors
    assert container.wait_end() == 0


# -- a host with systemd -----------------------------------------------------------------------------------------------------------


@needs_systemd
def test_b203_a_host_goes_on(boot: Boot) -> None:
    """Its daemon is re-executed while units come and go, file systems are mounted and jobs start and end; then it shuts down."""
    host = boot({"once": "start on startup or runlevel or filesystem\ntask\nexec echo once", "web": WEB,
                 "disk": "start on mounted MOUNTPOINT=/srv\ntask\nexec env",
                 "log": "start on started rsyslog\nstop on stopping rsyslog\nscript\necho up\nexec sleep 1000\nend script",
                 "last": "start on runlevel [06]\ntask\nexec echo last"},
                units={"rsyslog.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=sleep 1000\n"})
    host.wait_status("web", "web start/running")
    host.wait_status("log", "log start/running")
    web, before, once = host.status("web"), len(host.events()), host.log("once").count("once")
    pid = host.shell("systemctl show -P MainPID upstart-compat").strip()
    over = threading.Event()
    said: List[str] = []

    def re_execute() -> None:
        while not over.is_set():
            said.append(host.client("telinit", "u"))

    thread = threading.Thread(target=re_execute)
    thread.start()
    try:
        for number in range(1, 6):
            host.shell("mount -t tmpfs data /srv")
            host.eventually(lambda number=number: host.log("disk").count("MOUNTPOINT") == number)
            host.shell("umount /srv; systemctl restart rsyslog")
            host.eventually(lambda number=number: host.log("log").count("up") == number + 1)
    finally:
        over.set()
        thread.join()
    assert set(said) == {""} and len(said) > 1
    assert host.shell("systemctl show -P MainPID upstart-compat").strip() == pid
    assert of_the_host(host.events()[before:]) == ["mounted"] * 5
    assert host.status("web") == web and host.log("once").count("once") == once
    assert host.shell("systemctl reload upstart-compat; systemctl show -P ActiveState upstart-compat").strip() == "active"
    assert "Internal error" not in host.journal()
    host.go_down("poweroff")
    assert host.log("last") == "last\n"


@needs_systemd
@pytest.mark.parametrize("configuration", ["", "hook rsyslog"])
def test_b200_an_event_that_holds_others_back_goes_on_doing_so(boot: Boot, configuration: str) -> None:
    """And so does the native unit itself that has a hook (B232)."""
    host = boot({"before": "start on starting rsyslog\ntask\nscript\necho before\nwhile test -e /run/hold; do sleep 0.05; done\nend script",
                 "after": "start on started rsyslog\nstop on stopping rsyslog\nexec sleep 1000"},
                units={"rsyslog.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=sleep 1000\n"},
                configuration=configuration)
    host.wait_status("after", "after start/running")
    host.shell("touch /run/hold; systemctl --no-block restart rsyslog")
    host.wait_log("before", "before\nbefore\n")
    for _ in range(3):
        assert host.client("telinit", "u") == ""
    assert host.status("before").startswith("before start/running") and host.status("after") == "after stop/waiting"
    assert bool(host.main_pid("rsyslog")) is not bool(configuration)
    host.shell("rm /run/hold")
    host.wait_status("after", "after start/running")
    assert host.status("before") == "before stop/waiting" and host.log("before") == "before\nbefore\n"
    assert "timed out" not in host.run("journalctl", "-b", "-o", "cat", "-u", "upstart-before@*").stdout, "it is answered"
    assert "Internal error" not in host.journal()

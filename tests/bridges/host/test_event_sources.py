"""Who emits what an operand waits for."""
from __future__ import annotations

from typing import FrozenSet, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host.aliases import Aliases
from compat.bridges.host.event_sources import EventSources, Host, Source
from compat.bridges.host.loaded_jobs import LoadedJobs, RegisteredJobs
from compat.bridges.host.master_table import EVENTS, MILESTONES
from compat.bridges.host.wanted import Operand, operands
from compat.parser.definition import And, Condition, Match, Or
from compat.parser.job_file import parse_job
from compat.testing import SimulatedMachine

UNITS = frozenset((
    "dbus.service", "rsyslog.service", "systemd-udevd.service", "NetworkManager.service", "remote-fs.target", "nginx.service",
    "cron.service"))


def host(kind: str = "systemd", profile: str = "ubuntu", units: FrozenSet[str] = UNITS, mapped: FrozenSet[str] = frozenset(),
         programs: FrozenSet[str] = frozenset()) -> Host:
    return Host(kind, profile, units.__contains__, Aliases(), mapped, programs)


def operand(text: str) -> Operand:
    """``stop on X`` or ``start on X``."""
    definition = parse_job(text.encode())
    return operands("j", definition.start_on, definition.stop_on)[0]


def source(text: str, on: Host, *jobs: Tuple[str, Tuple[str, ...]]) -> Source:
    loaded = LoadedJobs()
    for name, emits in jobs:
        loaded.define(name, emits)
    return EventSources(on, loaded).source(operand(text))


#: Table 6.28, a line for each event of each row: on systemd, in a container, on no known host.
MASTER = [
    ("startup", "boot", "boot", "boot"),
    ("mounting MOUNTPOINT=/srv", "mountinfo", "mountinfo", "none"),
    ("mounted MOUNTPOINT=/srv TYPE=ext4", "mountinfo", "mountinfo", "none"),
    ("virtual-filesystems", "boot", "boot", "boot"),
    ("local-filesystems", "boot", "boot", "boot"),
    ("remote-filesystems", "boot", "boot", "boot"),
    ("filesystem", "boot", "boot", "boot"),
    ("all-swaps", "boot", "boot", "boot"),
    ("container CONTAINER=lxc", "boot", "boot", "none"),
    ("not-container", "boot", "none", "none"),
    ("net-device-added INTERFACE=eth0", "udev", "netlink", "none"),
    ("net-device-changed", "udev", "none", "none"),
    ("net-device-removed INTERFACE=eth0", "udev", "netlink", "none"),
    ("block-device-added DEVNAME=/dev/sd*", "udev", "none", "none"),
    ("net-device-up IFACE!=lo", "netlink", "netlink", "none"),
    ("net-device-down IFACE=eth0", "netlink", "netlink", "none"),
    ("static-network-up", "boot", "boot", "none"),
    ("failsafe-boot", "boot", "none", "none"),
    ("runlevel [2345]", "boot", "boot", "boot"),
    ("runlevel RUNLEVEL=0 INIT_HALT=POWEROFF", "boot", "boot", "boot"),
    ("starting rc RUNLEVEL=[016]", "boot", "boot", "boot"),
    ("started rc", "boot", "boot", "boot"),
    ("stopping rc PREVLEVEL=N", "boot", "boot", "boot"),
    ("stopped rc RUNLEVEL=[2345]", "boot", "boot", "boot"),
    ("starting rsyslog", "systemd rsyslog.service", "none", "none"),
    ("started rsyslog", "systemd rsyslog.service", "none", "none"),
    ("stopping rsyslog RESULT=failed EXIT_STATUS=3", "systemd rsyslog.service", "none", "none"),
    ("stopped rsyslog EXIT_SIGNAL=SEGV", "systemd rsyslog.service", "none", "none"),
    ("started network", "systemd NetworkManager.service", "none", "none"),
    ("started netfs", "systemd remote-fs.target", "none", "none"),
    ("deconfiguring-networking", "shutdown", "shutdown", "shutdown"),
    ("unmounting-filesystem", "shutdown", "shutdown", "shutdown"),
    ("unmounted-remote-filesystems", "shutdown", "shutdown", "shutdown"),
    ("control-alt-delete", "none", "none", "none"),
    ("power-status-changed", "systemd sigpwr.target", "SIGPWR", "none"),
    ("keyboard-request", "systemd kbrequest.target", "none", "none"),
    ("plymouth-ready", "boot", "boot", "boot"),
    ("login-session-start DISPLAY_MANAGER=gdm", "systemd display-manager.service", "none", "none"),
    ("desktop-session-start", "logind", "none", "none"),
    ("desktop-shutdown", "shutdown", "shutdown", "shutdown"),
    ("drm-device-added card0 PRIMARY_DEVICE_FOR_DISPLAY=1", "udev", "none", "none"),
    ("graphics-device-added PRIMARY_DEVICE_FOR_DISPLAY=1", "udev", "none", "none"),
    ("fedora.serial-console-available DEV=*", "none", "none", "none"),
    ("splash-request", "none", "none", "none"),
    ("recovery", "none", "none", "none"),
    ("rotate-logs", "none", "none", "none"),
    ("device-not-ready", "none", "none", "none"),
    ("socket PROTO=inet PORT=80", "none", "none", "none"),
    ("file FILE=/x", "none", "none", "none"),
    ("dbus SIGNAL=x", "none", "none", "none"),
    ("starting network-interface INTERFACE=eth0", "netlink", "netlink", "none"),
    ("stopped rc-sysinit", "boot", "boot", "boot"),
    ("started mountall", "boot", "boot", "boot"),
    ("stopped udevtrigger", "boot", "boot", "boot"),
    ("started udev-fallback-graphics", "boot", "boot", "boot"),
    ("started rcS", "none", "none", "none"),
]


@pytest.mark.parametrize("condition, systemd, container, bare", MASTER, ids=[each[0] for each in MASTER])
def test_b267_every_row_of_the_master_table(condition: str, systemd: str, container: str, bare: str) -> None:
    for kind, expected in (("systemd", systemd), ("container", container), ("none", bare)):
        found = source(f"stop on {condition}", host(kind))
        assert (kind, found.label) == (kind, expected)
        assert found.exists is (expected != "none")


def test_b267_no_row_of_the_table_is_untested() -> None:
    named = {each[0].split()[0] for each in MASTER} | {"*-device-added", "*-device-changed", "*-device-removed", "*-device-*"}
    assert {row.event for row in EVENTS if "systemd" in row.kinds} <= named


@pytest.mark.parametrize("program, condition", [
    ("upstart-socket-bridge", "socket PROTO=inet PORT=80"), ("upstart-file-bridge", "file FILE=/x"),
    ("upstart-dbus-bridge", "dbus SIGNAL=x")])
def test_b267_events_of_bridges_come_where_the_bridge_is_installed(program: str, condition: str) -> None:
    assert source(f"start on {condition}", host(programs=frozenset((program,)))) == Source("bridge", program)
    assert source(f"start on {condition}", host()) == Source("none", f"{program} is not installed")


@pytest.mark.parametrize("condition, label", [
    ("startup", "boot"), ("session-end", "session"), (":sys:runlevel", "bridge"), ("filesystem", "none"),
    ("started rsyslog", "none"), ("started mountall", "none"), ("runlevel 2", "none")])
def test_b267_a_session_has_events_of_its_own(condition: str, label: str) -> None:
    assert source(f"start on {condition}", host("session", programs=frozenset(("upstart-event-bridge",)))).label == label


@pytest.mark.parametrize("name", sorted(MILESTONES))
def test_b211_milestones_without_a_unit_are_told_by_the_boot(name: str) -> None:
    profile = "rhel" if name == "rcS" else "ubuntu"
    found = source(f"start on stopped {name}", host(profile=profile, units=frozenset()))
    assert found.label == ("netlink" if name == "network-interface" else "boot")
    assert source(f"start on stopped {name}", host("session")).label == "none"


def test_b228_a_class_comes_before_unit_and_milestone() -> None:
    assert source("start on started rsyslog", host(), ("rsyslog", ())) == Source("job rsyslog")
    assert source("start on stopped rc RUNLEVEL=9", host(), ("rc", ())) == Source("job rc")


def test_b239_a_class_that_goes_leaves_its_events_without_emitter() -> None:
    loaded = LoadedJobs()
    sources = EventSources(host(), loaded)
    loaded.define("a", ("ready", "disk-*"))
    loaded.define("b", ("ready",))
    assert sources.source(operand("start on disk-up")).label == "emits of a"
    assert sources.source(operand("start on ready")).label == "emits of a"
    loaded.define("a", ())
    assert sources.source(operand("start on ready")).label == "emits of b"
    assert not sources.source(operand("start on disk-up")).exists
    loaded.forget("b")
    loaded.forget("b")
    assert not sources.source(operand("start on ready")).exists
    assert sources.source(operand("start on started a")).exists
    assert not sources.source(operand("start on started b")).exists


@pytest.mark.parametrize("condition", [
    "starting udev", "starting mountall", "mounting MOUNTPOINT=/proc", "mounting MOUNTPOINT=/sys/fs/cgroup"])
def test_b210_what_the_host_did_long_ago_is_too_early(condition: str) -> None:
    found = source(f"start on {condition}", host())
    assert found.exists and found.note == "too early on this host"


@pytest.mark.parametrize("condition", [
    "started udev", "stopped mountall", "mounting MOUNTPOINT=/srv", "mounting MOUNTPOINT!=/proc", "starting rsyslog"])
def test_b210_the_rest_is_not(condition: str) -> None:
    assert source(f"start on {condition}", host()).note == ""


@pytest.mark.parametrize("condition, note", [
    ("start on local-filesystem", "did you mean local-filesystems?"),
    ("start on filesytem", "did you mean filesystem?"),
    ("start on runelvel 2", "did you mean runlevel?"),
    ("stop on [!12345]", "the name of an event is no pattern, and an argument stands apart from it"),
    ("stop on runlevel[016]", "the name of an event is no pattern, and an argument stands apart from it"),
    ("stop on shutdown", "no system ever emitted it; stop on runlevel [016] is meant"),
    ("start on dbus-ready", ""),
    ("start on nginx", "did you mean started nginx?"),
    ("start on started rsylog", "there is no job or unit rsylog, did you mean rsyslog?"),
    ("start on started postgresql", "there is no job or unit postgresql"),
    ("start on runlevel []", "RUNLEVEL is never []"),
    ("start on runlevel [!0-9S]", "RUNLEVEL is never [!0-9S]"),
    ("start on runlevel RUNLEVEL!=*", "RUNLEVEL is never other than *"),
    ("start on runlevel LEVEL=2", "runlevel has no variable LEVEL"),
    ("start on filesystem ext4", "filesystem has no variables"),
    ("start on mounted a b c d e", "mounted has no 5 variables"),
    ("start on started rsyslog RESULT=ok", "started has no variable RESULT"),
    ("start on stopped rc RUNLEVEL=[]", "RUNLEVEL is never []"),
    ("start on runlevel $LEVEL", "variables are never set in start on"),
    ("start on started $JOB", "variables are never set in start on"),
])
def test_b199_why_nobody_meets_an_operand(condition: str, note: str) -> None:
    assert source(condition, host()) == Source("none", note)


@pytest.mark.parametrize("condition", [
    "stop on runlevel [!$RUNLEVEL]", "stop on stopped $WAIT_FOR", "start on runlevel ${LEVEL:-2}",
    "start on stopped", "start on started JOB!=x",
    "start on stopped nginx*", "start on runlevel [2,3,4,5]"])
def test_b199_what_may_be_met_is_no_complaint(condition: str) -> None:
    assert source(condition, host()).exists


def test_b217_red_hats_rc_has_no_previous_level() -> None:
    assert source("start on stopped rc PREVLEVEL=N", host()).exists
    assert not source("start on stopped rc PREVLEVEL=N", host(profile="rhel")).exists


def test_b211_rc_sysinit_is_ubuntus_and_rcs_red_hats() -> None:
    for profile, name, other in (("ubuntu", "rc-sysinit", "rcS"), ("rhel", "rcS", "rc-sysinit")):
        assert source(f"start on stopped {name}", host(profile=profile)).label == "boot"
        assert source(f"start on stopped {other}", host(profile=profile)).label == "none"


def test_b208_only_ubuntu_has_a_failsafe() -> None:
    assert not source("start on failsafe-boot", host(profile="rhel")).exists


def test_b270_a_mapping_is_a_source() -> None:
    on = host(mapped=frozenset(("login-prompt-visible",)))
    assert source("start on login-prompt-visible X=1", on) == Source("mapping")


@pytest.mark.parametrize("condition, kind, exists", [
    ("started foo*", "container", False), ("started rc*", "container", True),
    ("started foo*", "systemd", True), ("stopped JOB!=x", "container", True)])
def test_b224_patterns_mean_units_only_under_systemd(condition: str, kind: str, exists: bool) -> None:
    assert source(f"start on {condition}", host(kind)).exists is exists


@pytest.mark.parametrize("condition, label", [
    ("stopping/failed rsyslog", "systemd rsyslog.service"), ("filesystem/failed", "boot"), ("nothing/failed", "none")])
def test_e87_the_event_of_a_failure_comes_from_where_the_event_does(condition: str, label: str) -> None:
    assert source(f"start on {condition}", host()).label == label


@pytest.mark.parametrize("condition, expected", [
    ("runlevel 2 and odd", False), ("runlevel 2 or odd", True), ("odd and (odd or runlevel 2)", False),
    ("(odd or runlevel 2) and filesystem", True),
    ("odd", False)])
def test_b199_a_condition_needs_both_sides_of_and_and_one_of_or(condition: str, expected: bool) -> None:
    definition = parse_job(f"start on {condition}".encode())
    assert definition.start_on is not None
    assert EventSources(host(), LoadedJobs()).reachable("j", "start on", definition.start_on) is expected


def truth(condition: Condition, good: FrozenSet[str]) -> bool:
    if isinstance(condition, Match):
        return condition.event in good
    left, right = truth(condition.left, good), truth(condition.right, good)
    return left and right if isinstance(condition, And) else left or right


LEAVES = st.sampled_from(["filesystem", "startup", "odd", "even"]).map(Match)


@given(st.recursive(LEAVES, lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner), max_leaves=12))
def test_b199_reachable_is_the_truth_of_the_tree(condition: Condition) -> None:
    expected = truth(condition, frozenset(("filesystem", "startup")))
    assert EventSources(host(), LoadedJobs()).reachable("j", "start on", condition) is expected


@given(st.lists(st.text(alphabet="ab*?[]!=$ {}\\-", min_size=1, max_size=8), min_size=1, max_size=4),
       st.sampled_from(["start on", "stop on"]),
       st.sampled_from(["starting", "stopped", "runlevel", "mounting", "net-device-up", ""]),
       st.sampled_from(["systemd", "container", "none", "session"]))
def test_b199_any_operand_has_an_answer(words: List[str], stanza: str, event: str, kind: str) -> None:
    leaf = Match(event or words[0], tuple(words[1:] if not event else words))
    loaded = LoadedJobs()
    sources = EventSources(host(kind), loaded)
    loaded.define("ab", ("a*",))
    assert str(sources.source(Operand("j", stanza, leaf)))


def test_b276_the_daemon_looks_at_the_classes_themselves() -> None:
    machine = SimulatedMachine()
    machine.define("a", "emits ready disk-*\nexec initctl emit up")
    jobs = RegisteredJobs(machine.engine)
    assert [jobs.emitter(event) for event in ("ready", "disk-x", "up", "down")] == ["a", "a", "a", None]
    assert list(jobs.names()) == ["a"] and jobs.loaded("a") and not jobs.loaded("b")
    machine.forget("a")
    assert jobs.emitter("up") is None

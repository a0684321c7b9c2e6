"""SystemdBackend on a systemd that refuses, is late, goes away, forgets (X250-X260). With the real one: tests/systemd."""
from __future__ import annotations

import errno
import os
import pathlib
import signal
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from compat.backends import enclosure, transient_scopes, transient_services
from compat.backends.child_setup import Process
from compat.backends.placement import NATIVE, SCOPE, SERVICE
from compat.backends.systemd_connection import Run, SystemdError
from compat.engine.inputs import (
    ProcessContinued,
    ProcessEnded,
    ProcessExecuted,
    ProcessForked,
    ProcessReady,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessVanished,
    StopFromOutside,
)
from tests.backends.native_host import exactly
from tests.backends.scripted_systemd import INVOCATION, UNIT, SystemdHost
from tests.backends.scripted_systemd import SERVICE as SERVICE_INTERFACE

SLEEP = "console none\nexec sleep 1000"
WEB = "upstart-web-main.service"


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemdHost]:
    # Nobody waits for a pid that does not come.
    monkeypatch.setattr(transient_services, "_PID_SECONDS", 0.2)
    # There is no systemd that would put them there.
    monkeypatch.setattr(transient_scopes, "is_in_unit", lambda pid, unit: True)
    host = SystemdHost(tmp_path, monkeypatch)
    yield host
    host.close()


def refuse(host: SystemdHost, number: int, text: str = "refused", times: int = 1) -> None:
    host.systemd.refusals += [SystemdError(number, text)] * times


def gone(host: SystemdHost, spawn: int) -> None:
    """The process of a service ends, and nobody says so."""
    os.kill(host.pids[spawn], signal.SIGKILL)
    host.reaped(host.pids[spawn])


# -- the usual course ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, status, fed", [(1, 0, 0), (1, 7, 7), (2, 9, 9 << 8), (3, 11, 11 << 8)])
def test_x259_start_and_end(host: SystemdHost, code: int, status: int, fed: int) -> None:
    spawn = host.running(SLEEP)
    pid = host.systemd.processes[WEB]
    assert host.course(spawn) == [exactly(ProcessSpawned(spawn, pid)), exactly(ProcessExecuted(spawn))]
    assert host.backend.placement(spawn).kind == SERVICE
    handle = host.backend.handle(spawn)
    assert (handle["unit"], handle["invocation"], handle["executed"]) == (WEB, INVOCATION, True)
    host.systemd.ended(WEB, code, status)
    assert host.course(spawn)[2:] == [exactly(ProcessEnded(spawn, fed))]
    assert host.backend.placement(spawn) == (NATIVE, "not known"), "nothing is kept of what is over"
    # The unit is let go when systemd has come to rest with it.
    host.systemd.say(WEB, UNIT, ActiveState=b"deactivating", SubState=b"stop")
    assert host.systemd.calls == []
    host.systemd.say(WEB, UNIT, ActiveState=b"active", SubState=b"exited")
    assert host.systemd.calls == [(b"StopUnit", WEB.encode())]
    # It says so once more when its own job is done; by then the unit may be gone, and stopping it would load it anew.
    host.systemd.say(WEB, UNIT, ActiveState=b"active", SubState=b"exited")
    assert len(host.systemd.calls) == 1
    host.systemd.unit_removed(WEB)
    assert WEB not in host.systemd.watched
    assert not host.of(spawn)[3:] and not host.warnings()


def test_x254_a_failed_unit_is_reset(host: SystemdHost) -> None:
    host.running(SLEEP)
    host.systemd.ended(WEB, 2, 9)
    host.systemd.say(WEB, UNIT, ActiveState=b"failed", SubState=b"failed")
    assert host.systemd.calls == [(b"ResetFailedUnit", WEB.encode())]


def test_x28_what_the_launcher_said_comes_before_the_end(host: SystemdHost) -> None:
    spawn = host.spawn("console none\nexec /no/such/program")
    host.reaped(host.systemd.processes[WEB])
    host.systemd.ended(WEB, 1, 255)
    assert [type(each) for each in host.of(spawn)] == [ProcessSpawned, ProcessSpawnFailed]
    assert host.of(spawn)[1].reason == "unable to execute: No such file or directory"


def test_x257_a_stop_is_asked_for_once(host: SystemdHost) -> None:
    host.running(SLEEP)
    for _ in range(2):
        host.systemd.say(WEB, UNIT, ActiveState=b"deactivating")
    assert [each for each in host.fed if isinstance(each, StopFromOutside)] == [StopFromOutside("web", "")]


def test_x255_signals_do_not_go_through_systemd(host: SystemdHost) -> None:
    spawn = host.running(SLEEP)
    host.kill(spawn, signal.SIGCONT)
    host.fire()
    assert host.of(spawn)[-1] == ProcessContinued(spawn)
    host.kill(spawn, signal.SIGTERM)
    host.reaped(host.pids[spawn])
    # Its end is on the way; nobody else's process is signalled.
    host.kill(spawn, signal.SIGKILL)
    assert not host.systemd.calls and not isinstance(host.of(spawn)[-1], ProcessEnded)


# -- refusals -------------------------------------------------------------------------------------------------------------


def test_x250_refused_is_native_with_one_warning(host: SystemdHost) -> None:
    refuse(host, errno.EACCES, "Access denied", 2)
    spawns = [host.running(SLEEP, job=job) for job in ("one", "two")]
    assert host.warnings() == ["one main process runs without a unit of systemd: Access denied"]
    assert [host.backend.placement(spawn).kind for spawn in spawns] == [NATIVE, NATIVE]
    assert not host.systemd.processes
    host.kill(spawns[0], signal.SIGTERM)
    assert host.end(spawns[0]) == signal.SIGTERM << 8


def test_x251_a_name_that_is_taken_gets_a_number(host: SystemdHost) -> None:
    host.systemd.runs[WEB] = Run("other", b"active", b"exited", 0, 1, 0)
    refuse(host, errno.EEXIST, "exists", 2)
    host.running(SLEEP)
    assert list(host.systemd.processes) == ["upstart-web-main-3.service"]
    assert host.systemd.calls == [(b"StopUnit", WEB.encode())], "nothing runs in it any more"


def test_x251_the_unit_before_is_still_there(host: SystemdHost) -> None:
    host.running(SLEEP)
    host.systemd.ended(WEB, 1, 0)
    host.running(SLEEP)
    assert list(host.systemd.processes) == [WEB, "upstart-web-main-2.service"]
    host.systemd.unit_removed(WEB)
    host.systemd.ended("upstart-web-main-2.service", 1, 0)
    host.running(SLEEP)
    assert WEB in host.systemd.watched, "its name was free again"


def test_x251_a_name_is_free_when_all_was_heard_of_the_unit_before(host: SystemdHost) -> None:
    host.running(SLEEP)
    host.systemd.ended(WEB, 1, 0)
    host.fire()
    # systemd has read its files, and the unit has gone since, which is in the queue.
    host.systemd.reloaded()
    host.systemd.sent = [lambda: host.systemd.unit_removed(WEB)]
    second = host.running(SLEEP)
    assert host.backend.unit(second) == "upstart-web-main-2.service"
    host.fire()
    third = host.running(SLEEP)
    assert host.backend.unit(third) == WEB
    host.systemd.ended(WEB, 1, 3)
    assert host.of(third)[-1] == ProcessEnded(third, 3)


def test_what_systemd_does_not_know_is_noted_once(host: SystemdHost) -> None:
    host.systemd.left_out = (b"OOMPolicy",)
    for job in ("one", "two"):
        host.running(SLEEP, job=job)
    assert [line for line in host.lines if "left out" in line] == ["I systemd does not take the property OOMPolicy: left out"]


@pytest.mark.parametrize("result, status, letter", [
    ("exit-code", 203, "W"), ("protocol", 0, "W"), ("exit-code", 217, "I"), ("exit-code", 205, "I"), ("signal", 217, "W")])
def test_x256_systemd_does_not_come_as_far_as_the_launcher(host: SystemdHost, result: str, status: int, letter: str) -> None:
    host.systemd.held = True
    host.systemd.result = result, status
    spawn = host.spawn(SLEEP)
    host.systemd.drop(WEB)
    host.run(lambda: len(host.of(spawn)) >= 2)
    assert [type(each) for each in host.of(spawn)] == [ProcessSpawned, ProcessExecuted]
    assert f"{letter} web main process runs without a unit of systemd: the unit's result is {result} ({status})" in host.lines


def test_x256_its_end_is_told_before_its_pid(host: SystemdHost) -> None:
    host.systemd.held = True
    spawn = host.spawn(SLEEP)
    host.systemd.ended(WEB, 1, 217)
    host.run(lambda: len(host.of(spawn)) >= 2)
    assert [type(each) for each in host.of(spawn)] == [ProcessSpawned, ProcessExecuted]
    assert host.backend.placement(spawn).kind == NATIVE


# -- late -------------------------------------------------------------------------------------------------------------------


def test_x25_a_pid_that_comes_late(host: SystemdHost) -> None:
    host.systemd.held = True
    spawns = [host.spawn(SLEEP, job=job) for job in ("one", "two")]
    assert not host.fed
    for job in ("two", "one"):
        host.systemd.execute(f"upstart-{job}-main.service")
    host.run(lambda: len(host.fed) == 4)
    assert all([type(each) for each in host.of(spawn)] == [ProcessSpawned, ProcessExecuted] for spawn in spawns)


@pytest.mark.parametrize("must_exist", [True, False])
def test_a_stop_before_the_pid_is_known(host: SystemdHost, must_exist: bool) -> None:
    host.systemd.held = True
    spawn = host.spawn(SLEEP)
    host.kill(spawn, signal.SIGTERM, must_exist=must_exist)
    assert [type(each) for each in host.of(spawn)] == [ProcessSpawnFailed] * must_exist
    # Without its channel the launcher ends, and nothing ran.
    host.systemd.execute(WEB)
    host.reaped(host.systemd.processes[WEB])
    assert len(host.of(spawn)) == must_exist


# -- without a connection ------------------------------------------------------------------------------------------------------


def test_x250_starts_wait_for_systemd_to_come_back(host: SystemdHost) -> None:
    host.systemd.answers = False
    host.systemd.break_off()
    spawn = host.spawn(SLEEP)
    for _ in range(3):
        assert host.fire() == [0.2]
    assert not host.fed
    host.systemd.answers = True
    host.fire()
    host.run(lambda: len(host.of(spawn)) == 2)
    assert WEB in host.systemd.processes and not host.warnings()


def test_x250_not_for_ever(host: SystemdHost) -> None:
    host.systemd.answers = False
    host.systemd.break_off()
    spawn = host.spawn(SLEEP)
    for _ in range(25):
        assert host.fire()[0] == 0.2
    host.run(lambda: len(host.of(spawn)) == 2)
    assert host.warnings() == [
        "systemd does not answer: Connection refused", "web main process runs without a unit of systemd: Connection refused"]
    assert host.backend.placement(spawn).kind == NATIVE
    # From now on at once, and systemd is tried every 10 s.
    other = host.running(SLEEP, job="other")
    assert host.backend.placement(other).kind == NATIVE
    assert host.warnings()[2:] == ["other main process runs without a unit of systemd: systemd does not answer"]
    assert host.fire() == [10.0]


def test_x250_the_connection_breaks_during_a_start(host: SystemdHost) -> None:
    def broken(unit: str, properties: object) -> "tuple[bytes, ...]":
        host.systemd.break_off()
        raise SystemdError(errno.ECONNRESET, "Connection reset by peer")

    whole = host.systemd.start_transient
    host.systemd.start_transient = broken  # type: ignore[method-assign, assignment]
    spawn = host.spawn(SLEEP)
    assert not host.fed
    host.systemd.start_transient = whole  # type: ignore[method-assign]
    host.fire()
    host.run(lambda: len(host.of(spawn)) == 2)
    assert WEB in host.systemd.processes and not host.warnings()


def test_a_stop_while_the_start_waits(host: SystemdHost) -> None:
    host.systemd.break_off()
    spawn = host.spawn(SLEEP)
    host.kill(spawn, signal.SIGTERM)
    assert host.course(spawn) == [exactly(ProcessSpawnFailed(spawn, "stopped before it could be started"))]
    host.fire()
    assert not host.systemd.processes and len(host.fed) == 1


def run(host: SystemdHost, spawn: int, **changes: object) -> Run:
    return Run(INVOCATION, b"active", b"running", host.pids[spawn], 0, 0)._replace(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["reload", "reconnect"])
def test_x259_what_was_missed_is_asked_for(host: SystemdHost, how: str) -> None:
    spawns = [host.running(SLEEP, job=job) for job in ("same", "ended", "stopped")]
    runs = [run(host, spawns[0]), run(host, spawns[1], pid=0, code=1, status=3), run(host, spawns[2], state=b"deactivating")]
    host.systemd.runs = dict(zip([f"upstart-{job}-main.service" for job in ("same", "ended", "stopped")], runs))
    before = len(host.fed)
    if how == "reload":
        host.systemd.reloaded()
    else:
        host.systemd.break_off()
        host.fire()
    assert host.fed[before:] == [ProcessEnded(spawns[1], 3), StopFromOutside("stopped", "")]


def test_x259_a_unit_that_was_made_anew_is_asked_for(host: SystemdHost) -> None:
    spawns = [host.running(SLEEP, job=job) for job in ("same", "ended")]
    host.systemd.runs = {"upstart-same-main.service": run(host, spawns[0]),
                         "upstart-ended-main.service": run(host, spawns[1], pid=0, code=1, status=3)}
    before = len(host.fed)
    host.systemd.made_anew("upstart-same-main.service")
    assert len(host.fed) == before
    host.systemd.made_anew("upstart-ended-main.service")
    assert host.fed[before:] == [ProcessEnded(spawns[1], 3)]
    host.systemd.runs["upstart-ended-main.service"] = run(host, spawns[1], sub_state=b"exited")
    host.systemd.made_anew("upstart-ended-main.service")
    assert host.systemd.calls == [(b"StopUnit", b"upstart-ended-main.service")], "nobody would let it go"


def test_x259_systemd_does_not_tell_of_an_end(host: SystemdHost) -> None:
    spawn = host.running(SLEEP)
    host.fire()
    host.systemd.runs[WEB] = run(host, spawn)
    host.kill(spawn, signal.SIGTERM)
    host.run(lambda: host.timers)
    assert host.fire() == [2.0]
    assert len(host.of(spawn)) == 2, "systemd has not waited for it yet"
    host.systemd.runs[WEB] = run(host, spawn, pid=0, code=2, status=15)
    assert 5.0 in host.fire()
    assert host.of(spawn)[-1] == ProcessEnded(spawn, 15 << 8)
    host.turn(0.0)
    host.fire()
    assert not host.timers, "it rests"


def test_x259_systemd_cannot_be_asked_at_first(host: SystemdHost) -> None:
    spawn = host.running(SLEEP)
    host.fire()
    whole = host.systemd.run_of

    def late(unit: str) -> None:
        raise SystemdError(errno.ETIMEDOUT, "Connection timed out")

    host.systemd.run_of = late  # type: ignore[method-assign, assignment]
    host.systemd.reloaded()
    assert host.warnings() == [f"Failed to ask systemd about {WEB}: Connection timed out"]
    host.systemd.run_of = whole  # type: ignore[method-assign]
    host.systemd.runs[WEB] = run(host, spawn, pid=0, code=2, status=9)
    assert 5.0 in host.fire()
    assert host.of(spawn)[-1] == ProcessEnded(spawn, 9 << 8)


@pytest.mark.parametrize("found", [None, "another run"])
def test_x80_the_unit_is_gone(host: SystemdHost, found: object) -> None:
    spawn = host.running(SLEEP)
    if found:
        host.systemd.runs[WEB] = run(host, spawn, invocation="f" * 32, pid=1)
    host.systemd.reloaded()
    assert len(host.of(spawn)) == 2, "it lives"
    gone(host, spawn)
    host.systemd.reloaded()
    assert host.of(spawn)[2:] == [ProcessVanished(spawn)]


def test_x80_the_unit_is_removed(host: SystemdHost) -> None:
    spawn = host.running(SLEEP)
    host.systemd.unit_removed(WEB)
    assert len(host.of(spawn)) == 2, "it lives: systemd itself is going away"
    other = host.running(SLEEP, job="other")
    gone(host, other)
    host.systemd.unit_removed("upstart-other-main.service")
    assert host.of(other)[2:] == [ProcessVanished(other)]


def test_x251_the_unit_before_is_removed_late(host: SystemdHost) -> None:
    """systemd may load and unload a name once more after the unit of that name has gone, as when somebody asks about it."""
    spawn = host.running(SLEEP)
    host.systemd.loaded.add(WEB)
    host.systemd.unit_removed(WEB)
    gone(host, spawn)
    host.systemd.unit_removed(WEB)
    assert len(host.of(spawn)) == 2
    host.systemd.ended(WEB, 1, 7)
    assert host.of(spawn)[2:] == [ProcessEnded(spawn, 7)]


# -- forks --------------------------------------------------------------------------------------------------------------------

FORKS = "console none\nexpect fork\nexec sh -c 'sleep 1000 & exit 0'"


def forked(host: SystemdHost) -> "tuple[int, int, int]":
    """spawn, parent, child; both are held."""
    spawn = host.spawn(FORKS)
    host.run(lambda: host.announced)
    return spawn, host.pids[spawn], host.announced[0]


def state(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("how", ["said", "overdue"])
def test_x254_parent_and_child_are_held_until_systemd_knows(host: SystemdHost, how: str) -> None:
    spawn, parent, child = forked(host)
    assert ProcessForked(spawn, child) in host.fed
    host.run(lambda: state(parent) == "t" and state(child) == "t")
    assert not host.saw(ProcessReady(spawn))
    if how == "said":
        host.systemd.say(WEB, SERVICE_INTERFACE, MainPID=child)
    else:
        assert 2.0 in host.fire()
        assert host.warnings() == [f"systemd does not take {child} for the main process of {WEB}"]
    host.run(lambda: host.saw(ProcessReady(spawn)))
    host.run(lambda: not os.path.exists(f"/proc/{parent}"))
    assert state(child) in "SR"
    # The end of the parent is none of the service.
    host.systemd.ended(WEB, 2, 9)
    assert host.of(spawn)[-1] == ProcessEnded(spawn, 9 << 8)


def test_x254_systemd_cannot_be_told(host: SystemdHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int) -> None:
        host.announced.append(pid)
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    monkeypatch.setattr(transient_services.main_pid, "announce", refused)
    spawn, _, child = forked(host)
    host.fire()
    host.run(lambda: host.saw(ProcessReady(spawn)))
    assert host.warnings() == [f"Failed to tell systemd the main process of {WEB} ({child}): Connection refused"]


def test_x81_detached_while_it_is_held(host: SystemdHost) -> None:
    spawn, parent, child = forked(host)
    host.detach(spawn)
    host.run(lambda: not os.path.exists(f"/proc/{parent}") and state(child) in "SR")
    assert not host.saw(ProcessReady(spawn)) and not host.warnings()


# -- scopes -------------------------------------------------------------------------------------------------------------------

SCOPED = "console none\npre-start exec sleep 1000\nexec true"
SCOPE_UNIT = r"upstart-web-pre\x2dstart.scope"


def settling(host: SystemdHost) -> int:
    spawn = host.spawn(SCOPED, process="pre-start")
    host.run(lambda: SCOPE_UNIT in host.systemd.properties)
    assert host.systemd.properties[SCOPE_UNIT][b"PIDs"] == [host.pids[spawn]]
    host.turn(0.05)
    assert [type(each) for each in host.of(spawn)] == [ProcessSpawned], "it waits for its scope"
    return spawn


_OUTCOMES = {
    "done": "", "failed": "the unit's job was failed", "removed": "the unit was removed", "late": "systemd does not answer", "lost": ""}


@pytest.mark.parametrize("outcome", sorted(_OUTCOMES))
def test_x251_a_process_waits_for_its_scope(host: SystemdHost, outcome: str) -> None:
    spawn = settling(host)
    if outcome in ("done", "failed"):
        host.systemd.job_removed(SCOPE_UNIT, outcome)
    elif outcome == "removed":
        host.systemd.unit_removed(SCOPE_UNIT)
    elif outcome == "late":
        assert 5.0 in host.fire()
    else:
        host.systemd.break_off()
    host.run(lambda: len(host.of(spawn)) == 2)
    assert isinstance(host.of(spawn)[1], ProcessExecuted)
    assert (SCOPE_UNIT in host.backend._scopes.of_processes()) is (outcome not in ("failed", "removed"))
    text = _OUTCOMES[outcome]
    assert host.warnings() == ([f"web pre-start process runs without a unit of systemd: {text}"] if text else [])
    assert host.backend.placement(spawn).kind == (NATIVE if text else SCOPE)


def in_a_scope(host: SystemdHost) -> int:
    spawn = settling(host)
    host.systemd.job_removed(SCOPE_UNIT, "done")
    host.run(lambda: len(host.of(spawn)) == 2)
    return spawn


def stops(host: SystemdHost) -> int:
    return sum(isinstance(each, StopFromOutside) for each in host.fed)


def test_x252_without_a_bus_a_stop_is_seen(host: SystemdHost) -> None:
    """systemd takes a scope for stopped at once if there is nobody to ask."""
    in_a_scope(host)
    assert stops(host) == 0
    host.systemd.say(SCOPE_UNIT, UNIT, ActiveState=b"inactive")
    host.systemd.unit_removed(SCOPE_UNIT)
    assert stops(host) == 1


@pytest.mark.parametrize("inside", [True, False])
def test_x252_a_stop_while_systemd_was_away_is_seen(host: SystemdHost, monkeypatch: pytest.MonkeyPatch, inside: bool) -> None:
    """But not of a scope that the process was never put into."""
    monkeypatch.setattr(transient_scopes, "is_in_unit", lambda pid, unit: inside)
    in_a_scope(host)
    host.systemd.break_off()
    while not host.systemd.is_open or host.timers:
        host.fire()
    assert stops(host) == inside


def test_x252_a_scope_that_is_there_when_systemd_is_back(host: SystemdHost) -> None:
    in_a_scope(host)
    host.systemd.runs[SCOPE_UNIT] = Run("", b"active", b"running", 0, 0, 0)
    host.systemd.inside[SCOPE_UNIT] = [4711]
    host.systemd.break_off()
    while not host.systemd.is_open or host.timers:
        host.fire()
    assert stops(host) == 0
    host.systemd.say(SCOPE_UNIT, UNIT, ActiveState=b"deactivating")
    assert stops(host) == 1


@pytest.mark.parametrize("state", [b"inactive", b"failed"])
def test_x252_a_scope_that_ends_before_it_is_there_is_no_stop(host: SystemdHost, state: bytes) -> None:
    settling(host)
    host.systemd.say(SCOPE_UNIT, UNIT, ActiveState=state)
    assert stops(host) == 0


def test_x252_scopes_of_a_bus_that_is_gone(host: SystemdHost, monkeypatch: pytest.MonkeyPatch) -> None:
    scopes = host.backend._scopes
    monkeypatch.setattr(type(scopes._controller), "is_asked", True)
    in_a_scope(host)
    assert SCOPE_UNIT not in host.systemd.watched
    scopes._controller._lost()
    host.systemd.say(SCOPE_UNIT, UNIT, ActiveState=b"inactive")
    assert stops(host) == 1


def test_x253_a_stop_of_what_a_process_left_behind_is_none_of_the_job(host: SystemdHost) -> None:
    """Which may run again by then, in another scope."""
    spawn = in_a_scope(host)
    os.kill(host.pids[spawn], signal.SIGKILL)
    host.run(lambda: isinstance(host.of(spawn)[-1], ProcessEnded))
    host.backend._scopes._is_stopped(host.systemd.path(SCOPE_UNIT))
    host.systemd.say(SCOPE_UNIT, UNIT, ActiveState=b"deactivating")
    host.systemd.unit_removed(SCOPE_UNIT)
    assert stops(host) == 0


@pytest.mark.parametrize("how", ["stock", "made anew"])
@pytest.mark.parametrize("state, made, stopped", [
    (b"active", True, False), (b"inactive", False, False), (b"inactive", True, True), (b"deactivating", True, True), (None, True, True)])
def test_x257_a_scope_of_the_daemon_before_this_one_is_seen_to_be_stopped(
        host: SystemdHost, state: "bytes | None", made: bool, stopped: bool, how: str) -> None:
    """Inactive is also one that is still being made."""
    spawn = settling(host)
    host.systemd.job_removed(SCOPE_UNIT, "done")
    host.run(lambda: len(host.of(spawn)) == 2)
    scopes, process = host.backend._scopes, host.backend._native.process_of(spawn)
    scopes.restore(process, host.request(SCOPED, process="pre-start"), SCOPE_UNIT, None if made else lambda: None)
    if how == "stock":
        scopes.take_stock({} if state is None else {SCOPE_UNIT: (state, b"")})
    elif state is None:
        host.systemd.unit_removed(SCOPE_UNIT)
    else:
        host.systemd.runs[SCOPE_UNIT] = Run("", state, b"", 0, 0, 0)
        host.systemd.made_anew(SCOPE_UNIT)
    assert [StopFromOutside("web", "")] * stopped == [each for each in host.fed if isinstance(each, StopFromOutside)]


def test_x250_a_scope_is_refused(host: SystemdHost) -> None:
    refuse(host, errno.EINVAL, "PID is in a unit already")
    host.running(SCOPED, process="pre-start")
    assert host.warnings() == ["web pre-start process runs without a unit of systemd: PID is in a unit already"]


def test_x251_a_scope_that_nothing_was_put_into_is_let_go(host: SystemdHost) -> None:
    """Its process ended too early, and systemd before 250 would keep it."""
    spawn = settling(host)
    os.kill(host.pids[spawn], signal.SIGKILL)
    host.run(lambda: isinstance(host.of(spawn)[-1], ProcessEnded))
    host.systemd.runs[SCOPE_UNIT] = Run("", b"active", b"running", 0, 0, 0)
    host.systemd.job_removed(SCOPE_UNIT, "done")
    name = SCOPE_UNIT.encode()
    assert host.systemd.calls[-2:] == [(b"AbandonScope", name), (b"StopUnit", name)]


@pytest.mark.parametrize("inside", [[], [4711]])
def test_x251_scopes_of_a_daemon_before_this_one(host: SystemdHost, inside: List[int]) -> None:
    """Their names are taken, and one in which nothing runs is let go."""
    name = SCOPE_UNIT.encode()
    host.systemd.break_off()
    host.timers.clear()
    host.systemd.runs[SCOPE_UNIT] = Run("", b"active", b"running", 0, 0, 0)
    host.systemd.inside[SCOPE_UNIT] = inside
    host.backend.connect()
    assert host.systemd.calls == ([] if inside else [(b"AbandonScope", name), (b"StopUnit", name)])
    host.spawn(SCOPED, process="pre-start")
    host.run(lambda: r"upstart-web-pre\x2dstart-2.scope" in host.systemd.properties)


def test_x251_nothing_is_known_of_a_scope_that_went_while_systemd_was_away(host: SystemdHost) -> None:
    spawn = settling(host)
    host.systemd.job_removed(SCOPE_UNIT, "done")
    host.run(lambda: len(host.of(spawn)) == 2)
    assert host.backend.unit(spawn) == SCOPE_UNIT
    os.kill(host.pids[spawn], signal.SIGKILL)
    host.reaped(host.pids[spawn])
    host.run(lambda: len(host.of(spawn)) == 3)
    host.systemd.break_off()
    while not host.systemd.is_open or host.timers:
        host.fire()
    assert host.backend._scopes._inside == {} == host.backend._scopes._units_of
    assert SCOPE_UNIT not in host.systemd.watched


# -- scopes of another daemon -----------------------------------------------------------------------------------------------------

OLD = "upstart-web-main.scope"


class Enclosing:
    """A process 101 in a scope with its children 102, 103, …, one of which ends at each attempt to put another scope around them."""

    def __init__(self, host: SystemdHost, monkeypatch: pytest.MonkeyPatch, fails: List[str]) -> None:
        self._host = host
        self._fails = fails
        self._start = host.systemd.start_transient
        #: where each process is
        self.scopes: Dict[int, str] = dict.fromkeys(range(101, 107), OLD)
        #: each unit that was asked for, with what was to be inside
        self.asked: List[Tuple[str, List[int]]] = []
        host.systemd.inside[OLD] = list(self.scopes)
        monkeypatch.setattr(enclosure, "scope_of", lambda pid: self.scopes.get(pid, ""))
        monkeypatch.setattr(host.systemd, "start_transient", self._attempt)

    def _attempt(self, unit: str, properties: List[Any]) -> Tuple[bytes, ...]:
        [pids] = [each.value for each in properties if each.name == b"PIDs"]
        self.asked.append((unit, pids))
        if not self._fails:
            return self._start(unit, properties)
        how = self._fails.pop(0)
        victim = pids[-1]
        if len(pids) > 1:
            del self.scopes[victim]
        if how == "refused":
            raise SystemdError(errno.ESRCH, f"Process with ID {victim} does not exist.")
        self.scopes.update(dict.fromkeys(pids[:1], unit))
        self._host.systemd.sent.append(lambda: self._host.systemd.job_removed(unit, "failed"))
        return self._start(unit, properties)

    def begin(self) -> bool:
        request = self._host.request("console output\nexec sleep 1000")
        process = Process(request, -1, None, None, "", lambda process, reason: None)
        process.pid = 101
        taken = self._host.backend._scopes.take_over(request, process)
        while self._host.systemd.sent:
            self._host.systemd.dispatch()
        return taken


@pytest.mark.parametrize("how", ["refused", "given up"])
@pytest.mark.parametrize("failures", range(4))
def test_x252_what_ends_while_it_is_enclosed_is_left_out(
        host: SystemdHost, monkeypatch: pytest.MonkeyPatch, how: str, failures: int) -> None:
    """At last the process alone gets the scope."""
    enclosing = Enclosing(host, monkeypatch, [how] * failures)
    assert enclosing.begin()
    inside = [list(range(101, 107 - number)) for number in range(3)] + [[101]]
    assert [pids for _, pids in enclosing.asked] == inside[:failures + 1]
    unit = enclosing.asked[-1][0]
    assert host.backend._scopes.of_processes() == {unit} == host.backend._scopes.in_use()
    host.systemd.job_removed(unit, "done")
    assert host.backend._scopes.of_processes() == {unit} and not host.backend._scopes.in_use()
    assert not host.warnings()


@pytest.mark.parametrize("how, line", [
    ("refused", f"I web is not stopped by a stop of {OLD}: Process with ID 101 does not exist."),
    ("given up", "W web main process runs without a unit of systemd: the unit's job was failed")])
def test_x252_a_process_that_cannot_be_enclosed(host: SystemdHost, monkeypatch: pytest.MonkeyPatch, how: str, line: str) -> None:
    enclosing = Enclosing(host, monkeypatch, [how] * 4)
    assert enclosing.begin() is (how == "given up")
    assert len(enclosing.asked) == 4 and not host.backend._scopes.of_processes() and not host.backend._scopes.in_use()
    assert host.lines.count(line) == 1


def test_x252_a_process_that_ends_while_it_is_enclosed(host: SystemdHost, monkeypatch: pytest.MonkeyPatch) -> None:
    enclosing = Enclosing(host, monkeypatch, ["given up"])
    lines = list(host.lines)
    host.systemd.sent.append(enclosing.scopes.clear)
    assert enclosing.begin()
    assert len(enclosing.asked) == 1 and host.lines == lines and not host.backend._scopes.of_processes()


def test_x252_a_systemd_that_does_not_answer_is_not_asked_again(host: SystemdHost, monkeypatch: pytest.MonkeyPatch) -> None:
    enclosing = Enclosing(host, monkeypatch, [])
    monkeypatch.setattr(host.systemd, "start_transient", enclosing._start)
    refuse(host, errno.ETIMEDOUT, "Connection timed out", 2)
    assert not enclosing.begin()
    assert len(host.systemd.refusals) == 1
    assert host.lines[-1] == f"I web is not stopped by a stop of {OLD}: Connection timed out"

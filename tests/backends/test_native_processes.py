"""Ends, stops, signals, and the order of what is fed: X27-X31, X70, X75, X80, X87-X89, X98-X114; checklist 28, 29, 62-77."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
from typing import Any, List, Tuple

import pytest

from compat.backends import identity
from compat.engine.inputs import (
    ProcessContinued,
    ProcessEnded,
    ProcessExecuted,
    ProcessForked,
    ProcessReady,
    ProcessSpawned,
    ProcessSpawnFailed,
    ProcessStopped,
    ProcessVanished,
    SignalNotSent,
)
from tests.backends.conftest import MakeHost
from tests.backends.native_host import Host, children, exactly, status

SLEEP = "exec /bin/sleep 1000"
PROGRAMS = pathlib.Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that forks and stops as it is told, see victim.c."""
    path = tmp_path_factory.mktemp("programs") / "victim"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", path, PROGRAMS / "victim.c"], check=True)
    return str(path)


# -- order ------------------------------------------------------------------------------------------------------


def a_hundred_in_a_row(host: Host, text: str) -> None:
    """Each is spawned while the end of the one before it is being handled."""
    request = host.request(text)
    last = (ProcessSpawnFailed, ProcessEnded)

    def react(happened: Any) -> None:
        if isinstance(happened, last) and happened.spawn < 100:
            host.backend.spawn(request._replace(spawn=happened.spawn + 1))
            # What makes the race: it ends before anybody looks at its pipe.
            os.waitid(os.P_PID, host.pids[happened.spawn + 1], os.WEXITED | os.WNOWAIT)

    host.react = react
    host.backend.spawn(request._replace(spawn=1))
    host.run(lambda: any(isinstance(each, last) for each in host.of(100)))


@pytest.mark.parametrize("text, status_of_it", [("exec /bin/true", 0), ("exec /bin/false", 1)])
def test_x28_a_process_spawned_from_within_reap_is_confirmed_before_it_ends(host: Host, text: str, status_of_it: int) -> None:
    a_hundred_in_a_row(host, text)
    for spawn in range(1, 101):
        assert host.course(spawn) == [
            exactly(ProcessSpawned(spawn, host.pids[spawn])), exactly(ProcessExecuted(spawn)), exactly(ProcessEnded(spawn, status_of_it))]


def test_x28_a_missing_program_never_ends_with_255(host: Host) -> None:
    a_hundred_in_a_row(host, "exec /nonexistent")
    for spawn in range(1, 101):
        assert host.course(spawn) == [
            exactly(ProcessSpawned(spawn, host.pids[spawn])),
            exactly(ProcessSpawnFailed(spawn, "unable to execute: No such file or directory"))]


def test_x31_the_script_is_fed_before_the_engine_hears_of_the_exec(host: Host) -> None:
    """A job that has no main loop to wait for: what fits the pipe is in it by then."""
    file = host.folder / "done"
    seen: List[bool] = []

    def react(happened: Any) -> None:
        if isinstance(happened, ProcessExecuted):
            os.waitid(os.P_PID, host.pids[happened.spawn], os.WEXITED | os.WNOWAIT)
            seen.append(file.exists())

    host.react = react
    assert host.end(host.spawn(f"script\ntrue\ntouch {file}\nend script")) == 0
    assert seen == [True]


def test_x30_x88_orphans_are_reaped_in_silence(host: Host) -> None:
    file = host.folder / "orphan"
    spawn = host.spawn("console none\n"
                       f"exec sh -c '(sh -c \"echo \\$\\$ > {file}; exec sleep 1000\" &) ; while ! test -s {file}; do :; done'")
    assert host.end(spawn) == 0
    orphan = int(file.read_text())
    host.run(lambda: orphan in children())
    os.kill(orphan, signal.SIGKILL)
    host.reaped(orphan)
    assert host.of(spawn) == host.fed
    assert host.lines == []


def test_x87_many_ends_in_one_turn(make_host: MakeHost) -> None:
    host = make_host(console="none")
    spawns = [host.running("exec /bin/sh -c 'read x < /proc/self/fd/0; kill -STOP $$'") for _ in range(30)]
    host.run(lambda: all(host.saw(ProcessStopped(spawn, signal.SIGSTOP)) for spawn in spawns))
    for spawn in spawns:
        os.kill(host.pids[spawn], signal.SIGKILL)
    host.run(lambda: all(host.saw(ProcessEnded(spawn, 9 << 8)) for spawn in spawns))
    assert not host.backend._processes and not host.backend._by_pid and not host.backend.setup._readers


def test_x87_more_than_one_turn_can_take_goes_on_in_the_next(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.backends.native._REAPED_A_TURN", 2)
    spawns = [host.spawn("console none\nexec /bin/true") for _ in range(5)]
    for spawn in spawns:
        os.waitid(os.P_PID, host.pids[spawn], os.WEXITED | os.WNOWAIT)
    host.backend.reap()
    assert sum(isinstance(each, ProcessEnded) for each in host.fed) == 2
    assert host.fire() == [0.0]
    assert sum(isinstance(each, ProcessEnded) for each in host.fed) == 4


def test_x98_log_then_utmp_then_the_engine(make_host: MakeHost) -> None:
    seen: List[Tuple[int, List[str], bool]] = []
    host: Host
    host = make_host(utmp=lambda pid: seen.append((pid, host.printed("web"), any(isinstance(each, ProcessEnded) for each in host.fed))))
    spawn = host.spawn("exec /bin/echo last words")
    host.end(spawn)
    assert seen == [(host.pids[spawn], ["last words"], False)]


# -- statuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command, expected", [
    ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 15 << 8), ("kill -KILL $$", 9 << 8), ("kill -40 $$", 40 << 8),
    ("kill -SEGV $$", 11 << 8),
])
def test_x89_x94_statuses(host: Host, command: str, expected: int) -> None:
    assert host.end(host.spawn(f"exec sh -c '{command}'")) == expected


def test_x70_x89_stopped_and_continued(host: Host) -> None:
    spawn = host.running(SLEEP)
    for _ in range(2):
        host.kill(spawn, signal.SIGSTOP, group=False)
        host.run(lambda: exactly(host.fed[-1]) == exactly(ProcessStopped(spawn, signal.SIGSTOP)))
        host.kill(spawn, signal.SIGCONT, group=False)
        host.run(lambda: exactly(host.fed[-1]) == exactly(ProcessContinued(spawn)))


def test_x46_a_process_that_stops_itself_at_once(host: Host) -> None:
    spawn = host.spawn("expect stop\nexec sh -c 'kill -STOP $$; exit 4'")
    host.run(lambda: len(host.of(spawn)) == 3)
    assert host.course(spawn)[1:] == [exactly(ProcessExecuted(spawn)), exactly(ProcessStopped(spawn, signal.SIGSTOP))]
    host.kill(spawn, signal.SIGCONT, group=False)
    assert host.end(spawn) == 4


# -- signals ---------------------------------------------------------------------------------------------------------


def test_x102_the_group_gets_it_and_a_setsid_child_does_not(host: Host) -> None:
    files = [host.folder / name for name in ("group", "session")]
    spawn = host.running(
        f"script\nsetsid sh -c 'echo $$ > {files[1]}; exec sleep 1000' &\n"
        f"sh -c 'echo $$ > {files[0]}; exec sleep 1000' &\nwait\nend script")
    host.run(lambda: all(file.exists() and file.read_text() for file in files))
    member, stranger = (int(file.read_text()) for file in files)
    host.kill(spawn, signal.SIGTERM)
    assert host.end(spawn) == 15 << 8
    host.run(lambda: status(member).get("State", "Z")[0] == "Z" or not status(member))
    assert status(stranger)["State"][0] in "SRD"


def test_x107_a_member_that_ignores_it_lives_on(host: Host) -> None:
    file = host.folder / "member"
    spawn = host.running(f"script\n(trap '' TERM; sh -c 'echo $$ > {file}; exec sleep 1000') &\nwait\nend script")
    host.run(lambda: file.exists() and file.read_text())
    host.kill(spawn, signal.SIGTERM)
    assert host.end(spawn) == 15 << 8
    assert status(int(file.read_text()))["State"][0] in "SRD"


def test_x102_a_reload_goes_to_the_process_alone(host: Host) -> None:
    marks = [host.folder / name for name in ("main", "child")]
    spawn = host.running(
        "script\nsh -c 'trap \"echo got > {1}\" USR1; echo up > {1}.up; while :; do sleep 0.01; done' &\n"
        "trap 'echo got > {0}' USR1; echo up > {0}.up\nwhile :; do sleep 0.01; done\nend script".format(*marks))
    host.run(lambda: all(pathlib.Path(f"{mark}.up").exists() for mark in marks))
    host.kill(spawn, signal.SIGUSR1, group=False)
    host.run(marks[0].exists)
    host.kill(spawn, signal.SIGKILL)
    host.end(spawn)
    assert not marks[1].exists()


def test_x110_two_signals_at_once(host: Host) -> None:
    spawn = host.running(SLEEP)
    host.kill(spawn, signal.SIGSTOP)
    host.kill(spawn, signal.SIGKILL)
    assert host.end(spawn) == 9 << 8


def test_x111_signal_0_and_impossible_ones(host: Host) -> None:
    spawn = host.running(SLEEP)
    host.kill(spawn, 0)
    for number in (65, 4000, 1 << 40):
        host.kill(spawn, number)
        assert exactly(host.fed[-1]) == exactly(SignalNotSent(spawn, number, "Invalid argument"))
        host.kill(spawn, number, must_exist=False)
    assert sum(isinstance(each, SignalNotSent) for each in host.fed) == 3
    host.kill(spawn, signal.SIGTERM)
    assert host.end(spawn) == 15 << 8


def test_a_signal_to_a_launcher_that_has_not_executed_anything_yet(host: Host) -> None:
    for _ in range(20):
        spawn = host.spawn(SLEEP)
        host.kill(spawn, signal.SIGTERM)
        assert host.end(spawn) == 15 << 8


def test_x105_a_signal_that_is_not_permitted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """As to a program that took another user's identity."""
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    spawn = host.running(SLEEP)
    monkeypatch.setattr(os, "killpg", refuse)
    host.kill(spawn, signal.SIGTERM, must_exist=False)
    assert len(host.of(spawn)) == 2
    host.kill(spawn, signal.SIGTERM)
    assert exactly(host.fed[-1]) == exactly(SignalNotSent(spawn, signal.SIGTERM, "Operation not permitted"))


def test_a_signal_to_a_spawn_that_is_not_there(host: Host) -> None:
    host.kill(77, signal.SIGTERM)
    host.kill(77, signal.SIGTERM, must_exist=False)
    assert [exactly(each) for each in host.fed] == [exactly(ProcessVanished(77))]


# -- followed forks (with tracee.py) and X80 -----------------------------------------------------------------------------


def test_x72_x75_the_child_of_a_followed_fork_is_the_process(host: Host) -> None:
    spawn = host.spawn("expect fork\nexec sh -c 'sleep 1000 & exit 7'")
    host.run(lambda: host.saw(ProcessReady(spawn)))
    old = host.pids[spawn]
    forked = next(each for each in host.of(spawn) if isinstance(each, ProcessForked))
    assert host.course(spawn)[:2] == [exactly(ProcessSpawned(spawn, old)), exactly(ProcessExecuted(spawn))]
    host.reaped(old)
    host.kill(spawn, signal.SIGTERM, group=False)
    assert host.end(spawn) == 15 << 8
    assert forked.pid != old
    assert not host.backend._by_pid


def test_x75_a_missing_program_with_expect_fork(host: Host) -> None:
    assert host.failure("expect daemon\nexec /nonexistent") == "unable to execute: No such file or directory"
    assert len(host.backend.tracees) == 0


def test_x81_detached_before_the_fork(host: Host) -> None:
    spawn = host.running("expect fork\nexec sh -c 'while ! test -e /nonexistent; do sleep 0.01; done'")
    host.detach(spawn)
    host.kill(spawn, signal.SIGTERM)
    assert host.end(spawn) == 15 << 8


def _reaped_by_its_parent(host: Host, program: str) -> Tuple[int, int]:
    """A tracked process that is gone: a helper that was followed and that its parent waited for. (spawn, pid)"""
    spawn = host.spawn(f"expect fork\n{program}")
    host.run(lambda: host.saw(ProcessReady(spawn)))
    forked = next(each.pid for each in host.of(spawn) if isinstance(each, ProcessForked))
    host.run(lambda: not status(forked))
    return spawn, forked


#: The shell waits for the first child, which is the one that is followed, and then goes on.
HELPER = "exec sh -c '(exit 0); while :; do sleep 1000; done'"


@pytest.mark.parametrize("pidfds", [True, False])
def test_x80_a_vanished_process_is_said_to_be(host: Host, monkeypatch: pytest.MonkeyPatch, pidfds: bool) -> None:
    if not pidfds:
        def refuse(pid: int, flags: int = 0) -> int:
            raise OSError(38, "Function not implemented")
        monkeypatch.setattr(os, "pidfd_open", refuse)
    spawn, _ = _reaped_by_its_parent(host, HELPER)
    host.kill(spawn, signal.SIGTERM)
    assert exactly(host.fed[-1]) == exactly(ProcessVanished(spawn))
    assert not host.backend._processes and not host.backend._by_pid
    # Said once; and nobody else is hurt.
    assert status(host.pids[spawn])["State"][0] in "SRD"


@pytest.mark.parametrize("pidfds", [True, False])
def test_x80_a_stranger_with_the_old_pid_is_not_signalled(host: Host, monkeypatch: pytest.MonkeyPatch, pidfds: bool) -> None:
    if not pidfds:
        def refuse(pid: int, flags: int = 0) -> int:
            raise OSError(38, "Function not implemented")
        monkeypatch.setattr(os, "pidfd_open", refuse)
    spawn, pid = _reaped_by_its_parent(host, HELPER)
    # A start time is told from another one by hundredths of a second.
    begin = time.monotonic()
    host.run(lambda: time.monotonic() - begin > 0.03)
    for _ in range(200):
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w") as file:
                file.write(str(pid - 1))
        except PermissionError:
            pytest.skip("pids cannot be chosen here")
        stranger = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}, setpgroup=0)
        if stranger == pid:
            break
        os.kill(stranger, signal.SIGKILL)
    else:
        pytest.skip("somebody else takes the pids")
    host.kill(spawn, signal.SIGKILL)
    assert exactly(host.fed[-1]) == exactly(ProcessVanished(spawn))
    assert status(pid)["State"][0] in "SRD"
    # Even when it is a child of ours, its end means nothing to the job.
    os.kill(pid, signal.SIGKILL)
    host.reaped(pid)
    assert exactly(host.fed[-1]) == exactly(ProcessVanished(spawn))


def test_x80_a_zombie_of_ours_is_still_there(host: Host) -> None:
    spawn = host.running(SLEEP)
    os.kill(host.pids[spawn], signal.SIGKILL)
    os.waitid(os.P_PID, host.pids[spawn], os.WEXITED | os.WNOWAIT)
    host.kill(spawn, signal.SIGTERM)
    assert host.end(spawn) == 9 << 8
    assert not host.saw(ProcessVanished(spawn))


def test_identity_of_a_process_that_was_never_there() -> None:
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    nobody = identity.Identity(gone)
    assert not nobody.holds()
    nobody.close()
    myself = identity.Identity(os.getpid())
    assert myself.holds()
    myself.close()


# -- daemon's end ------------------------------------------------------------------------------------------------------------


def test_close_gives_up_every_descriptor_and_processes_run_on(make_host: MakeHost, victim: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    host = make_host()
    host.running("exec sh -c 'echo printed; exec sleep 1000'")
    host.spawn("script\n" + "true\n" * 50_000 + "sleep 1000\nend script")
    traced = host.spawn(f"expect fork\nexec {victim} fork pause")
    host.run(lambda: len(host.of(traced)) >= 2)
    pids = list(host.pids.values())
    host.backend.close()
    left = set(os.listdir("/proc/self/fd")) - before
    # The wake-up pipe of the test's own loop.
    assert len(left) == 2
    assert all(status(pid) for pid in pids[:2])
    for pid in children():
        os.kill(pid, signal.SIGKILL)


def test_no_descriptor_is_left_after_ends_and_failures(host: Host) -> None:
    host.output("exec echo warm")
    before = sorted(os.listdir("/proc/self/fd"))
    host.output("script\ntrue\necho two\nend script")
    host.failure("exec /nonexistent")
    host.failure("script\ntrue\nend script\nchdir /nonexistent")
    host.end(host.spawn("script\nexit 1\n" + "true\n" * 50_000 + "end script"))
    spawn = host.spawn("expect fork\nexec sh -c 'sleep 1000 & exit 0'")
    host.run(lambda: host.saw(ProcessReady(spawn)))
    host.kill(spawn, signal.SIGKILL)
    host.end(spawn)
    assert sorted(os.listdir("/proc/self/fd")) == before

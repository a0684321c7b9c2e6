"""list: C112, C120, and that sending ahead changes neither the calls nor the order."""
from __future__ import annotations

from collections import Counter
from typing import Any, List, Tuple

import pytest

from compat.client import list_command, show_config
from compat.client.connection import _AHEAD_ON_BUS, AHEAD, ahead
from compat.initctl import main
from tests.client.peer import INSTANCE, JOB, MANAGER, Call, Error, F, Job, Peer, variant


def one_after_the_other(peer: Peer) -> Tuple[str, List[Tuple[Any, ...]]]:
    """What list prints and calls according to C120 and 4.18."""
    text, calls = "", [(MANAGER, "GetAllJobs")]
    for job in peer.jobs:
        calls.append((job.path, "GetAllInstances"))
        name = job.properties["name"]
        if not job.instances:
            calls.append((job.path, "Get", JOB, "name"))
            text += f"{name} stop/waiting\n"
        for instance, properties in job.instances.items():
            calls += [(job.path, "Get", JOB, "name"), (job.existing(instance), "GetAll", INSTANCE)]
            shown = f"{name} ({instance})" if instance else name
            text += f"{shown} {properties['goal']}/{properties['state']}, process {properties['processes'][0][1]}\n"
    return text, calls


def test_c120_two_instances_are_two_lines(peer: Peer, svc: Job, multi: Job) -> None:
    multi.add("b", processes=[("main", 1), ("post-start", 2)])
    multi.add("a")
    assert peer.run("initctl", "list") == (
        0, "svc stop/waiting\nmulti (b) start/running, process 1\n\tpost-start process 2\nmulti (a) start/running, process 100\n", "")


def test_c120_no_jobs(peer: Peer) -> None:
    assert peer.run("initctl", "list") == (0, "", "")


@pytest.mark.parametrize("count", [AHEAD - 1, AHEAD, AHEAD + 1, 3 * AHEAD + 7])
def test_c120_c137_many_jobs(peer: Peer, count: int) -> None:
    for number in range(count):
        job = peer.add_job(f"job-{number * 7919 % count}", parameter="N")
        for instance in range(number % 4):
            job.add(f"{instance}" if number % 8 else "", processes=[("main", number * 10 + instance)])
    text, calls = one_after_the_other(peer)
    assert peer.run("initctl", "list") == (0, text, "")
    made = peer.made()
    assert Counter(made) == Counter(calls)
    # The calls to one object are in the order in which one after the other makes them.
    for path in {key[0] for key in calls}:
        assert [key for key in made if key[0] == path] == [key for key in calls if key[0] == path]


def test_c120_the_number_of_unanswered_calls_is_limited(peer: Peer) -> None:
    for number in range(1000):
        peer.add_job(f"job-{number}").add()
    seen = 0

    def late(connection: Any, call: Call) -> None:
        nonlocal seen
        seen = max(seen, len({call.path for call in peer.calls if call.member == "GetAllInstances"})
                   - len({call.path for call in peer.calls if call.member == "GetAll"}))

    peer.before_reply = late
    assert peer.run("initctl", "list").out.count("\n") == 1000
    assert AHEAD / 2 < seen <= 2 * AHEAD + 2


class CountingConnection:
    """A connection that counts the calls whose replies were not read yet."""

    def __init__(self, window: int, jobs: int, instances: int) -> None:
        self.ahead = window
        self.jobs, self.instances = jobs, instances
        self.unread = self.most = 0

    def all_jobs(self) -> List[str]:
        return [f"/{number}" for number in range(self.jobs)]

    def begin(self, path: str, interface: str, member: str, *arguments: Any, **named: Any) -> Any:
        self.unread += 1
        self.most = max(self.most, self.unread)
        return CountedCall(self, [f"{path}/{number}" for number in range(self.instances)])

    def begin_get(self, path: str, interface: str, name: str, forever: bool = False) -> Any:
        return self.begin(path, interface, name)


class CountedCall:
    def __init__(self, connection: CountingConnection, instances: List[str]) -> None:
        self._connection, self._instances = connection, instances

    def texts(self) -> List[str]:
        self._connection.unread -= 1
        return self._instances

    def lists(self) -> List[List[str]]:
        self._connection.unread -= 1
        return []

    def text(self) -> str:
        self._connection.unread -= 1
        return "name"

    def result(self) -> Any:
        self._connection.unread -= 1
        return {"name": "", "goal": "start", "state": "running", "processes": variant("a(si)", [])}


@pytest.mark.parametrize(("jobs", "instances"), [(1000, 0), (1000, 1), (300, 5), (3, 1000)])
@pytest.mark.parametrize("command", ["list", "show-config"])
def test_c102_a_bus_would_refuse_too_many_unanswered_calls(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
                                                          command: str, jobs: int, instances: int) -> None:
    connection = CountingConnection(_AHEAD_ON_BUS, jobs, instances)
    monkeypatch.setattr(list_command if command == "list" else show_config, "connect", lambda invocation: connection)
    assert main(["initctl", command]) == 0
    # show-config takes the fake's instances for events that a job emits, a line each after the name's.
    assert capfd.readouterr().out.count("\n") == jobs * (max(instances, 1) if command == "list" else 1 + instances)
    assert connection.unread == 0
    # libdbus allows 128 on the system bus.
    assert min(jobs, _AHEAD_ON_BUS) < connection.most <= 100


@pytest.mark.parametrize("member", ["GetAllInstances", "Get"])
def test_c120_jobs_that_vanish_are_left_out(peer: Peer, svc: Job, multi: Job, member: str) -> None:
    peer.add_job("last")
    original = getattr(peer, "_" + member)
    peer.answers[member] = lambda call: peer._unknown(call) if call.path == multi.path else original(call)
    assert peer.run("initctl", "list") == (0, "svc stop/waiting\nlast stop/waiting\n", "")


def test_c120_instances_that_vanish_are_shown_as_stopped(peer: Peer, svc: Job, multi: Job) -> None:
    multi.add("1")
    peer.answers["GetAll"] = peer._unknown
    assert peer.run("initctl", "list") == (0, "svc stop/waiting\nmulti stop/waiting\n", "")


@pytest.mark.parametrize("member", ["GetAllInstances", "Get", "GetAll"])
def test_c120_any_other_error_ends_the_list(peer: Peer, svc: Job, multi: Job, member: str) -> None:
    multi.add("1")
    peer.add_job("last")
    original = getattr(peer, "_" + member)

    def answer(call: Call) -> Any:
        if call.path.startswith(multi.path):
            raise Error(F + "AccessDenied", "Not for you")
        return original(call)

    peer.answers[member] = answer
    assert peer.run("initctl", "list") == (1, "svc stop/waiting\n", "initctl: Not for you\n")


def test_c106_quiet_list(peer: Peer, svc: Job) -> None:
    assert peer.run("initctl", "list", "-q") == (0, "", "")


@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_ahead_keeps_the_order_and_the_distance(count: int) -> None:
    begun: List[int] = []
    for position, item in enumerate(ahead(range(20), lambda item: begun.append(item) or item, count)):
        assert item == position
        assert len(begun) == min(position + count + 1, 20)

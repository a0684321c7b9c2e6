"""explain: the conditions of a job, part by part (B199)."""
from __future__ import annotations

import time
from typing import Any, List, Sequence, Tuple

import pytest

from tests.client.peer import Error, Job, Peer

SIGNATURE = "a(ssa(asbasxass))"
WHEN = 1700000000
DATE = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(WHEN))


def node(text: str, met: bool = False, met_by: Sequence[str] = (), last: int = 0, variables: Sequence[str] = (),
         source: str = "boot") -> Any:
    """An operand or, of one word with a slash, an operator."""
    strings = [str(each) for each in text.split(" ")]
    return strings, met, list(met_by), last * 1000000, list(variables), "" if text.startswith("/") else source


def explains(peer: Peer, *conditions: Tuple[str, str, List[Any]]) -> None:
    peer.answers["GetConditions"] = lambda call: (SIGNATURE, list(conditions))


def test_b199_each_part_with_its_source_and_its_time(peer: Peer, svc: Job) -> None:
    explains(
        peer,
        ("start on", "", [
            node("runlevel [2345]", True, ["RUNLEVEL=2", "PREVLEVEL=N"], WHEN, ["RUNLEVEL=2", "PREVLEVEL=N"]),
            node("started network", source="systemd NetworkManager.service"),
            node("local-filesystem", source="none (did you mean local-filesystems?)"),
            node("/OR"), node("/AND")]),
        ("stop on", "", [node("runlevel [!2345]", False, [], WHEN, ["RUNLEVEL=6", "PREVLEVEL=2"])]))
    assert peer.run("initctl", "explain", "svc") == (0, f"""\
svc stop/waiting
  start on: not met
    [ ] all of
      [x] runlevel [2345] -- met by runlevel RUNLEVEL=2 PREVLEVEL=N, from boot, last {DATE}
      [ ] one of
        [ ] started network -- from systemd NetworkManager.service, not seen yet
        [ ] local-filesystem -- nothing on this host emits this event (did you mean local-filesystems?)
  stop on: not met
    [ ] runlevel [!2345] -- from boot, last {DATE}: RUNLEVEL=6 PREVLEVEL=2
""", "")


def test_b199_equal_operators_are_one_list(peer: Peer, svc: Job) -> None:
    explains(peer, ("start on", "", [node("a"), node("b"), node("/AND"), node("c"), node("d"), node("/AND"), node("/AND")]))
    assert peer.run("initctl", "explain", "svc").out.split("\n")[2:7] == [
        "    [ ] all of", *(f"      [ ] {name} -- from boot, not seen yet" for name in "abcd")]


def test_b199_every_instance(peer: Peer, multi: Job) -> None:
    multi.add("1")
    multi.add("2", processes=[("main", 102)])
    explains(peer, ("start on", "", [node("a")]), ("stop on", "1", [node("b N=1")]), ("stop on", "2", [node("b N=2", True)]))
    ended = peer.run("initctl", "explain", "multi")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.split("\n")[:2] == ["multi (1) start/running, process 100", "multi (2) start/running, process 102"]
    assert "  stop on of 1: not met\n" in ended.out and "  stop on of 2: met\n" in ended.out


def test_b199_a_job_without_conditions(peer: Peer, svc: Job) -> None:
    explains(peer)
    assert peer.run("initctl", "explain", "svc") == (
        0, "svc stop/waiting\n  start on: nothing, it is started by command\n  stop on: nothing, it is stopped by command\n", "")


def test_b199_a_daemon_that_cannot(peer: Peer, svc: Job) -> None:
    assert peer.run("initctl", "explain", "svc") == (1, "", "initctl: The init daemon cannot explain conditions\n")


def test_b199_unknown_job_and_refusal(peer: Peer, svc: Job) -> None:
    assert peer.run("initctl", "explain", "nosuch") == (1, "", "initctl: Unknown job: nosuch\n")

    def refuse(call: Any) -> Any:
        raise Error("org.freedesktop.DBus.Error.Failed", "broken")

    peer.answers["GetConditions"] = refuse
    assert peer.run("initctl", "explain", "svc") == (1, "", "initctl: broken\n")


@pytest.mark.parametrize("nodes", [[node("/AND")], [node("a"), node("/OR")], [node("a"), node("b")], []])
def test_c72_what_is_no_condition_is_an_invalid_reply(peer: Peer, svc: Job, nodes: List[Any]) -> None:
    peer.answers["GetConditions"] = lambda call: (SIGNATURE, [("start on", "", nodes)])
    assert peer.run("initctl", "explain", "svc") == (1, "", "initctl: Invalid arguments received in reply\n")


def test_b199_ten_thousand_operands(peer: Peer, svc: Job) -> None:
    explains(peer, ("start on", "", [node("a"), *(each for number in range(10000) for each in (node(f"e{number}"), node("/OR")))]))
    ended = peer.run("initctl", "explain", "svc")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("\n") == 1 + 1 + 10002 + 1

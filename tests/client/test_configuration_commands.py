"""show-config and check-config: C125-C132."""
from __future__ import annotations

from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.client.check_config import _Known
from compat.client.connection import InvalidReply
from compat.client.job_conditions import Condition, Event, JobConditions
from compat.client.show_config import _lines
from tests.client.peer import Call, Error, F, Peer, variant

AND, OR = ["/AND"], ["/OR"]


def words(*events: str) -> List[List[str]]:
    """A reverse Polish array from texts; & and | are the operators."""
    return [AND if event == "&" else OR if event == "|" else event.split() for event in events]


def faults(jobs: "list[JobConditions]", start_on: List[List[str]], warn: bool = False, ignore: "tuple[str, ...]" = ()) -> List[str]:
    return _Known(jobs, {"starting", "started", "stopping", "stopped", *ignore}, warn).faults(Condition(start_on))


def job(name: str, *emits: str) -> JobConditions:
    return JobConditions(name, list(emits), [], [])


@pytest.mark.parametrize(("nodes", "text"), [
    (words("a", "b", "|", "c X=1", "&"), "((a or b) and c X=1)"),
    (words("A", "B FOO=BAR", "starting C x=y", "|", "&"), "(A and (B FOO=BAR or starting C x=y))"),
    (words("startup"), "startup"),
    ([["a", "b c", ""]], "a b c "),
    ([], ""),
])
def test_c125_conditions_as_text(nodes: List[List[str]], text: str) -> None:
    assert str(Condition(nodes)) == text
    assert bool(Condition(nodes)) == bool(nodes)


@pytest.mark.parametrize(("node", "line"), [
    ("runlevel [2345]", "runlevel (job:, env: [2345])"),
    ("stopping bang c=d e=f", "stopping (job: bang, env: c=d e=f)"),
    ("stopping c=d JOB=bang e=f", "stopping (job: bang, env: c=d e=f)"),
    ("started JOB=a b", "started (job: a, env: b)"),
    ("started a JOB=b", "started (job: a, env: JOB=b)"),
    ("started JOB!=a", "started (job:, env: JOB!=a)"),
    ("started", "started (job:, env:)"),
    ("other JOB=a b", "other (job:, env: JOB=a b)"),
])
def test_c126_enumerated_events(node: str, line: str) -> None:
    lines = _lines(JobConditions("x", [], [], words(node)), True)
    assert lines == ["x", "  stop on " + line]


def test_c125_show_config(peer: Peer) -> None:
    peer.add_job("a", emits=["e1", "e2*"], start_on=words("one A=1", "two", "|", "three X!=2", "&"), stop_on=words("stopping b"))
    peer.add_job("b")
    text = "a\n  emits e1\n  emits e2*\n  start on ((one A=1 or two) and three X!=2)\n  stop on stopping b\n"
    assert peer.run("initctl", "show-config", "a") == (0, text, "")
    assert peer.run("initctl", "show-config") == (0, text + "b\n", "")
    assert peer.run("initctl", "show-config", "nosuch") == (1, "", "initctl: Unknown job: nosuch\n")
    assert peer.run("initctl", "show-config", "-e", "a") == (
        0, "a\n  emits e1\n  emits e2*\n  start on one (job:, env: A=1)\n  start on two (job:, env:)\n  start on three (job:, env: X!=2)\n"
           "  stop on stopping (job: b, env:)\n", "")


def test_c125_c126_the_same_condition_in_both_forms(peer: Peer) -> None:
    peer.add_job("x", start_on=words("A", "B FOO=BAR", "starting C x=y", "|", "&"))
    assert peer.run("initctl", "show-config", "x").out == "x\n  start on (A and (B FOO=BAR or starting C x=y))\n"
    assert peer.run("initctl", "show-config", "--enumerate", "x").out == (
        "x\n  start on A (job:, env:)\n  start on B (job:, env: FOO=BAR)\n  start on starting (job: C, env: x=y)\n")


@pytest.mark.parametrize("nodes", [words("a", "b"), words("&"), words("a", "|"), [[]], words("a", "b", "&", "|")])
def test_conditions_that_are_none(peer: Peer, nodes: List[List[str]]) -> None:
    with pytest.raises(InvalidReply):
        Condition(nodes)
    peer.add_job("x", start_on=nodes)
    assert peer.run("initctl", "show-config") == (1, "", "initctl: Invalid arguments received in reply\n")


def test_wrong_types_in_conditions(peer: Peer) -> None:
    peer.add_job("x")
    peer.answers["Get"] = lambda call: ("v", variant("ai", [1])) if call.arguments[1] == "emits" else peer._Get(call)
    assert peer.run("initctl", "show-config") == (1, "", "initctl: Invalid arguments received in reply\n")


@pytest.mark.parametrize("command", ["show-config", "check-config"])
def test_a_job_that_vanishes_is_left_out_but_no_other_error_hidden(peer: Peer, command: str) -> None:
    gone = peer.add_job("gone", start_on=words("nobody-emits-this"))
    peer.add_job("stays", start_on=words("nor-this"))
    peer.answers["Get"] = lambda call: peer._unknown(call) if call.path == gone.path else peer._Get(call)
    ended = peer.run("initctl", command)
    assert ended.err == ""
    assert ended.out.startswith("stays\n")

    def old(call: Call) -> Any:
        # As 0.6.5 answers, which has no such property.
        if call.arguments[1] == "emits":
            raise Error(F + "UnknownMethod", "No such property")
        return peer._Get(call)

    peer.answers["Get"] = old
    assert peer.run("initctl", command) == (1, "", "initctl: No such property\n")


def test_c127_nothing_to_report(peer: Peer) -> None:
    peer.add_job("a", emits=["e1"], start_on=words("startup"), stop_on=words("stopping b"))
    peer.add_job("b", start_on=words("e1", "started a", "&"))
    assert peer.run("initctl", "check-config") == (0, "", "")
    assert peer.run("initctl", "check-config", "b") == (0, "", "")


def test_c127_c129_reports(peer: Peer) -> None:
    peer.add_job("m", start_on=words("starting m", "runlevel [016]", "stopped g", "stopped k", "|", "&", "|"), stop_on=words("nope"))
    peer.add_job("ok", start_on=words("nope", "startup", "|"))
    text = "m\n  start on: unknown job k\n  start on: unknown job g\n  stop on: unknown event nope\n"
    assert peer.run("initctl", "check-config", "-i", "runlevel") == (1, text, "")
    assert peer.run("initctl", "check-config", "-i", "x,runlevel", "m") == (1, text, "")
    assert peer.run("initctl", "check-config", "-i", "runlevel", "ok") == (0, "", "")
    assert peer.run("initctl", "check-config", "-q", "-i", "runlevel") == (1, "", "")
    assert peer.run("initctl", "check-config", "-w", "ok") == (1, "ok\n  start on: unknown event nope\n", "")
    assert peer.run("initctl", "check-config", "-i", "nope", "-wi", ",,runlevel,", "ok") == (0, "", "")


def test_c128_what_is_known() -> None:
    jobs = [job("a", "net-*", "[^x]y", "q\\*"), job("b", "plain")]
    for event in ("plain", "net-up", "net-", "ay", "q*", "started a", "stopping JOB=b", "started $JOB", "starting", "started JOB=$X"):
        assert faults(jobs, words(event)) == [], event
    for event in ("plai", "xnet-up", "xy", "qz", "q\\z"):
        assert faults(jobs, words(event)) == [f"unknown event {event}"]
    assert faults(jobs, words("started a*")) == ["unknown job a*"]
    assert faults(jobs, words("other", "started c", "&")) == ["unknown job c", "unknown event other"]


@pytest.mark.parametrize("event", ["startup", "debug", "control-alt-delete", "keyboard-request", "power-status-changed", "starting",
                                   "started", "stopping", "stopped", "session-end"])
def test_c128_events_of_the_daemon(peer: Peer, event: str) -> None:
    peer.add_job("x", start_on=[[event]])
    assert peer.run("initctl", "check-config") == (0, "", "")


def test_c128_a_system_has_no_session_end(tmp_path: Any) -> None:
    from compat.client import check_config
    assert "session-end" not in check_config._BUILT_IN


@pytest.mark.parametrize(("nodes", "warn", "expected"), [
    (words("k", "nope", "|"), False, []),
    (words("k", "nope", "|"), True, ["nope"]),
    (words("k", "nope", "&"), False, ["nope"]),
    # A false "and" below a satisfied "or" is found; the right side is looked at first, and only the first is told.
    (words("k", "n1", "&", "k", "|"), False, ["n1"]),
    (words("k", "n1", "&", "k", "n2", "&", "|", "k", "|"), False, ["n2", "n1"]),
    (words("k", "k", "n1", "&", "|", "k", "k", "n2", "&", "|", "&"), False, ["n2"]),
    (words("n1", "n2", "|", "n3", "&"), False, ["n3", "n2", "n1"]),
    # A lone event below a satisfied "or" is no part that is looked at.
    (words("n1", "k", "|", "k", "&"), False, []),
])
def test_c129_the_walk(nodes: List[List[str]], warn: bool, expected: List[str]) -> None:
    assert faults([job("a", "k")], nodes, warn) == ["unknown event " + name for name in expected]


def test_c131_unknown_job(peer: Peer) -> None:
    peer.add_job("a")
    assert peer.run("initctl", "check-config", "nosuch") == (1, "", "initctl: Invalid job class: nosuch\n")


def test_c132_no_daemon_is_no_success(peer: Peer) -> None:
    ended = peer.run("initctl", "check-config", UPSTART_SESSION="unix:abstract=/upstart-compat-test/nobody")
    assert (ended.status, ended.out) == (1, "")
    assert "Connection refused" in ended.err


def test_many_jobs_in_order(peer: Peer) -> None:
    for number in range(250):
        peer.add_job(f"job-{number}", emits=[f"e{number}"])
    assert peer.run("initctl", "show-config").out == "".join(f"job-{number}\n  emits e{number}\n" for number in range(250))


def test_deep_conditions_do_no_harm() -> None:
    left = words("a", *("a", "|") * 5000)
    assert len(Condition(left).events()) == 5001
    assert str(Condition(left)).count("or") == 5000
    assert faults([job("x", "a")], left) == []
    assert faults([job("x", "b")], left)[:1] == ["unknown event a"]


_trees = st.recursive(st.sampled_from(["k", "n1", "n2"]), lambda below: st.tuples(below, st.sampled_from("&|"), below), max_leaves=12)


def _polish(tree: Any) -> List[str]:
    return [tree] if isinstance(tree, str) else [*_polish(tree[0]), *_polish(tree[2]), tree[1]]


def _value(tree: Any, warn: bool) -> bool:
    if isinstance(tree, str):
        return tree == "k"
    left, right = _value(tree[0], warn), _value(tree[2], warn)
    return left and right if tree[1] == "&" or warn else left or right


def _first_fault(tree: Any, warn: bool, root: bool = True) -> Any:
    if (root or not isinstance(tree, str)) and not _value(tree, warn):
        return tree
    return None if isinstance(tree, str) else _first_fault(tree[2], warn, False) or _first_fault(tree[0], warn, False)


@given(_trees, st.booleans())
def test_c129_the_walk_on_any_tree(tree: Any, warn: bool) -> None:
    found = _first_fault(tree, warn)
    expected = [] if found is None else [name for name in reversed(_polish(found)) if name.startswith("n")]
    assert faults([job("a", "k")], words(*_polish(tree)), warn) == ["unknown event " + name for name in expected]


@given(st.lists(st.lists(st.sampled_from(["/AND", "/OR", "a", "started", "X=1", ""]), max_size=3), max_size=8))
def test_any_array_is_a_condition_or_refused(nodes: List[List[str]]) -> None:
    try:
        condition = Condition(nodes)
    except InvalidReply:
        return
    assert all(isinstance(event, Event) for event in condition.events())
    assert isinstance(str(condition), str)

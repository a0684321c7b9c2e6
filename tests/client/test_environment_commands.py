"""get-env, set-env, list-env, unset-env, reset-env: C133-C135, D150."""
from __future__ import annotations

import pytest

from tests.client.peer import Call, E, Error, Peer

INSIDE = {"UPSTART_JOB": "svc", "UPSTART_INSTANCE": "1"}


@pytest.mark.parametrize("words", [["get-env", "A"], ["set-env", "A=1"], ["unset-env", "A"], ["list-env"], ["reset-env"]])
def test_c133_which_table(peer: Peer, words: "list[str]") -> None:
    peer.variables.append("A=1")
    for options, environment, table in (([], {}, []), ([], INSIDE, ["svc", "1"]), (["-g"], INSIDE, []), (["--global"], INSIDE, []),
                                        ([], {"UPSTART_INSTANCE": "1"}, [])):
        assert peer.run("initctl", *words, *options, **environment).status == 0
        assert peer.calls[-1].arguments[0] == table
    assert peer.run("initctl", *words, UPSTART_JOB="svc") == (
        1, "", "initctl: missing job name\nTry `initctl --help' for more information.\n")


def test_c134_get_env(peer: Peer) -> None:
    peer.variables += ["A=1=2", "B="]
    assert peer.run("initctl", "get-env", "A", "B") == (0, "1=2\n", "")
    assert peer.run("initctl", "get-env", "B") == (0, "\n", "")
    assert peer.run("initctl", "get-env", "NOPE") == (1, "", "initctl: No such variable: NOPE\n")
    assert peer.run("initctl", "get-env", "") != 0
    assert peer.calls[-1].arguments == [[], ""]


def test_c134_list_env_sorts_by_bytes(peer: Peer) -> None:
    peer.variables += ["b=1", "\u20ac=2", "B=3", "a=4", "_=5", "\ue000=6", "\U0001f600=7"]
    assert peer.run("initctl", "list-env", LANG="de_DE.UTF-8").out == "B=3\n_=5\na=4\nb=1\n\u20ac=2\n\ue000=6\n\U0001f600=7\n"


def test_c134_the_others_are_silent(peer: Peer) -> None:
    assert peer.run("initctl", "set-env", "A=1", "B", "C=") == (0, "", "")
    assert peer.run("initctl", "set-env", "-r", "A=2") == (0, "", "")
    assert peer.run("initctl", "unset-env", "A", "NOPE") == (0, "", "")
    assert peer.run("initctl", "reset-env") == (0, "", "")
    assert [call.arguments for call in peer.calls] == [[[], ["A=1", "B", "C="], True], [[], ["A=2"], False], [[], ["A", "NOPE"]], [[]]]


@pytest.mark.parametrize(("words", "member"), [(["set-env", "A=1"], "SetEnvList"), (["unset-env", "A"], "UnsetEnvList"),
                                               (["reset-env"], "ResetEnv")])
def test_c135_process_1_refuses(peer: Peer, words: "list[str]", member: str) -> None:
    def refuses(call: Call) -> None:
        raise Error(E + "PermissionDenied", "Not permissible to modify PID 1 job environment")

    peer.answers[member] = refuses
    assert peer.run("initctl", *words) == (1, "", "initctl: Not permissible to modify PID 1 job environment\n")


def test_c81_unknown_instance(peer: Peer) -> None:
    def refuses(call: Call) -> None:
        raise Error(E + "UnknownJobInstance", "Unknown instance:  of job svc")

    peer.answers["ListEnv"] = refuses
    assert peer.run("initctl", "list-env", **{**INSIDE, "UPSTART_INSTANCE": ""}) == (1, "", "initctl: Unknown instance:  of job svc\n")

"""emit, version, log-priority, reload-configuration, notify-*: C122, C123."""
from __future__ import annotations

from typing import Any

import pytest

from tests.client.peer import Call, E, Error, Peer


def test_c122_emit(peer: Peer) -> None:
    assert peer.run("initctl", "emit", "a b/c", "A=1", "=X") == (0, "", "")
    assert peer.run("initctl", "emit", "-n", "go") == (0, "", "")
    assert peer.run("initctl", "emit", "go", "NOVALUE") == (1, "", "initctl: Env must be KEY=VALUE pairs\n")
    assert [call.arguments for call in peer.calls] == [["a b/c", ["A=1", "=X"], True], ["go", [], False], ["go", ["NOVALUE"], True]]
    assert [call.signature for call in peer.calls] == ["sasb"] * 3


def test_c122_failing_event(peer: Peer) -> None:
    def fails(call: Call) -> Any:
        if call.arguments[2]:
            raise Error(E + "EventFailed", "Event failed")

    peer.answers["EmitEvent"] = fails
    assert peer.run("initctl", "emit", "go") == (1, "", "initctl: Event failed\n")
    assert peer.run("initctl", "emit", "go", "--no-wait") == (0, "", "")


def test_c123_version(peer: Peer) -> None:
    assert peer.run("initctl", "version") == (0, "init (upstart 1.13.2)\n", "")
    assert peer.run("initctl", "version", "foo") == (0, "init (upstart 1.13.2)\n", "")
    assert peer.run("initctl", "version", "--quiet") == (0, "", "")
    assert peer.run("initctl", "-qv", "version") == (0, "init (upstart 1.13.2)\n", "")
    assert peer.run("initctl", "-vq", "version") == (0, "", "")


def test_c123_log_priority(peer: Peer) -> None:
    assert peer.run("initctl", "log-priority") == (0, "message\n", "")
    assert peer.run("initctl", "log-priority", "debug") == (0, "", "")
    assert peer.run("initctl", "log-priority") == (0, "debug\n", "")
    assert peer.run("initctl", "log-priority", "bogus") == (1, "", "initctl: The log priority given was not recognised\n")


@pytest.mark.parametrize("words", [["reload-configuration"], ["notify-disk-writeable"], ["notify-dbus-address", "unix:path=/x"],
                                   ["notify-cgroup-manager-address", "unix:path=/x"]])
def test_c123_silent_commands(peer: Peer, words: "list[str]") -> None:
    assert peer.run("initctl", *words) == (0, "", "")
    assert [call.arguments for call in peer.calls] == [words[1:]]

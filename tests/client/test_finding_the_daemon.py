"""Which daemon is called, and what is said when it is not there: C6, C34, C102-C105, C108."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from tests.client.peer import HANG_UP, MANAGER, PROPERTIES, SILENCE, Job, Peer, U
from tests.control.client import ALLOW_ALL, BusDaemon

NO_REPLY = ("Did not receive a reply. Possible causes include: the remote application did not send a reply, the message bus security "
            "policy blocked the reply, the reply timeout expired, or the network connection was broken.")
NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user, and has a default of its own")
VERSION = "init (upstart 1.13.2)\n"


@pytest.fixture(scope="module")
def message_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusDaemon]:
    directory = tmp_path_factory.mktemp("bus")
    directory.chmod(0o755)
    bus = BusDaemon(directory, "system", ALLOW_ALL, f"unix:abstract=/upstart-compat-test/{os.getpid()}/bus")
    yield bus
    bus.stop()


@pytest.fixture
def bus_peer(message_bus: BusDaemon, links: Path) -> Iterator[Peer]:
    peer = Peer(links, message_bus.address)
    peer.address = ""
    yield peer
    peer.close()


def test_c102_session_address_in_the_environment(peer: Peer) -> None:
    assert peer.run("initctl", "version") == (0, VERSION, "")
    assert peer.run("initctl", "--user", "version") == (0, VERSION, "")
    assert peer.run("initctl", "--user", "--system", "--session", "version") == (0, VERSION, "")
    assert len(peer.made()) == 3


def test_c102_user_without_a_session(peer: Peer) -> None:
    assert peer.run("initctl", "--user", "list", UPSTART_SESSION=None) == (
        1, "", "initctl: UPSTART_SESSION isn't set in the environment. Unable to locate the Upstart instance.\n")


def test_c103_bad_session_addresses(peer: Peer) -> None:
    assert peer.run("initctl", "list", UPSTART_SESSION="garbage") == (
        1, "", "initctl: Unable to connect to Upstart: Address does not contain a colon\n")
    assert peer.run("initctl", "--user", "list", UPSTART_SESSION="") == (1, "", "initctl: Unable to connect to Upstart: Empty address ''\n")
    assert peer.run("initctl", "list", UPSTART_SESSION="unix:abstract=\udcff") == (
        1, "", "initctl: Unable to connect to Upstart: Address is not valid UTF-8\n")
    assert peer.run("start", "x", UPSTART_SESSION="unix:abstract=/upstart-compat-test/nobody") == (
        1, "", "start: Unable to connect to Upstart: Failed to connect to socket /upstart-compat-test/nobody: Connection refused\n")


@as_root
def test_c103_no_daemon_for_root(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    # The address is one of the network namespace, so this is sure to be empty.
    from tests.client import peer as module

    original = module.client_command
    monkeypatch.setattr(module, "client_command", lambda words, links: ["unshare", "--net", *original(words, links)])
    assert peer.run("initctl", "list", UPSTART_SESSION=None) == (
        1, "", "initctl: Unable to connect to Upstart: Failed to connect to socket /com/ubuntu/upstart: Connection refused\n")
    assert peer.run("initctl", "list", UPSTART_SESSION="").status == 1


def test_c103_no_bus(peer: Peer) -> None:
    assert peer.run("initctl", "--system", "list", DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent") == (
        1, "", "initctl: Unable to connect to system bus: Failed to connect to socket /nonexistent: No such file or directory\n")
    assert peer.run("initctl", "--session", "list", DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent") == (
        1, "", "initctl: Unable to connect to session bus: Failed to connect to socket /nonexistent: No such file or directory\n")


@as_root
def test_c102_other_users_take_the_system_bus(bus_peer: Peer, message_bus: BusDaemon) -> None:
    assert bus_peer.run("initctl", "version", uid=NOBODY, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent") == (
        1, "", "initctl: Unable to connect to system bus: Failed to connect to socket /nonexistent: No such file or directory\n")
    assert bus_peer.run("initctl", "version", uid=NOBODY, DBUS_SYSTEM_BUS_ADDRESS=message_bus.address) == (0, VERSION, "")
    assert bus_peer.run("initctl", "--dest", "com.example.None", "version", uid=NOBODY, DBUS_SYSTEM_BUS_ADDRESS=message_bus.address) == (
        1, "", 'initctl: Name "com.example.None" does not exist\n')


@as_root
def test_c98_destination_without_a_bus(peer: Peer) -> None:
    assert peer.run("initctl", "--dest", "x", "list", UPSTART_SESSION=None) == (
        1, "", "initctl: --dest given without --system\nTry `initctl --help' for more information.\n")


@pytest.mark.parametrize(("option", "variable"), [("--system", "DBUS_SYSTEM_BUS_ADDRESS"), ("--session", "DBUS_SESSION_BUS_ADDRESS")])
def test_c102_buses(bus_peer: Peer, message_bus: BusDaemon, option: str, variable: str) -> None:
    bus_peer.add_job("svc")
    environment = {variable: message_bus.address, "UPSTART_SESSION": "garbage"}
    assert bus_peer.run("initctl", option, "version", **environment) == (0, VERSION, "")
    message = bus_peer.calls[-1].message
    assert str(message.get_destination()) == "com.ubuntu.Upstart"
    assert not message.get_auto_start()
    assert bus_peer.made() == [(MANAGER, "Get", U, "version")]
    assert bus_peer.run("status", option, "svc", **environment) == (0, "svc stop/waiting\n", "")
    assert bus_peer.run("initctl", option, "--dest=com.ubuntu.Upstart", "list", **environment) == (0, "svc stop/waiting\n", "")


def test_c103_nobody_owns_the_name(message_bus: BusDaemon, peer: Peer) -> None:
    assert peer.run("initctl", "--system", "list", DBUS_SYSTEM_BUS_ADDRESS=message_bus.address) == (
        1, "", 'initctl: Name "com.ubuntu.Upstart" does not exist\n')
    assert peer.run("initctl", "--system", "--debug", "list", DBUS_SYSTEM_BUS_ADDRESS=message_bus.address) == (
        1, "nih_dbus_proxy_name_track: com.ubuntu.Upstart is not currently owned\n", 'initctl: Name "com.ubuntu.Upstart" does not exist\n')


@pytest.mark.parametrize("name", ["", "no_dot", "a b.c", "caf\udcff.x"])
def test_c102_impossible_destinations(message_bus: BusDaemon, peer: Peer, name: str) -> None:
    ended = peer.run("initctl", "--system", f"--dest={name}", "list", DBUS_SYSTEM_BUS_ADDRESS=message_bus.address)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "initctl: Invalid bus name: " + name.replace("\udcff", "\\xff") + "\n"


def test_c105_who_owns_the_name(bus_peer: Peer, message_bus: BusDaemon) -> None:
    owner = bus_peer.connections[0].get_unique_name()
    line = f"nih_dbus_proxy_name_track: com.ubuntu.Upstart is currently owned by {owner}\n"
    ended = bus_peer.run("initctl", "--debug", "--system", "version", DBUS_SYSTEM_BUS_ADDRESS=message_bus.address)
    assert ended == (0, line + VERSION, "")
    bus_peer.add_job("svc")
    ended = bus_peer.run("status", "--debug", "--system", "svc", DBUS_SYSTEM_BUS_ADDRESS=message_bus.address)
    assert ended == (0, line + line + "svc stop/waiting\n", "")


def test_c105_no_such_line_on_a_private_socket(peer: Peer) -> None:
    assert peer.run("initctl", "--debug", "version") == (0, VERSION, "")


@as_root
def test_c6_a_peer_that_is_turned_away(peer: Peer) -> None:
    assert peer.run("initctl", "version", uid=NOBODY) == (1, "", f"initctl: {NO_REPLY}\n")
    assert peer.made() == []


def test_c6_the_daemon_goes_away_during_a_call(peer: Peer, svc: Job) -> None:
    peer.answers["Start"] = lambda call: HANG_UP
    assert peer.run("start", "svc") == (1, "", f"start: {NO_REPLY}\n")


def test_c6_the_daemon_goes_away_between_two_calls(peer: Peer, svc: Job) -> None:
    def start(call: object) -> object:
        # The reply is sent, and nothing after it.
        peer.before_reply = lambda connection, call: setattr(peer, "before_reply", lambda *_: connection.close())
        return "o", svc.add()
    peer.answers["Start"] = start
    assert peer.run("start", "svc") == (1, "", f"start: {NO_REPLY}\n")


def test_c79_starting_has_no_time_limit_and_other_calls_have(monkeypatch: pytest.MonkeyPatch) -> None:
    from compat.client import connection
    from compat.client.options import parse

    limits = []

    class Recording:
        def __init__(self, address: str) -> None:
            pass

        def send_message_with_reply(self, message: object, handler: object, limit: float) -> object:
            limits.append((message.get_member(), limit))  # type: ignore[attr-defined]
            raise connection.Failure("enough")

    monkeypatch.setattr(connection, "_Peer", Recording)
    monkeypatch.setenv("UPSTART_SESSION", "unix:path=/x")
    opened = connection.connect(parse("initctl", ["version"]))
    for call in (lambda: opened.begin("/a", connection.JOB, "Start", "asb", [], True, forever=True), lambda: opened.job("x")):
        with pytest.raises(connection.Failure):
            call()
    # 0x7fffffff ms is what libdbus takes for "never", anything negative for its 25 s.
    assert limits == [("Start", 0x7FFFFFFF / 1000), ("GetJobByName", -1.0)]
    assert int(limits[0][1] * 1000.0) == 0x7FFFFFFF


@pytest.mark.parametrize("words", [["start", "svc"], ["stop", "svc"], ["restart", "svc"], ["initctl", "emit", "go"],
                                   ["initctl", "emit", "-n", "go"]])
def test_c79_commands_that_wait_for_jobs_wait_for_ever(peer: Peer, svc: Job, words: "list[str]") -> None:
    svc.add()
    member = {"emit": "EmitEvent"}.get(words[1] if words[0] == "initctl" else words[0], words[0].capitalize())
    peer.answers[member] = lambda call: SILENCE
    ended = peer.run(*words, until=lambda: any(call.member == member for call in peer.calls))
    # Ended by the signal, which a shell reports as 130, and without a traceback.
    assert ended == (-2, "", "")


def test_c108_only_the_text_of_an_error_is_shown(peer: Peer) -> None:
    ended = peer.run("initctl", "list-env")
    assert ended == (0, "", "")
    peer.answers["ListEnv"] = peer._unknown
    assert peer.run("initctl", "list-env") == (
        1, "", f'initctl: Method "ListEnv" with signature "as" on interface "{U}" doesn\'t exist\n\n')


def test_c138_a_call_byte_by_byte(links: Path) -> None:
    """What really goes over a private socket, seen without any D-Bus library."""
    import socket
    import subprocess

    from tests.client.peer import client_command, client_environment

    with socket.socket(socket.AF_UNIX) as server:
        name = f"/upstart-compat-test/{os.getpid()}/bytes"
        server.bind("\0" + name)
        server.listen()
        server.settimeout(20)
        process = subprocess.Popen(client_command(["initctl", "emit", "go", "A=1"], links), stderr=subprocess.PIPE,
                                   env=client_environment(UPSTART_SESSION="unix:abstract=" + name))
        with process, server.accept()[0] as peer:
            peer.settimeout(20)
            lines = peer.makefile("rb")
            assert lines.readline() == b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n"
            peer.sendall(b"OK " + b"0" * 32 + b"\r\n")
            assert lines.readline() == b"NEGOTIATE_UNIX_FD\r\n"
            peer.sendall(b"ERROR\r\n")
            assert lines.readline() == b"BEGIN\r\n"
            start = lines.read(16)
            order = "little" if start[:1] == b"l" else "big"
            # A method call, flag NO_AUTO_START alone, protocol 1.
            assert start[1:4] == b"\x01\x02\x01"
            length = int.from_bytes(start[12:16], order)  # type: ignore[arg-type]
            fields = lines.read(length + -length % 8)
            body = lines.read(int.from_bytes(start[4:8], order))  # type: ignore[arg-type]
            peer.close()
            lines.close()
        assert process.returncode == 1
    for value in (b"/com/ubuntu/Upstart\0", b"com.ubuntu.Upstart0_6\0", b"EmitEvent\0", b"\x04sasb\0"):
        assert value in fields
    assert b"com.ubuntu.Upstart\0" not in fields
    assert body[4:7] == b"go\0"
    assert body.endswith((b"\x01\0\0\0", b"\0\0\0\x01"))


def test_c138_no_destination_and_no_auto_start(peer: Peer, svc: Job) -> None:
    svc.add()
    peer.run("stop", "svc")
    peer.run("initctl", "log-priority", "info")
    assert [call.signature for call in peer.calls] == ["s", "as", "asb", "ss", "s", "ssv"]
    assert {call.interface for call in peer.calls} == {U, U + ".Job", PROPERTIES}
    for call in peer.calls:
        assert call.message.get_destination() is None
        assert not call.message.get_auto_start()
        assert not call.message.get_no_reply()

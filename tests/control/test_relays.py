"""Clients' sockets that are joined to new connections (D239)."""
from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from typing import List

import pytest

from compat.control.listening_socket import find, listens_at
from compat.control.relays import Relay, Relays
from compat.control.wire import bare_call

_numbers = itertools.count()
ANSWERS = b"OK 1234\r\nAGREE_UNIX_FD\r\n"


class Scene:
    """A client, its relay, and in the place of libdbus a socket that does what it is told."""

    def __init__(self) -> None:
        self.address = f"unix:abstract=/tmp/upstart-compat-relay-{os.getpid()}-{next(_numbers)}"
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind("\0" + self.address.partition("abstract=")[2])
        self.listening.listen(5)
        self.client, outer = socket.socketpair()
        self.relays = Relays()
        relay = self.relays.add(outer.detach(), self.address, b"FIRST")
        assert relay is not None
        self.relay: Relay = relay
        self.server, _ = self.listening.accept()
        for each in (self.client, self.server):
            each.setblocking(False)

    def carry(self) -> None:
        for _ in range(10):
            self.relays.carry()

    def close(self) -> None:
        self.relays.close()
        for each in (self.listening, self.client, self.server):
            each.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


def ready(scene: Scene) -> Scene:
    """Behind the handshake."""
    scene.server.recv(1000)
    scene.server.sendall(ANSWERS)
    scene.carry()
    return scene


def test_the_handshake_is_ours_and_its_answers_stay_here(scene: Scene) -> None:
    uid = str(os.getuid()).encode().hex().encode()
    assert scene.server.recv(1000) == b"\0AUTH EXTERNAL " + uid + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nFIRST"
    for piece in (b"OK 12", b"34\r", b"\nAGREE_UNIX_FD\r\nhel"):
        scene.server.sendall(piece)
        scene.carry()
    scene.server.sendall(b"lo")
    scene.carry()
    assert scene.client.recv(100) == b"hello"


def test_everything_is_carried_over_both_ways(scene: Scene) -> None:
    ready(scene)
    scene.client.sendall(b"up")
    scene.server.sendall(b"down")
    scene.carry()
    assert (scene.server.recv(100), scene.client.recv(100)) == (b"up", b"down")
    assert scene.relay.idle and scene.relays.at(scene.relay.name) is scene.relay
    assert scene.server.getpeername() == scene.relay.name


@pytest.mark.parametrize("upwards", [True, False])
def test_descriptors_go_with_their_bytes(scene: Scene, upwards: bool) -> None:
    ready(scene)
    source, target = (scene.client, scene.server) if upwards else (scene.server, scene.client)
    reading, writing = os.pipe()
    socket.send_fds(source, [b"take this"], [writing])
    os.close(writing)
    scene.carry()
    data, fds, _, _ = socket.recv_fds(target, 100, 5)
    assert data == b"take this" and len(fds) == 1
    os.write(fds[0], b"x")
    os.close(fds[0])
    assert os.read(reading, 10) == b"x" and os.read(reading, 10) == b"", "no copy is left over"
    os.close(reading)


def fill(end: socket.socket) -> int:
    """Send until there is no more room; how much."""
    total = 0
    try:
        while True:
            total += end.send(b"x" * 4096)
    except BlockingIOError:
        return total


def drain(end: socket.socket) -> int:
    total = 0
    try:
        while True:
            piece = end.recv(1 << 16)
            if not piece:
                return total
            total += len(piece)
    except BlockingIOError:
        return total


@pytest.mark.parametrize("upwards", [True, False])
def test_who_does_not_read_holds_up_only_the_sender(scene: Scene, upwards: bool) -> None:
    ready(scene)
    source, target = (scene.client, scene.server) if upwards else (scene.server, scene.client)
    sent = 0
    for _ in range(20):
        sent += fill(source)
        scene.carry()
    assert sent < 4 << 20 and not scene.relay.idle
    received = 0
    for _ in range(200):
        received += drain(target)
        scene.carry()
    assert received == sent and scene.relay.idle


def test_nothing_is_read_from_clients_before_an_exec(scene: Scene) -> None:
    ready(scene)
    scene.relays.pause(True)
    scene.client.sendall(b"later")
    scene.server.sendall(b"now")
    scene.carry()
    assert scene.client.recv(100) == b"now"
    with pytest.raises(BlockingIOError):
        scene.server.recv(100)
    scene.relays.pause(False)
    scene.carry()
    assert scene.server.recv(100) == b"later"


@pytest.mark.parametrize("which", ["client", "server"])
def test_where_one_side_ends_the_other_does(scene: Scene, which: str) -> None:
    ready(scene)
    ending, other = (scene.client, scene.server) if which == "client" else (scene.server, scene.client)
    ending.sendall(b"last words")
    ending.close()
    scene.carry()
    assert other.recv(100) == b"last words" and other.recv(100) == b""
    assert len(scene.relays) == 0


def test_the_end_of_a_connection_whose_client_does_not_read_is_no_endless_work(scene: Scene) -> None:
    ready(scene)
    while scene.relay.idle:
        fill(scene.server)
        scene.carry()
    scene.server.close()
    scene.carry()
    assert len(scene.relays) == 0


def test_what_is_no_socket_is_refused(scene: Scene) -> None:
    before = len(os.listdir("/proc/self/fd"))
    fd = os.open(os.devnull, os.O_RDONLY)
    assert scene.relays.add(fd, scene.address, b"") is None
    one, other = socket.socketpair()
    assert scene.relays.add(one.detach(), scene.address + "-nobody", b"") is None
    other.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_d239_a_bare_call_is_a_message_of_d_bus() -> None:
    data = bare_call(0x01020304, True)
    assert data[:4] == b"l\x01\x01\x01" and struct.unpack_from("<II", data, 4) == (0, 0x01020304) and len(data) % 8 == 0
    assert b"/\0" in data and b"Kept\0" in data


def test_the_listening_socket_is_found(scene: Scene) -> None:
    fd = scene.listening.fileno()
    assert find(scene.address) == fd and listens_at(fd, scene.address)
    others: List[int] = [scene.client.fileno(), 10 ** 5, 1]
    assert not any(listens_at(each, scene.address) for each in others) and find(scene.address + "x") == -1

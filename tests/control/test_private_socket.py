"""C1-C8, and that connections leave nothing behind."""
from __future__ import annotations

import os
import re
import socket
import threading

import pytest

from compat.control.server import SYSTEM_ADDRESS, session_address
from compat.engine.actions import INFO, WARN, Answer, EventEmitted
from tests.control.client import MANAGER, Client, Failed, U, as_user
from tests.control.service_process import Service
from tests.control.waiting import eventually

root_only = pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")


def raw(service: Service) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("\0" + service.address.split("=", 1)[1])
    connection.settimeout(20)
    return connection


def line(connection: socket.socket) -> str:
    data = b""
    while not data.endswith(b"\r\n"):
        data += connection.recv(1)
    return data.decode()


def test_c2_c3_addresses() -> None:
    assert SYSTEM_ADDRESS == "unix:abstract=/com/ubuntu/upstart"
    assert session_address(1000, 4711) == "unix:abstract=/com/ubuntu/upstart-session/1000/4711"


def test_c5_mechanisms(service: Service) -> None:
    with raw(service) as connection:
        connection.sendall(b"\0AUTH\r\n")
        assert line(connection) == "REJECTED EXTERNAL DBUS_COOKIE_SHA1 ANONYMOUS\r\n"


def test_c5_external_and_descriptors(service: Service) -> None:
    with raw(service) as connection:
        connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert re.fullmatch("OK [0-9a-f]{32}\r\n", line(connection))
        connection.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        assert line(connection) == "AGREE_UNIX_FD\r\n"


def test_c5_never_anonymous(service: Service) -> None:
    with raw(service) as connection:
        connection.sendall(b"\0AUTH ANONYMOUS 78\r\n")
        answer = line(connection)
        if answer.startswith("OK"):
            connection.sendall(b"BEGIN\r\n")
            assert connection.recv(1) == b""
        else:
            assert answer.startswith("REJECTED")


@root_only
def test_c6_other_users_are_disconnected(service: Service) -> None:
    def call() -> object:
        return Client(service.address).call(MANAGER, U, "GetAllJobs")

    with pytest.raises(Failed) as caught:
        as_user(65534, call)
    assert caught.value.name in ("closed", "org.freedesktop.DBus.Error.NoReply")


def test_c7_no_bus_on_the_private_socket(client: Client) -> None:
    with pytest.raises(Failed) as caught:
        client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", "type='signal'")
    assert caught.value.name == "org.freedesktop.DBus.Error.UnknownMethod"


def test_c8_accepted_connections_are_logged(service: Service) -> None:
    with raw(service):
        eventually(lambda: service.log() == [(INFO, "Connection from private client")])


def test_c4_address_in_use_is_a_warning(service: Service) -> None:
    other = Service(listen=False)
    assert other.control("listen", service.address) is False
    [(priority, text)] = other.log()
    assert priority == WARN
    assert re.fullmatch("Unable to listen for private connections: .*Address already in use", text)
    other.stop()


def test_c1_every_connection_gets_every_signal(service: Service, client: Client) -> None:
    other = Client(service.address)
    other.sync()
    service.perform([EventEmitted("foo", ("A=b",))])
    for each in (client, other):
        assert each.signals() == [("EventEmitted", MANAGER, "foo", ["A=b"])]
    other.close()


def test_c1_nothing_is_kept_for_who_is_not_authenticated(service: Service) -> None:
    with raw(service) as connection:
        eventually(lambda: service.log())
        service.perform([EventEmitted("early", ())])
        connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert line(connection).startswith("OK")
        connection.sendall(b"BEGIN\r\n")
        # A method call to be answered proves that nothing came before it.
        ping = (b"l\x01\0\x01\0\0\0\0\x01\0\0\0\x39\0\0\0" b"\x01\x01o\0\x01\0\0\0/\0\0\0\0\0\0\0"
                b"\x02\x01s\0\x19\0\0\0org.freedesktop.DBus.Peer\0\0\0\0\0\0\0" b"\x03\x01s\0\x04\0\0\0Ping\0")
        ping = ping[:12] + (len(ping) - 16).to_bytes(4, "little") + ping[16:]
        connection.sendall(ping + b"\0" * (-len(ping) % 8))
        assert connection.recv(2)[1] == 2


def test_who_does_not_say_who_he_is_is_put_out(service: Service, client: Client) -> None:
    service.authentication_seconds(0.1)
    try:
        with raw(service) as connection:
            connection.sendall(b"\0")
            assert connection.recv(1) == b""
        other = Client(service.address)
        other.sync()
        with raw(service) as connection:
            # By the time that this one is closed, the other's time was up too.
            assert connection.recv(1) == b""
        assert other.call(MANAGER, U, "GetAllJobs") == []
        other.close()
    finally:
        service.authentication_seconds(30.0)


def test_500_connections_leave_nothing_behind(service: Service) -> None:
    def rounds(count: int) -> None:
        for number in range(count):
            client = Client(service.address)
            if number % 3 == 0:
                client.send(MANAGER, U, "EmitEvent", "sasb", "waits", [], True)
            client.call(MANAGER, U, "GetAllJobs")
            client.connection.close()

    rounds(10)
    eventually(lambda: service.status()[1:] == (0, 0))
    before = service.status()
    rounds(500)
    eventually(lambda: service.status() == before)


def test_answers_for_a_client_that_is_gone_are_dropped(service: Service, client: Client) -> None:
    gone = Client(service.address)
    gone.send(MANAGER, U, "EmitEvent", "sasb", "waits", [], True)
    gone.sync()
    [fed] = service.fed()
    gone.close()
    eventually(lambda: service.status()[2] == 0)
    service.perform([Answer(fed.call)])
    assert client.call(MANAGER, U, "GetAllJobs") == []
    assert not [text for priority, text in service.log() if priority != INFO]


def test_garbage_after_authentication_ends_that_connection_only(service: Service, client: Client) -> None:
    with raw(service) as connection:
        connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        line(connection)
        connection.sendall(b"BEGIN\r\n" + b"\xff" * 4096)
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass
    assert client.call(MANAGER, U, "GetAllJobs") == []


def test_who_does_not_read_is_put_out(service: Service, client: Client) -> None:
    stopped = Client(service.address)
    stopped.sync()
    # Its messages stay in its socket as long as nobody lets GLib look at it; so the other client is
    # not used meanwhile either, and is not put out for being behind only because it is closed before.
    client.close()
    many = [EventEmitted("x" * 200, ())] * 1000
    for _ in range(102):
        service.perform(many)
    eventually(lambda: service.status()[1] == 0)
    assert (WARN, "Private client does not read what it is sent, closing its connection") in service.log()
    stopped.connection.close()


def test_d162_at_the_end_all_is_sent_to_who_reads_and_nobody_else_is_waited_for() -> None:
    service = Service()
    deaf, reading = Client(service.address), Client(service.address)
    deaf.sync()
    reading.sync()
    heard = b""

    def read() -> None:
        nonlocal heard
        with socket.socket(fileno=os.dup(reading.connection.get_unix_fd())) as connection:
            connection.settimeout(20)
            for data in iter(lambda: connection.recv(65536), b""):
                heard += data

    thread = threading.Thread(target=read)
    thread.start()
    # Much more than a socket takes.
    service.perform_and_close([EventEmitted("x" * 200, ())] * 5000)
    thread.join(20)
    assert heard.count(b"EventEmitted") == 5000
    for client in (deaf, reading):
        client.connection.close()
    service.stop()

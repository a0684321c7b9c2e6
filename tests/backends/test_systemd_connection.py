"""SystemdConnection on a bus of the test's own: properties that this systemd does not know, and signals that are not systemd's."""
from __future__ import annotations

import errno
import os
import sys
import types
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest

from compat.backends.systemd_connection import SystemdConnection, SystemdError
from compat.backends.unit_property import Property

OWNER, FORGER = b":1.2", b":1.66"
MANAGER_PATH, UNIT_PATH = b"/org/freedesktop/systemd1", b"/unit/a.service"


class BusError(Exception):
    """As pystemd's DBusBaseError."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.errno = -number
        self.err_message = text


class Message:
    """As sd-bus shows one; without a member it is empty."""

    def __init__(self, member: bytes = b"", path: bytes = MANAGER_PATH, sender: Optional[bytes] = OWNER, body: Any = None,
                 kind: int = 4) -> None:
        self._member, self._path, self._sender, self.body, self._kind = member, path, sender, body, kind

    def is_empty(self) -> bool:
        return not self._member

    def get_type(self) -> int:
        return self._kind

    def get_member(self) -> bytes:
        return self._member

    def get_path(self) -> bytes:
        assert self._kind == 4
        return self._path

    def get_sender(self) -> Optional[bytes]:
        return self._sender

    def process_reply(self, wanted: bool) -> None:
        pass


class Bus:
    """``answer`` gets the method and the arguments of each call."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._fd = os.open(os.devnull, os.O_RDONLY)

    def open(self) -> None:
        pass

    def get_fd(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)

    def call_method(self, name: bytes, path: bytes, interface: bytes, method: bytes, arguments: Any) -> Message:
        return Message(b"answer", body=self._world.answer(method, arguments), kind=2)

    def get_property(self, name: bytes, path: bytes, interface: bytes, what: bytes, signature: bytes) -> Any:
        return self._world.answer(what, path)

    def process(self) -> Message:
        if not self._world.messages:
            return Message()
        message = self._world.messages.pop(0)
        if isinstance(message, BusError):
            raise message
        return message


class World:
    """What is on the other side."""

    def __init__(self) -> None:
        self.messages: List[Any] = []
        self.calls: List[Tuple[bytes, Any]] = []
        self.unknown: List[bytes] = []
        self.says: Callable[[bytes, Any], Any] = lambda method, arguments: OWNER if method == b"GetNameOwner" else None

    def answer(self, method: bytes, arguments: Any) -> Any:
        self.calls.append((method, arguments))
        return self.says(method, arguments)

    def started(self) -> List[List[bytes]]:
        """The names of the properties of each StartTransientUnit."""
        found = []
        for method, arguments in self.calls:
            if method == b"StartTransientUnit":
                found.append([arguments[place + 1][1] for place, each in enumerate(arguments) if each == (ord("r"), b"sv")])
        return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    dbuslib: Any = types.ModuleType("pystemd.dbuslib")
    dbuslib.DBus = lambda: Bus(world)
    dbuslib.DBusAddress = lambda address, peer_to_peer: Bus(world)
    dbuslib.path_encode = lambda prefix, name: b"/unit/" + name
    dbuslib.apply_signature = lambda signature, values: [(ord("s"), value) for value in values]
    errors: Any = types.ModuleType("pystemd.dbusexc")
    errors.DBusBaseError = BusError
    package: Any = types.ModuleType("pystemd")
    package.dbuslib = dbuslib
    for name, module in (("pystemd", package), ("pystemd.dbuslib", dbuslib), ("pystemd.dbusexc", errors)):
        monkeypatch.setitem(sys.modules, name, module)
    return world


@pytest.fixture
def connection(world: World) -> Iterator[SystemdConnection]:
    """By the bus, where others can send, too."""
    connection = SystemdConnection()
    connection.open_bus()
    yield connection
    connection.close()


# -- properties (247 to 257) ------------------------------------------------------------------------------------------------

PROPERTIES = [Property(b"Type", b"s", b"exec", True), Property(b"OOMPolicy", b"s", b"continue"), Property(b"New", b"b", True)]


def without(world: World, *unknown: bytes, number: int = errno.EROFS, text: str = "Cannot set property {}, or unknown property.") -> None:
    """A systemd that refuses the first of these that it is given."""
    def says(method: bytes, arguments: Any) -> Any:
        if method == b"StartTransientUnit":
            given = [each for each in world.started()[-1] if each in unknown]
            if given:
                raise BusError(number, text.format(given[0].decode()))
        return None

    world.says = says


def test_x254_unknown_properties_are_found_out_once(world: World, connection: SystemdConnection) -> None:
    without(world, b"OOMPolicy", b"New")
    assert connection.start_transient("a.service", PROPERTIES) == (b"OOMPolicy", b"New")
    assert world.started() == [[b"Type", b"OOMPolicy", b"New"], [b"Type", b"New"], [b"Type"]]
    assert connection.start_transient("b.service", PROPERTIES) == ()
    assert world.started()[3:] == [[b"Type"]]


def test_x254_a_value_that_is_refused_is_tried_again_the_next_time(world: World, connection: SystemdConnection) -> None:
    """Another job may have a better one."""
    without(world, b"OOMPolicy", number=errno.EINVAL, text="Invalid {} setting")
    assert connection.start_transient("a.service", PROPERTIES) == (b"OOMPolicy",)
    assert connection.start_transient("b.service", PROPERTIES) == (b"OOMPolicy",)
    assert len(world.started()) == 4


def test_x254_if_it_does_not_say_which_only_the_needed_ones_are_left(world: World, connection: SystemdConnection) -> None:
    without(world, b"New", number=errno.EINVAL, text="Invalid argument")
    assert connection.start_transient("a.service", PROPERTIES) == (b"OOMPolicy", b"New")
    assert world.started()[-1] == [b"Type"] and connection.unknown == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EINVAL, errno.EACCES, errno.EEXIST])
def test_x250_a_needed_property_is_refused(world: World, connection: SystemdConnection, number: int) -> None:
    without(world, b"Type", number=number)
    with pytest.raises(SystemdError) as caught:
        connection.start_transient("a.service", PROPERTIES)
    assert (caught.value.number, caught.value.exists) == (number, number == errno.EEXIST)
    assert connection.is_open


# -- signals -----------------------------------------------------------------------------------------------------------------


def heard(connection: SystemdConnection) -> List[Any]:
    said: List[Any] = []
    connection.job_removed = lambda unit, result: said.append(("job", unit, result))
    connection.unit_removed = lambda unit: said.append(("unit", unit))
    connection.reloaded = lambda: said.append("reloaded")
    connection.lost = lambda: said.append("lost")
    connection.watch("a.service", lambda interface, properties: said.append((interface, properties)))
    return said


def dispatch(connection: SystemdConnection) -> None:
    while not connection.dispatch():
        pass


def signals(sender: Optional[bytes]) -> List[Message]:
    return [Message(b"JobRemoved", sender=sender, body=(1, b"/job", b"a.service", b"done")),
            Message(b"UnitRemoved", sender=sender, body=(b"a.service", UNIT_PATH)),
            Message(b"Reloading", sender=sender, body=True), Message(b"Reloading", sender=sender, body=False),
            Message(b"PropertiesChanged", UNIT_PATH, sender, (b"Service", {b"MainPID": 0}, [])),
            Message(b"PropertiesChanged", b"/unit/other", sender, (b"Service", {}, []))]


def test_x254_signals_of_systemd(world: World, connection: SystemdConnection) -> None:
    said = heard(connection)
    world.messages = [Message(), *signals(OWNER), Message(), Message()]
    dispatch(connection)
    assert said == [("job", "a.service", "done"), ("unit", "a.service"), "reloaded", (b"Service", {b"MainPID": 0})]


def new(path: bytes = UNIT_PATH) -> Message:
    return Message(b"UnitNew", body=(b"a.service", path))


def test_x254_what_systemd_has_made_anew_is_to_be_asked_for(world: World, connection: SystemdConnection) -> None:
    """Instead of what changes about a unit, systemd tells once that the unit is new."""
    said = heard(connection)
    connection.made_anew = lambda unit: said.append(("anew", unit))
    reloads = [Message(b"Reloading", body=True), Message(b"Reloading", body=False)]
    for messages, expected in (
            ([new()], []),
            (reloads, ["reloaded"]),
            ([new(b"/unit/other"), new(), new()], [("anew", "a.service")]),
            # Told before the end of the reload, after which all is asked for.
            ([reloads[0], new(), reloads[1], new()], ["reloaded"])):
        world.messages = list(messages)
        dispatch(connection)
        assert said == expected
        said.clear()


def test_x254_another_connection_may_be_to_a_systemd_that_has_made_all_anew(world: World, connection: SystemdConnection) -> None:
    said = heard(connection)
    connection.made_anew = lambda unit: said.append(("anew", unit))
    connection.close()
    connection.open_bus()
    world.messages = [new(), new()]
    dispatch(connection)
    assert said == [("anew", "a.service")]


def test_signals_without_arguments_do_not_end_the_reading(world: World, connection: SystemdConnection) -> None:
    """systemd has one such, UnitFilesChanged; it looks like no message at all."""
    said = heard(connection)
    world.messages = [*[Message() for _ in range(9)], Message(b"Reloading", body=False)]
    assert connection.dispatch()
    assert said == ["reloaded"]


def test_very_many_signals_are_read_in_turns(world: World, connection: SystemdConnection) -> None:
    said = heard(connection)
    world.messages = [Message(b"Reloading", body=False) for _ in range(10)]
    assert not connection.dispatch()
    assert 0 < len(said) < 10, "something else may have its turn"
    dispatch(connection)
    assert len(said) == 10


@pytest.mark.parametrize("sender", [FORGER, None, b"org.freedesktop.DBus"])
def test_signals_of_anybody_else_are_ignored(world: World, connection: SystemdConnection, sender: Optional[bytes]) -> None:
    said = heard(connection)
    world.messages = signals(sender)
    dispatch(connection)
    assert said == [] and connection.is_open


@pytest.mark.parametrize("sender, name, lost", [
    (b"org.freedesktop.DBus", b"org.freedesktop.systemd1", True), (b"org.freedesktop.DBus", b"org.example", False),
    (FORGER, b"org.freedesktop.systemd1", False)])
def test_another_owner_of_the_name_is_another_systemd(
        world: World, connection: SystemdConnection, sender: bytes, name: bytes, lost: bool) -> None:
    said = heard(connection)
    world.messages = [Message(b"NameOwnerChanged", b"/org/freedesktop/DBus", sender, (name, OWNER, b""))]
    dispatch(connection)
    assert said == ["lost"] * lost and connection.is_open is not lost


def test_an_answer_that_came_too_late_is_dropped(world: World, connection: SystemdConnection) -> None:
    said = heard(connection)
    world.messages = [Message(b"answer", kind=2), Message(b"Reloading", body=False)]
    dispatch(connection)
    assert said == ["reloaded"]


# -- the end of the connection ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number, lost", [
    (errno.ECONNRESET, True), (errno.ENOTCONN, True), (errno.EPIPE, True), (errno.ETIMEDOUT, False), (errno.EACCES, False)])
def test_x250_which_errors_of_a_call_end_it(world: World, connection: SystemdConnection, number: int, lost: bool) -> None:
    said = heard(connection)

    def fails(method: bytes, arguments: Any) -> Any:
        raise BusError(number, "")

    world.says = fails
    with pytest.raises(SystemdError) as caught:
        connection.call(b"StopUnit", b"ss", b"a.service", b"replace")
    assert str(caught.value) == os.strerror(number)
    assert said == ["lost"] * lost and connection.is_open is not lost
    if lost:
        with pytest.raises(SystemdError):
            connection.run_of("a.service")
        assert said == ["lost"], "once"


def test_x250_it_ends_while_signals_are_read(world: World, connection: SystemdConnection) -> None:
    said = heard(connection)
    world.messages = [Message(b"Reloading", body=False), BusError(errno.ECONNRESET, ""), Message(b"Reloading", body=False)]
    dispatch(connection)
    dispatch(connection)
    assert said == ["reloaded", "lost"]


def test_x250_without_pystemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pystemd", None)
    with pytest.raises(SystemdError, match="pystemd cannot be imported"):
        SystemdConnection().open()


def test_x250_neither_socket_nor_bus(world: World) -> None:
    def fails(method: bytes, arguments: Any) -> Any:
        raise BusError(errno.ECONNREFUSED, f"no {method.decode()}")

    world.says = fails
    connection = SystemdConnection()
    with pytest.raises(SystemdError, match="^no Version; no AddMatch$"):
        connection.open()
    assert not connection.is_open

"""The daemon's connection to systemd: calls, the properties of units, and what changes.

pystemd is imported only here, and only when a connection is wanted: it costs 10 MB. Root's private socket
comes first, because it needs no message bus and is there as soon as systemd is; the system bus otherwise.
Over the private socket every change of every unit is told, over the bus those of our own slice's units are
asked for; what is not about a unit that ``watch`` named is dropped before it is parsed.

A call waits for systemd's answer, five seconds at most: pystemd knows no other way. Signals that arrive
meanwhile are kept by sd-bus, so ``dispatch`` has to be called after every call, readable or not. When the
connection is gone, as when systemd executes itself anew, ``lost`` is called once.
"""
from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from .unit_property import Property

#: For libsystemd, which reads it for each call: how long an answer may take.
_PATIENCE_VARIABLE, _PATIENCE = "SYSTEMD_BUS_TIMEOUT", "5s"
#: Seconds in which systemd says a first word over a new connection.
_SILENCE = 0.5
_PRIVATE = "/run/systemd/private"
_NAME = b"org.freedesktop.systemd1"
_PATH = b"/org/freedesktop/systemd1"
_MANAGER = b"org.freedesktop.systemd1.Manager"
_UNIT, _SERVICE = b"org.freedesktop.systemd1.Unit", b"org.freedesktop.systemd1.Service"
_UNIT_PATHS = b"/org/freedesktop/systemd1/unit"
_BUS, _BUS_PATH = b"org.freedesktop.DBus", b"/org/freedesktop/DBus"
_SIGNALS = b"type='signal',sender='org.freedesktop.systemd1',path_namespace='/org/freedesktop/systemd1'"
_OWNER_CHANGES = (b"type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                  b"member='NameOwnerChanged',arg0='org.freedesktop.systemd1'")
#: Errors that mean that the connection is of no use any more.
_GONE = (errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE, errno.ESHUTDOWN, errno.ESTALE)
# Empty messages in a row after which there is nothing more to read: sd-bus shows its own doings, and signals without
# arguments, as empty ones.
_EMPTY_ENOUGH = 10
_SIGNAL = 4
_ALL_SIGNALS = signal.valid_signals() - {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
# In one go: reading what is in one takes 0.1 ms, and the answer of a process that is about to run is not to wait for many.
_MOST_READ, _MOST_SEEN = 4, 1000

Changed = Callable[[bytes, Dict[bytes, Any]], None]


class SystemdError(Exception):
    """systemd refused, or could not be asked; ``number`` is the errno."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number

    @property
    def exists(self) -> bool:
        """There is a unit of that name."""
        return self.number == errno.EEXIST


class Run(NamedTuple):
    """A unit, and its main process: ``code`` is 0 until that has ended, and then one of waitid's CLD_*."""

    invocation: str
    state: bytes
    sub_state: bytes
    pid: int
    code: int
    status: int


class SystemdConnection:
    """``changed(interface, properties)`` callbacks are per unit; see ``watch``.

    ``job_removed`` is called with unit name and result, ``unit_removed`` with the unit's name, ``reloaded`` after systemd
    has read its files again, ``made_anew`` with the name of a watched unit whose changes since then have not been told, and
    ``lost`` when the connection is gone.
    """

    def __init__(self, private: str = _PRIVATE) -> None:
        self._private = private
        self._bus: Any = None
        self._dbuslib: Any = None
        self._failure: Any = None
        self._descriptor = -1
        self._callbacks: List[Any] = []
        self._arrived: List[Callable[[], None]] = []
        #: systemd's unique name on the bus, None on the private socket
        self._owner: Optional[bytes] = None
        self._watched: Dict[bytes, Changed] = {}
        self.job_removed: Callable[[str, str], None] = lambda unit, result: None
        self.unit_removed: Callable[[str], None] = lambda unit: None
        self.reloaded: Callable[[], None] = lambda: None
        self.made_anew: Callable[[str], None] = lambda unit: None
        self.lost: Callable[[], None] = lambda: None
        self._reloading = False
        #: Watched units that systemd has made anew, as it does of all when it reads its files again, and has not told so yet.
        #: Until it tells, it does not tell what changes about them.
        self._untold: Set[bytes] = set()
        #: properties that this systemd does not know, each found out once
        self.unknown: List[bytes] = []

    # -- the connection ---------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect by the private socket, else by the bus. Raises SystemdError."""
        dbuslib = self._load()
        if not _is_responsive(self._private):
            raise SystemdError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        try:
            self._begin(dbuslib.DBusAddress(b"unix:path=" + os.fsencode(self._private), peer_to_peer=True))
            # It may belong to a systemd that is not there any more.
            self._checked(partial(self._property, _PATH, _MANAGER, b"Version", b"s"))
        except SystemdError as first:
            try:
                self.open_bus()
                self._checked(self._subscribe)
            except SystemdError as second:
                raise SystemdError(first.number, f"{first}; {second}") from None

    def open_bus(self) -> None:
        """Connect by the system bus, without asking for what changes. Raises SystemdError."""
        self._begin(self._load().DBus())
        self._checked(self._learn_owner)

    def _load(self) -> Any:
        try:
            from pystemd import dbuslib
            from pystemd.dbusexc import DBusBaseError
        except ImportError as error:
            raise SystemdError(errno.ENOENT, f"pystemd cannot be imported: {error}") from None
        os.environ.setdefault(_PATIENCE_VARIABLE, _PATIENCE)
        self._dbuslib = dbuslib
        self._failure = DBusBaseError
        return dbuslib

    def _begin(self, bus: Any) -> None:
        try:
            with _uninterrupted():
                bus.open()
        except self._failure as error:
            raise _error_of(error) from None
        self._descriptor = os.dup(bus.get_fd())
        self._bus = bus
        self._owner = None
        self._reloading = False
        self._untold = set(self._watched)
        self._callbacks.clear()

    def _checked(self, step: Callable[[], Any]) -> None:
        try:
            step()
        except SystemdError:
            self.close()
            raise

    def _learn_owner(self) -> None:
        self._raw(_BUS, _BUS_PATH, _BUS, b"AddMatch", [(ord("s"), _OWNER_CHANGES)])
        self._owner = self._raw(_BUS, _BUS_PATH, _BUS, b"GetNameOwner", [(ord("s"), _NAME)])

    def _subscribe(self) -> None:
        self._raw(_BUS, _BUS_PATH, _BUS, b"AddMatch", [(ord("s"), _SIGNALS)])
        self._raw(_NAME, _PATH, _MANAGER, b"Subscribe", [])

    def unique_name(self) -> bytes:
        """Ours, on the bus."""
        return bytes(self._bus.get_unique_name())

    def on_signal(self, interface: bytes, member: bytes, callback: Callable[[bytes], None]) -> None:
        """Call ``callback`` with the path of a signal that has no arguments. Raises SystemdError."""
        def received(message: Any, error: Any = None, userdata: Any = None) -> None:
            if message.get_sender() == self._owner:
                self._arrived.append(partial(callback, bytes(message.get_path())))

        try:
            self._bus.match_signal(None, None, interface, member, received)
        except self._failure as error:
            raise _error_of(error) from None
        # pystemd keeps no reference.
        self._callbacks.append(received)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._bus is not None

    @property
    def can_be_opened(self) -> bool:
        """Whether there is what is needed for that on our side; known after the first attempt."""
        return self._dbuslib is not None

    def fileno(self) -> int:
        """The descriptor to watch: ours, because sd-bus closes its own as soon as the other side is gone."""
        return self._descriptor

    def close(self) -> None:
        """Give it up, without a word to ``lost``; stop watching it before."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.close()
            os.close(self._descriptor)

    def _gone(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            descriptor = self._descriptor
            self.lost()
            bus.close()
            os.close(descriptor)

    # -- calls -------------------------------------------------------------------------------------------------

    def _raw(self, name: bytes, path: bytes, interface: bytes, method: bytes, arguments: Sequence[Tuple[int, Any]]) -> Any:
        if self._bus is None:
            raise SystemdError(errno.ENOTCONN, "no connection to systemd")
        try:
            with _uninterrupted():
                return self._bus.call_method(name, path, interface, method, arguments).body
        except self._failure as error:
            raise self._explained(error) from None

    def _explained(self, failure: Any) -> SystemdError:
        error = _error_of(failure)
        if error.number in _GONE:
            self._gone()
        return error

    def call(self, method: bytes, signature: bytes = b"", *values: Any) -> Any:
        """A method of the manager; returns the answer's body. Raises SystemdError."""
        arguments = self._dbuslib.apply_signature(signature, list(values)) if signature else []
        return self._raw(_NAME, _PATH, _MANAGER, method, arguments)

    def manager_property(self, name: bytes, signature: bytes) -> Any:
        """One property of the manager. Raises SystemdError."""
        return self._property(_PATH, _MANAGER, name, signature)

    def unit_property(self, unit: str, interface: bytes, name: bytes, signature: bytes) -> Any:
        """One property of a unit, which systemd loads if need be. Raises SystemdError."""
        return self._property(self.path(unit), interface, name, signature)

    def run_of(self, unit: str) -> Optional[Run]:
        """How the main process of a service is, or that of a scope was; None if there is no such unit. Raises SystemdError."""
        path = self.path(unit)
        about_unit = partial(self._property, path, _UNIT)
        if about_unit(b"LoadState", b"s") == b"not-found":
            return None
        invocation = bytes(about_unit(b"InvocationID", b"ay")).hex()
        state, sub_state = about_unit(b"ActiveState", b"s"), about_unit(b"SubState", b"s")
        if not unit.endswith(".service"):
            return Run(invocation, state, sub_state, 0, 0, 0)
        about_service = partial(self._property, path, _SERVICE)
        pid = about_service(b"MainPID", b"u")
        code, status = (0, 0) if pid else (about_service(b"ExecMainCode", b"i"), about_service(b"ExecMainStatus", b"i"))
        return Run(invocation, state, sub_state, pid, code, status)

    def units(self, pattern: str) -> List[str]:
        """Names of the loaded units that match. Raises SystemdError."""
        return list(self.states(pattern))

    def states(self, pattern: str) -> Dict[str, Tuple[bytes, bytes]]:
        """Active and sub state of the loaded units that match, by name. Raises SystemdError."""
        arguments = self._dbuslib.apply_signature(b"asas", [[], [pattern.encode("ascii")]])
        rows = self._raw(_NAME, _PATH, _MANAGER, b"ListUnitsByPatterns", arguments) or []
        return {row[0].decode("ascii", "replace"): (row[3], row[4]) for row in rows}

    def has_unit(self, unit: str) -> bool:
        """Whether systemd has a unit; one that is not loaded stays so. Raises SystemdError."""
        try:
            self.call(b"GetUnit", b"s", unit.encode("ascii"))
        except SystemdError as error:
            if error.number != errno.ENOENT:
                raise
            return False
        return True

    def pids_in(self, unit: str) -> List[int]:
        """The pids of what runs in a unit. Raises SystemdError."""
        return [row[1] for row in self.call(b"GetUnitProcesses", b"s", unit.encode("ascii")) or []]

    def service_result(self, unit: str) -> Tuple[str, int]:
        """Why a service is not running, and its exit status, which is systemd's own if the program never ran. Raises SystemdError."""
        path = self.path(unit)
        result = bytes(self._property(path, _SERVICE, b"Result", b"s")).decode("ascii", "replace")
        return result, int(self._property(path, _SERVICE, b"ExecMainStatus", b"i"))

    def _property(self, path: bytes, interface: bytes, name: bytes, signature: bytes) -> Any:
        if self._bus is None:
            raise SystemdError(errno.ENOTCONN, "no connection to systemd")
        try:
            with _uninterrupted():
                return self._bus.get_property(_NAME, path, interface, name, signature)
        except self._failure as error:
            raise self._explained(error) from None

    def path(self, unit: str) -> bytes:
        """The object of a unit."""
        return bytes(self._dbuslib.path_encode(_UNIT_PATHS, unit.encode("ascii")))

    def start_transient(self, unit: str, properties: Sequence[Property]) -> Tuple[bytes, ...]:
        """StartTransientUnit, mode ``fail``. Returns the properties that were left out because this systemd does not know them.

        Raises SystemdError.
        """
        known = [each for each in properties if each.name not in self.unknown]
        left_out: List[bytes] = []
        while True:
            try:
                self._start(unit, known)
                return tuple(left_out)
            except SystemdError as error:
                if error.number not in (errno.EROFS, errno.EINVAL):
                    raise
                text = str(error)
                named = [each for each in known if not each.needed and each.name.decode() in text]
                dropped = named or [each for each in known if not each.needed]
                if not dropped:
                    raise
                known = [each for each in known if each not in dropped]
                left_out += [each.name for each in dropped]
                if error.number == errno.EROFS:
                    self.unknown += [each.name for each in named]

    def _start(self, unit: str, properties: Sequence[Property]) -> None:
        sign = self._dbuslib.apply_signature
        arguments: List[Tuple[int, Any]] = [(ord("s"), unit.encode("ascii")), (ord("s"), b"fail"), (ord("a"), b"(sv)")]
        for each in properties:
            arguments += ((ord("r"), b"sv"), (ord("s"), each.name), (ord("v"), each.signature))
            arguments += sign(each.signature, [each.value])
            arguments += ((-1, None), (-1, None))
        arguments += ((-1, None), (ord("a"), b"(sa(sv))"), (-1, None))
        self._raw(_NAME, _PATH, _MANAGER, b"StartTransientUnit", arguments)

    # -- what changes -----------------------------------------------------------------------------------------

    def watch(self, unit: str, changed: Changed) -> None:
        """Call ``changed`` with the interface and the new values whenever properties of a unit change."""
        self._watched[self.path(unit)] = changed

    def unwatch(self, unit: str) -> None:
        """Do not, any more."""
        path = self.path(unit)
        self._watched.pop(path, None)
        self._untold.discard(path)

    def dispatch(self) -> bool:
        """Handle what has arrived; whether that was all of it."""
        empty = read = 0
        for _ in range(_MOST_SEEN):
            if self._bus is None:
                return True
            try:
                message = self._bus.process()
                arrived, self._arrived = self._arrived, []
                for each in arrived:
                    each()
                # Without a body, or no message at all, of which nothing may be asked.
                if message.is_empty():
                    empty += 1
                    if empty == _EMPTY_ENOUGH:
                        return True
                    continue
                empty = 0
                if message.get_type() != _SIGNAL:
                    # An answer that came too late. It has no path, and pystemd must not be asked for one.
                    continue
                sender = message.get_sender() if self._owner is not None else None
                handle = self._handler(message.get_path(), message.get_member(), sender)
                if handle is None:
                    continue
                message.process_reply(False)
                body = message.body
            except self._failure:
                self._gone()
                return True
            handle(body)
            read += 1
            if read == _MOST_READ:
                break
        return False

    def _handler(self, path: Optional[bytes], member: Optional[bytes], sender: Optional[bytes]) -> Optional[Callable[[Any], None]]:
        if self._owner is not None and sender != self._owner:
            # Anybody on the bus may send us a signal.
            return self._owner_changed if sender == _BUS and member == b"NameOwnerChanged" else None
        if member == b"PropertiesChanged" and path is not None:
            changed = self._watched.get(path)
            return None if changed is None else lambda body: changed(body[0], body[1] or {})
        if path != _PATH:
            return None
        if member == b"JobRemoved":
            return lambda body: self.job_removed(body[2].decode("ascii", "replace"), body[3].decode("ascii", "replace"))
        if member == b"UnitRemoved":
            # While it reads its files, systemd says so of every unit, and knows most of them again afterwards.
            return None if self._reloading else lambda body: self.unit_removed(body[0].decode("ascii", "replace"))
        if member == b"UnitNew":
            return self._is_new if self._untold or self._reloading else None
        if member == b"Reloading":
            return self._reloads
        return None

    def _is_new(self, body: Any) -> None:
        path = body[1]
        if path in self._untold:
            self._untold.discard(path)
            if not self._reloading:
                self.made_anew(body[0].decode("ascii", "replace"))

    def _reloads(self, begins: bool) -> None:
        self._reloading = begins
        if begins:
            self._untold = set(self._watched)
        else:
            self.reloaded()

    def _owner_changed(self, body: Any) -> None:
        if body[0] == _NAME:
            # Another systemd, or none: what it says of our units has to be asked for anew.
            self._gone()


def _is_responsive(path: str) -> bool:
    """False if somebody listens at a socket for D-Bus but says nothing: sd-bus would wait for that for a minute and a half."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(_SILENCE)
            connection.connect(path)
            # Which mechanisms are there?
            connection.sendall(b"\0AUTH\r\n")
            connection.recv(64)
        except socket.timeout:
            return False
        except OSError:
            pass
    return True


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """sd-bus gives up a call when a signal comes, and nobody would know what became of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _error_of(failure: Any) -> SystemdError:
    number = abs(int(failure.errno or 0)) or errno.EIO
    text = failure.err_message
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return SystemdError(number, text or os.strerror(number))

"""What systemd says of its units, over the system bus or root's private socket (B225).

Nothing here waits: each step is begun when the reply to the one before has come. After a connection, a reload or a
new owner of the name everything is asked for again: the units that the watchers need, and where they want others, a
list of all. Every unit is loaded (one that is not sends no signals), kept loaded by a reference where that is possible,
and asked for its properties. When all replies are there the watchers get them at once, ``complete``; later what changes.

The bus is tried first. Without one the private socket is used, which has the same objects and sends its signals without
being asked to. A connection that breaks is tried again at once, then after 0.1 seconds, doubling to 30 (B106).
"""
from __future__ import annotations

import collections
import functools
import re
from typing import Any, Callable, Deque, Dict, FrozenSet, List, Optional, Protocol, Sequence, Set, Tuple

from ...control.wire import (
    BUS_INTERFACE,
    BUS_NAME,
    BUS_PATH,
    HANDLED,
    LOCAL_INTERFACE,
    NOT_YET_HANDLED,
    PROPERTIES_INTERFACE,
    Connection,
    DBusException,
    ErrorMessage,
    MethodCall,
    SignalMessage,
)
from ...engine.actions import DEBUG, ERROR, INFO, WARN
from ...loop import MainLoop, Timer
from .native_units import UnitSeen
from .unit_properties import ALL, HOW_IT_ENDED, NOT_LISTED, UNIT, interface_of, plain, unit_seen

NAME = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
MANAGER = NAME + ".Manager"
PRIVATE_ADDRESS = "unix:path=/run/systemd/private"
_UNITS = PATH + "/unit"
#: A bus allows as few as 128 calls without a reply.
_MOST_UNANSWERED = 100
#: The first version that is known to bear references to units.
_BEARS_REFERENCES = 252
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 30.0
_KNOCK_SECONDS = 0.1
_MOST_KNOCKS = 10
#: Errors that are not an answer of the manager.
_NO_ANSWER = frozenset(
    f"org.freedesktop.DBus.Error.{name}" for name in ("NoReply", "Timeout", "TimedOut", "LimitsExceeded", "NoMemory", "Disconnected"))
_MATCHES = (
    f"type='signal',sender='{BUS_NAME}',path='{BUS_PATH}',interface='{BUS_INTERFACE}',member='NameOwnerChanged',arg0='{NAME}'",
    f"type='signal',sender='{NAME}',path='{PATH}',interface='{MANAGER}'",
    f"type='signal',sender='{NAME}',path_namespace='{_UNITS}',interface='{PROPERTIES_INTERFACE}',member='PropertiesChanged'",
)
_ENDED = frozenset(("inactive", "failed"))
_AUTO_RESTART = "auto-restart"

Reply = Callable[[Any], None]


def bears_references(version: str) -> bool:
    """Whether a systemd of this version bears that somebody refers to units.

    247 neither starts nor stops them any more once it has read its files again: jobs wait for ever, while it spins.
    """
    found = re.search(r"\d+", version)
    return found is not None and int(found[0]) >= _BEARS_REFERENCES


class Watcher(Protocol):
    """Who wants to hear of units; NativeUnits behind somebody who passes its facts on is one."""

    def needed(self) -> FrozenSet[str]:
        """Units to be loaded and watched."""

    def takes(self, unit: str) -> bool:
        """Whether a unit that there is wants to be watched."""

    def seen(self, units: Sequence[UnitSeen], complete: bool, new: bool) -> None:
        """Units as they are. ``complete``: all there are of those that are watched; ``new``: it was not loaded before."""

    def removed(self, unit: str) -> None:
        """A unit that is not needed was unloaded."""


class Systemd:
    """The manager. ``addresses``: of the bus and of the private socket, either may be empty.

    ``signal`` hears (member, arguments) of every signal of the manager, after the watchers; ``connected`` is called when a
    connection is ready for ``call``, ``disconnected`` when it is not any more.
    """

    def __init__(self, glib: Any, loop: MainLoop, log: Callable[[int, str], None],
                 addresses: Tuple[str, str] = ("", PRIVATE_ADDRESS)) -> None:
        self._glib = glib
        self._loop = loop
        self._log = log
        self._addresses = addresses
        self.signal: Callable[[str, Sequence[Any]], None] = lambda member, arguments: None
        self.connected: Callable[[], None] = lambda: None
        self.disconnected: Callable[[], None] = lambda: None
        self._watchers: List[Watcher] = []
        self._connection: Any = None
        self._on_bus = False
        #: whether units may be referred to
        self._keeps = False
        self._owner = ""
        self._ready = False
        self._delay = 0.0
        self._retry: Optional[Timer] = None
        #: object path to what is known of the unit, by the manager's names of properties
        self._properties: Dict[str, Dict[str, Any]] = {}
        #: of these, the ones that were not loaded until now
        self._new: Set[str] = set()
        #: the ones of which not everything is known yet
        self._asked: Set[str] = set()
        #: and what the ones were like that have ended, until it is sure that they are not starting again
        self._ending: Dict[str, Dict[str, Any]] = {}
        #: names asked for to object paths
        self._paths: Dict[str, str] = {}
        #: calls that are to be sent, and how many were and have no reply yet
        self._waiting: Deque[Tuple[Any, Reply]] = collections.deque()
        self._unanswered = 0
        #: replies that are to come, and the round that they belong to
        self._awaited = 0
        self._round = 0
        self._complete = False
        #: who waits for a complete round
        self._when_complete: List[Callable[[], None]] = []

    # -- what may be asked of it -----------------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody of units, from the next complete round on."""
        self._watchers.append(watcher)

    def start(self) -> None:
        """Connect, and stay connected."""
        self._connect()

    def reconsider(self) -> None:
        """A watcher needs other units. Those that were not watched yet are told to it when they are known."""
        if self._complete:
            # It may be one that is known for the sake of another watcher.
            self._tell_all(False)
            self._list()
        elif self._ready:
            # Too late for the round that is under way.
            self._begin_round()

    def call(self, member: str, signature: str, arguments: Sequence[Any], replied: Reply) -> None:
        """Call the manager; nothing if there is no connection. ``replied`` gets the message, an ErrorMessage in trouble."""
        if self._ready:
            self._ask(PATH, MANAGER, member, signature, arguments, replied)

    def get(self, property: str, replied: Reply) -> None:
        """Ask for a property of the manager, as ``call``."""
        if self._ready:
            self._ask(PATH, PROPERTIES_INTERFACE, "Get", "ss", (MANAGER, property), replied)

    def when_current(self, done: Callable[[], None]) -> None:
        """Call back when the watchers were told all that the manager has had to say by now; after a round, if one is under way."""
        self._when_complete.append(done)

        def answered(reply: Any) -> None:
            # Else it is for the round that has begun meanwhile.
            if self._complete and done in self._when_complete:
                self._when_complete.remove(done)
                done()

        if self._complete:
            # Signals come in order with replies.
            self.get("Version", answered)

    def unit(self, name: str) -> Optional[UnitSeen]:
        """A unit that is watched, by its first name, as it was told last."""
        for path, properties in self._properties.items():
            if properties.get("Id") == name and self._is_known(path):
                return unit_seen(properties)
        return None

    def close(self) -> None:
        """Leave the manager for good."""
        self._drop()

    # -- connecting --------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._retry = None
        for address, on_bus in zip(self._addresses, (True, False)):
            if not address:
                continue
            try:
                connection = Connection(address, self._glib)
            except DBusException as error:
                self._log(DEBUG, f"systemd: {address}: {error.get_dbus_message() or error}")
                continue
            self._connection, self._on_bus = connection, on_bus
            connection.add_message_filter(self._heard)
            if on_bus:
                self._ask_bus("Hello", "", (), self._said_hello)
            else:
                self._knock()
            return
        self._retry_later()

    def _knock(self) -> None:
        """Call until there is an answer: systemd leaves a first call lying that comes together with the greeting."""
        if self._unanswered < _MOST_KNOCKS:
            for _ in range(2):
                self._ask(PATH, PROPERTIES_INTERFACE, "Get", "ss", (MANAGER, "Version"), self._answered)
        self._retry = self._loop.later(_KNOCK_SECONDS, self._knock)

    def _said_hello(self, reply: Any) -> None:
        if isinstance(reply, ErrorMessage):
            self._give_up(str(reply.get_error_name()))
            return
        self._connection.set_unique_name(str(reply.get_args_list()[0]))
        for match in _MATCHES:
            self._ask_bus("AddMatch", "s", (match,), self._added_match)
        self._ask_bus("GetNameOwner", "s", (NAME,), self._got_owner)

    def _added_match(self, reply: Any) -> None:
        if isinstance(reply, ErrorMessage):
            self._give_up(str(reply.get_error_name()))

    def _got_owner(self, reply: Any) -> None:
        # Where systemd is not on the bus yet, it says so when it comes.
        if not isinstance(reply, ErrorMessage):
            self._owned_by(str(reply.get_args_list()[0]))

    def _owned_by(self, owner: str) -> None:
        if owner == self._owner:
            return
        was_ready, self._ready, self._owner = self._ready, False, owner
        if was_ready:
            self.disconnected()
        if owner:
            self._ask(PATH, PROPERTIES_INTERFACE, "Get", "ss", (MANAGER, "Version"), self._told_version)
            self._ask(PATH, MANAGER, "Subscribe", "", (), self._answered)

    def _told_version(self, reply: Any) -> None:
        self._keeps = self._on_bus and not isinstance(reply, ErrorMessage) and bears_references(str(reply.get_args_list()[0]))

    def _answered(self, reply: Any) -> None:
        # An error is an answer too, such as that it is subscribed already.
        if self._ready:
            return
        self._cancel_retry()
        self._log(INFO, f"Connected to systemd ({'system bus' if self._on_bus else 'private socket'})")
        self._ready = True
        self.connected()
        self._begin_round()

    def _give_up(self, why: str) -> None:
        """Leave the connection as it is of no use, and try again later."""
        self._log(WARN, f"systemd: {why}, connecting again")
        self._drop()
        self._retry_later()

    def _cancel_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _drop(self) -> None:
        self._cancel_retry()
        connection, self._connection = self._connection, None
        was_ready, self._ready, self._complete, self._owner = self._ready, False, False, ""
        self._round += 1
        self._waiting.clear()
        self._unanswered = 0
        for each in (self._properties, self._paths, self._new, self._ending, self._asked):
            each.clear()
        if connection is not None:
            connection.close()
        if was_ready:
            self.disconnected()

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = self._loop.later(self._delay, self._connect)
        self._delay = min(max(self._delay * 2, _FIRST_DELAY), _LONGEST_DELAY)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _ask_bus(self, member: str, signature: str, arguments: Sequence[Any], replied: Reply) -> None:
        self._send(MethodCall(BUS_NAME, BUS_PATH, BUS_INTERFACE, member), signature, arguments, replied)

    def _ask(self, path: str, interface: str, member: str, signature: str, arguments: Sequence[Any], replied: Reply) -> None:
        self._send(MethodCall(NAME if self._on_bus else None, path, interface, member), signature, arguments, replied)

    def _send(self, message: Any, signature: str, arguments: Sequence[Any], replied: Reply) -> None:
        message.set_auto_start(False)
        if signature:
            message.append(*arguments, signature=signature)
        self._waiting.append((message, replied))
        self._send_waiting()

    def _send_waiting(self) -> None:
        connection = self._connection

        def take(reply: Any, replied: Reply) -> None:
            # What an old connection still says is of no use.
            if connection is not self._connection:
                return
            self._unanswered -= 1
            if isinstance(reply, ErrorMessage) and reply.get_error_name() in _NO_ANSWER:
                # Half an answer would be taken for units that are down.
                self._give_up(str(reply.get_error_name()))
                return
            self._guarded(replied, reply)
            self._send_waiting()

        while self._waiting and self._unanswered < _MOST_UNANSWERED:
            message, replied = self._waiting.popleft()
            try:
                connection.send_message_with_reply(message, functools.partial(take, replied=replied))
            except DBusException:
                # It broke; that is told separately.
                return
            self._unanswered += 1

    # -- rounds ----------------------------------------------------------------------------------------------------------

    def _needed(self) -> Set[str]:
        return {unit for watcher in self._watchers for unit in watcher.needed()}

    def _begin_round(self) -> None:
        self._round += 1
        self._complete = False
        self._awaited = 0
        for each in (self._properties, self._paths, self._new, self._ending, self._asked):
            each.clear()
        self._list()

    def _one_less(self, round: int) -> None:
        if round != self._round:
            return
        self._awaited -= 1
        if not self._awaited and not self._complete:
            self._complete = True
            # Only now it is sure that the connection is of use.
            self._delay = 0.0
            self._tell_all(True)

    def _tell_all(self, complete: bool) -> None:
        units = [unit_seen(properties) for path, properties in self._properties.items() if self._is_known(path)]
        for watcher in self._watchers:
            its = [unit for unit in units if _is_of(watcher, unit)]
            if its or complete:
                watcher.seen(its, complete, False)
        waiting, self._when_complete = self._when_complete, []
        for done in waiting:
            done()

    def _list(self) -> None:
        """Ask what is loaded, which tells much of it in one reply; then for what is needed and not loaded."""
        round = self._round
        self._awaited += 1

        def listed(reply: Any) -> None:
            if round == self._round and isinstance(reply, ErrorMessage):
                self._give_up(str(reply.get_error_name()))
            elif round == self._round:
                needed = self._needed()
                for row in reply.get_args_list()[0]:
                    self._met(row, str(row[0]) in needed)
                for name in sorted(needed - set(self._paths)):
                    self._load(name)
            self._one_less(round)

        self._ask(PATH, MANAGER, "ListUnits", "", (), listed)

    def _met(self, row: Sequence[Any], needed: bool) -> None:
        """There is a unit, as ListUnits tells it."""
        name, path = str(row[0]), str(row[6])
        if needed:
            self._paths[name] = path
        if path in self._properties or not (needed or any(watcher.takes(name) for watcher in self._watchers)):
            return
        self._properties[path] = {
            "Id": name, "LoadState": str(row[2]), "ActiveState": str(row[3]), "SubState": str(row[4]), "Job": int(row[7])}
        if needed:
            self._keep(path)
        # How it ended is told by signals if it is running.
        self._get_properties(path, NOT_LISTED if str(row[3]) not in _ENDED else (*NOT_LISTED, *HOW_IT_ENDED))

    def _load(self, name: str) -> None:
        round = self._round
        self._awaited += 1
        self._paths[name] = ""

        def loaded(reply: Any) -> None:
            if round == self._round:
                if isinstance(reply, ErrorMessage):
                    # A name that systemd does not take is not that of a unit.
                    self._log(DEBUG, f"systemd: {name}: {reply.get_error_name()}")
                else:
                    path = self._paths[name] = str(reply.get_args_list()[0])
                    if path not in self._properties:
                        self._properties[path] = {}
                        self._keep(path)
                        self._get_properties(path, ALL)
            self._one_less(round)

        self._ask(PATH, MANAGER, "LoadUnit", "s", (name,), loaded)

    def _keep(self, path: str) -> None:
        """See that a unit is not unloaded when it is down. Old managers cannot, and the private socket cannot."""
        if self._keeps:
            self._ask(path, UNIT, "Ref", "", (), lambda reply: None)

    def _get_properties(self, path: str, names: Sequence[str]) -> None:
        """One by one: all of them would be hundreds more, some of which the manager has to look up in files."""
        round = self._round
        left = len(names)
        self._awaited += left
        self._asked.add(path)

        def got(reply: Any, name: str) -> None:
            nonlocal left
            left -= 1
            if round == self._round and path in self._properties:
                # What is no service has no properties of one.
                if not isinstance(reply, ErrorMessage):
                    self._properties[path].update(plain({name: reply.get_args_list()[0]}))
                if not left:
                    self._asked.discard(path)
                    self._tell(path)
            self._one_less(round)

        for name in names:
            self._ask(path, PROPERTIES_INTERFACE, "Get", "ss", (interface_of(name), name), functools.partial(got, name=name))

    def _is_known(self, path: str) -> bool:
        return "Id" in self._properties.get(path, ()) and path not in self._asked

    def _tell(self, path: str) -> None:
        if self._is_known(path):
            self._tell_of(path, self._properties[path])

    def _tell_of(self, path: str, properties: Dict[str, Any]) -> None:
        if self._complete:
            unit = unit_seen(properties)
            new = path in self._new
            self._new.discard(path)
            for watcher in self._watchers:
                if _is_of(watcher, unit):
                    watcher.seen([unit], False, new)

    # -- signals ---------------------------------------------------------------------------------------------------------

    def _heard(self, connection: Any, message: Any) -> int:
        if not isinstance(message, SignalMessage) or connection is not self._connection:
            return NOT_YET_HANDLED
        self._guarded(self._take, message)
        return HANDLED

    def _guarded(self, function: Callable[[Any], None], message: Any) -> None:
        """An error must not get into libdbus, which would end the main loop with it."""
        try:
            function(message)
        except Exception as error:
            self._log(ERROR, f"systemd: {message!r}: {type(error).__name__}: {error}")

    def _take(self, message: Any) -> None:
        interface, member = message.get_interface(), message.get_member()
        if interface == LOCAL_INTERFACE and member == "Disconnected":
            self._give_up("disconnected")
            return
        if self._on_bus and message.get_sender() == BUS_NAME:
            if interface == BUS_INTERFACE and member == "NameOwnerChanged" and message.get_signature() == "sss":
                name, _, owner = message.get_args_list()
                if name == NAME:
                    self._owned_by(str(owner))
            return
        if self._on_bus and message.get_sender() != self._owner:
            # Anybody may send such a signal.
            return
        if interface == PROPERTIES_INTERFACE and member == "PropertiesChanged" and message.get_signature() == "sa{sv}as":
            self._changed(message.get_path(), *message.get_args_list()[:2])
        elif interface == MANAGER:
            self._manager_said(str(member), message.get_signature(), message.get_args_list())

    def _changed(self, path: str, interface: str, changed: Any) -> None:
        properties = self._properties.get(path)
        if properties is None:
            return
        before = properties.get("ActiveState")
        properties.update(plain(changed))
        # The signal of the kind of unit comes before that of the unit, so now both are known.
        if interface != UNIT or not self._complete:
            return
        if properties.get("ActiveState") not in _ENDED:
            ended = self._ending.pop(path, None)
            if ended is not None and _AUTO_RESTART not in properties.get("SubState", ""):
                self._tell_of(path, ended)
            self._tell(path)
        elif before not in _ENDED:
            self._confirm_end(path)
        elif path not in self._ending:
            self._tell(path)

    def _confirm_end(self, path: str) -> None:
        """A service that restarts by itself is seen as ended first, and the next moment as waiting for its restart.

        systemd does both before it answers the next call, so an end is told when the answer has come.
        """
        round = self._round
        ended = self._ending[path] = dict(self._properties[path])

        def answered(reply: Any) -> None:
            if round == self._round and self._ending.get(path) is ended:
                del self._ending[path]
                self._tell(path)

        # Any question will do, but one about the unit would load it if it has gone.
        self._ask(PATH, PROPERTIES_INTERFACE, "Get", "ss", (MANAGER, "Version"), answered)

    def _manager_said(self, member: str, signature: str, arguments: Sequence[Any]) -> None:
        if member == "UnitNew" and signature == "so":
            self._appeared(str(arguments[0]), str(arguments[1]))
        elif member == "UnitRemoved" and signature == "so":
            self._removed(str(arguments[0]), str(arguments[1]))
        elif member == "JobRemoved" and signature[:3] == "uos":
            # A restart that is cancelled is told by nothing else.
            for path, properties in self._properties.items():
                if properties.get("Job") == int(arguments[0]):
                    properties["Job"] = 0
                    self._tell(path)
                    break
        elif member == "Reloading" and signature == "b":
            # In between every unit goes and comes again, which is nothing to be told.
            self._complete = False
            if not arguments[0]:
                self._begin_round()
        self.signal(member, arguments)

    def _appeared(self, name: str, path: str) -> None:
        """A unit was loaded. It is not asked for: that would load it, had it gone again, and so on without an end.

        It was down. What it does next is in the signals, which have everything that changes.
        """
        if self._complete and path not in self._properties and any(watcher.takes(name) for watcher in self._watchers):
            self._properties[path] = {"Id": name}
            self._new.add(path)

    def _removed(self, name: str, path: str) -> None:
        properties = self._properties.get(path)
        if properties is None:
            return
        if path in self._paths.values():
            properties.update(ActiveState="inactive", SubState="dead", Job=0)
            self._tell(path)
            return
        del self._properties[path]
        self._new.discard(path)
        self._ending.pop(path, None)
        if self._complete:
            for watcher in self._watchers:
                watcher.removed(properties.get("Id", name))


def _is_of(watcher: Watcher, unit: UnitSeen) -> bool:
    needed = watcher.needed()
    return any(name in needed for name in (unit.unit, *unit.names)) or watcher.takes(unit.unit)

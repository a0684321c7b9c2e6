"""The bridge's connection to the daemon: reads the conditions of all jobs, tells facts (B106, B108-B110, B196, B202).

On its private socket. When a connection is made, everything that is needed is read before the session begins: the
conditions of every class, what each emits, and the daemon's table of facts. From then on classes that come and go are followed; they
do so in crowds, for every reload makes all of them anew, so it is waited for a quiet moment. When the connection
breaks it is made again, with growing pauses, and everything begins anew: what was told already is in the table.
"""
from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence, Tuple

from ...control.paths import JOBS, unescape
from ...loop import MainLoop, Timer
from ...parser.notation import from_postfix
from .explanation import JobText
from .fact import Fact
from .loaded_jobs import LoadedJobs
from .peer import Peer
from .unit_phases import ASK_AGAIN
from .wanted import Wanted

ADDRESS = "unix:abstract=/com/ubuntu/upstart"
_MANAGER = "/com/ubuntu/Upstart"
_UPSTART = "com.ubuntu.Upstart0_6"
_JOB = _UPSTART + ".Job"
_HOST = "org.upstartcompat.Host1"
_EXPLANATION = "org.upstartcompat.Job1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
_QUIET = 0.05
#: Seconds for an answer of the daemon; what libdbus takes for "no limit".
_PATIENCE, _FOREVER = 60.0, 0x7FFFFFFF / 1000

_bindings: Any = importlib.import_module("_dbus_bindings")
_exceptions: Any = importlib.import_module("dbus.exceptions")


class Greeting:
    """What the daemon said of itself: kind of host, profile, masked jobs, and its table of facts."""

    def __init__(self) -> None:
        self.kind = ""
        self.profile = ""
        self.masked: Tuple[str, ...] = ()
        self.known: Dict[str, str] = {}


class Session(Protocol):
    """What goes on while there is a connection."""

    def reconsider(self) -> None:
        """Classes came or went."""

    def emitted(self, name: str, env: Sequence[str]) -> None:
        """An event was finished in the daemon."""

    def close(self) -> None:
        """The connection is gone."""


class DaemonLink:
    """``begin`` makes the session of a new connection; ``log`` writes a line. ``lost``: called in place of connecting again."""

    def __init__(self, loop: MainLoop, glib: Any, begin: Callable[[Greeting], Session], log: Callable[[str], None],
                 lost: Optional[Callable[[], None]] = None, address: str = ADDRESS) -> None:
        self._loop = loop
        self._glib = glib
        self._begin = begin
        self._log = log
        self._lost = lost
        self._address = address
        self._connection: Any = None
        self._session: Optional[Session] = None
        self._greeting = Greeting()
        self._pause = _FIRST_PAUSE
        self._complained = False
        #: answers that are waited for before anything goes on
        self._missing = 0
        #: classes that came (True) or went since the last quiet moment, by path
        self._changes: Dict[str, bool] = {}
        self._quiet: Optional[Timer] = None
        self._forget_jobs()

    def connect(self) -> None:
        """Connect now; again later if that does not work."""
        try:
            connection = Peer(self._address, self._glib)
        except _exceptions.DBusException as error:
            if not self._complained:
                self._complained = True
                self._log(f"Could not connect to Upstart: {error.get_dbus_message()}")
            self._again()
            return
        self._connection = connection
        connection.set_exit_on_disconnect(False)
        connection.add_message_filter(self._on_message)
        self._forget_jobs()
        self._greeting = greeting = Greeting()
        self._missing = 0
        self._ask(_MANAGER, _UPSTART, "GetAllJobs", "", (), lambda paths: list(map(self._read_job, map(str, paths))))
        self._ask(_MANAGER, _PROPERTIES, "GetAll", "s", (_HOST,), self._got_host)
        self._ask(_MANAGER, _HOST, "GetFacts", "", (),
                  lambda facts: greeting.known.update({str(object): str(phase) for object, phase in facts}))

    def connect_again(self) -> None:
        """Begin anew from the connection on."""
        self.close()
        self._loop.later(0.0, self.connect)

    def tell(self, facts: Sequence[Fact]) -> None:
        """Tell facts, in order. Without a connection they are dropped: they will be found again."""
        for fact in facts:
            events = _bindings.Array([(each.name, _bindings.Array(each.env, signature="s"), each.hold) for each in fact.events],
                                     signature="(sasb)")
            self._call(_MANAGER, _HOST, "Fact", "ssa(sasb)", (fact.object, fact.phase, events), lambda reply: None)

    def emit(self, name: str, env: Sequence[str]) -> None:
        """An ordinary event, which leaves the table alone (B205, B206)."""
        self._call(_MANAGER, _UPSTART, "EmitEvent", "sasb", (name, _texts(env), False), lambda reply: None)

    def when_heard(self, done: Callable[[], None]) -> None:
        """Call ``done`` when the daemon has taken what it was told until now; what is on its way to it when we hang up may be lost."""
        self._call(_MANAGER, _PROPERTIES, "Get", "ss", (_UPSTART, "version"), lambda reply: done())

    def take_first_step_down(self, level: str, extra: Sequence[str], done: Callable[[], None]) -> None:
        """The first step on the way down; ``done`` is called when it is taken, or cannot be (B221)."""
        self._call(_MANAGER, _HOST, "ShutDown", "sasb", (level, _texts(extra), True), lambda reply: done(), _FOREVER)

    def cancel_way_down(self) -> None:
        """The host stays up after all. What was told in between was not taken, so everything is told again."""
        self._call(_MANAGER, _HOST, "ShutdownCancelled", "", (), lambda reply: self.connect_again())

    def take_announcement(self, again: bool, taken: Callable[[int, str, str], None]) -> None:
        """The next announcement of a hooked unit, when there is one: its number, the unit and the state.

        ``again``: also if it was taken before and not told (B232).
        """
        connection = self._connection

        def replied(reply: Any) -> None:
            if connection is self._connection and isinstance(reply, _bindings.MethodReturnMessage) and reply.get_signature() == "uss":
                number, unit, state = reply.get_args_list()
                taken(int(number), str(unit), str(state))
            elif connection is self._connection and isinstance(reply, _bindings.ErrorMessage) and reply.get_error_name() == ASK_AGAIN:
                # The daemon is executed anew.
                self.take_announcement(True, taken)

        self._call(_MANAGER, _HOST, "TakeAnnouncement", "b", (again,), replied, _FOREVER)

    def announcement_told(self, number: int, objects: Sequence[str]) -> None:
        """What it means has been told, as facts of these objects."""
        self._call(_MANAGER, _HOST, "AnnouncementTold", "uas", (number, _texts(objects)), lambda reply: None)

    def close(self) -> None:
        """The bridge ends."""
        connection, self._connection = self._connection, None
        self._end_session()
        if connection is not None:
            connection.flush()
            connection.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    def _got_host(self, properties: Any) -> None:
        greeting = self._greeting
        greeting.kind, greeting.profile = str(properties["kind"]), str(properties["profile"])
        greeting.masked = tuple(map(str, properties["masked"]))

    def _forget_jobs(self) -> None:
        #: what all conditions ask for
        self.wanted = Wanted()
        #: the conditions themselves, by job
        self.texts: Dict[str, JobText] = {}
        #: who emits what
        self.jobs = LoadedJobs()

    def _read_job(self, path: str) -> None:
        self._ask(path, _PROPERTIES, "GetAll", "s", (_JOB,), self._got_job)
        name = unescape(path[len(JOBS) + 1:])
        if name is not None:
            self._ask(path, _EXPLANATION, "GetEmittedEvents", "", (), lambda events: self.jobs.define(name, list(map(str, events))))

    def _got_job(self, properties: Any) -> None:
        start_on, stop_on = (from_postfix([list(map(str, node)) for node in properties[key]]) for key in ("start_on", "stop_on"))
        name = str(properties["name"])
        self.wanted.define(name, start_on, stop_on)
        self.texts[name] = JobText(name, start_on, stop_on)

    def _answered(self) -> None:
        """One answer more is there; with the last of them it goes on."""
        self._missing -= 1
        if self._missing or self._connection is None:
            return
        if self._session is None:
            self._pause = _FIRST_PAUSE
            self._complained = False
            self._session = self._begin(self._greeting)
        else:
            self._session.reconsider()

    # -- what comes ------------------------------------------------------------------------------------------------------

    def _on_message(self, connection: Any, message: Any) -> int:
        if connection is self._connection and isinstance(message, _bindings.SignalMessage):
            member, arguments = message.get_member(), message.get_args_list()
            if message.get_interface() == _bindings.LOCAL_IFACE and member == "Disconnected":
                self._connection = None
                self._log("Disconnected from Upstart")
                self._end_session()
                self._again()
            elif member in ("JobAdded", "JobRemoved"):
                self._changes[str(arguments[0])] = member == "JobAdded"
                if self._quiet is None:
                    self._quiet = self._loop.later(_QUIET, self._follow_changes)
            elif member == "EventEmitted" and self._session is not None:
                self._session.emitted(str(arguments[0]), list(map(str, arguments[1])))
        return int(_bindings.HANDLER_RESULT_NOT_YET_HANDLED)

    def _follow_changes(self) -> None:
        self._quiet = None
        if self._session is None:
            # Not before what was asked for is there.
            self._quiet = self._loop.later(_QUIET, self._follow_changes)
            return
        changes, self._changes = self._changes, {}
        # Counted as an answer, so that one look at the whole follows.
        self._missing += 1
        for path, there in changes.items():
            if there:
                self._read_job(path)
            else:
                name = unescape(path[len(JOBS) + 1:])
                if name is not None:
                    self.wanted.forget(name)
                    self.texts.pop(name, None)
                    self.jobs.forget(name)
        self._answered()

    def _end_session(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        self._changes = {}
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _again(self) -> None:
        if self._lost is not None:
            self._lost()
            return
        self._loop.later(self._pause, self.connect)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    # -- calls -------------------------------------------------------------------------------------------------------------

    def _ask(self, path: str, interface: str, member: str, signature: str, arguments: Tuple[Any, ...], take: Callable[[Any], Any]) -> None:
        """A question that is waited for. An answer that makes no sense, or none, is as if nothing had been said."""
        connection = self._connection
        self._missing += 1

        def replied(reply: Any) -> None:
            if connection is not self._connection:
                return
            if isinstance(reply, _bindings.MethodReturnMessage):
                try:
                    take(*reply.get_args_list())
                except (KeyError, TypeError, ValueError) as error:
                    self._log(f"{member} of {path}: {type(error).__name__}: {error}")
            self._answered()

        self._call(path, interface, member, signature, arguments, replied)

    def _call(self, path: str, interface: str, member: str, signature: str, arguments: Tuple[Any, ...],
              replied: Callable[[Any], None], patience: float = _PATIENCE) -> None:
        if self._connection is None:
            return
        message = _bindings.MethodCallMessage(None, path, interface, member)
        if signature:
            message.append(*arguments, signature=signature)

        def taken(reply: Any) -> None:
            if (isinstance(reply, _bindings.ErrorMessage) and self._connection is not None and interface != _PROPERTIES
                    and reply.get_error_name() != ASK_AGAIN):
                self._log(f"{member}: {' '.join(map(str, reply.get_args_list()))}")
            replied(reply)

        try:
            self._connection.send_message_with_reply(message, taken, patience)
        except _exceptions.DBusException:
            # Broken; that is told by a signal of its own.
            pass


def _texts(values: Sequence[str]) -> List[str]:
    found: List[str] = _bindings.Array(values, signature="s")
    return found

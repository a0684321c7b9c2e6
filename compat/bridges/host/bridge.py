"""One running bridge: the connection to the daemon, and the session that fits the host (B194-B199, B205, B271)."""
from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from functools import partial
from typing import Any, Callable, Optional, Sequence, Tuple

from ...engine.actions import INFO, WARN
from ...host.configuration import PATH, HostConfiguration, read_configuration
from ...host.detection import CONTAINER, NONE, OTHER_INITS, SYSTEMD, container_type
from ...loop import MainLoop
from .aliases import Aliases
from .boot import Settings
from .container_session import ContainerSession
from .daemon_link import DaemonLink, Greeting, Session
from .described_host import aliases_on, described_host
from .event_sources import EventSources, Host
from .explanation import Complaints
from .fact import Fact
from .init_session import InitSession
from .judged_session import JudgedSession
from .mappings import Mappings
from .other_inits import init_of
from .runlevels import boot_level
from .systemd_session import SystemdSession

_NAME = "upstart-host-bridge"
_INITTAB = "/etc/inittab"


class Bridge:
    """``priority``: what is less important is not printed. ``child``: a lost connection is the end. ``replay``: see B205."""

    def __init__(self, priority: int, replay: bool = False, child: bool = False, configuration: str = PATH) -> None:
        self._priority = priority
        self._replay = replay
        self._path = configuration
        self._loop = MainLoop(_on_error)
        self._glib: Any = importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()
        self._configuration = read_configuration(configuration)
        self._stamp = _stamp(configuration)
        self._complaints = Complaints()
        self._link = DaemonLink(self._loop, self._glib, self._begin, self._warn, self._loop.quit if child else None)

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal(number, self._loop.quit)
        self._link.connect()
        self._loop.run()
        self._link.close()
        return 0

    def _begin(self, greeting: Greeting) -> Session:
        if not greeting.kind:
            self._warn("The daemon does not want to know of the host (its option --host)")
            if self._replay:
                self._loop.quit()
            return _NothingToDo()
        profile = greeting.profile
        known = {} if self._replay else greeting.known
        level = _level_chooser(self._configuration, profile)
        mappings = Mappings(self._configuration.mappings)
        container = container_type(os.environ) or ("unknown" if greeting.kind == CONTAINER else "")
        settings = Settings(profile, level, container, greeting.kind == NONE)
        tell, settled = (self._repeat, self._end_when_heard) if self._replay else (self._tell, lambda: None)
        session: Session
        if greeting.kind == SYSTEMD:
            aliases = Aliases((*self._configuration.aliases, *mappings.aliases()))
            of_systemd = SystemdSession(settings, known, self._link, mappings, aliases, tell, self._loop, self._glib, self._log, settled)
            if not self._replay:
                of_systemd.serve_hooks()
            session = of_systemd
        elif greeting.kind in OTHER_INITS:
            aliases = aliases_on(greeting.kind, (*self._configuration.aliases, *mappings.aliases()))
            session = InitSession(settings, known, self._link.wanted, mappings, aliases, init_of(greeting.kind), tell, self._loop,
                                  self._warn, settled)
        else:
            session = ContainerSession(settings, known, self._link.wanted, mappings, tell, self._loop, self._warn, settled)
        host = described_host(greeting.kind, profile, self._configuration)
        return JudgedSession(session, partial(self._judge, host))

    def _judge(self, host: Host) -> None:
        """Classes came or went. Say which operands nobody on this host meets, each once (B199)."""
        if _stamp(self._path) != self._stamp:
            # Classes are made anew by a reload, and that is for host.conf too (B271). What was told is in the table.
            self._stamp = _stamp(self._path)
            self._configuration = read_configuration(self._path)
            self._link.connect_again()
            return
        sources = EventSources(host, self._link.jobs)
        for text in self._link.texts.values():
            for line in self._complaints.about(text, sources):
                self._warn(line)

    def _repeat(self, facts: Sequence[Fact]) -> None:
        """B205: the events alone, for the daemon knows the facts."""
        for fact in facts:
            for each in fact.events:
                self._link.emit(each.name, (*each.env, "HOST_REPLAY=1"))

    def _end_when_heard(self) -> None:
        self._link.when_heard(self._loop.quit)

    def _tell(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._log(INFO, f"{fact.object} {fact.phase}: {' '.join(each.name for each in fact.events)}")
        self._link.tell(facts)

    def _warn(self, text: str) -> None:
        self._log(WARN, text)

    def _log(self, priority: int, text: str) -> None:
        if priority >= self._priority:
            print(f"{_NAME}: {text}", file=sys.stderr, flush=True)


class _NothingToDo:
    """The session with a daemon that is not in host mode; another one may take its place."""

    def reconsider(self) -> None:
        """As daemon_link.Session."""

    def emitted(self, name: str, env: Sequence[str]) -> None:
        """As daemon_link.Session."""

    def close(self) -> None:
        """As daemon_link.Session."""


def _level_chooser(configuration: HostConfiguration, profile: str) -> Callable[[bool], str]:
    try:
        with open(_INITTAB, encoding="utf-8", errors="replace") as file:
            inittab = file.read()
    except OSError:
        inittab = ""
    return lambda graphical: boot_level(configuration.runlevel, inittab, profile, graphical)


def _stamp(path: str) -> Optional[Tuple[int, int, int]]:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _on_error(what: str, error: BaseException) -> None:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    print(f"{_NAME}: internal error in {what}: " + " | ".join("".join(lines).split("\n")), file=sys.stderr, flush=True)

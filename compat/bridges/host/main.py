"""The program ``upstart-host-bridge``: watches the host and tells the daemon (B194-B199, B205, B218).

    upstart-host-bridge                what upstart-host-bridge.service runs
    upstart-host-bridge --explain      where the events come from that jobs wait for
    upstart-host-bridge --shutdown     what upstart-shutdown.service runs when it is stopped

The kind of host and the profile are the daemon's; it says them when the bridge connects.
"""
from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from functools import partial
from typing import Any, Callable, List, Optional, Sequence

from ... import UPSTART_VERSION
from ...engine.actions import WARN
from ...host.configuration import PATH, HostConfiguration, parse_configuration
from ...host.detection import CONTAINER, NONE, SYSTEMD, container_type
from ...loop import MainLoop
from .aliases import Aliases
from .boot import Settings
from .container_session import ContainerSession
from .daemon_link import DaemonLink, Greeting, Session
from .described_host import described_host
from .event_sources import EventSources, Host
from .explain_command import explain_files, explain_loaded
from .explanation import Complaints
from .fact import Fact
from .judged_session import JudgedSession
from .mappings import Mappings
from .runlevels import boot_level
from .shutdown_command import shut_down
from .systemd_session import SystemdSession
from .unit_files import UnitFiles

_NAME = "upstart-host-bridge"
_HELP = f"""\
Usage: {_NAME} [OPTION]...
   or: {_NAME} --explain [FILE]...
Tell the daemon of upstart-compat what happens on this host.

Options:
      --child                 end when the connection to the daemon is lost: it starts another
      --explain               say who emits what the conditions of jobs wait for: of those that are loaded, or of files
      --replay                emit the events of everything that is up once more, with HOST_REPLAY=1, and exit
      --shutdown              take the steps of a shutdown if the host goes down, and wait for them
  -q, --quiet                 show errors only
  -v, --verbose               show what is told
      --help                  show this help and exit
      --version               show the version and exit
"""
_FLAGS = ("--child", "--explain", "--replay", "--shutdown", "--quiet", "-q", "--verbose", "-v")
_INITTAB = "/etc/inittab"


class UsageError(Exception):
    """Wrong use; the text says how."""


class Bridge:
    """One running bridge."""

    def __init__(self, verbose: bool, replay: bool = False, child: bool = False, configuration: str = PATH) -> None:
        self._verbose = verbose
        self._replay = replay
        self._loop = MainLoop(_on_error)
        self._glib: Any = importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()
        self._configuration = _read_configuration(configuration)
        self._complaints = Complaints()
        self._link = DaemonLink(self._loop, self._glib, self._begin, self._log, self._loop.quit if child else None)

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal(number, self._loop.quit)
        self._link.connect()
        self._loop.run()
        self._link.close()
        return 0

    def _begin(self, greeting: Greeting) -> Session:
        profile = greeting.profile
        known = {} if self._replay else greeting.known
        level = _level_chooser(self._configuration, profile)
        mappings = Mappings(self._configuration.mappings)
        container = container_type(os.environ) or ("unknown" if greeting.kind == CONTAINER else "")
        settings = Settings(profile, level, container, greeting.kind == NONE)
        tell, settled = (self._repeat, self._loop.quit) if self._replay else (self._tell, lambda: None)
        session: Session
        if greeting.kind == SYSTEMD:
            aliases = Aliases((*self._configuration.aliases, *mappings.aliases()))
            session = SystemdSession(settings, known, self._link, mappings, aliases, tell, self._loop, self._glib, self._log_from, settled)
        else:
            session = ContainerSession(settings, known, self._link.wanted, mappings, tell, self._loop, self._log, settled)
        host = described_host(greeting.kind, profile, self._configuration, UnitFiles().exists)
        return JudgedSession(session, partial(self._judge, host))

    def _judge(self, host: Host) -> None:
        """Say which operands nobody on this host meets, each once (B199)."""
        sources = EventSources(host, self._link.jobs)
        for text in self._link.texts.values():
            for line in self._complaints.about(text, sources):
                self._log(line)

    def _repeat(self, facts: Sequence[Fact]) -> None:
        """B205: the events alone, for the daemon knows the facts."""
        for fact in facts:
            for each in fact.events:
                self._link.emit(each.name, (*each.env, "HOST_REPLAY=1"))

    def _log_from(self, priority: int, text: str) -> None:
        if self._verbose or priority >= WARN:
            self._log(text)

    def _tell(self, facts: Sequence[Fact]) -> None:
        if self._verbose:
            for fact in facts:
                self._log(f"{fact.object} {fact.phase}: {' '.join(each.name for each in fact.events)}")
        self._link.tell(facts)

    def _log(self, text: str) -> None:
        print(f"{_NAME}: {text}", file=sys.stderr, flush=True)


def _level_chooser(configuration: HostConfiguration, profile: str) -> Callable[[bool], str]:
    try:
        with open(_INITTAB, encoding="utf-8", errors="replace") as file:
            inittab = file.read()
    except OSError:
        inittab = ""
    return lambda graphical: boot_level(configuration.runlevel, inittab, profile, graphical)


def _read_configuration(path: str) -> HostConfiguration:
    """The daemon warns of what makes no sense in it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse_configuration(file.read(), path)[0]
    except OSError:
        return HostConfiguration(path)


def _on_error(what: str, error: BaseException) -> None:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    print(f"{_NAME}: internal error in {what}: " + " | ".join("".join(lines).split("\n")), file=sys.stderr, flush=True)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command ``upstart-host-bridge``; its exit status."""
    flags: List[str] = []
    for word in sys.argv[1:] if arguments is None else arguments:
        if word in ("--help", "--version"):
            print(_HELP if word == "--help" else f"{_NAME} (upstart {UPSTART_VERSION})", end="" if word == "--help" else "\n")
            return 0
        if word.startswith("-") and word not in _FLAGS:
            print(f"{_NAME}: invalid option: {word}\nTry `{_NAME} --help' for more information.", file=sys.stderr)
            return 1
        flags.append(word)
    files = [word for word in flags if not word.startswith("-")]
    if "--explain" in flags and files:
        return explain_files(files, _read_configuration(PATH))
    if os.getuid():
        print(f"{_NAME}: Need to be root", file=sys.stderr)
        return 1
    if "--explain" in flags:
        return explain_loaded(_read_configuration(PATH))
    if "--shutdown" in flags:
        return shut_down()
    return Bridge("--verbose" in flags or "-v" in flags, "--replay" in flags, "--child" in flags).run()


if __name__ == "__main__":
    sys.exit(main())

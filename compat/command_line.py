"""The daemon's command line (D1-D41).

Unknown options without ``=`` and stray words are ignored, because kernel command lines reach an
init (D4).
"""
from __future__ import annotations

import re
from typing import List, Optional, Sequence, Set

from . import UPSTART_VERSION
from .engine.actions import DEBUG, ERROR, INFO, MESSAGE

_CONSOLES = ("none", "output", "owner", "log")
_HOSTS = ("auto", "systemd", "openrc", "runit", "s6", "sysvinit", "container", "none")
_PROFILES = ("ubuntu", "rhel", "chromeos", "minimal")
_ANSWERS = ("yes", "no")
_BACKENDS = ("auto", "native", "systemd")

_HELP = """\
Usage: upstart-compat [OPTION]...
Run Upstart job files: the event and state engine, and what executes the jobs.

Options:
      --confdir=DIR           directory of job files, instead of the default ones (may be repeated)
      --prepend-confdir=DIR   directory of job files with priority over all others
      --append-confdir=DIR    directory of job files that all others have priority over
      --statedir=DIR          directory of what lets running jobs outlive the daemon
      --default-console=VALUE console of jobs that do not say: none, output, owner or log
      --backend=VALUE         who runs the jobs' processes: native, systemd, or auto, the default
      --expose-units=yes|no   with systemd: show each job as a unit, for systemctl (yes)
      --logdir=DIR            directory of the jobs' output
      --no-log                do not keep the output of jobs
      --no-startup-event      do not emit an event at start
      --startup-event=NAME    emit this event at start instead of startup
      --no-dbus               do not connect to a message bus
      --no-inherit-env        jobs of a session get PATH and TERM only
      --session               use the D-Bus session bus and no private socket (for tests)
      --user                  run as the init of a user's session
      --host=KIND             emit the events of the host: auto, systemd, openrc, runit,
                          s6, sysvinit, container or none
      --profile=NAME          system that the jobs come from: ubuntu, rhel, chromeos or minimal
      --exit-with=JOB         with --host: end when this job has ended, with its exit status
      --restart               go on for the daemon that executed this one: no start-up event
      --state-fd=FD           with --restart: where that one's state is to be read
      --write-state-file      write what was read to upstart.state in the directory of the jobs' output
  -q, --quiet                 show errors only
  -v, --verbose               show what happens
      --debug                 show everything, and honour the debug stanza
      --help                  show this help and exit
      --version               show the version and exit
"""

_VERSION = f"""\
init (upstart {UPSTART_VERSION})
upstart-compat: runs Upstart job files on hosts whose init is not Upstart.
This is free software under the Apache License 2.0; there is NO WARRANTY.
"""

_FLAGS = {"--no-log", "--chroot-sessions", "--no-startup-event", "--no-dbus", "--no-inherit-env", "--session", "--user",
          "--no-cgroups", "--quiet", "--verbose", "--debug", "--help", "--version", "--restart", "--write-state-file"}
_WITH_VALUE = {"--confdir", "--prepend-confdir", "--append-confdir", "--default-console", "--logdir", "--startup-event",
               "--statedir", "--backend", "--host", "--profile", "--exit-with", "--expose-units", "--state-fd"}

_DECIMAL = re.compile("-?[0-9]{1,9}")


class UsageError(Exception):
    """Wrong use: ``text`` for standard error; exit status 1 (D2, D3)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Information(Exception):
    """--help or --version: ``text`` for standard output; exit status 0 (D6)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Options:
    """What the command line says; the defaults of D8-D28."""

    def __init__(self) -> None:
        self.confdirs: List[str] = []
        self.prepend_confdirs: List[str] = []
        self.append_confdirs: List[str] = []
        self.default_console = "log"
        self.backend = "auto"
        self.expose_units = True
        self.logdir: Optional[str] = None
        self.statedir: Optional[str] = None
        self.startup_event: Optional[str] = "startup"
        #: kind of host, "auto" included; None outside of host mode (B194)
        self.host: Optional[str] = None
        self.profile: Optional[str] = None
        self.exit_with: Optional[str] = None
        self.log_priority = MESSAGE
        #: where the state is to be read from, -1 for nowhere (D24)
        self.state_fd = -1
        self.flags: Set[str] = set()

    def has(self, flag: str) -> bool:
        """Whether a flag such as ``--user`` was given."""
        return flag in self.flags


def parse(arguments: Sequence[str]) -> Options:
    """Options from the arguments after the program's name. Raises UsageError or Information."""
    options = Options()
    startup_event = "startup"
    consumed: Set[int] = set()
    for position, word in enumerate(arguments):
        if position in consumed:
            continue
        if word == "--":
            break
        if not word.startswith("--"):
            for letter in word[1:] if word.startswith("-") else "":
                if letter in "qv":
                    options.log_priority = ERROR if letter == "q" else INFO
            continue
        name, equals, value = word.partition("=")
        if name not in _WITH_VALUE:
            if equals:
                raise _hinted(f"init: unexpected argument: {word}")
            if name in _FLAGS:
                _flag(options, name)
            continue
        if not equals:
            value = _next_word(arguments, position, consumed, name)
        if name == "--confdir":
            options.confdirs.append(value)
        elif name == "--prepend-confdir":
            options.prepend_confdirs.append(value)
        elif name == "--append-confdir":
            options.append_confdirs.append(value)
        elif name == "--logdir":
            options.logdir = value
        elif name == "--statedir":
            options.statedir = value
        elif name == "--startup-event":
            startup_event = value
        elif name == "--state-fd":
            if not _DECIMAL.fullmatch(value):
                raise _hinted(f"init: illegal argument: {value}")
            options.state_fd = int(value)
        elif name == "--backend":
            options.backend = _one_of(_BACKENDS, value, "backend")
        elif name == "--host":
            options.host = _one_of(_HOSTS, value, "kind of host")
        elif name == "--profile":
            options.profile = _one_of(_PROFILES, value, "profile")
        elif name == "--exit-with":
            options.exit_with = value
        elif name == "--expose-units":
            options.expose_units = _one_of(_ANSWERS, value, "value of --expose-units") == "yes"
        else:
            options.default_console = _one_of(_CONSOLES, value, "console type")
    options.startup_event = None if options.has("--no-startup-event") else startup_event
    return options


def _one_of(values: Sequence[str], value: str, what: str) -> str:
    if value not in values:
        raise UsageError(f"init: invalid {what} specified: {value}\n")
    return value


def _flag(options: Options, name: str) -> None:
    if name == "--help":
        raise Information(_HELP)
    if name == "--version":
        raise Information(_VERSION)
    priority = {"--quiet": ERROR, "--verbose": INFO, "--debug": DEBUG}.get(name)
    if priority is not None:
        options.log_priority = priority
    options.flags.add(name)


def _next_word(arguments: Sequence[str], position: int, consumed: Set[int], name: str) -> str:
    """The next word that is no option and that no option has taken yet (D1)."""
    for later in range(position + 1, len(arguments)):
        if arguments[later] == "--":
            break
        if later not in consumed and not arguments[later].startswith("-"):
            consumed.add(later)
            return arguments[later]
    raise _hinted(f"init: missing argument: {name}")


def _hinted(first_line: str) -> UsageError:
    return UsageError(first_line + "\nTry `init --help' for more information.\n")


"""The command line: which command, which options, which arguments (C93-C98).

A hand-written parser, because argparse takes as long to load as everything else together, and
because the rules are Upstart's own: options and arguments mix, a value may stand behind other
options, and a long name is never abbreviated.
"""
from __future__ import annotations

from .output import UsageError, write

#: Every command: the module and the function that carry it out.
COMMANDS = {
    "start": ("job_commands", "start"),
    "stop": ("job_commands", "stop"),
    "restart": ("job_commands", "restart"),
    "reload": ("job_commands", "reload"),
    "status": ("job_commands", "status"),
    "list": ("list_command", "list_instances"),
    "emit": ("daemon_commands", "emit"),
    "get-env": ("environment_commands", "get_env"),
    "list-env": ("environment_commands", "list_env"),
    "reset-env": ("environment_commands", "reset_env"),
    "set-env": ("environment_commands", "set_env"),
    "unset-env": ("environment_commands", "unset_env"),
    "reload-configuration": ("daemon_commands", "reload_configuration"),
    "version": ("daemon_commands", "version"),
    "log-priority": ("daemon_commands", "log_priority"),
    "show-config": ("show_config", "show_config"),
    "check-config": ("check_config", "check_config"),
    "usage": ("job_commands", "usage"),
    "explain": ("explain", "explain"),
    "show-backend": ("show_backend", "show_backend"),
    "notify-cgroup-manager-address": ("daemon_commands", "notify_cgroup_manager_address"),
    "notify-dbus-address": ("daemon_commands", "notify_dbus_address"),
    "notify-disk-writeable": ("daemon_commands", "notify_disk_writeable"),
    "list-sessions": ("sessions", "list_sessions"),
    "help": ("help", "list_commands"),
}

#: Options by long name; the letter, if there is one. Everywhere, also before the command (C94).
GLOBAL_OPTIONS = {"session": "", "system": "", "dest": "", "user": "", "quiet": "q", "verbose": "v", "debug": "",
                  "help": "", "version": ""}
_NO_WAIT = {"no-wait": "n"}
_GLOBAL = {"global": "g"}
#: Options of single commands (C95).
COMMAND_OPTIONS = {
    "start": _NO_WAIT,
    "stop": _NO_WAIT,
    "restart": _NO_WAIT,
    "emit": _NO_WAIT,
    "show-config": {"enumerate": "e"},
    "check-config": {"ignore-events": "i", "warn": "w"},
    "get-env": _GLOBAL,
    "list-env": _GLOBAL,
    "reset-env": _GLOBAL,
    "set-env": {"global": "g", "retain": "r"},
    "unset-env": _GLOBAL,
}
#: Options that take a value, and what help calls it.
VALUES = {"dest": "NAME", "ignore-events": "EVENT_LIST"}

QUIET, NORMAL, VERBOSE, DEBUG = range(4)
_LOUDNESS = {"quiet": QUIET, "verbose": VERBOSE, "debug": DEBUG}


class Invocation:
    """One call of the program, read.

    ``information`` is ``help`` or ``version`` when that was asked for; nothing to its right was
    looked at then. ``linked`` says that the command is the program's name. ``bus`` is ``system``,
    ``session`` or empty.
    """

    def __init__(self, program: str, command: str = "") -> None:
        self.program = program
        self.command = command
        self.linked = bool(command)
        self.arguments: list[str] = []
        self.information = ""
        self.bus = ""
        self.destination: str | None = None
        self.loudness = NORMAL
        self.ignored_events: set[str] = set()
        self._flags: set[str] = set()

    def has(self, flag: str) -> bool:
        """Whether an option without a value was given, by its long name."""
        return flag in self._flags

    def say(self, text: str) -> None:
        """Print a result, unless --quiet (C106). Raises OSError."""
        if self.loudness != QUIET:
            write(1, text + "\n")

    def inform(self, text: str) -> None:
        """Print what only --verbose and --debug ask for. Raises OSError."""
        if self.loudness in (VERBOSE, DEBUG):
            write(1, text + "\n")

    def take(self, option: str, value: str = "") -> None:
        """Note an option that was met."""
        if option == "dest":
            self.destination = value
        elif option == "ignore-events":
            self.ignored_events.update(filter(None, value.split(",")))
        elif option in _LOUDNESS:
            self.loudness = _LOUDNESS[option]
        elif option in ("system", "session"):
            self.bus = option
        elif option in ("help", "version"):
            self.information = option
        else:
            self._flags.add(option)


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-"


def _next_argument(words: list[str], option: str) -> str:
    """Take the value of an option out of the words that follow it: the first that is no option (C96)."""
    ended = False
    for position, word in enumerate(words):
        if word == "--" and not ended:
            ended = True
        elif ended or not _is_option(word):
            return words.pop(position)
    raise UsageError(f"missing argument: {option}")


def _long(invocation: Invocation, known: dict[str, str], word: str, words: list[str]) -> None:
    name, equals, value = word[2:].partition("=")
    if name not in known:
        raise UsageError(f"invalid option: {word}")
    if name in VALUES:
        invocation.take(name, value if equals else _next_argument(words, word))
    elif equals:
        raise UsageError(f"unexpected argument: {word}")
    else:
        invocation.take(name)


def _group(invocation: Invocation, known: dict[str, str], word: str, words: list[str]) -> None:
    for position, letter in enumerate(word[1:]):
        name = next((name for name, short in known.items() if short == letter), None)
        if name is None:
            raise UsageError(f"invalid option: -{letter}")
        if name not in VALUES:
            invocation.take(name)
        elif position == 0 and len(word) > 2:
            invocation.take(name, word[2:])
            return
        else:
            invocation.take(name, _next_argument(words, f"-{letter}"))


def parse(program: str, arguments: list[str]) -> Invocation:
    """The command line of a program of this name, ``arguments`` without the name itself.

    Raises UsageError. Missing arguments of a command are for the command to notice; a missing
    command is noticed here.
    """
    invocation = Invocation(program, program if program in COMMANDS else "")
    words = list(arguments)
    known = {**GLOBAL_OPTIONS, **COMMAND_OPTIONS.get(invocation.command, {})}
    ended = False
    while words:
        word = words.pop(0)
        if ended or not _is_option(word):
            if invocation.command:
                invocation.arguments.append(word)
                continue
            if word not in COMMANDS:
                raise UsageError(f"invalid command: {word}")
            invocation.command = word
            known.update(COMMAND_OPTIONS.get(word, {}))
        elif word == "--":
            ended = True
        elif word[1] == "-":
            _long(invocation, known, word, words)
        else:
            _group(invocation, known, word, words)
        if invocation.information:
            return invocation
    if not invocation.command:
        raise UsageError("missing command")
    return invocation

"""The commands ``telinit`` and ``runlevel`` (C139-C143), where another program is the host's init (§4.19).

``telinit 2`` to ``5`` is an event for the jobs of this daemon. What would change the host's own state is refused, but
in a container, whose init the daemon is.
"""
from __future__ import annotations

import os
import time

from ..utmp_record import RECORD, RUNLEVEL, UTMP
from .connection import MANAGER, UPSTART, Connection, Refusal, connect_system
from .output import Failure, UsageError, environment, write

_HOST = "org.upstartcompat.Host1"
_RECONNECT_SECONDS = 0.1
_LEVELS = "0123456Ss"
_COMMANDS = "qQuU"
#: What changes the host, and what to call instead.
_OF_THE_HOST = {"0": "systemctl poweroff", "6": "systemctl reboot", "1": "systemctl rescue", "S": "systemctl rescue"}
_HELP = """\
Usage: telinit [OPTION]... RUNLEVEL
Tell the daemon's jobs of another runlevel.

RUNLEVEL is 2, 3, 4 or 5; in a container 0, 1, 6 and S too. q reads the configuration again, u restarts the daemon.

Options:
  -e KEY=VALUE                one more variable of the event
  -t SECONDS                  accepted and ignored
      --help                  show this help and exit
"""


_CUT = ("org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Disconnected")


def telinit(arguments: list[str]) -> int:
    """The command ``telinit``; its exit status. Raises UsageError, Failure, OSError."""
    if "--help" in arguments:
        write(1, _HELP)
        return 0
    level, extra = _parse(arguments)
    if os.getuid():
        raise Failure("Need to be root")
    daemon = connect_system()
    if level in ("q", "Q"):
        daemon.call(MANAGER, UPSTART, "ReloadConfiguration")
    elif level in ("u", "U"):
        _restart(daemon)
    else:
        _change(daemon, level, extra)
    return 0


def _restart(daemon: Connection) -> None:
    """D175: until the new run of the daemon answers. Raises Refusal where it does not restart."""
    try:
        daemon.call(MANAGER, UPSTART, "Restart", forever=True)
    except Refusal as refusal:
        # When the connection is cut, which is the answer, libdbus makes one up.
        if refusal.name not in _CUT:
            raise
    while True:
        try:
            connect_system().begin_get(MANAGER, UPSTART, "version").text()
            return
        except Failure:
            time.sleep(_RECONNECT_SECONDS)


def _change(daemon: Connection, level: str, extra: list[str]) -> None:
    kind, known = _host(daemon)
    if level in _OF_THE_HOST and kind != "container":
        raise Failure(f"not supported: runlevel {level} is the host's own, see {_OF_THE_HOST[level]}")
    if level in "06":
        daemon.call(MANAGER, _HOST, "ShutDown", "sasb", level, extra, False, forever=True)
        return
    previous = (environment("RUNLEVEL") or "")[:1] if "RUNLEVEL" in os.environ else known or _stored()[1]
    daemon.call(MANAGER, UPSTART, "EmitEvent", "sasb", "runlevel", [f"RUNLEVEL={level}", f"PREVLEVEL={previous or 'N'}", *extra], False)


def _host(daemon: Connection) -> tuple[str, str]:
    """The kind of host, and the level that the daemon knows; nothing where it is not in host mode."""
    try:
        kind = daemon.begin_get(MANAGER, _HOST, "kind").text()
        facts = daemon.begin(MANAGER, _HOST, "GetFacts", reply="a(ss)").result()
    except Refusal:
        return "", ""
    return kind, {str(object): str(phase) for object, phase in facts}.get("runlevel", "")


def runlevel(arguments: list[str]) -> int:
    """The command ``runlevel``; its exit status. Raises Failure, OSError."""
    if "RUNLEVEL" in os.environ:
        previous, level = (environment("PREVLEVEL") or "")[:1], (environment("RUNLEVEL") or "")[:1]
    else:
        path = arguments[0] if arguments else UTMP
        try:
            previous, level = _stored(path)
        except OSError as error:
            raise Failure(f"{path}: {error.strerror}") from None
    if not level or level == "N":
        write(1, "unknown\n")
        return 1
    write(1, f"{previous or 'N'} {level}\n")
    return 0


def _stored(path: str | None = None) -> tuple[str, str]:
    """Previous and current level by the newest record; empty where there is none. Raises OSError for a path that was given."""
    try:
        with open(path or UTMP, "rb") as file:
            content = file.read()
    except OSError:
        if path is not None:
            raise
        return "", ""
    for offset in range(len(content) // RECORD.size * RECORD.size - RECORD.size, -1, -RECORD.size):
        kind, pid = RECORD.unpack_from(content, offset)[:2]
        if kind == RUNLEVEL:
            return _letter(pid >> 8), _letter(pid)
    return "", ""


def _letter(code: int) -> str:
    return chr(code & 0xFF) if 0x20 < code & 0xFF < 0x7F else ""


def _parse(arguments: list[str]) -> tuple[str, list[str]]:
    extra: list[str] = []
    levels: list[str] = []
    words = iter(arguments)
    for word in words:
        if word[:2] in ("-e", "-t"):
            value = word[2:] or next(words, None)
            if value is None:
                raise UsageError(f"missing argument: {word}")
            if word[1] == "e":
                extra.append(value)
        elif word.startswith("-"):
            raise UsageError(f"invalid option: {word}")
        else:
            levels.append(word)
    if not levels:
        raise UsageError("missing runlevel")
    level = levels[0]
    if len(level) != 1 or level not in _LEVELS + _COMMANDS:
        raise UsageError(f"illegal runlevel: {level}")
    for entry in extra:
        if not entry.partition("=")[1]:
            raise UsageError(f"not KEY=VALUE: {entry}")
    return ("S" if level == "s" else level), extra

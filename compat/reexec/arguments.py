"""The command line of the next run of the program (D178-D180)."""
from __future__ import annotations

import os
from typing import List, Sequence

from ..engine.actions import DEBUG, INFO

_LEVELS = ("--debug", "--verbose", "--error")
_STATE = "--state-fd"


def program(name: str, command_line: Sequence[str], arguments: int) -> List[str]:
    """What to execute: the script itself, or where there is none the words before the last ``arguments`` ones.

    ``name`` is sys.argv[0], ``command_line`` that of the process, interpreter included. A script is executed
    by its name, so that an upgrade may also change what interprets it.
    """
    if os.path.isfile(name) and os.access(name, os.X_OK):
        return [os.path.abspath(name)]
    return list(command_line[:len(command_line) - arguments])


def own_program(name: str, arguments: int) -> List[str]:
    """``program`` of this process."""
    with open("/proc/self/cmdline", "rb") as file:
        words = [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    if words and "/" in words[0]:
        words[0] = os.path.abspath(words[0])
    return program(name, words, arguments)


def edited(arguments: Sequence[str], priority: int, state_fd: int) -> List[str]:
    """The arguments of the next run. What was added the last time is replaced (D179)."""
    kept: List[str] = []
    rest: List[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            # Nothing behind it would be taken for an option.
            rest = [word, *words]
        elif word == _STATE:
            next(words, None)
        elif word not in _LEVELS and not word.startswith(_STATE + "="):
            kept.append(word)
    kept += [_STATE, str(state_fd)]
    if priority == DEBUG:
        kept.append("--debug")
    elif priority == INFO:
        kept.append("--verbose")
    if "--restart" not in kept:
        kept.append("--restart")
    return kept + rest


def asking(arguments: Sequence[str]) -> List[str]:
    """Arguments with which the program reads all of them and then only says its version (D6)."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [*arguments[:end], "--version", *arguments[end:]]

"""Which events a job file says that it emits: by ``emits`` and by the commands in it (B276).

Daemon and host bridge judge with this whether an event has anybody to emit it. A command that makes the
name of the event at run time is not understood; such a file needs an ``emits``.
"""
from __future__ import annotations

from typing import Iterator, Tuple

from .definition import JobDefinition

#: What ends one command of a shell and begins another.
_SEPARATORS = str.maketrans(dict.fromkeys("();&|`", "\n"))
_QUOTES = "\"'"


def emitted_events(definition: JobDefinition) -> Tuple[str, ...]:
    """Names and patterns of ``emits``, then what ``initctl emit`` names, in the order of the file, each once."""
    names = list(definition.emits)
    for process in definition.processes:
        if process is not None:
            names += _emit_commands(process.command)
    return tuple(dict.fromkeys(names))


def _emit_commands(text: str) -> Iterator[str]:
    for command in text.replace("\\\n", " ").translate(_SEPARATORS).split("\n"):
        words = command.split()
        for position, word in enumerate(words):
            if word.rpartition("/")[2] != "initctl":
                continue
            arguments = [each for each in words[position + 1:] if not each.startswith("-")]
            if len(arguments) > 1 and arguments[0] == "emit":
                name = arguments[1].strip(_QUOTES)
                if name and "$" not in name:
                    yield name

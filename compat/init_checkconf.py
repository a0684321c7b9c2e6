"""init-checkconf: says whether job files are right, without a daemon (B163-B167, B278).

The parser and the shell judge the file; with ``--host`` it is said, too, what its conditions wait for in vain on a host of
that kind. An override beside its job's file is checked on top of it.
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from .backends.command import SHELL, command_of
from .host.detection import KINDS
from .parser import JobDefinition, ParseError, parse_job
from .parser.definition import MAIN, POST_START, POST_STOP, PRE_START, PRE_STOP, PROCESS_NAMES

_NAME = "init-checkconf"
_JOB, _OVERRIDE = ".conf", ".override"
#: In the order of B166.
_SECTIONS = (PRE_START, POST_START, MAIN, PRE_STOP, POST_STOP)
_HELP = f"""\
Usage: {_NAME} [OPTION]... FILE...
   or: {_NAME} [OPTION]... -f FILE
Say whether job files are right.

Options:
  -f, --file=FILE             a file to check
  -s, --noscript              leave scripts and commands to the shell that will run them
      --host=KIND             say also what conditions wait for in vain on a host of this kind: {', '.join(KINDS)}
  -d, --debug                 accepted and ignored
  -i, --initctl-path=PATH     accepted and ignored
  -x, --upstart-path=PATH     accepted and ignored
  -h, --help                  show this help and exit
"""
#: Long options; True: with a value.
_LONG = {"file": True, "noscript": False, "host": True, "debug": False, "initctl-path": True, "upstart-path": True, "help": False}
_SHORT = {"f": "file", "s": "noscript", "d": "debug", "i": "initctl-path", "x": "upstart-path", "h": "help"}
#: What dash and bash say of an error: their own name, the line, the message.
_SHELL_MESSAGE = re.compile(r"^[^:\n]*: (?:line )?(\d+): ", re.MULTILINE)


class _Bad(Exception):
    """A file that is not right; the text says why (B165)."""


class _Request(NamedTuple):
    files: List[str]
    scripts: bool = True
    host: Optional[str] = None
    help: bool = False


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command ``init-checkconf``; its exit status."""
    request = _read(list(sys.argv[1:] if arguments is None else arguments))
    if request.help:
        print(_HELP, end="")
        return 0
    if request.host is not None and request.host not in KINDS:
        return _error(f"Unknown kind of host: {request.host}")
    if not request.files:
        return _error("Must specify configuration file")
    definitions: Dict[str, JobDefinition] = {}
    status = 0
    for path in request.files:
        try:
            definition = _check(path, request.scripts)
        except _Bad as bad:
            status = _error(str(bad))
        else:
            print(f"File {_printable(path)}: syntax ok")
            definitions[_job_of(path)] = definition
    if request.host is not None:
        _judge(definitions, request.host)
    return status


def _error(text: str) -> int:
    sys.stdout.flush()
    print(f"ERROR: {_printable(text)}", file=sys.stderr)
    return 1


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# -- the command line --------------------------------------------------------------------------------------------------


def _read(words: List[str]) -> _Request:
    """As getopt_long_only does it: long options may be cut short and have one dash; what is unknown is said, and passed over (B163)."""
    files: List[str] = []
    given: Dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "--":
            files += words
            break
        if not word.startswith("-") or word == "-":
            files.append(word)
            continue
        for name, value in _options(word, words):
            if name == "file":
                files.append(value)
            else:
                given[name] = value
    return _Request(files, "noscript" not in given, given.get("host"), "help" in given)


def _options(word: str, rest: List[str]) -> List[Tuple[str, str]]:
    text, equals, value = word.lstrip("-").partition("=")
    name = _SHORT.get(text) if not word.startswith("--") else None
    matching = [name] if name else [each for each in _LONG if each == text] or [each for each in _LONG if text and each.startswith(text)]
    if len(matching) == 1:
        if not _LONG[matching[0]]:
            return [(matching[0], "")]
        if equals or rest:
            return [(matching[0], value if equals else rest.pop(0))]
        print(f"{_NAME}: option '{word}' requires an argument", file=sys.stderr)
        return []
    if not word.startswith("--") and word[1:2] in _SHORT and not equals:
        # Short ones together, or one with its value.
        first = _SHORT[word[1]]
        return [(first, word[2:])] if _LONG[first] else [(first, ""), *_options("-" + word[2:], rest)]
    print(f"{_NAME}: unrecognized option '{word}'", file=sys.stderr)
    return []


# -- one file ------------------------------------------------------------------------------------------------------------


def _check(path: str, scripts: bool) -> JobDefinition:
    """The definition in a file. Raises _Bad."""
    if not os.path.isfile(path):
        raise _Bad(f"File {path} does not exist")
    if not path.endswith((_JOB, _OVERRIDE)):
        raise _Bad(f"File must end in {_JOB}")
    base: Optional[JobDefinition] = None
    job_file = path[:-len(_OVERRIDE)] + _JOB
    if path.endswith(_OVERRIDE) and os.path.isfile(job_file):
        base = _parse(job_file, _content(job_file), None)
    data = _content(path)
    definition = _parse(path, data, base)
    if scripts:
        _check_scripts(path, data, definition, base)
    return definition


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _Bad(f"File {path}: {error.strerror}") from None


def _parse(path: str, data: bytes, base: Optional[JobDefinition]) -> JobDefinition:
    try:
        return parse_job(data, base)
    except ParseError as error:
        raise _Bad(f"File {path}: syntax invalid:\ninit:{error.describe(os.path.basename(path))}") from None


def _check_scripts(path: str, data: bytes, definition: JobDefinition, base: Optional[JobDefinition]) -> None:
    for section in _SECTIONS:
        process = definition.processes[section]
        if process is None or (base is not None and process == base.processes[section]):
            continue
        command = command_of(process)
        if command.argv[0] != SHELL:
            continue
        text = process.command.encode("utf-8", "surrogateescape")
        first = _line_of(data, text) if process.script else 0
        said = _shell(b"\n" * first + text)
        if said:
            where = f"{os.path.basename(path)}:\\1: " if first else f"{os.path.basename(path)}: "
            name = "script" if section == MAIN else PROCESS_NAMES[section]
            raise _Bad(f"File {path}: shell syntax invalid in {name} section:\n{_SHELL_MESSAGE.sub(where, said).rstrip()}")


def _line_of(data: bytes, script: bytes) -> int:
    """How many lines of the file are before a script, so that the shell counts as the file does; 0 if that cannot be told."""
    place = data.find(script) if script.strip() else -1
    return data.count(b"\n", 0, place) if place > 0 else 0


def _shell(script: bytes) -> str:
    """What the shell has to say against a script; "" for nothing."""
    done = subprocess.run([SHELL, b"-n"], input=script, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    return done.stderr.decode("utf-8", "surrogateescape") if done.returncode else ""


# -- conditions ------------------------------------------------------------------------------------------------------------


def _job_of(path: str) -> str:
    name = os.path.basename(path)
    return name[:-len(_JOB)] if name.endswith(_JOB) else name[:-len(_OVERRIDE)]


def _judge(definitions: Dict[str, JobDefinition], kind: str) -> None:
    """Say what nobody emits on a host of a kind, the files judged with each other (B278). It is no error: other files may."""
    from .bridges.host.described_host import described_host
    from .bridges.host.event_sources import EventSources
    from .bridges.host.explanation import Complaints, JobText
    from .bridges.host.loaded_jobs import LoadedJobs
    from .host.configuration import PATH, read_configuration
    from .host.profile import detect_profile
    from .parser.emitted_events import emitted_events
    configuration = read_configuration(PATH)
    jobs = LoadedJobs()
    for name, definition in definitions.items():
        jobs.define(name, emitted_events(definition))
    profile = configuration.profile or detect_profile(frozenset(definitions))
    sources, complaints = EventSources(described_host(kind, profile, configuration), jobs), Complaints()
    for name, definition in definitions.items():
        for line in complaints.about(JobText(name, definition.start_on, definition.stop_on), sources):
            print(f"WARNING: {_printable(line)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

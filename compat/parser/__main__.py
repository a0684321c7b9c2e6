"""Check job files: ``python -m compat.parser [--json] FILE… | -``

Prints the error of each file that a daemon would refuse, in the daemon's words, and exits with 1 if there is any.
With ``-`` the paths come from standard input, one a line. Each file is read by itself, an override too.

With ``--json``, prints one object a line instead: what the file says, defaults filled in, or its error. Strings
stand for bytes there: a byte that is not ASCII is printed as a lone surrogate, 0xC3 as ``\\udcc3``. An error is an
answer then, so the exit status is 1 only if a file could not be read.
"""
from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Dict, Iterator, List, Optional

from . import JobDefinition, ParseError, parse_job
from .definition import PROCESS_NAMES, Condition
from .notation import to_postfix

_STRINGS = ("instance", "description", "author", "version", "usage", "chroot", "chdir", "setuid", "setgid", "apparmor_switch")
_LISTS = ("env", "export", "emits")
_SAME = (
    "expect", "task", "respawn", "debug", "respawn_limit", "respawn_interval", "kill_timeout", "kill_signal", "reload_signal",
    "oom_score_adj", "nice",
)  # fmt: skip


def _bytes(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")


def _tree(condition: Optional[Condition]) -> Optional[List[Any]]:
    """Nested lists, as ``["and", LEFT, RIGHT]`` and ``["match", EVENT, [ARG, …]]``."""
    stack: List[List[Any]] = []
    for node in to_postfix(condition):
        if node in (["/AND"], ["/OR"]):
            right = stack.pop()
            stack.append([node[0][1:].lower(), stack.pop(), right])
        else:
            stack.append(["match", _bytes(node[0]), [_bytes(arg) for arg in node[1:]]])
    return stack[0] if stack else None


def as_json(job: JobDefinition) -> Dict[str, Any]:
    """The definition in the form of the corpus of job files."""
    out: Dict[str, Any] = {}
    for name in _STRINGS:
        text = getattr(job, name)
        out[name] = None if text is None else _bytes(text)
    for name in _LISTS:
        out[name] = [_bytes(text) for text in getattr(job, name)]
    for name in _SAME:
        out[name] = getattr(job, name)
    out["start_on"] = _tree(job.start_on)
    out["stop_on"] = _tree(job.stop_on)
    out["process"] = {
        name: {"script": process.script, "command": _bytes(process.command)}
        for name, process in zip(PROCESS_NAMES, job.processes)
        if process is not None
    }
    out["console"] = job.console or "log"
    out["normalexit"] = list(job.normal_exit)
    out["umask"] = "%04o" % (0o22 if job.umask is None else job.umask)
    out["limits"] = {limit.resource: [limit.soft, limit.hard] for limit in job.limits}
    return out


def _paths(arguments: List[str]) -> Iterator[str]:
    for argument in arguments:
        if argument == "-":
            for line in sys.stdin.buffer:
                yield line.rstrip(b"\n").decode("utf-8", "surrogateescape")
        else:
            yield argument


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m compat.parser", description="Check Upstart job files.")
    parser.add_argument("--json", action="store_true", help="print what each file says, one JSON object a line")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a job file, or - to read paths from standard input")
    options = parser.parse_args(arguments)
    unreadable = refused = 0
    for path in _paths(options.files):
        record: Dict[str, Any] = {"file": _bytes(path)}
        try:
            with open(path.encode("utf-8", "surrogateescape"), "rb") as file:
                data = file.read()
            record.update(as_json(parse_job(data)))
        except ParseError as error:
            record.update(error=error.message, line=error.line)
            message = error.describe(path)
        except OSError as error:
            record.update(error=error.strerror or str(error), line=None)
            message = f"{path}: Error while loading configuration file: {error.strerror or error}"
            unreadable = 1
        if options.json:
            print(json.dumps(record))
        elif "error" in record:
            refused = 1
            sys.stderr.buffer.write(message.encode("utf-8", "surrogateescape") + b"\n")
            sys.stderr.buffer.flush()
    return unreadable or refused


if __name__ == "__main__":
    sys.exit(main())

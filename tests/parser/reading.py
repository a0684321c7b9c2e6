"""Short ways to say what a job file means. Text is given as ``str``; each character stands for one byte."""
from __future__ import annotations

from typing import List, Optional

import pytest

from compat.parser import JobDefinition, ParseError, parse_job
from compat.parser.definition import MAIN
from compat.parser.notation import to_postfix


def job(text: str, base: Optional[JobDefinition] = None) -> JobDefinition:
    return parse_job(text.encode("latin-1"), base)


def command(text: str) -> str:
    """The main process's command, which must not be a script."""
    process = job(text).processes[MAIN]
    assert process is not None and not process.script
    return process.command


def script(body: str) -> str:
    """What is stored of a block with that body."""
    process = job("script\n" + body + "end script\n").processes[MAIN]
    assert process is not None and process.script
    return process.command


def refused(text: str, base: Optional[JobDefinition] = None) -> str:
    """``LINE: MESSAGE`` of a file that must be refused."""
    with pytest.raises(ParseError) as caught:
        job(text, base)
    return f"{caught.value.line}: {caught.value.message}"


def start_on(condition: str) -> List[List[str]]:
    """The condition after ``start on`` in reverse Polish notation."""
    return to_postfix(job("start on " + condition).start_on)

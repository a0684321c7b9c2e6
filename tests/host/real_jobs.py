"""Real job files with their programs replaced by harmless ones, from the corpus beside the checkout where that is there."""
from __future__ import annotations

import io
import pathlib
import tarfile
from typing import Dict, Iterator, List, Tuple

from compat.parser import JobDefinition, ParseError, parse_job
from compat.parser.definition import Condition, Match
from compat.parser.notation import to_postfix
from compat.testing import SimulatedMachine
from tests.daemon.running import ROOT

CORPUS = ROOT.parent / "shared" / "corpus"


def files(archive: str) -> Iterator[Tuple[pathlib.PurePath, bytes]]:
    """The job files of an archive of the corpus."""
    data = (CORPUS / archive).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is not None and member.name.endswith(".conf"):
                yield pathlib.PurePath(member.name), stream.read()


def harmless(data: bytes) -> "str | None":
    """A job with the same conditions, instance, environment and kind, that does nothing; None if the file does not parse."""
    try:
        job = parse_job(data)
    except ParseError:
        return None
    lines: List[str] = []
    for word, condition in (("start on", job.start_on), ("stop on", job.stop_on)):
        if condition is not None:
            lines.append(f"{word} {_text(condition)}")
    if job.instance is not None:
        lines.append(f"instance {_quoted(job.instance)}")
    lines += [f"env {_quoted(entry)}" for entry in job.env] + [f"export {name}" for name in job.export]
    if job.task:
        # Also where there was only a pre-start: without a main process it would last until it is stopped.
        lines += ["task", "exec true"]
    elif job.processes[0] is not None:
        lines.append("exec sleep 1000")
    text = "\n".join(lines) + "\n"
    assert _shape(parse_job(text.encode("utf-8", "surrogateescape"))) == _shape(job)
    return text


def started_by(jobs: Dict[str, str], events: List[Tuple[str, ...]]) -> List[str]:
    """The jobs that are started when these events happen in this order, on a simulated machine."""
    machine = SimulatedMachine()
    for name, text in jobs.items():
        machine.define(name, text)
    started: Dict[str, None] = {}
    for name, *env in events:
        machine.emit(name, *env, wait=False)
        for _ in range(100):
            machine.settle()
            tasks = [job for job in machine.engine.job_names() if "exec true" in jobs[job] and machine.engine.job(job).instance_names()]
            ended = False
            for job in tasks:
                for instance in machine.engine.job(job).instance_names():
                    process = machine.backend.find(job, "main", instance)
                    if process is not None and process.alive:
                        process.exit(0)
                        ended = True
            if not ended:
                break
    for each in machine.announcements:
        if type(each).__name__ == "InstanceAdded":
            started[each.job] = None
    return sorted(started)


def _shape(job: JobDefinition) -> Tuple[object, ...]:
    return to_postfix(job.start_on), to_postfix(job.stop_on), job.instance, job.env, job.export, job.task


def _text(condition: Condition) -> str:
    if isinstance(condition, Match):
        return " ".join((condition.event, *map(_quoted, condition.args)))
    return f"({_text(condition.left)} {'and' if type(condition).__name__ == 'And' else 'or'} {_text(condition.right)})"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""How many real job files have a start condition that a plain host of today can meet (chapter 7, B.4; B199).

    python bench/reachability.py [--corpus ARCHIVE] [--missing]

Reads the corpus of real job files where it stands beside the checkout, and judges each start condition with the
table that the host bridge uses, on hosts whose units are listed in bench/hosts/. Files of ChromiumOS and of the
Echo are left out: their jobs wait for milestones of their own.

    alone      the one file and the host
    with set   and the jobs that it names: files come in sets, of which the corpus has only single ones.
               Events that others emit by hand are still taken as missing

`--missing` prints what the rest waits for. Exit status 1 if a host is below the aim.
"""
from __future__ import annotations

import argparse
import collections
import pathlib
import re
import sys
import tarfile
from typing import Callable, Counter, Dict, FrozenSet, Iterator, List, Sequence, Set, Tuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.session import table  # noqa: E402
from compat.bridges.host.event_sources import EventSources, Host  # noqa: E402
from compat.bridges.host.loaded_jobs import LoadedJobs  # noqa: E402
from compat.bridges.host.master_table import SYSTEMD  # noqa: E402
from compat.bridges.host.wanted import START_ON, job_name, operands  # noqa: E402
from compat.host.profile import RHEL, UBUNTU  # noqa: E402
from compat.parser.definition import JobDefinition  # noqa: E402
from compat.parser.emitted_events import emitted_events  # noqa: E402
from compat.parser.errors import ParseError  # noqa: E402
from compat.parser.job_file import parse_job  # noqa: E402

CORPUS = ROOT.parent / "shared" / "corpus" / "jobs.tar.xz"
HOSTS = {"amazon-linux-2023": RHEL, "debian-12": UBUNTU}
#: Share of the jobs, in percent, that is to be reachable.
AIM = 85.0
#: Files of other systems, by what is written in them and by the milestones that they name.
OTHER_SYSTEMS = re.compile(
    rb"chromium|chrome ?os\b|cros_|lab126|"
    rb"\b(?:system-services|boot-services|pre-startup|login-prompt-visible|start-user-session|stop-arc-instance|"
    rb"apps-(?:early|normal|delayed)-start|delay-start-\d+|doppler-(?:mode|profile)-main|audio-shm-main|pulseaudio-main)\b", re.IGNORECASE)
#: What a lone file is called; nothing names it.
NAME = "the-job"


def jobs(archive: pathlib.Path) -> Iterator[JobDefinition]:
    """The distinct definitions with a start condition of the files that count."""
    seen: Set[JobDefinition] = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".conf") else None
            data = file.read() if file else b""
            if not data or OTHER_SYSTEMS.search(data):
                continue
            try:
                definition = parse_job(data)
            except ParseError:
                continue
            if definition.start_on is not None and definition not in seen:
                seen.add(definition)
                yield definition


def units_of(host: str) -> FrozenSet[str]:
    """The units in a host's list."""
    lines = (ROOT / "bench" / "hosts" / f"{host}.units").read_text().split("\n")
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def exists_in(units: FrozenSet[str]) -> Callable[[str], bool]:
    """Whether a unit exists, an instance by its template."""
    def exists(unit: str) -> bool:
        name, at, rest = unit.partition("@")
        return unit in units or bool(at) and f"{name}@.{rest.rpartition('.')[2]}" in units
    return exists


def judge(definition: JobDefinition, host: Host, with_set: bool) -> Tuple[bool, List[str]]:
    """Whether the start condition can be met, and the operands that nobody meets."""
    assert definition.start_on is not None
    loaded = LoadedJobs()
    loaded.define(NAME, emitted_events(definition))
    sources = EventSources(host, loaded)
    if with_set:
        for operand in operands(NAME, definition.start_on, None):
            name = job_name(operand.leaf)
            if name is not None and not sources.stands(name):
                loaded.define(name)
    missing = [" ".join((operand.leaf.event, *operand.leaf.args)) for operand, _ in sources.unmet(NAME, definition.start_on, None)]
    return sources.reachable(NAME, START_ON, definition.start_on), missing


def main(arguments: Sequence[str]) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=pathlib.Path, default=CORPUS)
    parser.add_argument("--missing", action="store_true")
    options = parser.parse_args(arguments)
    if not options.corpus.exists():
        print(f"{options.corpus}: not here, nothing to judge")
        return 0
    definitions = list(jobs(options.corpus))
    rows: List[Sequence[str]] = []
    missing: Counter[str] = collections.Counter()
    status = False
    for name, profile in HOSTS.items():
        host = Host(SYSTEMD, profile, exists_in(units_of(name)))
        counts: Dict[bool, int] = {}
        for with_set in (False, True):
            judged = [judge(definition, host, with_set) for definition in definitions]
            counts[with_set] = sum(reachable for reachable, _ in judged)
            if with_set:
                missing.update(each for reachable, unmet in judged if not reachable for each in unmet)
        share = {key: 100.0 * count / len(definitions) for key, count in counts.items()}
        met = share[True] >= AIM
        status = status or not met
        rows.append((name, str(len(definitions)), f"{share[False]:.1f} %", f"{share[True]:.1f} %", "met" if met else "missed"))
    table("Jobs whose start condition can be met", ("host", "jobs", "alone", "with set", f"aim {AIM:.0f} %"), rows)
    if options.missing:
        table("What the others wait for", ("times", "operand"), [(str(count), text) for text, count in missing.most_common()])
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

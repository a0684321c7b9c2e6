"""How many real job files have a start condition that a plain host of today can meet (chapter 7, B.4; B199).

    python bench/reachability.py [--corpus DIRECTORY] [--missing]

Reads the corpus of real job files where it stands beside the checkout, and judges each start condition with the
table that the host bridge uses, on hosts whose units are listed in bench/hosts/. Files of ChromiumOS and of the
Echo are left out: their jobs wait for milestones of their own.

    alone      the one file and the host
    with set   and the jobs that it names: files come in sets, of which the corpus has only single ones.
               Events that others emit by hand are still taken as missing
    folders    the corpus also has some whole /etc/init folders: the share of their jobs, without those that
               are left to the host

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
from compat.host.configuration import HostConfiguration  # noqa: E402
from compat.host.owned_jobs import is_owned  # noqa: E402
from compat.host.profile import RHEL, UBUNTU  # noqa: E402
from compat.parser.definition import JobDefinition  # noqa: E402
from compat.parser.emitted_events import emitted_events  # noqa: E402
from compat.parser.errors import ParseError  # noqa: E402
from compat.parser.job_file import parse_job  # noqa: E402

CORPUS = ROOT.parent / "shared" / "corpus"
FILES, FOLDERS = "jobs.tar.xz", "bootgraphs.tar.xz"
#: Folders of ChromiumOS and of the Echo, and those of users' sessions.
OTHER_FOLDERS = re.compile("chromium|echo|session|user")
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


def job_files(archive: pathlib.Path) -> Iterator[Tuple[pathlib.PurePath, bytes, JobDefinition]]:
    """The job files in an archive that can be read, with their text."""
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".conf") else None
            if file is None:
                continue
            data = file.read()
            try:
                definition = parse_job(data)
            except ParseError:
                continue
            yield pathlib.PurePath(member.name), data, definition


def jobs(archive: pathlib.Path) -> Iterator[JobDefinition]:
    """The distinct definitions with a start condition of the files that count."""
    seen: Set[JobDefinition] = set()
    for _, data, definition in job_files(archive):
        if definition.start_on is not None and definition not in seen and not OTHER_SYSTEMS.search(data):
            seen.add(definition)
            yield definition


def folders(archive: pathlib.Path) -> List[Dict[str, JobDefinition]]:
    """Whole folders: the jobs that are loaded on a host of today, by name."""
    found: Dict[str, Dict[str, JobDefinition]] = collections.defaultdict(dict)
    for path, _, definition in job_files(archive):
        folder = path.parts[1]
        if not OTHER_FOLDERS.search(folder) and not is_owned(path.stem, UBUNTU, HostConfiguration()):
            found[folder][path.stem] = definition
    return list(found.values())


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


def judge_folder(folder: Dict[str, JobDefinition], host: Host) -> List[bool]:
    """For each job with a start condition, whether it can be met."""
    loaded = LoadedJobs()
    for name, definition in folder.items():
        loaded.define(name, emitted_events(definition))
    sources = EventSources(host, loaded)
    return [sources.reachable(name, START_ON, definition.start_on)
            for name, definition in folder.items() if definition.start_on is not None]


def percent(part: int, whole: int) -> float:
    """A share, 0 of nothing."""
    return 100.0 * part / whole if whole else 0.0


def main(arguments: Sequence[str]) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=pathlib.Path, default=CORPUS)
    parser.add_argument("--missing", action="store_true")
    options = parser.parse_args(arguments)
    if not (options.corpus / FILES).exists():
        print(f"{options.corpus / FILES}: not here, nothing to judge")
        return 0
    definitions = list(jobs(options.corpus / FILES))
    whole = folders(options.corpus / FOLDERS) if (options.corpus / FOLDERS).exists() else []
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
        share = {key: percent(count, len(definitions)) for key, count in counts.items()}
        in_folders = [reachable for folder in whole for reachable in judge_folder(folder, host)]
        met = share[True] >= AIM
        status = status or not met
        rows.append((name, str(len(definitions)), f"{share[False]:.1f} %", f"{share[True]:.1f} %", "met" if met else "missed",
                     str(len(in_folders)), f"{percent(sum(in_folders), len(in_folders)):.1f} %"))
    table("Jobs whose start condition can be met",
          ("host", "jobs", "alone", "with set", f"aim {AIM:.0f} %", "jobs in folders", "folders"), rows)
    if options.missing:
        table("What the others wait for", ("times", "operand"), [(str(count), text) for text, count in missing.most_common()])
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``upstart-host-bridge --explain``: where the events that jobs wait for come from on this host (B199, B278).

Of the jobs that the daemon has, or of files that may not be installed yet; those are judged with each other.
"""
from __future__ import annotations

import importlib
import os
import sys
from typing import Dict, List, Optional, Sequence

from ...host.configuration import HostConfiguration
from ...host.detection import host_kind
from ...host.profile import detect_profile
from ...loop import MainLoop
from ...parser.emitted_events import emitted_events
from ...parser.errors import ParseError
from ...parser.job_file import parse_job
from .daemon_link import ADDRESS, DaemonLink, Greeting
from .described_host import described_host
from .event_sources import EventSources, Host
from .explanation import JobText, explanation
from .loaded_jobs import LoadedJobs

_PROGRAM = "upstart-host-bridge"
_SUFFIX = ".conf"


def explain_files(paths: Sequence[str], configuration: HostConfiguration, kind: Optional[str] = None) -> int:
    """Print what there is to say about these files; 1 if one cannot be read, or has a condition that can never be met.

    ``kind`` of the host that they are meant for, whose image may be in the making; None: what this host is.
    """
    jobs = LoadedJobs()
    texts: List[JobText] = []
    unread = False
    for path in paths:
        name = os.path.basename(path)
        name = name[:-len(_SUFFIX)] if name.endswith(_SUFFIX) else name
        try:
            with open(path, "rb") as file:
                definition = parse_job(file.read())
        except OSError as error:
            unread = True
            print(f"{_PROGRAM}: {path}: {error.strerror}", file=sys.stderr)
        except ParseError as error:
            unread = True
            print(f"{_PROGRAM}: {error.describe(path)}", file=sys.stderr)
        else:
            jobs.define(name, emitted_events(definition))
            texts.append(JobText(name, definition.start_on, definition.stop_on))
    profile = configuration.profile or detect_profile(frozenset(jobs.names()))
    kind = kind or host_kind(False, os.environ)
    return max(int(unread), _print(texts, described_host(kind, profile, configuration), jobs))


def explain_loaded(configuration: HostConfiguration, address: str = ADDRESS) -> int:
    """Print what there is to say about the daemon's jobs; 1 if one has a condition that can never be met, or nothing can be said."""
    loop = MainLoop(lambda what, error: sys.excepthook(type(error), error, error.__traceback__))
    status = 1

    def begin(greeting: Greeting) -> _Over:
        nonlocal status
        host = described_host(greeting.kind, greeting.profile, configuration)
        status = _print(list(link.texts.values()), host, link.jobs)
        loop.quit()
        return _Over()

    def failed(text: str) -> None:
        print(f"{_PROGRAM}: {text}", file=sys.stderr)
        loop.quit()

    link = DaemonLink(loop, importlib.import_module("dbus.mainloop.glib").DBusGMainLoop(), begin, failed, address=address)
    link.connect()
    loop.run()
    link.close()
    return status


class _Over:
    """A session in which nothing happens any more."""

    def reconsider(self) -> None:
        """Too late."""

    def emitted(self, name: str, env: Sequence[str]) -> None:
        """Of no interest."""

    def close(self) -> None:
        """Nothing to close."""


def _print(texts: List[JobText], host: Host, jobs: LoadedJobs) -> int:
    by_name: Dict[str, JobText] = {text.job: text for text in texts}
    lines, status = explanation((by_name[name] for name in sorted(by_name)), EventSources(host, jobs))
    for line in lines:
        print(line.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    return status

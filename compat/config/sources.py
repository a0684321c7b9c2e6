"""The ordered list of places that job files are read from (P1, D8-D10, D29-D33, D138-D141).

A function of the command line and the environment alone; nothing is looked up in the file system,
but for the home directory when HOME does not tell it.
"""
from __future__ import annotations

import os
import pwd
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..engine.actions import DEBUG, WARN

Log = Callable[[int, str], None]

SYSTEM_FILE = "/etc/init.conf"
SYSTEM_DIRECTORY = "/etc/init"
SESSION_DIRECTORY = "/usr/share/upstart/sessions"


class Source(NamedTuple):
    """A directory tree of job files or, with ``is_file``, a single file (D70).

    ``create``: directories to make, mode 0700, before the first load (D139).
    """

    path: str
    is_file: bool = False
    create: Tuple[str, ...] = ()

    def text(self, relative: str) -> str:
        """The path of something in the source as messages name it (P23)."""
        return f"{self.path}/{relative}" if relative else self.path

    def encoded(self, relative: str) -> bytes:
        """The same path for system calls. Names are UTF-8 whatever the locale, the source's own path is as it was given."""
        top = os.fsencode(self.path)
        return top + b"/" + relative.encode("utf-8", "surrogateescape") if relative else top


def _silent(priority: int, text: str) -> None:
    pass


def system_sources(
    environment: Mapping[str, str],
    prepend: Sequence[str] = (),
    confdirs: Sequence[str] = (),
    append: Sequence[str] = (),
    log: Log = _silent,
) -> List[Source]:
    """The sources of system and ``--session`` mode, highest priority first (D29, D30, D32).

    The three lists are the values of --prepend-confdir, --confdir and --append-confdir in the order given.
    """
    middle = [Source(path) for path in confdirs] or [Source(environment.get("UPSTART_CONFDIR") or SYSTEM_DIRECTORY)]
    return _in_order(prepend, [Source(SYSTEM_FILE, is_file=True)], middle, append, log)


def session_sources(
    environment: Mapping[str, str],
    prepend: Sequence[str] = (),
    confdirs: Sequence[str] = (),
    append: Sequence[str] = (),
    log: Log = _silent,
) -> List[Source]:
    """The sources of a Session Init, highest priority first (D138). Arguments as for ``system_sources``."""
    middle = [Source(path) for path in confdirs] or _session_defaults(environment, log)
    return _in_order(prepend, [], middle, append, log)


def home_directory(environment: Mapping[str, str]) -> Optional[str]:
    """HOME if it is absolute, else what the password database says, else None (D141 BEYOND)."""
    home = environment.get("HOME", "")
    if not home.startswith("/"):
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return home if home.startswith("/") else None


def _in_order(prepend: Sequence[str], file: List[Source], middle: List[Source], append: Sequence[str], log: Log) -> List[Source]:
    for path in prepend:
        log(DEBUG, f"main: Prepending configuration directory {path}")
    for source in middle:
        log(DEBUG, f"main: Using configuration directory {source.path}")
    for path in append:
        log(DEBUG, f"main: Adding configuration directory {path}")
    return [Source(path) for path in prepend] + file + middle + [Source(path) for path in append]


def _session_defaults(environment: Mapping[str, str], log: Log) -> List[Source]:
    sources: List[Source] = []
    home = home_directory(environment)
    base = environment.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = home + "/.config" if home else ""
    if base:
        sources.append(Source(base + "/upstart", create=(base, base + "/upstart")))
    if home:
        sources.append(Source(home + "/.init"))
    else:
        log(WARN, "No home directory is known: job files in it are not used")
    for entry in (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        if entry.startswith("/"):
            sources.append(Source(entry + "/upstart"))
    if "UPSTART_NO_SYSTEM_USERCONFDIR" not in environment:
        sources.append(Source(SESSION_DIRECTORY))
    return sources

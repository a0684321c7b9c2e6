"""``upstart-compat links``: the client's other names on a host, made only when the administrator asks for them.

Old scripts call ``start web`` or ``/sbin/initctl``. The first five names are everybody's words (C151), and other
software takes a host that has an ``initctl`` in /sbin for one that Upstart runs (C149): so no package installs
them. A name that is taken is never replaced, and only links that lead to this very client are removed.

The names go to /usr/bin, which is on the PATH of sudo, of cron and of jobs everywhere; with ``--sbin`` also to
/sbin, and there with ``initctl``. Where /usr/bin and /sbin are one directory, ``initctl`` still waits for ``--sbin``.

``telinit`` and ``runlevel`` belong to the host's init, which mostly has both (systemd-sysv); so they have an option of
their own, and a directory that comes before /sbin on the PATH is the place for them there.
"""
from __future__ import annotations

import os
import sys
from typing import List, NamedTuple, Optional, Sequence

BIN = "/usr/bin"
SBIN = "/sbin"
COMMANDS = ("start", "stop", "restart", "reload", "status")
CLIENT = "initctl"
NAMES = (CLIENT, *COMMANDS)
RUNLEVELS = ("telinit", "runlevel")

_HELP = f"""\
Usage: upstart-compat links --enable [--runlevel] [--sbin | --directory=DIR]
       upstart-compat links --disable [--sbin | --directory=DIR]
       upstart-compat links --list [--sbin | --directory=DIR]
Make, remove or show the names under which old scripts call the client.

      --enable          make {", ".join(COMMANDS)} in {BIN}
      --disable         remove the links to this client from {BIN} and {SBIN}; other files stay
      --list            show the names: link, free or taken
      --sbin            in {SBIN} too, and {CLIENT} with them; with --disable and --list: there only.
                        Other software takes a host with {SBIN}/{CLIENT} for one that Upstart runs
      --runlevel        {" and ".join(RUNLEVELS)} too, in {SBIN} or DIR. Where the host's init has them, a DIR that scripts
                        look into before {SBIN} is the place for ours, as /usr/local/sbin
      --directory=DIR   {CLIENT} and {", ".join(COMMANDS)} in this directory, and nowhere else
      --help            show this help and exit

A name that is taken is never replaced: then no link is made at all, and the exit status is 1.
"""
_SBIN_WARNING = """\
links: warning: {path} exists now. Programs that look for it (service, invoke-rc.d, InSpec, Chef)
take Upstart for the init of this host, and init scripts that ask init_is_upstart refuse to start.
"""


class Place(NamedTuple):
    """A directory, and which names belong into it."""

    directory: str
    names: Sequence[str]


class _Refused(Exception):
    """One line for standard error; ``status`` is the exit status: 1, or 2 for wrong use."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class Links:
    """The links to one client; ``client`` is its path."""

    def __init__(self, client: str) -> None:
        self.client = client

    def state(self, path: str) -> str:
        """``link`` (to the client, or the client itself), ``free`` or ``taken``."""
        if not os.path.lexists(path):
            return "free"
        if os.path.islink(path):
            # Compared as far as it is spelt, because the client may be gone already when a package is removed.
            target = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
            return "link" if target == self.client else "taken"
        return "link" if os.path.exists(self.client) and os.path.samefile(path, self.client) else "taken"

    def enable(self, places: Sequence[Place]) -> List[str]:
        """Make all links, or none; the paths made. Raises _Refused, OSError."""
        if not os.access(self.client, os.X_OK):
            raise _Refused(f"no such program: {self.client}")
        wanted = []
        for place in places:
            if not os.path.isdir(place.directory):
                raise _Refused(f"no such directory: {place.directory}")
            wanted += [os.path.join(place.directory, name) for name in place.names]
        taken = [path for path in wanted if self.state(path) == "taken"]
        if taken:
            raise _Refused("taken, nothing done: " + " ".join(taken))
        made = []
        for path in wanted:
            if self.state(path) == "free":
                os.symlink(self.client, path)
                made.append(path)
        return made

    def disable(self, places: Sequence[Place]) -> None:
        """Remove the links to the client. Raises OSError."""
        for place in places:
            for name in place.names:
                path = os.path.join(place.directory, name)
                if os.path.islink(path) and self.state(path) == "link":
                    os.unlink(path)

    def lines(self, places: Sequence[Place]) -> List[str]:
        """What each name is, one a line: state, two blanks, path."""
        paths = [os.path.join(place.directory, name) for place in places for name in place.names]
        return [f"{self.state(path):5}  {path}" for path in paths]


def _places(action: str, sbin: bool, runlevel: bool, directory: Optional[str]) -> List[Place]:
    runlevels = RUNLEVELS if runlevel or action != "--enable" else ()
    if directory is not None:
        return [Place(os.path.abspath(directory), (*NAMES, *runlevels))]
    in_bin = Place(BIN, COMMANDS)
    if action == "--enable":
        in_sbin = Place(SBIN, (*(NAMES if sbin else ()), *runlevels))
        return [in_bin, in_sbin] if in_sbin.names else [in_bin]
    in_sbin = Place(SBIN, (*NAMES, *runlevels))
    return [in_sbin] if sbin else [in_bin, in_sbin]


def main(arguments: Sequence[str], client: str) -> int:
    """Carry ``arguments`` out, which follow ``links``, for the client at the absolute path ``client``; the exit status."""
    action = ""
    sbin = runlevel = False
    directory: Optional[str] = None
    try:
        for word in arguments:
            name, equals, value = word.partition("=")
            if word == "--help":
                print(_HELP, end="")
                return 0
            if word in ("--enable", "--disable", "--list") and not action:
                action = word
            elif word == "--sbin":
                sbin = True
            elif word == "--runlevel":
                runlevel = True
            elif name == "--directory" and equals and value:
                directory = value
            else:
                raise _Refused(f"unexpected argument: {word} (see --help)", 2)
        if not action:
            raise _Refused("one of --enable, --disable and --list is needed (see --help)", 2)
        if sbin and directory is not None:
            raise _Refused("--sbin and --directory exclude each other", 2)
        if runlevel and action != "--enable":
            raise _Refused("--runlevel is for --enable", 2)
        _carry_out(action, Links(client), _places(action, sbin, runlevel, directory))
    except _Refused as refused:
        print(f"links: {refused.text}", file=sys.stderr)
        return refused.status
    except OSError as error:
        print(f"links: {error.filename2 or error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _carry_out(action: str, links: Links, places: Sequence[Place]) -> None:
    if action == "--list":
        print("\n".join(links.lines(places)))
    elif action == "--disable":
        links.disable(places)
    else:
        for path in links.enable(places):
            if path == os.path.join(SBIN, CLIENT):
                sys.stderr.write(_SBIN_WARNING.format(path=path))

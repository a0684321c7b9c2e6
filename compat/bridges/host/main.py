"""The program ``upstart-host-bridge``: watches the host and tells the daemon (B194-B199, B205, B218).

    upstart-host-bridge                what upstart-host-bridge.service runs
    upstart-host-bridge --explain      where the events come from that jobs wait for
    upstart-host-bridge --shutdown     what upstart-shutdown.service runs when it is stopped, and scripts of other inits, with the level
    upstart-host-bridge --announce     what the units of a hook run
    upstart-host-bridge --hooks        what the generator of these units runs

The kind of host and the profile are the daemon's; it says them when the bridge connects. Each use loads only the modules that
it needs: a host that starts or goes down waits for the last three.
"""
from __future__ import annotations

import os
import sys
from typing import List, Optional, Sequence

from ... import UPSTART_VERSION
from ...host.detection import KINDS
from .unit_phases import STARTING, STOPPING

_NAME = "upstart-host-bridge"
_HELP = f"""\
Usage: {_NAME} [OPTION]...
   or: {_NAME} --explain [[--host=KIND] FILE]...
   or: {_NAME} --announce starting|stopping UNIT
   or: {_NAME} --hooks DIRECTORY
   or: {_NAME} --shutdown [LEVEL]
Tell the daemon of upstart-compat what happens on this host.

Options:
      --announce              say that a unit is about to start or stop, and wait until the jobs are done with that
      --child                 end when the connection to the daemon is lost: it starts another
      --explain               say who emits what the conditions of jobs wait for: of those that are loaded, or of files
      --hooks                 write the systemd units of the lines "hook NAME" in host.conf into a directory
      --host=KIND             explain files for a host of this kind: {', '.join(KINDS)}; default: what this host is
      --replay                emit the events of everything that is up once more, with HOST_REPLAY=1, and exit
      --shutdown              take the steps of a shutdown if the host goes down, to runlevel 0, 1 or 6 if that is given, and
                              wait for them
  -q, --quiet                 show errors only
  -v, --verbose               show what is told
      --help                  show this help and exit
      --version               show the version and exit
"""
_HOST = "--host="
_FLAGS = ("--announce", "--child", "--explain", "--hooks", "--replay", "--shutdown", "--quiet", "-q", "--verbose", "-v")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command ``upstart-host-bridge``; its exit status."""
    flags: List[str] = []
    kind: Optional[str] = None
    for word in sys.argv[1:] if arguments is None else arguments:
        if word in ("--help", "--version"):
            print(_HELP if word == "--help" else f"{_NAME} (upstart {UPSTART_VERSION})", end="" if word == "--help" else "\n")
            return 0
        if word.startswith(_HOST) and word[len(_HOST):] in KINDS:
            kind = word[len(_HOST):]
            continue
        if word.startswith("-") and word not in _FLAGS:
            print(f"{_NAME}: invalid option: {word}\nTry `{_NAME} --help' for more information.", file=sys.stderr)
            return 1
        flags.append(word)
    files = [word for word in flags if not word.startswith("-")]
    if kind is not None and not ("--explain" in flags and files):
        print(f"{_NAME}: --host is for --explain with files; else the daemon says what kind of host this is", file=sys.stderr)
        return 1
    if os.getuid() and not ("--explain" in flags and files):
        print(f"{_NAME}: Need to be root", file=sys.stderr)
        return 1
    if "--shutdown" in flags:
        if len(files) > 1 or not {"0", "1", "6"}.issuperset(files):
            print(f"{_NAME}: --shutdown needs a level that hosts go down to, or none", file=sys.stderr)
            return 1
        from .shutdown_command import shut_down
        from .ways_down import WayDown
        return shut_down(WayDown(files[0]) if files else None)
    if "--announce" in flags:
        if len(files) != 2 or files[0] not in (STARTING, STOPPING):
            print(f"{_NAME}: --announce needs a state and a unit", file=sys.stderr)
            return 1
        from .announce_command import announce
        return announce(files[0], files[1])
    if "--hooks" in flags:
        if len(files) != 1:
            print(f"{_NAME}: --hooks needs a directory", file=sys.stderr)
            return 1
        from ...host.configuration import PATH, read_configuration
        from .hook_generator import generate
        return generate(files[0], read_configuration(PATH))
    from ...engine.actions import ERROR, INFO, WARN
    from ...host.configuration import PATH, read_configuration
    from .bridge import Bridge
    if "--explain" in flags:
        from .explain_command import explain_files, explain_loaded
        return explain_files(files, read_configuration(PATH), kind) if files else explain_loaded(read_configuration(PATH))
    priority = WARN
    for word in flags:
        priority = {"-q": ERROR, "--quiet": ERROR, "-v": INFO, "--verbose": INFO}.get(word, priority)
    return Bridge(priority, "--replay" in flags, "--child" in flags).run()


if __name__ == "__main__":
    sys.exit(main())

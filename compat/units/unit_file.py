"""The unit file that shows a job to systemd's tools: its name and its text.

The text is the same for all jobs but for the name, and does not depend on what the job file says. So it
does not change while systemd has the unit loaded, and systemd need not read its files again. SourcePath= is
left out for the same reason: each change of the job file would make systemctl ask for a daemon-reload.

Type=notify, because the unit's main process says when the job runs. StartLimitIntervalSec=0: the limit is the
job's own. DefaultDependencies=no and IgnoreOnIsolate=yes: the daemon stops the jobs at shutdown and at
changes of the runlevel, in their own order.
"""
from __future__ import annotations

import functools
import re
import string
from typing import Optional

_SUFFIX = ".service"
_LONGEST = 255
_PLAIN = frozenset((string.ascii_letters + string.digits + ":_.-").encode())
#: Names that stay as they are.
_USUAL = re.compile("[A-Za-z0-9:_-][A-Za-z0-9:_.-]{0,200}")
_MARK = "X-Upstart-Job="
_TEXT = """\
# Made by upstart-compat while it runs. Change the job's own file instead.
[Unit]
Description={description}
{mark}{job}
DefaultDependencies=no
IgnoreOnIsolate=yes
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={ask} start %n
ExecStop={ask} stop %n
ExecReload={ask} reload %n
TimeoutStartSec=infinity
TimeoutStopSec=infinity
"""


def unit_name(job: str) -> Optional[str]:
    """JOB.service, with what unit names cannot hold escaped as systemd.unit(5) says, ``/`` too; None if it is too long.

    Not as systemd-escape does: a ``-`` stays, and so does not stand for ``/``, else two jobs could have one unit.
    """
    if _USUAL.fullmatch(job):
        return job + _SUFFIX
    data = job.encode("utf-8", "surrogateescape")
    name = "".join(chr(byte) if byte in _PLAIN and (byte != 0x2E or position) else f"\\x{byte:02x}" for position, byte in enumerate(data))
    name += _SUFFIX
    return name if len(name) <= _LONGEST else None


def unit_text(job: str, launcher: str, socket: str) -> str:
    """The file's text; ``launcher`` and ``socket`` are absolute paths."""
    name = unit_name(job) or ""
    ask = _ask(launcher, socket)
    readable = "".join(character if character.isprintable() else "?" for character in job)
    description = "Upstart job " + readable.replace("\\", "\\\\").replace("%", "%%")
    return _TEXT.format(description=description, mark=_MARK, job=name[:-len(_SUFFIX)], ask=ask)


@functools.lru_cache(maxsize=1)
def _ask(launcher: str, socket: str) -> str:
    # Variables are looked for behind the program only.
    return f"{_word(launcher)} ask {_word(socket).replace('$', '$$')}"


def is_made_here(text: str) -> bool:
    """Whether a unit file's text is one of these."""
    return "\n" + _MARK in text


def _word(path: str) -> str:
    """A path as one word of a command line."""
    quoted = "".join(f"\\x{ord(each):02x}" if each in " \t\n\"'\\;" else each for each in path)
    return quoted.replace("%", "%%")

"""Which names in a configuration directory count, and what job a file defines (P3-P5, D72-D74).

Pure text. Only directories are screened for backup and version control names; a file counts by its
suffix alone, so that ``.foo.conf`` defines the job ``.foo``.
"""
from __future__ import annotations

import re

CONF = ".conf"
OVERRIDE = ".override"

#: P4. Chapter 5 (D73) reads ``.rpmsave`` and its like as prefixes of the suffix; P4, which is exact, is followed.
_IGNORED_DIRECTORY = re.compile(
    r"""\..* | .*~ | \#.*\# | .*\.(?:bak|BAK|swp|swo|swn) | .*,v
        | RCS | CVS | CVS\.adm | SCCS | BitKeeper | \{arch\} | _darcs
        | .*\.dpkg-[^.]* | .*\.rpm(?:save|orig|new) | .*;[0-9A-Fa-f]{8}""",
    re.VERBOSE | re.DOTALL)


def suffix_of(name: str) -> str:
    """CONF or OVERRIDE if a file of this base name (or path) counts, else the empty string (P3)."""
    for suffix in (CONF, OVERRIDE):
        if name.endswith(suffix):
            start = len(name) - len(suffix)
            return suffix if start > 0 and name[start - 1] != "/" else ""
    return ""


def is_ignored_directory(name: str) -> bool:
    """Whether a sub-directory of this base name is skipped with all that is in it (P4)."""
    return _IGNORED_DIRECTORY.fullmatch(name) is not None


def job_name(relative: str) -> str:
    """The job that a file defines or overrides, from its path below the source (P5). The suffix must count."""
    return relative.lstrip("/")[:-len(suffix_of(relative))]

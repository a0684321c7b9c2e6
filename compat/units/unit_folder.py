"""The folder that unit files of jobs are in, and which names are taken by others.

systemd prefers /run/systemd/system to the folders of packages. So a file of ours would hide a native unit of
the same name, and must not be there: the native one wins, a masked one too. What is ours says so in its text;
what a daemon that died has left there is ours as well.
"""
from __future__ import annotations

import functools
import os
import stat
from typing import Dict, List, Set, Tuple

from . import unit_file

FOLDER = "/run/systemd/system"
#: Bytes of a file that are looked at; ours are much smaller.
_LARGEST = 1 << 16


class UnitFolder:
    """The folder at ``path``."""

    def __init__(self, path: str = FOLDER) -> None:
        self.path = path
        #: What was read of files, and of what they were then: there may be thousands, and they are looked at again and again.
        self._texts: Dict[str, Tuple[Tuple[int, ...], str]] = {}

    @functools.cached_property
    def present(self) -> Set[str]:
        """The names of our files; looked for when they are first asked for."""
        try:
            names = os.listdir(self.path)
        except OSError:
            names = []
        return {name for name in names if name.endswith(".service") and unit_file.is_made_here(self._read(name))}

    def _read(self, name: str) -> str:
        path = f"{self.path}/{name}"
        try:
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode):
                return ""
            version = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
            known = self._texts.get(name)
            if known is None or known[0] != version:
                with open(path, "rb", buffering=0) as file:
                    known = version, file.read(_LARGEST).decode("utf-8", "surrogateescape")
                if unit_file.is_made_here(known[1]):
                    self._texts[name] = known
            return known[1]
        except OSError:
            return ""

    def write(self, name: str, text: str) -> bool:
        """Make or replace a file of ours, whole or not at all; whether it was there with another text. Raises OSError."""
        before = self._read(name) if name in self.present else ""
        if before == text:
            return False
        path = os.path.join(self.path, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)
        self.present.add(name)
        return bool(before)

    def remove(self, name: str) -> None:
        """Remove a file of ours. Raises OSError."""
        self.present.discard(name)
        self._texts.pop(name, None)
        if unit_file.is_made_here(self._read(name)):
            os.unlink(os.path.join(self.path, name))

    def others(self, folders: List[str]) -> Dict[str, str]:
        """The files of units that are not ours, by name, in systemd's order of folders."""
        found: Dict[str, str] = {}
        for folder in folders:
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            for name in names:
                if not (folder == self.path and name in self.present and unit_file.is_made_here(self._read(name))):
                    found.setdefault(name, os.path.join(folder, name))
        return found

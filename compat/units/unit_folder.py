"""The folder that unit files of jobs are in, and which names are taken by others.

systemd prefers /run/systemd/system to the folders of packages. So a file of ours would hide a native unit of
the same name, and must not be there: the native one wins, a masked one too. What is ours says so in its text;
what a daemon that died has left there is ours as well.
"""
from __future__ import annotations

import os
from typing import Dict, List, Set

from . import unit_file

FOLDER = "/run/systemd/system"


class UnitFolder:
    """``present`` are the names of our files."""

    def __init__(self, path: str = FOLDER) -> None:
        self.path = path
        self.present: Set[str] = set()
        try:
            names = os.listdir(path)
        except OSError:
            names = []
        for name in names:
            if name.endswith(".service") and unit_file.is_made_here(self._read(name)):
                self.present.add(name)

    def _read(self, name: str) -> str:
        path = os.path.join(self.path, name)
        if os.path.islink(path):
            return ""
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
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

"""What systemd starts before the daemon, by the unit files alone: a hook on such a unit would wait for itself (B233).

A generator runs before any unit is loaded and cannot ask. So the files are read, all that there are, and what orders are implied
by their kinds is added. Units that are not even started count too: rather one hook is refused too many than a boot broken.
"""
from __future__ import annotations

import os
from typing import Dict, FrozenSet, Iterable, Iterator, List, Set, Tuple

from .mount_table import NETWORK, classify
from .unit_files import DIRECTORIES
from .ways_down import DAEMON

#: The daemon is never before these (B207).
_ALWAYS = ("basic.target", "sysinit.target")
_BEFORE, _AFTER = "Before", "After"
_NEEDS = ("Requires", "BindsTo", "Requisite")
_KEYS = frozenset((_BEFORE, _AFTER, "Wants", "DefaultDependencies", *_NEEDS))
_OF_MOUNT = frozenset(("Where", "Type", "Options"))
_UNIT, _MOUNT = "[Unit]", "[Mount]"
_NO = frozenset(("no", "false", "off", "0", "n", "f"))
#: By default these are before such a target.
_COLLECTED = {"socket": "sockets.target", "path": "paths.target", "timer": "timers.target", "swap": "swap.target"}
_LOCAL, _REMOTE = "local-fs.target", "remote-fs.target"
#: And these before the service that they start.
_STARTERS = frozenset(("socket", "path", "timer"))
#: By default these are after sysinit.target, and services after basic.target.
_AFTER_SYSINIT = (".service", ".socket", ".path", ".timer")
_LINKED = (".wants", ".requires")


class UnitOrder:
    """The order of the unit files below ``root``, read once."""

    def __init__(self, root: str = "/", directories: Iterable[str] = DIRECTORIES) -> None:
        # What generators make is made anew at this moment.
        #: unit → what is before it
        self._before: Dict[str, Set[str]] = {}
        #: target → its parts
        self._parts: Dict[str, Set[str]] = {}
        #: files without default dependencies
        self._bare: Set[str] = set()
        self._needs: Dict[str, Set[str]] = {}
        self._aliases: Dict[str, str] = {}
        read: Set[str] = set()
        for directory in (os.path.join(root, each) for each in directories if "generator" not in each):
            for entry in _entries(directory):
                if _is_directory(entry):
                    self._read_directory(entry.name, entry.path)
                elif entry.name not in read and "." in entry.name:
                    read.add(entry.name)
                    self._read_file(entry)
        for target, parts in self._parts.items():
            self._add_parts(target, parts)
        by_name, self._before = self._before, {}
        for unit, earlier in by_name.items():
            self._before.setdefault(self.name(unit), set()).update(earlier)

    def name(self, unit: str) -> str:
        """The name of the file that a unit's name leads to."""
        for _ in self._aliases:
            if unit not in self._aliases:
                break
            unit = self._aliases[unit]
        return unit

    def needed_by_daemon(self) -> FrozenSet[str]:
        """The units that are started before the daemon is, or that it cannot be without; templates stand for their instances."""
        found: Set[str] = set()
        left: List[str] = [DAEMON, *_ALWAYS]
        while left:
            unit = self.name(left.pop())
            if unit not in found:
                found.add(unit)
                left += self._before.get(unit, ())
        return frozenset((found | {self.name(unit) for unit in self._needs.get(DAEMON, ())}) - {DAEMON})

    # -- reading ---------------------------------------------------------------------------------------------

    def _read_file(self, entry: "os.DirEntry[str]") -> None:
        if entry.is_symlink():
            target = os.path.basename(os.path.realpath(entry.path))
            if target != entry.name:
                self._aliases[entry.name] = target
                return
        kind = entry.name.rpartition(".")[2]
        explicit = _dependencies(entry.path)
        self._add(entry.name, explicit)
        if any(key == "DefaultDependencies" and value.lower() in _NO for key, value in explicit):
            self._bare.add(entry.name)
            return
        if kind == "mount":
            mount = dict(_lines(entry.path, _MOUNT, _OF_MOUNT))
            network = classify(mount.get("Where", ""), mount.get("Type", ""), mount.get("Options", "")) == NETWORK
            self._order(entry.name, _REMOTE if network else _LOCAL)
        elif kind in _COLLECTED:
            self._order(entry.name, _COLLECTED[kind])
        if kind in _STARTERS:
            self._order(entry.name, entry.name.rpartition(".")[0] + ".service")

    def _read_directory(self, name: str, path: str) -> None:
        unit, _, suffix = name.rpartition(".")
        if suffix == "d":
            for entry in _entries(path):
                if entry.name.endswith(".conf"):
                    self._add(unit, _dependencies(entry.path))
        elif name.endswith(_LINKED):
            self._add(unit, (("Wants", entry.name) for entry in _entries(path)))

    def _add(self, unit: str, dependencies: Iterable[Tuple[str, str]]) -> None:
        for key, other in dependencies:
            if key == _BEFORE:
                self._order(unit, other)
            elif key == _AFTER:
                self._order(other, unit)
            elif key != "DefaultDependencies" and unit.endswith(".target"):
                self._parts.setdefault(unit, set()).add(other)
            if key in _NEEDS:
                self._needs.setdefault(unit, set()).add(other)

    def _add_parts(self, target: str, parts: Set[str]) -> None:
        """A target is after its parts where both have default dependencies, but for parts that are after it."""
        for part in parts:
            file = template_of(self.name(part))
            after_boot = target in _ALWAYS and file.endswith(_AFTER_SYSINIT)
            if target not in self._bare and file not in self._bare and not after_boot and target not in self._before.get(part, ()):
                self._order(part, target)

    def _order(self, first: str, second: str) -> None:
        self._before.setdefault(second, set()).add(first)


def template_of(unit: str) -> str:
    """The template that a unit is an instance of, else the unit itself."""
    name, at, rest = unit.partition("@")
    return f"{name}@.{rest.rpartition('.')[2]}" if at else unit


def _entries(directory: str) -> List["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself, and the like.
        return False


def _lines(path: str, wanted: str, keys: FrozenSet[str]) -> Iterator[Tuple[str, str]]:
    """Keys and values in a section of a unit file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError:
        return
    section = ""
    for line in text.replace("\\\n", " ").split("\n"):
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == wanted:
            key, _, value = line.partition("=")
            if key.rstrip() in keys:
                yield key.rstrip(), value.strip()


def _dependencies(path: str) -> List[Tuple[str, str]]:
    """Keys and single units of the section Unit."""
    return [(key, word) for key, words in _lines(path, _UNIT, _KEYS) for word in words.split()]

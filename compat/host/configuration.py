"""Reads /etc/upstart-compat/host.conf, what an administrator says about host mode (B198, B212, B216, B220, B232, B238, B270, B271).

One line, one thing; a word that begins with # begins a comment:

    alias NAME UNIT…                          the job name NAME means one of these units
    mask NAME…   unmask NAME…                 do, or do not, leave this job to the host; mask nothing: no default list
    hook NAME…                                the units of these names, or these units, wait for jobs when they start and stop
    on SOURCE emit EVENT [KEY=VALUE]… [wait]  an event of one's own
    runlevel=N  profile=P  shutdown-limit=S
    emit-control-alt-delete=yes               the target that systemd starts for these keys is an event

SOURCE is ``unit NAME up|down|starting|stopping``, ``mount PATH``, ``link NAME up|down`` or ``boot NAME``.
"""
from __future__ import annotations

import itertools
import string
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from .profile import PROFILES

PATH = "/etc/upstart-compat/host.conf"
_LEVELS = "0123456"
_NAME = frozenset(string.ascii_letters + string.digits + "_")
_PHASES = {"unit": ("up", "down", "starting", "stopping"), "link": ("up", "down")}


_YES, _NO = "yes", "no"
_CONTROL_ALT_DELETE = "emit-control-alt-delete"


class Mapping(NamedTuple):
    """``on SOURCE emit …``. ``source`` is the words of SOURCE; %u, %m and %i in values stand for unit, mount point, interface."""

    source: Tuple[str, ...]
    event: str
    env: Tuple[str, ...] = ()
    wait: bool = False

    def values(self, unit: str = "", mount: str = "", interface: str = "") -> Tuple[str, ...]:
        """The event's variables with the placeholders filled in."""
        filled = []
        for entry in self.env:
            key, _, value = entry.partition("=")
            parts = value.split("%%")
            parts = [part.replace("%u", unit).replace("%m", mount).replace("%i", interface) for part in parts]
            filled.append(f"{key}={'%'.join(parts)}")
        return tuple(filled)


#: B216.
CONTROL_ALT_DELETE = Mapping(("unit", "ctrl-alt-del.target", "up"), "control-alt-delete")


class HostConfiguration(NamedTuple):
    """What the file says; the defaults are those of an empty one. ``shutdown_limit`` in seconds, None if not said."""

    path: str = PATH
    aliases: Tuple[Tuple[str, Tuple[str, ...]], ...] = ()
    mask: FrozenSet[str] = frozenset()
    unmask: FrozenSet[str] = frozenset()
    hooks: Tuple[str, ...] = ()
    default_masks: bool = True
    mappings: Tuple[Mapping, ...] = ()
    runlevel: Optional[str] = None
    profile: Optional[str] = None
    shutdown_limit: Optional[int] = None


class _Bad(Exception):
    """A line that makes no sense; the text says why."""


def parse_configuration(text: str, path: str = PATH) -> Tuple[HostConfiguration, List[str]]:
    """What the text says, and a warning ``PATH:LINE: TEXT`` for each line that makes no sense and is ignored (B271)."""
    reader = _Reader()
    warnings = []
    for number, line in enumerate(text.split("\n"), 1):
        words = list(itertools.takewhile(lambda word: not word.startswith("#"), line.split()))
        if words:
            try:
                reader.line(words)
            except _Bad as bad:
                warnings.append(f"{path}:{number}: {bad}")
    return reader.configuration(path), warnings


def read_configuration(path: str) -> HostConfiguration:
    """What the file says; as if it were empty where there is none. The daemon warns of what makes no sense in it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse_configuration(file.read(), path)[0]
    except OSError:
        return HostConfiguration(path)


class _Reader:
    def __init__(self) -> None:
        self._aliases: List[Tuple[str, Tuple[str, ...]]] = []
        self._masks: Dict[str, bool] = {}
        self._hooks: Dict[str, None] = {}
        self._default_masks = True
        self._mappings: List[Mapping] = []
        self._settings: Dict[str, str] = {}

    def line(self, words: Sequence[str]) -> None:
        """Take one line's words; raises _Bad."""
        first, rest = words[0], list(words[1:])
        if first == "alias":
            if len(rest) < 2:
                raise _Bad("alias needs a name and a unit")
            self._aliases.append((rest[0], tuple(rest[1:])))
        elif first == "mask" and rest == ["nothing"]:
            self._default_masks = False
        elif first in ("mask", "unmask"):
            if not rest:
                raise _Bad(f"{first} needs a name")
            self._masks.update(dict.fromkeys(rest, first == "mask"))
        elif first == "hook":
            if not rest:
                raise _Bad("hook needs a name")
            self._hooks.update(dict.fromkeys(rest))
        elif first == "on":
            self._mappings.append(_mapping(rest))
        elif len(words) == 1 and "=" in first:
            key, _, value = first.partition("=")
            _check_setting(key, value)
            self._settings[key] = value
        else:
            raise _Bad(f"unknown word: {first}")

    def configuration(self, path: str) -> HostConfiguration:
        """Everything that was read."""
        settings = self._settings
        keys = (CONTROL_ALT_DELETE,) if settings.get(_CONTROL_ALT_DELETE) == _YES else ()
        limit = settings.get("shutdown-limit")
        return HostConfiguration(
            path=path,
            aliases=tuple(self._aliases),
            mask=frozenset(name for name, mask in self._masks.items() if mask),
            unmask=frozenset(name for name, mask in self._masks.items() if not mask),
            hooks=tuple(self._hooks),
            default_masks=self._default_masks,
            mappings=(*self._mappings, *keys),
            runlevel=settings.get("runlevel"),
            profile=settings.get("profile"),
            shutdown_limit=None if limit is None else int(limit))


def _check_setting(key: str, value: str) -> None:
    if key == "runlevel":
        good = len(value) == 1 and value in _LEVELS
    elif key == "profile":
        good = value in PROFILES
    elif key == _CONTROL_ALT_DELETE:
        good = value in (_YES, _NO)
    elif key == "shutdown-limit":
        good = value.isascii() and value.isdigit() and 0 < int(value) <= 86400
    else:
        raise _Bad(f"unknown setting: {key}")
    if not good:
        raise _Bad(f"illegal value for {key}: {value}")


def _mapping(words: List[str]) -> Mapping:
    if "emit" not in words:
        raise _Bad("on needs emit")
    place = words.index("emit")
    source, target = tuple(words[:place]), words[place + 1:]
    kind = source[0] if source else ""
    if kind in ("mount", "boot"):
        good = len(source) == 2
    else:
        good = len(source) == 3 and source[2] in _PHASES.get(kind, ())
    if not good:
        raise _Bad(f"unknown source: {' '.join(source)}")
    if not target:
        raise _Bad("emit needs an event")
    wait = len(target) > 1 and target[-1] == "wait"
    env = target[1:-1] if wait else target[1:]
    for entry in env:
        key, equals, _ = entry.partition("=")
        if not equals or not key or not frozenset(key) <= _NAME:
            raise _Bad(f"not KEY=VALUE: {entry}")
    return Mapping(source, target[0], tuple(env), wait)

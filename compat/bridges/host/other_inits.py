"""What the files of OpenRC, runit, s6 and SysV init say of their services, and of the host's runlevel (B264, B265).

Each tells which directories to watch, which states its services are in, by systemd's words for them, and whether the host has
come up. SysV init leaves nothing behind that could be watched: the daemon's own script is started as the last, and that is all.
"""
from __future__ import annotations

import os
from typing import Callable, Dict, Iterator, List, Protocol, Sequence, Tuple

from ...host.detection import OPENRC, RUNIT, S6

_OPENRC_DIRECTORY, _SCRIPTS = "run/openrc", "etc/init.d"
#: Directory to state; while a service changes it is in two, and the first of these counts.
_OPENRC_STATES = (("stopping", "deactivating"), ("starting", "activating"), ("inactive", "activating"), ("started", "active"))
#: OpenRC's runlevels in which the host is on its way up or down, or has one user only.
_NOT_UP = frozenset(("", "sysinit", "boot", "single", "shutdown", "reboot"))
_RUNIT_PLACES = ("run/runit/runsvdir/current", "etc/service", "var/service", "service")
_RUNIT_STATES = {"run": "active", "finish": "deactivating"}
_S6_PLACES = ("run/service",)
#: In s6's file of 35 or, of late, 43 bytes: two time stamps, then the pid; the last byte is flags, of which one says that the finish
#: script runs.
_S6_PID, _S6_FINISHES = slice(24, 32), 0x02
_DOWN = "inactive"
#: What a service's name is given for the table of aliases, which is that of systemd's units.
SUFFIX = ".service"


class Init(Protocol):
    """An init, by its files."""

    def directories(self) -> Sequence[str]:
        """What to watch; some of it may not be there."""

    def services(self) -> Dict[str, str]:
        """Every service with its state: inactive, activating, active or deactivating."""

    def exists(self, service: str) -> bool:
        """Whether there is such a service."""

    def is_up(self) -> bool:
        """Whether the host has reached a runlevel with services for everybody."""


class OpenRc:
    """OpenRC: links to scripts in a directory for each state."""

    def __init__(self, root: str = "/") -> None:
        self._states = os.path.join(root, _OPENRC_DIRECTORY)
        self._scripts = os.path.join(root, _SCRIPTS)

    def directories(self) -> Sequence[str]:
        """As Init."""
        return (self._states, *(os.path.join(self._states, name) for name, _ in _OPENRC_STATES))

    def services(self) -> Dict[str, str]:
        """As Init."""
        found = dict.fromkeys(_names(self._scripts), _DOWN)
        for directory, state in reversed(_OPENRC_STATES):
            found.update(dict.fromkeys(_names(os.path.join(self._states, directory)), state))
        return found

    def exists(self, service: str) -> bool:
        """As Init."""
        return _is_name(service) and os.path.exists(os.path.join(self._scripts, service))

    def is_up(self) -> bool:
        """As Init. The runlevel is the one that is being entered; what starts in it is another matter."""
        return _text(os.path.join(self._states, "softlevel")) not in _NOT_UP


class Supervision:
    """A directory for each service, in which its supervisor keeps a file with its state, replaced as a whole.

    ``state`` is given what is in ``file`` below the directory ``supervise``.
    """

    def __init__(self, places: Sequence[str], file: str, state: Callable[[bytes], str]) -> None:
        self._places = places
        self._file = file
        self._state = state

    def directories(self) -> Sequence[str]:
        """As Init."""
        found: List[str] = []
        for place in self._places:
            found.append(place)
            for name in _names(place):
                directory = os.path.join(place, name)
                found += (directory, os.path.join(directory, "supervise"))
        return found

    def services(self) -> Dict[str, str]:
        """As Init."""
        found: Dict[str, str] = {}
        for name, directory in self._services():
            found.setdefault(name, self._state(_bytes(os.path.join(directory, "supervise", self._file))))
        return found

    def exists(self, service: str) -> bool:
        """As Init."""
        return _is_name(service) and any(os.path.isdir(os.path.join(place, service)) for place in self._places)

    def is_up(self) -> bool:
        """As Init: the daemon is a service like these, and they are started when all else is done."""
        return True

    def _services(self) -> Iterator[Tuple[str, str]]:
        for place in self._places:
            for name in _names(place):
                yield name, os.path.join(place, name)


def runit(root: str = "/") -> Supervision:
    """runit, whose supervisors write words."""
    return Supervision([os.path.join(root, place) for place in _RUNIT_PLACES], "stat", _state_of_runit)


def s6(root: str = "/") -> Supervision:
    """s6, whose supervisors write bytes."""
    return Supervision([os.path.join(root, place) for place in _S6_PLACES], "status", _state_of_s6)


def _state_of_runit(data: bytes) -> str:
    words = data.decode("utf-8", "replace").replace(",", " ").split()
    return _RUNIT_STATES.get(words[0] if words else "", _DOWN)


def _state_of_s6(data: bytes) -> str:
    if not any(data[_S6_PID]):
        return _DOWN
    return "deactivating" if data[-1] & _S6_FINISHES else "active"


class SysvInit:
    """SysV init."""

    def directories(self) -> Sequence[str]:
        """As Init."""
        return ()

    def services(self) -> Dict[str, str]:
        """As Init."""
        return {}

    def exists(self, service: str) -> bool:
        """As Init."""
        return False

    def is_up(self) -> bool:
        """As Init: the daemon's script is the last one."""
        return True


def init_of(kind: str, root: str = "/") -> Init:
    """The init of a host of this kind."""
    if kind == OPENRC:
        return OpenRc(root)
    if kind == S6:
        return s6(root)
    return runit(root) if kind == RUNIT else SysvInit()


def service_of(unit: str) -> str:
    """The service that goes by a unit's name in the table; "" for units of other kinds."""
    return unit[:-len(SUFFIX)] if unit.endswith(SUFFIX) else ""


def _is_name(service: str) -> bool:
    return bool(service) and "/" not in service and "\0" not in service


def _names(directory: str) -> List[str]:
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except OSError:
        return []


def _text(path: str) -> str:
    return _bytes(path).decode("utf-8", "replace").strip()


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""

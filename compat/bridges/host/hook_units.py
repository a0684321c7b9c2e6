"""The units of hooks: what a systemd generator writes for ``hook NAME`` in host.conf (B232, B233, B249).

For a unit U there are two, which are started with it, the one before and the other after it, and stopped in the opposite order:

    upstart-before@U    announces that U starts; U is not started until that has ended
    upstart-after@U     announces that U stops; U is not stopped until that has ended

That U has started or has stopped the bridge sees for itself. A hook is stopped as soon as nobody needs it any more, also when U
has ended by itself: the next start announces itself anew. At the end of the host upstart-shutdown.service is stopped before
upstart-after@U, so its steps come first, and U is still up as long as they go on.
"""
from __future__ import annotations

import os
from typing import Callable, FrozenSet, Iterable, List, NamedTuple, Optional, Tuple

from ...host.configuration import HostConfiguration
from .aliases import Aliases
from .host_units import mount_unit
from .mount_table import NETWORK, FstabEntry, classify
from .unit_order import template_of
from .unit_phases import STARTING, STOPPING

_SUFFIXES = (".service", ".target", ".mount", ".socket")
_LONGEST_UNIT = 255
#: Options that say that nothing waits for a local file system.
_NOT_AWAITED = frozenset(("noauto", "nofail"))
_BRIDGE = "/usr/lib/upstart-compat/bin/upstart-host-bridge"

_TEXT = """\
# From host.conf, by the generator of upstart-compat.
[Unit]
Description=Upstart jobs that wait for {unit} ({state})
Documentation=man:upstart-compat(8)
DefaultDependencies=no
PartOf={unit}
StopWhenUnneeded=yes
After=upstart-compat.service upstart-host-bridge.service
{order}
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
{command}
"""


class Hooks(NamedTuple):
    """``units``: those that get hooks. ``refusals``: lines for the log."""

    units: Tuple[str, ...]
    refusals: Tuple[str, ...]


def chosen_hooks(configuration: HostConfiguration, exists: Callable[[str], bool], name: Callable[[str], str],
                 needed: FrozenSet[str], fstab: Iterable[FstabEntry]) -> Hooks:
    """The units that host.conf names, or the first that it has for the job names there (B238).

    ``exists`` and ``name`` are those of UnitFiles and UnitOrder, ``needed`` is what the daemon needs.
    """
    aliases = Aliases(configuration.aliases)
    boot_mounts = {mount_unit(entry.mount_point) for entry in fstab if entry.mount_point.startswith("/") and _holds_boot(entry)}
    units: List[str] = []
    refusals: List[str] = []
    for word in configuration.hooks:
        unit = _unit_of(word, aliases, exists)
        if unit is None:
            refusals.append(f"hook {word}: there is no such unit on this host")
            continue
        unit = name(unit)
        if unit in needed or template_of(unit) in needed or unit in boot_mounts:
            refusals.append(f"hook {word}: {unit} is needed before the jobs' daemon, it is only watched")
        elif len(_before(unit)) > _LONGEST_UNIT:
            refusals.append(f"hook {word}: the name is too long")
        elif unit not in units:
            units.append(unit)
    return Hooks(tuple(units), tuple(refusals))


def write_hooks(units: Iterable[str], directory: str, bridge: str = _BRIDGE) -> None:
    """Write the units of hooks into a generator's directory. Raises OSError."""
    for unit in units:
        wants = os.path.join(directory, unit + ".wants")
        os.makedirs(wants, exist_ok=True)
        for name, text in ((_before(unit), _text(unit, STARTING, f"Before={unit}", "ExecStart=-", "TimeoutStartSec=30", bridge)),
                           (_after(unit), _text(unit, STOPPING, f"After={unit}\nBefore=upstart-shutdown.service", "ExecStop=-",
                                                "TimeoutStopSec=90", bridge))):
            with open(os.path.join(directory, name), "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            link = os.path.join(wants, name)
            if not os.path.lexists(link):
                os.symlink(os.path.join("..", name), link)


def _unit_of(word: str, aliases: Aliases, exists: Callable[[str], bool]) -> Optional[str]:
    if word.endswith(_SUFFIXES):
        # It may be another generator's.
        return word
    resolution = aliases.resolve(word, exists)
    return None if resolution is None else resolution.unit


def _holds_boot(entry: FstabEntry) -> bool:
    """Whether local-fs.target waits for this file system."""
    return classify(entry.mount_point, entry.type, entry.options) != NETWORK and not _NOT_AWAITED & set(entry.options.split(","))


def _before(unit: str) -> str:
    return f"upstart-before@{unit}.service"


def _after(unit: str) -> str:
    return f"upstart-after@{unit}.service"


def _text(unit: str, state: str, order: str, verb: str, limit: str, bridge: str) -> str:
    # In a command %i is the name as it is; written out, its backslashes would be taken for more.
    return _TEXT.format(unit=unit.replace("%", "%%"), state=state, order=order,
                        command=f"{verb}{bridge} --announce {state} %i\n{limit}")

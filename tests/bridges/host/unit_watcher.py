"""Prints what jobs would be told of native units: ``unit_watcher bus|private CONDITION…``, until it is ended."""
from __future__ import annotations

import importlib
import sys
import traceback
from typing import FrozenSet, Iterable, Sequence

from compat.bridges.host.aliases import Aliases
from compat.bridges.host.fact import Fact
from compat.bridges.host.native_units import NativeUnits, UnitSeen
from compat.bridges.host.systemd import PRIVATE_ADDRESS, Systemd
from compat.loop import MainLoop
from tests.bridges.host.telling import Table, wanted


class Printing:
    """A systemd.Watcher."""

    def __init__(self, units: NativeUnits) -> None:
        self._units = units
        self._table = Table()

    def needed(self) -> FrozenSet[str]:
        return self._units.needed()

    def takes(self, unit: str) -> bool:
        return self._units.takes(unit)

    def seen(self, units: Sequence[UnitSeen], complete: bool, new: bool) -> None:
        self._print(self._units.update(units, complete, new))

    def removed(self, unit: str) -> None:
        self._print(self._units.removed(unit))

    def _print(self, facts: Iterable[Fact]) -> None:
        for told in self._table.take(facts):
            print(told, flush=True)


def main(how: str, *conditions: str) -> None:
    loop = MainLoop(lambda what, error: traceback.print_exception(type(error), error, error.__traceback__))
    glib = importlib.import_module("dbus.mainloop.glib").DBusGMainLoop()
    bus = "unix:path=/run/dbus/system_bus_socket" if how == "bus" else ""
    systemd = Systemd(glib, loop, lambda priority, text: print(text, file=sys.stderr), (bus, PRIVATE_ADDRESS))
    systemd.watch(Printing(NativeUnits(wanted(*conditions), Aliases(), {}, True)))
    systemd.start()
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])

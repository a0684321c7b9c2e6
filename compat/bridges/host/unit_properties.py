"""The properties of systemd's units that matter here, from D-Bus to plain values (B226)."""
from __future__ import annotations

from typing import Any, Callable, Dict

from .native_units import UnitSeen

UNIT, SERVICE = "org.freedesktop.systemd1.Unit", "org.freedesktop.systemd1.Service"
_MISSING = frozenset(("not-found", "masked", "error", "bad-setting"))

#: Name, and what makes a plain value of it.
_OF_UNIT: Dict[str, Callable[[Any], Any]] = {
    "Id": str,
    "Names": lambda value: tuple(map(str, value)),
    "LoadState": str,
    "ActiveState": str,
    "SubState": str,
    "InvocationID": lambda value: "".join("%02x" % int(byte) for byte in value),
    "Job": lambda value: int(value[0]),
    "ActiveEnterTimestampMonotonic": int,
}
_OF_SERVICE: Dict[str, Callable[[Any], Any]] = {
    "Type": str,
    "Result": str,
    "ExecMainPID": int,
    "ExecMainCode": int,
    "ExecMainStatus": int,
}
_ALL = {**_OF_UNIT, **_OF_SERVICE}
ALL = tuple(_ALL)
#: What ListUnits does not tell.
NOT_LISTED = ("Names", "InvocationID", "ActiveEnterTimestampMonotonic", "Type")
HOW_IT_ENDED = ("Result", "ExecMainPID", "ExecMainCode", "ExecMainStatus")


def interface_of(name: str) -> str:
    """The interface that has a property."""
    return SERVICE if name in _OF_SERVICE else UNIT


def plain(properties: Any) -> Dict[str, Any]:
    """The properties among these that matter, as plain values. Raises TypeError or ValueError for what makes no sense."""
    return {str(name): _ALL[name](value) for name, value in properties.items() if name in _ALL}


def unit_seen(properties: Dict[str, Any]) -> UnitSeen:
    """What ``plain`` made, as the model wants it; Id must be there."""
    entered = properties.get("ActiveEnterTimestampMonotonic", 0)
    invocation = properties.get("InvocationID")
    if invocation is None:
        # systemd before 232: the time at which it came up stands for it.
        invocation = str(entered) if entered else ""
    elif not invocation.strip("0"):
        invocation = ""
    return UnitSeen(
        unit=properties["Id"], names=properties.get("Names", ()), loaded=properties.get("LoadState", "loaded") not in _MISSING,
        active=properties.get("ActiveState", "inactive"), sub=properties.get("SubState", ""), invocation=invocation,
        job=bool(properties.get("Job", 0)), active_enter=entered, oneshot=properties.get("Type") == "oneshot",
        result=properties.get("Result", "success"), main_pid=properties.get("ExecMainPID", 0),
        main_code=properties.get("ExecMainCode", 0), main_status=properties.get("ExecMainStatus", 0))

"""A manager that speaks as systemd does on its private socket, in the process of the test."""
from __future__ import annotations

from typing import Any, Dict, List

from compat.bridges.host.systemd import MANAGER, NAME, PATH
from compat.control.wire import (
    HANDLED,
    NOT_YET_HANDLED,
    Connection,
    ErrorMessage,
    MethodCall,
    MethodReturn,
    Server,
    SignalMessage,
    _bindings,
)

PROPERTIES = "org.freedesktop.DBus.Properties"
UNIT, SERVICE = f"{NAME}.Unit", f"{NAME}.Service"
_OF_SERVICE = {"Type": "s", "Result": "s", "ExecMainPID": "u", "ExecMainCode": "i", "ExecMainStatus": "i"}
_OF_UNIT = {"Id": "s", "Names": "as", "LoadState": "s", "ActiveState": "s", "SubState": "s", "InvocationID": "ay", "Job": "(uo)",
            "ActiveEnterTimestampMonotonic": "t", "Description": "s"}


def path_of(unit: str) -> str:
    return f"{PATH}/unit/" + "".join(char if char.isalnum() else f"_{ord(char):02x}" for char in unit)


def _value(signature: str, value: Any) -> Any:
    kinds = {"s": _bindings.String, "u": _bindings.UInt32, "i": _bindings.Int32, "t": _bindings.UInt64}
    if signature == "ay":
        return _bindings.Array([_bindings.Byte(byte) for byte in value], signature="y", variant_level=1)
    if signature == "as":
        return _bindings.Array(value, signature="s", variant_level=1)
    if signature == "(uo)":
        return _bindings.Struct((_bindings.UInt32(value), _bindings.ObjectPath("/")), signature="uo", variant_level=1)
    return kinds[signature](value, variant_level=1)


class FakeSystemd:
    """``units``: name to properties; what is not given is that of a unit that is down. ``calls``: what was asked for."""

    def __init__(self, address: str, glib: Any) -> None:
        self.units: Dict[str, Dict[str, Any]] = {}
        self.calls: List[str] = []
        self.connections: List[Any] = []
        #: method to the error that its next call gets
        self.errors: Dict[str, str] = {}
        #: replies that are kept back, while this is a list
        self.held: Any = None
        outer = self

        class Listener(Server):  # type: ignore[misc]
            def _on_new_connection(self, connection: Any) -> None:
                outer.connections.append(connection)
                connection.add_message_filter(outer._heard)

        self._server = Listener(address, Connection, glib, None)

    def define(self, unit: str, **properties: Any) -> None:
        self.units[unit] = {"Id": unit, "Names": [unit], "LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead",
                            "InvocationID": b"", "Job": 0, "ActiveEnterTimestampMonotonic": 0, "Description": "x", "Type": "simple",
                            "Result": "success", "ExecMainPID": 0, "ExecMainCode": 0, "ExecMainStatus": 0, **properties}

    def change(self, unit: str, **properties: Any) -> None:
        """The unit changes, which is told as systemd does: the service first, then the unit."""
        self.units[unit].update(properties)
        for interface, kinds in ((SERVICE, _OF_SERVICE), (UNIT, _OF_UNIT)):
            changed = {key: value for key, value in self._all(unit, kinds).items() if key not in ("Id", "Names", "Type")}
            self.say(path_of(unit), PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, changed, [])

    def manager(self, member: str, signature: str, *arguments: Any) -> None:
        """A signal of the manager."""
        self.say(PATH, MANAGER, member, signature, *arguments)

    def say(self, path: str, interface: str, member: str, signature: str, *arguments: Any) -> None:
        for connection in self.connections:
            message = SignalMessage(path, interface, member)
            message.append(*arguments, signature=signature)
            connection.send_message(message)

    def hang_up(self) -> None:
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def close(self) -> None:
        self.hang_up()
        self._server.disconnect()

    def _all(self, unit: str, kinds: Dict[str, str]) -> Dict[str, Any]:
        return {key: _value(kind, self.units[unit][key]) for key, kind in kinds.items()}

    def _heard(self, connection: Any, message: Any) -> int:
        if not isinstance(message, MethodCall):
            return NOT_YET_HANDLED
        member, arguments = message.get_member(), message.get_args_list()
        self.calls.append(f"{member} {arguments[-1]}" if arguments else member)
        reply = MethodReturn(message)
        if self.errors and member in self.errors:
            reply = ErrorMessage(message, self.errors.pop(member), "no")
        elif member == "LoadUnit":
            name = str(arguments[0])
            if name.startswith("bad"):
                reply = ErrorMessage(message, f"{NAME}.BadName", "no")
            else:
                if name not in self.units:
                    self.define(name, LoadState="not-found")
                reply.append(path_of(self.units[name]["Id"]), signature="o")
        elif member == "ListUnits":
            rows = [(name, "", unit["LoadState"], unit["ActiveState"], unit["SubState"], "", path_of(name), unit["Job"], "", "/")
                    for name, unit in self.units.items() if unit["LoadState"] == "loaded"]
            reply.append(rows, signature="a(ssssssouso)")
        elif member == "Get" and arguments[0] == MANAGER:
            reply.append(_bindings.String("252", variant_level=1), signature="v")
        elif member == "Get":
            unit = next(name for name in self.units if path_of(name) == message.get_path())
            reply.append(self._all(unit, {**_OF_SERVICE, **_OF_UNIT})[arguments[1]], signature="v")
        if self.held is not None:
            self.held.append((connection, reply))
        else:
            connection.send_message(reply)
        return HANDLED

    def release(self) -> None:
        """Send what was kept back."""
        held, self.held = self.held, None
        for connection, reply in held:
            connection.send_message(reply)

"""The interface org.freedesktop.DBus.Properties of every object (C26-C29).

An empty interface name stands for any. PropertiesChanged is never sent (C29).
"""
from __future__ import annotations

from typing import Any, Dict

from ..engine.view import Refused
from .interfaces import Interface, InvalidArguments, Method, Property, UnknownMember
from .wire import PROPERTIES_INTERFACE, is_string_variant, variant


def properties_interface(own: Interface, *further: Interface) -> Interface:
    """Properties as it applies to objects whose properties belong to the interface ``own``, and perhaps to ``further`` ones.

    Without a name ``own`` alone is meant.
    """
    interfaces = {each.name: each for each in (own, *further)}
    interfaces[""] = own

    def find(interface: str, name: str) -> Property:
        found = interfaces[interface].properties.get(name) if interface in interfaces else None
        if found is None:
            raise UnknownMember
        return found

    def get(call: Any, target: Any, interface: str, name: str) -> Any:
        found = find(interface, name)
        return variant(found.type, found.read(target))

    def get_all(call: Any, target: Any, interface: str) -> Dict[str, Any]:
        if interface not in interfaces:
            return {}
        return {name: variant(each.type, each.read(target)) for name, each in interfaces[interface].properties.items()}

    def set_(call: Any, target: Any, interface: str, name: str, value: Any) -> None:
        found = find(interface, name)
        if found.write is None:
            raise Refused("AccessDenied", f"The {name} property is read-only")
        # Every property that can be written is a string.
        if not is_string_variant(value):
            raise InvalidArguments(f"{name} property")
        found.write(call, target, str(value))

    return Interface(PROPERTIES_INTERFACE, (
        Method("Get", "interface_name:s property_name:s", "value:v", get),
        Method("Set", "interface_name:s property_name:s value:v", "", set_, guarded=True),
        Method("GetAll", "interface_name:s", "props:a{sv}", get_all),
    ))

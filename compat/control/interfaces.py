"""Tables of what the objects offer, from which calls are dispatched and introspection data is made.

A method is declared with its arguments as ``name:type`` words, the way they are introspected
(C4.5-C4.7), and the function that serves it. The function gets the call, the object's target (see
``ObjectKind``) and the arguments as plain Python values. It returns the result to be sent, a tuple
where there are several; if the method is ``later``, it has handed the call on instead and the
engine answers it. To refuse, it raises compat.engine.view.Refused.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .wire import INTROSPECTION_HEADER, incoming


class UnknownMember(Exception):
    """A handler found that the interface or property it was asked for does not exist (C22)."""


class InvalidArguments(Exception):
    """A value has the wrong type; the text says whose, as ``version property`` (C28)."""


class Argument:
    """One argument: its name and its D-Bus type."""

    __slots__ = ("name", "type")

    def __init__(self, declaration: str) -> None:
        self.name, self.type = declaration.split(":")


def quoteattr(value: str) -> str:
    """An attribute's value as XML, quotes included. That of xml.sax costs the import of half the network library."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"),
                              ("\n", "&#10;"), ("\r", "&#13;"), ("\t", "&#9;")):
        value = value.replace(character, entity)
    return f'"{value}"'


def _arguments(declaration: str) -> Tuple[Argument, ...]:
    return tuple(Argument(word) for word in declaration.split())


class Method:
    """One method. ``guarded``: the caller's uid must be known before it is served (C35)."""

    __slots__ = ("arguments", "guarded", "handler", "later", "name", "results", "result_signature", "signature")

    def __init__(self, name: str, arguments: str, results: str, handler: Callable[..., Any], *,
                 guarded: bool = False, later: bool = False) -> None:
        self.name = name
        self.arguments = _arguments(arguments)
        self.results = _arguments(results)
        self.handler = handler
        self.guarded = guarded
        self.later = later
        self.signature = "".join(argument.type for argument in self.arguments)
        self.result_signature = "".join(result.type for result in self.results)

    def plain_arguments(self, values: Sequence[Any]) -> List[Any]:
        """Received values, which fit the signature, as plain Python values."""
        return [incoming(argument.type, value) for argument, value in zip(self.arguments, values)]


class Signal:
    """One signal, declared for introspection only; announcements.py sends them."""

    __slots__ = ("arguments", "name")

    def __init__(self, name: str, arguments: str) -> None:
        self.name = name
        self.arguments = _arguments(arguments)


class Property:
    """One property: ``read(target)`` gives its value, ``write(call, target, value)`` sets it if that is possible."""

    __slots__ = ("name", "read", "type", "write")

    def __init__(self, name: str, type: str, read: Callable[[Any], Any],
                 write: Optional[Callable[[Any, Any, str], None]] = None) -> None:
        self.name = name
        self.type = type
        self.read = read
        self.write = write


class Interface:
    """One interface: its members by name, in the order of declaration."""

    def __init__(self, name: str, methods: Sequence[Method], properties: Sequence[Property] = (),
                 signals: Sequence[Signal] = ()) -> None:
        self.name = name
        self.methods: Dict[str, Method] = {method.name: method for method in methods}
        self.properties: Dict[str, Property] = {each.name: each for each in properties}
        self.signals = tuple(signals)

    def introspection(self) -> str:
        """The ``<interface>`` element."""
        lines = [f"  <interface name={quoteattr(self.name)}>"]
        for method in self.methods.values():
            lines.append(f"    <method name={quoteattr(method.name)}>")
            for direction, arguments in (("in", method.arguments), ("out", method.results)):
                lines += [f'      <arg name={quoteattr(argument.name)} type={quoteattr(argument.type)} direction="{direction}"/>'
                          for argument in arguments]
            lines.append("    </method>")
        for signal in self.signals:
            lines.append(f"    <signal name={quoteattr(signal.name)}>")
            lines += [f"      <arg name={quoteattr(argument.name)} type={quoteattr(argument.type)}/>" for argument in signal.arguments]
            lines.append("    </signal>")
        for each in self.properties.values():
            access = "readwrite" if each.write else "read"
            lines.append(f'    <property name={quoteattr(each.name)} type={quoteattr(each.type)} access="{access}"/>')
        lines.append("  </interface>")
        return "\n".join(lines) + "\n"


class ObjectKind:
    """Manager, class or instance: an own interface, Properties and Introspectable (C30).

    The target, by which a handler knows the object that was called, is None for the manager, the
    JobView for a class, and (JobView, InstanceView) for an instance.
    """

    def __init__(self, own: Interface, standard: Sequence[Interface]) -> None:
        self.own = own
        interfaces = (own, *standard)
        self._by_interface: Dict[str, Dict[str, Method]] = {each.name: each.methods for each in interfaces}
        self._by_member: Dict[str, Method] = {}
        for each in interfaces:
            for name, method in each.methods.items():
                self._by_member.setdefault(name, method)
        self._introspection = "".join(each.introspection() for each in interfaces)

    def method(self, interface: Optional[str], member: str) -> Optional[Method]:
        """The method that a call means; without an interface the member's name decides (C24)."""
        if interface is None:
            return self._by_member.get(member)
        methods = self._by_interface.get(interface)
        return methods.get(member) if methods else None

    def introspection(self, path: str, children: Sequence[str]) -> str:
        """The whole document for the object at ``path``."""
        return f"{INTROSPECTION_HEADER}<node name={quoteattr(path)}>\n{self._introspection}{_nodes(children)}</node>\n"


def bare_introspection(children: Sequence[str]) -> str:
    """The document for a path without an object (C20)."""
    return f"{INTROSPECTION_HEADER}<node>\n{_nodes(children)}</node>\n"


def _nodes(children: Sequence[str]) -> str:
    return "".join(f"  <node name={quoteattr(child)}/>\n" for child in children)

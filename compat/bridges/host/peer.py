"""A connection of libdbus's, without the ``dbus`` package in front of it, which takes longer to load than all that is done here.

A class of our own, as in compat/control/wire.py: with dbus-python 1.4.0 on Python 3.13 instances of the bindings' own class
corrupt memory.
"""
from __future__ import annotations

import importlib
from typing import Any

_bindings: Any = importlib.import_module("_dbus_bindings")


class Peer(_bindings.Connection):  # type: ignore[misc]
    """To a socket's other end: ``Peer(address)``, or ``Peer(address, main_loop)``."""

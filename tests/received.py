"""What comes over D-Bus, for tests whose only thread serves its connections itself, as in GLib's default main context."""
from __future__ import annotations

import ctypes
from typing import Any

_iterate = ctypes.CDLL("libglib-2.0.so.0").g_main_context_iteration
_iterate.argtypes = [ctypes.c_void_p, ctypes.c_int]
_iterate.restype = ctypes.c_int


def take_in() -> None:
    """Hand out all that has come."""
    while _iterate(None, 0):
        pass


def plain(value: Any) -> Any:
    """A received value without dbus-python's types."""
    if isinstance(value, bool) or type(value).__name__ == "Boolean":
        return bool(value)
    for kind in (str, int):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    for kind in (list, tuple):
        if isinstance(value, kind):
            return kind(plain(item) for item in value)
    return value

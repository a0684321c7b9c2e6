"""Object paths and back (C16-C20).

Escaping is injective, so nothing is registered for a path: it is decoded to names, and the engine
knows whether these exist. A path that ``escape`` would not have made names nothing.
"""
from __future__ import annotations

import re
from functools import lru_cache
from typing import Optional

#: The manager object (C16).
MANAGER = "/com/ubuntu/Upstart"
#: The parent node of the class objects (C17).
JOBS = MANAGER + "/jobs"

_OTHER = re.compile("[^a-zA-Z0-9]")
_ESCAPED = re.compile("(?:[a-zA-Z0-9]|_[0-9a-f]{2})+")
_CODE = re.compile("_(..)")


@lru_cache(maxsize=8192)
def escape(name: str) -> str:
    """One element of a path (C18). Bytes above 0x7f are written with their real code (C19 BEYOND)."""
    if not name:
        return "_"
    # latin-1 makes one character of each byte.
    return _OTHER.sub(lambda other: "_%02x" % ord(other.group()), name.encode("utf-8", "surrogateescape").decode("latin-1"))


@lru_cache(maxsize=8192)
def unescape(element: str) -> Optional[str]:
    """The name that ``escape`` makes this element of, None if there is none."""
    if element == "_":
        return ""
    if not _ESCAPED.fullmatch(element):
        return None
    codes = _CODE.sub(lambda code: chr(int(code.group(1), 16)), element)
    name = codes.encode("latin-1").decode("utf-8", "surrogateescape")
    # `_41` is valid as an escape but not how `A` is written.
    return name if escape(name) == element else None


def job_path(job: str) -> str:
    """The path of a class object (C17)."""
    return JOBS + "/" + escape(job)


def instance_path(job: str, instance: str) -> str:
    """The path of an instance object (C17)."""
    return JOBS + "/" + escape(job) + "/" + escape(instance)

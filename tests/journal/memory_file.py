"""A journal's file that is not on any disk, and that breaks down when it is told to."""
from __future__ import annotations

import errno
from typing import List, Optional


class MemoryFile:
    """journal.File. ``error``: what writing raises; ``writes`` counts what went well."""

    path = "/run/instances.json"

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.aside: List[bytes] = []
        self.error: Optional[int] = None
        self.removed = False
        self.appended = self.replaced = 0

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self) -> bytes:
        if self.error == errno.EIO:
            raise OSError(errno.EIO, "Input/output error")
        return bytes(self.content)

    def append(self, line: bytes) -> None:
        if self.error is not None:
            raise OSError(self.error, "refused")
        self.content += line
        self.appended += 1

    def replace(self, content: bytes) -> None:
        if self.error is not None:
            raise OSError(self.error, "refused")
        self.content = bytearray(content)
        self.replaced += 1

    def keep_aside(self) -> str:
        self.aside.append(bytes(self.content))
        return self.path + ".damaged"

    def remove(self) -> None:
        self.removed = True
        self.content = bytearray()

"""Numbers of mounts that are never given again, where the kernel has such: Linux 6.8 and later (B247).

The number in mountinfo is free when its mount has gone, and the next mount has it at once, and often the same device number too.
Who looks only after that sees nothing but what was there before, and would miss a mount. listmount(2) and statmount(2) tell both
numbers of each mount, that one and a lasting one.
"""
from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Dict, List

#: On every architecture but one, whose kernel has other calls there and no listmount.
_STATMOUNT, _LISTMOUNT = 457, 458
#: Every mount that this process can reach.
_ALL = 0xFFFFFFFFFFFFFFFF
_BASIC = 2
#: struct mnt_id_req: its size, a spare, the mount, and what is asked.
_REQUEST = struct.Struct("=IIQQ")
#: In struct statmount: the lasting number, that of the parent, and the one in mountinfo.
_NUMBERS, _PLACE = struct.Struct("=QQI"), 40
_STATMOUNT_BYTES = 512
_AT_ONCE = 512


class MountNumbers:
    """Looks them up; what is known of a mount is not asked again."""

    def __init__(self) -> None:
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long
        self._answer = ctypes.create_string_buffer(_STATMOUNT_BYTES)
        #: lasting number to that in mountinfo
        self._known: Dict[int, int] = {}

    def read(self) -> Dict[int, int]:
        """Number in mountinfo to the lasting one, of each mount that is there; nothing where the kernel or a sandbox has no such call."""
        try:
            lasting = self._list()
        except OSError:
            return {}
        self._known = {each: self._known.get(each) or self._ask(each) for each in lasting}
        return {number: each for each, number in self._known.items() if number}

    def _list(self) -> List[int]:
        numbers = (ctypes.c_uint64 * _AT_ONCE)()
        found: List[int] = []
        while True:
            request = _REQUEST.pack(_REQUEST.size, 0, _ALL, found[-1] if found else 0)
            count = self._call(_LISTMOUNT, request, numbers, _AT_ONCE)
            found += numbers[:count]
            if count < _AT_ONCE:
                return found

    def _ask(self, lasting: int) -> int:
        try:
            self._call(_STATMOUNT, _REQUEST.pack(_REQUEST.size, 0, lasting, _BASIC), self._answer, _STATMOUNT_BYTES)
        except OSError:
            # It has gone since it was listed.
            return 0
        number: int = _NUMBERS.unpack_from(self._answer, _PLACE)[2]
        return number

    def _call(self, number: int, request: bytes, answer: Any, size: int) -> int:
        result: int = self._libc.syscall(ctypes.c_long(number), request, answer, ctypes.c_size_t(size), ctypes.c_ulong(0))
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

"""Numbers as the C library reads them (P57).

Where upstream cuts a number to 32 bits before it looks whether it is in range (``nice 4294967301`` is 5), such a
number is refused here.
"""
from __future__ import annotations

import re
from typing import Optional

_BLANKS = r"[ \t\n\v\f\r]*"
_DECIMAL = re.compile(_BLANKS + r"([+-]?)([0-9]+)\Z")
_OCTAL = re.compile(_BLANKS + r"([+-]?)([0-7]+)\Z")
_MOST_DIGITS = 4000  # longer ones are out of every range, and Python refuses to convert them

#: The largest value of an unsigned number; a ``limit`` of it means unlimited (P83).
UNSIGNED_MAX = 2**64 - 1
_SIGNED_MAX = 2**63 - 1
#: The largest signal number and exit status (7.1).
INT_MAX = 2**31 - 1


def signed(text: str, low: int, high: int = _SIGNED_MAX) -> Optional[int]:
    """A decimal integer from ``low`` to ``high``, or None if ``text`` is anything else."""
    found = _DECIMAL.match(text)
    if found is None or len(text) > _MOST_DIGITS:
        return None
    value = int(found[1] + found[2])
    return value if low <= value <= high else None


def unsigned(text: str, high: int = UNSIGNED_MAX, octal: bool = False) -> Optional[int]:
    """An integer from 0 to ``high``, or None; a minus sign counts back from 2**64 as in C (P57, P83)."""
    found = (_OCTAL if octal else _DECIMAL).match(text)
    if found is None or len(text) > _MOST_DIGITS:
        return None
    value = int(found[2], 8 if octal else 10)
    if value > UNSIGNED_MAX:
        return None
    if found[1] == "-":
        value = -value % (UNSIGNED_MAX + 1)
    return value if value <= high else None

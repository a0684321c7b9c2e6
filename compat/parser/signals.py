"""Signal names as job files write them and as the daemon prints them (P58, E34, X92).

The numbers are those of Linux on every architecture but MIPS, SPARC, Alpha and PA-RISC. They stand here so that
a parse has the same result wherever it is done.
"""
from __future__ import annotations

from typing import Dict, Optional

_NAMES: Dict[int, str] = {
    1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1",
    11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP",
    20: "TSTP", 21: "TTIN", 22: "TTOU", 23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH",
    29: "IO", 30: "PWR", 31: "SYS",
}  # fmt: skip
_NUMBERS: Dict[str, int] = {name: number for number, name in _NAMES.items()}
_NUMBERS.update(IOT=6, CLD=17, POLL=29, UNUSED=31)


def signal_number(name: str) -> Optional[int]:
    """The number of a signal named in upper case, with or without one leading ``SIG``, or None (P58)."""
    return _NUMBERS.get(name[3:] if name.startswith("SIG") else name)


def signal_name(number: int) -> Optional[str]:
    """The name that is printed for a signal, without ``SIG``, or None where it has none (E34, X92)."""
    return _NAMES.get(number)

"""One record of utmp and wtmp, as the C library of this machine lays it out."""
from __future__ import annotations

import os
import struct

# 64-bit platforms that never ran 32-bit programs have 64-bit fields for session and time.
_WIDE = os.uname().machine in ("aarch64", "aarch64_be", "loongarch64")
#: type, pid, line, id, user, host, exit (2), session, seconds, microseconds, address, reserved
RECORD = struct.Struct("=h2xi32s4s32s256shhqqq16s20s4x" if _WIDE else "=h2xi32s4s32s256shhiIi16s20s")
UTMP, WTMP = "/var/run/utmp", "/var/log/wtmp"
#: Types of records.
RUNLEVEL, BOOT_TIME, INIT_PROCESS, LOGIN_PROCESS, USER_PROCESS, DEAD_PROCESS = 1, 2, 5, 6, 7, 8

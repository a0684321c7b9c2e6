"""A job that prints, played by the test itself: it holds the other end of the pty."""
from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import List, Optional, Tuple

from compat.backends.job_log import HeldOutput, JobLog

TIOCSPTLCK, TIOCGPTN = 0x40045431, 0x80045430

Lines = List[Tuple[int, str]]


def open_slave(log: JobLog) -> int:
    """What the launcher does with the master (X36 step 2)."""
    fcntl.ioctl(log.master, TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("I", fcntl.ioctl(log.master, TIOCGPTN, bytes(4)))[0]
    return os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


class Process:
    """A JobLog and the other end of its pty, held by the test in the place of a job."""

    def __init__(self, path: Path, lines: Lines, held: Optional[HeldOutput] = None) -> None:
        self.log = JobLog.create(str(path), lambda priority, text: lines.append((priority, text)), held)
        self.slave = open_slave(self.log)

    def prints(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.slave, data[:2048]):]
            assert self.log.readable()

    def end(self) -> bool:
        self.hang_up()
        return self.log.finish()

    def hang_up(self) -> None:
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

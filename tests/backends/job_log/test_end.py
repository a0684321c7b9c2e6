"""Job output at the end of the process (X124-X126)."""
from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from compat.engine.actions import DEBUG
from tests.backends.job_log.job_output import Lines, Process


def test_x124_what_is_left_is_written_at_the_end(process: Process, path: Path) -> None:
    os.write(process.slave, b"last words\n")
    assert process.end()
    assert path.read_bytes() == b"last words\r\n"
    assert process.log.master == -1


def test_x124_finish_may_be_repeated(process: Process, path: Path) -> None:
    process.prints(b"x")
    assert process.end() and process.log.finish() and not process.log.readable()
    process.log.close()
    assert path.read_bytes() == b"x"


def test_x124_x125_child_outliving_main_gets_eio_and_no_hangup(process: Process, path: Path, lines: Lines) -> None:
    go, result = os.pipe(), os.pipe()
    source = f"""
import os
os.read({go[0]}, 1)
try:
    os.write(1, b"late")
except OSError as error:
    os.write({result[1]}, str(error.errno).encode())
"""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", source], stdout=process.slave, pass_fds=(go[0], result[1]),
                          start_new_session=True) as child:
        os.close(result[1])
        os.write(process.slave, b"early\n")
        process.hang_up()
        assert process.log.finish()
        assert lines == [(DEBUG, f"Process associated with log leaked a file descriptor {path}")]
        os.write(go[1], b"g")
        assert int(os.read(result[0], 100)) == errno.EIO
    for descriptor in (*go, result[0]):
        os.close(descriptor)
    assert child.returncode == 0
    assert path.read_bytes() == b"early\r\n"


def test_x125_a_writer_without_end_does_not_hold_up_finish(process: Process, path: Path) -> None:
    with subprocess.Popen(["yes"], stdout=process.slave, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        process.hang_up()
        select.select([process.log.master], [], [])
        assert process.log.finish()
        assert child.wait(20) == 1
    assert 0 < path.stat().st_size < 4 << 20


def test_x125_a_pty_that_never_runs_dry_does_not_hold_up_finish(
        process: Process, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    master, real, left = process.log.master, os.read, [100000]

    def flooded(descriptor: int, size: int) -> bytes:
        if descriptor != master:
            return real(descriptor, size)
        left[0] -= 1
        assert left[0]
        return bytes(4096)

    monkeypatch.setattr(os, "read", flooded)
    assert process.log.finish()
    assert path.stat().st_size == 1 << 20


def test_x126_job_that_closes_its_outputs_goes_on(process: Process, path: Path) -> None:
    os.write(process.slave, b"bye\n")
    process.hang_up()
    assert not process.log.readable()
    assert not process.log.readable()
    assert path.read_bytes() == b"bye\r\n"
    assert process.log.finish()

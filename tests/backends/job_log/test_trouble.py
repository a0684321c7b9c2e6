"""Log files that cannot be written (X121-X123)."""
from __future__ import annotations

import errno
import fcntl
import os
import resource
from pathlib import Path
from typing import List, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.backends.job_log import KEPT_LIMIT, KeptOutput
from compat.engine.actions import WARN
from tests.backends.job_log.job_output import Lines, Process


def test_x121_directory_made_later(tmp_path: Path, lines: Lines) -> None:
    process = Process(tmp_path / "later" / "web.log", lines)
    process.prints(b"1\n2\n")
    process.prints(b"3\n")
    assert process.log.unwritten == 9
    (tmp_path / "later").mkdir()
    process.prints(b"4\n")
    assert process.log.unwritten == 0
    process.end()
    assert (tmp_path / "later" / "web.log").read_bytes() == b"1\r\n2\r\n3\r\n4\r\n"
    assert lines == []


def test_x121_directory_made_just_before_the_end(tmp_path: Path, lines: Lines) -> None:
    process = Process(tmp_path / "later" / "web.log", lines)
    process.prints(b"1")
    (tmp_path / "later").mkdir()
    assert process.end()
    assert (tmp_path / "later" / "web.log").read_bytes() == b"1"


def test_x121_what_is_kept_is_bounded_and_its_loss_marked(tmp_path: Path, lines: Lines) -> None:
    process = Process(tmp_path / "later" / "web.log", lines)
    printed = b"".join(b"%07d\n" % number for number in range(200000))
    process.prints(printed)
    assert process.log.unwritten == KEPT_LIMIT
    (tmp_path / "later").mkdir()
    process.end()
    marker, _, rest = (tmp_path / "later" / "web.log").read_bytes().partition(b"\r\n")
    output = printed.replace(b"\n", b"\r\n")
    assert marker == b"[%d bytes of output could not be kept]" % (len(output) - KEPT_LIMIT)
    assert rest == output[-KEPT_LIMIT:]


@given(st.lists(st.one_of(st.binary(max_size=12), st.integers(min_value=0, max_value=60)), max_size=40))
def test_x121_kept_output_holds_the_newest_bytes(steps: List[Union[bytes, int]]) -> None:
    kept = KeptOutput(16)
    model, dropped = b"", 0
    for step in steps:
        if isinstance(step, bytes):
            model += step
            excess = max(0, len(model) - 16)
            model, dropped = model[excess:], dropped + excess
            kept.append(step)
        else:
            content = (b"[%d bytes of output could not be kept]\r\n" % dropped if dropped else b"") + model
            count = min(step, len(content))
            kept.written(count)
            if count:
                model, dropped = content[count:], 0
        assert len(kept) == len(model)
        assert kept.content() == (b"[%d bytes of output could not be kept]\r\n" % dropped if dropped else b"") + model


def test_x122_full_device_drops_and_warns_each_time(lines: Lines) -> None:
    process = Process(Path("/dev/full"), lines)
    process.prints(b"1")
    process.prints(b"2")
    assert lines == [(WARN, "Failed to write to log file /dev/full")] * 2
    assert process.log.unwritten == 0
    process.end()


def test_x122_file_size_limit_counts_as_full(process: Process, path: Path, lines: Lines) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        process.prints(b"1234")
        process.prints(b"lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    process.prints(b"5")
    assert path.read_bytes() == b"12345"
    assert lines == [(WARN, f"Failed to write to log file {path}")]


def test_x123_partial_write_keeps_the_rest(path: Path, lines: Lines) -> None:
    # A pipe is a file that takes a part only. Its smallest capacity is one page.
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    process = Process(path, lines)
    process.prints(b"0")
    fcntl.fcntl(reader, 1031, resource.getpagesize())  # F_SETPIPE_SZ
    output = b"".join(b"%06d " % number for number in range(3000))
    process.prints(output)
    assert process.log.unwritten > 10000
    got = b""
    for _ in range(20):
        got += os.read(reader, 65536)
        process.prints(b".")
    assert process.log.unwritten == 0
    got += os.read(reader, 65536)
    assert got == b"0" + output + b"." * 20
    assert lines == []
    process.end()
    os.close(reader)


def test_a_file_whose_device_fails_is_opened_anew(process: Process, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process.prints(b"1")
    real, failures = os.write, [errno.EIO]

    def failing(descriptor: int, data: bytes) -> int:
        if failures and descriptor != process.slave:
            raise OSError(failures.pop(), "broken")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", failing)
    process.prints(b"2")
    path.rename(path.with_suffix(".1"))
    process.prints(b"3")
    assert path.read_bytes() == b"23"

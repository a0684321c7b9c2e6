"""Output that is held until the file system can be written to (X127-X129)."""
from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Iterator, List

import pytest

from compat.backends import job_log as job_log_module
from compat.backends.job_log import HELD_LIMIT, KEPT_LIMIT, HeldOutput
from compat.engine.actions import WARN
from tests.backends.job_log.job_output import Lines, Process


def test_x127_missing_directory_until_the_end_loses_the_output(tmp_path: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    process = Process(tmp_path / "missing" / "web.log", lines, held)
    process.prints(b"x")
    assert process.end()
    assert len(held) == 0 and lines == []


@pytest.fixture
def forbidden(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be written to until ``permit`` is called; root has to step down for that."""
    folder = tmp_path / "forbidden"
    folder.mkdir(0o500)
    if os.geteuid() == 0:
        os.seteuid(65534)
    yield folder
    permit(folder)


def permit(folder: Path) -> None:
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o700)


def test_x127_x129_held_output_is_written_oldest_first(forbidden: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    for name, text in (("a", b"pre-start "), ("b", b"other "), ("a", b"main "), ("a", b"post-stop")):
        process = Process(forbidden / name, lines, held)
        process.prints(text)
        assert process.end()
    assert len(held) == 4
    with pytest.raises(PermissionError):
        held.write_all()
    assert len(held) == 4 and not held.flushed
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"pre-start main post-stop"
    assert (forbidden / "b").read_bytes() == b"other "
    assert len(held) == 0 and held.flushed


def test_x127_output_of_left_over_children_is_still_taken(forbidden: Path, lines: Lines) -> None:
    released: List[int] = []
    held = HeldOutput(lambda priority, text: None, released.append)
    process = Process(forbidden / "a", lines, held)
    process.prints(b"main ")
    master = process.log.master
    assert not process.log.finish()
    process.prints(b"child ")
    os.write(process.slave, b"again")
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"main child again"
    assert released == [master] and process.log.master == -1
    with pytest.raises(OSError) as caught:
        os.write(process.slave, b"late")
    assert caught.value.errno == errno.EIO
    process.hang_up()


def test_x127_held_log_whose_last_writer_goes_closes_its_master(forbidden: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    process = Process(forbidden / "a", lines, held)
    process.prints(b"main ")
    assert not process.log.finish()
    os.write(process.slave, b"child")
    process.hang_up()
    assert not process.log.readable()
    assert process.log.finish() and process.log.master == -1
    assert len(held) == 1
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"main child"


def test_x128_nothing_is_held_after_a_flush(forbidden: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    held.write_all()
    process = Process(forbidden / "a", lines, held)
    process.prints(b"x")
    assert process.end()
    assert len(held) == 0
    permit(forbidden)
    assert not (forbidden / "a").exists()


def test_x127_too_much_held_output_is_refused(forbidden: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log_module, "HELD_LIMIT", 10)
    assert HELD_LIMIT >= KEPT_LIMIT
    held = HeldOutput(lambda priority, text: lines.append((priority, text)))
    for text in (b"123456", b"78901", b"7890"):
        process = Process(forbidden / "a", lines, held)
        process.prints(text)
        assert process.end()
    assert lines == [(WARN, "Failed to add log to unflushed queue")]
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"1234567890"

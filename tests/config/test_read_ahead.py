"""Job files that are parsed before the pause of a re-exec (D183)."""
from __future__ import annotations

import os
import pathlib
import tempfile
from typing import Callable, Iterator, Optional

import pytest

from compat.config import read_ahead
from compat.config.read_ahead import ReadAhead
from compat.parser import JobDefinition, parse_job
from tests.config.configuration import Configuration

TEXT = b"start on (a and b) or runlevel [2345]\nlimit nofile 10 20\nenv A=b\nexec sleep 1\n"


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was just made counts as one that has not changed for long."""
    monkeypatch.setattr(read_ahead, "_TICK", 0)


@pytest.fixture
def memfd() -> Iterator[Callable[..., int]]:
    made = []

    def request(*paths: pathlib.Path) -> int:
        made.append(read_ahead.request(map(os.fsencode, paths)))
        return made[-1]

    yield request
    for fd in made:
        os.close(fd)


def ahead(fd: int) -> ReadAhead:
    read_ahead.answer(fd)
    found = read_ahead.receive(fd)
    assert found is not None
    return found


def write(path: pathlib.Path, data: bytes = TEXT) -> pathlib.Path:
    path.write_bytes(data)
    # The clock of the file system is that of the last tick.
    while os.stat(path).st_ctime_ns >= _now(path.parent):
        pass
    return path


def _now(directory: pathlib.Path) -> int:
    with tempfile.TemporaryFile(dir=directory) as file:
        return os.fstat(file.fileno()).st_ctime_ns


def test_d183_what_has_not_changed_need_not_be_read(tmp_path: pathlib.Path, old: None, memfd: Callable[..., int]) -> None:
    paths = [write(tmp_path / f"{name}.conf") for name in ("a", "b")]
    found = ahead(memfd(*paths))
    for path in paths:
        assert found.definition(os.fsencode(path)) == parse_job(TEXT)
    assert found.definition(os.fsencode(tmp_path / "c.conf")) is None


def _rewritten(path: pathlib.Path) -> None:
    before = os.stat(path)
    path.write_bytes(TEXT.replace(b"sleep 1", b"sleep 2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(path: pathlib.Path) -> None:
    before = os.stat(path)
    new = path.with_suffix(".new")
    new.write_bytes(TEXT.replace(b"sleep 1", b"sleep 2"))
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.rename(path)


def _linked_elsewhere(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to(write(path.with_suffix(".other"), b"exec other\n"))


@pytest.mark.parametrize("change", [_rewritten, _replaced, _linked_elsewhere, pathlib.Path.unlink])
def test_d183_a_file_that_changed_since_is_read(tmp_path: pathlib.Path, old: None, memfd: Callable[..., int],
                                                change: Callable[[pathlib.Path], object]) -> None:
    path = write(tmp_path / "a.conf")
    found = ahead(memfd(path))
    change(path)
    assert found.definition(os.fsencode(path)) is None


def test_d183_a_file_whose_time_may_not_tell_is_read(tmp_path: pathlib.Path, memfd: Callable[..., int]) -> None:
    path = write(tmp_path / "a.conf")
    assert ahead(memfd(path)).definition(os.fsencode(path)) is None


def test_d183_what_is_wrong_with_a_file_is_said_when_it_is_loaded(tmp_path: pathlib.Path, old: None, memfd: Callable[..., int]) -> None:
    good, bad, fifo, missing = (tmp_path / name for name in ("good.conf", "bad.conf", "fifo.conf", "missing.conf"))
    write(good)
    write(bad, b"nonsense\n")
    os.mkfifo(fifo)
    found = ahead(memfd(good, bad, fifo, missing))
    assert [found.definition(os.fsencode(path)) is not None for path in (good, bad, fifo, missing)] == [True, False, False, False]


@pytest.mark.parametrize("another", [("0.0.0", "3.9"), None])
def test_d183_nothing_is_taken_of_another_program(tmp_path: pathlib.Path, old: None, memfd: Callable[..., int],
                                                  monkeypatch: pytest.MonkeyPatch, another: Optional[object]) -> None:
    fd = memfd(write(tmp_path / "a.conf"))
    with monkeypatch.context() as patch:
        patch.setattr(read_ahead, "_PROGRAM", another)
        read_ahead.answer(fd)
    assert read_ahead.receive(fd) is None


def test_d183_a_trial_that_did_not_answer(tmp_path: pathlib.Path, memfd: Callable[..., int]) -> None:
    fd = memfd(write(tmp_path / "a.conf"))
    assert read_ahead.receive(fd) is None
    os.truncate(fd, 0)
    assert read_ahead.receive(fd) is None


def test_d6_a_version_that_is_asked_for_at_a_terminal() -> None:
    """The variable may be in anybody's environment: what is no such file is left alone."""
    reading, writing = os.pipe()
    read_ahead.answer(reading)
    read_ahead.answer(writing)
    os.close(reading)
    os.close(writing)


def test_d183_p10_a_catalogue_takes_what_was_read_ahead_and_applies_overrides(
        tmp_path: pathlib.Path, old: None, memfd: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration(tmp_path)
    paths = [write(tmp_path / f"{name}.conf") for name in ("a", "b")]
    (tmp_path / "b.override").write_text("manual\n")
    configuration.catalogue.read_ahead = ahead(memfd(*paths))

    def parse(data: bytes, base: Optional[JobDefinition] = None) -> JobDefinition:
        assert base is not None, "a file was parsed again"
        return parse_job(data, base)

    monkeypatch.setattr("compat.config.catalogue.parse_job", parse)
    assert configuration.load().jobs == {"a": parse_job(TEXT), "b": parse_job(TEXT)._replace(start_on=None)}

"""Limits, lost events and bursts (D89, D103-D104, P17)."""
from __future__ import annotations

import builtins
import errno
import os
import time
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from compat.config.inotify import Inotify
from compat.config.sources import Source
from compat.engine.actions import WARN
from tests.config.configuration import Configuration, author, write

Configure = Callable[..., Configuration]


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Limited(Inotify):
    """As if the kernel refused to watch directories of some names."""

    refused: Callable[[str], Optional[OSError]]

    def add(self, directory: bytes, mask: int) -> int:
        problem = self.refused(os.path.basename(os.fsdecode(directory)))
        if problem is not None:
            raise problem
        return super().add(directory, mask)


def limited(*names: str, number: int = errno.ENOSPC) -> Callable[[], Inotify]:
    def make() -> Inotify:
        inotify = Limited()
        inotify.refused = lambda name: error(number) if name in names else None
        return inotify

    return make


def none_to_give(number: int) -> Callable[[], Inotify]:
    def make() -> Inotify:
        raise error(number)

    return make


def test_d89_without_inotify_a_reload_still_works(confdir: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir, inotify=none_to_give(errno.ENOSYS)).watch()
    write(confdir / "y.conf")
    configuration.watcher.dispatch()
    assert not configuration.readable()
    assert set(configuration.jobs) == {"x"}
    configuration.catalogue.reload()
    assert set(configuration.jobs) == {"x", "y"}
    assert configuration.complaints() == []


def test_d103_no_instance_left_is_warned_of_per_source(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(confdir / "n" / "x.conf")
    file = Source(str(tmp_path / "init.conf"), is_file=True)
    configuration = configure(file, confdir, tmp_path / "missing", inotify=none_to_give(errno.EMFILE)).watch()
    assert set(configuration.jobs) == {"n/x"}
    assert configuration.said(WARN) == [
        f"{tmp_path}/init.conf: Unable to watch configuration file: Too many open files",
        f"{confdir}: Unable to watch configuration directory: Too many open files"]


def test_d134_a_reload_gets_the_missing_instance(confdir: Path, configure: Configure) -> None:
    answers = [none_to_give(errno.EMFILE), Inotify]
    configuration = configure(confdir, inotify=lambda: answers.pop(0)()).watch()
    fd = configuration.watcher.fileno()
    configuration.catalogue.reload()
    write(confdir / "x.conf")
    assert set(configuration.settle().jobs) == {"x"}
    assert configuration.watcher.fileno() == fd


def test_d89_without_pyinotify(confdir: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    write(confdir / "x.conf")
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pyinotify":
            raise ModuleNotFoundError("No module named 'pyinotify'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    configuration = configure(confdir).watch()
    configuration.catalogue.reload()
    assert set(configuration.jobs) == {"x"}
    assert configuration.complaints() == ["Changes of job files are seen on reload only: No module named 'pyinotify'"]


def test_d103_a_source_that_cannot_be_watched_is_loaded(confdir: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir, inotify=limited("C")).watch()
    assert set(configuration.jobs) == {"x"}
    assert configuration.complaints() == [f"{confdir}: Unable to watch configuration directory: No space left on device"]


def test_p17_a_sub_directory_that_cannot_be_watched(confdir: Path, configure: Configure) -> None:
    write(confdir / "n" / "x.conf")
    configuration = configure(confdir, inotify=limited("n", "late")).watch()
    write(confdir / "late" / "y.conf")
    assert set(configuration.settle().jobs) == {"n/x", "late/y"}
    assert configuration.complaints() == [
        f"{confdir}/{each}: Unable to watch directory: No space left on device" for each in ("n", "late")]


def test_d103_a_directory_above_that_cannot_be_watched_does_no_harm(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir, inotify=limited(tmp_path.name, number=errno.EACCES)).watch()
    write(confdir / "y.conf")
    assert set(configuration.settle().jobs) == {"x", "y"}
    assert configuration.complaints() == []


def test_the_kernels_own_error_is_reported(tmp_path: Path) -> None:
    inotify = Inotify()
    try:
        with pytest.raises(FileNotFoundError):
            inotify.add(os.fsencode(tmp_path / "none"), 0x100)
        with pytest.raises(NotADirectoryError):
            inotify.add(os.fsencode(write(tmp_path / "file")), 0x100)
        mask_create = 0x10000000  # may not go together with MASK_ADD
        with pytest.raises(OSError) as caught:
            inotify.add(os.fsencode(tmp_path), 0x100 | mask_create)
        assert caught.value.errno == errno.EINVAL
        inotify.remove(4711)
        assert inotify.read() == []
    finally:
        inotify.close()


def queue_length() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


def test_d104_beyond_lost_events(confdir: Path, configure: Configure) -> None:
    write(confdir / "a.conf", author("old"))
    write(confdir / "gone.conf")
    write(confdir / "n" / "x.conf")
    configuration = configure(confdir).watch()
    busy = [os.fspath(write(confdir / f"busy{number}.conf")) for number in range(2)]
    (confdir / "gone.conf").unlink()
    assert queue_length() <= 100000, "this test would take long"
    for number in range(max(20000, queue_length() + 1000)):
        os.close(os.open(busy[number % 2], os.O_WRONLY))
    # None of these is in the queue any more.
    (confdir / "n").rename(confdir / "o")
    write(confdir / "a.conf", author("new"))
    write(confdir / "o" / "late.conf")
    configuration.settle()
    assert set(configuration.jobs) == {"a", "busy0", "busy1", "o/x", "o/late"}
    assert configuration.author("a") == "new"
    assert any("Too many file changes" in line for line in configuration.said())
    assert configuration.complaints() == []
    # Up to date, and still watching.
    write(confdir / "o" / "later.conf")
    assert "o/later" in configuration.settle().jobs


def test_a_burst_is_worked_off_in_pieces_and_each_file_read_once_a_piece(confdir: Path, configure: Configure) -> None:
    path = os.fspath(write(confdir / "x.conf"))
    other = os.fspath(write(confdir / "ignored"))
    configuration = configure(confdir).watch()
    for _ in range(2000):
        os.close(os.open(path, os.O_WRONLY))
        os.close(os.open(other, os.O_WRONLY))
    pieces = 0
    while configuration.readable():
        began = time.monotonic()
        configuration.watcher.dispatch()
        pieces += 1
        assert time.monotonic() - began < 1.0
    assert 4 <= pieces <= 100
    assert len(configuration.fed) == 1 + pieces

"""Whatever is done to the directories, and whenever it is looked at: in the end the catalogue is what a fresh load makes of them."""
from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import List, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.config.configuration import Configuration

_FILES = ["a.conf", "b.conf", "a.override", "n/a.conf", "n/b.conf", "n/a.override", "n/m/a.conf", "l.conf/a.conf", "junk", "n~/a.conf"]
_DIRECTORIES = ["", "n", "n/m", "o", "n~", "l.conf"]

_file = st.tuples(st.integers(0, 1), st.sampled_from(_FILES))
_directory = st.tuples(st.integers(0, 1), st.sampled_from(_DIRECTORIES))
_content = st.sampled_from(["author one\n", "author two\n", "version 3\n", "bogus\n", "", "manual\n"])
_operation = st.one_of(
    st.tuples(st.just("write"), _file, _content),
    st.tuples(st.just("replace"), _file, _content),
    st.tuples(st.just("unlink"), _file),
    st.tuples(st.just("link"), _file, _content),
    st.tuples(st.just("symlink"), _file, _content),
    st.tuples(st.just("link directory"), st.integers(0, 1)),
    st.tuples(st.just("move"), _file, _file),
    st.tuples(st.just("mkdir"), _directory),
    st.tuples(st.just("remove tree"), _directory),
    st.tuples(st.just("move tree"), _directory, _directory),
    st.tuples(st.just("dispatch")),
    st.tuples(st.just("reload")))


class _Host:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.tops = [place / "0", place / "1"]
        self.serial = 0
        self.configuration = Configuration(*self.tops)

    def path(self, where: Tuple[int, str]) -> Path:
        return self.tops[where[0]] / where[1]

    def aside(self, content: str) -> Path:
        self.serial += 1
        path = self.place / f"aside{self.serial}"
        path.write_text(content)
        return path

    def do(self, what: str, *arguments: object) -> None:
        getattr(self, what.replace(" ", "_"))(*arguments)

    def write(self, where: Tuple[int, str], content: str) -> None:
        path = self.path(where)
        # Written through another name, a file is not noticed to have changed (P15): nothing to compare then.
        if path.is_symlink() or (path.exists() and path.stat().st_nlink > 1):
            path.unlink()
        path.write_text(content)

    def replace(self, where: Tuple[int, str], content: str) -> None:
        self.aside(content).rename(self.path(where))

    def unlink(self, where: Tuple[int, str]) -> None:
        self.path(where).unlink()

    def link(self, where: Tuple[int, str], content: str) -> None:
        os.link(self.aside(content), self.path(where))

    def symlink(self, where: Tuple[int, str], content: str) -> None:
        self.path(where).symlink_to(self.aside(content))

    def link_directory(self, top: int) -> None:
        target = self.place / "target"
        target.mkdir(exist_ok=True)
        (self.tops[top] / "l.conf").symlink_to(target)

    def move(self, source: Tuple[int, str], target: Tuple[int, str]) -> None:
        self.path(source).rename(self.path(target))

    def mkdir(self, where: Tuple[int, str]) -> None:
        self.path(where).mkdir()

    def remove_tree(self, where: Tuple[int, str]) -> None:
        path = self.path(where)
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)

    def move_tree(self, source: Tuple[int, str], target: Tuple[int, str]) -> None:
        # A source that is moved away keeps its jobs (D112), a fresh load would not have them.
        if source[1] and target[1]:
            self.path(source).rename(self.path(target))

    def dispatch(self) -> None:
        if self.configuration.readable():
            self.configuration.watcher.dispatch()

    def reload(self) -> None:
        self.configuration.catalogue.reload()


@settings(max_examples=100)
@given(st.lists(_operation, max_size=40))
def test_d88_d113_the_catalogue_follows_the_disk(operations: List[Tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        host = _Host(Path(place))
        try:
            host.mkdir((0, ""))
            host.configuration.watch()
            for operation in operations:
                try:
                    host.do(*operation)  # type: ignore[arg-type]
                except OSError:
                    pass  # impossible at this point
            host.configuration.settle()
            fresh = Configuration(*host.tops).load()
            fresh.watcher.close()
            assert host.configuration.jobs == fresh.jobs
        finally:
            host.configuration.watcher.close()

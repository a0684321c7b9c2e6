"""What is noticed of changes on the disk, with the kernel's real notifications (P15, D88-D113)."""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable

import pytest

from compat.config.sources import Source
from compat.engine.actions import DEBUG
from tests.config.configuration import Configuration, author, open_descriptors, write

Configure = Callable[..., Configuration]
DEFINED_X, FORGOTTEN_X = ("+", "x"), ("-", "x")


# -- files ------------------------------------------------------------------------------------------------------


def test_d90_a_file_is_loaded_when_it_is_closed(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    with open(confdir / "x.conf", "wb", buffering=0) as file:
        file.write(b"author m")
        assert configuration.settle().jobs == {}
        file.write(b"e\n")
    assert configuration.settle().author("x") == "me"
    assert configuration.fed == [DEFINED_X]
    assert configuration.complaints() == []


@pytest.mark.parametrize("flags", [os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_WRONLY])
def test_d91_any_close_after_writing_reloads(confdir: Path, configure: Configure, flags: int) -> None:
    path = write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    os.close(os.open(path, flags))
    assert configuration.settle().fed == [DEFINED_X, DEFINED_X]


def test_d98_reading_and_attributes_do_not(confdir: Path, configure: Configure) -> None:
    path = write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    path.read_bytes()
    path.chmod(0o600)
    os.utime(path)
    assert configuration.settle().fed == [DEFINED_X]


def test_d92_a_rename_over_the_file_is_one_reload(confdir: Path, configure: Configure) -> None:
    write(confdir / "x.conf", author("old"))
    configuration = configure(confdir).watch()
    write(confdir / "x.conf.dpkg-new", author("new")).rename(confdir / "x.conf")
    assert configuration.settle().fed == [DEFINED_X, DEFINED_X]
    assert configuration.author("x") == "new"


def test_d93_rename_away_and_create(confdir: Path, configure: Configure) -> None:
    path = write(confdir / "x.conf", author("old"))
    configuration = configure(confdir).watch()
    path.rename(confdir / "x.conf~")
    write(path, author("new"))
    assert configuration.settle().fed == [DEFINED_X, FORGOTTEN_X, DEFINED_X]
    assert configuration.author("x") == "new"


def test_d94_a_rename_in_the_tree(confdir: Path, configure: Configure) -> None:
    path = write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    path.rename(confdir / "y.conf")
    assert configuration.settle().fed == [DEFINED_X, FORGOTTEN_X, ("+", "y")]


def test_d95_d96_moved_in_moved_out_deleted(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    write(tmp_path / "x.conf").rename(confdir / "x.conf")
    assert configuration.settle().fed == [DEFINED_X]
    (confdir / "x.conf").rename(tmp_path / "x.conf")
    assert configuration.settle().jobs == {}
    write(confdir / "x.conf")
    configuration.settle()
    (confdir / "x.conf").unlink()
    assert configuration.settle().jobs == {}
    assert configuration.complaints() == []


def test_d102_a_move_between_sources(tmp_path: Path, configure: Configure) -> None:
    path = write(tmp_path / "2" / "x.conf", author("me"))
    (tmp_path / "1").mkdir()
    configuration = configure(tmp_path / "1", tmp_path / "2").watch()
    path.rename(tmp_path / "1" / "x.conf")
    assert configuration.settle().fed == [DEFINED_X, FORGOTTEN_X, DEFINED_X]


def test_p9_d127_priorities_follow_the_files(tmp_path: Path, configure: Configure) -> None:
    high = write(tmp_path / "1" / "a.conf", author("high"))
    write(tmp_path / "2" / "a.conf", author("low"))
    configuration = configure(tmp_path / "1", tmp_path / "2").watch()
    write(high, "bogus\n")
    assert configuration.settle().author("a") == "low"
    write(tmp_path / "new", author("repaired")).rename(high)
    assert configuration.settle().author("a") == "repaired"
    high.unlink()
    assert configuration.settle().author("a") == "low"
    assert ("-", "a") not in configuration.fed


def test_d109_d122_a_broken_file_forgets_the_job(confdir: Path, configure: Configure) -> None:
    path = write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    write(path, "bogus\n")
    assert configuration.settle().fed == [DEFINED_X, FORGOTTEN_X]
    assert configuration.complaints() == [f"{path}:1: Unknown stanza"]


def test_p18_a_file_that_is_gone_when_it_is_read(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    write(confdir / "x.conf")
    os.rename(confdir / "x.conf", confdir / "y.conf")
    os.mkfifo(confdir / "z.conf")
    assert configuration.settle().fed == [("+", "y")]
    assert configuration.complaints() == []


def test_d108_names_that_are_not_utf8(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    name = os.fsdecode(b"caf\xe9")
    write(confdir / f"{name}.conf")
    write(confdir / "bad \udcff name")
    (confdir / name).mkdir()
    configuration.settle()
    write(confdir / name / "in.conf")
    assert set(configuration.settle().jobs) == {name, f"{name}/in"}


# -- links -----------------------------------------------------------------------------------------------------------


def test_d97_beyond_a_hard_link_is_loaded_and_its_deletion_honoured(confdir: Path, configure: Configure) -> None:
    path = write(confdir / "a.conf", author("me"))
    configuration = configure(confdir).watch()
    os.link(path, confdir / "b.conf")
    assert configuration.settle().author("b") == "me"
    (confdir / "b.conf").unlink()
    assert set(configuration.settle().jobs) == {"a"}


def test_d97_p7_beyond_a_symbolic_link_is_loaded_and_its_deletion_honoured(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    target = write(tmp_path / "target", author("me"))
    configuration = configure(confdir).watch()
    (confdir / "s.conf").symlink_to(target)
    assert configuration.settle().author("s") == "me"
    (confdir / "s.conf").unlink()
    assert configuration.settle().jobs == {}
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "link").rename(confdir / "s.conf")
    assert configuration.settle().author("s") == "me"


def test_d107_a_dangling_lock_link_is_ignored(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    (confdir / ".#foo.conf").symlink_to("user@host.1:2")
    assert configuration.settle().jobs == {}
    assert configuration.complaints() == []


def test_d97_a_file_replaced_by_a_dangling_link_is_gone(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "link").rename(confdir / "x.conf")
    assert configuration.settle().jobs == {}


def test_d75_d97_linked_directories(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(tmp_path / "elsewhere" / "in.conf")
    configuration = configure(confdir).watch()
    (confdir / "l.conf").symlink_to(tmp_path / "elsewhere")
    assert set(configuration.settle().jobs) == {"l.conf/in"}
    write(tmp_path / "elsewhere" / "too.conf")
    assert set(configuration.settle().jobs) == {"l.conf/in", "l.conf/too"}
    (confdir / "l.conf").unlink()
    assert configuration.settle().jobs == {}
    write(tmp_path / "elsewhere" / "more.conf")
    assert configuration.settle().jobs == {}


# -- overrides ---------------------------------------------------------------------------------------------------------


def test_p15_d85_d106_an_override_comes_changes_and_goes(confdir: Path, configure: Configure) -> None:
    write(confdir / "x.conf", "start on a\n")
    configuration = configure(confdir).watch()
    plain = configuration.jobs["x"]
    override = write(confdir / "x.override", "manual\n")
    assert configuration.settle().jobs["x"].start_on is None
    write(override, author("me"))
    assert configuration.settle().author("x") == "me"
    override.rename(confdir / "x.off")
    assert configuration.settle().jobs["x"] == plain
    (confdir / "x.off").rename(override)
    assert configuration.settle().author("x") == "me"
    override.unlink()
    assert configuration.settle().jobs["x"] == plain
    assert set(configuration.fed) == {DEFINED_X}
    assert (DEBUG, "conf_delete_handler: Reloading configuration for matching configs on deletion of override"
                   f" ({override})") in configuration.lines


def test_d30_d83_overrides_in_two_sources(tmp_path: Path, configure: Configure) -> None:
    high = write(tmp_path / "P" / "x.override", author("high"))
    low = write(tmp_path / "C" / "x.override", author("low"))
    write(tmp_path / "C" / "x.conf", author("conf"))
    configuration = configure(tmp_path / "P", tmp_path / "C").watch()
    seen = [configuration.author("x")]
    for override in (high, low):
        override.unlink()
        seen.append(configuration.settle().author("x"))
    assert seen == ["high", "low", "conf"]


def test_p15_a_conf_made_after_its_override(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    write(confdir / "x.override", author("override"))
    assert configuration.settle().fed == []
    write(confdir / "x.conf")
    assert configuration.settle().author("x") == "override"
    assert configuration.fed == [DEFINED_X]


def test_d86_d97_a_linked_override(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    (confdir / "x.override").symlink_to(write(tmp_path / "target", author("linked")))
    assert configuration.settle().author("x") == "linked"


def test_d85_overrides_come_and_go_with_their_directory(tmp_path: Path, configure: Configure) -> None:
    write(tmp_path / "C" / "n" / "x.conf", author("conf"))
    (tmp_path / "P").mkdir()
    write(tmp_path / "n" / "x.override", author("override"))
    configuration = configure(tmp_path / "P", tmp_path / "C").watch()
    (tmp_path / "n").rename(tmp_path / "P" / "n")
    assert configuration.settle().author("n/x") == "override"
    (tmp_path / "P" / "n").rename(tmp_path / "n")
    assert configuration.settle().author("n/x") == "conf"


# -- sub-directories -----------------------------------------------------------------------------------------------------


def test_d99_a_new_sub_directory_is_walked_and_watched(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    write(confdir / "n" / "deep" / "m.conf")
    write(confdir / "n" / "a.conf")
    assert configuration.settle().fed == [("+", "n/a"), ("+", "n/deep/m")]
    write(confdir / "n" / "deep" / "late.conf")
    assert configuration.settle().fed[2:] == [("+", "n/deep/late")]


def test_d99_a_directory_that_is_filled_while_it_is_found_is_read_once(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    (confdir / "n").mkdir()
    configuration.settle()
    (confdir / "n" / "deep").mkdir()
    write(confdir / "n" / "deep" / "a.conf")
    configuration.watcher.dispatch()
    (confdir / "n" / "deep" / "deeper").mkdir()
    write(confdir / "n" / "deep" / "deeper" / "b.conf")
    assert configuration.settle().fed == [("+", "n/deep/a"), ("+", "n/deep/deeper/b")]


def test_d73_an_ignored_sub_directory_stays_ignored(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir).watch()
    write(confdir / ".git" / "x.conf")
    configuration.settle()
    write(confdir / ".git" / "y.conf")
    assert configuration.settle().jobs == {}


def test_d100_a_deleted_sub_directory(confdir: Path, configure: Configure) -> None:
    write(confdir / "n" / "x.conf")
    write(confdir / "n" / "o" / "y.conf")
    configuration = configure(confdir).watch()
    shutil.rmtree(confdir / "n")
    configuration.until(lambda: (DEBUG, f"nih_watch_handle: Ceasing watch on {confdir}/n") in configuration.lines)
    assert configuration.jobs == {}
    assert configuration.complaints() == []


def test_d101_beyond_a_renamed_sub_directory(confdir: Path, configure: Configure) -> None:
    write(confdir / "n" / "m.conf", author("old"))
    write(confdir / "n" / "deep" / "d.conf")
    configuration = configure(confdir).watch()
    (confdir / "n").rename(confdir / "o")
    assert set(configuration.settle().jobs) == {"o/m", "o/deep/d"}
    write(confdir / "o" / "m.conf", author("new"))
    write(confdir / "o" / "deep" / "late.conf")
    assert configuration.settle().author("o/m") == "new"
    assert "o/deep/late" in configuration.jobs


def test_d101_a_sub_directory_moved_out_and_away(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(confdir / "n" / "m.conf")
    configuration = configure(confdir).watch()
    (confdir / "n").rename(tmp_path / "out")
    assert configuration.settle().jobs == {}
    write(tmp_path / "out" / "late.conf")
    assert configuration.settle().jobs == {}
    (tmp_path / "out").rename(confdir / "n~")
    assert configuration.settle().jobs == {}
    (confdir / "n~").rename(confdir / "n")
    assert set(configuration.settle().jobs) == {"n/m", "n/late"}


def test_d99_d111_a_sub_directory_deleted_and_made_again_before_anybody_looks(confdir: Path, configure: Configure) -> None:
    write(confdir / "n" / "old.conf")
    configuration = configure(confdir).watch()
    for job in ("once", "again"):
        shutil.rmtree(confdir / "n")
        write(confdir / "n" / f"{job}.conf")
    configuration.until(lambda: not configuration.readable())
    assert set(configuration.jobs) == {"n/again"}
    write(confdir / "n" / "late.conf")
    assert set(configuration.settle().jobs) == {"n/again", "n/late"}


# -- the source's own directory ---------------------------------------------------------------------------------------------


def gone(path: Path) -> str:
    return f"{path}: Configuration directory deleted"


def test_d112_beyond_a_deleted_and_recreated_source(confdir: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    shutil.rmtree(confdir)
    configuration.until(lambda: bool(configuration.complaints()))
    assert configuration.settle().jobs == {}
    assert configuration.complaints() == [gone(confdir)]
    write(confdir / "y.conf")
    assert set(configuration.settle().jobs) == {"y"}
    write(confdir / "z.conf")
    assert set(configuration.settle().jobs) == {"y", "z"}
    assert configuration.complaints() == [gone(confdir)]


def test_d112_deleted_and_recreated_before_anybody_looks(confdir: Path, configure: Configure) -> None:
    write(confdir / "x.conf", author("old"))
    configuration = configure(confdir).watch()
    shutil.rmtree(confdir)
    write(confdir / "x.conf", author("new"))
    configuration.settle()
    assert configuration.author("x") == "new"
    assert configuration.complaints() == [gone(confdir)]
    assert len(configuration.said()) == 2, "one load at start, one for the new directory"
    write(confdir / "z.conf")
    assert set(configuration.settle().jobs) == {"x", "z"}


def test_d112_p17_a_renamed_source_keeps_its_jobs_until_there_is_a_new_one(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    confdir.rename(tmp_path / "D")
    assert set(configuration.settle().jobs) == {"x"}
    assert configuration.complaints() == [gone(confdir)]
    write(tmp_path / "D" / "late.conf")
    assert set(configuration.settle().jobs) == {"x"}
    write(confdir / "y.conf")
    assert set(configuration.settle().jobs) == {"y"}


def test_d112_a_renamed_source_loses_its_jobs_at_a_reload(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    write(confdir / "x.conf")
    configuration = configure(confdir).watch()
    confdir.rename(tmp_path / "D")
    configuration.settle().catalogue.reload()
    assert configuration.jobs == {}


def test_d113_beyond_a_source_that_is_missing_at_start(tmp_path: Path, configure: Configure) -> None:
    place = tmp_path / "not" / "yet" / "there"
    configuration = configure(place).watch()
    assert configuration.lines == [configuration.lines[0]]
    write(place / "n" / "x.conf")
    assert set(configuration.settle().jobs) == {"n/x"}
    write(place / "n" / "y.conf")
    assert set(configuration.settle().jobs) == {"n/x", "n/y"}
    assert configuration.complaints() == []


def test_d113_step_by_step_and_by_rename(tmp_path: Path, configure: Configure) -> None:
    configuration = configure(tmp_path / "not" / "yet").watch()
    (tmp_path / "not").mkdir()
    assert configuration.settle().jobs == {}
    write(tmp_path / "not" / "prepared" / "x.conf")
    (tmp_path / "not" / "prepared").rename(tmp_path / "not" / "yet")
    assert set(configuration.settle().jobs) == {"x"}


def test_d112_the_directory_above_goes_too(tmp_path: Path, configure: Configure) -> None:
    place = tmp_path / "config" / "upstart"
    write(place / "x.conf")
    configuration = configure(place).watch()
    for _ in range(2):
        shutil.rmtree(tmp_path / "config")
        configuration.until(lambda: configuration.jobs == {})
        configuration.settle()
        write(place / "x.conf")
        configuration.until(lambda: "x" in configuration.jobs)
        configuration.settle()
    assert configuration.complaints() == [gone(place)] * 2


def test_d112_the_directory_above_is_renamed(tmp_path: Path, configure: Configure) -> None:
    place = tmp_path / "config" / "upstart"
    write(place / "x.conf")
    configuration = configure(place).watch()
    (tmp_path / "config").rename(tmp_path / "other")
    configuration.settle()
    assert configuration.complaints() == [gone(place)]
    write(place / "y.conf")
    assert set(configuration.settle().jobs) == {"y"}


def test_d112_a_relative_source(tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configuration = configure(Source("C")).watch()
    write(tmp_path / "C" / "x.conf", "bogus\n")
    assert configuration.settle().complaints() == ["C/x.conf:1: Unknown stanza"]


def test_d75_d112_a_source_that_is_a_link_is_switched(tmp_path: Path, configure: Configure) -> None:
    for each in ("1", "2"):
        write(tmp_path / each / f"{each}.conf")
    link = tmp_path / "link"
    link.symlink_to("1")
    configuration = configure(link).watch()
    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(link)
    assert set(configuration.settle().jobs) == {"2"}
    write(tmp_path / "1" / "late.conf")
    write(tmp_path / "2" / "late.conf")
    assert set(configuration.settle().jobs) == {"2", "late"}


def test_d102_one_source_inside_another(confdir: Path, configure: Configure) -> None:
    configuration = configure(confdir, confdir / "n").watch()
    write(confdir / "n" / "x.conf")
    assert set(configuration.settle().jobs) == {"n/x", "x"}
    (confdir / "n" / "x.conf").unlink()
    assert configuration.settle().jobs == {}
    shutil.rmtree(confdir)
    configuration.until(lambda: len(configuration.complaints()) == 2)
    assert set(configuration.complaints()) == {gone(confdir), gone(confdir / "n")}


# -- /etc/init.conf ----------------------------------------------------------------------------------------------------------


def test_d88_the_single_file_is_watched(tmp_path: Path, configure: Configure) -> None:
    path = tmp_path / "etc" / "init.conf"
    configuration = configure(Source(str(path), is_file=True)).watch()
    write(path, "task\n")
    configuration.settle()
    assert configuration.complaints() == [f"{path}:1: Unknown stanza"]
    write(path.parent / "init", "\ntask\n").rename(path)
    configuration.settle()
    write(path.parent / "other.conf", "task\n")
    path.unlink()
    configuration.settle()
    assert configuration.complaints()[1:] == [f"{path}:2: Unknown stanza"]


# -- reload, descriptors -----------------------------------------------------------------------------------------------------


def test_d134_a_reload_keeps_the_watches(confdir: Path, configure: Configure) -> None:
    write(confdir / "n" / "x.conf")
    configuration = configure(confdir).watch()
    before = open_descriptors()
    for _ in range(3):
        configuration.catalogue.reload()
    assert open_descriptors() == before
    write(confdir / "n" / "y.conf")
    (confdir / "n").rename(confdir / "o")
    assert set(configuration.settle().jobs) == {"o/x", "o/y"}


def test_d88_descriptors_are_not_inherited(confdir: Path, configure: Configure) -> None:
    before = {int(name) for name in os.listdir("/proc/self/fd")}
    configure(confdir).watch()
    new = [fd for fd in (int(name) for name in os.listdir("/proc/self/fd")) if fd not in before and os.path.exists(f"/proc/self/fd/{fd}")]
    assert new
    assert not any(os.get_inheritable(fd) for fd in new)


def test_idle_and_unrelated_changes_wake_nobody(confdir: Path, tmp_path: Path, configure: Configure) -> None:
    path = write(tmp_path / "neighbour")
    configuration = configure(confdir).watch()
    assert not configuration.readable()
    write(path, "more")
    path.read_bytes()
    (confdir.parent / "neighbour").chmod(0o600)
    assert not configuration.readable()

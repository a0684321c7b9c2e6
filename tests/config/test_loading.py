"""Walking, reading and parsing: the first load (P2-P11, P14, P17-P19, P22-P27, D70-D80)."""
from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from compat.config import tree
from compat.config.sources import Source
from compat.engine.actions import DEBUG, INFO, WARN
from compat.parser import JobDefinition
from tests.config.configuration import Configuration, author, open_descriptors, write


def test_p5_d74_sub_directories_make_names(confdir: Path) -> None:
    write(confdir / "net" / "apache.conf")
    write(confdir / "a" / "b" / "c" / "d.conf")
    write(confdir / "a.b.conf")
    write(confdir / "sp ace.conf")
    assert set(Configuration(confdir).load().jobs) == {"net/apache", "a/b/c/d", "a.b", "sp ace"}


def test_p3_p4_hidden_job_files_count(confdir: Path) -> None:
    write(confdir / ".hidden.conf")
    write(confdir / "#x.conf")
    assert set(Configuration(confdir).load().jobs) == {".hidden", "#x"}


def test_p3_d72_names_that_do_not_count(confdir: Path) -> None:
    for name in (".conf", ".override", "X.CONF", "foo.conf~", "foo.conf.dpkg-new", "README"):
        write(confdir / name, "bogus\n")
    configuration = Configuration(confdir).load()
    assert configuration.jobs == {}
    assert configuration.complaints() == []


def test_p4_d73_ignored_directories(confdir: Path) -> None:
    for name in ("CVS", ".git", "x.bak", "old~", "d.rpmsave"):
        write(confdir / name / "j.conf")
    write(confdir / "d.conf" / "x.conf")
    assert set(Configuration(confdir).load().jobs) == {"d.conf/x"}


def test_p11_d83_a_lone_override_is_silent(confdir: Path) -> None:
    write(confdir / "only.override", "bogus\n")
    configuration = Configuration(confdir).load()
    assert configuration.jobs == {}
    assert configuration.complaints() == []


def test_p19_d77_an_empty_file_is_a_job(confdir: Path) -> None:
    write(confdir / "e.conf")
    write(confdir / "c.conf", "# nothing\n\n")
    assert Configuration(confdir).load().jobs == {"e": JobDefinition(), "c": JobDefinition()}


def test_p8_d76_walking_order(confdir: Path) -> None:
    for name in ("b.conf", "a/z.conf", "a/B.conf", "a.conf", "B.conf", "é.conf", os.fsdecode(b"\xff.conf"), "\U0001f600.conf"):
        write(confdir / name)
    assert [job for _, job in Configuration(confdir).load().fed] == [
        "B", "a/B", "a/z", "a", "b", "é", "\U0001f600", os.fsdecode(b"\xff")]


def test_p45_names_that_are_not_utf8(confdir: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write(confdir / f"{name}.conf", author("me"))
    write(confdir / name / "in.conf")
    assert set(Configuration(confdir).load().jobs) == {name, f"{name}/in"}


def test_d64_sources_load_in_order(tmp_path: Path) -> None:
    write(tmp_path / "1" / "b.conf")
    write(tmp_path / "2" / "a.conf")
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    assert configuration.fed == [("+", "b"), ("+", "a")]
    assert configuration.said() == [f"Loading configuration from {tmp_path}/{each}" for each in "12"]


def test_p9_d8_the_first_source_wins(tmp_path: Path) -> None:
    for each in "PBA":
        write(tmp_path / each / "j.conf", author(each))
    configuration = Configuration(*(tmp_path / each for each in "PBA")).load()
    assert configuration.author("j") == "P"
    assert configuration.fed == [("+", "j")]


def test_d78_a_broken_file_does_not_hide_a_lower_one(tmp_path: Path) -> None:
    write(tmp_path / "1" / "j.conf", "bogus\n")
    write(tmp_path / "2" / "j.conf", author("low"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    assert configuration.author("j") == "low"
    assert configuration.complaints() == [f"{tmp_path}/1/j.conf:1: Unknown stanza"]


def test_p26_d79_the_whole_file_is_rejected(confdir: Path) -> None:
    write(confdir / "bad.conf", "author me\nexec true\nbogus\n")
    write(confdir / "good.conf")
    configuration = Configuration(confdir).load()
    assert set(configuration.jobs) == {"good"}
    assert configuration.complaints() == [f"{confdir}/bad.conf:3: Unknown stanza"]


def test_p24_d80_a_bad_signal_and_its_override_is_not_read(confdir: Path) -> None:
    write(confdir / "x.conf", "kill signal FOO\n")
    write(confdir / "x.override", "bogus\n")
    configuration = Configuration(confdir).load()
    assert configuration.jobs == {}
    [complaint] = configuration.complaints()
    assert complaint.startswith(f"{confdir}/x.conf:")
    assert complaint.endswith("Illegal signal status, expected integer")


def test_p27_b2_a_bad_file_with_a_good_override_is_no_job_and_complained_of_once(confdir: Path) -> None:
    write(confdir / "bad.conf", "exec good\nfoo\n")
    write(confdir / "bad.override", "exec ov\n")
    configuration = Configuration(confdir).load()
    assert configuration.jobs == {}
    assert configuration.complaints() == [f"{confdir}/bad.conf:2: Unknown stanza"]


# -- links and odd files -----------------------------------------------------------------------------------------


def test_p7_d75_a_linked_file_is_loaded(confdir: Path, tmp_path: Path) -> None:
    (confdir / "s.conf").symlink_to(write(tmp_path / "elsewhere", author("target")))
    (confdir / "plain").symlink_to(tmp_path / "elsewhere")
    assert Configuration(confdir).load().jobs == {"s": JobDefinition(author="target")}


def test_p7_d75_a_dangling_link_is_warned_of(confdir: Path) -> None:
    (confdir / "d.conf").symlink_to("nowhere")
    (confdir / "e").symlink_to("nowhere")
    write(confdir / "x.conf")
    configuration = Configuration(confdir).load()
    assert set(configuration.jobs) == {"x"}
    assert configuration.said(WARN) == [f"{confdir}/d.conf: No such file or directory"]


def test_p7_d75_linked_directories(confdir: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "in.conf")
    (confdir / "l.conf").symlink_to(tmp_path / "elsewhere")
    (confdir / "plain").symlink_to(tmp_path / "elsewhere")
    assert set(Configuration(confdir).load().jobs) == {"l.conf/in"}


def test_p7_d75_directory_loops(confdir: Path) -> None:
    write(confdir / "n" / "x.conf")
    (confdir / "n" / "l.conf").symlink_to("..")
    (confdir / "self.conf").symlink_to(".")
    configuration = Configuration(confdir).load()
    assert set(configuration.jobs) == {"n/x"}
    assert configuration.said(WARN) == [f"{confdir}/n/l.conf: Directory loop detected", f"{confdir}/self.conf: Directory loop detected"]


def test_d75_the_source_itself_may_be_a_link(confdir: Path, tmp_path: Path) -> None:
    write(confdir / "x.conf")
    (tmp_path / "link").symlink_to(confdir)
    configuration = Configuration(tmp_path / "link").load()
    assert set(configuration.jobs) == {"x"}


def test_d77_odd_files_are_ignored(confdir: Path, tmp_path: Path) -> None:
    os.mkfifo(confdir / "f.conf")
    (confdir / "l.conf").symlink_to(confdir / "f.conf")
    (confdir / "n.conf").symlink_to("/dev/null")
    configuration = Configuration(confdir).load()
    assert configuration.jobs == {}
    assert configuration.complaints() == []


def test_p5_a_directory_deeper_than_the_stack(confdir: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(confdir)
        for _ in range(1100):
            os.mkdir("d")
            os.chdir("d")
        Path("x.conf").touch()
    finally:
        os.chdir(here)
    assert set(Configuration(confdir).load().jobs) == {"d/" * 1100 + "x"}
    # pytest would remove it by recursion.
    deepest = os.fspath(confdir) + "/d" * 1100
    os.unlink(deepest + "/x.conf")
    while deepest != os.fspath(confdir):
        os.rmdir(deepest)
        deepest = os.path.dirname(deepest)


# -- what cannot be read ---------------------------------------------------------------------------------------------


def test_p17_d136_a_missing_directory_is_silent(tmp_path: Path) -> None:
    configuration = Configuration(tmp_path / "none").load()
    assert configuration.jobs == {}
    assert configuration.complaints() == []
    assert configuration.said() == [f"Loading configuration from {tmp_path}/none"]


def test_p17_a_source_that_is_no_directory(tmp_path: Path) -> None:
    write(tmp_path / "file")
    assert Configuration(tmp_path / "file").load().complaints() == [f"{tmp_path}/file: Unable to load configuration: Not a directory"]


def refuse(monkeypatch: pytest.MonkeyPatch, what: str, path: Path) -> None:
    """Make one system call fail for one path, so that root is refused too."""
    real = getattr(os, what)

    def call(name: bytes, *arguments: object) -> object:
        if name == os.fsencode(path):
            raise PermissionError(13, "Permission denied", name)
        return real(name, *arguments)

    monkeypatch.setattr(tree.os, what, call)


def test_p17_a_directory_without_permission(confdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "scandir", confdir)
    assert Configuration(confdir).load().complaints() == [f"{confdir}: Unable to load configuration: Permission denied"]


def test_d75_a_sub_directory_without_permission(confdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(confdir / "n" / "x.conf")
    write(confdir / "y.conf")
    refuse(monkeypatch, "scandir", confdir / "n")
    configuration = Configuration(confdir).load()
    assert set(configuration.jobs) == {"y"}
    assert configuration.complaints() == [f"{confdir}/n: Permission denied"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_p17_a_directory_that_is_really_unreadable(confdir: Path) -> None:
    confdir.chmod(0)
    try:
        configuration = Configuration(confdir)
        configuration.watch()
        assert configuration.complaints() == [f"{confdir}: Unable to load configuration: Permission denied"]
        configuration.watcher.close()
    finally:
        confdir.chmod(0o700)


def test_p18_d80_an_unreadable_file(confdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(confdir / "x.conf")
    write(confdir / "x.override", "bogus\n")
    write(confdir / "y.conf")
    refuse(monkeypatch, "open", confdir / "x.conf")
    configuration = Configuration(confdir).load()
    assert set(configuration.jobs) == {"y"}
    assert configuration.complaints() == [f"{confdir}/x.conf: Error while loading configuration file: Permission denied"]


def test_p18_d110_an_unreadable_file_is_forgotten(confdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(confdir / "x.conf")
    configuration = Configuration(confdir).load()
    refuse(monkeypatch, "open", confdir / "x.conf")
    configuration.catalogue.reload()
    assert configuration.fed == [("+", "x"), ("-", "x")]
    monkeypatch.undo()
    (confdir / "x.conf").unlink()
    configuration.catalogue.reload()
    assert "Handling deletion" not in "".join(configuration.said())


def test_p18_a_file_of_absurd_size(confdir: Path) -> None:
    with open(confdir / "x.conf", "wb") as file:
        file.truncate(1 << 40)
    configuration = Configuration(confdir).load()
    assert configuration.complaints() == [f"{confdir}/x.conf: Error while loading configuration file: File too large"]


def test_d79_files_that_tell_no_size(confdir: Path) -> None:
    (confdir / "x.conf").symlink_to("/proc/self/environ")
    configuration = Configuration(confdir).load()
    assert configuration.complaints() != [], "what is in it is no job file, but it was read"
    assert "bytes" not in configuration.complaints()[0]
    assert tree.read_regular(b"/proc/self/status").startswith(b"Name:")


def test_every_descriptor_is_closed(confdir: Path) -> None:
    write(confdir / "x.conf")
    write(confdir / "n" / "bad.conf", "bogus\n")
    os.mkfifo(confdir / "f.conf")
    configuration = Configuration(confdir).load()
    before = open_descriptors()
    configuration.catalogue.reload()
    assert open_descriptors() == before


# -- /etc/init.conf -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, line", [("task\n", 1), ("# x\n\n  exec true\n", 3), ("'task'\n", 1), ("x", 1)])
def test_p2_d71_init_conf_knows_no_stanza(tmp_path: Path, text: str, line: int) -> None:
    path = write(tmp_path / "init.conf", text)
    configuration = Configuration(Source(str(path), is_file=True)).load()
    assert configuration.complaints() == [f"{path}:{line}: Unknown stanza"]
    assert configuration.jobs == {}


def test_p2_d71_init_conf_may_hold_comments(tmp_path: Path) -> None:
    path = write(tmp_path / "init.conf", "# comment\n\n   # another")
    write(tmp_path / "init.override", "bogus\n")
    configuration = Configuration(Source(str(path), is_file=True)).load()
    assert configuration.complaints() == []
    assert configuration.said(DEBUG) == [f"conf_reload_path: Loading configuration from file {path}"]


def test_p2_d71_init_conf_may_be_missing(tmp_path: Path) -> None:
    configuration = Configuration(Source(str(tmp_path / "init.conf"), is_file=True)).load()
    assert configuration.lines == [(INFO, f"Loading configuration from {tmp_path}/init.conf")]


# -- the log, the session's directories, speed --------------------------------------------------------------------------


def test_d68_debug_lines(confdir: Path) -> None:
    write(confdir / "x.conf")
    write(confdir / "x.override", author("me"))
    conf, override = f"{confdir}/x.conf", f"{confdir}/x.override"
    assert Configuration(confdir).load().lines == [
        (INFO, f"Loading configuration from {confdir}"),
        (DEBUG, f"conf_load_path_with_override: Loading configuration file {conf}"),
        (DEBUG, f"conf_reload_path: Loading x from {conf}"),
        (DEBUG, "parse_job: Creating new JobClass x"),
        (DEBUG, f"conf_load_path_with_override: Loading override file {override} for {conf}"),
        (DEBUG, f"conf_reload_path: Updating x ({conf}) with {override}")]


def test_d139_session_directories_are_made(tmp_path: Path) -> None:
    base = tmp_path / "config"
    source = Source(str(base / "upstart"), create=(str(base), str(base / "upstart")))
    Configuration(source).load()
    assert [path.stat().st_mode & 0o777 for path in (base, base / "upstart")] == [0o700, 0o700]
    base.chmod(0o755)
    Configuration(source).load()
    assert base.stat().st_mode & 0o777 == 0o755


def test_loading_thousands_of_files_is_quick(confdir: Path) -> None:
    for number in range(2000):
        write(confdir / f"j{number}.conf", "start on a and (b X=1 or c)\nstop on d\nrespawn\nenv A=1\nscript\n  exec true\nend script\n")
    configuration = Configuration(confdir)
    began = time.process_time()
    configuration.load()
    assert time.process_time() - began < 1.0
    assert len(configuration.jobs) == 2000

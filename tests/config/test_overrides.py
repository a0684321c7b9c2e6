"""Which override is applied and what it does (P10-P13, P28, D83-D87)."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat.config import tree
from compat.parser.definition import And, Match, ProcessDefinition
from tests.config.configuration import Configuration, author, write


def test_p10_d83_an_override_of_a_higher_source_applies(tmp_path: Path) -> None:
    write(tmp_path / "1" / "b.override", author("override"))
    write(tmp_path / "2" / "b.conf", author("conf"))
    assert Configuration(tmp_path / "1", tmp_path / "2").load().author("b") == "override"


def test_p10_d83_an_override_of_a_lower_source_does_not(tmp_path: Path) -> None:
    write(tmp_path / "1" / "c.conf", author("conf"))
    write(tmp_path / "2" / "c.override", author("override"))
    assert Configuration(tmp_path / "1", tmp_path / "2").load().author("c") == "conf"


def test_p10_d83_only_the_first_is_applied(tmp_path: Path) -> None:
    write(tmp_path / "1" / "j.override", "version one\n")
    write(tmp_path / "2" / "j.override", author("two"))
    write(tmp_path / "2" / "j.conf", author("conf"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    assert (configuration.author("j"), configuration.jobs["j"].version) == ("conf", "one")


def test_p10_d85_fall_back_to_the_next_override(tmp_path: Path) -> None:
    high = write(tmp_path / "1" / "j.override", author("high"))
    low = write(tmp_path / "2" / "j.override", author("low"))
    write(tmp_path / "2" / "j.conf", author("conf"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    seen = [configuration.author("j")]
    for override in (high, low):
        override.unlink()
        configuration.catalogue.reload()
        seen.append(configuration.author("j"))
    assert seen == ["high", "low", "conf"]


def test_p10_overrides_in_sub_directories(confdir: Path) -> None:
    write(confdir / "net" / "x.conf", author("conf"))
    write(confdir / "net" / "x.override", author("override"))
    write(confdir / "x.override", author("other"))
    assert Configuration(confdir).load().author("net/x") == "override"


def test_p10_a_directory_is_no_override(tmp_path: Path) -> None:
    (tmp_path / "1" / "j.override").mkdir(parents=True)
    write(tmp_path / "2" / "j.override", author("override"))
    write(tmp_path / "2" / "j.conf", author("conf"))
    assert Configuration(tmp_path / "1", tmp_path / "2").load().author("j") == "override"


def test_d86_beyond_a_linked_override_applies(confdir: Path, tmp_path: Path) -> None:
    write(confdir / "j.conf", author("conf"))
    (confdir / "j.override").symlink_to(write(tmp_path / "elsewhere", author("override")))
    assert Configuration(confdir).load().author("j") == "override"


def test_d86_a_dangling_override_is_no_override(confdir: Path) -> None:
    write(confdir / "j.conf", author("conf"))
    (confdir / "j.override").symlink_to("nowhere")
    configuration = Configuration(confdir).load()
    assert configuration.author("j") == "conf"
    assert configuration.complaints() == [f"{confdir}/j.override: No such file or directory"]


def test_p10_a_name_too_long_for_an_override(confdir: Path) -> None:
    name = "x" * 250
    write(confdir / f"{name}.conf", author("conf"))
    configuration = Configuration(confdir).load()
    assert configuration.author(name) == "conf"
    assert configuration.complaints() == []


def test_p13_p61_lists_are_appended(confdir: Path) -> None:
    write(confdir / "j.conf", "env A=1\nnormal exit 1\nrespawn\n")
    write(confdir / "j.override", "env A=9\nnormal exit 2\n")
    job = Configuration(confdir).load().jobs["j"]
    assert (job.env, job.normal_exit, job.respawn) == (("A=1", "A=9"), (1, 2), True)


def test_p13_p67_a_script_replaces_an_exec(confdir: Path) -> None:
    write(confdir / "j.conf", "exec x\n")
    write(confdir / "j.override", "script\n hi\nend script\n")
    assert Configuration(confdir).load().jobs["j"].processes[0] == ProcessDefinition(True, "hi\n")


def test_d84_p91_manual_without_line_break(confdir: Path) -> None:
    write(confdir / "j.conf", "start on a\n")
    write(confdir / "j.override", "manual")
    assert Configuration(confdir).load().jobs["j"].start_on is None


@pytest.mark.parametrize("conf, override, complaint", [
    ("start on x\nexec sleep 9\n", "manual\nbogus\nauthor me\n", "2: Unknown stanza"),
    ("description d\nstart on x\n", "description n\nstart on", "2: Expected token"),
    ("nice 5\n", "nice 99\n", "1: Illegal nice value, expected -20 to 19"),
    ("instance $A\n", "instance", "1: Expected token"),
    ("exec true\n", "script\n x\n", "3: Unterminated block")])
def test_p28_b1_d87_an_override_with_an_error_has_no_effect(confdir: Path, conf: str, override: str, complaint: str) -> None:
    write(confdir / "plain.conf", conf)
    write(confdir / "j.conf", conf)
    write(confdir / "j.override", override)
    configuration = Configuration(confdir).load()
    assert configuration.jobs["j"] == configuration.jobs["plain"]
    assert configuration.complaints() == [f"{confdir}/j.override:{complaint}"]


def test_p14_b8_an_error_in_an_override_is_told_once(tmp_path: Path) -> None:
    write(tmp_path / "1" / "j.override", "bogus\n")
    write(tmp_path / "1" / "j.conf")
    write(tmp_path / "2" / "k.conf")
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    assert configuration.complaints() == [f"{tmp_path}/1/j.override:1: Unknown stanza"]
    assert configuration.fed == [("+", "j"), ("+", "k")]


def test_d87_an_unreadable_override_has_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    override = write(tmp_path / "1" / "j.override", author("override"))
    write(tmp_path / "2" / "j.override", author("low"))
    write(tmp_path / "2" / "j.conf", author("conf"))
    real = os.open

    def refuse(path: bytes, flags: int) -> int:
        if path == os.fsencode(override):
            raise PermissionError(13, "Permission denied")
        return real(path, flags)

    monkeypatch.setattr(tree.os, "open", refuse)
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    assert configuration.author("j") == "conf"
    assert configuration.complaints() == [f"{override}: Error while loading configuration file: Permission denied"]


def test_d84_the_files_are_read_separately(confdir: Path) -> None:
    write(confdir / "j.conf", "start on (a")
    write(confdir / "j.override", "and b)\n")
    configuration = Configuration(confdir).load()
    assert configuration.jobs == {}
    write(confdir / "j.conf", "start on a\n")
    write(confdir / "j.override", "\n\nstart on (b and\nc)\n")
    configuration.catalogue.reload()
    assert configuration.jobs["j"].start_on == And(Match("b"), Match("c"))

"""Which names count and what they are called (P3-P5, D72-D74)."""
from __future__ import annotations

import pytest

from compat.config.names import CONF, OVERRIDE, is_ignored_directory, job_name, suffix_of


@pytest.mark.parametrize("name", [
    "foo.conf", "a.b.conf", "sp ace.conf", ".hidden.conf", "..conf", "#x.conf", "x\n.conf", "net/apache.conf"])
def test_p3_d72_job_files(name: str) -> None:
    assert suffix_of(name) == CONF


@pytest.mark.parametrize("name", ["foo.override", "a.conf.override", ".foo.override"])
def test_p3_overrides(name: str) -> None:
    assert suffix_of(name) == OVERRIDE


@pytest.mark.parametrize("name", [
    ".conf", ".override", "X.CONF", "foo.conf~", "foo.conf.dpkg-new", "foo.conf.rpmsave", ".foo.conf.swp", "#foo.conf#",
    "foo", "conf", "fooconf", "foo.config", "net/.conf", "net/.override", ""])
def test_p3_d72_other_files(name: str) -> None:
    assert suffix_of(name) == ""


@pytest.mark.parametrize("name", [
    ".git", ".", ".x", "old~", "x.bak", "x.BAK", "#x#", "##", "x.swp", "x.swo", "x.swn", "x,v",
    "RCS", "CVS", "CVS.adm", "SCCS", "BitKeeper", "{arch}", "_darcs",
    "x.dpkg-new", "x.dpkg-", "x.y.dpkg-old", "x.rpmsave", "x.rpmorig", "x.rpmnew", "x;0123abCD"])
def test_p4_d73_ignored_directories(name: str) -> None:
    assert is_ignored_directory(name)


@pytest.mark.parametrize("name", [
    "net", "foo.conf", "cvs", "RCSX", "xCVS", "x.Bak", "x.swx", "#x", "x#", "x.dpkg", "x.dpkg-old.d", "x.rpmsave.d", "bak",
    "x;0123abc", "x;0123abcde", "x;0123abcg", "v", "x~y"])
def test_p4_d73_other_directories(name: str) -> None:
    assert not is_ignored_directory(name)


@pytest.mark.parametrize("relative, job", [
    ("net/apache.conf", "net/apache"), ("a.b.conf", "a.b"), ("a b.conf", "a b"), (".hidden.conf", ".hidden"),
    ("/foo.override", "foo"), ("d.conf/x.conf", "d.conf/x"), ("a.conf.override", "a.conf")])
def test_p5_d74_job_names(relative: str, job: str) -> None:
    assert job_name(relative) == job

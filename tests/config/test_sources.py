"""The order of sources, from options and environment (P1, D8-D10, D29-D33, D138-D141)."""
from __future__ import annotations

import os
import pwd
from typing import Dict, List, Sequence

import pytest

from compat.config.sources import Source, home_directory, session_sources, system_sources
from compat.engine.actions import DEBUG, WARN


def paths(sources: Sequence[Source]) -> List[str]:
    return [source.path for source in sources]


def test_p1_d8_system_defaults() -> None:
    sources = system_sources({})
    assert paths(sources) == ["/etc/init.conf", "/etc/init"]
    assert [source.is_file for source in sources] == [True, False]


def test_d29_d30_order_of_directories() -> None:
    assert paths(system_sources({}, ["P", "Q"], ["C", "D"], ["A"])) == ["P", "Q", "/etc/init.conf", "C", "D", "A"]


def test_d9_d10_the_default_stays_between_prepended_and_appended() -> None:
    assert paths(system_sources({}, ["P"], [], ["A"])) == ["P", "/etc/init.conf", "/etc/init", "A"]


def test_d32_upstart_confdir_replaces_the_default_only() -> None:
    environment = {"UPSTART_CONFDIR": "/x"}
    assert paths(system_sources(environment)) == ["/etc/init.conf", "/x"]
    assert paths(system_sources(environment, [], ["C"])) == ["/etc/init.conf", "C"]


SESSION = {"HOME": "/h", "XDG_CONFIG_DIRS": "/etc/xdg:relative:/opt/xdg"}


def test_d138_session_defaults() -> None:
    assert paths(session_sources(SESSION)) == [
        "/h/.config/upstart", "/h/.init", "/etc/xdg/upstart", "/opt/xdg/upstart", "/usr/share/upstart/sessions"]


@pytest.mark.parametrize("environment", [{"HOME": "/h"}, {"HOME": "/h", "XDG_CONFIG_DIRS": ""}])
def test_d138_config_dirs_unset_or_empty(environment: Dict[str, str]) -> None:
    assert paths(session_sources(environment))[2:3] == ["/etc/xdg/upstart"]


def test_d32_upstart_confdir_means_nothing_to_a_session() -> None:
    assert paths(session_sources({**SESSION, "UPSTART_CONFDIR": "/x"})) == paths(session_sources(SESSION))


def test_d36_no_system_directory() -> None:
    assert paths(session_sources({**SESSION, "UPSTART_NO_SYSTEM_USERCONFDIR": ""}))[-1] == "/opt/xdg/upstart"


def test_d30_a_session_has_no_init_conf() -> None:
    assert paths(session_sources(SESSION, ["P"], ["C"], ["A"])) == ["P", "C", "A"]
    assert not any(source.is_file for source in session_sources(SESSION, ["P"]))


def test_d139_config_home_only_if_absolute() -> None:
    assert paths(session_sources({**SESSION, "XDG_CONFIG_HOME": "/c"}))[:2] == ["/c/upstart", "/h/.init"]
    assert paths(session_sources({**SESSION, "XDG_CONFIG_HOME": "c"}))[:2] == ["/h/.config/upstart", "/h/.init"]


def test_d139_only_the_config_home_is_to_be_made() -> None:
    made = [source.create for source in session_sources(SESSION)]
    assert made == [("/h/.config", "/h/.config/upstart"), (), (), (), ()]
    assert [source.create for source in session_sources(SESSION, [], ["C"])] == [()]


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_d141_home_from_the_password_database(environment: Dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.struct_passwd(("u", "x", os.getuid(), 0, "", "/of/database", ""))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    assert home_directory(environment) == "/of/database"
    assert paths(session_sources(environment))[:2] == ["/of/database/.config/upstart", "/of/database/.init"]


def test_d141_no_home_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    lines = []
    sources = session_sources({}, log=lambda priority, text: lines.append(priority))
    assert paths(sources) == ["/etc/xdg/upstart", "/usr/share/upstart/sessions"]
    assert WARN in lines
    assert paths(session_sources({"XDG_CONFIG_HOME": "/c"}))[0] == "/c/upstart"


def test_d141_home_is_not_needed_with_confdir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: pytest.fail("looked up"))
    assert paths(session_sources({}, [], ["C"])) == ["C"]


def test_d68_debug_lines() -> None:
    lines = []
    system_sources({}, ["P"], ["C"], ["A"], lambda priority, text: lines.append((priority, text)))
    assert lines == [
        (DEBUG, "main: Prepending configuration directory P"),
        (DEBUG, "main: Using configuration directory C"),
        (DEBUG, "main: Adding configuration directory A")]

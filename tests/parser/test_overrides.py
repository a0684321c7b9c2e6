"""An override on top of a definition (P12, P13, P28, B1; checklist 14-18, 20)."""
from __future__ import annotations

import pickle

import pytest

from compat.parser.definition import MAIN, PRE_START, CgroupSetting, Limit, Match
from tests.parser.reading import job, refused

CONF = job(
    "description d\nstart on foo\nstop on bar\nenv A=1\nexport E\nemits x\nnormal exit 1\nrespawn\ntask\nexec /bin/a\npre-start exec p\n"
    "limit nofile 1 2\nlimit core 0 0\ncgroup cpu k 1\ncgroup cpu n\nnice 5\nchroot /c\n")


def test_p13_nothing_said_nothing_changed() -> None:
    assert job("", CONF) == CONF


def test_p13_scalars_are_replaced() -> None:
    changed = job("description e\nnice -1\n", CONF)
    assert changed == CONF._replace(description="e", nice=-1)


def test_p13_lists_are_appended() -> None:
    changed = job("env A=9\nexport F\nemits y z\nnormal exit 2\nenv B=1", CONF)
    assert changed.env == ("A=1", "A=9", "B=1")
    assert changed.export == ("E", "F")
    assert changed.emits == ("x", "y", "z")
    assert changed.normal_exit == (1, 2)


def test_p13_conditions_are_replaced() -> None:
    changed = job("start on other\n", CONF)
    assert changed.start_on == Match("other") and changed.stop_on == Match("bar")


def test_p91_manual_in_an_override() -> None:
    for text in ("manual", "manual\n"):
        assert job(text, CONF) == CONF._replace(start_on=None)


def test_p13_p67_script_replaces_exec() -> None:
    changed = job("script\n hi\nend script\n", CONF)
    assert changed.processes[MAIN] == (True, "hi\n")
    assert changed.processes[PRE_START] == (False, "p")


def test_p13_flags_stay() -> None:
    changed = job("respawn limit 3 4\n", CONF)
    assert changed.respawn and changed.task and changed.respawn_limit == 3


def test_p13_limits_by_resource() -> None:
    changed = job("limit nofile 5 6\nlimit nproc 7 8\n", CONF)
    assert changed.limits == (Limit("nofile", 5, 6), Limit("core", 0, 0), Limit("nproc", 7, 8))


def test_p89_cgroups_are_merged() -> None:
    changed = job("cgroup cpu k 2\ncgroup cpu n j 3\ncgroup mem\n", CONF)
    assert changed.cgroups == (
        CgroupSetting("cpu", "$UPSTART_CGROUP", "k", "2"), CgroupSetting("cpu", "n", "j", "3"), CgroupSetting("mem", "$UPSTART_CGROUP"))


@pytest.mark.parametrize("override, message", [
    ("description n\nstart on", "2: Expected token"),
    ("nice 99", "1: Illegal nice value, expected -20 to 19"),
    ("instance", "1: Expected token"),
    ("exec", "1: Expected token"),
    ("env B=2\nfoo", "2: Unknown stanza"),
    ("limit nofile 5 x", "1: Illegal limit, expected 'unlimited' or integer"),
    ("cgroup cpu k 2 3 4", "1: Unexpected token"),
    ("script\n", "2: Unterminated block"),
])
def test_p28_b1_an_override_with_an_error_leaves_nothing(override: str, message: str) -> None:
    before = pickle.dumps(CONF)
    assert refused(override, CONF) == message
    assert pickle.dumps(CONF) == before


def test_p12_files_are_lexed_apart() -> None:
    assert refused("exec 'a") == "1: Unterminated quoted string"
    assert refused("\nfoo", CONF) == "2: Unknown stanza"

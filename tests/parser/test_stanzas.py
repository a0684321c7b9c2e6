"""Every stanza: what it accepts and what it leaves (P52-P92; checklist 57-83)."""
from __future__ import annotations

import pytest

from compat.parser import JobDefinition
from compat.parser.definition import MAIN, POST_START, POST_STOP, PRE_START, PRE_STOP, SECURITY, CgroupSetting, Limit
from compat.parser.stanzas import STANZAS
from tests.parser.reading import job, refused

INTERVAL = "1: Illegal interval, expected number of seconds"
EXIT = "1: Illegal exit status, expected integer"
SIGNAL = "None: Illegal signal status, expected integer"
UMASK = "1: Illegal file creation mask, expected octal integer"
NICE = "1: Illegal nice value, expected -20 to 19"
OOM = "1: Illegal oom adjustment, expected -16 to 15 or 'never'"
SCORE = "1: Illegal oom score adjustment, expected -999 to 1000 or 'never'"
LIMIT = "1: Illegal limit, expected 'unlimited' or integer"
UNKNOWN = "1: Unknown stanza"
EXPECTED = "1: Expected token"
UNEXPECTED = "1: Unexpected token"


def test_p19_p56_empty_file_has_the_defaults() -> None:
    for text in ("", "\n", "# c", " \t\n# c\n"):
        assert job(text) == JobDefinition()


def test_p52_the_table_is_complete() -> None:
    assert set(STANZAS) == {
        "instance", "description", "author", "version", "env", "export", "start", "stop", "emits", "exec", "script", "pre-start",
        "post-start", "pre-stop", "post-stop", "expect", "task", "kill", "reload", "respawn", "normal", "console", "umask", "nice",
        "oom", "limit", "chroot", "chdir", "setuid", "setgid", "debug", "manual", "usage", "apparmor", "cgroup",
    }


@pytest.mark.parametrize("text", [
    "service", "pid file x", "wait for x", "session leader", "Exec x", "exec=x", "on foo", "daemon", "depends x", "normalexit 1", "user x",
    "group x", "leader", "respawn COMMAND", "start script", "stop script", "console logged", "pre-start verify x", "security exec x",
])
def test_p52_p53_unknown_stanzas(text: str) -> None:
    assert refused(text) == UNKNOWN


@pytest.mark.parametrize("stanza", ["task", "expect fork", "umask 022", "nice 1", "oom 1", "oom score never", "limit core 0 0",
                                    "chroot /x", "chdir /x", "setuid x", "setgid x", "kill timeout 1", "kill signal INT",
                                    "reload signal INT", "console log", "description x", "author x", "version x", "usage x", "instance x",
                                    "env A=b", "respawn limit 1 2", "respawn limit unlimited", "apparmor load x", "apparmor switch x",
                                    "cgroup c n k v"])
def test_p54_one_stanza_a_line(stanza: str) -> None:
    assert refused(stanza + " foo") == UNEXPECTED
    assert refused(stanza + " \\\n task") == "2: Unexpected token"
    assert job(stanza + " # foo\n") == job(stanza) != JobDefinition()


def test_p54_manual_and_debug_leave_the_rest_of_the_line() -> None:
    assert job("manual exec foo").processes[MAIN] == (False, "foo")
    assert job("debug manual task").task
    assert job("manual # c\ntask").task
    assert refused("manual foo") == UNKNOWN
    assert refused("debug foo") == UNKNOWN


def test_p55_nothing_is_checked_across_stanzas() -> None:
    assert job("respawn\ntask\nexpect fork\nkill signal 999\nlimit nofile 20 10\nsetuid nobody-here").kill_signal == 999


@pytest.mark.parametrize("field", ["description", "author", "version", "usage", "instance", "chroot", "chdir", "setuid", "setgid"])
def test_p59_p84_p85_one_text(field: str) -> None:
    assert getattr(job(f"{field} one\n{field} 'two words'"), field) == "two words"
    assert getattr(job(f"{field} $A"), field) == "$A"
    assert refused(field) == EXPECTED
    assert refused(f"{field} # c") == EXPECTED


def test_p60_env() -> None:
    assert job("env A=$B\nenv C\nenv A=1\nenv =").env == ("A=$B", "C", "A=1", "=")
    assert refused("env") == EXPECTED


def test_p62_p63_export_and_emits() -> None:
    assert job("export A B\nexport C").export == ("A", "B", "C")
    assert job("export $A").export == ("$A",)
    assert job("emits a b*\nemits a").emits == ("a", "b*", "a")
    assert refused("export") == refused("emits # c") == EXPECTED


def test_p65_exec() -> None:
    assert refused("exec") == refused("exec # c") == refused("exec \\\n").replace("2:", "1:") == EXPECTED


def test_p67_exec_and_script_share_a_slot() -> None:
    assert job("exec a\nscript\n b\nend script").processes[MAIN] == (True, "b\n")
    assert job("script\n b\nend script\nexec a").processes[MAIN] == (False, "a")


def test_p68_other_processes() -> None:
    definition = job("pre-start exec a\npost-start exec b\npre-stop script\nc\nend script\npost-stop exec d  # e\n")
    assert definition.processes[PRE_START] == (False, "a")
    assert definition.processes[POST_START] == (False, "b")
    assert definition.processes[PRE_STOP] == (True, "c\n")
    assert definition.processes[POST_STOP] == (False, "d")
    assert definition.processes[MAIN] is None
    assert refused("pre-start") == refused("pre-start # c") == refused("pre-start exec") == EXPECTED
    assert refused("pre-start foo") == refused("pre-start verify x") == UNKNOWN


def test_p69_expect() -> None:
    for value in ("none", "stop", "daemon", "fork"):
        assert job("expect " + value).expect == value
    assert job("expect daemon\nexpect none").expect == "none"
    assert refused("expect foo") == refused("expect Fork") == UNKNOWN
    assert refused("expect #TODO") == EXPECTED


def test_p71_respawn_limit_does_not_set_the_flag() -> None:
    limited = job("respawn limit 3 7")
    assert (limited.respawn, limited.respawn_limit, limited.respawn_interval) == (False, 3, 7)
    assert job("respawn limit 3 7\nrespawn").respawn
    assert refused("respawn foo") == UNKNOWN


def test_p72_respawn_limit() -> None:
    unlimited = job("respawn limit unlimited")
    assert (unlimited.respawn_limit, unlimited.respawn_interval) == (0, 0)
    assert refused("respawn limit") == refused("respawn limit 5") == EXPECTED
    assert refused("respawn limit 5 x") == refused("respawn limit 5 unlimited") == refused("respawn limit 5 -1") == INTERVAL
    assert refused("respawn limit x 5") == refused("respawn limit -3 4") == refused("respawn limit infinity") == LIMIT
    assert refused("respawn limit unlimited 5") == UNEXPECTED


def test_p73_normal_exit() -> None:
    assert job("normal exit 0 1 TERM SIGHUP\nnormal exit 5").normal_exit == (0, 1, 15 * 256, 256, 5)
    assert job("normal exit 2147483647").normal_exit == (2147483647,)
    for value in ("-1", "3,4", "0x1", "2147483648", "term", "1 x"):
        assert refused("normal exit " + value) == EXIT
    assert refused("normal exit") == refused("normal") == EXPECTED
    assert refused("normal foo") == UNKNOWN


def test_p74_kill_timeout() -> None:
    assert job("kill timeout 0").kill_timeout == 0
    assert job("kill timeout 4294967296").kill_timeout == 4294967296
    for value in ("-1", "5s", "99999999999999999999", "''1x"):
        assert refused("kill timeout " + value) == INTERVAL
    assert refused("kill") == refused("kill timeout") == EXPECTED
    assert refused("kill foo") == UNKNOWN


def test_p75_signals() -> None:
    for value in ("SIGINT", "INT", "2", "'2'"):
        assert job("kill signal " + value).kill_signal == 2
    assert job("reload signal USR1").reload_signal == 10
    assert job("kill signal 0").kill_signal == 0
    assert refused("kill signal INT TERM") == UNEXPECTED
    assert refused("reload foo") == UNKNOWN
    assert refused("reload") == refused("kill signal") == refused("reload signal") == EXPECTED


@pytest.mark.parametrize("value", ["int", "RTMIN", "-1", "2147483648", "NOSUCH", "SIGSIGINT", "Sigint"])
def test_p76_bad_signals(value: str) -> None:
    assert refused("task\nkill signal " + value) == SIGNAL
    assert refused("reload signal " + value) == SIGNAL


def test_p77_console() -> None:
    for value in ("none", "output", "owner", "log"):
        assert job("console " + value).console == value
    assert refused("console logged") == UNKNOWN
    assert refused("console") == EXPECTED


def test_p78_umask() -> None:
    assert job("umask 7").umask == 0o7
    assert job("umask 22") == job("umask 022") == job("umask 0022")
    for value in ("1000", "8", "-1", "0x1", "040000000022"):
        assert refused("umask " + value) == UMASK


def test_p79_nice() -> None:
    assert job("nice -20").nice == -20
    assert job("nice 19").nice == 19
    assert job("nice +5").nice == 5
    for value in ("-21", "20", "foo", "4294967301", "1_0", "'5 '"):
        assert refused("nice " + value) == NICE


@pytest.mark.parametrize("value, score", [
    ("15", 1000), ("7", 466), ("3", 200), ("0", 0), ("-1", -58), ("-16", -941), ("-17", -1000), ("never", -1000),
])
def test_p80_oom(value: str, score: int) -> None:
    assert job("oom " + value).oom_score_adj == score


def test_p80_p81_bad_oom() -> None:
    assert refused("oom 16") == refused("oom -18") == refused("oom Never") == OOM
    assert refused("oom score 1001") == refused("oom score -1001") == refused("oom score x") == SCORE
    assert refused("oom") == refused("oom score") == EXPECTED


def test_p81_oom_score() -> None:
    assert job("oom score -1000").oom_score_adj == -1000
    assert job("oom score never").oom_score_adj == -1000
    assert job("oom score 5\noom 3").oom_score_adj == 200


def test_p82_p83_limits() -> None:
    assert job("limit nofile 10 unlimited").limits == (Limit("nofile", 10, None),)
    assert job("limit core -1 -1").limits == (Limit("core", None, None),)
    assert job("limit as 18446744073709551615 18446744073709551614").limits == (Limit("as", None, 18446744073709551614),)
    assert job("limit nofile 20 10").limits == (Limit("nofile", 20, 10),)
    for resource in (
        "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "sigpending", "stack",
    ):
        assert job(f"limit {resource} 0 0").limits == (Limit(resource, 0, 0),)
    for resource in ("foo", "locks", "rttime", "NOFILE"):
        assert refused("limit " + resource) == UNKNOWN
    assert refused("limit") == refused("limit nofile") == refused("limit nofile 1") == EXPECTED
    for values in ("1k 2", "1 2k", "18446744073709551616 1", "Unlimited 1"):
        assert refused("limit nofile " + values) == LIMIT


def test_p13_limits_replace_by_resource() -> None:
    assert job("limit nofile 1 2\nlimit nofile 3 4\nlimit nproc 5 6").limits == (Limit("nofile", 3, 4), Limit("nproc", 5, 6))


def test_p86_p87_apparmor() -> None:
    assert job("apparmor load /p\napparmor load '/a b'").processes[SECURITY] == (False, "/sbin/apparmor_parser -r -W /a b")
    assert job("apparmor switch x").apparmor_switch == "x"
    assert refused("apparmor foo") == UNKNOWN
    assert refused("apparmor") == refused("apparmor load") == refused("apparmor switch") == EXPECTED


def test_p88_cgroup_forms() -> None:
    own = "$UPSTART_CGROUP"
    assert job("cgroup cpu").cgroups == (CgroupSetting("cpu", own),)
    assert job("cgroup cpu n").cgroups == (CgroupSetting("cpu", "n"),)
    assert job("cgroup cpu a b").cgroups == (CgroupSetting("cpu", own, "a", "b"),)
    assert job("cgroup cpu n a b").cgroups == (CgroupSetting("cpu", "n", "a", "b"),)
    assert refused("cgroup cpu n a b c") == UNEXPECTED
    assert refused("cgroup") == EXPECTED


def test_p89_cgroup_merging() -> None:
    own = "$UPSTART_CGROUP"
    assert job("cgroup memory limit 1\ncgroup memory limit 2").cgroups == (CgroupSetting("memory", own, "limit", "2"),)
    merged = job("cgroup a k 1\ncgroup b\ncgroup a n\ncgroup a j 2\ncgroup a\ncgroup a n x y").cgroups
    assert merged == (
        CgroupSetting("a", own, "k", "1"), CgroupSetting("a", own, "j", "2"), CgroupSetting("a", "n", "x", "y"), CgroupSetting("b", own))


def test_p92_debug() -> None:
    assert job("debug").debug

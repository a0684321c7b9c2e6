"""What needs no daemon: messages about the command line, help, --version (C93-C101, C104, C107)."""
from __future__ import annotations

import re
from typing import Callable, Tuple

import pytest

from compat.client.help import wrapped
from compat.client.options import COMMANDS
from compat.client.output import complain
from compat.initctl import main
from tests.client.peer import Peer

Run = Callable[..., Tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line that ends before a daemon is called. There is none to be called."""
    for name in ("UPSTART_JOB", "UPSTART_INSTANCE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UPSTART_SESSION", "unix:abstract=/upstart-compat-test/nobody")

    def run(*words: str) -> Tuple[int, str, str]:
        status = main(list(words))
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run


def complaint(program: str, text: str) -> Tuple[int, str, str]:
    return 1, "", f"{program}: {text}\nTry `{program} --help' for more information.\n"


@pytest.mark.parametrize(("words", "text"), [
    (["initctl"], "missing command"),
    (["initctl", "bogus"], "invalid command: bogus"),
    (["initctl", "--bogus=1"], "invalid option: --bogus=1"),
    (["start", "-z", "x"], "invalid option: -z"),
    (["start", "--no-wait=3", "x"], "unexpected argument: --no-wait=3"),
    (["initctl", "--dest"], "missing argument: --dest"),
    (["initctl", "-n", "start", "svc"], "invalid option: -n"),
    (["initctl", "--qui", "list"], "invalid option: --qui"),
    (["initctl", "emit"], "missing event name"),
    (["emit"], "missing event name"),
    (["initctl", "get-env"], "missing variable name"),
    (["initctl", "unset-env"], "missing variable name"),
    (["initctl", "set-env"], "missing variable value"),
    (["initctl", "notify-dbus-address"], "missing D-Bus address"),
    (["initctl", "notify-cgroup-manager-address"], "missing address"),
    *((["initctl", command], "missing job name") for command in ("start", "stop", "restart", "reload", "status", "usage", "explain")),
])
def test_c98_c104_mistakes_are_told_before_connecting(run: Run, words: "list[str]", text: str) -> None:
    assert run(*words) == complaint(words[0], text)


@pytest.mark.parametrize("command", ["start", "stop", "restart", "reload", "status", "usage", "explain"])
def test_c110_the_job_alone_in_the_environment_is_not_enough(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("UPSTART_JOB", "svc")
    assert run(command) == complaint(command, "missing job name")


def test_c93_program_names(run: Run) -> None:
    assert run("/sbin/emit") == complaint("emit", "missing event name")
    assert run("-start") == complaint("start", "missing job name")
    assert run("/usr/lib/x/initctl") == complaint("initctl", "missing command")
    assert run("-initctl") == complaint("initctl", "missing command")
    assert run("/opt/my-initctl", "bogus") == complaint("my-initctl", "invalid command: bogus")
    assert run("/checkout/compat/initctl.py") == complaint("initctl", "missing command")
    assert run() == complaint("initctl", "missing command")


def test_c93_installed_under_any_commands_name(peer: Peer) -> None:
    assert peer.run("version") == (0, "init (upstart 1.13.2)\n", "")
    assert peer.run("emit") == (1, "", "emit: missing event name\nTry `emit --help' for more information.\n")


def test_c99_help_lists_every_command_once(run: Run) -> None:
    status, out, err = run("initctl", "help", "ignored")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if re.match("^  [^ ]", line)] == [
        "start", "stop", "restart", "reload", "status", "list", "show-backend", "explain", "emit", "get-env", "list-env", "reset-env",
        "set-env",
        "unset-env",
        "reload-configuration", "version", "log-priority", "show-config", "check-config", "usage", "notify-cgroup-manager-address",
        "notify-dbus-address", "notify-disk-writeable", "list-sessions", "help"]
    assert [line for line in lines if line and line[0] != " "] == [
        "Job commands:", "Event commands:", "Environment commands:", "Other commands:",
        "For more information on a command, try `initctl COMMAND --help'."]
    assert all(lines[number - 1] == "" for number, line in enumerate(lines) if number and line.endswith("commands:"))
    assert lines[-2] == ""
    assert lines[1].index("Start job") == 30
    alone = lines.index("  notify-cgroup-manager-address")
    assert re.match(" {30}[^ ]", lines[alone + 1])
    assert re.match(" {32}[^ ]", lines[alone + 2])
    assert max(map(len, lines)) <= 80


def test_c99_help_under_another_name(run: Run) -> None:
    status, out, _ = run("help")
    assert status == 0
    assert out.endswith("For more information on a command, try `help COMMAND --help'.\n")


@pytest.mark.parametrize(("columns", "width"), [("40", 50), ("60", 60), ("132", 132), ("0", 80), ("x", 80), ("99999999999", 80)])
def test_c99_width_of_help(run: Run, monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    longest = max(map(len, run("initctl", "help")[1].splitlines()[:-1]))
    assert width - 20 < longest <= width or width > 100 > longest > 80


@pytest.mark.parametrize(("words", "first"), [
    (["initctl", "--help"], "Usage: initctl [OPTION]... COMMAND [OPTION]... [ARG]..."),
    (["start", "--help"], "Usage: start [OPTION]... JOB [KEY=VALUE]..."),
    (["initctl", "start", "--help"], "Usage: initctl start [OPTION]... JOB [KEY=VALUE]..."),
    (["initctl", "emit", "--help"], "Usage: initctl emit [OPTION]... EVENT [KEY=VALUE]..."),
    (["initctl", "log-priority", "--help"], "Usage: initctl log-priority [OPTION]... [PRIORITY]"),
    (["initctl", "show-config", "--help"], "Usage: initctl show-config [OPTION]... [CONF]"),
    (["initctl", "get-env", "--help"], "Usage: initctl get-env [OPTION]... VARIABLE"),
    (["initctl", "set-env", "--help"], "Usage: initctl set-env [OPTION]... VARIABLE[=VALUE]..."),
    (["initctl", "usage", "--help"], "Usage: initctl usage [OPTION]... JOB"),
    (["initctl", "list", "--help"], "Usage: initctl list [OPTION]..."),
])
def test_c100_first_line_of_help(run: Run, words: "list[str]", first: str) -> None:
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == first
    assert lines[1]
    assert lines[2:4] == ["", "Options:"]
    assert lines[-2] == ""
    assert "Report bugs" in lines[-1]


@pytest.mark.parametrize("command", list(COMMANDS))
def test_c100_every_command_has_help(run: Run, command: str) -> None:
    status, out, _ = run("initctl", command, "--help")
    assert status == 0
    assert out.startswith(f"Usage: initctl {command} [OPTION]...")
    options = [line for line in out.splitlines() if re.match("^  (-.,|   ) --", line)]
    for option in ("      --session ", "      --system ", "      --dest=NAME ", "      --user ", "  -q, --quiet ", "  -v, --verbose ",
                   "      --help ", "      --version "):
        assert sum(line.startswith(option) for line in options) == 1
    assert "--debug" not in out


def test_c100_options_of_the_command_are_shown(run: Run) -> None:
    assert "\n  -n, --no-wait               do not wait" in run("start", "--help")[1]
    assert "\n  -i, --ignore-events=EVENT_LIST\n                              ignore" in run("initctl", "check-config", "--help")[1]


def test_c100_help_wraps_to_the_screen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = run("start", "--help")[1].splitlines()
    text = lines[lines.index("", 4) + 1:-2]
    assert len(text) > 5
    assert max(map(len, text)) <= 39


def test_c100_wrapping() -> None:
    assert wrapped("aa bb cc", 5) == ["aa bb", "cc"]
    assert wrapped("aaaaaaaa b", 5) == ["aaaaaaaa", "b"]
    assert wrapped("aa bb cc dd", 5, 2) == ["aa bb", "cc", "dd"]
    assert wrapped("", 5) == [""]


def test_c101_version_of_the_client(run: Run) -> None:
    status, out, err = run("initctl", "--version")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == "initctl (upstart 1.13.2)"
    assert len(out.splitlines()) > 1
    assert run("start", "--version")[1].splitlines()[0] == "start (upstart 1.13.2)"
    assert run("initctl", "-q", "start", "--version")[1].splitlines()[0] == "initctl (upstart 1.13.2)"


@pytest.mark.parametrize(("text", "line"), [
    ("Unknown job: x", "prog: Unknown job: x\n"),
    ("/var/run/utmp: No such file", "prog:/var/run/utmp: No such file\n"),
    ("word", "prog: word\n"),
    ("", "prog: \n"),
])
def test_c107_the_blank_after_the_programs_name(capfd: pytest.CaptureFixture[str], text: str, line: str) -> None:
    complain("prog", text)
    assert capfd.readouterr().err == line

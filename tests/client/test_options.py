"""The parser of the command line by itself, C93-C98."""
from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.client.options import COMMAND_OPTIONS, COMMANDS, DEBUG, GLOBAL_OPTIONS, NORMAL, QUIET, VERBOSE, Invocation, parse
from compat.client.output import UsageError


def parsed(line: str) -> Invocation:
    program, *words = line.split()
    return parse(program, words)


def refusal(line: str) -> str:
    with pytest.raises(UsageError) as caught:
        parsed(line)
    return caught.value.text


@pytest.mark.parametrize("command", list(COMMANDS))
def test_c93_every_command_works_as_the_programs_name(command: str) -> None:
    invocation = parse(command, ["svc"])
    assert (invocation.command, invocation.linked, invocation.arguments) == (command, True, ["svc"])
    invocation = parse("initctl", [command, "svc"])
    assert (invocation.command, invocation.linked, invocation.arguments) == (command, False, ["svc"])


def test_c94_global_options_stand_on_both_sides_of_every_command() -> None:
    for command in COMMANDS:
        for option in GLOBAL_OPTIONS:
            word = "--dest=x" if option == "dest" else "--" + option
            for line in (f"initctl {word} {command}", f"initctl {command} {word}", f"{command} {word}"):
                invocation = parsed(line)
                if option == "dest":
                    assert invocation.destination == "x"
                elif option in ("help", "version"):
                    assert invocation.information == option
                elif option in ("session", "system"):
                    assert invocation.bus == option
                elif option == "user":
                    assert invocation.has("user")
                else:
                    assert invocation.loudness == {"quiet": QUIET, "verbose": VERBOSE, "debug": DEBUG}[option]


def test_c95_options_belong_to_their_commands_only() -> None:
    assert set(COMMAND_OPTIONS) == {"start", "stop", "restart", "emit", "show-config", "check-config", "get-env", "list-env", "reset-env",
                                    "set-env", "unset-env"}
    for command in COMMANDS:
        own = COMMAND_OPTIONS.get(command, {})
        for letter, option in (("n", "no-wait"), ("e", "enumerate"), ("w", "warn"), ("g", "global"), ("r", "retain")):
            if option in own:
                assert parsed(f"initctl {command} -{letter}").has(option)
                assert parsed(f"initctl {command} --{option}").has(option)
            else:
                assert refusal(f"initctl {command} -{letter}") == f"invalid option: -{letter}"
                assert refusal(f"initctl {command} --{option}") == f"invalid option: --{option}"


def test_c96_options_and_arguments_mix_until_two_dashes() -> None:
    invocation = parsed("stop svc -n A=1 --quiet - -- -n --bogus --")
    assert invocation.arguments == ["svc", "A=1", "-", "-n", "--bogus", "--"]
    assert invocation.has("no-wait")
    assert invocation.loudness == QUIET
    assert parse("initctl", ["--", "status", "-x", "", "y"]).arguments == ["-x", "", "y"]


def test_c96_before_the_command_only_global_options_are_known() -> None:
    assert refusal("initctl -n start svc") == "invalid option: -n"
    assert refusal("initctl --no-wait start svc") == "invalid option: --no-wait"


@pytest.mark.parametrize(("line", "events", "arguments"), [
    ("check-config -ia,b job", {"a", "b"}, ["job"]),
    ("check-config -i a,,b, job", {"a", "b"}, ["job"]),
    ("check-config -i -w --user a job", {"a"}, ["job"]),
    ("check-config -wi a job", {"a"}, ["job"]),
    ("check-config -iw", {"w"}, []),
    ("check-config job -i a -ib", {"a", "b"}, ["job"]),
    ("check-config --ignore-events=a --ignore-events b job", {"a", "b"}, ["job"]),
    ("check-config --ignore-events= job", set(), ["job"]),
    ("check-config -i - job", {"-"}, ["job"]),
    ("check-config -i -- job", {"job"}, []),
])
def test_c96_where_the_value_of_an_option_stands(line: str, events: "set[str]", arguments: List[str]) -> None:
    invocation = parsed(line)
    assert (invocation.ignored_events, invocation.arguments) == (events, arguments)


def test_c96_two_values_are_taken_in_order() -> None:
    invocation = parsed("check-config -i --dest a b c")
    assert (invocation.ignored_events, invocation.destination, invocation.arguments) == ({"a"}, "b", ["c"])


def test_c96_a_value_before_the_command() -> None:
    invocation = parsed("initctl --dest list --system status x")
    assert (invocation.destination, invocation.command, invocation.arguments) == ("list", "status", ["x"])


def test_c97_the_last_of_quiet_verbose_and_debug_wins() -> None:
    assert parsed("initctl version").loudness == NORMAL
    assert parsed("initctl -qv version").loudness == VERBOSE
    assert parsed("initctl -vq version").loudness == QUIET
    assert parsed("initctl -q version --debug").loudness == DEBUG
    assert parsed("initctl --debug version -v").loudness == VERBOSE


def test_c97_help_and_version_act_when_reached() -> None:
    assert parsed("start --help --bogus").information == "help"
    assert parsed("start --version -z").information == "version"
    assert parsed("initctl --version --help").information == "version"
    assert refusal("start --bogus --help") == "invalid option: --bogus"
    assert refusal("initctl bogus --help") == "invalid command: bogus"


@pytest.mark.parametrize(("line", "text"), [
    ("initctl", "missing command"),
    ("initctl -q", "missing command"),
    ("initctl bogus", "invalid command: bogus"),
    ("initctl -", "invalid command: -"),
    ("initctl --bogus=1", "invalid option: --bogus=1"),
    ("start -z x", "invalid option: -z"),
    ("start -nz x", "invalid option: -z"),
    ("start --qui x", "invalid option: --qui"),
    ("start --no-wait=3 x", "unexpected argument: --no-wait=3"),
    ("start --help= x", "unexpected argument: --help="),
    ("initctl --dest", "missing argument: --dest"),
    ("initctl --dest --system", "missing argument: --dest"),
    ("check-config -i", "missing argument: -i"),
    ("check-config -wi -w", "missing argument: -i"),
    ("check-config --ignore-events --", "missing argument: --ignore-events"),
    ("reset-env -r", "invalid option: -r"),
])
def test_c98_what_is_wrong_with_a_command_line(line: str, text: str) -> None:
    assert refusal(line) == text


_words = st.one_of(
    st.text(alphabet="-=niwgreqvxab, \udcff", max_size=6),
    st.sampled_from([*COMMANDS, "--", "-", "", "--dest", "--dest=x", "-i", "--ignore-events", "--quiet", "--help", "svc", "A=1"]),
    st.sampled_from([*GLOBAL_OPTIONS, "no-wait", "global", "retain", "warn", "enumerate"]).map("--".__add__),
)


@given(st.sampled_from(["initctl", "", "-", *COMMANDS]), st.lists(_words, max_size=8))
def test_any_command_line_is_read_or_refused(program: str, words: List[str]) -> None:
    before = list(words)
    try:
        invocation = parse(program, words)
    except UsageError as error:
        assert "\n" not in error.text
        return
    finally:
        assert words == before
    assert invocation.information or invocation.command in COMMANDS
    assert all(word in words for word in invocation.arguments)
    assert len(invocation.arguments) <= len(words)

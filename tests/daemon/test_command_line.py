from __future__ import annotations

import pytest

from compat import UPSTART_VERSION
from compat.command_line import Information, Options, UsageError, parse
from compat.engine.actions import DEBUG, ERROR, INFO, MESSAGE

HINT = "Try `init --help' for more information.\n"


def refused(*arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    return caught.value.text


def told(*arguments: str) -> str:
    with pytest.raises(Information) as caught:
        parse(arguments)
    return caught.value.text


def test_defaults() -> None:
    options = parse([])
    assert (options.confdirs, options.prepend_confdirs, options.append_confdirs) == ([], [], [])
    assert options.default_console == "log"
    assert options.logdir is None
    assert options.startup_event == "startup"
    assert options.log_priority == MESSAGE
    assert options.flags == set()


@pytest.mark.parametrize("arguments", [("--confdir", "A"), ("--confdir=A",)])
def test_d1_value_separate_or_joined(arguments: tuple[str, ...]) -> None:
    assert parse(arguments).confdirs == ["A"]


def test_d1_value_is_the_next_word_that_nobody_took() -> None:
    options = parse(["--confdir", "--logdir", "first", "--verbose", "second", "third"])
    assert options.confdirs == ["first"]
    assert options.logdir == "second"
    assert options.log_priority == INFO


def test_d1_joined_value_may_hold_an_equals_sign_or_be_empty() -> None:
    assert parse(["--confdir=a=b", "--confdir="]).confdirs == ["a=b", ""]


def test_d1_names_are_not_abbreviated() -> None:
    options = parse(["--verb", "--conf", "A"])
    assert options.log_priority == MESSAGE
    assert options.confdirs == []


def test_d1_two_dashes_end_the_options() -> None:
    assert parse(["--", "--debug"]).log_priority == MESSAGE


@pytest.mark.parametrize(
    "option", ["--confdir", "--prepend-confdir", "--append-confdir", "--logdir", "--startup-event", "--default-console"])
def test_d2_missing_argument(option: str) -> None:
    assert refused("word", option) == f"init: missing argument: {option}\n" + HINT


@pytest.mark.parametrize("word", ["--foo=bar", "--user=1", "--quiet="])
def test_d2_unexpected_argument(word: str) -> None:
    assert refused(word, "--user") == f"init: unexpected argument: {word}\n" + HINT


def test_d3_console_type() -> None:
    assert refused("--default-console", "loud") == "init: invalid console type specified: loud\n"


@pytest.mark.parametrize("console", ["none", "output", "owner", "log"])
def test_d11_console_types(console: str) -> None:
    assert parse(["--default-console", console]).default_console == console


def test_d4_unknown_options_and_words_are_ignored() -> None:
    options = parse(["ro", "quiet", "--foo", "-x", "-z", "-", "", "root=/dev/sda1", "--no-sessions", "--error"])
    assert vars(options) == vars(Options())


def test_d5_directories_accumulate_and_the_last_single_value_wins() -> None:
    options = parse(["--append-confdir", "A", "--confdir", "C", "--prepend-confdir", "P", "--confdir", "D", "--prepend-confdir", "Q",
                     "--logdir", "x", "--logdir", "y", "--startup-event", "a", "--startup-event", "b"])
    assert (options.prepend_confdirs, options.confdirs, options.append_confdirs) == (["P", "Q"], ["C", "D"], ["A"])
    assert (options.logdir, options.startup_event) == ("y", "b")


@pytest.mark.parametrize(("words", "priority"), [
    (["-q"], ERROR), (["--quiet"], ERROR), (["-v"], INFO), (["--verbose"], INFO), (["--debug"], DEBUG),
    (["--debug", "-q"], ERROR), (["-q", "--debug", "-v"], INFO), (["-qv"], INFO),
])
def test_d5_d26_d28_last_log_level_wins(words: list[str], priority: int) -> None:
    assert parse(words).log_priority == priority


def test_d6_version_and_help_come_before_a_later_mistake() -> None:
    assert told("--foo", "-z", "junk", "--version", "--foo=bar").splitlines()[0] == f"init (upstart {UPSTART_VERSION})"
    assert "--confdir" in told("--help", "--confdir")


def test_d6_an_earlier_mistake_comes_first() -> None:
    assert refused("--foo=bar", "--version").startswith("init: unexpected argument: --foo=bar\n")


@pytest.mark.parametrize("flag", ["--no-log", "--no-dbus", "--no-inherit-env", "--session", "--user", "--no-cgroups"])
def test_flags(flag: str) -> None:
    assert parse([flag, flag]).flags == {flag}


def test_d16_no_startup_event_beats_the_other_option_in_any_order() -> None:
    assert parse(["--no-startup-event", "--startup-event", "hello"]).startup_event is None
    assert parse(["--startup-event", "hello", "--no-startup-event"]).startup_event is None


def test_d28_debug_is_remembered_for_the_debug_stanza() -> None:
    assert parse(["--debug", "-q"]).has("--debug")

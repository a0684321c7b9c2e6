"""Signal names (P58, E34, X92) and numbers (P57)."""
from __future__ import annotations

import signal

import pytest

from compat.parser.numbers import signed, unsigned
from compat.parser.signals import signal_name, signal_number


def test_p58_names_with_and_without_prefix() -> None:
    assert signal_number("HUP") == signal_number("SIGHUP") == 1
    for name in ("hup", "SIGSIGHUP", "SIG", "", "RTMIN", "SIGRTMIN", "RTMAX", "sigHUP", "EXIT", "15"):
        assert signal_number(name) is None


def test_p58_aliases() -> None:
    assert signal_number("IOT") == signal_number("ABRT")
    assert signal_number("CLD") == signal_number("SIGCHLD")
    assert signal_number("SIGPOLL") == signal_number("IO")
    assert signal_number("UNUSED") == 31


def test_e34_x92_printed_names() -> None:
    names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
        "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ]
    assert [signal_name(number) for number in range(1, 32)] == names
    assert [signal_number(name) for name in names] == list(range(1, 32))
    assert signal_name(0) is signal_name(32) is signal_name(-1) is None


def test_x92_numbers_are_the_hosts() -> None:
    for name in ("HUP", "KILL", "USR1", "TERM", "CHLD", "CONT", "STOP", "WINCH", "PWR", "SYS"):
        assert signal_number(name) == signal.Signals["SIG" + name]


@pytest.mark.parametrize("text, value", [
    ("0", 0), ("007", 7), ("+5", 5), ("-0", 0), (" \t5", 5), ("9223372036854775807", 2**63 - 1), ("9223372036854775808", None),
    ("", None), ("-", None), ("+-5", None), ("0x5", None), ("5 ", None), ("1k", None), ("1_0", None), ("\u0665", None), ("5\n", None),
    ("9" * 5000, None),
])
def test_p57_signed(text: str, value: object) -> None:
    assert signed(text, -5) == value


def test_p57_unsigned_wraps() -> None:
    assert unsigned("-1") == 2**64 - 1
    assert unsigned("-18446744073709551615") == 1
    assert unsigned("18446744073709551615") == 2**64 - 1
    assert unsigned("18446744073709551616") is None
    assert unsigned("-18446744073709551616") is None
    assert unsigned("17", octal=True) == 0o17
    assert unsigned("8", octal=True) is None

"""Which unit a process gets, by feature (X261)."""
from __future__ import annotations

import pytest

from compat.backends.placement import SCOPE, SERVICE, placement
from compat.parser import parse_job
from compat.parser.definition import MAIN, PROCESS_NAMES


def place(text: str, process: int = MAIN, console: str = "log", fds: "tuple[int, ...]" = (), debug: bool = False) -> "tuple[str, str]":
    return placement(parse_job((text + "\nexec x").encode()), process, console, fds, debug)


@pytest.mark.parametrize("text, console, fds, debug, kind, reason", [
    ("", "log", (), False, SERVICE, "main process"),
    ("", "none", (), False, SERVICE, "main process"),
    ("expect stop", "log", (), False, SERVICE, "main process"),
    ("expect fork", "log", (), False, SERVICE, "expect fork, its forks are followed"),
    ("expect daemon", "none", (), False, SERVICE, "expect daemon, its forks are followed"),
    ("", "output", (), False, SCOPE, "console output"),
    ("", "owner", (), False, SCOPE, "console owner"),
    ("chroot /r", "log", (), False, SERVICE, "main process"),
    ("setuid u", "log", (), False, SERVICE, "main process"),
    ("chroot /r\nsetuid u", "log", (), False, SCOPE, "chroot with setuid or setgid"),
    ("chroot /r\nsetgid g", "log", (), False, SCOPE, "chroot with setuid or setgid"),
    ("debug", "log", (), True, SCOPE, "debug stanza"),
    ("debug", "log", (), False, SERVICE, "main process"),
    ("", "log", (), True, SERVICE, "main process"),
    ("", "log", (7,), False, SCOPE, "descriptors of an event")])
def test_x261_main_processes(text: str, console: str, fds: "tuple[int, ...]", debug: bool, kind: str, reason: str) -> None:
    assert place(text, MAIN, console, fds, debug) == (kind, reason)


@pytest.mark.parametrize("process", [number for number in range(len(PROCESS_NAMES)) if number != MAIN])
def test_x251_all_other_processes_are_in_scopes(process: int) -> None:
    assert place("", process) == (SCOPE, "not the main process")

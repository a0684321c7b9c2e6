"""Which events a job file says that it emits."""
from __future__ import annotations

import pytest

from compat.parser.emitted_events import emitted_events
from compat.parser.job_file import parse_job


@pytest.mark.parametrize("command, expected", [
    ("exec initctl emit ready", ("ready",)),
    ("exec /sbin/initctl emit --no-wait ready A=b", ("ready",)),
    ("exec initctl --quiet emit -n ready", ("ready",)),
    ("script\n  [ -e x ] && initctl emit up || initctl emit down; true\nend script", ("up", "down")),
    ('script\n  (initctl emit "up")\n  x=$(initctl emit other)\nend script', ("up", "other")),
    ('exec initctl emit "$NAME"', ()),
    ("exec initctl emit disk-$NAME", ()),
    ("exec initctl emit", ()),
    ("exec initctl start web", ()),
    ("exec echo emit ready", ()),
    ("pre-start exec initctl emit a\npost-stop exec initctl emit b\nexec x", ("a", "b")),
])
def test_b276_events_of_commands(command: str, expected: "tuple[str, ...]") -> None:
    assert sorted(emitted_events(parse_job(command.encode()))) == sorted(expected)


def test_b276_emits_comes_first_and_nothing_twice() -> None:
    job = parse_job(b"emits b *-device-added\nexec initctl emit b\npost-start exec initctl emit a")
    assert emitted_events(job) == ("b", "*-device-added", "a")

"""The command line of the next run (D178-D180)."""
from __future__ import annotations

import os
import pathlib
from typing import List

import pytest

from compat.command_line import Information, parse
from compat.engine.actions import DEBUG, ERROR, INFO, MESSAGE
from compat.reexec.arguments import asking, edited, own_program, program


def test_d179_the_example() -> None:
    first = edited(["--user", "--confdir", "D", "--verbose"], INFO, 12)
    assert first == ["--user", "--confdir", "D", "--state-fd", "12", "--verbose", "--restart"]
    assert edited(first, INFO, 9) == ["--user", "--confdir", "D", "--restart", "--state-fd", "9", "--verbose"]


@pytest.mark.parametrize("priority, added", [(DEBUG, ["--debug"]), (INFO, ["--verbose"]), (MESSAGE, []), (ERROR, [])])
def test_d180_the_level_is_the_present_one(priority: int, added: List[str]) -> None:
    words = ["--debug", "-v", "--error", "--quiet", "--verbose"]
    assert edited(words, priority, 5) == ["-v", "--quiet", "--state-fd", "5", *added, "--restart"]


@pytest.mark.parametrize("words", [["--state-fd", "7"], ["--state-fd=7"], ["--state-fd"], ["--restart", "--state-fd", "7"]])
def test_d179_what_was_added_before_is_replaced(words: List[str]) -> None:
    found = edited([*words, "--user"] if words[-1] != "--state-fd" else ["--user", *words], MESSAGE, 8)
    assert sorted(found) == ["--restart", "--state-fd", "--user", "8"]
    assert parse(found).state_fd == 8


def test_d4_what_stands_behind_the_end_of_options_stays_there() -> None:
    found = edited(["--user", "--", "--verbose", "word"], MESSAGE, 8)
    assert found == ["--user", "--state-fd", "8", "--restart", "--", "--verbose", "word"]
    assert parse(found).has("--restart")
    with pytest.raises(Information):
        parse(asking(found))


def test_d6_asking_reads_all_words() -> None:
    assert asking(["--confdir", "D"]) == ["--confdir", "D", "--version"]


def test_d177_a_script_is_executed_by_its_name_and_a_module_by_its_interpreter(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "upstart-compat"
    path.write_text("#!/bin/true\n")
    line = ["/usr/bin/python3", str(path), "--user"]
    assert program(str(path), line, 1) == ["/usr/bin/python3", str(path)]
    path.chmod(0o755)
    assert program(str(path), line, 1) == [str(path)]
    assert program("/x/compat/daemon.py", ["python3", "-m", "compat.daemon", "--user"], 1) == ["python3", "-m", "compat.daemon"]
    assert os.path.isabs(own_program("/no/such/script", 0)[0])

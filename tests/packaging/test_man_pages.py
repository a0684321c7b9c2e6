"""The manual pages name everything that the code knows, and render without a warning."""
from __future__ import annotations

import pathlib
import re
import subprocess
from typing import Dict, List, Set

import pytest

from compat import command_line, init_checkconf, links
from compat.client.options import COMMAND_OPTIONS, COMMANDS, GLOBAL_OPTIONS, VALUES
from compat.parser.stanzas import CONSOLES, EXPECTS, RESOURCES, STANZAS
from tests.packaging.box import ROOT, needs

PAGES = sorted((ROOT / "packaging" / "man").iterdir())


def text_of(name: str) -> str:
    return (ROOT / "packaging" / "man" / name).read_text("ascii")


def options_in(text: str) -> Set[str]:
    """The options that a page marks as such, with their dashes."""
    return {"-" + option for option in re.findall(r"\bFl (-?[a-z][a-z-]*)|[|,] (-[a-z][a-z-]*)", text) for option in option if option}


def items(text: str, macro: str) -> Dict[str, str]:
    """The first word that a list's items mark by a macro → their heads, all of them."""
    found: Dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(f".It {macro} "):
            word = line.split()[2]
            found[word] = found.get(word, "") + line
    return found


def test_upstart_job_5_names_every_stanza() -> None:
    text = text_of("upstart-job.5")
    assert set(STANZAS) == set(items(text, "Ic")) - {"starting", "started", "stopping", "stopped"}
    documented = items(text, "Ic")
    # Second words.
    assert {"on"} == set(re.findall(r"start (on)", documented["start"]))
    for name, words in {"kill": "timeout signal", "reload": "signal", "normal": "exit", "respawn": "limit", "apparmor": "load switch",
                        "oom": "score never", "pre-start": "exec script", "post-start": "exec script", "pre-stop": "exec script",
                        "post-stop": "exec script"}.items():
        for word in words.split():
            assert re.search(rf"\b{word}\b", documented[name]), f"{name} {word}"
    marked = set(re.findall(r"^\.(?:It )?Cm ([a-z]+)", text, re.MULTILINE))
    assert set(EXPECTS) | set(CONSOLES) | set(RESOURCES) <= marked


def test_initctl_8_names_every_command_and_option() -> None:
    text = text_of("initctl.8")
    commands = items(text, "Cm")
    assert set(commands) == set(COMMANDS)
    for command, options in COMMAND_OPTIONS.items():
        expected = {f"--{name}" for name in options} | {f"-{letter}" for letter in options.values() if letter}
        assert options_in(commands[command]) == expected, command
    for command in set(COMMANDS) - set(COMMAND_OPTIONS):
        assert options_in(commands[command]) == set(), command
    heads = "\n".join(line for line in text.splitlines() if line.startswith(".It Fl"))
    assert options_in(heads) == {f"--{name}" for name in GLOBAL_OPTIONS} | {f"-{letter}" for letter in GLOBAL_OPTIONS.values() if letter}
    for option, value in VALUES.items():
        assert f"-{option} Ns = Ns Ar {value}" in text


def test_upstart_compat_8_names_every_option() -> None:
    text = text_of("upstart-compat.8")
    help_texts = command_line._HELP + links._HELP
    expected = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", "\n".join(re.findall(r"^ +(-.*?)(?:  |$)", help_texts, re.MULTILINE))))
    assert {"--confdir", "-q", "--enable", "--directory"} <= expected
    assert expected <= options_in(text)
    for name in links.NAMES:
        assert name in text


def test_init_checkconf_8_names_every_option() -> None:
    names = {f"--{name}" for name in init_checkconf._LONG} | {f"-{letter}" for letter in init_checkconf._SHORT}
    assert names == options_in(text_of("init-checkconf.8"))


def test_every_page_is_named_after_its_title() -> None:
    for page in PAGES:
        title = re.search(r"^\.Dt (\S+) (\d)$", page.read_text(), re.MULTILINE)
        assert title and f"{title[1].lower()}.{title[2]}" == page.name


@needs("mandoc")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_has_nothing_to_say(page: pathlib.Path) -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@needs("man", "groff")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_man_has_nothing_to_say(page: pathlib.Path) -> None:
    command: List[str] = ["man", "--warnings", "-E", "UTF-8", "-l", str(page)]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin", "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert page.name.partition(".")[0] in done.stdout

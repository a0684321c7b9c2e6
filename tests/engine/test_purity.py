"""Parser, engine and state do no I/O, read no clock, and know nothing of the project but each other's data."""
from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, Tuple

import pytest

import compat

PACKAGE = Path(compat.__file__).parent
FORBIDDEN = {
    "asyncio", "ctypes", "datetime", "dbus", "fcntl", "glob", "io", "logging", "multiprocessing", "os", "pathlib", "pwd", "random",
    "resource", "select", "selectors", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time"}
#: A front end that reads the files it is given; nothing of the program imports it.
COMMANDS = {"parser/__main__.py"}
#: What each room may know; the names of D-Bus objects are no more than names.
KNOWN = {"parser": {"parser"}, "engine": {"parser", "engine"}, "state": {"parser", "engine", "state", "control.paths"},
         "control": {"control.paths"}}


def pure_modules() -> Iterator[Path]:
    for room in ("engine", "parser", "state"):
        for path in sorted((PACKAGE / room).glob("*.py")):
            if path.relative_to(PACKAGE).as_posix() not in COMMANDS:
                yield path
    yield PACKAGE / "control" / "paths.py"


def imports(path: Path) -> Iterator[Tuple[str, ...]]:
    """Every imported module, as absolute names split at the dots."""
    here = ("compat", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield tuple(name.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = here[:len(here) + 1 - node.level] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            for name in node.names:
                yield (*module, name.name)


@pytest.mark.parametrize("path", list(pure_modules()), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_pure_rooms_know_only_each_other(path: Path) -> None:
    room = path.parent.name
    for name in imports(path):
        assert name[0] not in FORBIDDEN
        if name[0] == "compat":
            assert name[1] in KNOWN[room] or ".".join(name[1:3]) in KNOWN[room], "the parser knows only itself, the engine the parser too"


@pytest.mark.parametrize("path", list(pure_modules()), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_pure_rooms_open_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text())
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert calls.isdisjoint({"open", "print", "input", "exec", "eval", "__import__", "hash", "id"})


def test_there_is_something_to_look_at() -> None:
    names = {path.name for path in pure_modules()}
    assert {"lifecycle.py", "job_file.py"} <= names

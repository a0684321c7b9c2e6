"""setup.py makes an executable launcher where a package is built."""
from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from compat.backends import process_spec
from compat.backends.process_spec import ProcessSpec

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def test_build_ext_makes_an_executable(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("setuptools")
    # Without pyproject.toml, which is for a setuptools that pip gets for itself; this may be an old one.
    copy = tmp_path / "copy"
    (copy / "compat" / "backends").mkdir(parents=True)
    for source in (ROOT / "setup.py", *(ROOT / "compat" / "backends").glob("launcher*.[ch]")):
        shutil.copy(source, copy / source.relative_to(ROOT))
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", tmp_path / "lib", "--build-temp", tmp_path / "temp"],
        cwd=copy, check=True, timeout=120)
    program = tmp_path / "lib" / "compat" / "backends" / "upstart-compat-launcher"
    assert [path for path in (tmp_path / "lib").rglob("*") if path.is_file()] == [program]
    spec = ProcessSpec()
    spec.strings(process_spec.ARGV, (b"/bin/sh", b"-c", b"exit 7"))
    specification = tmp_path / "specification"
    specification.write_bytes(spec.encode())
    assert subprocess.run([program, specification], timeout=20).returncode == 7
    assert os.access(program, os.X_OK)


def test_the_launcher_compiles_without_a_warning(tmp_path: pathlib.Path) -> None:
    sources = sorted((ROOT / "compat" / "backends").glob("launcher*.c"))
    subprocess.run(
        [os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", *sources,
         "-o", tmp_path / "launcher"], check=True, timeout=120)

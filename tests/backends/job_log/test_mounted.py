"""Job output on file systems of their own (X122, X127, X128)."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
MOUNTED = """
import errno, os, subprocess, sys
sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from compat.backends.job_log import HeldOutput
from tests.backends.job_log.job_output import Process
top = Path(sys.argv[2])
lines = []
held = HeldOutput(lambda priority, text: lines.append((priority, text)))
def mount(*options):
    subprocess.run(["mount", *options, str(top)], check=True)
def fill():
    with open(top / "filler", "wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
mount("-t", "tmpfs", "-o", "size=64k", "tmpfs")
def run():
"""


def run_mounted(tmp_path: Path, body: str) -> None:
    """Run code with a small tmpfs of its own at ``top``, in a mount namespace."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", tmp_path], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs root, or user namespaces, to mount a file system")
    source = MOUNTED + "".join(f"    {line}\n" for line in body.splitlines()) + "run()\n"
    done = subprocess.run([*unshare, sys.executable, "-c", source, str(REPOSITORY), str(tmp_path)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_x122_full_file_system(tmp_path: Path) -> None:
    run_mounted(tmp_path, """
path = top / "web.log"
process = Process(path, lines)
process.prints(b"before ")
fill()
with open(path, "ab", buffering=0) as log:
    log.write(bytes(4096 - log.tell()))  # the rest of its own page
process.prints(b"lost ")
process.prints(b"lost ")
assert lines == [(3, f"Failed to write to log file {path}")] * 2, lines
os.unlink(top / "filler")
process.prints(b"after")
process.end()
assert path.read_bytes().rstrip(bytes(1)) == b"before ".ljust(4096, bytes(1)) + b"after", path.read_bytes()
""")


def test_x122_earlier_kept_data_survives_a_full_file_system(tmp_path: Path) -> None:
    run_mounted(tmp_path, """
path = top / "later" / "web.log"
process = Process(path, lines)
process.prints(b"kept ")
(top / "later").mkdir()
path.touch()
fill()
process.prints(b"lost ")
assert process.log.unwritten == 5
os.unlink(top / "filler")
process.prints(b"after")
process.end()
assert path.read_bytes() == b"kept after"
assert len(lines) == 1, lines
""")


def test_x127_x128_read_only_file_system(tmp_path: Path) -> None:
    run_mounted(tmp_path, """
path = top / "web.log"
mount("-o", "remount,bind,ro")
process = Process(path, lines, held)
process.prints(b"early ")
assert process.end()
assert len(held) == 1
try:
    held.write_all()
except OSError as error:
    assert error.strerror == "Read-only file system"
else:
    raise AssertionError("no error")
mount("-o", "remount,bind,rw")
held.write_all()
assert path.read_bytes() == b"early "
mount("-o", "remount,bind,ro")
process = Process(path, lines, held)
process.prints(b"lost ")
assert process.end()
assert len(held) == 0
mount("-o", "remount,bind,rw")
assert path.read_bytes() == b"early "
""")

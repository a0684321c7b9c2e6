"""The specification, the answers, and that C and Python agree on both."""
from __future__ import annotations

import errno
import pathlib
import re
import struct
import subprocess
from typing import Dict, List, Tuple

import pytest

from compat.backends import process_spec, spawn_errors
from compat.backends.native import LAUNCHER
from compat.backends.process_spec import ProcessSpec
from compat.backends.protocol import ProcessDefaults
from compat.parser import parse_job
from compat.parser.definition import MAIN, SECURITY

SOURCE = (pathlib.Path(process_spec.__file__).parent / "launcher_process.c").read_text()


def enumerators(name: str) -> List[str]:
    body = re.search(rf"enum {name} \{{(.*?)\}};", SOURCE, re.DOTALL)
    assert body is not None
    return re.findall(r"\b([A-Z][A-Z_]+)\b", re.sub(r"/\*.*?\*/", "", body.group(1), flags=re.DOTALL))


def records(data: bytes) -> List[Tuple[int, bytes]]:
    magic, size = struct.unpack_from("=II", data)
    assert (magic, size) == (process_spec.MAGIC, len(data))
    at, found = 8, []
    while at < size:
        tag, length = struct.unpack_from("=II", data, at)
        found.append((tag, data[at + 8:at + 8 + length]))
        at += 8 + length
    return found


def test_tags_are_those_of_the_launcher() -> None:
    names = enumerators("tag")
    assert names.pop() == "TAGS"
    assert [getattr(process_spec, name) for name in names] == list(range(1, len(names) + 1))
    assert f"0x{process_spec.MAGIC:x}" in SOURCE.lower()


def test_kinds_are_those_of_the_launcher() -> None:
    names = enumerators("failure")
    assert names.pop() == "NOTICE"
    assert [getattr(spawn_errors, name[5:]) for name in names] == list(range(1, len(names) + 1))
    assert f"NOTICE = {spawn_errors.NOTICE}," in SOURCE


def test_consoles_and_resources_are_those_of_the_launcher() -> None:
    assert [name[8:].lower() for name in enumerators("console")] == list(process_spec.CONSOLES)
    table = re.search(r"resources\[\] = \{(.*?)\}", SOURCE, re.DOTALL)
    assert table is not None
    assert [name.lower() for name in re.findall(r"RLIMIT_(\w+)", table.group(1))] == list(spawn_errors.RESOURCES)


def test_a_string_ends_at_its_first_nul() -> None:
    spec = ProcessSpec()
    spec.strings(process_spec.ARGV, (b"a\0b", b"", b"c"))
    spec.strings(process_spec.ENVIRONMENT, ())
    assert records(spec.encode()) == [(process_spec.ARGV, b"a\0\0c\0"), (process_spec.ENVIRONMENT, b"")]


def test_x40_texts() -> None:
    reason = spawn_errors.reason
    assert reason(spawn_errors.EXEC, errno.ENOENT, 0) == "unable to execute: No such file or directory"
    assert reason(spawn_errors.RLIMIT, errno.EINVAL, 7) == 'unable to set "nofile" resource limit: Invalid argument'
    assert reason(spawn_errors.BAD_SETUID, errno.ENOENT, 0) == "unable to find setuid user"
    assert reason(spawn_errors.BAD_SETGID, 0, 0) == "unable to find setgid group"
    assert reason(spawn_errors.UNLOCKPT, errno.EIO, 0) == "unable to unlockpt: Input/output error"
    assert reason(77, errno.EIO, 0) == "launcher gave an unknown answer (77): Input/output error"


def test_x41_the_cause_is_said_where_there_is_no_errno() -> None:
    assert spawn_errors.reason(spawn_errors.SECURITY, 0, 0, "Unknown parameter: X") \
        == "unable to switch security profile: Unknown parameter: X"


def surroundings(text: str, process: int = MAIN, reset_oom: bool = False, **defaults: object) -> Dict[int, bytes]:
    spec = ProcessSpec()
    spec.surroundings(parse_job(text.encode()), process, ProcessDefaults(**defaults), reset_oom)  # type: ignore[arg-type]
    return dict(records(spec.encode()))


def test_x37_the_security_process_has_no_surroundings_but_the_old_limit() -> None:
    text = ("nice 3\numask 077\nchdir /tmp\nchroot /x\nsetuid nobody\nsetgid nogroup\n"
            "limit core 1 2\nlimit nofile 1 2\noom score 5\nexec true")
    assert surroundings(text, SECURITY) == {}
    assert surroundings(text, SECURITY, nofile=(1024, 4096)) == {process_spec.LIMIT: struct.pack("=iQQ", 7, 1024, 4096)}


def test_x47_limits() -> None:
    assert surroundings("limit core unlimited unlimited")[process_spec.LIMIT] == struct.pack("=iQQ", 4, 2**64 - 1, 2**64 - 1)
    assert surroundings("limit nofile 10 20", nofile=(1024, 4096))[process_spec.LIMIT] == struct.pack("=iQQ", 7, 10, 20)


def test_x48_x49_nice_and_oom_only_where_given() -> None:
    silent = surroundings("exec true")
    assert process_spec.NICE not in silent and process_spec.OOM_SCORE not in silent and process_spec.OOM_RESET not in silent
    assert process_spec.NICE in surroundings("nice 0")
    assert process_spec.OOM_RESET in surroundings("exec true", reset_oom=True)
    assert process_spec.OOM_RESET not in surroundings("oom score 7", reset_oom=True)


def launch(tmp_path: pathlib.Path, data: bytes) -> "subprocess.CompletedProcess[bytes]":
    path = tmp_path / "spec"
    path.write_bytes(data)
    return subprocess.run([LAUNCHER, str(path)], env={}, stdout=subprocess.PIPE, timeout=20)


def test_launcher_takes_a_file(tmp_path: pathlib.Path) -> None:
    spec = ProcessSpec()
    spec.strings(process_spec.ARGV, (b"/bin/sh", b"-c", b"exit 7"))
    assert launch(tmp_path, spec.encode()).returncode == 7


def test_launcher_refuses_what_it_cannot_read(tmp_path: pathlib.Path) -> None:
    spec = ProcessSpec()
    spec.strings(process_spec.ARGV, (b"/bin/sh", b"-c", b"exit 7"))
    good = spec.encode()
    with_limit = ProcessSpec()
    with_limit.limit("cpu", 1, 2)
    bad = [good[:cut] for cut in range(len(good))]
    bad += [b"", b"\0" * 64, good + b"\0" * 4, good.replace(b"exit 7\0", b"exit 7x")]
    bad += [struct.pack("=II", process_spec.MAGIC, 8), struct.pack("=IIII", process_spec.MAGIC, 16, 99, 0)]
    bad += [struct.pack("=IIII", process_spec.MAGIC, 16, process_spec.ARGV, 0xFFFFFFF8)]
    bad += [struct.pack("=IIIIiQQ", process_spec.MAGIC, 36, process_spec.LIMIT, 20, 15, 1, 1)]
    for data in bad:
        assert launch(tmp_path, data).returncode == 255, data


@pytest.mark.parametrize("arguments", [[], ["99"], ["/nonexistent"], ["0", "1"], ["x"]])
def test_launcher_without_a_specification(arguments: List[str]) -> None:
    assert subprocess.run([LAUNCHER, *arguments], stdin=subprocess.DEVNULL, timeout=20).returncode == 255

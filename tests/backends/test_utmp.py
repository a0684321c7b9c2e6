"""utmp and wtmp records of ended processes: X100, checklist 78 of 3.19."""
from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List, NamedTuple, Tuple

import pytest

from compat.backends import utmp
from compat.backends.utmp import RECORD, process_ended

INIT, LOGIN, USER, DEAD, BOOT_TIME, RUN_LVL = 5, 6, 7, 8, 2, 1


class Record(NamedTuple):
    type: int
    pid: int
    line: bytes = b"tty1"
    id: bytes = b"1"
    user: bytes = b"LOGIN"
    host: bytes = b"somewhere"
    termination: int = 0
    exit: int = 0
    session: int = 7
    seconds: int = 1000000000
    microseconds: int = 5
    address: bytes = b"\1\2\3\4"
    reserved: bytes = b""


class Files:
    def __init__(self, folder: Path) -> None:
        self.utmp, self.wtmp = folder / "utmp", folder / "wtmp"

    def fill(self, *records: Record) -> None:
        self.utmp.write_bytes(b"".join(RECORD.pack(*record) for record in records))
        self.wtmp.write_bytes(b"")

    def end(self, pid: int) -> None:
        process_ended(pid, str(self.utmp), str(self.wtmp))

    @staticmethod
    def read(path: Path) -> List[Record]:
        return [Record(*(field.rstrip(b"\0") if isinstance(field, bytes) else field for field in fields))
                for fields in RECORD.iter_unpack(path.read_bytes())]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def died(record: Record) -> Record:
    return record._replace(type=DEAD, user=b"", host=b"", seconds=0, microseconds=0)


def test_x100_layout_is_libcs(tmp_path: Path) -> None:
    program = tmp_path / "layout"
    subprocess.run(["gcc", "-o", program, Path(__file__).parent / "programs" / "utmp_layout.c"], check=True)
    size, *fields = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert RECORD.size == int(size)
    places: List[Tuple[int, int]] = [tuple(map(int, each.split(":"))) for each in fields]  # type: ignore[misc]
    places[6:7] = [(places[6][0], 2), (places[6][0] + 2, 2)]  # ut_exit is two shorts
    # Put one distinct value into each place and see it come out as that field.
    raw = bytearray(RECORD.size)
    expected: List[Any] = []
    for number, (offset, length) in enumerate(places, 1):
        text = length not in (2, 4, 8) or number == 4
        raw[offset:offset + length] = bytes([64 + number]) * length if text else number.to_bytes(length, sys.byteorder)
        expected.append(bytes([64 + number]) * length if text else number)
    assert list(RECORD.unpack(raw))[:-1] == expected


def test_x100_only_the_record_of_the_pid_dies_and_wtmp_grows(files: Files) -> None:
    records = [Record(BOOT_TIME, 0), Record(USER, 100, user=b"ann"), Record(USER, 200, user=b"bob"), Record(LOGIN, 300, id=b"2")]
    files.fill(*records)
    before = int(time.time())
    files.end(200)
    assert files.read(files.utmp) == [records[0], records[1], died(records[2]), records[3]]
    [logged] = files.read(files.wtmp)
    assert logged._replace(seconds=0, microseconds=0) == died(records[2])
    assert before <= logged.seconds <= int(time.time()) and 0 <= logged.microseconds < 1000000


def test_x100_wtmp_is_appended_to(files: Files) -> None:
    files.fill(Record(LOGIN, 1234))
    files.wtmp.write_bytes(RECORD.pack(*Record(BOOT_TIME, 0)))
    files.end(1234)
    assert [record.type for record in files.read(files.wtmp)] == [BOOT_TIME, DEAD]


def test_x100_first_of_several_records_of_a_pid(files: Files) -> None:
    records = [Record(INIT, 50, id=b"a"), Record(LOGIN, 50, id=b"b")]
    files.fill(*records)
    files.end(50)
    assert files.read(files.utmp) == [died(records[0]), records[1]]


@pytest.mark.parametrize("kind", [0, RUN_LVL, BOOT_TIME, 3, 4, DEAD])
def test_x100_records_that_are_no_living_process_are_left_alone(files: Files, kind: int) -> None:
    # The run level stands where the pid is: 53 is run level 5.
    records = [Record(kind, 53), Record(LOGIN, 53)]
    files.fill(records[0])
    files.end(53)
    assert files.read(files.utmp) == records[:1] and files.wtmp.read_bytes() == b""
    files.fill(*records)
    files.end(53)
    assert files.read(files.utmp) == [records[0], died(records[1])]


def test_x100_a_number_elsewhere_in_a_record_is_no_pid(files: Files) -> None:
    number = struct.pack("=i", 0x41424344)
    records = [Record(USER, 1, line=number, host=b"xx" + number, address=number * 4)]
    files.fill(*records)
    files.end(0x41424344)
    assert files.read(files.utmp) == records and files.wtmp.read_bytes() == b""


def test_x100_a_record_cut_short_is_ignored(files: Files) -> None:
    files.fill(Record(USER, 1))
    cut = files.utmp.read_bytes() + RECORD.pack(*Record(USER, 2))[:-1]
    files.utmp.write_bytes(cut)
    files.end(2)
    assert files.utmp.read_bytes() == cut


def test_x100_missing_files_are_not_created(files: Files) -> None:
    files.end(1)
    assert not files.utmp.exists() and not files.wtmp.exists()
    files.fill(Record(USER, 1))
    files.wtmp.unlink()
    files.end(1)
    assert files.read(files.utmp)[0].type == DEAD and not files.wtmp.exists()


def test_x100_files_that_are_none_do_no_harm(tmp_path: Path) -> None:
    process_ended(1, str(tmp_path), str(tmp_path))


def test_x100_no_match_does_not_write(files: Files) -> None:
    files.fill(Record(USER, 1))
    before = files.utmp.stat().st_mtime_ns
    files.end(2)
    assert files.utmp.stat().st_mtime_ns == before


@pytest.mark.parametrize("lock", ["LOCK_SH", "LOCK_EX"])
def test_x100_a_lock_that_is_never_given_back_does_not_block(files: Files, lock: str) -> None:
    files.fill(Record(USER, 77))
    holder = subprocess.Popen([sys.executable, "-c", (
        "import fcntl, sys\n"
        f"files = [open(name, 'r+b') for name in sys.argv[1:]]\n[fcntl.lockf(file, fcntl.{lock}) for file in files]\n"
        "print('locked', flush=True)\nsys.stdin.read()"), str(files.utmp), str(files.wtmp)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        files.end(77)
        assert files.read(files.utmp)[0].type == DEAD
        assert len(files.read(files.wtmp)) == 1
        holder.communicate()


def test_x100_a_record_that_changed_meanwhile_is_left_alone(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.fill(Record(USER, 1))
    newer = Record(USER, 2, user=b"carl")
    monkeypatch.setattr(utmp, "_lock", lambda descriptor: os.pwrite(descriptor, RECORD.pack(*newer), 0) if descriptor else None)
    # The one who held the lock gave the place to a new login.
    files.end(1)
    assert files.read(files.utmp) == [newer] and files.wtmp.read_bytes() == b""

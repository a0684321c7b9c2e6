"""What of a job's output is written, and where (X32, X33, X115-X120, X133)."""
from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compat.backends.job_log import JobLog, log_path
from tests.backends.job_log.job_output import Lines, Process, open_slave


def run(path: Path, lines: Lines, *argv: str) -> None:
    """Run a program as a job, to its end."""
    log = JobLog.create(str(path), lambda priority, text: lines.append((priority, text)))
    slave = open_slave(log)
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True) as child:
        os.close(slave)
        while True:
            select.select([log.master], [], [])
            if not log.readable():
                break
        child.wait()
    assert log.finish()


# -- names (X116, X117, X32) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("job, instance, name", [
    ("web", "", "web.log"),
    ("web", "1", "web-1.log"),
    ("a/b", "c/d_?/", "a_b-c_d_?_.log"),
    ("foo bar", "c/d_?/", "foo bar-c_d_?_.log"),
    ("a_b", "", "a_b.log"),
    ("a/b", "", "a_b.log"),
    ("../x", "..", ".._x-...log"),
])
def test_x116_log_path(job: str, instance: str, name: str) -> None:
    assert log_path("/var/log/upstart", job, instance) == "/var/log/upstart/" + name


def test_x116_bytes_of_a_name_are_kept(tmp_path: Path, lines: Lines) -> None:
    name = os.fsdecode(b"caf\xe9\xff")
    run(Path(log_path(str(tmp_path), name, "")), lines, "echo", "x")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9\xff.log"]


@pytest.mark.parametrize("name, fits", [("x" * 251, True), ("x" * 252, False), ("\xe9" * 125, True), ("\xe9" * 126, False)])
def test_x33_file_name_over_255_bytes_is_refused(tmp_path: Path, lines: Lines, name: str, fits: bool) -> None:
    path = tmp_path / (name + ".log")
    if fits:
        run(path, lines, "echo", "x")
        assert path.read_bytes() == b"x\r\n"
    else:
        with pytest.raises(OSError) as caught:
            JobLog.create(str(path), lambda priority, text: None)
        assert caught.value.errno == errno.ENAMETOOLONG


def test_x33_path_over_4095_bytes_is_refused(lines: Lines) -> None:
    log = JobLog.create("/" * 4090 + "x.log", lambda priority, text: None)
    log.close()
    with pytest.raises(OSError, match="File name too long"):
        JobLog.create("/" * 4091 + "x.log", lambda priority, text: None)


def test_x32_no_pty_raises(path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            JobLog.create(str(path), lambda priority, text: None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.errno == errno.EMFILE


# -- what is written (X115, X119, X133) ------------------------------------------------------------------------


def test_x115_newline_becomes_crlf(path: Path, lines: Lines) -> None:
    run(path, lines, "echo", "hello")
    assert path.read_bytes() == b"hello\r\n"
    assert lines == []


def test_x115_other_bytes_are_unchanged(process: Process, path: Path) -> None:
    data = bytes(byte for byte in range(256) if byte != 10)
    process.prints(data)
    process.end()
    assert path.read_bytes() == data


def test_x115_job_sees_a_terminal_of_no_size(path: Path, lines: Lines) -> None:
    run(path, lines, sys.executable, "-c", "import os, sys; print(*map(os.isatty, (0, 1, 2)), *os.get_terminal_size(1))")
    assert path.read_bytes() == b"False True True 0 0\r\n"


def test_x115_both_outputs_of_two_processes_in_time_order(path: Path, lines: Lines) -> None:
    run(path, lines, "sh", "-c", "echo one; echo two >&2; echo three")
    run(path, lines, "sh", "-c", "echo four >&2; echo five")
    assert path.read_bytes() == b"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n"


@pytest.mark.parametrize("umask", [0o077, 0o000, 0o777])
def test_x119_mode_is_0640_whatever_the_umask(process: Process, path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        process.prints(b"x")
        after = os.umask(umask)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert after == umask


def test_x119_existing_file_keeps_its_mode_and_is_appended_to(process: Process, path: Path) -> None:
    path.write_bytes(b"before\n")
    path.chmod(0o604)
    process.prints(b"x")
    assert path.read_bytes() == b"before\nx"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_x119_silent_job_makes_no_file(process: Process, path: Path) -> None:
    assert process.log.readable()
    assert process.end()
    assert not path.exists()


def test_x119_descriptors_are_close_on_exec_and_non_blocking(process: Process, path: Path) -> None:
    process.prints(b"x")
    [file] = [int(name) for name in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{name}") == str(path.resolve())]
    for descriptor in (file, process.log.master):
        assert fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK
    assert fcntl.fcntl(file, fcntl.F_GETFL) & os.O_APPEND


def test_x133_fast_output_is_complete(path: Path, lines: Lines) -> None:
    run(path, lines, "head", "-c", "3000000", "/dev/zero")
    assert path.read_bytes() == bytes(3000000)


def test_x133_a_flood_neither_grows_memory_nor_loses_data(path: Path, lines: Lines) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(path, lines, "sh", "-c", "head -c 24000000 /dev/zero; echo end")
    assert path.stat().st_size == 24000005
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB


def test_x133_one_call_reads_a_bounded_amount(path: Path, lines: Lines) -> None:
    log = JobLog.create(str(path), lambda priority, text: None)
    slave = open_slave(log)
    with subprocess.Popen(["head", "-c", "4000000", "/dev/zero"], stdout=slave, start_new_session=True):
        os.close(slave)
        size, going = 0, True
        while going:
            select.select([log.master], [], [])
            going = log.readable()
            grown, size = path.stat().st_size - size, path.stat().st_size
            assert grown < 400000
    assert size == 4000000
    log.finish()


# -- rotation (X120) -------------------------------------------------------------------------------------------


def test_x120_renamed_file_goes_on(process: Process, path: Path) -> None:
    process.prints(b"1")
    path.rename(path.with_suffix(".log.1"))
    process.prints(b"2")
    assert path.with_suffix(".log.1").read_bytes() == b"12" and not path.exists()


def test_x120_deleted_file_is_made_anew(process: Process, path: Path) -> None:
    process.prints(b"1")
    path.unlink()
    process.prints(b"2")
    assert path.read_bytes() == b"2"


def test_x120_renamed_compressed_and_deleted(process: Process, path: Path) -> None:
    process.prints(b"1")
    rotated = path.with_suffix(".log.1")
    path.rename(rotated)
    process.prints(b"2")
    rotated.unlink()
    process.prints(b"3")
    assert path.read_bytes() == b"3"


def test_x120_truncated_file_continues_at_its_end(process: Process, path: Path) -> None:
    process.prints(b"123456")
    os.truncate(path, 2)
    process.prints(b"7")
    assert path.read_bytes() == b"127"


def test_x120_a_symlink_is_not_followed_and_the_missed_lines_come_first(process: Process, path: Path, tmp_path: Path) -> None:
    process.prints(b"1")
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    path.unlink()
    path.symlink_to(target)
    process.prints(b"2")
    process.prints(b"3")
    assert target.read_bytes() == b"precious"
    path.unlink()
    process.prints(b"4")
    assert path.read_bytes() == b"234"

"""Job output with real ptys and real files: X32, X33, X115-X129, checklist 79-94 of 3.19 as far as they show here."""
from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.backends import job_log as job_log_module
from compat.backends.job_log import HELD_LIMIT, KEPT_LIMIT, HeldOutput, JobLog, KeptOutput, log_path
from compat.engine.actions import DEBUG, WARN

TIOCSPTLCK, TIOCGPTN = 0x40045431, 0x80045430
REPOSITORY = Path(__file__).parents[2]

Lines = List[Tuple[int, str]]


def open_slave(log: JobLog) -> int:
    """What the launcher does with the master (X36 step 2)."""
    fcntl.ioctl(log.master, TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("I", fcntl.ioctl(log.master, TIOCGPTN, bytes(4)))[0]
    return os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


class Process:
    """A JobLog and the other end of its pty, held by the test in the place of a job."""

    def __init__(self, path: Path, lines: Lines, held: Optional[HeldOutput] = None) -> None:
        self.log = JobLog.create(str(path), lambda priority, text: lines.append((priority, text)), held)
        self.slave = open_slave(self.log)

    def prints(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.slave, data[:2048]):]
            assert self.log.readable()

    def end(self) -> bool:
        self.hang_up()
        return self.log.finish()

    def hang_up(self) -> None:
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1


@pytest.fixture
def lines() -> Lines:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.log"


@pytest.fixture
def process(path: Path, lines: Lines) -> Iterator[Process]:
    process = Process(path, lines)
    yield process
    process.hang_up()
    process.log.close()


@pytest.fixture(autouse=True)
def no_descriptor_is_left_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


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


# -- files that cannot be written (X121-X123) -------------------------------------------------------------------


def test_x121_directory_made_later(tmp_path: Path, lines: Lines) -> None:
    process = Process(tmp_path / "later" / "web.log", lines)
    process.prints(b"1\n2\n")
    process.prints(b"3\n")
    assert process.log.unwritten == 9
    (tmp_path / "later").mkdir()
    process.prints(b"4\n")
    assert process.log.unwritten == 0
    process.end()
    assert (tmp_path / "later" / "web.log").read_bytes() == b"1\r\n2\r\n3\r\n4\r\n"
    assert lines == []


def test_x121_directory_made_just_before_the_end(tmp_path: Path, lines: Lines) -> None:
    process = Process(tmp_path / "later" / "web.log", lines)
    process.prints(b"1")
    (tmp_path / "later").mkdir()
    assert process.end()
    assert (tmp_path / "later" / "web.log").read_bytes() == b"1"


def test_x121_what_is_kept_is_bounded_and_its_loss_marked(tmp_path: Path, lines: Lines) -> None:
    process = Process(tmp_path / "later" / "web.log", lines)
    printed = b"".join(b"%07d\n" % number for number in range(200000))
    process.prints(printed)
    assert process.log.unwritten == KEPT_LIMIT
    (tmp_path / "later").mkdir()
    process.end()
    marker, _, rest = (tmp_path / "later" / "web.log").read_bytes().partition(b"\r\n")
    output = printed.replace(b"\n", b"\r\n")
    assert marker == b"[%d bytes of output could not be kept]" % (len(output) - KEPT_LIMIT)
    assert rest == output[-KEPT_LIMIT:]


@given(st.lists(st.one_of(st.binary(max_size=12), st.integers(min_value=0, max_value=60)), max_size=40))
def test_x121_kept_output_holds_the_newest_bytes(steps: List[Union[bytes, int]]) -> None:
    kept = KeptOutput(16)
    model, dropped = b"", 0
    for step in steps:
        if isinstance(step, bytes):
            model += step
            excess = max(0, len(model) - 16)
            model, dropped = model[excess:], dropped + excess
            kept.append(step)
        else:
            content = (b"[%d bytes of output could not be kept]\r\n" % dropped if dropped else b"") + model
            count = min(step, len(content))
            kept.written(count)
            if count:
                model, dropped = content[count:], 0
        assert len(kept) == len(model)
        assert kept.content() == (b"[%d bytes of output could not be kept]\r\n" % dropped if dropped else b"") + model


def test_x122_full_device_drops_and_warns_each_time(lines: Lines) -> None:
    process = Process(Path("/dev/full"), lines)
    process.prints(b"1")
    process.prints(b"2")
    assert lines == [(WARN, "Failed to write to log file /dev/full")] * 2
    assert process.log.unwritten == 0
    process.end()


def test_x122_file_size_limit_counts_as_full(process: Process, path: Path, lines: Lines) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        process.prints(b"1234")
        process.prints(b"lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    process.prints(b"5")
    assert path.read_bytes() == b"12345"
    assert lines == [(WARN, f"Failed to write to log file {path}")]


def test_x123_partial_write_keeps_the_rest(path: Path, lines: Lines) -> None:
    # A pipe is a file that takes a part only. Its smallest capacity is one page.
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    process = Process(path, lines)
    process.prints(b"0")
    fcntl.fcntl(reader, 1031, resource.getpagesize())  # F_SETPIPE_SZ
    output = b"".join(b"%06d " % number for number in range(3000))
    process.prints(output)
    assert process.log.unwritten > 10000
    got = b""
    for _ in range(20):
        got += os.read(reader, 65536)
        process.prints(b".")
    assert process.log.unwritten == 0
    got += os.read(reader, 65536)
    assert got == b"0" + output + b"." * 20
    assert lines == []
    process.end()
    os.close(reader)


def test_a_file_whose_device_fails_is_opened_anew(process: Process, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process.prints(b"1")
    real, failures = os.write, [errno.EIO]

    def failing(descriptor: int, data: bytes) -> int:
        if failures and descriptor != process.slave:
            raise OSError(failures.pop(), "broken")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", failing)
    process.prints(b"2")
    path.rename(path.with_suffix(".1"))
    process.prints(b"3")
    assert path.read_bytes() == b"23"


# -- the end of the process (X124-X127) ----------------------------------------------------------------------------


def test_x124_what_is_left_is_written_at_the_end(process: Process, path: Path) -> None:
    os.write(process.slave, b"last words\n")
    assert process.end()
    assert path.read_bytes() == b"last words\r\n"
    assert process.log.master == -1


def test_x124_finish_may_be_repeated(process: Process, path: Path) -> None:
    process.prints(b"x")
    assert process.end() and process.log.finish() and not process.log.readable()
    process.log.close()
    assert path.read_bytes() == b"x"


def test_x124_x125_child_outliving_main_gets_eio_and_no_hangup(process: Process, path: Path, lines: Lines) -> None:
    go, result = os.pipe(), os.pipe()
    source = f"""
import os
os.read({go[0]}, 1)
try:
    os.write(1, b"late")
except OSError as error:
    os.write({result[1]}, str(error.errno).encode())
"""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", source], stdout=process.slave, pass_fds=(go[0], result[1]),
                          start_new_session=True) as child:
        os.close(result[1])
        os.write(process.slave, b"early\n")
        process.hang_up()
        assert process.log.finish()
        assert lines == [(DEBUG, f"Process associated with log leaked a file descriptor {path}")]
        os.write(go[1], b"g")
        assert int(os.read(result[0], 100)) == errno.EIO
    for descriptor in (*go, result[0]):
        os.close(descriptor)
    assert child.returncode == 0
    assert path.read_bytes() == b"early\r\n"


def test_x125_a_writer_without_end_does_not_hold_up_finish(process: Process, path: Path) -> None:
    with subprocess.Popen(["yes"], stdout=process.slave, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        process.hang_up()
        select.select([process.log.master], [], [])
        assert process.log.finish()
        assert child.wait(20) == 1
    assert 0 < path.stat().st_size < 4 << 20


def test_x125_a_pty_that_never_runs_dry_does_not_hold_up_finish(
        process: Process, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    master, real, left = process.log.master, os.read, [100000]

    def flooded(descriptor: int, size: int) -> bytes:
        if descriptor != master:
            return real(descriptor, size)
        left[0] -= 1
        assert left[0]
        return bytes(4096)

    monkeypatch.setattr(os, "read", flooded)
    assert process.log.finish()
    assert path.stat().st_size == 1 << 20


def test_x126_job_that_closes_its_outputs_goes_on(process: Process, path: Path) -> None:
    os.write(process.slave, b"bye\n")
    process.hang_up()
    assert not process.log.readable()
    assert not process.log.readable()
    assert path.read_bytes() == b"bye\r\n"
    assert process.log.finish()


def test_x127_missing_directory_until_the_end_loses_the_output(tmp_path: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    process = Process(tmp_path / "missing" / "web.log", lines, held)
    process.prints(b"x")
    assert process.end()
    assert len(held) == 0 and lines == []


@pytest.fixture
def forbidden(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be written to until ``permit`` is called; root has to step down for that."""
    folder = tmp_path / "forbidden"
    folder.mkdir(0o500)
    if os.geteuid() == 0:
        os.seteuid(65534)
    yield folder
    permit(folder)


def permit(folder: Path) -> None:
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o700)


def test_x127_x129_held_output_is_written_oldest_first(forbidden: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    for name, text in (("a", b"pre-start "), ("b", b"other "), ("a", b"main "), ("a", b"post-stop")):
        process = Process(forbidden / name, lines, held)
        process.prints(text)
        assert process.end()
    assert len(held) == 4
    with pytest.raises(PermissionError):
        held.write_all()
    assert len(held) == 4 and not held.flushed
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"pre-start main post-stop"
    assert (forbidden / "b").read_bytes() == b"other "
    assert len(held) == 0 and held.flushed


def test_x127_output_of_left_over_children_is_still_taken(forbidden: Path, lines: Lines) -> None:
    released: List[int] = []
    held = HeldOutput(lambda priority, text: None, released.append)
    process = Process(forbidden / "a", lines, held)
    process.prints(b"main ")
    master = process.log.master
    assert not process.log.finish()
    process.prints(b"child ")
    os.write(process.slave, b"again")
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"main child again"
    assert released == [master] and process.log.master == -1
    with pytest.raises(OSError) as caught:
        os.write(process.slave, b"late")
    assert caught.value.errno == errno.EIO
    process.hang_up()


def test_x127_held_log_whose_last_writer_goes_closes_its_master(forbidden: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    process = Process(forbidden / "a", lines, held)
    process.prints(b"main ")
    assert not process.log.finish()
    os.write(process.slave, b"child")
    process.hang_up()
    assert not process.log.readable()
    assert process.log.finish() and process.log.master == -1
    assert len(held) == 1
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"main child"


def test_x128_nothing_is_held_after_a_flush(forbidden: Path, lines: Lines) -> None:
    held = HeldOutput(lambda priority, text: None)
    held.write_all()
    process = Process(forbidden / "a", lines, held)
    process.prints(b"x")
    assert process.end()
    assert len(held) == 0
    permit(forbidden)
    assert not (forbidden / "a").exists()


def test_x127_too_much_held_output_is_refused(forbidden: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_log_module, "HELD_LIMIT", 10)
    assert HELD_LIMIT >= KEPT_LIMIT
    held = HeldOutput(lambda priority, text: lines.append((priority, text)))
    for text in (b"123456", b"78901", b"7890"):
        process = Process(forbidden / "a", lines, held)
        process.prints(text)
        assert process.end()
    assert lines == [(WARN, "Failed to add log to unflushed queue")]
    permit(forbidden)
    held.write_all()
    assert (forbidden / "a").read_bytes() == b"1234567890"


# -- on file systems of their own (X122, X127, X128) -----------------------------------------------------------


MOUNTED = """
import errno, os, subprocess, sys
sys.path[:0] = [sys.argv[1], os.path.dirname(sys.argv[2])]
from pathlib import Path
from {module} import HeldOutput, Process
top = Path(sys.argv[3])
lines = []
held = HeldOutput(lambda priority, text: lines.append((priority, text)))
def mount(*options):
    subprocess.run(["mount", *options, str(top)], check=True)
mount("-t", "tmpfs", "-o", "size=64k", "tmpfs")
def run():
"""


def run_mounted(tmp_path: Path, body: str) -> None:
    """Run code with a small tmpfs of its own at ``top``, in a mount namespace."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", tmp_path], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs root, or user namespaces, to mount a file system")
    source = MOUNTED.format(module=Path(__file__).stem) + "".join(f"    {line}\n" for line in body.splitlines()) + "run()\n"
    done = subprocess.run([*unshare, sys.executable, "-c", source, str(REPOSITORY), __file__, str(tmp_path)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_x122_full_file_system(tmp_path: Path) -> None:
    run_mounted(tmp_path, """
path = top / "web.log"
process = Process(path, lines)
process.prints(b"before ")
with open(top / "filler", "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError as error:
        assert error.errno == errno.ENOSPC
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
with open(top / "filler", "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError as error:
        assert error.errno == errno.ENOSPC
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

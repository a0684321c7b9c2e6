from __future__ import annotations

import fcntl
import os
import pty
import socket
from collections.abc import Iterator

import pytest

from compat.engine.actions import DEBUG, ERROR, FATAL, INFO, MESSAGE, WARN
from compat.log import PRIORITY_NAMES, Log

#: Not in the module before Python 3.10.
F_GETPIPE_SZ = 1032


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self) -> str:
        """All that is in it, as text."""
        data = b""
        while True:
            try:
                piece = os.read(self.reader, 1 << 16)
            except BlockingIOError:
                return data.decode("utf-8", "surrogateescape")
            if not piece:
                return data.decode("utf-8", "surrogateescape")
            data += piece

    def fill(self, leave: int = 0) -> None:
        """Fill it but for ``leave`` bytes."""
        size = fcntl.fcntl(self.writer, F_GETPIPE_SZ)
        os.write(self.writer, b"." * (size - leave))

    def close(self) -> None:
        for fd in (self.reader, self.writer):
            os.close(fd)


@pytest.fixture
def out() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def err() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_d63_names_in_order() -> None:
    assert PRIORITY_NAMES == ("debug", "info", "message", "warn", "error", "fatal")
    assert [PRIORITY_NAMES[each] for each in (DEBUG, INFO, MESSAGE, WARN, ERROR, FATAL)] == list(PRIORITY_NAMES)


@pytest.mark.parametrize("priority", range(6))
def test_d63_shown_from_the_priority_up(priority: int, out: Pipe, err: Pipe) -> None:
    log = Log(priority, {}, out.writer, err.writer)
    for each, name in enumerate(PRIORITY_NAMES):
        log(each, name)
    shown = out.read().split() + [line[6:] for line in err.read().splitlines()]
    assert shown == list(PRIORITY_NAMES[priority:])


def test_d65_message_and_below_go_to_output_as_they_are(out: Pipe, err: Pipe) -> None:
    log = Log(DEBUG, {}, out.writer, err.writer)
    for priority in (DEBUG, INFO, MESSAGE):
        log(priority, "main: text")
    assert out.read() == "main: text\n" * 3
    assert err.read() == ""


@pytest.mark.parametrize(("text", "line"), [
    ("foo main process (12) killed by TERM signal", "init: foo main process (12) killed by TERM signal"),
    ("/etc/init/bad.conf:1: Unknown stanza", "init:/etc/init/bad.conf:1: Unknown stanza"),
    ("/d/b c.conf:2: Unknown stanza", "init: /d/b c.conf:2: Unknown stanza"),
    ("word", "init: word"),
    ("a:b", "init:a:b"),
])
def test_d65_p25_blank_after_the_prefix(text: str, line: str, out: Pipe, err: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, err.writer)
    for priority in (WARN, ERROR, FATAL):
        log(priority, text)
    assert err.read() == f"{line}\n" * 3
    assert out.read() == ""


@pytest.mark.parametrize(("priority", "level"), [(DEBUG, 7), (INFO, 6), (MESSAGE, 5), (WARN, 4), (ERROR, 3), (FATAL, 2)])
def test_d66_levels_in_the_journal(priority: int, level: int, out: Pipe, err: Pipe) -> None:
    found = os.fstat(err.writer)
    log = Log(DEBUG, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, out.writer, err.writer)
    log(priority, "x.conf:1: text")
    assert (out.read(), err.read()) == ("", f"<{level}>x.conf:1: text\n")


def test_journal_of_somebody_else_is_not_taken_for_ours(out: Pipe, err: Pipe) -> None:
    Log(DEBUG, {"JOURNAL_STREAM": "1:2"}, out.writer, err.writer)(WARN, "text")
    assert err.read() == "init: text\n"


def test_a_text_is_one_line_and_keeps_its_bytes(out: Pipe, err: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, err.writer)
    log(MESSAGE, "one\ntwo \udcff")
    log(MESSAGE, "lone \ud800 surrogate")
    assert out.read() == "one two \udcff\nlone \\ud800 surrogate\n"


def test_full_pipe_does_not_block_and_loses_nothing(out: Pipe, err: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, err.writer)
    out.fill()
    for number in range(100):
        log(MESSAGE, f"line {number}")
    assert log.pending()
    out.read()
    log.flush()
    assert not log.pending()
    assert out.read() == "".join(f"line {number}\n" for number in range(100))


@pytest.mark.parametrize("leave", [1, 4096, 8192])
def test_long_line_into_a_nearly_full_pipe_does_not_block(leave: int, out: Pipe, err: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, err.writer)
    out.fill(leave)
    text = "x" * 300_000
    log(MESSAGE, text)
    log(MESSAGE, "after")
    received = out.read().lstrip(".")
    while log.pending():
        log.flush()
        received += out.read()
    assert received == f"{text}\nafter\n"


def test_full_output_does_not_hold_up_errors(out: Pipe, err: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, err.writer)
    out.fill()
    log(MESSAGE, "kept")
    log(ERROR, "shown at once")
    assert err.read() == "init: shown at once\n"


def test_order_is_kept_where_output_and_errors_are_one_pipe(out: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, out.writer)
    out.fill()
    for priority in (MESSAGE, WARN, MESSAGE, ERROR):
        log(priority, "x")
    out.read()
    log.flush()
    assert out.read() == "x\ninit: x\nx\ninit: x\n"


def test_what_nobody_reads_is_bounded_and_counted(out: Pipe, err: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, err.writer)
    out.fill()
    line = "y" * 999
    for _ in range(3000):
        log(MESSAGE, line)
    out.read()
    received = ""
    while log.pending():
        log.flush()
        received += out.read()
    kept = received.count("\n")
    assert received == f"{line}\n" * kept
    assert (1 << 20) - 1000 <= len(received) <= 1 << 20
    assert err.read() == f"init: {3000 - kept} log messages were lost because nobody read them\n"


def test_reader_that_went_away_is_no_error(out: Pipe, err: Pipe) -> None:
    log = Log(MESSAGE, {}, out.writer, err.writer)
    os.close(out.reader)
    out.reader = os.open(os.devnull, os.O_RDONLY)
    log(MESSAGE, "text")
    assert not log.pending()


def test_descriptors_that_are_not_open_are_no_error() -> None:
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    log = Log(MESSAGE, {}, fd, fd)
    log(MESSAGE, "text")
    log(ERROR, "text")
    assert not log.pending()


def test_full_disk_is_no_error() -> None:
    with open("/dev/full", "wb") as full:
        log = Log(MESSAGE, {}, full.fileno(), full.fileno())
        log(MESSAGE, "text")
        assert not log.pending()


def test_terminal_that_is_not_read_does_not_block() -> None:
    master, slave = pty.openpty()
    try:
        log = Log(MESSAGE, {}, slave, slave)
        for number in range(2000):
            log(MESSAGE, f"line {number} " + "z" * 500)
        assert log.pending()
        os.set_blocking(master, False)
        received = b""
        while log.pending():
            log.flush()
            received += os.read(master, 1 << 16)
        assert b"line 0 zz" in received
    finally:
        os.close(master)
        os.close(slave)


def test_socket_that_is_not_read_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        log = Log(MESSAGE, {}, ours.fileno(), ours.fileno())
        for number in range(1000):
            log(MESSAGE, f"line {number} " + "z" * 5000)
        assert log.pending()
        assert theirs.recv(10) == b"line 0 zzz"


def test_the_given_descriptor_stays_blocking_for_those_who_share_it(out: Pipe, err: Pipe) -> None:
    Log(MESSAGE, {}, out.writer, err.writer)
    assert os.get_blocking(out.writer)
    assert os.get_blocking(err.writer)


def test_lines_that_nobody_read_yet_go_over_a_re_exec() -> None:
    pipe = Pipe()
    fcntl.fcntl(pipe.writer, 1031, 4096)
    log = Log(DEBUG, {}, pipe.writer, pipe.writer)
    for number in range(1000):
        log(INFO, f"line {number}")
    text = pipe.read()
    output, errors = log.state()
    assert output and not errors
    again = Log(DEBUG, {}, pipe.writer, pipe.writer)
    again.restore(output, errors)
    again(INFO, "line 1000")
    while again.pending():
        text += pipe.read()
        again.flush()
    text += pipe.read()
    assert [line.rpartition(" ")[2] for line in text.splitlines()] == [str(number) for number in range(1001)]

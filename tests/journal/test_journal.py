"""When the journal is written, and what becomes of one that is damaged, foreign or cannot be written (B203, B204, B263)."""
from __future__ import annotations

import errno
import json
from typing import Any, Callable, Dict, List, Tuple

import pytest

from compat.engine import inputs
from compat.journal import content

from .mortal_machine import BOOT, MortalMachine


@pytest.fixture
def machine() -> MortalMachine:
    machine = MortalMachine()
    for name in ("a", "b", "c"):
        machine.define(name, f"exec {name}")
        machine.start(name)
    return machine


def lines(machine: MortalMachine) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in machine.file.read().splitlines()]


def restart_with(machine: MortalMachine, data: bytes) -> List[str]:
    """Start a daemon with another content of the file; the warnings about it."""
    machine.file.content = bytearray(data)
    machine.transcript.clear()
    machine.restart_daemon()
    return machine.lines("W", "E")


def running(machine: MortalMachine) -> Tuple[str, ...]:
    return tuple(name for name in "abc" if machine.status(name).startswith(f"{name} start/running"))


def written_anew(machine: MortalMachine) -> List[bytes]:
    machine.restart_daemon()
    machine.journal._write_anew()
    return machine.file.read().splitlines(keepends=True)


def test_b204_a_line_is_what_one_input_changed(machine: MortalMachine) -> None:
    before = machine.file.appended
    machine.feed(inputs.PollEvents())
    assert machine.file.appended == before, "nothing changed"
    machine.emit("x", wait=False)
    assert machine.file.appended > before


def test_b204_lines_are_merged_when_they_are_many() -> None:
    machine = MortalMachine()
    machine.define("a", "exec " + "x" * 1000)
    sizes = []
    for _ in range(600):
        machine.start("a")
        machine.stop("a")
        sizes.append(machine.file.size)
    assert max(sizes) < 1 << 19 and machine.file.replaced >= 2


def test_b203_b263_another_boot_begins_anew(machine: MortalMachine) -> None:
    for key in ("boot", "init"):
        data = machine.file.read()
        first = {**json.loads(data.splitlines()[0]), key: "other"}
        warnings = restart_with(machine, json.dumps(first).encode() + b"\n" + b"".join(data.splitlines(keepends=True)[1:]))
        assert warnings == [] and running(machine) == ()
        machine.start("a")
        assert lines(machine)[0] == {"format": content.FORMAT, **BOOT}


def test_b204_the_log_says_that_the_daemon_goes_on(machine: MortalMachine) -> None:
    assert restart_with(machine, machine.file.read()) == []
    assert machine.lines("I")[0] == "Going on with 3 instances of jobs from /run/instances.json"
    assert running(machine) == ("a", "b", "c")


def test_an_empty_file_is_a_first_start(machine: MortalMachine) -> None:
    assert restart_with(machine, b"") == [] and running(machine) == ()


@pytest.mark.parametrize("damage", [
    lambda data: data[:-7], lambda data: data + b"\0" * 30, lambda data: data + b"[]\n", lambda data: data + b"{}{}\n",
    lambda data: data + b'{"events":[]}\n', lambda data: data + b'{"serial":1e400}\n', lambda data: data + b'{"serial":"x"}\n',
    lambda data: data + b'{"instances":{"d":{"":{"goal":"start"}}}}\n', lambda data: data + b'{"events":{"7":{}}}\n',
    lambda data: data + b'{"environment":{"":"x"}}\n', lambda data: data + b"[" * 100000 + b"\n", lambda data: data + b"\xff\xfe\n",
    lambda data: data + b'{"conditions":{"a":[0]}}\n', lambda data: data + b'{"instances":{"a":{"":3}}}\n{"instances":[1]}\n'])
def test_damage_is_one_warning_and_the_rest_is_used(machine: MortalMachine, damage: Callable[[bytes], bytes]) -> None:
    machine.define("last", "exec last")
    machine.start("last")
    data = damage(b"".join(written_anew(machine)))
    warnings = restart_with(machine, data)
    assert len(warnings) == 1 and warnings[0].startswith("/run/instances.json: ") and warnings[0].endswith("; the rest is used, kept as "
                                                                                                           "/run/instances.json.damaged")
    assert machine.file.aside == [data]
    assert {"b", "c"} <= set(running(machine))
    machine.stop("b")
    machine.restart_daemon()
    assert "c" in running(machine) and "b" not in running(machine), "what was written since can be read"


@pytest.mark.parametrize("number", range(6))
def test_any_line_may_be_missing(machine: MortalMachine, number: int) -> None:
    anew = written_anew(machine)
    del anew[number:number + 1]
    restart_with(machine, b"".join(anew))
    assert len(running(machine)) >= 2
    for name in running(machine):
        machine.stop(name)


def test_every_byte_may_be_wrong(machine: MortalMachine) -> None:
    data = b"".join(written_anew(machine))
    for position in range(0, len(data), 97):
        content.read(data[:position] + bytes([data[position] ^ 0x15]) + data[position + 1:])
        content.read(data[:position])


def test_another_format_is_used_as_far_as_it_is_understood(machine: MortalMachine) -> None:
    anew = written_anew(machine)
    first = {**json.loads(anew[0]), "format": content.FORMAT + 1}
    second = [json.dumps({**json.loads(line), "novelty": [1]}).encode() + b"\n" for line in anew[1:]]
    [warning] = restart_with(machine, json.dumps(first).encode() + b"\n" + b"".join(second))
    assert f"format {content.FORMAT + 1} is not {content.FORMAT}" in warning
    assert running(machine) == ("a", "b", "c")


def test_a_file_that_cannot_be_read_is_a_warning(machine: MortalMachine) -> None:
    data = machine.file.read()
    machine.file.error = errno.EIO
    assert restart_with(machine, data) == ["Unable to read /run/instances.json, running jobs are not known: Input/output error"]


def test_a_full_disk_is_a_warning_until_there_is_room_again(machine: MortalMachine) -> None:
    machine.transcript.clear()
    machine.file.error = errno.ENOSPC
    machine.stop("a")
    machine.stop("b")
    machine.advance(100)
    assert [line for line in machine.lines("W") if "/run/" in line] == [
        "Unable to write /run/instances.json, running jobs would not outlive this daemon: No space left on device"]
    assert running(machine) == ("c",)
    machine.file.error = None
    machine.advance(300)
    assert machine.lines("W")[-1:] == ["/run/instances.json is up to date again"]
    machine.restart_daemon()
    assert running(machine) == ("c",)


def test_while_it_cannot_be_written_it_is_tried_less_and_less_often(machine: MortalMachine) -> None:
    attempts: List[float] = []

    def refuse(data: bytes) -> None:
        attempts.append(machine.now)
        raise OSError(errno.EROFS, "Read-only file system")

    machine.file.append = machine.file.replace = refuse  # type: ignore[method-assign]
    machine.stop("a")
    for _ in range(1000):
        machine.start("a")
        machine.stop("a")
    assert len(attempts) == 1
    machine.advance(3600)
    assert len(attempts) < 25


def test_an_orderly_end_leaves_nothing(machine: MortalMachine) -> None:
    machine.journal.remove()
    machine.stop("a")
    assert machine.file.removed and machine.file.read() == b""


def test_p45_bytes_that_are_not_text_are_kept(machine: MortalMachine) -> None:
    machine.define("odd", "instance $X\nenv Y=\udcff\nexec odd \udcfe")
    machine.start("odd", "X=\udce9")
    machine.restart_daemon()
    assert machine.status("odd", "\udce9").startswith("odd (\udce9) start/running")
    assert machine.engine.job("odd").definition.processes[0].command == "odd \udcfe"

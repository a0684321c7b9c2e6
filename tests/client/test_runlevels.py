"""The commands telinit and runlevel (C139-C143, §4.19); with a daemon in tests/host."""
from __future__ import annotations

import os
import pathlib
from typing import List

import pytest

from compat.host.runlevel_record import write_runlevel
from compat.initctl import main
from compat.utmp_record import RECORD


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNLEVEL", "PREVLEVEL"):
        monkeypatch.delenv(name, raising=False)


def records(path: pathlib.Path) -> "List[tuple[int, int, bytes]]":
    return [(fields[0], fields[1], fields[4].rstrip(b"\0")) for fields in RECORD.iter_unpack(path.read_bytes())]


def test_c140_records_of_a_boot_and_a_change(tmp_path: pathlib.Path) -> None:
    utmp, wtmp = tmp_path / "utmp", tmp_path / "wtmp"
    utmp.touch()
    write_runlevel("2", "", str(utmp), str(wtmp))
    assert not wtmp.exists(), "missing files are not made"
    write_runlevel("3", "2", str(utmp), str(wtmp))
    assert records(utmp) == [(1, 50, b"runlevel"), (1, 3 + ord("0") + 256 * 50, b"runlevel")]
    write_runlevel("4", "5", str(utmp), str(wtmp))
    assert records(utmp)[2:] == [(2, 0, b"reboot"), (1, 52 + 256 * 53, b"runlevel")]
    size = utmp.stat().st_size
    write_runlevel("\u0663", "2", str(utmp), str(wtmp))
    assert utmp.stat().st_size == size
    fields = RECORD.unpack(utmp.read_bytes()[:RECORD.size])
    assert (fields[2].rstrip(b"\0"), fields[3].rstrip(b"\0"), fields[5].rstrip(b"\0")) == (b"~", b"~~", os.uname().release.encode())


def test_c143_runlevel(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    utmp = tmp_path / "utmp"
    utmp.touch()
    assert main(["runlevel", str(utmp)]) == 1
    assert capfd.readouterr() == ("unknown\n", "")
    write_runlevel("2", "N", str(utmp), "/nonexistent")
    assert main(["runlevel", str(utmp)]) == 0
    assert capfd.readouterr().out == "N 2\n"
    write_runlevel("S", "2", str(utmp), "/nonexistent")
    utmp.write_bytes(utmp.read_bytes() + b"cut")
    assert main(["runlevel", str(utmp)]) == 0
    assert capfd.readouterr().out == "2 S\n"
    assert main(["runlevel", "/nonexistent"]) == 1
    assert capfd.readouterr() == ("", "runlevel:/nonexistent: No such file or directory\n")
    monkeypatch.setenv("RUNLEVEL", "3")
    assert main(["runlevel", "/nonexistent"]) == 0
    assert capfd.readouterr().out == "N 3\n"
    monkeypatch.setenv("PREVLEVEL", "5")
    monkeypatch.setenv("RUNLEVEL", "N")
    assert main(["runlevel"]) == 1
    assert capfd.readouterr().out == "unknown\n"


@pytest.mark.parametrize(("arguments", "text"), [
    ([], "missing runlevel"), (["7"], "illegal runlevel: 7"), (["22"], "illegal runlevel: 22"), (["-e"], "missing argument: -e"),
    (["-e", "X", "2"], "not KEY=VALUE: X"), (["-x", "2"], "invalid option: -x")])
def test_c141_wrong_use(arguments: List[str], text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["telinit", *arguments]) == 1
    assert capfd.readouterr().err.splitlines() == [f"telinit: {text}" if " " in text.partition(":")[0] else f"telinit:{text}",
                                                  "Try `telinit --help' for more information."]


@pytest.mark.skipif(os.getuid() == 0, reason="as a user")
def test_c141_root_only(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["telinit", "2"]) == 1
    assert capfd.readouterr().err == "telinit: Need to be root\n"

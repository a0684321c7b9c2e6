"""The commands telinit and runlevel (C139-C143, §4.19); with a daemon in tests/host."""
from __future__ import annotations

import os
import pathlib
from typing import List

import pytest

from compat.client import runlevels
from compat.client.connection import Refusal
from compat.client.output import Failure
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


class _Daemon:
    """What the client has in place of a connection; ``restart`` is what Restart comes to."""

    def __init__(self, restart: Exception, answers: bool) -> None:
        self.restart = restart
        self.answers = answers

    def call(self, path: str, interface: str, member: str, forever: bool) -> None:
        raise self.restart

    def begin_get(self, path: str, interface: str, name: str) -> "_Daemon":
        if not self.answers:
            raise Failure("Connection refused")
        return self

    def text(self) -> str:
        return "init (upstart 1.13.2)"


@pytest.mark.parametrize("name", ["NoReply", "Disconnected"])
def test_d175_telinit_u_waits_for_the_new_daemon(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    cut = Refusal(f"org.freedesktop.DBus.Error.{name}", "Connection was disconnected before a reply was received")
    daemons = [_Daemon(cut, False), _Daemon(Failure(""), False), _Daemon(Failure(""), True)]
    pauses: "list[float]" = []
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(runlevels, "connect_system", lambda: daemons.pop(0))
    monkeypatch.setattr(runlevels.time, "sleep", pauses.append)
    assert runlevels.telinit(["u"]) == 0
    assert not daemons and pauses == [0.1]


def test_d175_telinit_u_says_that_a_daemon_does_not_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(runlevels, "connect_system", lambda: _Daemon(Refusal("x.Failed", "not with units of systemd"), True))
    with pytest.raises(Refusal, match="not with units of systemd"):
        runlevels.telinit(["u"])

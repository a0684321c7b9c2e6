"""Odd bytes, closed descriptors, full disks, interrupts: one clear message at most, never a traceback."""
from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, List

import pytest

from compat.client.output import printable
from tests.client.peer import Job, Peer, client_command, client_environment

BAD = "caf\udce9"


@pytest.mark.parametrize(("words", "shown"), [
    (["start", BAD], "start: Not valid UTF-8: caf\\xe9\n"),
    (["start", "svc", "A=1", f"B={BAD}"], "start: Not valid UTF-8: B=caf\\xe9\n"),
    (["initctl", "emit", BAD], "initctl: Not valid UTF-8: caf\\xe9\n"),
    (["initctl", "emit", "go", BAD], "initctl: Not valid UTF-8: caf\\xe9\n"),
    (["initctl", "set-env", BAD], "initctl: Not valid UTF-8: caf\\xe9\n"),
    (["initctl", "get-env", BAD], "initctl: Not valid UTF-8: caf\\xe9\n"),
    (["initctl", "log-priority", BAD], "initctl: Not valid UTF-8: caf\\xe9\n"),
    (["initctl", "show-config", BAD], "initctl: Not valid UTF-8: caf\\xe9\n"),
    (["initctl", "notify-dbus-address", BAD], "initctl: Not valid UTF-8: caf\\xe9\n"),
])
def test_bytes_that_are_not_utf_8(peer: Peer, svc: Job, words: List[str], shown: str) -> None:
    assert peer.run(*words) == (1, "", shown)


def test_bytes_that_are_not_utf_8_elsewhere(peer: Peer, svc: Job) -> None:
    assert peer.run("initctl", BAD) == (1, "", f"initctl: invalid command: {BAD}\nTry `initctl --help' for more information.\n")
    assert peer.run("initctl", "-" + BAD).status == 1
    assert peer.run("status", UPSTART_JOB=BAD, UPSTART_INSTANCE="") == (1, "", "status: Not valid UTF-8: caf\\xe9\n")
    assert peer.run("initctl", "check-config", "-i", BAD, BAD) == (1, "", f"initctl: Invalid job class: {BAD}\n")


def test_printable() -> None:
    assert printable("caf\udce9 caf\xe9 \udcff") == "caf\\xe9 caf\xe9 \\xff"


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "de_DE.UTF-8"])
def test_c15_the_locale_does_not_matter(peer: Peer, locale: str) -> None:
    peer.add_job("caf\xe9-\u20ac").add()
    assert peer.run("status", "caf\xe9-\u20ac", LC_ALL=locale) == (0, "caf\xe9-\u20ac start/running, process 100\n", "")


def test_c15_an_8_bit_file_system_encoding(peer: Peer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """In a locale of another encoding Python hands arguments over decoded by that."""
    from compat.client import output

    monkeypatch.setattr(output.sys, "getfilesystemencoding", lambda: "iso8859-1")
    monkeypatch.setattr(output.os, "fsencode", lambda text: text.encode("iso8859-1"))
    assert output.decoded("caf\xc3\xa9") == "caf\xe9"
    assert output.decoded("caf\xe9") == "caf\udce9"


def test_a_closed_pipe_is_quiet(peer: Peer) -> None:
    for number in range(300):
        peer.add_job(f"job-{number}")
    read, write = os.pipe()
    os.close(read)
    try:
        for word in ("list", "version", "help", "show-config", "--version"):
            command = client_command(["initctl", word], peer.links)
            with subprocess.Popen(command, env=client_environment(UPSTART_SESSION=peer.address), stdout=write,
                                  stderr=subprocess.PIPE) as process:
                err, = peer.serve(process)
            assert (process.returncode, err) == (1, b"")
    finally:
        os.close(write)


def test_a_full_disk_is_told(peer: Peer, svc: Job) -> None:
    with open("/dev/full", "wb") as full:
        with subprocess.Popen(client_command(["initctl", "list"], peer.links), env=client_environment(UPSTART_SESSION=peer.address),
                              stdout=full, stderr=subprocess.PIPE) as process:
            err, = peer.serve(process)
    assert (process.returncode, err) == (1, b"initctl: write error: No space left on device\n")


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2], [0, 1]])
def test_closed_descriptors(peer: Peer, svc: Job, closed: List[int]) -> None:
    """The socket must not become descriptor 1, or the output would go to the daemon."""
    ended = peer.run("start", "svc", closed=closed)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == ("" if 1 in closed else "svc start/running, process 100\n")
    assert [call.member for call in peer.calls] == ["GetJobByName", "Start", "Get", "GetAll"]
    assert peer.run("start", "svc", closed=closed).status == 1


def test_an_interrupt_is_130_to_a_shell(peer: Peer, svc: Job, tmp_path: Any) -> None:
    from tests.client.peer import SILENCE

    pids: List[int] = []

    def start(call: Any) -> Any:
        os.kill(peer.connections[-1].get_peer_unix_process_id(), 2)
        pids.append(1)
        return SILENCE

    peer.answers["Start"] = start
    command = ["sh", "-c", '"$@"; echo $?', "sh", *client_command(["start", "svc"], peer.links)]
    with subprocess.Popen(command, env=client_environment(UPSTART_SESSION=peer.address), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        out, err = peer.serve(process)
    assert (out, err) == (b"130\n", b"")
    assert pids == [1]


def test_an_ignored_interrupt_stays_ignored(peer: Peer, svc: Job) -> None:
    peer.answers["Start"] = lambda call: os.kill(peer.connections[-1].get_peer_unix_process_id(), 2) or ("o", svc.add())
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *client_command(["start", "svc"], peer.links)]
    with subprocess.Popen(command, env=client_environment(UPSTART_SESSION=peer.address), stdout=subprocess.PIPE) as process:
        out, = peer.serve(process)
    assert (process.returncode, out) == (0, b"svc start/running, process 100\n")


def test_nothing_heavy_is_imported(peer: Peer, svc: Job) -> None:
    """Start-up is what a client costs; each of these would add a fifth or more."""
    heavy = ("argparse", "re", "typing", "json", "logging", "shutil", "dbus", "subprocess", "socket", "enum", "signal", "collections",
             "functools")
    program = (f"import sys; sys.path[:0] = {sys.path!r}; sys.argv[0] = 'status'\nold = set(sys.modules)\n"
               "import os; os._exit = lambda status: None\nfrom compat.initctl import run; run()\n"
               "print(' '.join(sorted(set(sys.modules) - old)))")
    command = [sys.executable, "-I", "-S", "-c", program, "svc"]
    with subprocess.Popen(command, env=client_environment(UPSTART_SESSION=peer.address), stdout=subprocess.PIPE) as process:
        out, = peer.serve(process)
    first, loaded = out.decode().splitlines()
    assert first == "svc stop/waiting"
    assert "compat.client.job_commands" in loaded.split()
    assert [name for name in loaded.split() if name.partition(".")[0] in heavy] == []
    assert {name for name in loaded.split() if name.startswith("compat")} == {
        "compat", "compat.initctl", "compat.client", "compat.client.options", "compat.client.output", "compat.client.connection",
        "compat.client.job_commands"}

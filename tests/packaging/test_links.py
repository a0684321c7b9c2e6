"""``upstart-compat links``: the client's other names are an explicit choice and replace nothing (C149, C151, 7 C.6)."""
from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Dict, List, Tuple

import pytest

from compat import links
from compat.links import main

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = ["reload", "restart", "start", "status", "stop"]
NAMES = sorted([*COMMANDS, "initctl"])
RUNLEVELS = ["runlevel", "telinit"]
Host = Tuple[pathlib.Path, pathlib.Path]


@pytest.fixture
def client(tmp_path: pathlib.Path) -> pathlib.Path:
    """A client that prints the name it was called by, as the real one acts by it (C93)."""
    path = tmp_path / "lib" / "upstart-compat" / "initctl"
    path.parent.mkdir(parents=True)
    path.write_text('#!/bin/sh\necho "${0##*/} $*"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The /usr/bin and the /sbin of a host."""
    places = tmp_path / "usr-bin", tmp_path / "sbin"
    for place in places:
        place.mkdir()
    monkeypatch.setattr(links, "BIN", str(places[0]))
    monkeypatch.setattr(links, "SBIN", str(places[1]))
    return places


def names_in(directory: pathlib.Path) -> List[str]:
    return sorted(os.listdir(directory))


def identity(path: pathlib.Path) -> Tuple[int, int, int, int]:
    """What changes when a file is replaced or written."""
    status = os.lstat(path)
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def test_c151_enable_makes_the_five_commands_and_each_runs_the_client(
        client: pathlib.Path, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--enable"], str(client)) == 0
    assert capsys.readouterr() == ("", "")
    assert names_in(host[0]) == COMMANDS
    assert subprocess.check_output([str(host[0] / "restart"), "web"], text=True) == "restart web\n"


def test_c149_initctl_in_sbin_only_with_sbin_and_a_warning(
        client: pathlib.Path, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--enable"], str(client))
    assert names_in(host[1]) == []
    assert main(["--enable", "--sbin"], str(client)) == 0
    assert (names_in(host[0]), names_in(host[1])) == (COMMANDS, NAMES)
    assert f"warning: {host[1]}/initctl exists now" in capsys.readouterr().err
    # What is there already is no news.
    assert main(["--sbin", "--enable"], str(client)) == 0
    assert capsys.readouterr().err == ""


def test_c149_one_directory_for_usr_bin_and_sbin(client: pathlib.Path, host: Host) -> None:
    """As on Fedora 42: initctl is not made by the way."""
    host[1].rmdir()
    host[1].symlink_to(host[0])
    main(["--enable"], str(client))
    assert names_in(host[0]) == COMMANDS
    assert main(["--enable", "--sbin"], str(client)) == 0
    assert names_in(host[0]) == NAMES
    assert main(["--disable"], str(client)) == 0
    assert names_in(host[0]) == []


def test_c151_a_second_time_changes_nothing(client: pathlib.Path, host: Host) -> None:
    main(["--enable"], str(client))
    before = {name: os.lstat(host[0] / name).st_ino for name in COMMANDS}
    assert main(["--enable"], str(client)) == 0
    assert {name: os.lstat(host[0] / name).st_ino for name in COMMANDS} == before


@pytest.mark.parametrize("kind", ["file", "other link", "dangling link", "directory"])
def test_c151_what_exists_is_left_alone(
        client: pathlib.Path, host: Host, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    existing = host[0] / "stop"
    if kind == "file":
        existing.write_text("theirs")
    elif kind == "directory":
        existing.mkdir()
    else:
        existing.symlink_to("/bin/true" if kind == "other link" else "/nonexistent/stop")
    before = identity(existing)
    assert main(["--enable", "--sbin"], str(client)) == 1
    assert capsys.readouterr().err == f"links: taken, nothing done: {existing}\n"
    assert (names_in(host[0]), names_in(host[1])) == (["stop"], [])
    assert identity(existing) == before


def test_c151_disable_takes_only_its_own(client: pathlib.Path, host: Host) -> None:
    main(["--enable", "--sbin"], str(client))
    (host[0] / "status").unlink()
    (host[0] / "status").write_text("theirs")
    (host[1] / "reload").unlink()
    (host[1] / "reload").symlink_to("/bin/true")
    assert main(["--disable"], str(client)) == 0
    assert (names_in(host[0]), names_in(host[1])) == (["status"], ["reload"])


def test_c151_disable_leaves_links_to_another_client(client: pathlib.Path, host: Host) -> None:
    main(["--enable"], str(client))
    assert main(["--disable"], "/opt/other/initctl") == 0
    assert names_in(host[0]) == COMMANDS


def test_c151_disable_works_without_the_client(client: pathlib.Path, host: Host) -> None:
    main(["--enable"], str(client))
    client.unlink()
    assert main(["--disable"], str(client)) == 0
    assert names_in(host[0]) == []


def test_c149_disable_sbin_leaves_the_commands(client: pathlib.Path, host: Host) -> None:
    main(["--enable", "--sbin"], str(client))
    assert main(["--disable", "--sbin"], str(client)) == 0
    assert (names_in(host[0]), names_in(host[1])) == (COMMANDS, [])


def test_list_says_what_each_name_is(client: pathlib.Path, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--enable"], str(client))
    (host[1] / "initctl").write_text("theirs")
    assert main(["--list"], str(client)) == 0
    states: Dict[str, str] = {path: state for state, path in map(str.split, capsys.readouterr().out.splitlines())}
    assert states == {**{f"{host[0]}/{name}": "link" for name in COMMANDS}, f"{host[1]}/initctl": "taken",
                      **{f"{host[1]}/{name}": "free" for name in COMMANDS + RUNLEVELS}}


def test_c139_telinit_and_runlevel_only_when_asked_for(client: pathlib.Path, host: Host) -> None:
    assert main(["--enable", "--runlevel"], str(client)) == 0
    assert (names_in(host[0]), names_in(host[1])) == (COMMANDS, RUNLEVELS)
    assert subprocess.check_output([str(host[1] / "telinit"), "3"], text=True) == "telinit 3\n"
    assert main(["--disable"], str(client)) == 0
    assert (names_in(host[0]), names_in(host[1])) == ([], [])
    assert main(["--enable", "--sbin", "--runlevel"], str(client)) == 0
    assert names_in(host[1]) == sorted(NAMES + RUNLEVELS)
    assert main(["--disable", "--sbin"], str(client)) == 0
    assert (names_in(host[0]), names_in(host[1])) == (COMMANDS, [])


def test_c139_those_of_the_host_s_init_stay_and_ours_go_elsewhere(
        client: pathlib.Path, host: Host, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host[1] / "telinit").symlink_to("/bin/systemctl")
    assert main(["--enable", "--runlevel"], str(client)) == 1
    assert capsys.readouterr().err == f"links: taken, nothing done: {host[1]}/telinit\n"
    assert (names_in(host[0]), names_in(host[1])) == ([], ["telinit"])
    local = tmp_path / "local"
    local.mkdir()
    assert main(["--enable", "--runlevel", f"--directory={local}"], str(client)) == 0
    assert names_in(local) == sorted(NAMES + RUNLEVELS)
    assert main(["--disable", f"--directory={local}"], str(client)) == 0
    assert names_in(local) == []


def test_links_in_a_directory_beside_the_client_itself(client: pathlib.Path) -> None:
    directory = f"--directory={client.parent}"
    assert main(["--enable", directory], str(client)) == 0
    assert names_in(client.parent) == NAMES
    assert not client.is_symlink()
    assert main(["--disable", directory], str(client)) == 0
    assert names_in(client.parent) == ["initctl"]


@pytest.mark.parametrize(("arguments", "status", "text"), [
    ([], 2, "one of --enable, --disable and --list is needed"),
    (["--frobnicate"], 2, "unexpected argument: --frobnicate"),
    (["--enable", "--disable"], 2, "unexpected argument: --disable"),
    (["--enable", "--sbin", "--directory=/x"], 2, "exclude each other"),
    (["--disable", "--runlevel"], 2, "--runlevel is for --enable"),
    (["--enable", "--directory=/nonexistent/place"], 1, "no such directory: /nonexistent/place"),
])
def test_refuses_what_it_cannot_do(
        client: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: List[str], status: int, text: str) -> None:
    assert main(arguments, str(client)) == status
    assert text in capsys.readouterr().err


def test_refuses_without_a_client(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--enable"], "/nonexistent/initctl") == 1
    assert capsys.readouterr().err == "links: no such program: /nonexistent/initctl\n"


def test_the_daemons_program_has_the_subcommand(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "bin" / "upstart-compat"
    program.parent.mkdir()
    program.write_text((ROOT / "packaging" / "bin" / "upstart-compat").read_text())
    (program.parent / "initctl").write_text("#!/bin/sh\n")
    (program.parent / "initctl").chmod(0o755)
    # Called through a link, as /usr/sbin/upstart-compat is one.
    (tmp_path / "called").symlink_to(program)
    (tmp_path / "names").mkdir()
    subprocess.run([sys.executable, str(tmp_path / "called"), "links", "--enable", f"--directory={tmp_path / 'names'}"],
                   env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    assert names_in(tmp_path / "names") == NAMES
    assert os.readlink(tmp_path / "names" / "start") == str(program.parent.resolve() / "initctl")

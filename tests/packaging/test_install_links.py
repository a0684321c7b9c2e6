"""packaging/install-links: the client's links are an explicit choice and replace nothing (C149, C151)."""
from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Dict, List, Optional

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "install-links"
NAMES = ["initctl", "start", "stop", "restart", "reload", "status"]


@pytest.fixture
def client(tmp_path: pathlib.Path) -> pathlib.Path:
    """A client that prints the name it was called by, as the real one acts by it (C93)."""
    path = tmp_path / "lib" / "upstart-compat" / "initctl"
    path.parent.mkdir(parents=True)
    path.write_text('#!/bin/sh\necho "${0##*/} $*"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "links"
    path.mkdir()
    return path


def install_links(*args: object, destdir: Optional[pathlib.Path] = None) -> "subprocess.CompletedProcess[str]":
    environment: Dict[str, str] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    if destdir is not None:
        environment["DESTDIR"] = str(destdir)
    return subprocess.run([str(SCRIPT), *map(str, args)], env=environment, capture_output=True, text=True, check=False)


def names_in(directory: pathlib.Path) -> List[str]:
    return sorted(os.listdir(directory))


def test_c151_makes_every_link_and_each_runs_the_client(client: pathlib.Path, directory: pathlib.Path) -> None:
    result = install_links("--client", client, directory)
    assert (result.returncode, result.stderr) == (0, "")
    assert names_in(directory) == sorted(NAMES)
    assert subprocess.check_output([str(directory / "restart"), "web"], text=True) == "restart web\n"


def test_c151_a_second_time_changes_nothing(client: pathlib.Path, directory: pathlib.Path) -> None:
    install_links("--client", client, directory)
    before = {name: os.lstat(directory / name).st_ino for name in NAMES}
    result = install_links("--client", client, directory)
    assert (result.returncode, result.stderr) == (0, "")
    assert {name: os.lstat(directory / name).st_ino for name in NAMES} == before


@pytest.mark.parametrize("kind", ["file", "other link", "dangling link", "directory"])
def test_c151_what_exists_is_left_alone(client: pathlib.Path, directory: pathlib.Path, kind: str) -> None:
    existing = directory / "stop"
    if kind == "file":
        existing.write_text("theirs")
    elif kind == "directory":
        existing.mkdir()
    else:
        existing.symlink_to("/bin/true" if kind == "other link" else "/nonexistent/stop")
    before = os.lstat(existing)
    result = install_links("--client", client, directory)
    assert result.returncode == 1
    assert result.stderr == f"install-links: in the way, nothing done: {existing}\n"
    assert names_in(directory) == ["stop"]
    assert os.lstat(existing) == before
    if kind == "directory":
        assert os.listdir(existing) == []


def test_c151_only_the_names_given(client: pathlib.Path, directory: pathlib.Path) -> None:
    (directory / "stop").write_text("theirs")
    assert install_links("--client", client, directory, "status", "start").returncode == 0
    assert names_in(directory) == ["start", "status", "stop"]
    result = install_links("--client", client, directory, "telinit")
    assert (result.returncode, result.stderr) == (2, "install-links: not a name of the client: telinit\n")


def test_c151_remove_takes_only_its_own(client: pathlib.Path, directory: pathlib.Path) -> None:
    install_links("--client", client, directory, "initctl", "start", "stop")
    (directory / "status").write_text("theirs")
    (directory / "reload").symlink_to("/bin/true")
    result = install_links("--client", client, "--remove", directory)
    assert result.returncode == 0
    assert names_in(directory) == ["reload", "status"]
    assert sorted(line.split()[1] for line in result.stderr.splitlines()) == [str(directory / "reload"), str(directory / "status")]


def test_c151_remove_leaves_links_to_another_client(client: pathlib.Path, directory: pathlib.Path) -> None:
    install_links("--client", client, directory)
    install_links("--client", "/opt/other/initctl", "--remove", directory)
    assert names_in(directory) == sorted(NAMES)


def test_c151_links_beside_the_client_itself(client: pathlib.Path) -> None:
    result = install_links("--client", client, client.parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert names_in(client.parent) == sorted(NAMES)
    assert not client.is_symlink()
    result = install_links("--client", client, "--remove", client.parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert names_in(client.parent) == ["initctl"]


def host(tmp_path: pathlib.Path, functions: str) -> pathlib.Path:
    """The root of a host with the given /lib/lsb/init-functions and with /sbin being /usr/sbin."""
    root = tmp_path / "root"
    (root / "usr" / "sbin").mkdir(parents=True)
    (root / "sbin").symlink_to("usr/sbin")
    (root / "opt").mkdir()
    (root / "lib" / "lsb").mkdir(parents=True)
    (root / "lib" / "lsb" / "init-functions").write_text(functions)
    return root


def test_c149_warns_about_init_is_upstart_in_the_default_path(tmp_path: pathlib.Path) -> None:
    root = host(tmp_path, "init_is_upstart() {\n}\n")
    for directory in ("/usr/sbin", "/sbin"):
        result = install_links("--client", "/usr/lib/upstart-compat/initctl", directory, destdir=root)
        assert result.returncode == 0
        assert f"warning: {directory} is on the default PATH" in result.stderr
        assert "init_is_upstart" in result.stderr
    assert os.readlink(root / "sbin" / "start") == "/usr/lib/upstart-compat/initctl"


def test_c149_default_path_on_a_host_without_init_is_upstart(tmp_path: pathlib.Path) -> None:
    result = install_links("--client", "/x/initctl", "/sbin", destdir=host(tmp_path, "log_daemon_msg() {\n}\n"))
    assert result.returncode == 0
    assert "is on the default PATH" in result.stderr
    assert "init_is_upstart" not in result.stderr


def test_c149_no_warning_elsewhere_or_without_initctl(tmp_path: pathlib.Path) -> None:
    root = host(tmp_path, "init_is_upstart() {\n}\n")
    assert install_links("--client", "/x/initctl", "/opt", destdir=root).stderr == ""
    assert install_links("--client", "/x/initctl", "/sbin", "status", destdir=root).stderr == ""


def test_refuses_what_it_cannot_do(tmp_path: pathlib.Path, client: pathlib.Path, directory: pathlib.Path) -> None:
    missing = tmp_path / "missing"
    assert install_links("--client", client, missing).stderr == f"install-links: no such directory: {missing}\n"
    assert install_links("--client", missing, directory).stderr == f"install-links: no such program: {missing}\n"
    assert install_links("--client", client).returncode == 2
    assert install_links("--frobnicate", directory).returncode == 2
    assert names_in(directory) == []

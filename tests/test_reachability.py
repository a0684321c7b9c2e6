"""The tool that counts which real jobs a plain host can start."""
from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Dict

import pytest

from bench.reachability import HOSTS, exists_in, main, units_of

FILES = {
    "plain.conf": "start on runlevel [2345]\nexec a\n",
    "again.conf": "start on runlevel [2345]\nexec a\n",
    "native.conf": "start on started dbus and filesystem\nexec b\n",
    "with-set.conf": "start on started my-own-database\nexec c\n",
    "typing-error.conf": "start on local-filesystem\nexec d\n",
    "own-event.conf": "start on retry or start-by-hand\nemits retry\nexec e\n",
    "no-condition.conf": "exec f\n",
    "broken.conf": "nonsense\n",
    "chromium.conf": "start on started system-services\nexec g\n",
    "note.txt": "start on nothing\n",
}


FOLDERS = {
    "old/web.conf": "start on started database and stopped rc\nexec a\n",
    "old/database.conf": "start on database-disk\nexec b\n",
    "old/rc.conf": "start on nothing-that-counts\nexec c\n",
    "amazon-echo/x.conf": "start on odd\nexec d\n",
}


def pack(path: Path, files: Dict[str, str]) -> None:
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(path.name.partition(".")[0] + "/" + name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    pack(tmp_path / "jobs.tar.xz", FILES)
    pack(tmp_path / "bootgraphs.tar.xz", FOLDERS)
    return tmp_path


def test_b4_shares_of_jobs(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--corpus", str(corpus), "--missing"]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["debian-12", "5", "60.0", "%", "80.0", "%", "missed", "2", "50.0", "%"] in lines
    assert ["2", "local-filesystem"] in lines
    assert not any("my-own-database" in line for line in lines)


def test_b4_without_the_corpus_there_is_nothing_to_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--corpus", str(tmp_path / "nosuch")]) == 0
    assert "nothing to judge" in capsys.readouterr().out


@pytest.mark.parametrize("host", HOSTS)
def test_b4_hosts_have_their_units(host: str) -> None:
    units = units_of(host)
    assert {"dbus.service", "systemd-udevd.service", "network.target", "remote-fs.target", "multi-user.target"} <= units
    assert all(unit.rpartition(".")[2] in ("service", "socket", "target") for unit in units)
    exists = exists_in(units)
    assert exists("getty@tty1.service") and not exists("rsyslog.service") and not exists("nosuch@x.service")

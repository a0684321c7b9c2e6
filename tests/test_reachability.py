"""The tool that counts which real jobs a plain host can start."""
from __future__ import annotations

import io
import tarfile
from pathlib import Path

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


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo("jobs/" + name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_b4_shares_of_jobs(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--corpus", str(corpus), "--missing"]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["debian-12", "5", "60.0", "%", "80.0", "%", "missed"] in lines
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

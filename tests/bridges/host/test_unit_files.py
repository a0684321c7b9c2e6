"""Which units a host has, by their files."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat.bridges.host.unit_files import UnitFiles, shows_job
from compat.units.unit_file import unit_text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    def unit(path: str, text: str = "[Unit]\n") -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    unit("usr/lib/systemd/system/rsyslog.service")
    unit("usr/lib/systemd/system/getty@.service")
    unit("usr/lib/systemd/system/hwclock.service")
    unit("usr/lib/systemd/system/empty.service", "")
    unit("usr/lib/systemd/system/network.target")
    unit("run/systemd/generator.late/legacy.service")
    unit("run/systemd/generator.early/override.service")
    etc = tmp_path / "etc/systemd/system"
    etc.mkdir(parents=True)
    os.symlink("/dev/null", etc / "hwclock.service")
    os.symlink("/dev/null", etc / "masked.service")
    os.symlink("../../../usr/lib/systemd/system/rsyslog.service", etc / "syslog.service")
    os.symlink("/nowhere/at/all", etc / "dangling.service")
    os.symlink("loop.service", etc / "loop.service")
    return tmp_path


@pytest.mark.parametrize("unit, expected", [
    ("rsyslog.service", True), ("syslog.service", True), ("network.target", True), ("legacy.service", True), ("override.service", True),
    ("getty@tty1.service", True), ("getty@.service", True), ("getty@tty1.socket", False), ("other@x.service", False),
    ("hwclock.service", False), ("masked.service", False), ("empty.service", False), ("dangling.service", False), ("loop.service", False),
    ("nosuch.service", False), ("", False), ("../system/rsyslog.service", False), ("a\0b.service", False), ("x" * 300, False)])
def test_b229_masked_and_missing_units_are_not_there(root: Path, unit: str, expected: bool) -> None:
    assert UnitFiles(str(root)).exists(unit) is expected


def test_b229_a_host_without_systemd_has_none(tmp_path: Path) -> None:
    assert not UnitFiles(str(tmp_path)).exists("dbus.service")


def test_b235_a_unit_that_shows_a_job_is_not_the_host_s(root: Path) -> None:
    file = root / "run/systemd/system/sshd.service"
    file.parent.mkdir(parents=True)
    file.write_text(unit_text("sshd", "/usr/sbin/launcher", "/run/requests"))
    assert shows_job("sshd.service", str(root)) and not UnitFiles(str(root)).exists("sshd.service")
    for unit in ("rsyslog.service", "nosuch.service", "a\0b"):
        assert not shows_job(unit, str(root))
    file.write_text("[Service]\nExecStart=true\n")
    assert not shows_job("sshd.service", str(root)) and UnitFiles(str(root)).exists("sshd.service")

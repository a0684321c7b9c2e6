"""Jobs that are left to the host, and the profile (B197, B198)."""
from __future__ import annotations

import pathlib
from typing import List

import pytest

from compat.host.configuration import HostConfiguration
from compat.host.owned_jobs import OWNED, is_owned
from compat.host.profile import CHROMEOS, MINIMAL, RHEL, UBUNTU, detect_profile
from tests.host.host_machine import HostMachine


@pytest.mark.parametrize(("names", "profile"), [
    ({"mountall", "web"}, UBUNTU), ({"rc-sysinit"}, UBUNTU), ({"rcS", "start-ttys"}, RHEL), ({"rcS", "rcS-sulogin"}, RHEL),
    ({"rcS"}, UBUNTU),
    ({"boot-services", "system-services"}, CHROMEOS), ({"boot-services"}, UBUNTU), (set(), UBUNTU),
])
def test_b197_the_profile_shows_in_the_names(names: "set[str]", profile: str) -> None:
    assert detect_profile(names) == profile


def registered(machine: HostMachine) -> List[str]:
    return sorted(machine.engine.job_names())


def test_b198_masked_jobs_are_not_registered_and_the_log_says_so(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, profile=None)
    machine.load(dict.fromkeys(("rc", "tty1", "mountall", "web", "upstart-udev-bridge", "ttyS0", "plymouth-log"), "exec x"))
    assert registered(machine) == ["web"]
    assert f"mountall: owned by the host, not loaded (unmask in {machine.configuration})" in machine.lines("I")
    assert list(machine.mode.masked()) == ["mountall", "plymouth-log", "rc", "tty1", "ttyS0", "upstart-udev-bridge"]
    assert machine.mode.profile == UBUNTU


def test_b198_lines_of_the_configuration_decide(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path)
    machine.configuration.write_text("unmask rc\nmask web\n")
    machine.mode.reconfigure()
    jobs = dict.fromkeys(("rc", "tty1", "web"), "exec x")
    machine.load(jobs)
    assert registered(machine) == ["rc"]
    machine.configuration.write_text("mask nothing\n")
    machine.mode.reconfigure()
    machine.load(jobs)
    assert registered(machine) == ["rc", "tty1", "web"]
    machine.configuration.write_text("")
    machine.mode.reconfigure()
    machine.load(jobs)
    assert registered(machine) == ["web"], "what was registered goes"


def test_b198_chromeos_keeps_its_milestones_and_minimal_everything(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path, profile=None)
    machine.load(dict.fromkeys(("halt", "boot-services", "rc", "system-services", "pre-shutdown"), "exec x"))
    assert registered(machine) == ["boot-services", "halt", "pre-shutdown", "system-services"]
    machine = HostMachine(tmp_path, profile=MINIMAL)
    machine.load(dict.fromkeys(("halt", "rc"), "exec x"))
    assert registered(machine) == ["halt", "rc"]


def test_b198_files_that_come_and_go_later(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path)
    machine.load({"web": "exec x"})
    machine.load({"udev": "exec x"})
    assert registered(machine) == ["web"]
    assert list(machine.mode.masked()) == ["udev"]


def test_b198_the_whole_list_is_masked_by_default() -> None:
    for pattern in OWNED:
        assert is_owned(pattern.replace("*", "x"), UBUNTU, HostConfiguration())
    assert not is_owned("rsyslog", UBUNTU, HostConfiguration())

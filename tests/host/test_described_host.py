"""The host as conditions are judged by: kind, profile, and what host.conf adds (B197, B238, B270)."""
from __future__ import annotations

from pathlib import Path

from compat.bridges.host.event_sources import EventSources
from compat.bridges.host.loaded_jobs import RegisteredJobs
from compat.bridges.host.wanted import START_ON, Operand
from compat.parser.definition import Match
from tests.host.host_machine import HostMachine


def source(machine: HostMachine, event: str, *arguments: str) -> str:
    sources = EventSources(machine.mode.described(), RegisteredJobs(machine.engine))
    return sources.source(Operand("j", START_ON, Match(event, arguments))).label


def test_b197_kind_and_profile(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, "container", profile=None)
    machine.load({"rcS": "exec a", "start-ttys": "exec b"})
    described = machine.mode.described()
    assert (described.kind, described.profile) == ("container", "rhel")
    assert machine.mode.described() is described
    assert source(machine, "started", "rcS") == "boot"
    assert source(machine, "runlevel", "2") == "boot"


def test_b270_mappings(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path)
    machine.load({})
    assert source(machine, "login-prompt-visible") == "none"
    machine.configuration.write_text(
        "on unit display-manager.service up emit login-prompt-visible\nalias db pg.service\n")
    machine.mode.reconfigure()
    machine.mode.loaded()
    assert source(machine, "login-prompt-visible") == "mapping"
    assert machine.mode.described().aliases.candidates("db") == ("pg.service", "db.service")


def test_b198_a_masked_job_is_a_milestone(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path)
    machine.load({"mountall": "exec a", "web": "exec b"})
    assert source(machine, "stopped", "mountall") == "boot"
    assert source(machine, "stopped", "web") == "job web"

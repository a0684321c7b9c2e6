"""The fact table on disk (B203, B204, B263)."""
from __future__ import annotations

import json
import pathlib
from typing import List

import pytest

from compat.bridges.host.fact import Fact, HostEvent
from compat.host import fact_file
from compat.host.facts import FactTable
from tests.host.host_machine import HostMachine


def written(path: pathlib.Path, boot: str = "b") -> FactTable:
    table = FactTable()
    table.tell(Fact("boot:a", "done", (HostEvent("a", ("X=\udcff",), True), HostEvent("b"))))
    fact_file.save(table, str(path), boot)
    return table


def loaded(path: pathlib.Path, boot: str = "b") -> "tuple[bool, FactTable, List[str]]":
    table, log = FactTable(), []  # type: ignore[var-annotated]
    known = fact_file.load(table, str(path), boot, lambda priority, text: log.append(text))
    return known, table, log


def test_b203_written_and_read_within_one_boot(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run" / "facts.json"
    table = written(path)
    known, other, log = loaded(path)
    assert (known, other.phases(), log) == (True, table.phases(), [])
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["facts.json"]


def test_b203_another_boot_begins_anew(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "facts.json"
    written(path)
    for boot in ("c", ""):
        assert loaded(path, boot)[0] is False


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "{}", '{"format": 2, "boot": "b", "table": {}}', '{"format": 1, "boot": "b", "table": {}}',
    '{"format": 1, "boot": "b", "table": {"phases": {"a": 1}, "started": {}, "pending": {}}}',
    '{"format": 1, "boot": "b", "table": {"phases": {}, "started": {}, "pending": {"a": [["n", [2], false]]}}}', "[" * 100000,
    '{"format": 1, "boot": "b", "table": {"phases": [], "started": {}, "pending": {}}}'])
def test_b203_a_file_that_makes_no_sense_is_put_aside(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "facts.json"
    path.write_text(text)
    known, table, log = loaded(path)
    assert (known, table.phases(), table.take()) == (False, {}, None)
    assert len(log) == 1 and str(path) in log[0]
    assert (tmp_path / "facts.json.bad").read_text() == text


def test_b203_no_file_is_no_news(tmp_path: pathlib.Path) -> None:
    assert loaded(tmp_path / "facts.json")[::2] == (False, [])


def test_b204_a_second_daemon_of_the_boot_repeats_nothing_and_goes_on(tmp_path: pathlib.Path) -> None:
    jobs = {"gate": "start on starting dbus\ntask\nexec gate", "web": "start on started dbus\nexec web"}
    first = HostMachine(tmp_path)
    first.load(jobs)
    unit = ("JOB=dbus", "INSTANCE=")
    told = ("unit:dbus.service", "up:1", HostEvent("starting", unit, True), HostEvent("started", unit))
    first.fact("boot:startup", "done", HostEvent("startup"))
    first.fact(*told)
    assert unit not in first.events("started")
    second = HostMachine(tmp_path)
    second.load(jobs)
    second.mode.start()
    second.settle()
    assert second.status("web").startswith("web start/running"), "the rest of the list is not lost"
    assert not second.fact(*told)
    assert not second.fact("boot:startup", "done", HostEvent("startup"))
    assert second.events("startup") == second.events("starting")[1:] == []


def test_b203_nothing_changes_nothing_is_written(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path)
    machine.load({})
    machine.fact("boot:startup", "done", HostEvent("startup"))
    before = machine.fact_file.stat().st_mtime_ns, machine.fact_file.stat().st_ino
    machine.fact("boot:startup", "done", HostEvent("startup"))
    machine.emit("other")
    assert (machine.fact_file.stat().st_mtime_ns, machine.fact_file.stat().st_ino) == before


def test_b203_a_full_disk_is_a_warning_once(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path)
    machine.fact_file.mkdir()
    machine.load({})
    for name in "abc":
        machine.fact("boot:" + name, "done", HostEvent(name))
    assert machine.history() == ["a", "b", "c"]
    assert len([line for line in machine.lines("W") if "events may be repeated" in line]) == 1


def test_b215_emitting_a_runlevel_by_hand_is_a_fact(tmp_path: pathlib.Path) -> None:
    machine = HostMachine(tmp_path)
    machine.load({})
    machine.emit("runlevel", "RUNLEVEL=4", "PREVLEVEL=2")
    machine.emit("runlevel")
    assert machine.mode.facts() == {"runlevel": "4"}
    assert json.loads(machine.fact_file.read_text())["table"]["phases"] == {"runlevel": "4"}

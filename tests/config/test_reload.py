"""A reload, and what the engine is told when files change (P9, P16, P20, D114, D120-D128, D132-D137)."""
from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, List, Tuple

from compat.config.sources import Source
from compat.engine.inputs import DefineJob
from compat.testing import SimulatedMachine
from tests.config.configuration import Configuration, author, write


def test_d134_a_reload_defines_every_job_again(tmp_path: Path) -> None:
    for path in ("1/a", "1/n/b", "2/c", "2/a"):
        write(tmp_path / f"{path}.conf", author(path))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    configuration.forget_record()
    configuration.catalogue.reload()
    assert configuration.fed == [("+", "a"), ("+", "n/b"), ("+", "c")]


def test_p16_d68_the_log_of_a_reload(tmp_path: Path) -> None:
    init_conf = tmp_path / "init.conf"
    for path in ("1/a", "1/n/b", "1/z"):
        write(tmp_path / f"{path}.conf")
    configuration = Configuration(tmp_path / "1", Source(str(init_conf), is_file=True), tmp_path / "2").load()
    configuration.forget_record()
    shutil.rmtree(tmp_path / "1" / "n")
    (tmp_path / "1" / "a.conf").unlink()
    configuration.catalogue.reload()
    assert configuration.said() == [
        f"Loading configuration from {tmp_path}/1",
        f"Handling deletion of {tmp_path}/1/a.conf",
        f"Handling deletion of {tmp_path}/1/n/b.conf",
        f"Loading configuration from {init_conf}",
        f"Loading configuration from {tmp_path}/2"]
    assert configuration.fed == [("+", "z"), ("-", "a"), ("-", "n/b")]
    assert configuration.complaints() == []


def test_d136_all_files_of_a_vanished_source_are_gone(tmp_path: Path) -> None:
    write(tmp_path / "1" / "a.conf", author("high"))
    write(tmp_path / "1" / "b.conf")
    write(tmp_path / "2" / "a.conf", author("low"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    (tmp_path / "1").rename(tmp_path / "x")
    configuration.catalogue.reload()
    assert set(configuration.jobs) == {"a"}
    assert configuration.author("a") == "low"
    assert configuration.complaints() == []


def test_p9_d126_d127_break_repair_and_remove_the_higher_file(tmp_path: Path) -> None:
    high = write(tmp_path / "1" / "a.conf", author("high"))
    write(tmp_path / "2" / "a.conf", author("low"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    seen = []
    for content in ("bogus\n", author("repaired"), None):
        if content is None:
            high.unlink()
        else:
            write(high, content)
        configuration.catalogue.reload()
        seen.append(configuration.author("a"))
    assert seen == ["low", "repaired", "low"]
    assert ("-", "a") not in configuration.fed


def test_d127_the_lower_files_current_content_takes_over(tmp_path: Path) -> None:
    high = write(tmp_path / "1" / "a.conf", author("high"))
    low = write(tmp_path / "2" / "a.conf", author("old"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    write(low, author("new"))
    configuration.catalogue.conf_written(1, "a")
    high.unlink()
    configuration.catalogue.conf_gone(0, "a")
    assert configuration.author("a") == "new"


def test_d128_a_change_below_the_best_file_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "1" / "a.conf", author("high"))
    low = write(tmp_path / "2" / "a.conf", author("low"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    configuration.forget_record()
    for content in ("bogus\n", author("again")):
        write(low, content)
        configuration.catalogue.conf_written(1, "a")
    low.unlink()
    configuration.catalogue.conf_gone(1, "a")
    assert configuration.fed == []


def test_d122_d123_e120_a_broken_or_deleted_only_file_is_forgotten(confdir: Path) -> None:
    path = write(confdir / "a.conf")
    configuration = Configuration(confdir).load()
    write(path, "bogus\n")
    configuration.catalogue.conf_written(0, "a")
    path.unlink()
    configuration.catalogue.conf_gone(0, "a")
    assert configuration.fed == [("+", "a"), ("-", "a")]


def test_d121_a_repaired_file_is_defined(confdir: Path) -> None:
    path = write(confdir / "a.conf", "bogus\n")
    configuration = Configuration(confdir).load()
    assert configuration.fed == []
    write(path, author("me"))
    configuration.catalogue.conf_written(0, "a")
    assert configuration.fed == [("+", "a")]


def test_d127_what_was_hidden_comes_back_as_the_same_object(tmp_path: Path) -> None:
    write(tmp_path / "1" / "a.conf")
    write(tmp_path / "2" / "a.conf")
    told: List[Any] = []
    configuration = Configuration(tmp_path / "1", tmp_path / "2")
    configuration.engine = told.append
    configuration.catalogue.load_source(1)
    configuration.catalogue.load_source(0)
    configuration.catalogue.conf_gone(0, "a")
    assert all(isinstance(each, DefineJob) for each in told)
    assert told[2].definition is told[0].definition
    assert told[1].definition is not told[0].definition


def test_d132_d85_an_override_change_reads_every_conf_of_the_name(tmp_path: Path) -> None:
    write(tmp_path / "1" / "a.conf", author("high"))
    write(tmp_path / "2" / "a.conf", author("low"))
    configuration = Configuration(tmp_path / "1", tmp_path / "2").load()
    configuration.forget_record()
    write(tmp_path / "1" / "a.override", "version 2\n")
    configuration.catalogue.override_changed("a")
    assert configuration.fed == [("+", "a")]
    configuration.catalogue.conf_gone(0, "a")
    assert (configuration.author("a"), configuration.jobs["a"].version) == ("low", "2")
    configuration.catalogue.override_changed("unknown")


def command_in_use(machine: SimulatedMachine, job: str) -> str:
    registered = machine.engine.job(job)
    assert registered is not None
    process = registered.definition.processes[0]
    assert process is not None
    return process.command


def running(confdir: Path) -> Tuple[SimulatedMachine, Configuration]:
    """With the job ``s`` running."""
    machine = SimulatedMachine()
    configuration = Configuration(confdir)
    configuration.engine = machine.feed
    configuration.load()
    machine.start("s")
    return machine, configuration


def test_p20_e118_a_running_job_keeps_its_definition(confdir: Path) -> None:
    path = write(confdir / "s.conf", "exec one\n")
    machine, configuration = running(confdir)
    for content in ("bogus\n", "exec two\n"):
        write(path, content)
        configuration.catalogue.reload()
        assert command_in_use(machine, "s") == "one"
    machine.stop("s")
    assert command_in_use(machine, "s") == "two"


def test_p20_d122_a_running_job_with_a_broken_file_vanishes_when_it_stops(confdir: Path) -> None:
    path = write(confdir / "s.conf", "exec one\n")
    machine, configuration = running(confdir)
    write(path, "bogus\n")
    configuration.catalogue.reload()
    assert machine.status("s").startswith("s start/running")
    machine.stop("s")
    assert machine.status("s") == "Unknown job: s"

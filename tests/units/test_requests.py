"""What units ask for, and when they end (C.5)."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.state.reading import Record
from tests.units.asking import Machine

SERVICE = "exec sleep 100"


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_start_is_answered_when_the_job_runs_and_again_when_it_is_over(machine: Machine) -> None:
    machine.define("web", "pre-start exec p\n" + SERVICE)
    unit = machine.ask("start", "web")
    assert unit.told == []
    machine.process("web", "pre-start").exit()
    machine.settle()
    assert unit.told == ["r"]
    stop = machine.ask("stop", "web")
    assert unit.told == ["r", "d"] and stop.told == ["d"]


def test_start_of_what_is_started_already_waits_for_the_same(machine: Machine) -> None:
    machine.define("web", "pre-start exec p\n" + SERVICE)
    first = machine.start("web")
    unit = machine.ask("start", "web")
    assert not first.done and unit.told == []
    machine.process("web", "pre-start").exit()
    machine.settle()
    assert unit.told == ["r"]
    assert machine.ask("start", "web").told == ["r"]


def test_start_that_fails(machine: Machine) -> None:
    machine.define("web", "pre-start exec p\n" + SERVICE)
    unit = machine.ask("start", "web")
    machine.process("web", "pre-start").exit(5)
    machine.settle()
    assert unit.told == ["f: Job failed to start (a process ended with status 5)"]
    unit = machine.ask("start", "web")
    machine.process("web", "pre-start").killed_by(9)
    machine.settle()
    assert unit.told == ["f: Job failed to start (a process was killed by signal KILL)"]


def test_start_of_an_instance_that_is_not_named(machine: Machine) -> None:
    machine.define("web", "instance $X\n" + SERVICE)
    assert machine.ask("start", "web").told == ["f: Unknown parameter: X"]
    assert not machine.requests.has_main("web")


def test_start_while_the_job_stops_starts_it_again(machine: Machine) -> None:
    machine.define("web", SERVICE)
    first = machine.ask("start", "web")
    machine.process("web").ignores = (15,)
    stop = machine.ask("stop", "web")
    second = machine.ask("start", "web")
    assert second.told == []
    machine.process("web").exit()
    machine.settle()
    assert second.told == ["r"] and stop.open is False
    assert first.open, "the job was never over"


def test_a_task_is_over_when_it_is_started(machine: Machine) -> None:
    machine.define("job", "task\n" + SERVICE)
    unit = machine.ask("start", "job")
    assert unit.told == []
    machine.process("job").exit()
    machine.settle()
    assert unit.told == ["d"]
    unit = machine.ask("start", "job")
    machine.process("job").exit(1)
    machine.settle()
    assert unit.told == ["f: Job failed to start (a process ended with status 1)"]


def test_b204_a_start_that_another_daemon_has_begun_is_not_begun_again(machine: Machine) -> None:
    machine.define("task", "task\nexec t")
    first = machine.ask("start", "task")
    assert first.is_taken and first.told == []
    # It has ended while no daemon was there.
    machine.process("task").exit()
    machine.settle()
    late = machine.ask("await", "task")
    assert late.told == ["d"] and machine.status("task") == "task stop/waiting"
    # Or it goes on.
    machine.define("web", "pre-start exec p\nexec w")
    machine.ask("start", "web")
    again = machine.ask("await", "web")
    assert again.told == [] and again.is_taken
    machine.process("web", "pre-start").exit()
    machine.settle()
    assert again.told == ["r"] and machine.status("web").startswith("web start/running")
    assert machine.ask("await", "nothing").told == ["d"]


def test_a_job_that_fails_later_fails_its_unit(machine: Machine) -> None:
    machine.define("web", SERVICE)
    unit = machine.ask("start", "web")
    machine.process("web").killed_by(11)
    machine.settle()
    assert unit.told == ["r", "f: web: a process was killed by signal SEGV"]
    assert machine.ask("start", "web").told == ["r"]


def test_the_respawn_limit_fails_the_unit(machine: Machine) -> None:
    machine.define("web", "respawn\nrespawn limit 1 5\n" + SERVICE)
    unit = machine.ask("start", "web")
    machine.process("web").killed_by(9)
    machine.settle()
    assert unit.told == ["r"]
    machine.process("web").killed_by(9)
    machine.settle()
    assert unit.told == ["r", "f: web: it is respawning too fast"]


def test_stop_is_for_all_instances(machine: Machine) -> None:
    machine.define("web", "instance $X\n" + SERVICE)
    for name in "abc":
        machine.start("web", "X=" + name)
    for name in "bc":
        machine.process("web", instance=name).ignores = (15,)
    machine.stop("web", "X=c", wait=False)
    unit = machine.ask("hold", "web")
    stop = machine.ask("stop", "web")
    assert stop.told == [] and unit.told == ["r"]
    for name in "bc":
        machine.process("web", instance=name).exit()
        machine.settle()
    assert stop.told == ["d"] and unit.told == ["r", "d"]


def test_stop_of_what_stops_another_too(machine: Machine) -> None:
    machine.define("web", "instance $X\nstop on stopped web INSTANCE=a\n" + SERVICE)
    for name in "ab":
        machine.start("web", "X=" + name)
    assert machine.ask("stop", "web").told == ["d"]


def test_stop_of_what_does_not_run(machine: Machine) -> None:
    machine.define("web", SERVICE)
    assert machine.ask("stop", "web").told == ["d"]
    assert machine.ask("stop", "nobody").told == ["d"]
    assert machine.ask("hold", "nobody").told == ["d"]


def test_stop_that_is_overtaken(machine: Machine) -> None:
    """As its caller is, it is let go (E106)."""
    machine.define("web", SERVICE)
    machine.start("web")
    machine.process("web").ignores = (15,)
    stop = machine.ask("stop", "web")
    machine.start("web", wait=False)
    assert stop.told == ["d"]


def test_reload(machine: Machine) -> None:
    machine.define("web", SERVICE)
    assert machine.ask("reload", "web").told == ["f: Job is not running: web"]
    machine.start("web")
    machine.process("web").ignores = (1,)
    assert machine.ask("reload", "web").told == ["d"]
    assert machine.process("web").received == [1]


def test_what_is_not_known(machine: Machine) -> None:
    machine.define("web", SERVICE)
    assert machine.ask("start", "nobody").told == ["f: Unknown job: nobody"]
    assert machine.ask("reload", "nobody").told == ["f: Unknown job: nobody"]
    assert machine.ask("dance", "web").told == ["f: Unknown request: dance"]


def test_who_hangs_up_is_forgotten(machine: Machine) -> None:
    went = []
    machine.requests.went = went.append
    machine.define("web", "pre-start exec p\n" + SERVICE)
    machine.ask("start", "web").hang_up()
    assert len(machine.pending) == 0 and went == ["web"]
    machine.ask("stop", "web").hang_up()
    assert len(machine.pending) == 0 and went == ["web"]
    machine.process("web", "pre-start").exit()
    machine.settle()
    assert machine.status("web") == "web stop/waiting" and not machine.requests.has_main("web")


def test_what_is_expected_is_no_request(machine: Machine) -> None:
    machine.define("web", SERVICE)
    machine.requests.expect("web")
    assert machine.ask("start", "web").told == ["d"] and machine.status("web") == "web stop/waiting"
    assert machine.ask("start", "web").told == ["r"], "the next one is one"


def test_a_job_whose_file_is_gone_ends_its_unit(machine: Machine) -> None:
    machine.define("web", SERVICE)
    unit = machine.ask("start", "web")
    machine.forget("web")
    assert unit.told == ["r"]
    machine.process("web").exit()
    machine.settle()
    assert unit.told[0] == "r" and not unit.open


def test_units_end_with_the_daemon(machine: Machine) -> None:
    machine.define("web", SERVICE)
    unit = machine.ask("start", "web")
    machine.requests.end()
    assert unit.told == ["r", "d"] and machine.status("web").startswith("web start/running")


_STEPS = st.lists(st.sampled_from(
    ["ask start", "ask stop", "ask reload", "ask hold", "start", "stop", "restart", "exit", "die", "forget", "define", "task", "hang up"]),
    max_size=12)


@given(steps=_STEPS)
def test_in_the_end_a_unit_is_what_its_job_is(steps: list[str]) -> None:
    machine = Machine()
    machine.define("web", "pre-start exec p\n" + SERVICE)
    askers = []
    for step in steps:
        if step.startswith("ask "):
            askers.append((step, machine.ask(step[4:], "web")))
        elif step in ("start", "stop", "restart"):
            getattr(machine, step)("web", wait=False)
        elif step in ("define", "task"):
            machine.define("web", ("task\n" if step == "task" else "") + "pre-start exec p\n" + SERVICE)
        elif step == "forget":
            machine.forget("web")
        elif step == "hang up" and askers:
            if askers[-1][1].open:
                askers[-1][1].hang_up()
        else:
            for process in ("pre-start", "main"):
                try:
                    found = machine.process("web", process)
                except LookupError:
                    continue
                if step == "exit":
                    found.exit()
                elif step == "die":
                    found.killed_by(9)
            machine.settle()
    # All that is under way comes to its end.
    while True:
        try:
            machine.process("web", "pre-start").exit()
        except LookupError:
            break
        machine.settle()
    machine.advance(10)
    runs = machine.engine.job("web") is not None and bool(machine.engine.job("web").instance_names())  # type: ignore[union-attr]
    for step, asker in askers:
        if step in ("ask start", "ask hold"):
            assert asker.open <= runs, (step, asker.told)
        else:
            assert not asker.open, (step, asker.told)
    assert machine.requests.has_main("web") <= runs
    assert len(machine.pending) <= sum(asker.open for _, asker in askers)


# -- over a re-exec (D239) ---------------------------------------------------------------------------------------------------


def test_d239_a_start_that_waits_is_answered_by_the_next_run(machine: Machine) -> None:
    for name in ("good", "bad"):
        machine.define(name, "pre-start exec p\n" + SERVICE)
    good, bad = machine.ask("start", "good"), machine.ask("start", "bad")
    machine.re_execute(good, bad)
    machine.re_execute(good, bad)
    assert good.told == bad.told == []
    machine.process("good", "pre-start").exit()
    machine.process("bad", "pre-start").exit(5)
    machine.settle()
    assert good.told == ["r"] and bad.told == ["f: Job failed to start (a process ended with status 5)"]
    machine.re_execute(good)
    assert machine.requests.has_main("good") and not machine.requests.has_main("bad")
    good.hang_up()
    assert not machine.requests.has_main("good")


def test_d239_a_unit_ends_with_its_job_as_before(machine: Machine) -> None:
    machine.define("web", SERVICE)
    machine.define("task", "task\n" + SERVICE)
    web, task = machine.ask("start", "web"), machine.ask("start", "task")
    machine.re_execute(web, task)
    machine.process("web").exit(7)
    machine.process("task").exit(3)
    machine.settle()
    assert web.told == ["r", "f: web: a process ended with status 7"]
    assert task.told == ["f: Job failed to start (a process ended with status 3)"]
    assert machine.status("task") == "task stop/waiting"


def test_d239_a_stop_of_several_instances_goes_on_where_it_was(machine: Machine) -> None:
    machine.define("web", "instance $N\n" + SERVICE)
    for number in range(3):
        machine.start("web", f"N={number}")
        machine.process("web", instance=str(number)).ignores = (15,)
    stop = machine.ask("stop", "web")
    machine.process("web", instance="1").killed_by(9)
    machine.settle()
    machine.re_execute(stop)
    assert stop.told == []
    machine.process("web", instance="0").killed_by(9)
    machine.settle()
    assert stop.told == []
    machine.process("web", instance="2").killed_by(9)
    machine.settle()
    assert stop.told == ["d"]


def test_d239_a_unit_that_the_daemon_starts_asks_the_next_run(machine: Machine) -> None:
    machine.define("web", SERVICE)
    machine.start("web")
    machine.requests.expect("web")
    machine.re_execute()
    machine.stop("web")
    unit = machine.ask("start", "web")
    assert unit.told == ["d"] and machine.status("web") == "web stop/waiting", "it is no request to start the job"


@pytest.mark.parametrize("entry", [3, {}, {"fd": -1, "job": None, "waits": [], "stops": 0, "failures": []},
                                   {"fd": 5, "job": "web", "waits": [[1]], "stops": 0, "failures": []}])
def test_d229_who_cannot_be_understood_asks_again(machine: Machine, entry: object) -> None:
    machine.define("web", SERVICE)
    adopted = []
    machine.requests.restore(Record({"askers": [entry], "expected": 1, "failures": {"web": 2}}), adopted.append)
    assert not adopted and not machine.requests.expected and not machine.requests.has_main("web")

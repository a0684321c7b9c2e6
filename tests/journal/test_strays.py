"""Instances that are known by their units only (B204, X260)."""
from __future__ import annotations

from typing import List

from compat.backends.protocol import Stray
from compat.engine.actions import AdoptProcess
from compat.engine.inputs import ProcessExecuted, ProcessSpawned
from compat.journal.strays import recovered
from compat.testing import SimulatedMachine


def stray(job: str, instance: str = "", pid: int = 4711) -> Stray:
    return Stray(job, instance, pid, ("A=1", "B=x=y"), {"unit": f"upstart-{job}-main.service", "executed": True})


def test_x260_a_job_without_a_record_is_taken_to_run() -> None:
    machine = SimulatedMachine()
    adopted: List[AdoptProcess] = []
    machine.backend.adopt = adopted.append  # type: ignore[method-assign]
    machine.define("web", "instance $N\nstart on go\nrespawn\nexec web")
    lines: List[str] = []
    restore = recovered([stray("web", "7")], machine.engine, lambda priority, text: lines.append(text))
    assert restore is not None
    machine.feed(restore)
    assert lines == ["web (7) main process (4711) was not on record, but runs in upstart-web-main.service: taken over"]
    assert [(each.job, each.instance, each.pid, each.expect) for each in adopted] == [("web", "7", 4711, "none")]
    machine.feed(ProcessSpawned(adopted[0].spawn, 4711))
    machine.feed(ProcessExecuted(adopted[0].spawn))
    assert machine.status("web", "7") == "web (7) start/running, process 4711"
    assert machine.engine.list_env("web", "7") == ("A=1", "B=x=y")
    # The event does not start it a second time.
    machine.backend.spawn = lambda request: adopted.clear()  # type: ignore[method-assign]
    machine.emit("go", "N=7", wait=False)
    assert len(adopted) == 1


def test_x260_what_belongs_to_no_job_is_left_alone() -> None:
    machine = SimulatedMachine()
    machine.define("web", "exec web")
    machine.start("web")
    lines: List[str] = []
    assert recovered([stray("gone"), stray("web")], machine.engine, lambda priority, text: lines.append(text)) is None
    assert lines == ["upstart-gone-main.service runs gone (process 4711), which is no job any more: left alone",
                     "upstart-web-main.service runs web (process 4711), which is not the process that is on record: left alone"]

"""How the host goes down (B214, B218, B221)."""
from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from compat.bridges.host.ways_down import WayDown, way_down, way_of_logind


@pytest.mark.parametrize(("jobs", "state", "way"), [
    ([], "running", None),
    ([("upstart-compat.service", "stop")], "running", None),
    ([], "stopping", WayDown("0")),
    ([("reboot.target", "start"), ("shutdown.target", "start")], "stopping", WayDown("6")),
    ([("kexec.target", "start")], "stopping", WayDown("6")),
    ([("soft-reboot.target", "start")], "stopping", WayDown("6")),
    ([("poweroff.target", "start")], "running", WayDown("0", ("INIT_HALT=POWEROFF",))),
    ([("halt.target", "start")], "stopping", WayDown("0", ("INIT_HALT=HALT",))),
    ([("exit.target", "start")], "stopping", WayDown("0")),
    ([("rescue.target", "start")], "running", WayDown("1")),
    ([("emergency.target", "start")], "running", WayDown("1")),
    ([("emergency.target", "start"), ("reboot.target", "start")], "running", WayDown("6")),
    ([("reboot.target", "stop")], "running", None),
])
def test_b218_the_queue_tells(jobs: List[Tuple[str, str]], state: str, way: Optional[WayDown]) -> None:
    assert way_down(jobs, state) == way


def test_b221_what_logind_calls_it() -> None:
    assert [way_of_logind(kind) for kind in ("reboot", "poweroff", "halt", "dry-reboot", "suspend")] == [
        WayDown("6"), WayDown("0", ("INIT_HALT=POWEROFF",)), WayDown("0", ("INIT_HALT=HALT",)), WayDown("6"), None]

"""A job is explained by the daemon that has it (B199)."""
from __future__ import annotations

import re

from tests.daemon.conftest import Launch


def test_b199_why_a_job_of_a_session_does_not_start(launch: Launch) -> None:
    daemon = launch({
        "web.conf": "start on startup and (ready or started db or local-filesystem)\nstop on session-end\nexec sleep 999\n",
        "db.conf": "post-start exec true\nexec sleep 999\n",
        "helper.conf": "exec initctl emit ready\n"})
    daemon.wait_known("helper")
    # The first event of a boot is handled before a client can ask.
    status, output, errors = daemon.initctl("explain", "web")
    assert (status, errors) == (0, "")
    assert re.fullmatch(r"""web stop/waiting
  start on: not met
    \[ \] all of
      \[x\] startup -- met by startup, from boot, last \d{4}-\d\d-\d\d \d\d:\d\d:\d\d
      \[ \] one of
        \[ \] ready -- from emits of helper, not seen yet
        \[ \] started db -- from job db, not seen yet
        \[ \] local-filesystem -- nothing on this host emits this event
  stop on: not met
    \[ \] session-end -- from session, not seen yet
""", output)
    daemon.start("db")
    daemon.wait_running("web")
    status, output, errors = daemon.initctl("explain", "web")
    assert output.startswith("web start/running, process ")
    assert re.search(r"\[ \] started db -- from job db, last [-0-9]+ [0-9:]+: JOB=db INSTANCE=\n", output)

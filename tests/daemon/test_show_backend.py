"""Who runs the processes of a job can be asked (X261)."""
from __future__ import annotations

from tests.daemon.conftest import Launch
from tests.daemon.running import eventually


def test_x261_processes_of_a_session_are_native(launch: Launch) -> None:
    daemon = launch({
        "web.conf": "post-start exec sleep 999\nexec sleep 999\n", "many.conf": "instance $N\nexec sleep 999\n",
        "idle.conf": "exec sleep 999\n"})
    for name in ("web", "many", "idle"):
        daemon.wait_known(name)
    daemon.start("web", wait=False)
    daemon.start("many", "N=a b")
    eventually(lambda: daemon.instances("web") == {"": ("start", "post-start")}, daemon.log)
    why = "native (the daemon itself runs the processes)"
    assert daemon.initctl("show-backend", "web") == (0, f"web main: {why}\nweb post-start: {why}\n", "")
    assert daemon.initctl("show-backend", "idle") == (0, "", "")
    status, output, errors = daemon.initctl("show-backend")
    assert (status, errors) == (0, "")
    assert sorted(output.splitlines()) == [f"many (a b) main: {why}", f"web main: {why}", f"web post-start: {why}"]
    assert daemon.initctl("show-backend", "nosuch") == (1, "", "initctl: Unknown job: nosuch\n")

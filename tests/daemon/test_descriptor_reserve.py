"""Jobs with logs that use up the descriptors leave enough for those who want to stop them: X33, X121, X124."""
from __future__ import annotations

import os
import pathlib
import time

from tests.daemon.conftest import Launch
from tests.daemon.running import PATIENCE, after, eventually

JOBS, LIMIT = 200, 128


def test_200_jobs_that_print_and_128_descriptors(launch: Launch, place: pathlib.Path) -> None:
    daemon = launch({f"j{number:03}.conf": "start on go\nexec sh -c 'echo hello; exec sleep 1000'\n" for number in range(JOBS)},
                    prefix=after(f"resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))"), level="")
    # They print only when everything is used up.
    late = [f"late{number}" for number in range(6)]
    for name in late:
        os.mkfifo(place / name)
        daemon.write(f"{name}.conf", f"exec sh -c 'read line < {place / name}; echo $line; exec sleep 1000'\n")
        daemon.wait_known(name)
        daemon.start(name)
    daemon.emit("go", wait=False)
    daemon.wait_errors("init: Temporary process spawn error: Too many open files\n")

    def listed() -> "list[str]":
        begin = time.monotonic()
        code, output, errors = daemon.initctl("list")
        assert (code, errors) == (0, "")
        assert time.monotonic() - begin < PATIENCE / 2
        return [line for line in output.splitlines() if line.startswith("j")]

    # Whoever comes anew gets in, while others are tried again and after all of them were given up.
    assert len(listed()) == JOBS
    eventually(lambda: sum(" start/running, process " in line or line.endswith(" stop/waiting") for line in listed()) == JOBS, daemon.log)
    running = [line.split()[0] for line in listed() if " start/running" in line]
    assert 20 <= len(running) < JOBS
    for name in late:
        (place / name).write_text("hello\n")

    before = daemon.cpu_seconds(), daemon.switches()
    time.sleep(2)
    assert daemon.cpu_seconds() - before[0] < 0.5
    assert daemon.switches() - before[1] < 100
    assert len(os.listdir(f"/proc/{daemon.pid}/fd")) <= LIMIT - 20

    # Not all could be given a file. What they printed is in the log once they end.
    assert any(not daemon.job_log(name) for name in late)
    for name in (*late, running[0], running[-1]):
        code, output, errors = daemon.initctl("stop", name)
        assert (code, output, errors) == (0, f"{name} stop/waiting\n", "")
        assert daemon.job_log(name) == "hello\n"
    # There is room again.
    stopped = next(line.split()[0] for line in listed() if line.endswith(" stop/waiting") and line.split()[0] not in running)
    assert daemon.initctl("start", stopped)[0] == 0
    assert "Internal error" not in daemon.errors

"""The cgroup stanza (X148): systemd has been told, and so has the kernel where it has the controller."""
from __future__ import annotations

import os
import pathlib
from typing import Optional

import pytest

from tests.daemon.running import eventually
from tests.systemd.upstart import Upstart, shown, unit_of

_LIMITED = """\
cgroup memory limit_in_bytes 256M
cgroup memory soft_limit_in_bytes 128M
cgroup memory memsw.limit_in_bytes 1G
cgroup cpu shares 512
cgroup cpu cfs_quota_us 50000
cgroup cpu cfs_period_us 50000
cgroup cpuset cpus 0
cgroup cpuset mems 0
cgroup blkio weight 200
cgroup blkio throttle.read_bps_device "{device} 1048576"
cgroup blkio throttle.write_bps_device "{device} 2097152"
cgroup blkio throttle.read_iops_device "{device} 100"
cgroup blkio throttle.write_iops_device "{device} 200"
cgroup pids max 50
"""
_PROPERTIES = {
    "MemoryMax": "268435456", "MemoryHigh": "134217728", "MemorySwapMax": "805306368", "CPUWeight": "20", "CPUQuotaPerSecUSec": "1s",
    "CPUQuotaPeriodUSec": "50ms", "AllowedCPUs": "0", "AllowedMemoryNodes": "0", "IOWeight": "2000", "TasksMax": "50", "Delegate": "yes"}
_THROTTLES = {"IOReadBandwidthMax": "1048576", "IOWriteBandwidthMax": "2097152", "IOReadIOPSMax": "100", "IOWriteIOPSMax": "200"}
_FILES = {"memory.max": "268435456", "memory.high": "134217728", "memory.swap.max": "805306368", "cpu.weight": "20",
          "cpu.max": "50000 50000", "cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "50"}


def _file(pid: int, name: str) -> Optional[str]:
    """What the kernel says of the group of a process; None where it has no such controller."""
    line = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()[-1]
    path = pathlib.Path("/sys/fs/cgroup" + line.partition("::")[2], name)
    return path.read_text().strip() if path.exists() else None


@pytest.mark.parametrize("kind, text", [("service", ""), ("scope", "console output")])
def test_x148_every_row(upstart: Upstart, kind: str, text: str) -> None:
    name = f"limited.{kind}"
    disk = os.stat("/").st_dev
    upstart.define(name, f"{text}\n{_LIMITED.format(device=f'{os.major(disk)}:{os.minor(disk)}')}exec sleep 1000")
    upstart.start(name)
    pid = upstart.main(name).pid
    unit = unit_of(pid)
    assert unit == f"upstart-{name}-main.{kind}"
    assert {key: shown(unit, key) for key in _PROPERTIES} == _PROPERTIES
    for key, value in _THROTTLES.items():
        assert shown(unit, key).split()[-1:] == [value], key
    found = {key: _file(pid, key) for key in _FILES}
    assert {key: value for key, value in found.items() if value is not None} == {
        key: value for key, value in _FILES.items() if found[key] is not None}
    upstart.stop(name)
    assert name not in "".join(line for line in upstart.errors.splitlines() if "cgroup" in line)


def test_x148_scripts_have_the_same_limits(upstart: Upstart) -> None:
    go = upstart.directory / "go.limited"
    upstart.define("limited.script", f"cgroup pids max 50\npre-start exec sh -c 'until test -e {go}; do sleep 0.01; done'\nexec sleep 1000")
    upstart.start("limited.script", wait=False)
    pid = eventually(lambda: upstart.pid_of("limited.script", "pre-start"))
    unit = eventually(lambda: unit_of(pid) if unit_of(pid).startswith("upstart-limited") else "")
    assert shown(unit, "TasksMax") == "50"
    go.touch()
    upstart.wait_running("limited.script")
    upstart.stop("limited.script")


def test_x147_what_is_not_honoured_is_said_once_a_job(upstart: Upstart) -> None:
    upstart.define("shared", "instance $N\ncgroup memory batch limit_in_bytes 1M\ncgroup memory swappiness 5\ncgroup devices deny a\n"
                             "cgroup pids max 9\nexec sleep 1000")
    for number in range(3):
        upstart.start("shared", f"N={number}")
    assert shown(unit_of(upstart.main("shared", "2").pid), "TasksMax") == "9"
    for number in range(3):
        upstart.stop("shared", f"N={number}")
    assert [line for line in upstart.errors.splitlines() if "shared" in line and "cgroup" in line] == [
        "init: shared (0) cgroup memory batch is not honoured: not the job's own group",
        "init: shared (0) cgroup memory swappiness is not honoured: systemd has nothing like it"]
    assert "shared (0) cgroup devices has no effect on this host\n" in upstart.output

"""What a cgroup stanza becomes, row by row (X148). That systemd takes it is in tests/systemd."""
from __future__ import annotations

from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.backends.unit_property import UNLIMITED
from compat.backends.unit_resources import Resources, resources
from compat.engine.actions import INFO, WARN
from compat.parser import parse_job
from compat.parser.definition import CgroupSetting


def asked(*stanzas: str) -> Resources:
    return resources(parse_job("\n".join([*(f"cgroup {each}" for each in stanzas), "exec x"]).encode()).cgroups)


def properties(*stanzas: str) -> Dict[bytes, Any]:
    found = asked(*stanzas)
    assert found.remarks == ()
    assert {each.signature for each in found.properties} <= {b"b", b"t", b"ay", b"a(st)"}
    assert found.properties[0].name == b"Delegate"
    return {each.name: each.value for each in found.properties[1:]}


def remarks(*stanzas: str) -> List[str]:
    found = asked(*stanzas)
    assert [each.name for each in found.properties] == [b"Delegate"]
    return ["%s %s" % ({INFO: "I", WARN: "W"}[remark.priority], remark.text) for remark in found.remarks]


def test_x148_without_a_stanza_there_is_nothing() -> None:
    assert asked() == ((), ())


@pytest.mark.parametrize("stanza, name, value", [
    ("memory limit_in_bytes 1048576", b"MemoryMax", 1 << 20), ("memory limit_in_bytes 512M", b"MemoryMax", 512 << 20),
    ("memory limit_in_bytes 2g", b"MemoryMax", 2 << 30), ("memory limit_in_bytes 0x1000", b"MemoryMax", 4096),
    ("memory limit_in_bytes -1", b"MemoryMax", UNLIMITED), ("memory limit_in_bytes 99999999999999999999", b"MemoryMax", UNLIMITED),
    ("memory soft_limit_in_bytes 64k", b"MemoryHigh", 65536),
    ("memory memsw.limit_in_bytes -1", b"MemorySwapMax", UNLIMITED),
    ("cpu shares 2", b"CPUWeight", 1), ("cpu shares 1024", b"CPUWeight", 39), ("cpu shares 262144", b"CPUWeight", 10000),
    ("cpu shares 1", b"CPUWeight", 1), ("cpu shares 999999", b"CPUWeight", 10000),
    ("cpu cfs_quota_us 50000", b"CPUQuotaPerSecUSec", 500000), ("cpu cfs_quota_us -1", b"CPUQuotaPerSecUSec", UNLIMITED),
    ("cpu cfs_period_us 250000", b"CPUQuotaPeriodUSec", 250000),
    ("cpuset cpus 0", b"AllowedCPUs", b"\x01"), ("cpuset cpus 0-2,5", b"AllowedCPUs", b"\x27"),
    ("cpuset cpus 8", b"AllowedCPUs", b"\x00\x01"), ("cpuset mems 0-1", b"AllowedMemoryNodes", b"\x03"),
    ("blkio weight 500", b"IOWeight", 5000), ("blkio weight 5000", b"IOWeight", 10000),
    ("blkio throttle.read_bps_device '8:0 1048576'", b"IOReadBandwidthMax", [(b"/dev/block/8:0", 1048576)]),
    ("blkio throttle.write_bps_device '8:16 1'", b"IOWriteBandwidthMax", [(b"/dev/block/8:16", 1)]),
    ("blkio throttle.read_iops_device '8:0 100'", b"IOReadIOPSMax", [(b"/dev/block/8:0", 100)]),
    ("blkio throttle.write_iops_device '8:0 0'", b"IOWriteIOPSMax", [(b"/dev/block/8:0", UNLIMITED)]),
    ("pids max 20", b"TasksMax", 20), ("pids max max", b"TasksMax", UNLIMITED)])
def test_x148_a_row_of_the_table(stanza: str, name: bytes, value: Any) -> None:
    assert properties(stanza) == {name: value}


def test_x148_keys_that_belong_together() -> None:
    assert properties("cpu cfs_quota_us 50000", "cpu cfs_period_us 25000") == {
        b"CPUQuotaPerSecUSec": 2000000, b"CPUQuotaPeriodUSec": 25000}
    # Wherever the other one stands.
    for stanzas in (("limit_in_bytes 1M", "memsw.limit_in_bytes 3M"), ("memsw.limit_in_bytes 3M", "limit_in_bytes 1M")):
        assert properties(*(f"memory {each}" for each in stanzas)) == {b"MemoryMax": 1 << 20, b"MemorySwapMax": 2 << 20}


@pytest.mark.parametrize("stanza", [
    "memory", "cpu", "cpuset", "blkio", "pids", "freezer", "freezer state THAWED", "memory $UPSTART_CGROUP/x"])
def test_x148_nothing_more_than_a_group_is_asked_for(stanza: str) -> None:
    assert properties(stanza) == {}


@pytest.mark.parametrize("name", ["$UPSTART_CGROUP", "${UPSTART_CGROUP}", "$UPSTART_CGROUP/below"])
def test_x147_names_of_the_jobs_own_group(name: str) -> None:
    assert properties(f"memory {name} limit_in_bytes 1M") == {b"MemoryMax": 1 << 20}


@pytest.mark.parametrize("stanza, said", [
    ("memory shared limit_in_bytes 1M", "W cgroup memory shared is not honoured: not the job's own group"),
    ("memory shared", "W cgroup memory shared is not honoured: not the job's own group"),
    ("memory $UPSTART_CGROUPS limit_in_bytes 1M", "W cgroup memory $UPSTART_CGROUPS is not honoured: not the job's own group"),
    ("memory swappiness 10", "W cgroup memory swappiness is not honoured: systemd has nothing like it"),
    ("hugetlb 2MB.limit_in_bytes 1", "W cgroup hugetlb is not honoured: no such controller"),
    ("freezer state FROZEN", "W cgroup freezer state FROZEN is not honoured: systemd freezes nothing that starts"),
    ("memory limit_in_bytes much", "W cgroup memory limit_in_bytes much is not honoured: not a size"),
    ("memory limit_in_bytes -2", "W cgroup memory limit_in_bytes -2 is not honoured: not a size"),
    ("memory memsw.limit_in_bytes 1M", "W cgroup memory memsw.limit_in_bytes 1M is not honoured: less than limit_in_bytes"),
    ("cpu shares many", "W cgroup cpu shares many is not honoured: not a number"),
    ("cpu cfs_quota_us 0", "W cgroup cpu cfs_quota_us 0 is not honoured: not a share of the time"),
    ("cpu cfs_period_us 5", "W cgroup cpu cfs_period_us 5 is not honoured: not from 1000 to 1000000"),
    ("cpuset cpus all", "W cgroup cpuset cpus all is not honoured: not a list of numbers"),
    ("cpuset cpus 3-1", "W cgroup cpuset cpus 3-1 is not honoured: not a list of numbers"),
    ("cpuset cpus 0-99999999999", "W cgroup cpuset cpus 0-99999999999 is not honoured: not a list of numbers"),
    ("blkio throttle.read_bps_device sda", "W cgroup blkio throttle.read_bps_device sda is not honoured: not MAJOR:MINOR NUMBER"),
    ("pids max -1", "W cgroup pids max -1 is not honoured: not a number of tasks"),
    *((f"{each} x y", f"I cgroup {each} has no effect on this host")
      for each in ("devices", "net_cls", "net_prio", "cpuacct", "perf_event"))])
def test_x148_what_cannot_be_expressed_is_said(stanza: str, said: str) -> None:
    assert remarks(stanza) == [said]


def test_x148_a_group_of_many_keys_is_spoken_of_once() -> None:
    assert len(remarks("memory shared limit_in_bytes 1", "memory shared swappiness 2", "devices deny a", "devices allow b")) == 2


_WORDS = st.sampled_from(["memory", "cpu", "cpuset", "blkio", "pids", "freezer", "devices", "x"])
_KEYS = st.sampled_from([
    "limit_in_bytes", "memsw.limit_in_bytes", "shares", "cfs_quota_us", "cfs_period_us", "cpus", "weight",
    "throttle.read_bps_device", "max", "state", "x"])
_SETTINGS = st.builds(
    CgroupSetting, _WORDS, st.sampled_from(["$UPSTART_CGROUP", "other"]), _KEYS, st.text(max_size=8) | st.integers().map(str))


@given(st.lists(_SETTINGS, max_size=6))
def test_x148_whatever_is_written_systemd_can_be_told(settings: List[CgroupSetting]) -> None:
    for each in resources(tuple(settings)).properties:
        if each.signature == b"t":
            assert 0 <= each.value <= UNLIMITED, each
        elif each.signature == b"ay":
            assert isinstance(each.value, bytes) and 0 < len(each.value) <= 1024
        elif each.signature == b"a(st)":
            assert all(path.startswith(b"/dev/block/") and 0 < number <= UNLIMITED for path, number in each.value), each

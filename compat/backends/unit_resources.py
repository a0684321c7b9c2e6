"""What a ``cgroup`` stanza asks for, as properties of the job's units (X148).

The keys are those of the first cgroup hierarchy, which hosts of today do not have any more; systemd sets what
is meant in the second. Each unit of the job has the limits for itself: its main process, and what that
leaves behind, and each of its scripts. A group with a name that is not the job's own may be shared with other
jobs. A unit cannot be in it, so it is warned of, as is what systemd has no property for.
"""
from __future__ import annotations

import re
from typing import Callable, Dict, List, NamedTuple, Tuple

from ..engine.actions import INFO, WARN
from ..parser.definition import CgroupSetting
from .unit_property import UNLIMITED, Property

_MICROSECONDS = 1000000
_DEFAULT_PERIOD = 100000
#: Those that are only asked what was used, or that have no successor.
_WITHOUT_EFFECT = ("devices", "net_cls", "net_prio", "cpuacct", "perf_event")
_CONTROLLERS = ("memory", "cpu", "cpuset", "blkio", "pids", "freezer")
_OWN_GROUP = re.compile(r"\$UPSTART_CGROUP(/|$)|\$\{UPSTART_CGROUP\}(/|$)")
_SIZE = re.compile(r"(\d+|0[xX][0-9a-fA-F]+)([kKmMgGtT]?)")
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_THROTTLE = re.compile(r"(\d+):(\d+)\s+(\d+)")

_Settings = Dict[str, str]


class Remark(NamedTuple):
    """Something that is not honoured; ``text`` goes behind the job's name."""

    priority: int
    text: str


class Resources(NamedTuple):
    """The properties, and what is to be said once a job."""

    properties: Tuple[Property, ...]
    remarks: Tuple[Remark, ...]


def resources(settings: Tuple[CgroupSetting, ...]) -> Resources:
    """Those of a job's cgroup stanzas, in the order of its file; both empty if it has none."""
    if not settings:
        return Resources((), ())
    # The job may make groups of its own below, as it could in its own group before (X251).
    properties: List[Property] = [Property(b"Delegate", b"b", True)]
    remarks: List[Remark] = []
    own: Dict[str, _Settings] = {}
    for controller, name, key, value in settings:
        if controller in _WITHOUT_EFFECT:
            remark = Remark(INFO, f"cgroup {controller} has no effect on this host")
        elif controller not in _CONTROLLERS:
            remark = Remark(WARN, f"cgroup {controller} is not honoured: no such controller")
        elif not _OWN_GROUP.match(name):
            remark = Remark(WARN, f"cgroup {controller} {name} is not honoured: not the job's own group")
        else:
            keys = own.setdefault(controller, {})
            if key is not None and value is not None:
                keys[key] = value
            continue
        if remark not in remarks:
            remarks.append(remark)
    for controller, keys in own.items():
        _controller(controller, keys, properties, remarks)
    return Resources(tuple(properties), tuple(remarks))


def _controller(controller: str, keys: _Settings, properties: List[Property], remarks: List[Remark]) -> None:
    for key, value in keys.items():
        express = _KEYS.get((controller, key))
        if express is None:
            remarks.append(Remark(WARN, f"cgroup {controller} {key} is not honoured: systemd has nothing like it"))
            continue
        try:
            properties += express(value, keys)
        except ValueError as error:
            remarks.append(Remark(WARN, f"cgroup {controller} {key} {value} is not honoured: {error}"))


def _amount(value: str) -> int:
    """A number of bytes as the kernel reads one, UNLIMITED for -1. Raises ValueError."""
    if value == "-1":
        return UNLIMITED
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError("not a size")
    digits = found[1]
    number = int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits)
    return min(number << _SHIFTS[found[2].lower()], UNLIMITED)


def _number(value: str) -> int:
    if not re.fullmatch(r"-?\d+", value):
        raise ValueError("not a number")
    return int(value)


def _size(name: bytes) -> Callable[[str, _Settings], List[Property]]:
    return lambda value, keys: [Property(name, b"t", _amount(value))]


def _swap(value: str, keys: _Settings) -> List[Property]:
    """Memory and swap together once were one limit."""
    both, memory = _amount(value), _amount(keys.get("limit_in_bytes", "-1"))
    if both < memory:
        raise ValueError("less than limit_in_bytes")
    return [Property(b"MemorySwapMax", b"t", UNLIMITED if both == UNLIMITED else both - memory)]


def _shares(value: str, keys: _Settings) -> List[Property]:
    shares = max(2, min(_number(value), 262144))
    return [Property(b"CPUWeight", b"t", 1 + (shares - 2) * 9999 // 262142)]


def _quota(value: str, keys: _Settings) -> List[Property]:
    quota, period = _number(value), _number(keys.get("cfs_period_us", str(_DEFAULT_PERIOD)))
    if quota < 0:
        return [Property(b"CPUQuotaPerSecUSec", b"t", UNLIMITED)]
    if quota == 0 or period <= 0:
        raise ValueError("not a share of the time")
    # At least what systemd takes for something.
    return [Property(b"CPUQuotaPerSecUSec", b"t", min(max(1, quota * _MICROSECONDS // period), UNLIMITED))]


def _period(value: str, keys: _Settings) -> List[Property]:
    period = _number(value)
    if not 1000 <= period <= _MICROSECONDS:
        raise ValueError("not from 1000 to 1000000")
    return [Property(b"CPUQuotaPeriodUSec", b"t", period)]


def _members(name: bytes) -> Callable[[str, _Settings], List[Property]]:
    def express(value: str, keys: _Settings) -> List[Property]:
        """A list like ``0-2,5`` as a mask of bits, lowest first."""
        mask = 0
        for part in value.replace(" ", "").split(","):
            first, dash, last = part.partition("-")
            if not first.isdecimal() or dash and not last.isdecimal():
                raise ValueError("not a list of numbers")
            low, high = int(first), int(last or first)
            if not low <= high < 8192:
                raise ValueError("not a list of numbers")
            mask |= (1 << high + 1) - (1 << low)
        return [Property(name, b"ay", mask.to_bytes((mask.bit_length() + 7) // 8, "little"))]

    return express


def _io_weight(value: str, keys: _Settings) -> List[Property]:
    return [Property(b"IOWeight", b"t", max(1, min(_number(value) * 10, 10000)))]


def _throttle(name: bytes) -> Callable[[str, _Settings], List[Property]]:
    def express(value: str, keys: _Settings) -> List[Property]:
        found = _THROTTLE.fullmatch(value)
        if found is None:
            raise ValueError("not MAJOR:MINOR NUMBER")
        # 0 takes a limit away.
        return [Property(name, b"a(st)", [(f"/dev/block/{found[1]}:{found[2]}".encode(), int(found[3]) or UNLIMITED)])]

    return express


def _tasks(value: str, keys: _Settings) -> List[Property]:
    number = UNLIMITED if value == "max" else _number(value)
    if number <= 0:
        raise ValueError("not a number of tasks")
    return [Property(b"TasksMax", b"t", min(number, UNLIMITED))]


def _freezer(value: str, keys: _Settings) -> List[Property]:
    if value != "THAWED":
        raise ValueError("systemd freezes nothing that starts")
    return []


_KEYS: Dict[Tuple[str, str], Callable[[str, _Settings], List[Property]]] = {
    ("memory", "limit_in_bytes"): _size(b"MemoryMax"),
    ("memory", "soft_limit_in_bytes"): _size(b"MemoryHigh"),
    ("memory", "memsw.limit_in_bytes"): _swap,
    ("cpu", "shares"): _shares,
    ("cpu", "cfs_quota_us"): _quota,
    ("cpu", "cfs_period_us"): _period,
    ("cpuset", "cpus"): _members(b"AllowedCPUs"),
    ("cpuset", "mems"): _members(b"AllowedMemoryNodes"),
    ("blkio", "weight"): _io_weight,
    ("blkio", "throttle.read_bps_device"): _throttle(b"IOReadBandwidthMax"),
    ("blkio", "throttle.write_bps_device"): _throttle(b"IOWriteBandwidthMax"),
    ("blkio", "throttle.read_iops_device"): _throttle(b"IOReadIOPSMax"),
    ("blkio", "throttle.write_iops_device"): _throttle(b"IOWriteIOPSMax"),
    ("pids", "max"): _tasks,
    ("freezer", "state"): _freezer,
}

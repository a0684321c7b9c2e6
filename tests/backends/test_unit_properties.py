"""Properties of transient units, row by row (X251, X254). What comes of them is in tests/systemd."""
from __future__ import annotations

from typing import Any, Dict

import pytest

from compat.backends.protocol import ProcessDefaults
from compat.backends.unit_properties import scope_properties, service_properties, unit_description
from compat.backends.unit_property import UNLIMITED
from compat.engine.actions import SpawnProcess
from compat.parser import parse_job
from compat.parser.definition import MAIN, PRE_START, SECURITY

DEFAULTS = ProcessDefaults(umask=0o027, chdir="/srv")


def request(text: str, process: int = MAIN) -> SpawnProcess:
    return SpawnProcess(1, "web", "", process, parse_job((text + "\nexec x").encode()), ("SECRET=1",), (), "none")


def service(text: str = "") -> Dict[bytes, Any]:
    found = service_properties(request(text), DEFAULTS, "web", "/lib/launcher", 7)
    assert len({each.name for each in found}) == len(found)
    return {each.name: each.value for each in found}


def test_x254_what_every_service_has() -> None:
    assert service() == {
        b"Description": b"web", b"Slice": b"upstart.slice", b"DefaultDependencies": False, b"IgnoreOnIsolate": True,
        b"KillMode": b"process", b"TasksMax": UNLIMITED,
        b"TimeoutStopUSec": 95000000, b"Type": b"exec",
        b"ExecStart": [(b"/lib/launcher", [b"/lib/launcher", b"unit"], False)],
        b"StandardInputFileDescriptor": 7, b"StandardOutput": b"null", b"StandardError": b"null", b"RemainAfterExit": True,
        b"CollectMode": b"inactive", b"NotifyAccess": b"all", b"Restart": b"no", b"StartLimitIntervalUSec": 0,
        b"TimeoutStartUSec": UNLIMITED, b"KillSignal": 18, b"IgnoreSIGPIPE": False, b"OOMPolicy": b"continue", b"UMask": 0o027,
        b"WorkingDirectory": b"-/srv"}


@pytest.mark.parametrize("text, name, value", [
    ("umask 077", b"UMask", 0o077), ("nice 0", b"Nice", 0), ("nice -5", b"Nice", -5), ("oom score 300", b"OOMScoreAdjust", 300),
    ("oom score never", b"OOMScoreAdjust", -1000), ("chdir /usr/../tmp/.", b"WorkingDirectory", b"-/tmp"),
    ("kill timeout 7", b"TimeoutStopUSec", 97000000), ("limit nofile 100 500", b"LimitNOFILE", 500),
    ("limit nofile 100 500", b"LimitNOFILESoft", 100), ("limit core 0 unlimited", b"LimitCORE", UNLIMITED),
    ("limit core 0 unlimited", b"LimitCORESoft", 0), ("limit cpu unlimited unlimited", b"LimitCPUSoft", UNLIMITED)])
def test_x254_what_a_stanza_adds(text: str, name: bytes, value: Any) -> None:
    assert service(text)[name] == value


@pytest.mark.parametrize("text, absent", [
    ("", [b"Nice", b"OOMScoreAdjust", b"User", b"Group", b"Environment", b"RootDirectory", b"LimitNOFILE"]),
    # Not to be looked up outside, and not a folder of the host's.
    ("chroot /r\nchdir /usr", [b"RootDirectory", b"WorkingDirectory"]),
    ("chdir usr", [b"WorkingDirectory"]),
    # systemd would refuse the whole unit; the launcher says what is wrong (X36).
    ("limit nofile 500 100", [b"LimitNOFILE", b"LimitNOFILESoft"]),
    ("env A=1", [b"Environment"]), ("setuid u\nsetgid g", [b"User", b"Group"])])
def test_x254_what_is_left_to_the_launcher(text: str, absent: "list[bytes]") -> None:
    assert not set(absent) & set(service(text))


@pytest.mark.parametrize("resource", [
    "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "sigpending", "stack"])
def test_x254_every_resource_has_a_property(resource: str) -> None:
    name = f"Limit{resource.upper()}".encode()
    assert (service(f"limit {resource} 1 2")[name], service(f"limit {resource} 1 2")[name + b"Soft"]) == (2, 1)


def test_x254_without_these_the_unit_would_be_wrong() -> None:
    found = service_properties(request("nice 1\nlimit nofile 1 2"), DEFAULTS, "web", "/l", 7)
    needed = {each.name for each in found if each.needed}
    assert needed == {b"DefaultDependencies", b"KillMode", b"Type", b"ExecStart", b"StandardInputFileDescriptor", b"RemainAfterExit",
                      b"CollectMode", b"KillSignal"}


def test_x251_scopes() -> None:
    found = scope_properties(request("kill timeout 2"), "web", 4711)
    assert {each.name: each.value for each in found} == {
        b"Description": b"web", b"Slice": b"upstart.slice", b"DefaultDependencies": False, b"IgnoreOnIsolate": True,
        b"KillMode": b"process", b"TasksMax": UNLIMITED, b"OOMPolicy": b"continue",
        b"TimeoutStopUSec": 92000000, b"PIDs": [4711], b"SendSIGKILL": False, b"CollectMode": b"inactive-or-failed"}


def test_x148_what_a_cgroup_stanza_asks_for_is_in_services_and_scopes() -> None:
    text = "cgroup pids max 20\ncgroup memory limit_in_bytes 1M"
    for found in (service_properties(request(text), DEFAULTS, "web", "/l", 7), scope_properties(request(text, PRE_START), "web", 4711)):
        values = {each.name: each.value for each in found}
        assert len(values) == len(found), "each once"
        assert (values[b"TasksMax"], values[b"MemoryMax"], values[b"Delegate"]) == (20, 1 << 20, True)
        assert not any(each.needed for each in found if each.name in (b"TasksMax", b"MemoryMax", b"Delegate"))


def test_x143_the_security_process_has_none_of_it() -> None:
    values = {each.name: each.value for each in scope_properties(request("cgroup pids max 20", SECURITY), "web", 4711)}
    assert values[b"TasksMax"] == UNLIMITED and b"Delegate" not in values


def test_x251_descriptions() -> None:
    assert unit_description(request("description \"serves\""), "web (1)") == "web (1): serves"
    assert unit_description(request(""), "web") == "web"

"""The units of hooks, and which units get none (B232, B233, B249)."""
from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Dict

import pytest

from compat.bridges.host.announce_command import announce
from compat.bridges.host.hook_generator import generate
from compat.bridges.host.hook_units import chosen_hooks, write_hooks
from compat.bridges.host.main import main
from compat.bridges.host.mount_table import FstabEntry
from compat.bridges.host.unit_order import UnitOrder
from compat.host.configuration import HostConfiguration, parse_configuration
from tests.daemon.running import ROOT

DAEMON = "[Unit]\nAfter=dbus.service systemd-journald.service \\\n local-fs.target\nRequires=key.service\n[Service]\nExecStart=x\n"
FILES = {
    "upstart-compat.service": DAEMON,
    "basic.target": "[Unit]\nAfter=sysinit.target sockets.target\nRequires=sysinit.target\nWants=sockets.target\n",
    "sysinit.target": "[Unit]\nAfter=local-fs.target\nWants=local-fs.target\n", "sockets.target": "[Unit]\n", "local-fs.target": "[Unit]\n",
    "multi-user.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\n",
    "dbus-broker.service": "[Unit]\nAfter=early.service\n[Service]\nExecStart=x\n",
    "early.service": "[Service]\nExecStart=Before=ssh.service\n", "key.service": "[Service]\nExecStart=x\n",
    "systemd-udevd.service": "[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n",
    "systemd-journald.service": "[Unit]\nDefaultDependencies=no\n", "other.socket": "[Socket]\nListenStream=/x\n",
    "ssh.service": "[Unit]\nAfter=network.target\n", "thing.service": "[Unit]\nBefore=ssh.service\n",
    "rc-local.service": "[Unit]\nAfter=multi-user.target\n", "late.service": "[Service]\nExecStart=x\n",
    "tty@.service": "[Unit]\nBefore=sysinit.target\nDefaultDependencies=no\n", "far.mount": "[Mount]\nWhere=/far\nType=nfs\nWhat=x\n",
    "near.mount": "[Mount]\nWhere=/near\nType=ext4\nWhat=x\n"}


@pytest.fixture
def host(tmp_path: pathlib.Path) -> pathlib.Path:
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name, text in FILES.items():
        (units / name).write_text(text)
    (units / "dbus.service").symlink_to("dbus-broker.service")
    for part in ("other.socket", "thing.service"):
        wants = units / ("sockets" if part.endswith("socket") else "multi-user")
        wants = wants.with_name(wants.name + ".target.wants")
        wants.mkdir()
        (wants / part).symlink_to(f"../{part}")
    drop_in = tmp_path / "etc/systemd/system/late.service.d"
    drop_in.mkdir(parents=True)
    (drop_in / "x.conf").write_text("[Unit]\nBefore=dbus.service\n[Service]\nBefore=nothing\n")
    return tmp_path


def test_b233_what_is_started_before_the_daemon_is_found_in_the_unit_files(host: pathlib.Path) -> None:
    order = UnitOrder(str(host))
    assert order.name("dbus.service") == "dbus-broker.service"
    assert order.needed_by_daemon() == {
        "basic.target", "sysinit.target", "sockets.target", "local-fs.target", "dbus-broker.service", "early.service", "key.service",
        "systemd-udevd.service", "systemd-journald.service", "other.socket", "late.service", "tty@.service", "near.mount"}


def test_b233_a_ring_of_links_does_no_harm(tmp_path: pathlib.Path) -> None:
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "a.service").symlink_to("b.service")
    (units / "b.service").symlink_to("a.service")
    order = UnitOrder(str(tmp_path))
    assert order.name("a.service") in ("a.service", "b.service")
    assert order.needed_by_daemon() == {"basic.target", "sysinit.target"}


def chosen(host: pathlib.Path, *names: str, fstab: "tuple[FstabEntry, ...]" = ()) -> "tuple[tuple[str, ...], tuple[str, ...]]":
    order = UnitOrder(str(host))
    hooks = chosen_hooks(HostConfiguration(hooks=names, aliases=(("mine", ("thing.service",)),)), lambda unit: unit in FILES, order.name,
                         order.needed_by_daemon(), fstab)
    return hooks.units, hooks.refusals


def test_b232_job_names_stand_for_the_first_unit_that_the_host_has(host: pathlib.Path) -> None:
    assert chosen(host, "sshd", "mine", "ssh.service", "getty@tty1.service") == (
        ("ssh.service", "thing.service", "getty@tty1.service"), ())
    assert chosen(host, "nothing") == ((), ("hook nothing: there is no such unit on this host",))


@pytest.mark.parametrize(("name", "unit"), [
    ("messagebus", ""), ("dbus.service", "dbus-broker.service"), ("udev", "systemd-udevd.service"), ("local-fs.target", "local-fs.target"),
    ("key", "key.service"), ("tty@tty1.service", "tty@tty1.service"), ("near.mount", "near.mount")])
def test_b233_what_the_daemon_needs_gets_no_hook(host: pathlib.Path, name: str, unit: str) -> None:
    expected = f"hook {name}: {unit} is needed before the jobs' daemon, it is only watched" if unit else (
        "hook messagebus: dbus-broker.service is needed before the jobs' daemon, it is only watched")
    assert chosen(host, name) == ((), (expected,))


@pytest.mark.parametrize(("kind", "options", "hooked"), [
    ("ext4", "defaults", False), ("ext4", "noauto", True), ("ext4", "rw,nofail", True), ("nfs4", "defaults", True),
    ("ext4", "_netdev", True)])
def test_b233_b249_a_mount_that_the_boot_waits_for_gets_no_hook(host: pathlib.Path, kind: str, options: str, hooked: bool) -> None:
    units, refusals = chosen(host, "srv-my\\x20data.mount", fstab=(FstabEntry("/dev/x", "/srv/my data", kind, options),))
    assert units == (("srv-my\\x20data.mount",) if hooked else ()) and len(refusals) == 1 - len(units)


def read(directory: pathlib.Path, name: str) -> "dict[str, list[str]]":
    found: Dict[str, "list[str]"] = {}
    for line in (directory / name).read_text().split("\n"):
        key, equals, value = line.partition("=")
        if equals:
            found.setdefault(key, []).append(value)
    return found


def test_b232_the_two_units_of_a_hook(tmp_path: pathlib.Path) -> None:
    write_hooks(["ssh.service"], str(tmp_path), "/lib/bridge")
    before, after = (read(tmp_path, f"upstart-{place}@ssh.service.service") for place in ("before", "after"))
    for unit in (before, after):
        assert unit["Type"] == ["oneshot"] and unit["RemainAfterExit"] == ["yes"] and unit["DefaultDependencies"] == ["no"]
        assert unit["PartOf"] == ["ssh.service"] and unit["Conflicts"] == ["shutdown.target"]
        assert unit["After"][0] == "upstart-compat.service upstart-host-bridge.service"
    assert before["Before"] == ["ssh.service", "shutdown.target"] and after["After"][1:] == ["ssh.service"]
    assert after["Before"] == ["upstart-shutdown.service", "shutdown.target"]
    assert before["ExecStart"] == ["-/lib/bridge --announce starting %i"] and before["TimeoutStartSec"] == ["30"]
    assert after["ExecStop"] == ["-/lib/bridge --announce stopping %i"] and after["TimeoutStopSec"] == ["90"]
    assert "ExecStop" not in before and "ExecStart" not in after
    for place in ("before", "after"):
        link = tmp_path / "ssh.service.wants" / f"upstart-{place}@ssh.service.service"
        assert os.path.samefile(link, tmp_path / link.name)


def test_b232_b233_the_generator(host: pathlib.Path, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str],
                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.bridges.host.hook_generator.KERNEL_LOG", str(tmp_path / "kmsg"))
    (host / "etc/fstab").write_text("/dev/x /near ext4 defaults 0 0\n")
    out = tmp_path / "normal"
    out.mkdir()
    configuration, warnings = parse_configuration("hook ssh dbus\nhook near.mount ssh\n")
    assert warnings == [] and configuration.hooks == ("ssh", "dbus", "near.mount")
    for _ in range(2):
        assert generate(str(out), configuration, str(host)) == 0
    assert sorted(os.listdir(out)) == ["ssh.service.wants", "upstart-after@ssh.service.service", "upstart-before@ssh.service.service"]
    lines = (tmp_path / "kmsg").read_text().split("\n")
    assert lines[:2] == ["<4>upstart-host-bridge: hook dbus: dbus-broker.service is needed before the jobs' daemon, it is only watched",
                         "<4>upstart-host-bridge: hook near.mount: near.mount is needed before the jobs' daemon, it is only watched"]
    monkeypatch.setattr("compat.bridges.host.hook_generator.KERNEL_LOG", str(tmp_path / "none" / "kmsg"))
    assert generate(str(tmp_path / "missing" / "\0"), configuration._replace(hooks=("dbus",)), str(host)) == 0
    assert "hook dbus:" in capfd.readouterr().err
    (tmp_path / "file").write_text("")
    assert generate(str(tmp_path / "file"), configuration, str(host)) == 1
    assert f"upstart-host-bridge: {tmp_path / 'file' / 'ssh.service.wants'}: Not a directory" in capfd.readouterr().err


def test_b196_without_hooks_the_generator_loads_nothing(tmp_path: pathlib.Path) -> None:
    script = ROOT / "packaging/systemd-generators/upstart-compat-hooks"
    text = script.read_text().replace("/etc/upstart-compat", str(tmp_path)).replace(
        "/usr/lib/upstart-compat/bin/upstart-host-bridge", "echo")
    copy = tmp_path / "generator"
    copy.write_text(text)

    def run() -> str:
        return subprocess.run(["sh", str(copy), "/normal", "/early", "/late"], capture_output=True, text=True, check=True).stdout

    assert run() == ""
    for line, expected in (("hooks\n# hook ssh\n", ""), (" hook ssh\n", "--hooks /normal\n")):
        (tmp_path / "host.conf").write_text(line)
        assert run() == expected


@pytest.mark.skipif(os.getuid() != 0, reason="the bridge is for root")
def test_b232_commands_that_make_no_sense_or_find_no_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--announce", "up", "a.service"]) == main(["--announce", "starting"]) == main(["--hooks"]) == 1
    assert capsys.readouterr().err.split("\n")[::2] == [
        "upstart-host-bridge: --announce needs a state and a unit", "upstart-host-bridge: --hooks needs a directory"]
    assert announce("starting", "a.service", "unix:abstract=/compat-test/nobody") == 1
    assert "Could not connect to Upstart" in capsys.readouterr().err

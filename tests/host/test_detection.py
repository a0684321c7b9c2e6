"""Which kind of host this is (B194, B257, B258), and what is still mounted at its end (B219, B261)."""
from __future__ import annotations

import pathlib
from typing import Dict, List

import pytest

from compat.host.detection import container_type, host_kind
from compat.host.mounts_left import network_mounts_left


@pytest.mark.parametrize(("pid1", "files", "environment", "kind"), [
    (False, ["run/systemd/system/x"], {}, "systemd"), (True, ["run/systemd/system/x"], {}, "container"), (True, [], {}, "container"),
    (False, ["run/openrc/softlevel"], {}, "openrc"), (False, ["run/openrc/softlevel", ".dockerenv"], {}, "openrc"),
    (False, ["run/service/.s6-svscan/x"], {}, "s6"), (False, ["run/service/.s6-svscan/x", ".dockerenv"], {}, "container"),
    (False, ["run/runit/x"], {}, "runit"), (False, ["run/runit/x", ".dockerenv"], {}, "container"),
    (False, ["run/initctl"], {}, "sysvinit"), (False, ["dev/initctl"], {}, "sysvinit"), (True, ["run/openrc/softlevel"], {}, "container"),
    (False, ["run/systemd/system/x", "run/initctl"], {}, "systemd"),
    (False, [], {}, "none"), (False, [".dockerenv"], {}, "container"), (False, [], {"container": "lxc"}, "container")])
def test_b194_auto(tmp_path: pathlib.Path, pid1: bool, files: List[str], environment: Dict[str, str], kind: str) -> None:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert host_kind(pid1, environment, str(tmp_path)) == kind


@pytest.mark.parametrize(("files", "environment", "kind"), [
    ({}, {"container": "lxc"}, "lxc"), ({"run/systemd/container": "podman\n", ".dockerenv": ""}, {}, "podman"),
    ({".dockerenv": ""}, {}, "docker"),
    ({"run/.containerenv": "", ".dockerenv": ""}, {}, "podman"), ({"var/run/secrets/kubernetes.io/x": ""}, {}, "kubernetes"),
    ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"), ({"dev/lxd/sock": ""}, {}, "lxc"), ({"proc/vz/x": ""}, {}, "openvz"),
    ({"proc/vz/x": "", "proc/bc/x": ""}, {}, ""), ({}, {}, "")])
def test_b258_the_type_of_a_container(tmp_path: pathlib.Path, files: Dict[str, str], environment: Dict[str, str], kind: str) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert container_type(environment, str(tmp_path)) == kind


def test_b219_network_mounts(tmp_path: pathlib.Path) -> None:
    mountinfo, fstab = tmp_path / "mountinfo", tmp_path / "fstab"
    fstab.write_text("/dev/sdb1 /data ext4 _netdev 0 0\n")
    mountinfo.write_text("21 1 8:1 / / rw - ext4 /dev/sda1 rw\n22 21 0:5 / /proc rw - proc proc rw\n")
    assert not network_mounts_left(str(mountinfo), str(fstab))
    for line in ("23 21 0:40 / /srv rw - nfs4 server:/srv rw\n", "23 21 8:17 / /data rw - ext4 /dev/sdb1 rw\n"):
        mountinfo.write_text("21 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + line)
        assert network_mounts_left(str(mountinfo), str(fstab))
    assert not network_mounts_left(str(tmp_path / "none"), str(tmp_path / "none"))

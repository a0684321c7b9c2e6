"""The mounts model on tables that are made up."""
from __future__ import annotations

from typing import List, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.bridges.host.mount_table import (
    FstabEntry,
    Mount,
    classify,
    decode_fstab,
    decode_mountinfo,
    decode_swaps,
    joined_options,
)
from compat.bridges.host.mounts import Mounts, Swap, Tables, network_mounts
from tests.bridges.host.telling import Table, define, wanted

ROOT = Mount(20, "8:1", "/", "/", "rw,relatime", "ext4", "/dev/sda1", "rw,errors=remount-ro")
PROC = Mount(21, "0:20", "/", "/proc", "rw,nosuid", "proc", "proc", "rw")
RUN = Mount(22, "0:21", "/", "/run", "rw,nosuid", "tmpfs", "tmpfs", "rw,size=100k")
SRV = Mount(30, "8:2", "/", "/srv", "rw,relatime", "xfs", "/dev/sdb1", "rw,noquota")
FSTAB_SRV = FstabEntry("UUID=4711", "/srv", "xfs", "noatime,nofail")
FSTAB_NFS = FstabEntry("files:/home", "/home", "nfs4", "sec=krb5")
NFS = Mount(40, "0:50", "/", "/home", "rw", "nfs4", "files:/home", "rw,vers=4.2")
ALL = ("mounting", "mounted")
SRV_MOUNTED = "mounted DEVICE=/dev/sdb1 MOUNTPOINT=/srv TYPE=xfs OPTIONS=rw,relatime,noquota"
SRV_MOUNTING = SRV_MOUNTED.replace("mounted", "mounting!")


class Host:
    """A host whose mounts are told to a model; the daemon's table outlives models."""

    def __init__(self, *conditions: str, booting: bool = True, fstab: Sequence[FstabEntry] = ()) -> None:
        self.wanted = wanted(*conditions)
        self.fstab = fstab
        self.table = Table()
        self.connect(booting)

    def connect(self, booting: bool = False) -> None:
        self.mounts = Mounts(self.wanted, dict(self.table.known), booting)

    def see(self, *mounts: Mount, swaps: Sequence[Swap] = ()) -> List[str]:
        return self.table.take(self.mounts.update(Tables(mounts, swaps, self.fstab)))


def test_b247_fields_are_decoded() -> None:
    data = (b"36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime master:1 shared:2 - ext3 /dev/ro\\011ot rw,errors=continue\n"
            b"37 35 0:4 / /caf\xe9 rw - tmpfs none rw\n38 nonsense\n\n")
    assert decode_mountinfo(data) == [
        Mount(36, "98:0", "/mnt1", "/a b\\c", "rw,noatime", "ext3", "/dev/ro\tot", "rw,errors=continue"),
        Mount(37, "0:4", "/", "/caf\udce9", "rw", "tmpfs", "none", "rw")]


def test_b248_fstab_is_decoded_as_written() -> None:
    data = b"# /dev/sda1 / ext4\n\nUUID=4711\t/srv/a\\040b/  xfs noatime,nofail 0 2\n/dev/sdb none swap\nshort line\n / / ext4 rw"
    assert decode_fstab(data) == [
        FstabEntry("UUID=4711", "/srv/a b", "xfs", "noatime,nofail"), FstabEntry("/dev/sdb", "none", "swap", "defaults"),
        FstabEntry("/", "/", "ext4", "rw")]


def test_b251_swaps_are_decoded() -> None:
    data = b"Filename\t\tType\tSize\n/swap\\040file  file 1 0 -2\n/dev/zram0 partition 1 0 100\n"
    assert decode_swaps(data) == ["/swap file", "/dev/zram0"]
    assert decode_swaps(b"") == []


@given(st.binary(max_size=200))
def test_b247_no_bytes_are_an_error(data: bytes) -> None:
    assert len(decode_mountinfo(data)) <= data.count(b"\n") + 1
    assert len(decode_fstab(data)) <= data.count(b"\n") + 1
    assert len(decode_swaps(data)) <= data.count(b"\n")


@pytest.mark.parametrize("mount_point, kind, options, expected", [
    ("/proc", "proc", "", "virtual"), ("/sys/fs/bpf", "bpf", "", "virtual"), ("/run", "tmpfs", "", "virtual"),
    ("/dev/shm", "tmpfs", "", "virtual"), ("/tmp", "tmpfs", "", "virtual"), ("/srv", "tmpfs", "", "local"),
    ("/runner", "tmpfs", "", "local"), ("/", "ext4", "", "local"), ("/h", "nfs", "", "network"), ("/h", "nfs4", "", "network"),
    ("/h", "cifs", "", "network"), ("/h", "9p", "trans=tcp", "network"), ("/h", "9p", "trans=virtio", "local"),
    ("/h", "fuse.sshfs", "", "network"), ("/h", "fuse.gvfs", "", "local"), ("/h", "ext4", "rw,_netdev", "network"),
    ("/h", "ext4", "no_netdev", "local")])
def test_b261_classes(mount_point: str, kind: str, options: str, expected: str) -> None:
    assert classify(mount_point, kind, options) == expected


def test_b248_options_each_once() -> None:
    assert joined_options(ROOT) == "rw,relatime,errors=remount-ro"


def test_b208_first_pass_mounted_only_virtual_ones_first() -> None:
    host = Host(*ALL)
    assert host.see(ROOT, PROC, SRV, RUN) == [
        "mounted DEVICE=none MOUNTPOINT=/proc TYPE=proc OPTIONS=rw,nosuid",
        "mounted DEVICE=none MOUNTPOINT=/run TYPE=tmpfs OPTIONS=rw,nosuid,size=100k",
        "mounted DEVICE=/dev/sda1 MOUNTPOINT=/ TYPE=ext4 OPTIONS=rw,relatime,errors=remount-ro", SRV_MOUNTED]


def test_b249_later_mounting_is_held_before_mounted() -> None:
    host = Host(*ALL)
    host.see(ROOT)
    assert host.see(ROOT, SRV) == [SRV_MOUNTING, SRV_MOUNTED]
    assert host.see(ROOT, SRV) == []


def test_b248_fstab_as_written() -> None:
    host = Host(*ALL, fstab=[FSTAB_SRV, FSTAB_SRV._replace(spec="other")])
    assert host.see(SRV) == ["mounted DEVICE=UUID=4711 MOUNTPOINT=/srv TYPE=xfs OPTIONS=noatime,nofail"]


def test_b250_a_remount_after_umount_is_told_again_and_umount_is_no_event() -> None:
    host = Host(*ALL)
    host.see(ROOT, SRV)
    assert host.see(ROOT) == []
    assert "mount:/srv" not in host.table.known
    assert host.see(ROOT, SRV) == [SRV_MOUNTING, SRV_MOUNTED]
    assert host.see(ROOT, SRV._replace(id=31)) == [SRV_MOUNTING, SRV_MOUNTED]
    assert host.see(ROOT, SRV._replace(id=31, options="ro")) == []


@pytest.mark.parametrize("mount", [
    SRV._replace(id=31, mount_point="/mnt", root="/sub"), SRV._replace(id=31, mount_point="/mnt"),
    Mount(32, "0:60", "/", "/var/lib/docker/overlay2/x/merged", "rw", "overlay", "overlay", "rw"),
    Mount(32, "0:60", "/", "/mnt", "rw", "overlay", "overlay", "rw"),
    Mount(32, "0:4", "net:[4026]", "/run/netns/blue", "rw", "nsfs", "nsfs", "rw"),
    Mount(32, "0:60", "/", "/run/user/1000", "rw", "tmpfs", "tmpfs", "rw"),
    Mount(32, "7:1", "/", "/snap/core/1", "ro", "squashfs", "/dev/loop1", "ro")])
def test_b250_what_containers_mount_is_told_only_if_it_is_named(mount: Mount) -> None:
    host = Host(*ALL)
    host.see(ROOT, SRV)
    assert host.see(ROOT, SRV, mount) == []
    assert f"mount:{mount.mount_point}" not in host.table.known
    define(host.wanted, "named", f"mounted MOUNTPOINT={mount.mount_point[:-1]}?")
    assert host.table.take(host.mounts.reconsider()) == []
    assert host.see(ROOT, SRV) == []
    assert [each.split()[0] for each in host.see(ROOT, SRV, mount)] == ["mounting!", "mounted"]


def test_b250_what_fstab_has_is_told_also_if_it_is_a_bind_mount() -> None:
    host = Host("mounted", fstab=[FstabEntry("/srv/www", "/var/www", "none", "bind")])
    assert host.see(SRV, SRV._replace(id=33, root="/www", mount_point="/var/www"))[1:] == [
        "mounted DEVICE=/srv/www MOUNTPOINT=/var/www TYPE=none OPTIONS=bind"]


def test_b250_subvolumes_are_no_bind_mounts() -> None:
    host = Host("mounted TYPE=btrfs")
    top = Mount(20, "0:30", "/@", "/", "rw", "btrfs", "/dev/sda2", "rw,subvol=/@")
    assert len(host.see(top, top._replace(id=21, root="/@srv", mount_point="/srv", super_options="rw,subvol=/@srv"))) == 2


def test_b250_what_comes_to_light_again_is_not_new() -> None:
    host = Host("mounted MOUNTPOINT=/home")
    under = Mount(39, "0:49", "/", "/home", "rw", "autofs", "auto", "rw")
    assert len(host.see(ROOT, under)) == 1
    assert host.see(ROOT, under, NFS) == ["mounted DEVICE=files:/home MOUNTPOINT=/home TYPE=nfs4 OPTIONS=rw,vers=4.2"]
    assert host.see(ROOT, under) == []


def test_b249_mounting_when_the_unit_activates_and_mounted_when_it_is_done() -> None:
    host = Host("mounting TYPE=nfs4", "mounted TYPE=nfs4", fstab=[FSTAB_NFS, FSTAB_SRV])
    host.see(ROOT)
    variables = "DEVICE=files:/home MOUNTPOINT=/home TYPE=nfs4 OPTIONS=sec=krb5"
    assert host.mounts.expected() == {"/home"}
    assert host.table.take(host.mounts.activating("/home")) == [f"mounting! {variables}"]
    assert host.table.take(host.mounts.activating("/home")) == []
    assert host.see(ROOT) == []
    host.connect()
    assert host.see(ROOT, NFS) == [f"mounted {variables}"]
    assert host.mounts.activating("/home") == []
    assert host.mounts.activating("/elsewhere") == []


def test_b249_a_mount_that_failed_may_be_tried_again() -> None:
    host = Host("mounting TYPE=nfs4", fstab=[FSTAB_NFS])
    host.see(ROOT)
    host.table.take(host.mounts.activating("/home"))
    assert host.table.take(host.mounts.failed("/home")) == []
    assert host.mounts.failed("/home") == []
    assert len(host.table.take(host.mounts.activating("/home"))) == 1


def test_b251_swap() -> None:
    host = Host(*ALL)
    entry = FstabEntry("LABEL=swap", "none", "swap", "pri=5")
    assert host.see(swaps=[Swap("/dev/sda5", entry)]) == ["mounted DEVICE=LABEL=swap MOUNTPOINT=none TYPE=swap OPTIONS=pri=5"]
    variables = "DEVICE=/swapfile MOUNTPOINT=none TYPE=swap OPTIONS=defaults"
    assert host.see(swaps=[Swap("/dev/sda5", entry), Swap("/swapfile", None)]) == [f"mounting! {variables}", f"mounted {variables}"]
    assert host.see() == []
    assert host.table.known == {"watched:mounts": "done"}


def test_b202_a_second_bridge_tells_what_was_missed_and_nothing_else() -> None:
    host = Host(*ALL)
    host.see(ROOT, SRV)
    host.connect()
    assert host.see(ROOT, SRV) == []
    host.connect()
    new = SRV._replace(id=77, mount_point="/new", device="8:9")
    assert [each.split()[0] for each in host.see(ROOT, new)] == ["mounting!", "mounted"]
    assert "mount:/srv" not in host.table.known


def test_b202_a_bridge_that_died_in_the_first_pass_goes_on_with_it() -> None:
    host = Host("mounted")
    facts = host.mounts.update(Tables([PROC, ROOT], (), ()))
    assert len(host.table.take(facts[:1])) == 1
    host.connect(booting=True)
    assert len(host.see(PROC, ROOT)) == 1


def test_b204_a_job_that_comes_later_sees_nothing_of_the_past() -> None:
    host = Host("mounted", booting=False)
    assert host.see(ROOT, SRV) == []
    assert host.see(ROOT, SRV, NFS) == ["mounted DEVICE=files:/home MOUNTPOINT=/home TYPE=nfs4 OPTIONS=rw,vers=4.2"]
    host.table.take(host.mounts.stop())
    host.connect()
    assert host.see(ROOT, SRV._replace(id=99)) == []


def test_b196_only_what_an_operand_could_match_is_told() -> None:
    host = Host("mounted MOUNTPOINT=/run")
    assert [each.split()[2] for each in host.see(ROOT, PROC, RUN, SRV)] == ["MOUNTPOINT=/run"]
    assert Mounts.asked_for(host.wanted) and not Mounts.asked_for(wanted("runlevel 2"))


def test_b273_control_characters_are_left_out() -> None:
    host = Host("mounted")
    assert host.see(SRV._replace(mount_point="/s\nr\x7fv")) == [SRV_MOUNTED]


def test_b208_network_mounts_that_are_there() -> None:
    lan = Mount(50, "8:3", "/", "/lan", "rw", "ext4", "/dev/sdc", "rw")
    assert network_mounts(Tables([ROOT, NFS, lan], (), [FstabEntry("/dev/sdc", "/lan", "ext4", "_netdev")])) == ["/home", "/lan"]

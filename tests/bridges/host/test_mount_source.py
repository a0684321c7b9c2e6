"""The mounts of a namespace of its own, through the real main loop."""
from __future__ import annotations

import pathlib
import subprocess
from typing import List

import pytest

from compat.bridges.host import mount_source
from compat.bridges.host.mount_numbers import MountNumbers
from compat.bridges.host.mount_source import MountSource
from compat.bridges.host.mount_table import decode_mountinfo
from compat.bridges.host.mounts import Mounts, Tables
from compat.loop import MainLoop
from tests.bridges.host.namespaces import HandLoop, Namespace, needs_root, own_mounts
from tests.bridges.host.telling import Table, wanted
from tests.daemon.test_loop import in_a_process

needs_numbers = pytest.mark.skipif(not MountNumbers().read(), reason="needs Linux 6.8 and no sandbox that forbids to ask")


@needs_root
@in_a_process
def test_b247_mounts_are_noticed_through_the_main_loop() -> None:
    namespace, table = Namespace(), Table()
    told: List[str] = []
    errors: List[BaseException] = []
    turns: List[int] = []
    loop = MainLoop(lambda what, error: errors.append(error))
    loop.events = lambda: bool(turns.append(1))  # type: ignore[func-returns-value]
    steps = iter((("mount", "-t", "tmpfs", "-o", "size=1m", "a source", "/mnt"), ("umount", "/mnt"),
                  ("mount", "-t", "tmpfs", "again", "/mnt")))

    def after(tables: Tables) -> None:
        # The next step when the last one was seen, and while the loop waits.
        command = next(steps, None)
        loop.later(0.01, loop.quit if command is None else lambda: namespace.run(*command))

    source = MountSource(Mounts(wanted("mounting or mounted MOUNTPOINT=/mnt*"), {}, False), loop,
                         lambda facts: told.extend(table.take(facts)), after, mountinfo=f"/proc/{namespace.pid}/mountinfo")
    assert told == [] and table.known["mount:/"]
    loop.run()
    assert not errors
    assert told[0].startswith("mounting! DEVICE=a source MOUNTPOINT=/mnt TYPE=tmpfs OPTIONS=rw,relatime,size=1024k")
    assert [each.split()[0] for each in told] == ["mounting!", "mounted"] * 2
    assert "DEVICE=again" in told[2]
    # A few timers and changes: an urgent file does not keep the loop awake.
    assert len(turns) < 20
    source.close()
    namespace.close()


@needs_root
@needs_numbers
@in_a_process
def test_b247_a_mount_that_takes_the_place_of_another_before_anybody_looks_is_a_new_one() -> None:
    own_mounts()
    loop, table = HandLoop(), Table()
    told: List[str] = []
    source = MountSource(Mounts(wanted("mounted MOUNTPOINT=/mnt"), {}, False), loop,  # type: ignore[arg-type]
                         lambda facts: told.extend(table.take(facts)))
    mount = ("mount", "-t", "tmpfs", "none", "/mnt")
    for count in (1, 2, 3):
        if told:
            subprocess.run(["umount", "/mnt"], check=True)
        subprocess.run(mount, check=True)
        source.dispatch()
        source.dispatch()
        assert told == ["mounted DEVICE=none MOUNTPOINT=/mnt TYPE=tmpfs OPTIONS=rw,relatime"] * count
    # Nor is any repeated when the bridge begins anew.
    source.close()
    MountSource(Mounts(wanted("mounted MOUNTPOINT=/mnt"), table.known, False), loop,  # type: ignore[arg-type]
                lambda facts: told.extend(table.take(facts))).close()
    assert len(told) == 3


@needs_root
@needs_numbers
@in_a_process
def test_b247_lasting_numbers_are_those_of_mountinfo() -> None:
    own_mounts()
    numbers = MountNumbers()
    for place in ("/mnt", "/srv"):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
        there = {each.id for each in decode_mountinfo(pathlib.Path("/proc/self/mountinfo").read_bytes())}
        found = numbers.read()
        assert set(found) == there and len(set(found.values())) == len(there)


@needs_root
def test_b251_swap_is_noticed(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "swap"
    file.write_bytes(bytes(1 << 20))
    file.chmod(0o600)
    subprocess.run(["mkswap", file], check=True, capture_output=True)
    loop, table = HandLoop(), Table()
    told: List[str] = []
    source = MountSource(Mounts(wanted("mounted TYPE=swap"), {}, False), loop,  # type: ignore[arg-type]
                         lambda facts: told.extend(table.take(facts)))
    try:
        if subprocess.run(["swapon", file]).returncode:
            pytest.skip("the kernel or the file system has no swap files")
        try:
            loop.turn_until(None, lambda: bool(told))
        finally:
            subprocess.run(["swapoff", file], check=True)
        assert told == [f"mounted DEVICE={file} MOUNTPOINT=none TYPE=swap OPTIONS=defaults"]
        loop.turn_until(None, lambda: f"swap:{file}" not in table.known)
    finally:
        source.close()


def test_b272_files_that_cannot_be_polled_are_looked_at_now_and_then(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount_source, "POLL_SECONDS", 0.01)
    mountinfo, fstab = tmp_path / "mountinfo", tmp_path / "fstab"
    mountinfo.write_text("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    fstab.write_text("UUID=1 /srv ext4 noatime\n")
    loop, table, seen = HandLoop(), Table(), []
    told: List[str] = []

    def after(tables: Tables) -> None:
        seen.append(tables)

    source = MountSource(Mounts(wanted("mounted"), {}, False), loop, lambda facts: told.extend(table.take(facts)),  # type: ignore[arg-type]
                         after, str(mountinfo), str(tmp_path / "none"), str(fstab))
    mountinfo.write_text("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:2 / /srv rw - ext4 /dev/sdb1 rw\n")
    loop.turn_until(None, lambda: bool(told))
    assert told == ["mounted DEVICE=UUID=1 MOUNTPOINT=/srv TYPE=ext4 OPTIONS=noatime"]
    assert len(seen) == 2
    source.close()


def test_b251_the_fstab_entry_of_a_swap_is_found_by_its_device(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mountinfo, swaps, fstab, link = (tmp_path / name for name in ("mountinfo", "swaps", "fstab", "link"))
    mountinfo.write_text("")
    swaps.write_text("Filename\n/dev/null partition 1 0 -2\n/swapfile file 1 0 -3\n")
    link.symlink_to("/dev/null")
    fstab.write_text(f"{link} none swap pri=3\n/swapfile swap swap sw\n")
    told: List[str] = []
    source = MountSource(Mounts(wanted("mounted TYPE=swap"), {}, True), HandLoop(),  # type: ignore[arg-type]
                         lambda facts: told.extend(Table().take(facts)), mountinfo=str(mountinfo), swaps=str(swaps), fstab=str(fstab))
    assert told == [f"mounted DEVICE={link} MOUNTPOINT=none TYPE=swap OPTIONS=pri=3",
                    "mounted DEVICE=/swapfile MOUNTPOINT=none TYPE=swap OPTIONS=sw"]
    source.close()

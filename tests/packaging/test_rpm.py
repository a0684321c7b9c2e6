"""The RPM package: what is in it, and its scriptlets on a host with systemd (B207, C149)."""
from __future__ import annotations

import os
import pathlib
import subprocess
from typing import List

import pytest

from tests.packaging.box import ROOT, Box, needs, needs_box

pytestmark = [pytest.mark.package, needs("rpmbuild", "rpm")]


def build(place: pathlib.Path, *arguments: str) -> pathlib.Path:
    command = ["make", "-s", "--no-print-directory", "rpm", f"ARGS={' '.join(arguments)}"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          env={**os.environ, "BUILDDIR": str(place), "DISTDIR": str(place)}, text=True, timeout=300, check=True)
    return pathlib.Path(done.stdout.split()[-1])


def query(package: pathlib.Path, *arguments: str) -> List[str]:
    command = ["rpm", "-qp", *arguments, str(package)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return build(tmp_path_factory.mktemp("rpm"))


def test_c149_the_files(package: pathlib.Path) -> None:
    files = set(query(package, "--list"))
    assert {"/usr/bin/initctl", "/usr/sbin/upstart-compat", "/usr/lib/systemd/system/upstart-compat.service",
            "/usr/lib/upstart-compat/compat/backends/upstart-compat-launcher", "/usr/share/man/man8/initctl.8",
            "/usr/share/dbus-1/system.d/com.ubuntu.Upstart.conf"} <= {path.removesuffix(".gz") for path in files}
    assert not {"/sbin/initctl", "/usr/sbin/initctl", "/usr/bin/start", "/usr/sbin/start"} & files
    assert query(package, "--configfiles") == ["/etc/logrotate.d/upstart-compat", "/etc/upstart-compat/daemon.conf"]
    assert {"python3 >= 3.9", "python3-dbus >= 1.2.16", "python3-inotify"} <= set(query(package, "--requires"))


def test_c149_no_initctl_on_the_path_where_sbin_is_bin(tmp_path: pathlib.Path) -> None:
    """Fedora 42 and later: /usr/bin/initctl would be /sbin/initctl."""
    files = query(build(tmp_path, "--define '_sbindir /usr/bin'"), "--list")
    assert "/usr/bin/upstart-compat" in files
    assert "/usr/bin/initctl" not in files
    assert "/usr/lib/upstart-compat/bin/initctl" in files


def test_pyinotify_can_be_bundled(tmp_path: pathlib.Path) -> None:
    built = build(tmp_path, "--with bundled_pyinotify")
    assert "/usr/lib/upstart-compat/pyinotify.py" in query(built, "--list")
    assert "python3-inotify" not in query(built, "--requires")


@needs_box
@needs("systemctl", "unshare")
def test_b207_the_life_of_the_package(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with Box(tmp_path, package.parent) as box:
        # Where rpm is a guest, it cannot know that what the package needs is there. Debian's wants to hear that we know.
        rpm = "rpm --force-debian --nodeps" if "--force-debian" in box.run("rpm --help") else "rpm --nodeps"
        before = box.files()
        assert box.run(f"{rpm} --install {package}") == ""
        assert box.try_run("systemctl is-enabled upstart-compat").stdout == "disabled\n"
        box.fails("ls -d /sbin/initctl")
        box.run("mkdir -p /etc/init && echo 'exec sleep 4711' > /etc/init/web.conf")
        box.run("systemctl enable --now upstart-compat")
        box.run("upstart-compat links --enable")
        assert box.run("start web").startswith("web start/running, process ")
        status = box.run("initctl status web")

        assert box.run(f"{rpm} --upgrade --replacepkgs {package}") == ""
        assert "--restart" in box.run("tr '\\0' ' ' < /proc/$(systemctl show -P MainPID upstart-compat)/cmdline")
        assert box.run("status web") == status
        assert box.run("ls /etc/systemd/system/multi-user.target.wants/upstart-compat.service")

        assert box.run(f"{rpm} --erase upstart-compat") == ""
        box.fails(f"kill -0 {status.split()[-1]}")
        box.fails("ls /etc/systemd/system/multi-user.target.wants/upstart-compat.service")
        assert "LoadState=not-found\n" in box.run("systemctl show upstart-compat.service")
        # The last one belongs to the package "filesystem" where rpm is at home.
        assert box.files() - before == {"/etc/init", "/etc/init/web.conf", "/usr/share/licenses"}

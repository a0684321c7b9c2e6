"""The scripts for OpenRC and SysV init: the host waits for the jobs, and nothing keeps it from going on (B264, B265)."""
from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Iterator, Tuple

import pytest

from tests.daemon.running import ROOT, eventually

_SYSV = ROOT / "packaging" / "sysv" / "upstart-compat"
_OPENRC = ROOT / "packaging" / "openrc" / "upstart-compat"


class Script:
    """The script of SysV init with programs that note what they are asked for."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.log = directory / "log"
        self.pid = directory / "pid"
        for name, text in (("daemon", f'echo "daemon $*" >> {self.log}\nexec sleep 1000\n'),
                           ("bridge", f'echo "bridge $*" >> {self.log}\n'),
                           ("telinit", f'echo "telinit $*" >> {self.log}\n[ ! -e {directory}/refuses ]\n')):
            path = directory / name
            path.write_text("#!/bin/sh\n" + text)
            path.chmod(0o755)
        self.script = directory / "script"
        text = _SYSV.read_text().replace("/usr/lib/upstart-compat/bin/upstart-host-bridge", str(directory / "bridge"))
        for path, name in (("/usr/sbin/upstart-compat", "daemon"), ("/usr/lib/upstart-compat/bin/telinit", "telinit"),
                           ("/run/upstart-compat.pid", "pid")):
            text = text.replace(path, str(directory / name))
        self.script.write_text(text)

    def run(self, *words: str, level: str = "") -> Tuple[int, str]:
        environment = {**os.environ, "RUNLEVEL": level}
        done = subprocess.run(["sh", str(self.script), *words], env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def script(tmp_path: pathlib.Path) -> Iterator[Script]:
    script = Script(tmp_path)
    yield script
    script.run("stop")


def test_b265_the_script_of_sysv_init(script: Script) -> None:
    assert script.run("status") == (3, "upstart-compat is not running\n")
    assert script.run("stop") == (0, "")
    for _ in range(2):
        assert script.run("start") == (0, "")
        eventually(lambda: script.log.exists() and script.said() == "daemon --host=sysvinit\n", lambda: "not started once")
    assert script.run("status") == (0, "upstart-compat is running\n")
    pid = int(script.pid.read_text())
    assert script.run("stop", level="2") == (0, "")
    assert not os.path.exists(f"/proc/{pid}") and script.said().count("bridge") == 0
    assert script.run("nonsense")[0] == script.run()[0] == 2


def test_b237_b265_a_restart_leaves_the_jobs_alone_where_that_can_be(script: Script, tmp_path: pathlib.Path) -> None:
    script.run("start")
    eventually(lambda: script.log.exists(), lambda: "not started")
    pid = script.pid.read_text()
    assert script.run("restart") == (0, "")
    assert script.said() == "daemon --host=sysvinit\ntelinit u\n" and script.pid.read_text() == pid
    (tmp_path / "refuses").touch()
    assert script.run("restart") == (0, "")
    eventually(lambda: script.said().count("daemon") == 2, script.said)
    assert script.pid.read_text() != pid
    script.run("stop")
    assert script.run("restart") == (0, "")
    eventually(lambda: script.said().count("daemon") == 3, script.said)
    assert script.said().count("telinit") == 2, "without a daemon nobody is asked"


@pytest.mark.parametrize("level", ["0", "1", "6"])
def test_b219_b265_the_end_of_the_host_waits_for_the_jobs(script: Script, level: str) -> None:
    script.run("start")
    eventually(lambda: script.log.exists(), lambda: "not started")
    assert script.run("stop", level=level) == (0, "")
    assert script.said() == f"daemon --host=sysvinit\nbridge --shutdown {level}\n"
    assert script.run("status")[0] == 3


@pytest.mark.parametrize(("runlevel", "reboot", "said"), [
    ("shutdown", "YES", "--shutdown 6\n"), ("shutdown", "", "--shutdown 0\n"), ("single", "", "--shutdown 1\n"), ("default", "", "")])
def test_b219_b264_the_script_of_openrc(tmp_path: pathlib.Path, runlevel: str, reboot: str, said: str) -> None:
    bridge = tmp_path / "bridge"
    bridge.write_text("#!/bin/sh\necho \"$*\"\nexit 1\n")
    bridge.chmod(0o755)
    text = _OPENRC.read_text().replace("/usr/lib/upstart-compat/bin/upstart-host-bridge", str(bridge))
    done = subprocess.run(["sh", "-euc", text + "\nstop_pre\n"], env={**os.environ, "RC_RUNLEVEL": runlevel, "RC_REBOOT": reboot},
                          capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (said, "")

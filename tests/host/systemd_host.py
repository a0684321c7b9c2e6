"""A host with systemd that boots with the daemon and the bridge, in a throw-away container (tests/systemd-box)."""
from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import time
from typing import Callable, Dict, List, Mapping, Optional

from tests import systemd_box
from tests.daemon.running import ROOT, eventually
from tests.systemd_box import SystemdBox

_UNITS = "/usr/lib/systemd/system"
_PATIENCE = 90.0
_PACKAGED = ROOT / "packaging" / "systemd"
_GENERATOR = ROOT / "packaging" / "systemd-generators" / "upstart-compat-hooks"
_STAND_IN = "/usr/lib/upstart-compat/bin/upstart-compat"
_BRIDGE = "/usr/lib/upstart-compat/bin/upstart-host-bridge"
_DAEMON = """\
[Unit]
After=dbus.service systemd-journald.service local-fs.target
Wants=network-online.target
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart={python} -m compat.daemon --host=systemd -v --confdir={conf} --logdir={logs}
Environment=PYTHONPATH={root}
WorkingDirectory=/
KillMode=process
Restart=on-failure
RestartSec=100ms
TimeoutStopSec=90
FileDescriptorStoreMax=4096
"""
#: It is stopped after all that is ordinary, and then there is time to write the last lines.
_KEEPER = """\
[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target basic.target upstart-compat.service upstart-shutdown.service
[Service]
ExecStart=sh -c 'exec journalctl -f -n 1 -o $FORM > {logs}/journal'
EnvironmentFile={logs}/form
ExecStop=sleep 0.5
"""


def possible() -> bool:
    """Whether this is root on a machine with what a box needs."""
    return not systemd_box.missing()


class SystemdHost:
    """``units``: more unit files, wanted by multi-user.target. ``wanted``: the target that the host boots to.

    ``failsafe``: B208's two minutes, in seconds.
    """

    def __init__(self, directory: pathlib.Path, jobs: Mapping[str, str], units: Optional[Mapping[str, str]] = None,
                 configuration: str = "", wanted: str = "multi-user.target", profile: str = "ubuntu",
                 failsafe: Optional[float] = None) -> None:
        self.directory = directory
        self.conf, self.logs, self.units = directory / "conf", directory / "log", directory / "units"
        for each in (self.conf, self.logs, self.units, directory / "etc"):
            each.mkdir(parents=True)
        for name, text in jobs.items():
            (self.conf / f"{name}.conf").write_text(text + "\n", "utf-8", "surrogateescape")
        (directory / "etc" / "host.conf").write_text(configuration + f"\nprofile={profile}\n")
        texts: Dict[str, str] = {"upstart-compat.service": _DAEMON.format(python=sys.executable, conf=self.conf, logs=self.logs, root=ROOT)}
        for name in ("upstart-host-bridge.service", "upstart-shutdown.service"):
            texts[name] = (_PACKAGED / name).read_text()
        texts["keep-journal.service"] = _KEEPER.format(logs=self.logs)
        texts["upstart.slice"] = (_PACKAGED / "upstart.slice").read_text()
        texts.update(units or {})
        binds: List[str] = []
        for name, text in texts.items():
            (self.units / name).write_text(text)
            binds += ["-r", f"{self.units / name}:{_UNITS}/{name}"]
        services = " ".join(["upstart-compat.service", *(units or {})])
        for name, text in (("multi-user.target", f"[Unit]\nWants={services}\n"), ("systemd-box.target", f"[Unit]\nWants={wanted}\n"),
                           ("upstart-compat.service", "[Unit]\nWants=upstart-host-bridge.service upstart-shutdown.service\n")):
            drop_in = self.units / f"{name}.d"
            drop_in.mkdir()
            (drop_in / "test.conf").write_text(text)
            binds += ["-r", f"{drop_in}:{_UNITS}/{name}.d"]
        # A folder of the host's, so that what is written last outlives the box.
        bridge = directory / "bridge"
        program = "-m compat.bridges.host"
        if failsafe is not None:
            program = f"-c 'import sys; from compat.bridges.host import boot, main; boot.FAILSAFE = {failsafe}; sys.exit(main.main())'"
        bridge.write_text(f"#!/bin/sh\ncd / && PYTHONPATH={ROOT} exec {sys.executable} {program} \"$@\"\n")
        bridge.chmod(0o755)
        daemon = directory / "daemon"
        daemon.write_text(f"#!/bin/sh\ncd / && PYTHONPATH={ROOT} exec {sys.executable} -m compat.daemon -v --confdir={self.conf} "
                          f"--logdir={self.logs} \"$@\"\n")
        daemon.chmod(0o755)
        binds += ["-r", f"{daemon}:{_STAND_IN}", "-r", f"{bridge}:{_BRIDGE}"]
        binds += ["-r", f"{_GENERATOR}:/usr/lib/systemd/system-generators/{_GENERATOR.name}"]
        for path in (self.conf, self.logs):
            binds += ["-b", str(path)]
        binds += ["-b", f"{directory / 'etc'}:/etc/upstart-compat", "-r", str(ROOT), "-r", sys.prefix, "-r", sys.base_prefix]
        self._box = SystemdBox("host", directory / "box")
        self._box.start(300, *binds, limit=_PATIENCE)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """A command inside, as root."""
        return self._box.call("exec", "--", *command, limit=_PATIENCE)

    def shell(self, text: str) -> str:
        """A shell command that succeeds; its output."""
        done = self.run("sh", "-c", text)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def bridge_command(self, *options: str) -> str:
        """The bridge, as a shell command."""
        return " ".join(("cd / && PYTHONPATH=" + str(ROOT), sys.executable, "-m compat.bridges.host", *options))

    def initctl(self, *arguments: str) -> str:
        """The client's output."""
        done = self.run("env", f"PYTHONPATH={ROOT}", "UPSTART_SESSION=", sys.executable, "-m", "compat.initctl", *arguments)
        return done.stdout + done.stderr

    def client(self, name: str, *arguments: str) -> str:
        """The client by another name; its output."""
        code = f"import sys; sys.argv[0] = {name!r}; from compat.initctl import run; run()"
        done = self.run("env", f"PYTHONPATH={ROOT}", "UPSTART_SESSION=", sys.executable, "-c", code, *arguments)
        return done.stdout + done.stderr

    def status(self, job: str) -> str:
        return self.initctl("status", job).strip()

    def wait_status(self, job: str, beginning: str) -> None:
        self.eventually(lambda: self.status(job).startswith(beginning), f"{job} {beginning}")

    def eventually(self, condition: Callable[[], object], what: str = "") -> None:
        eventually(condition, lambda: f"{what}: {self.initctl('list')} {self.journal()[-6000:]}", 40.0)

    def journal(self) -> str:
        """What daemon and bridge have printed in this boot."""
        text = self.run("journalctl", "-b", "--no-pager", "-o", "cat", "-u", "upstart-compat", "-u", "upstart-host-bridge", "-u",
                        "upstart-shutdown").stdout
        # Each look of a test makes one of these.
        return text.replace("Connection from private client\n", "")

    def keep_journal(self, form: str = "cat") -> pathlib.Path:
        """Where everything stands that anybody prints from now on, to the end of the host; ``form`` as of journalctl."""
        kept = self.logs / "journal"
        (self.logs / "form").write_text(f"FORM={form}\n")
        self.shell(f"systemctl start keep-journal; until test -s {kept}; do sleep 0.05; done")
        return kept

    def events(self) -> List[str]:
        """The names of the events that were handled, in order."""
        return re.findall(r"^(?:<\d>)?Handling (.*) event$", self.journal(), re.MULTILINE)

    def log(self, job: str) -> str:
        """What a job has printed; after the end of the box too."""
        try:
            return (self.logs / f"{job}.log").read_text().replace("\r\n", "\n")
        except FileNotFoundError:
            return ""

    def wait_log(self, job: str, text: str) -> None:
        self.eventually(lambda: text in self.log(job), f"{text!r} in {self.log(job)!r}")

    def main_pid(self, unit: str) -> int:
        return int(self.run("systemctl", "show", "-P", "MainPID", unit).stdout)

    def go_down(self, how: str) -> None:
        """``poweroff``, ``reboot`` and the like, and wait for the end."""
        # What systemctl does where there is no logind to ask.
        self.run("systemctl", "--no-block", "--job-mode=replace-irreversibly", "start", f"{how}.target")
        self.wait_end()

    def wait_end(self) -> None:
        """Until the host is down."""
        began = time.monotonic()
        while self._box.call("pid", limit=_PATIENCE).returncode == 0:
            assert time.monotonic() - began < _PATIENCE
            time.sleep(0.05)

    def destroy(self) -> None:
        self._box.stop(_PATIENCE)

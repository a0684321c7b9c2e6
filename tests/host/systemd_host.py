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
_PYTHON = "/usr/bin/python3"
_LIBRARY = "usr/lib/upstart-compat"
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


def daemon_unit(directory: pathlib.Path) -> str:
    """The unit of the daemon of a host that has this directory."""
    return _DAEMON.format(python=sys.executable, conf=directory / "conf", logs=directory / "log", root=ROOT)


def packaged_unit(name: str) -> str:
    """A unit as packages have it."""
    return (_PACKAGED / name).read_text()


def install(directory: pathlib.Path) -> None:
    """Put into a directory what a package puts into a host, for the distribution's own interpreter."""
    subprocess.run([str(ROOT / "packaging" / "install-files"), str(directory)], stdin=subprocess.DEVNULL, check=True)
    # As the scripts of packages do.
    subprocess.run([_PYTHON, "-m", "compileall", "-q", str(directory / _LIBRARY)], stdin=subprocess.DEVNULL, check=True)


def installable() -> bool:
    """Whether the distribution's interpreter has what the package depends on."""
    return subprocess.run([_PYTHON, "-I", "-c", "import dbus, pyinotify, pystemd"], capture_output=True, check=False).returncode == 0


def _parts(installed: pathlib.Path) -> List[pathlib.Path]:
    """What is in such a directory: the library as one, and every other file that is no document."""
    library = installed / _LIBRARY
    others = (path for path in installed.rglob("*") if path.is_file() and library not in path.parents)
    return [library, *sorted(path for path in others if not {"man", "bash-completion", "etc"} & set(path.relative_to(installed).parts))]


class SystemdHost:
    """``units``: more unit files, wanted by multi-user.target. ``wanted``: the target that the host boots to.

    ``failsafe``: B208's two minutes, in seconds. ``installed``: a directory with all that a package has, in its place (``install``);
    by default what is in the checkout runs, with this interpreter.
    """

    def __init__(self, directory: pathlib.Path, jobs: Mapping[str, str], units: Optional[Mapping[str, str]] = None,
                 configuration: str = "", wanted: str = "multi-user.target", profile: str = "ubuntu",
                 failsafe: Optional[float] = None, installed: Optional[pathlib.Path] = None) -> None:
        self.directory = directory
        self.conf, self.logs, self.units = directory / "conf", directory / "log", directory / "units"
        for each in (self.conf, self.logs, self.units, directory / "etc"):
            each.mkdir(parents=True)
        for name, text in jobs.items():
            (self.conf / f"{name}.conf").write_text(text + "\n", "utf-8", "surrogateescape")
        (directory / "etc" / "host.conf").write_text(configuration + f"\nprofile={profile}\n")
        self._initctl = ["initctl"] if installed else [
            "env", f"PYTHONPATH={ROOT}", "UPSTART_SESSION=", sys.executable, "-m", "compat.initctl"]
        texts: Dict[str, str] = {"keep-journal.service": _KEEPER.format(logs=self.logs)}
        drop_ins = {
            "multi-user.target": f"[Unit]\nWants={' '.join(('upstart-compat.service', *(units or {})))}\n",
            "systemd-box.target": f"[Unit]\nWants={wanted}\n"}
        if installed is None:
            binds = self._program_of_the_checkout(failsafe)
            texts["upstart-compat.service"] = daemon_unit(directory)
            for name in ("upstart-host-bridge.service", "upstart-shutdown.service", "upstart.slice"):
                texts[name] = packaged_unit(name)
            drop_ins["upstart-compat.service"] = "[Unit]\nWants=upstart-host-bridge.service upstart-shutdown.service\n"
        else:
            binds = ["-b", f"{self.conf}:/etc/init", "-b", f"{self.logs}:/var/log/upstart"]
            for path in _parts(installed):
                binds += ["-r", f"{path}:/{path.relative_to(installed)}"]
            (directory / "etc" / "daemon.conf").write_text('OPTIONS="--verbose"\n')
        texts.update(units or {})
        for name, text in texts.items():
            (self.units / name).write_text(text)
            binds += ["-r", f"{self.units / name}:{_UNITS}/{name}"]
        for name, text in drop_ins.items():
            drop_in = self.units / f"{name}.d"
            drop_in.mkdir()
            (drop_in / "test.conf").write_text(text)
            binds += ["-r", f"{drop_in}:{_UNITS}/{name}.d"]
        # Folders of the host's, so that what is written last outlives the box.
        for path in (self.conf, self.logs):
            binds += ["-b", str(path)]
        binds += ["-b", f"{directory / 'etc'}:/etc/upstart-compat"]
        self._box = SystemdBox("host", directory / "box")
        self._box.start(300, *binds, limit=_PATIENCE)

    def _program_of_the_checkout(self, failsafe: Optional[float]) -> List[str]:
        """What runs the checkout where a package has its programs; as options of the box."""
        bridge = self.directory / "bridge"
        program = "-m compat.bridges.host"
        if failsafe is not None:
            program = f"-c 'import sys; from compat.bridges.host import boot, main; boot.FAILSAFE = {failsafe}; sys.exit(main.main())'"
        bridge.write_text(f"#!/bin/sh\ncd / && PYTHONPATH={ROOT} exec {sys.executable} {program} \"$@\"\n")
        bridge.chmod(0o755)
        daemon = self.directory / "daemon"
        daemon.write_text(f"#!/bin/sh\ncd / && PYTHONPATH={ROOT} exec {sys.executable} -m compat.daemon -v --confdir={self.conf} "
                          f"--logdir={self.logs} \"$@\"\n")
        daemon.chmod(0o755)
        # Where the interpreter is the distribution's, it is there, and over all of /usr nothing else could be laid.
        shown = [str(ROOT), *(each for each in (sys.prefix, sys.base_prefix) if each != "/usr")]
        return [*(word for each in shown for word in ("-r", each)), "-r", f"{daemon}:{_STAND_IN}", "-r", f"{bridge}:{_BRIDGE}",
                "-r", f"{_GENERATOR}:/usr/lib/systemd/system-generators/{_GENERATOR.name}"]

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
        done = self.run(*self._initctl, *arguments)
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

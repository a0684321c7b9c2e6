"""Runs the tests of this folder inside a box: the machine's own systemd as PID 1 of a throw-away container.

Outside, nothing of this folder is executed. One pytest in a box is given the selected node ids of one file, and
writes each report, as pytest-xdist does, to a pipe; here they are read as the turn of their items comes. So options,
results, tracebacks and captured output are what they would be if the tests had run here.
"""
from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import select
import subprocess
import sys
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence

import pytest

from tests import systemd_box
from tests.systemd_box import ROOT, SystemdBox

#: In the environment of what runs in the box: the number of the descriptor that reports go to.
MARKER = "UPSTART_COMPAT_BOX"
#: Seconds that a test may take before the box is taken for dead.
_PATIENCE = 300.0
#: Seconds after which a box ends that nobody has ended.
_EXPIRY = "3000"


def inside() -> bool:
    """Whether this process runs in a box."""
    return MARKER in os.environ


def missing() -> str:
    """Why there can be no box here; "" if there can."""
    if importlib.util.find_spec("pystemd") is None:
        return "needs pystemd (make setup brings it where libsystemd has its headers)"
    return systemd_box.missing()


def _places() -> List[str]:
    """Options that bring what the tests need into the box, where /tmp is empty and only the root file system is seen."""
    options: List[str] = []
    bound: List[pathlib.Path] = []
    for flag, name in (("-b", str(ROOT)), ("-r", sys.prefix), ("-r", sys.base_prefix)):
        path = pathlib.Path(name).resolve()
        if any(path == each or each in path.parents for each in bound) or (flag == "-r" and path == pathlib.Path("/usr")):
            continue
        bound.append(path)
        options += [flag, str(path)]
    return options


class Box:
    """One run of pytest in a box, begun when the first of its reports is asked for."""

    def __init__(self, config: pytest.Config, nodes: Sequence[str]) -> None:
        self._config = config
        self._nodes = nodes
        self._box = SystemdBox("upstart-compat")
        self._process: Optional["subprocess.Popen[bytes]"] = None
        self._output = os.fdopen(os.memfd_create("box"), "w+b")
        self._reader = -1
        self._buffer = b""
        #: why nothing more will come
        self.dead = ""

    def _begin(self) -> None:
        self._reader, writer = os.pipe()
        environment = {name: value for name, value in self._box.environment.items() if not name.startswith(("PYTEST_", "UPSTART_"))}
        environment[MARKER] = str(writer)
        tests = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *self._options(), *self._nodes]
        # The box ends with the tests, even if nobody waits for them any more.
        inside = ["sh", "-c", '"$@"; systemctl poweroff --force --force', "sh", *tests]
        start = self._box.command("start", *_places(), "-t", _EXPIRY)
        try:
            if subprocess.run(start, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, check=False).returncode:
                self.dead = "the box did not start"
                return
            self._process = subprocess.Popen(
                self._box.command("exec", "-C", str(ROOT), "--", *inside), stdin=subprocess.DEVNULL, stdout=self._output,
                stderr=subprocess.STDOUT, pass_fds=(writer,), env=environment)
        finally:
            os.close(writer)

    def _options(self) -> Iterator[str]:
        """What decides how a failure is shown, and how long Hypothesis looks."""
        option = self._config.option
        yield from ["--verbose"] * option.verbose
        yield f"--tb={option.tbstyle}"
        if option.showlocals:
            yield "--showlocals"
        profile = self._config.getoption("--hypothesis-profile", None)
        if profile:
            yield f"--hypothesis-profile={profile}"

    def reports(self, node: str) -> Iterator[pytest.TestReport]:
        """What became of one test; its set-up, itself and its clean-up."""
        if self._reader < 0 and not self.dead:
            self._begin()
        while True:
            line = self._line()
            if not line:
                raise EOFError
            said = json.loads(line)
            if said.get("finished") == node:
                return
            if "report" in said and said["report"]["nodeid"] == node:
                report = self._config.hook.pytest_report_from_serializable(config=self._config, data=said["report"])
                if isinstance(report.longrepr, list):
                    # Where and why a test was skipped: JSON has no tuples.
                    report.longrepr = tuple(report.longrepr)
                yield report

    def _line(self) -> bytes:
        deadline = time.monotonic() + _PATIENCE
        while b"\n" not in self._buffer and not self.dead:
            if not select.select([self._reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.dead = f"nothing from the box for {_PATIENCE:.0f} s"
            else:
                data = os.read(self._reader, 1 << 16)
                self._buffer += data
                if not data:
                    self.dead = "the run in the box is over"
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def output(self) -> str:
        """The end of what the box and pytest in it printed."""
        self._output.seek(0)
        return self._output.read().decode("utf-8", "replace")[-6000:]

    def end(self) -> None:
        """Stop the box, whatever goes on in it."""
        if self._reader < 0:
            return
        os.close(self._reader)
        self._reader = -1
        self._box.stop(_PATIENCE)
        if self._process is not None:
            self._process.wait()


class Reporter:
    """In the box: writes every report to the pipe."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._pipe = os.fdopen(int(os.environ[MARKER]), "w", encoding="utf-8")
        # Daemons that the tests start would keep it open.
        os.set_inheritable(self._pipe.fileno(), False)

    def _say(self, **said: Any) -> None:
        try:
            self._pipe.write(json.dumps(said) + "\n")
            self._pipe.flush()
        except BrokenPipeError:
            pytest.exit("nobody waits for the results", returncode=1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data: Dict[str, Any] = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._say(report=data)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._say(finished=nodeid)

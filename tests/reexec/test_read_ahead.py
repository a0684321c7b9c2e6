"""Job files are parsed by the trial, so that the pause is short (D183, config/read_ahead.py)."""
from __future__ import annotations

import pathlib
import sys

from compat.config.inotify import Inotify
from tests.daemon.conftest import Launch
from tests.daemon.running import ROOT
from tests.reexec.re_executing import re_execute

_OPEN = 0x20
_SLEEP = "exec sleep 100000\n"


def program(place: pathlib.Path, in_the_trial: str) -> pathlib.Path:
    """The daemon's program; a new file counts as one that has not changed for long, and the trial does something of its own."""
    path = place / "program"
    path.write_text(f"#!{sys.executable}\nimport atexit, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                    f"from compat.config import read_ahead\nread_ahead._TICK = -10 ** 18\nif '--version' in sys.argv:\n    {in_the_trial}\n"
                    "from compat.daemon import main\nsys.exit(main())\n")
    path.chmod(0o755)
    return path


def test_d183_the_trial_reads_the_files_and_the_new_run_does_not(launch: Launch, place: pathlib.Path) -> None:
    daemon = launch({"a.conf": _SLEEP, "idle.conf": "start on never\n" + _SLEEP}, python=(str(program(place, "pass")),))
    daemon.start("a")
    opened = Inotify()
    opened.add(bytes(daemon.conf), _OPEN)
    re_execute(daemon)
    assert sorted(event.name for event in opened.read() if event.name) == [b"a.conf", b"idle.conf"]
    opened.close()
    assert daemon.client.get(daemon.job("idle"), "com.ubuntu.Upstart0_6.Job", "start_on") == [["never"]]


def test_d183_a_file_that_is_changed_after_the_trial_has_read_it(launch: Launch, place: pathlib.Path) -> None:
    changes = place / "changes"
    changing = f"atexit.register(lambda: exec(open({str(changes)!r}).read()))"
    daemon = launch({"a.conf": "start on never\n" + _SLEEP, "gone.conf": _SLEEP}, python=(str(program(place, changing)),))
    changed, gone, new = (str(daemon.conf / f"{name}.conf") for name in ("a", "gone", "new"))
    changes.write_text(f"import os\nopen({changed!r}, 'w').write('start on other\\nexec sleep 100\\n')\nos.unlink({gone!r})\n"
                       f"open({new!r}, 'w').write('exec true\\n')\n")
    re_execute(daemon)
    assert daemon.client.get(daemon.job("a"), "com.ubuntu.Upstart0_6.Job", "start_on") == [["other"]]
    assert daemon.knows("new") and not daemon.knows("gone")

"""The bridge as a child of the daemon (B257, B274)."""
from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from typing import List

from compat.host.bridge_process import COMMAND, BridgeProcess
from compat.loop import MainLoop
from tests.daemon.test_loop import in_a_process


def test_b257_it_is_started_again_with_growing_pauses(tmp_path: pathlib.Path) -> None:
    note = tmp_path / "note"
    command = (sys.executable, "-c", f"open({str(note)!r}, 'a').write('x'); raise SystemExit(1)")

    @in_a_process
    def run() -> None:
        loop = MainLoop(lambda what, error: os._exit(3))
        pauses: List[float] = []
        log: List[str] = []

        class Loop:
            quit, add_reader, remove_reader = loop.quit, loop.add_reader, loop.remove_reader

            def later(self, seconds: float, callback: object) -> object:
                pauses.append(seconds)
                if len(pauses) == 4:
                    # Not a fifth time.
                    loop.quit()
                    return None
                return loop.later(0.0, callback)  # type: ignore[arg-type]

        BridgeProcess({}, Loop(), lambda priority, text: log.append(text), command).start()  # type: ignore[arg-type]
        loop.run()
        assert pauses == [0.1, 0.2, 0.4, 0.8]
        assert log.count("The host bridge has ended, starting it again") == 4

    run()
    assert note.read_text() == "xxxx"


def test_b257_the_command_finds_the_package_by_itself() -> None:
    done = subprocess.run([*COMMAND[:-1], "--version"], env={}, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "upstart-host-bridge (upstart 1.13.2)\n", "")


def test_b257_it_ends_with_the_daemon(tmp_path: pathlib.Path) -> None:
    note = tmp_path / "note"
    command = (sys.executable, "-c", f"import os, signal; open({str(note)!r}, 'w').write(str(os.getpid())); signal.pause()")

    @in_a_process
    def run() -> None:
        loop = MainLoop(lambda what, error: os._exit(3))
        process = BridgeProcess({}, loop, lambda priority, text: None, command)
        process.start()

        def look() -> None:
            if note.exists() and note.read_text():
                process.stop()
                loop.quit()
            else:
                loop.later(0.01, look)

        look()
        loop.run()
        assert os.waitpid(int(note.read_text()), 0)[1] == signal.SIGTERM

    run()



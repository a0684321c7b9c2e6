"""The bridge as a child of the daemon (B257, B274)."""
from __future__ import annotations

import os
import pathlib
import signal
from typing import List

from compat.host.bridge_process import BridgeProcess
from compat.loop import MainLoop
from tests.daemon.test_loop import in_a_process


def _script(directory: pathlib.Path, text: str) -> "dict[str, str]":
    """An environment in which the bridge's module is this one."""
    package = directory / "compat" / "bridges" / "host"
    package.mkdir(parents=True)
    for each in (package, package.parent, package.parent.parent):
        (each / "__init__.py").touch()
    (package / "__main__.py").write_text(text)
    return {"PYTHONPATH": str(directory), "PATH": os.environ["PATH"]}


def test_b257_it_is_started_again_with_growing_pauses(tmp_path: pathlib.Path) -> None:
    note = tmp_path / "note"
    environment = _script(tmp_path / "p", f"import os, sys; open({str(note)!r}, 'a').write(f'{{sys.argv[1:]}}\\n'); os._exit(1)\n")

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
                    loop.quit()
                return loop.later(0.0, callback)  # type: ignore[arg-type]

        BridgeProcess(environment, Loop(), lambda priority, text: log.append(text)).start()  # type: ignore[arg-type]
        loop.run()
        assert pauses == [0.1, 0.2, 0.4, 0.8]
        assert log.count("The host bridge has ended, starting it again") == 4

    run()
    assert note.read_text().splitlines() == ["['--child']"] * 4


def test_b257_it_ends_with_the_daemon(tmp_path: pathlib.Path) -> None:
    note = tmp_path / "note"
    environment = _script(tmp_path / "p", f"import os, signal; open({str(note)!r}, 'w').write(str(os.getpid())); signal.pause()\n")

    @in_a_process
    def run() -> None:
        loop = MainLoop(lambda what, error: os._exit(3))
        process = BridgeProcess(environment, loop, lambda priority, text: None)
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



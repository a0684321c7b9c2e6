"""A job in each state with units of systemd, the daemon re-executed, and what is asked of the job afterwards (issue 5).

The cases are those of tests/reexec, with more for what is only here.
"""
from __future__ import annotations

import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.reexec import test_cases as cases
from tests.reexec.test_cases import PLACES, Place, Scene
from tests.systemd.upstart import Upstart

#: With a main process in a scope, which the daemon itself is the parent of.
_IN_A_SCOPE = "console output\n"
ALL_PLACES = {
    **PLACES,
    **{f"{name}-scope": PLACES[name]._replace(text=_IN_A_SCOPE + PLACES[name].text)
       for name in ("spawned-fork", "spawned-daemon", "spawned-stop", "running", "running-respawn", "killed")},
    "running-forked": Place("expect fork\nscript\nsleep 100000 &\nexit 0\nend script", "running"),
    "running-daemonized": Place("expect daemon\nrespawn\nscript\n(sleep 100000 & exit 0) &\nexit 0\nend script", "running"),
}


@pytest.fixture(scope="module")
def re_executed() -> Iterator[Scene]:
    directory = pathlib.Path(tempfile.mkdtemp(prefix="upstart-compat-"))
    directory.chmod(0o755)
    scene = Scene(directory, ALL_PLACES, Upstart)
    yield scene
    scene.daemon.destroy()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("place, action", [(place, action) for place in ALL_PLACES for action in cases.ACTIONS],
                         ids=lambda value: value.replace(" ", "-"))
def test_d230_d238_each_state_goes_on(re_executed: Scene, place: str, action: str) -> None:
    cases.test_d230_d238_each_state_goes_on(re_executed, place, action)

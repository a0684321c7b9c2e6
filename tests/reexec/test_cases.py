"""Every state that a job can be in when the daemon is re-executed, and what is asked of it afterwards (issue 5, D208-D215, D230-D238).

The cases are a product. One daemon has a job for each of them; it is re-executed once, and then each test goes on
with its own job. The same product is gone through on the simulated machine, where the result must be that of
a machine which was not re-executed.
"""
from __future__ import annotations

import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Dict, List, NamedTuple, Tuple

import pytest

from compat.engine.engine import Engine
from compat.testing import SimulatedMachine
from tests.daemon.running import Daemon, Failed, U, alive, eventually
from tests.reexec.re_executing import Waiting, re_execute
from tests.state.test_properties import again

WAIT = "while ! [ -e %s ]; do sleep 0.05; done"
SLEEP = "exec sleep 100000"


class Place(NamedTuple):
    """A state to be in: what the job file says (with %s for the file that lets it go on), whether the job is on its way down."""

    text: str
    state: str
    stopping: bool = False
    process: str = "main"


PLACES: Dict[str, Place] = {
    "pre-start": Place(f"pre-start script\n{WAIT}\nend script\n{SLEEP}", "pre-start", process="pre-start"),
    # Its program forks only when it is let go.
    "spawned-fork": Place(f"expect fork\nscript\n{WAIT}\nsleep 100000 &\nexit 0\nend script", "spawned"),
    "spawned-daemon": Place(f"expect daemon\nscript\n{WAIT}\n(sleep 100000 & exit 0) &\nexit 0\nend script", "spawned"),
    "spawned-stop": Place(f"expect stop\nscript\n{WAIT}\nkill -STOP $$\n{SLEEP}\nend script", "spawned"),
    "post-start": Place(f"post-start script\n{WAIT}\nend script\n{SLEEP}", "post-start", process="post-start"),
    "running": Place(SLEEP, "running"),
    "running-respawn": Place(f"respawn\n{SLEEP}", "running"),
    "pre-stop": Place(f"pre-stop script\n{WAIT}\nend script\n{SLEEP}", "pre-stop", True, "pre-stop"),
    # Up when it ignores the signal. Started again, it stays.
    "killed": Place(f"kill timeout 300\nscript\ntrap '' TERM\ntouch %s-ready\n[ -e %s ] && {SLEEP}\n{WAIT}\nend script\n"
                    "post-start script\nwhile ! [ -e %s-ready ]; do sleep 0.05; done\nend script", "killed", True),
    "post-stop": Place(f"post-stop script\n{WAIT}\nend script\n{SLEEP}", "post-stop", True, "post-stop"),
    # Another job holds its event.
    "starting": Place(SLEEP, "starting", process=""),
    "stopping": Place(SLEEP, "stopping", True, ""),
}
ACTIONS = ("left alone", "stopped", "restarted")
CASES: List[Tuple[str, str]] = [(place, action) for place in PLACES for action in ACTIONS]


def job_name(place: str, action: str) -> str:
    return f"{place}-{action.replace(' ', '-')}"


@pytest.fixture(scope="module")
def re_executed() -> Iterator["Scene"]:
    directory = pathlib.Path(tempfile.mkdtemp(prefix="upstart-compat-"))
    scene = Scene(directory, PLACES, Daemon)
    yield scene
    scene.daemon.destroy()
    shutil.rmtree(directory, ignore_errors=True)


class Scene:
    """A daemon, as ``make`` makes one, with a job in each state, re-executed."""

    def __init__(self, directory: pathlib.Path, places: Dict[str, Place], make: Callable[[pathlib.Path, Dict[str, str]], Daemon]) -> None:
        self.directory = directory
        self.places = places
        jobs: Dict[str, str] = {}
        cases = [(place, action) for place in places for action in ACTIONS]
        for place, action in cases:
            name = job_name(place, action)
            what = places[place]
            jobs[f"{name}.conf"] = what.text.replace("%s", str(self.let_go(name))) + "\n"
            if what.state in ("starting", "stopping"):
                jobs[f"hold-{name}.conf"] = f"task\nstart on {what.state} {name}\nscript\n{WAIT % self.let_go(name)}\nend script\n"
        self.daemon = make(directory, jobs)
        self.before: Dict[str, Tuple[Tuple[str, str], Dict[str, int]]] = {}
        for place, action in cases:
            self._bring(job_name(place, action), places[place])
        re_execute(self.daemon)

    def let_go(self, name: str) -> pathlib.Path:
        return self.directory / f"go-{name}"

    def processes(self, name: str) -> Dict[str, int]:
        client = self.daemon.client
        for path in client.call(self.daemon.job(name), U + ".Job", "GetAllInstances"):
            return {str(process): int(pid) for process, pid in client.get(path, U + ".Instance", "processes")}
        return {}

    def state(self, name: str) -> Tuple[str, str]:
        return self.daemon.instances(name).get("", ("", ""))

    def goals(self, name: str) -> int:
        """How often its goal has changed."""
        return self.daemon.output.count(f"{name} goal changed")

    def _bring(self, name: str, place: Place) -> None:
        self.daemon.start(name, wait=place.stopping)
        if place.stopping:
            self.daemon.stop(name, wait=False)
        eventually(lambda: self.state(name)[1] == place.state, lambda: f"{name}: {self.state(name)}{self.daemon.log()}")
        self.before[name] = self.state(name), self.processes(name)


@pytest.mark.parametrize("place, action", CASES, ids=lambda value: value.replace(" ", "-"))
def test_d230_d238_each_state_goes_on(re_executed: Scene, place: str, action: str) -> None:
    scene, what, name = re_executed, re_executed.places[place], job_name(place, action)
    assert (scene.state(name), scene.processes(name)) == scene.before[name], "D208, D209"
    main = scene.before[name][1].get("main", 0)
    caller, goals = None, scene.goals(name)
    client = scene.daemon.connect()
    try:
        if action == "stopped" and not what.stopping:
            caller = Waiting(client, scene.daemon.job(name), U + ".Job", "Stop", "asb", [], True)
        elif action == "stopped":
            with pytest.raises(Failed, match="Job has already been stopped"):
                scene.daemon.stop(name)
        elif action == "restarted" and not what.stopping:
            caller = Waiting(client, scene.daemon.job(name), U + ".Job", "Restart", "asb", [], True)
        elif action == "restarted":
            caller = Waiting(client, scene.daemon.job(name), U + ".Job", "Start", "asb", [], True)
        if caller is not None:
            eventually(lambda: scene.goals(name) > goals, "the daemon has read it")
        scene.let_go(name).touch()
        ends_running = action == "restarted" or (action == "left alone" and not what.stopping)
        goal_state = ("start", "running") if ends_running else ("", "")
        eventually(lambda: scene.state(name) == goal_state, lambda: f"{scene.state(name)}{scene.daemon.log()}")
        if caller is not None:
            caller.wait()
    finally:
        client.close()
    processes = scene.processes(name)
    if ends_running:
        assert alive(processes["main"])
    if not main or "fork" in what.text or "daemon" in what.text:
        return
    if not ends_running or (action == "restarted" and what.state in ("running", "stopping", "killed", "post-stop")):
        assert not alive(main)
    else:
        # A restart of what is not up yet changes nothing (E27), and a start ends a stop that got no further than pre-stop.
        assert processes == {"main": main}, "the same process"


# -- the same on the simulated machine -----------------------------------------------------------------------------------------


SIMULATED = {
    "security": ("apparmor load /x\nexec x", "security"), "pre-start": ("pre-start exec x\nexec x", "pre-start"),
    "spawned": ("exec x", "spawned"), "spawned-fork": ("expect fork\nexec x", "spawned"),
    "spawned-daemon": ("expect daemon\nexec x", "spawned"), "spawned-stop": ("expect stop\nexec x", "spawned"),
    "post-start": ("post-start exec x\nexec x", "post-start"), "running": ("exec x", "running"),
    "running-respawn": ("respawn\nexec x", "running"), "running-task": ("task\nexec x", "running"),
    "pre-stop": ("pre-stop exec x\nexec x", "pre-stop"), "stopping": ("exec x", "stopping"), "killed": ("exec x", "killed"),
    "post-stop": ("post-stop exec x\nexec x", "post-stop"), "starting": ("exec x", "starting"),
}
ENDS = ("exits", "fails", "is killed", "vanishes", "forks", "forks twice")


def play(place: str, action: str, end: str, re_executes: bool) -> SimulatedMachine:
    """One case from the start to the end, on a machine whose engine is replaced in the middle of it, or is not."""
    text, state = SIMULATED[place]
    machine = SimulatedMachine(apparmor=True)
    machine.define("a", text + "\nexport N\ninstance $N\nrespawn limit 2 5")
    machine.define("waits", "start on started a or stopped a\ntask\nexec true")
    if state in ("starting", "stopping"):
        machine.define("hold", f"task\nstart on {state} a\nexec x")
    machine.backend.confirms = place != "spawned"
    machine.start("a", "N=1")
    if state in ("pre-stop", "stopping", "killed", "post-stop"):
        if state == "killed":
            machine.process("a", instance="1").ignores = (15,)
        machine.stop("a", "N=1")
        machine.advance(2)
    assert state in machine.status("a", "1")
    if re_executes:
        machine.engine = machine.supervisor.engine = renewed(machine.engine)
    if action == "stopped":
        machine.stop("a", "N=1")
    elif action == "restarted":
        machine.restart("a", "N=1")
    elif action == "started":
        machine.start("a", "N=1")
    machine.backend.confirms = True
    machine.settle()
    for process in list(machine.backend.processes.values()):
        if process.alive and end in ("exits", "fails"):
            process.exit(0 if end == "exits" else 3)
        elif process.alive and end == "is killed":
            process.killed_by(9)
        elif process.alive and end == "vanishes":
            machine.backend.vanished.append(process.pid)
        elif process.alive:
            process.fork()
            if end == "forks twice":
                process.fork()
        machine.settle()
    machine.advance(20)
    machine.emit("over")
    return machine


def renewed(engine: Engine) -> Engine:
    return again(again(engine))


@pytest.mark.parametrize("place", SIMULATED)
@pytest.mark.parametrize("action", ["left alone", "stopped", "restarted", "started"])
@pytest.mark.parametrize("end", ENDS)
def test_d198_each_case_ends_as_without_a_re_exec(place: str, action: str, end: str) -> None:
    plain, replaced = play(place, action, end, False), play(place, action, end, True)
    assert replaced.transcript == plain.transcript
    assert replaced.announcements == plain.announcements
    assert replaced.status("a", "1") == plain.status("a", "1")

"""Real Ansible drives jobs: by systemctl, as on any host with systemd, and by initctl (C.5 Ansible, C.6)."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any, Iterator

import pytest

from tests.systemd.test_job_units import SERVICE, active, wait_active, wait_file
from tests.systemd.upstart import Upstart

pytest.importorskip("ansible", reason="needs ansible-core, which needs Python 3.10")

_BINARIES = pathlib.Path(sys.executable).parent
_JOBS = pathlib.Path("/etc/init")
#: A host with systemctl is one of systemd's, for Ansible.
_HIDE_SYSTEMD = 'mount --bind /dev/null "$(command -v systemctl)" && exec '


@pytest.fixture
def daemon(launch: Any) -> Iterator[Upstart]:
    """With the folder that Ansible looks for jobs in."""
    shutil.rmtree(_JOBS, ignore_errors=True)
    _JOBS.mkdir()
    (_JOBS / "web.conf").write_text("exec sh -c 'trap \"\" HUP; exec sleep 1000'\n")
    (_JOBS / "event.conf").write_text("start on go\n" + SERVICE)
    daemon = launch(None, ("--backend=systemd", "--no-dbus", f"--confdir={_JOBS}"), confdir=False)
    daemon.wait_known("event")
    wait_file("event.service")
    yield daemon
    shutil.rmtree(_JOBS)


def play(directory: pathlib.Path, *tasks: dict[str, Any], hide_systemd: bool = False) -> None:
    """Run a playbook; each task has to do what its ``expect``, a condition, says of its result ``r``."""
    steps = [{**task, "register": "r", "failed_when": f"not ({task['expect']}) or (r.msg | default('')) != ''"} for task in tasks]
    for step in steps:
        del step["expect"]
    book = directory / "book.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": steps}]))
    command = [str(_BINARIES / "ansible-playbook"), "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", str(book)]
    if hide_systemd:
        command = ["unshare", "--mount", "sh", "-c", _HIDE_SYSTEMD + '"$@"', "sh", *command]
    environment = {
        "PATH": f"{_BINARIES}:{os.environ['PATH']}", "HOME": str(directory), "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "ANSIBLE_NOCOWS": "1", "ANSIBLE_RETRY_FILES_ENABLED": "0", "ANSIBLE_LOCAL_TEMP": str(directory / "tmp")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr


def service(expect: Any, **arguments: Any) -> dict[str, Any]:
    return {"ansible.builtin.service": {"name": "web", **arguments}, "expect": expect}


def test_c5_ansible_by_systemctl(daemon: Upstart, tmp_path: pathlib.Path) -> None:
    play(tmp_path,
         service("r is changed", state="started"),
         service("r is not changed", state="started"),
         service("r is not changed", enabled=True),
         service("r is changed", state="restarted"),
         service("r is changed", state="reloaded"))
    assert active("web") == "active" and daemon.instances("web") == {"": ("start", "running")}
    play(tmp_path,
         service("r is changed", state="stopped"),
         service("r is not changed", state="stopped"),
         {"ansible.builtin.systemd_service": {"name": "web", "state": "started", "daemon_reload": True}, "expect": "r is changed"})
    assert daemon.instances("web") == {"": ("start", "running")}


def test_c5_ansible_sees_what_runs(daemon: Upstart, tmp_path: pathlib.Path) -> None:
    daemon.emit("go")
    wait_active("event")
    facts = "r.ansible_facts.services"
    expected = " and ".join((
        f"{facts}['event.service'].state == 'running'", f"{facts}['event.service'].source == 'systemd'",
        # systemd says so of what it has not loaded.
        f"{facts}['web.service'].state in ('stopped', 'inactive')",
        f"{facts}['event'].state == 'running'", f"{facts}['event'].source == 'upstart'", f"{facts}['web'].state == 'waiting'"))
    play(tmp_path,
         {"ansible.builtin.service_facts": {}, "expect": expected},
         service("r is not changed", name="event", state="started"))


def test_c5_ansible_by_initctl(daemon: Upstart, tmp_path: pathlib.Path) -> None:
    by_initctl = {"use": "service"}
    play(tmp_path,
         service("r is changed", state="started", **by_initctl),
         service("r is not changed", state="started", **by_initctl),
         service("r is changed", state="restarted", **by_initctl),
         service("r is changed", state="reloaded", **by_initctl),
         service("r is changed", enabled=False, **by_initctl),
         hide_systemd=True)
    assert daemon.instances("web") == {"": ("start", "running")}
    assert (_JOBS / "web.override").read_text() == "manual\n"
    wait_active("web")
    play(tmp_path,
         service("r is changed", state="stopped", **by_initctl),
         service("r is not changed", state="stopped", **by_initctl),
         service("r is changed", enabled=True, **by_initctl),
         hide_systemd=True)
    assert daemon.instances("web") == {}
    wait_active("web", "inactive")

"""The same jobs with either backend: what they have, print and how they fail is the same (checklist 108, 109, X254, X256)."""
from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Any

import pytest

from tests.daemon.running import eventually
from tests.systemd.conftest import Launch
from tests.systemd.upstart import NATIVE, SYSTEMD, Process, Upstart

BOTH = (NATIVE, SYSTEMD)
_STATUS = ("Umask", "Uid", "Gid", "Groups", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
           "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Cpus_allowed", "Mems_allowed", "TracerPid")
_NICE, _RT_PRIORITY, _POLICY, _TERMINAL = 19, 40, 41, 7


def both(launch: Launch, place: pathlib.Path, jobs: dict[str, str], look: Any) -> list[Any]:
    """What ``look`` returns with each of the backends. The daemons are one after the other, at the same place."""
    found = []
    for options in BOTH:
        daemon = launch(jobs, options, directory=place / "daemon")
        found.append(look(daemon))
        daemon.destroy()
        subprocess.run(["rm", "-r", place / "daemon"], check=True)
    return found


def what_it_has(process: Process) -> dict[str, Any]:
    eventually(lambda: sorted(os.listdir(f"/proc/{process.pid}/fd")) == ["0", "1", "2"])
    streams = [process.link(f"fd/{number}") for number in range(3)]
    has: dict[str, Any] = {key: process.status(key) for key in _STATUS}
    # The C library keeps 32 and 33 for itself: nobody can set them back who was started with them ignored.
    has["SigIgn"] = int(has["SigIgn"], 16) & ~(3 << 31)
    has.update({name: process.read(name) for name in ("limits", "oom_score_adj", "coredump_filter", "personality", "timerslack_ns")})
    has.update({name: process.link(name) for name in ("cwd", "root", "exe")})
    has.update({f"ns/{name}": process.link(f"ns/{name}") for name in os.listdir(f"/proc/{process.pid}/ns")})
    has.update(
        arguments=process.arguments, streams=["pty" if each.startswith("/dev/pts/") else each for each in streams],
        scheduling=[process.stat(number) for number in (_NICE, _RT_PRIORITY, _POLICY, _TERMINAL)],
        leads=(process.stat(5) == process.pid, process.stat(6) == process.pid),
        environment=[each for each in process.environment if not each.startswith(b"TERM=")])
    return has


_FEATURES = {
    "plain": "", "none": "console none", "script": "script\nexec sleep 1000\nend script",
    "identity": "setuid nobody", "group": "setgid daemon", "both": "setuid nobody\nsetgid daemon",
    "nice": "nice -5", "nicer": "nice 19", "oom": "oom score 300", "umask": "umask 0",
    "limits": "limit nofile 100 500\nlimit core 0 unlimited\nlimit nice 0 0\nlimit rtprio 0 0\nlimit cpu 100 200",
    "chdir": "chdir /usr/bin", "environment": "env A=1\nenv B\nenv C=%n$d\\e\nenv HOME=/h\nenv PATH=/bin\nenv LANG=C",
    "stop": "expect stop\nscript\nkill -STOP $$\nexec sleep 1000\nend script"}


def test_x254_a_process_has_the_same_as_a_native_one(launch: Launch, place: pathlib.Path) -> None:
    jobs = {f"{name}.conf": text + ("" if "script" in text else "\nexec sleep 1000") for name, text in _FEATURES.items()}

    def look(daemon: Upstart) -> dict[str, Any]:
        for name in _FEATURES:
            daemon.start(name)
        for name in _FEATURES:
            eventually(lambda name=name: daemon.main(name).arguments == [b"sleep", b"1000"])  # type: ignore[misc]
        return {name: what_it_has(daemon.main(name)) for name in _FEATURES}

    native, service = both(launch, place, jobs, look)
    for name in _FEATURES:
        for what, value in native[name].items():
            assert service[name][what] == value, (name, what)


def test_x254_exec_env_prints_the_same(launch: Launch, place: pathlib.Path) -> None:
    """Checklist 109, byte for byte."""
    jobs = {"env.conf": "task\nenv A=$B\nenv PATH=/usr/bin:/bin\nexport A\nexec env -0\n",
            "instance.conf": "task\ninstance $ID\nexec env -0\n",
            "chroot.conf": "task\nchroot /\nexec env -0\n", "user.conf": "task\nsetuid nobody\nexec env -0\n",
            "by-event.conf": "task\nstart on happened\nexec env -0\n"}

    def look(daemon: Upstart) -> dict[str, bytes]:
        daemon.start("env", "STARTED=with this")
        daemon.start("instance", "ID=two words")
        daemon.start("chroot")
        daemon.start("user")
        daemon.emit("happened", "WHY=because", "EMPTY=")
        return {path.name: path.read_bytes().replace(daemon.mark.encode(), b"") for path in sorted(daemon.logs.iterdir())}

    native, service = both(launch, place, jobs, look)
    assert sorted(native) == ["by-event.log", "chroot.log", "env.log", "instance-two words.log", "user.log"]
    assert service == native
    assert b"STARTED=with this\0" in native["env.log"] and b"WHY=because\0" in native["by-event.log"]


_FAILURES = {
    "missing": "exec /no/such/program", "relative": "exec nosuchprogram", "folder": "exec /usr", "forbidden": "exec /etc/passwd",
    "chdir": "chdir /no/such\nexec true", "chroot": "chroot /no/such\nexec true", "user": "setuid nosuchuser\nexec true",
    "group": "setgid nosuchgroup\nexec true", "limit": "limit nofile 100 50\nexec true",
    "beyond": "limit nofile 100 99999999999\nexec true", "long": f"exec echo {'x' * 200000}",
    "missing-respawn": "respawn\nexec /no/such/program", "missing-fork": "expect fork\nexec /no/such/x",
    "missing-stop": "expect stop\nexec /no/such/x", "script": "script\nexit 3\nend script"}


def test_x256_it_fails_the_same_way(launch: Launch, place: pathlib.Path) -> None:
    """Checklist 108: warnings, states, and what the failure's event says."""
    jobs = {f"{name}.conf": text + "\n" for name, text in _FAILURES.items()}
    jobs["noted.conf"] = "task\nstart on stopped RESULT=failed\ninstance $JOB\nexec echo $JOB:$PROCESS:$EXIT_STATUS:$EXIT_SIGNAL\n"

    def look(daemon: Upstart) -> Any:
        said = []
        for name in _FAILURES:
            said.append(daemon.initctl("start", name)[::2])
            eventually(lambda name=name: daemon.job_log(f"noted-{name}"), daemon.log)  # type: ignore[misc]
        daemon.wait_stopped("noted")
        logs = {path.name: path.read_bytes() for path in sorted(daemon.logs.iterdir())}
        without_pids = [line.split("(")[0] + line.partition(")")[2] for line in daemon.errors.splitlines()]
        return said, logs, without_pids

    native, service = both(launch, place, jobs, look)
    assert len([code for code, _ in native[0] if code]) == len(_FAILURES) - 1
    for which in range(3):
        assert service[which] == native[which]


@pytest.mark.parametrize("kind", ["output", "owner"])
def test_x57_consoles(launch: Launch, place: pathlib.Path, kind: str) -> None:
    jobs = {"c.conf": f"console {kind}\nexec sleep 1000\n"}

    def look(daemon: Upstart) -> Any:
        result = daemon.initctl("start", "c")
        if result[0]:
            return result, daemon.errors
        return what_it_has(daemon.main("c"))

    native, scope = both(launch, place, jobs, look)
    assert scope == native

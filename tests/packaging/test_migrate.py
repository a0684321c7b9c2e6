"""docs/migrate.md, typed in from the page itself on a host with systemd."""
from __future__ import annotations

import pathlib
import re
import time
from typing import Iterator, List, NamedTuple

import pytest

from tests.packaging.box import PATIENCE, ROOT, Box, needs, needs_box

PAGE = ROOT / "docs" / "migrate.md"
#: Marks of commands that need another host than the test's.
ELSEWHERE = ("(old host)", "(Amazon Linux)")

#: What the old host has: a daemon in the manner of EMR's.
JOB = """\
description "Hadoop datanode (a stand-in)"
start on runlevel [2345]
stop on runlevel [!2345]
expect daemon
respawn
kill timeout 60
env DAEMON=datanode
pre-start script
    . /etc/default/hadoop
    if [ -n "$DISABLED" ]; then
        stop
        exit 0
    fi
    echo "the $DAEMON begins"
end script
exec /usr/local/bin/datanode
"""
PROGRAM = """\
#!/usr/bin/python3
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
while True:
    time.sleep(1000)
"""
#: What only looks: until the page is right, because what it waits for takes its time.
LOOKS = re.compile(r"(initctl (list|status)|status|cat /var/log) ?[^|]*")


class Step(NamedTuple):
    """What is typed, with its further lines, and what the page says is printed."""

    line: int
    command: str
    output: str


def steps() -> Iterator[Step]:
    """The commands of the page's console blocks."""
    inside = False
    command: List[str] = []
    output: List[str] = []
    start = 0
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if inside and (line.startswith("# ") or line == "```"):
            if command:
                yield Step(start, "\n".join(command), "\n".join(output))
            command, output = [], []
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("# "):
            command, start = [line[2:]], number
        elif inside and line.startswith(">"):
            command.append(line[2:])
        elif inside:
            output.append(line)


def fits(printed: str, expected: str) -> bool:
    """Numbers of processes may differ, and an ellipsis stands for anything."""
    pattern = re.escape(expected.strip()).replace(re.escape("…"), "(?s:.*)")
    return re.fullmatch(re.sub(r"process\\? \d+", r"process \\d+", pattern), printed.strip()) is not None


def test_the_page_has_commands_for_every_step() -> None:
    text = PAGE.read_text()
    assert len(list(steps())) > 25
    assert sum(text.count(mark) for mark in ELSEWHERE) <= 7
    for step in steps():
        assert not step.output or not step.command.endswith(ELSEWHERE), step


def test_fits() -> None:
    assert fits("web start/running, process 17\n", "web start/running, process 4711")
    assert fits("a\nb\nc\n", "…")
    assert not fits("web stop/waiting\n", "web start/running, process 4711")
    assert not fits("something\n", "")


@pytest.mark.package
@needs_box
@needs("dpkg-buildpackage", "dh", "dh_python3", "systemctl", "unshare", "make")
def test_every_command_of_the_page_does_what_it_says(tmp_path: pathlib.Path) -> None:
    with Box(tmp_path) as box:
        box.run(f"mkdir -p /root/checkout && cd {ROOT} && "
                "tar -c --exclude='./.*' --exclude=./build --exclude=./dist . | tar -x -C /root/checkout")
        box.run(f"mkdir -p /etc/init && cat > /etc/init/hadoop-hdfs-datanode.conf << 'END'\n{JOB}END\n"
                "echo DISABLED= > /etc/default/hadoop\n"
                f"cat > /usr/local/bin/datanode << 'END'\n{PROGRAM}END\n"
                "chmod +x /usr/local/bin/datanode")
        # As a host has it when somebody can log in.
        box.run("systemctl start multi-user.target")
        moved = False
        for step in steps():
            if step.command.endswith(ELSEWHERE):
                continue
            if not moved and "make deb" in step.command:
                # From here on it is the new host.
                box.run("rm -r /etc/init /etc/default/hadoop")
                moved = True
            where = f"{PAGE.name}:{step.line}: {step.command}"
            deadline = time.monotonic() + PATIENCE
            while True:
                done = box.try_run(f"cd /root/checkout && {step.command}")
                assert done.returncode == 0, f"{where}: exit status {done.returncode}: {done.stdout}{box.journal()}"
                if fits(done.stdout, step.output):
                    break
                assert LOOKS.fullmatch(step.command) and time.monotonic() < deadline, (
                    f"{where}:\n{done.stdout}\n-- expected --\n{step.output}\n{box.journal()}")
        assert moved

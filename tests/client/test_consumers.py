"""What other programs match our output with: 4.20, C148, and section C.5 of the chapter on users."""
from __future__ import annotations

import re
from typing import List

import pytest

from tests.client.peer import Job, Peer

SINGLE_LINES = [
    ("stop", "waiting", None, []),
    ("start", "running", "1234", [("main", 1234)]),
    ("start", "running", None, []),
]


@pytest.fixture(params=SINGLE_LINES, ids=["stopped", "running", "abstract"])
def line(request: pytest.FixtureRequest, peer: Peer, svc: Job) -> "tuple[str, str, str | None, str]":
    """Goal, state, pid and what status prints."""
    goal, state, pid, processes = request.param
    if goal == "start":
        svc.add("", goal, state, processes)
    ended = peer.run("status", "svc")
    assert (ended.status, ended.err) == (0, "")
    return goal, state, pid, ended.out


def test_c148_puppet_status(line: "tuple[str, str, str | None, str]") -> None:
    assert bool(re.search(r"start/", line[3])) == (line[0] == "start")


def test_c148_chef(line: "tuple[str, str, str | None, str]") -> None:
    match = re.search(r"\S+ \(?(start|stop)?\)? ?[\/ ](\w+)", line[3].splitlines()[0])
    assert match and (match.group(1), match.group(2)) == line[:2]


def test_c148_salt_and_ansible(line: "tuple[str, str, str | None, str]") -> None:
    assert ("start/running" in line[3]) == (line[0] == "start")
    assert ("stop/waiting" in line[3]) == (line[0] == "stop")


def test_c148_juju(line: "tuple[str, str, str | None, str]") -> None:
    match = re.search(r"^.* start/running(?:, process (\d+))?\n$", line[3])
    assert (match.group(1) if match else None) == line[2]
    assert bool(match) == (line[0] == "start")


def test_c148_bcfg2_inspeqtor_kardianos_chromeos_newrelic(line: "tuple[str, str, str | None, str]") -> None:
    goal, state, pid, text = line
    assert re.match(r"svc( \(.*\))? (start|stop)/(running|waiting)", text)
    assert text.count("\n") == 1
    match = re.search(r" (start|stop)\/([a-z\-]+)(?:, process (\d+))?", text)
    assert match and match.groups() == (goal, state, pid)
    assert text.startswith(f"svc {goal}/{state}")
    assert bool(re.match(r"^[^ ]+ start/running, process (\d+)$", text)) == (pid is not None)
    match = re.match(r"(\S+).*?(start|stop)\/(.*)", text)
    assert match and match.group(1, 2) == ("svc", goal)
    assert re.search(r"(.*) (?:\w*)/(\w*)(?:, .*)?", text)


def test_c148_pid_by_sed(peer: Peer, svc: Job) -> None:
    svc.add("", processes=[("main", 77)])
    assert re.sub(r".*process ", "", peer.run("status", "svc").out) == "77\n"


def test_c148_lists(peer: Peer, svc: Job) -> None:
    peer.add_job("network-interface", "INTERFACE").add("eth0")
    peer.add_job("network-interface-security", "JOB").add("network-interface/eth0", processes=[])
    peer.add_job("tty", "N").add("/dev/tty3", processes=[("main", 9499)])
    peer.add_job("odd").add("", "start", "pre-start", [("pre-start", 5)])
    lines = peer.run("initctl", "list").out.splitlines()
    # Puppet.
    assert [line.split()[0] for line in lines] == ["svc", "network-interface", "network-interface-security", "tty", "odd"]
    match = re.match(r"^(network-interface)\s\(([^)]+)\)", lines[1])
    assert match and match.group(2) == "eth0"
    match = re.match(r"^(network-interface-security)\s\(([^)]+)\)", lines[2])
    assert match and match.group(2) == "network-interface/eth0"
    # insights-core.
    assert lines[3] == "tty (/dev/tty3) start/running, process 9499"
    # Ansible service_facts: hyphenated states do not match, by its own doing.
    facts = [re.match(r"^\s?(?P<name>.*)\s(?P<goal>\w+)\/(?P<state>\w+)(\,\sprocess\s(?P<pid>[0-9]+))?\s*$", line) for line in lines]
    assert [match and match.groupdict()["pid"] for match in facts] == [None, "100", None, "9499", None]
    assert [bool(match) for match in facts] == [True, True, True, True, False]
    # pyinfra, and shell completion.
    assert re.match(r"^([a-z\-]+) [a-z]+\/([a-z]+)", lines[0])
    assert lines[0].split(",")[0].split()[1] == "stop/waiting"


def test_c148_versions(peer: Peer) -> None:
    for word, program in (("version", "init"), ("--version", "initctl")):
        ended = peer.run("initctl", word)
        first = ended.out.splitlines()[0]
        assert ended.status == 0
        assert "upstart" in first
        match = re.search(r"\(upstart (.*)\)", first)
        assert match and tuple(map(int, match.group(1).split("."))) >= (0, 9, 7)
        assert re.match(program + r" \(upstart (\d+.\d+.\d+)\)$", first)
        # upstart-job: awk '{print $3}' | tr -d ')'; buildkite: awk 'BEGIN{FS="[ ()]"} NR==1{print $4}'.
        assert first.split()[2].replace(")", "") == re.split("[ ()]", first)[3] == "1.13.2"
    assert re.search(r"initctl \(upstart ([^\)]*)\)", peer.run("initctl", "--version").out)


@pytest.mark.parametrize("words", [["version", "--quiet"], ["--quiet", "version"], ["version", "-q"]])
def test_c148_quiet_version_of_puppet(peer: Peer, words: List[str]) -> None:
    assert peer.run("initctl", *words) == (0, "", "")


@pytest.mark.parametrize("words", [["start", "nosuch"], ["stop", "nosuch"], ["restart", "nosuch"], ["reload", "nosuch"],
                                   ["status", "nosuch"], ["stop", "svc"], ["restart", "svc"], ["reload", "svc"]])
def test_c148_failures_print_nothing_and_exit_with_1(peer: Peer, svc: Job, words: List[str]) -> None:
    for line in (words, ["initctl", *words]):
        ended = peer.run(*line)
        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith(line[0] + ": Unknown ")


def test_c148_upstart_job_and_audits(peer: Peer, svc: Job) -> None:
    svc.properties["start_on"] = [["runlevel", "[2345]"]]
    assert any(line.startswith("  start on") for line in peer.run("initctl", "show-config", "-e", "svc").out.splitlines())
    assert re.search(r"(?m)^\s*start", peer.run("initctl", "show-config", "svc").out)
    svc.properties["start_on"] = []
    for option in ([], ["-e"]):
        assert not re.search(r"(?m)^\s*start", peer.run("initctl", "show-config", *option, "svc").out)


def test_c148_lines_of_inspeqtor(peer: Peer, svc: Job) -> None:
    svc.add()
    assert peer.run("initctl", "reload", "svc").out == ""
    assert peer.run("initctl", "restart", "svc").out.count("\n") == 1
    assert peer.run("initctl", "emit", "--no-wait", "vagrant-mounted", "MOUNTPOINT=/x").out == ""

"""start, stop, restart, reload, status, usage: C106, C110-C119, C121, C124."""
from __future__ import annotations

import signal
import subprocess
from typing import Any, List, Tuple

import pytest

from compat.client.job_commands import status_text
from tests.client.peer import INSTANCE, Call, E, Error, F, Job, Peer, variant


def inside(job: str, instance: str = "") -> "dict[str, str]":
    """The environment of a job's process."""
    return {"UPSTART_JOB": job, "UPSTART_INSTANCE": instance}


def fails(name: str, text: str) -> Any:
    def answer(call: Call) -> Any:
        raise Error(name, text)
    return answer


def properties(instance: str, goal: str, state: str, *processes: Tuple[str, int]) -> Any:
    return {"name": instance, "goal": goal, "state": state, "processes": variant("a(si)", list(processes))}


@pytest.mark.parametrize(("job", "shown", "text"), [
    ("svc", properties("", "start", "running", ("main", 7)), "svc start/running, process 7"),
    ("multi", properties("1", "start", "running", ("main", 15786)), "multi (1) start/running, process 15786"),
    ("net", properties("", "start", "running"), "net start/running"),
    ("svc", properties("", "start", "pre-start", ("pre-start", 902)), "svc start/pre-start, process 902"),
    ("svc", properties("", "stop", "post-stop", ("post-stop", 77)), "svc stop/post-stop, process 77"),
    ("svc", properties("", "start", "post-start", ("main", 1), ("post-start", 2)),
     "svc start/post-start, process 1\n\tpost-start process 2"),
    ("svc", properties("", "stop", "pre-stop", ("main", 1), ("pre-stop", 2)), "svc stop/pre-stop, process 1\n\tpre-stop process 2"),
    ("svc", properties("", "start", "post-start", ("post-start", 22461)), "svc start/post-start, (post-start) process 22461"),
    ("svc", properties("", "stop", "pre-stop", ("pre-stop", 3)), "svc stop/pre-stop, (pre-stop) process 3"),
    ("svc", properties("", "start", "security", ("security", 9)), "svc start/security, (security) process 9"),
    ("svc", properties("", "start", "spawned", ("main", 31)), "svc start/spawned, process 31"),
    ("svc", properties("a b", "start", "x", ("main", 1), ("post-start", 2), ("pre-stop", 3)),
     "svc (a b) start/x, process 1\n\tpost-start process 2\n\tpre-stop process 3"),
])
def test_c112_status_lines(job: str, shown: Any, text: str) -> None:
    assert status_text(job, shown) == text


def test_c112_status_over_the_wire(peer: Peer, multi: Job) -> None:
    multi.add("1", "start", "post-start", [("main", 19076), ("post-start", 19078)])
    assert peer.run("status", "multi", "N=1") == (0, "multi (1) start/post-start, process 19076\n\tpost-start process 19078\n", "")


def test_c113_start_of_a_service_and_of_a_task(peer: Peer, svc: Job) -> None:
    assert peer.run("start", "svc") == (0, "svc start/running, process 100\n", "")
    # A task is over, and its instance gone, when the reply comes.
    task = peer.add_job("task")
    peer.answers["Start"] = lambda call: ("o", task.path + "/_")
    assert peer.run("initctl", "start", "task") == (0, "task stop/waiting\n", "")


def test_c113_start_without_waiting(peer: Peer, svc: Job) -> None:
    peer.answers["Start"] = lambda call: ("o", svc.add("", "start", "starting", []))
    assert peer.run("start", "svc", "-n") == (0, "svc start/starting\n", "")
    assert peer.calls[1].arguments == [[], False]


def test_c114_failing_starts(peer: Peer, svc: Job, multi: Job) -> None:
    svc.add()
    assert peer.run("start", "nosuch") == (1, "", "start: Unknown job: nosuch\n")
    assert peer.run("start", "svc") == (1, "", "start: Job is already running: svc\n")
    assert peer.run("start", "multi") == (1, "", "start: Unknown parameter: N\nUsage: multi N=number\n")
    assert peer.run("start", "svc", "NOVALUE") == (1, "", "start: Env must be KEY=VALUE pairs\n")
    assert peer.run("start", "") == (1, "", "start: Name may not be empty string\n")
    peer.answers["Start"] = fails(E + "JobFailed", "Job failed to start")
    assert peer.run("initctl", "start", "svc") == (1, "", "initctl: Job failed to start\n")


def test_c111_words_after_the_name_are_passed_on(peer: Peer, svc: Job) -> None:
    peer.run("start", "svc", "A=1", "B=a b", "=", "caf\xe9=\u20ac")
    assert peer.calls[1].arguments == [["A=1", "B=a b", "=", "caf\xe9=\u20ac"], True]
    assert peer.run("start", "svc", "--", "-n") == (1, "", "start: Env must be KEY=VALUE pairs\n")


def test_c115_stop(peer: Peer, svc: Job, multi: Job) -> None:
    svc.add()
    multi.add("1")
    assert peer.run("stop", "svc") == (0, "svc stop/waiting\n", "")
    assert peer.run("stop", "multi", "N=1") == (0, "multi stop/waiting\n", "")
    assert peer.run("stop", "svc") == (1, "", "stop: Unknown instance: \n")
    assert peer.run("stop", "multi") == (1, "", "stop: Unknown parameter: N\nUsage: multi N=number\n")
    assert peer.run("stop", "nosuch") == (1, "", "stop: Unknown job: nosuch\n")


@pytest.mark.parametrize(("error", "text"), [
    ("AlreadyStopped", "Job has already been stopped: svc"),
    ("JobFailed", "Job failed while stopping"),
])
def test_c115_failing_stops(peer: Peer, svc: Job, error: str, text: str) -> None:
    svc.add()
    peer.answers["Stop"] = fails(E + error, text)
    assert peer.run("stop", "svc", "-n") == (1, "", f"stop: {text}\n")
    assert peer.calls[-1].arguments == [[], False]


def test_c78_a_stop_that_was_overtaken_shows_what_runs(peer: Peer, svc: Job) -> None:
    svc.add()
    peer.answers["Stop"] = lambda call: svc.add("", "start", "pre-stop", [("main", 25)]) and None
    assert peer.run("stop", "svc") == (0, "svc start/pre-stop, process 25\n", "")


@pytest.mark.parametrize("words", [["stop", "del"], ["initctl", "stop", "del", "-n"]])
def test_c116_d130_stop_of_a_job_whose_file_is_gone(peer: Peer, words: List[str]) -> None:
    job = peer.add_job("del")
    job.add()
    peer.answers["Stop"] = lambda call: peer.jobs.clear()
    assert peer.run(*words) == (0, "del stop/waiting\n", "")


def test_c116_start_of_a_task_whose_file_is_gone(peer: Peer) -> None:
    job = peer.add_job("del")
    peer.answers["Start"] = lambda call: peer.jobs.clear() or ("o", job.path + "/_")
    assert peer.run("start", "del") == (0, "del stop/waiting\n", "")


def test_c116_other_errors_of_the_query_are_errors(peer: Peer, svc: Job) -> None:
    svc.add()
    peer.answers["Get"] = fails(F + "AccessDenied", "No")
    assert peer.run("stop", "svc") == (1, "", "stop: No\n")


def test_c117_restart(peer: Peer, svc: Job) -> None:
    assert peer.run("restart", "svc") == (1, "", "restart: Unknown instance: \n")
    svc.add()
    assert peer.run("restart", "svc", "A=1") == (0, "svc start/running, process 100\n", "")
    assert peer.calls[-3].arguments == [["A=1"], True]
    peer.answers["Restart"] = fails(E + "JobFailed", "Job failed to restart")
    assert peer.run("restart", "svc") == (1, "", "restart: Job failed to restart\n")


def test_c118_reload(peer: Peer, svc: Job) -> None:
    assert peer.run("reload", "svc") == (1, "", "reload: Unknown instance: \n")
    svc.add()
    assert peer.run("reload", "svc") == (0, "", "")
    peer.answers["Reload"] = fails(E + "NotRunning", "Job is not running: svc")
    assert peer.run("reload", "svc") == (1, "", "reload: Job is not running: svc\n")


def test_c118_reload_by_a_daemon_that_does_not_know_it(peer: Peer, svc: Job) -> None:
    peer.answers["Reload"] = peer._unknown
    with subprocess.Popen(["sleep", "1000"]) as main:
        svc.add("", processes=[("main", main.pid)])
        assert peer.run("reload", "svc") == (0, "", "")
        assert main.wait(10) == -signal.SIGHUP
    # A child that has been waited for has no pid any more.
    assert peer.run("reload", "svc") == (1, "", "reload: No such process\n")


@pytest.mark.parametrize("processes", [[], [("post-stop", 1)], [("main", 0)], [("main", -1)]])
def test_c118_nothing_to_signal(peer: Peer, svc: Job, processes: List[Tuple[str, int]]) -> None:
    peer.answers["Reload"] = peer._unknown
    svc.add("", processes=processes)
    assert peer.run("reload", "svc") == (1, "", "reload: Not running\n")


def test_c119_status_of_what_does_not_run(peer: Peer, svc: Job, multi: Job) -> None:
    assert peer.run("status", "svc") == (0, "svc stop/waiting\n", "")
    assert peer.run("status", "nosuch") == (1, "", "status: Unknown job: nosuch\n")
    assert peer.run("status", "svc", "X=1") == (1, "", "status: Unknown instance: \n")
    assert peer.run("status", "multi", "N=zzz") == (1, "", "status: Unknown instance: zzz\n")
    assert peer.run("status", "multi") == (1, "", "status: Unknown parameter: N\nUsage: multi N=number\n")


def test_c121_usage(peer: Peer, svc: Job, multi: Job) -> None:
    assert peer.run("initctl", "usage", "multi") == (0, "Usage: multi N=number\n", "")
    assert peer.run("initctl", "usage", "svc") == (0, "Usage: \n", "")
    assert peer.run("initctl", "usage", **inside("multi", "1")) == (0, "Usage: multi N=number\n", "")
    assert peer.run("initctl", "usage", "nosuch") == (1, "", "initctl: Unknown job: nosuch\n")


def test_c110_inside_a_job(peer: Peer, svc: Job, multi: Job) -> None:
    instance = multi.add("1", "stop", "pre-stop", [("main", 5), ("pre-stop", 6)])
    assert peer.run("start", **inside("multi", "1")) == (0, "multi (1) start/pre-stop, process 5\n\tpre-stop process 6\n", "")
    assert peer.run("restart", **inside("multi", "1")).status == 0
    assert peer.run("status", **inside("multi", "1")).out.startswith("multi (1) ")
    assert peer.run("reload", **inside("multi", "1")) == (0, "", "")
    assert peer.run("stop", **inside("multi", "1")) == (0, "multi stop/waiting\n", "")
    direct = [call for call in peer.calls if call.path == instance and call.interface == INSTANCE]
    assert [(call.member, call.arguments) for call in direct] == [
        ("Start", [False]), ("Restart", [False]), ("Reload", []), ("Stop", [False])]
    assert peer.run("stop", **inside("multi", "1")) == (1, "", "stop: Unknown instance: 1\n")
    assert peer.run("status", **inside("svc")) == (0, "svc stop/waiting\n", "")


def test_c110_arguments_win_over_the_environment(peer: Peer, svc: Job, multi: Job) -> None:
    svc.add()
    assert peer.run("status", "svc", **inside("multi", "1")) == (0, "svc start/running, process 100\n", "")


def test_c106_quiet(peer: Peer, svc: Job) -> None:
    assert peer.run("start", "-q", "svc") == (0, "", "")
    assert peer.run("start", "--quiet", "svc") == (1, "", "start: Job is already running: svc\n")
    assert peer.run("initctl", "-q", "status", "svc") == (0, "", "")


def test_c124_an_instance_that_vanishes(peer: Peer, svc: Job) -> None:
    svc.add()
    peer.answers["GetAll"] = peer._unknown
    assert peer.run("status", "svc") == (0, "svc stop/waiting\n", "")
    peer.answers["GetAll"] = fails(F + "UnknownObject", "No such object")
    assert peer.run("status", "svc") == (1, "", "status: No such object\n")


def test_c72_properties_must_be_complete(peer: Peer, svc: Job) -> None:
    svc.add()
    for name in ("name", "goal", "state", "processes"):
        kept = svc.instances[""].pop(name)
        assert peer.run("status", "svc") == (1, "", "status: Invalid arguments received in reply\n")
        svc.instances[""][name] = kept
    svc.instances[""]["more"] = "ignored"
    assert peer.run("status", "svc") == (0, "svc start/running, process 100\n", "")


@pytest.mark.parametrize(("member", "answer"), [
    ("GetJobByName", ("s", "svc")),
    ("GetJobByName", None),
    ("GetInstance", ("i", 1)),
    ("Get", ("v", variant("as", []))),
    ("Get", ("s", "svc")),
    ("GetAll", ("a{ss}", {"name": "x"})),
    ("GetAll", ("a{sv}", {"name": variant("s", ""), "goal": variant("s", ""), "state": variant("s", ""), "processes": variant("as", [])})),
])
def test_replies_of_the_wrong_type(peer: Peer, svc: Job, member: str, answer: Any) -> None:
    svc.add()
    peer.answers[member] = lambda call: answer
    assert peer.run("status", "svc") == (1, "", "status: Invalid arguments received in reply\n")


def test_c1_signals_may_come_before_the_reply(peer: Peer, svc: Job) -> None:
    import _dbus_bindings as bindings

    def signals(connection: Any, call: Call) -> None:
        for number in range(300):
            message = bindings.SignalMessage(svc.path + "/_", INSTANCE, "StateChanged")
            message.append(f"state {number}", signature="s")
            connection.send_message(message)

    peer.before_reply = signals
    assert peer.run("start", "svc") == (0, "svc start/running, process 100\n", "")



@pytest.mark.parametrize(("words", "environment", "calls"), [
    (["start", "svc", "A=1"], {}, ["M GetJobByName svc", "J Start ['A=1'] True", "J Get Job name", "I GetAll Instance"]),
    (["stop", "svc", "A=1"], {}, [
        "M GetJobByName svc", "J GetInstance ['A=1']", "J Stop ['A=1'] True", "J Get Job name", "I GetAll Instance"]),
    (["restart", "svc"], {}, ["M GetJobByName svc", "J Restart [] True", "J Get Job name", "I GetAll Instance"]),
    (["reload", "svc"], {}, ["M GetJobByName svc", "J GetInstance []", "I Reload"]),
    (["status", "svc"], {}, ["M GetJobByName svc", "J GetInstance []", "J Get Job name", "I GetAll Instance"]),
    (["start"], inside("svc"), ["M GetJobByName svc", "J GetInstanceByName ", "I Start False", "J Get Job name", "I GetAll Instance"]),
    (["stop"], inside("svc"), ["M GetJobByName svc", "J GetInstanceByName ", "I Stop False", "J Get Job name", "I GetAll Instance"]),
    (["restart"], inside("svc"), ["M GetJobByName svc", "J GetInstanceByName ", "I Restart False", "J Get Job name", "I GetAll Instance"]),
    (["reload"], inside("svc"), ["M GetJobByName svc", "J GetInstanceByName ", "I Reload"]),
    (["status"], inside("svc"), ["M GetJobByName svc", "J GetInstanceByName ", "J Get Job name", "I GetAll Instance"]),
    (["usage", "svc"], {}, ["M GetJobByName svc", "J Get Job name", "J Get Job usage"]),
    (["list"], {}, ["M GetAllJobs", "J GetAllInstances", "J Get Job name", "I GetAll Instance"]),
    (["emit", "go", "A=1"], {}, ["M EmitEvent go ['A=1'] True"]),
    (["emit", "-n", "go"], {}, ["M EmitEvent go [] False"]),
    (["reload-configuration"], {}, ["M ReloadConfiguration"]),
    (["notify-disk-writeable"], {}, ["M NotifyDiskWriteable"]),
    (["notify-dbus-address", "a:"], {}, ["M NotifyDBusAddress a:"]),
    (["notify-cgroup-manager-address", "a:"], {}, ["M NotifyCGroupManagerAddress a:"]),
    (["version"], {}, ["M Get Upstart0_6 version"]),
    (["log-priority"], {}, ["M Get Upstart0_6 log_priority"]),
    (["log-priority", "info"], {}, ["M Set Upstart0_6 log_priority info"]),
    (["show-config", "svc"], {}, ["M GetJobByName svc", "J Get Job name", "J Get Job emits", "J Get Job start_on", "J Get Job stop_on"]),
    (["show-config"], {}, ["M GetAllJobs", "J Get Job name", "J Get Job emits", "J Get Job start_on", "J Get Job stop_on"]),
    (["check-config", "svc"], {}, ["M GetAllJobs", "J Get Job name", "J Get Job emits", "J Get Job start_on", "J Get Job stop_on"]),
    (["list-env"], {}, ["M ListEnv []"]),
    (["list-env"], inside("svc"), ["M ListEnv ['svc', '']"]),
    (["get-env", "A"], {}, ["M GetEnv [] A"]),
    (["set-env", "A=1", "B"], {}, ["M SetEnvList [] ['A=1', 'B'] True"]),
    (["unset-env", "A", "B"], {}, ["M UnsetEnvList [] ['A', 'B']"]),
    (["reset-env"], {}, ["M ResetEnv []"]),
])
def test_c137_the_calls_of_each_command(peer: Peer, svc: Job, words: List[str], environment: "dict[str, str]", calls: List[str]) -> None:
    svc.add("", processes=[("main", 1)])
    peer.variables.append("A=1")
    peer.answers["Start"] = lambda call: None if call.interface == INSTANCE else ("o", svc.path + "/_")
    peer.answers["Stop"] = lambda call: None
    assert peer.run("initctl", *words, **environment).status == 0
    objects = {"/com/ubuntu/Upstart": "M", svc.path: "J", svc.path + "/_": "I"}
    assert [" ".join([objects[path], *(str(word).replace("com.ubuntu.Upstart0_6.", "").replace("com.ubuntu.", "") for word in rest)])
            for path, *rest in peer.made()] == calls

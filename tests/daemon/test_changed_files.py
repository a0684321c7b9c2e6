"""What a changed job file does to a running job: the reload rule, end to end (D79-D137; checklist 22-49)."""
from __future__ import annotations

import os
import pathlib
import signal
import threading

import pytest

from tests.control.client import Client as Listener
from tests.daemon.conftest import Launch
from tests.daemon.running import MANAGER, Daemon, E, Failed, U, eventually

OLD = "exec sh -c 'echo old; exec sleep 1000'\n"
NEW = "exec sh -c 'echo new; exec sleep 1000'\n"


def wait_pending(daemon: Daemon, name: str, count: int = 1) -> None:
    """Wait until a written file has been read: --debug says so."""
    line = f"conf_reload_path: Loading {name} from "
    eventually(lambda: daemon.output.count(line) > count, daemon.log)


def author(daemon: Daemon, name: str) -> str:
    return str(daemon.client.get(daemon.job(name), U + ".Job", "author"))


def test_d119_d121_restart_keeps_the_old_definition_and_stop_start_takes_the_new(launch: Launch) -> None:
    daemon = launch({"j.conf": OLD}, level="--debug")
    daemon.start("j")
    pid = daemon.main_pid("j")
    daemon.wait_job_log("j", "old\n")
    daemon.write("j.conf", NEW)
    wait_pending(daemon, "j")
    assert daemon.main_pid("j") == pid
    daemon.restart("j")
    assert daemon.main_pid("j") != pid
    daemon.wait_job_log("j", "old\nold\n")
    daemon.stop("j")
    daemon.start("j")
    daemon.wait_job_log("j", "old\nold\nnew\n")


def test_d119_respawn_keeps_the_old_definition(launch: Launch) -> None:
    daemon = launch({"j.conf": "respawn\n" + OLD}, level="--debug")
    daemon.start("j")
    daemon.wait_job_log("j", "old\n")
    daemon.write("j.conf", "respawn\n" + NEW)
    wait_pending(daemon, "j")
    pid = daemon.main_pid("j")
    os.kill(pid, signal.SIGKILL)
    daemon.wait_job_log("j", "old\nold\n")
    daemon.wait_running("j")
    assert daemon.main_pid("j") != pid


def test_d119_d44_all_instances_must_stop_before_the_new_definition_counts(launch: Launch) -> None:
    text = "instance $N\n"
    daemon = launch({"j.conf": text + OLD}, level="--debug")
    daemon.start("j", "N=1")
    daemon.start("j", "N=2")
    daemon.write("j.conf", text + NEW)
    wait_pending(daemon, "j")
    daemon.stop("j", "N=1")
    daemon.start("j", "N=3")
    daemon.wait_job_log("j-3", "old\n")
    daemon.stop("j", "N=2")
    daemon.stop("j", "N=3")
    daemon.start("j", "N=4")
    daemon.wait_job_log("j-4", "new\n")


@pytest.mark.parametrize("replaced", ["modified", "renamed over", "deleted and created"])
def test_d121_d92_d124_ways_to_change_a_file_under_a_running_job(launch: Launch, replaced: str) -> None:
    daemon = launch({"j.conf": OLD}, level="--debug")
    daemon.start("j")
    pid = daemon.main_pid("j")
    if replaced == "renamed over":
        (daemon.conf / "j.conf.new").write_text(NEW)
        (daemon.conf / "j.conf.new").rename(daemon.conf / "j.conf")
    else:
        if replaced == "deleted and created":
            (daemon.conf / "j.conf").unlink()
        daemon.write("j.conf", NEW)
    wait_pending(daemon, "j")
    assert daemon.main_pid("j") == pid
    daemon.stop("j")
    daemon.start("j")
    daemon.wait_job_log("j", "new\n")


def test_d122_broken_rewrite_of_a_running_job(launch: Launch) -> None:
    daemon = launch({"j.conf": OLD})
    daemon.start("j")
    daemon.write("j.conf", "exec true\nbogus\n")
    daemon.wait_errors(f"init:{daemon.conf}/j.conf:2: Unknown stanza\n")
    pid = daemon.main_pid("j")
    daemon.restart("j")
    assert daemon.main_pid("j") != pid
    daemon.wait_job_log("j", "old\nold\n")
    daemon.stop("j")
    daemon.wait_unknown("j")
    assert daemon.initctl("status", "j") == (1, "", "initctl: Unknown job: j\n")


def test_d122_broken_rewrite_of_an_idle_job(launch: Launch) -> None:
    daemon = launch({"j.conf": OLD})
    daemon.write("j.conf", "bogus\n")
    daemon.wait_unknown("j")
    daemon.write("j.conf", NEW)
    daemon.wait_known("j")


def test_d122_d127_broken_or_deleted_file_falls_back_to_a_lower_one(launch: Launch) -> None:
    directory = launch().directory / "low"
    directory.mkdir()
    (directory / "j.conf").write_text("author low\n")
    daemon = launch({"j.conf": "author high\n"}, ("--append-confdir", str(directory)))
    assert author(daemon, "j") == "high"
    daemon.write("j.conf", "bogus\n")
    eventually(lambda: author(daemon, "j") == "low")
    daemon.write("j.conf", "author higher\n")
    eventually(lambda: author(daemon, "j") == "higher")
    (daemon.conf / "j.conf").unlink()
    eventually(lambda: author(daemon, "j") == "low")


def test_d123_d130_deleted_file_of_a_running_job(launch: Launch) -> None:
    daemon = launch({"j.conf": OLD, "k.conf": "exec true\n"})
    daemon.start("j")
    (daemon.conf / "j.conf").unlink()
    (daemon.conf / "k.conf").unlink()
    # Handled in order: the first deletion has been seen.
    daemon.wait_unknown("k")
    pid = daemon.main_pid("j")
    assert daemon.initctl("status", "j") == (0, f"j start/running, process {pid}\n", "")
    assert daemon.initctl("start", "j") == (1, "", "initctl: Job is already running: j\n")
    assert daemon.initctl("restart", "j")[0] == 0
    assert daemon.initctl("stop", "j") == (0, "j stop/waiting\n", "")
    assert not daemon.knows("j")


def test_d115_half_matched_condition_survives_an_edit(launch: Launch) -> None:
    daemon = launch({"j.conf": "start on a and b\n" + OLD}, level="--debug")
    daemon.emit("a", wait=False)
    daemon.write("j.conf", "start on a and b\n" + NEW)
    wait_pending(daemon, "j")
    daemon.emit("b", wait=False)
    daemon.wait_job_log("j", "new\n")


def test_d93_half_matched_condition_does_not_survive_deletion(launch: Launch) -> None:
    daemon = launch({"j.conf": "start on a and b\n" + OLD})
    daemon.emit("a", wait=False)
    (daemon.conf / "j.conf").unlink()
    daemon.wait_unknown("j")
    daemon.write("j.conf", "start on a and b\n" + NEW)
    daemon.wait_known("j")
    daemon.emit("b", wait=False)
    daemon.emit("fence")
    assert daemon.instances("j") == {}


def test_d134_reload_replaces_every_idle_job_and_leaves_running_ones(launch: Launch) -> None:
    daemon = launch({"idle.conf": "exec true\n", "run.conf": OLD})
    daemon.start("run")
    pid = daemon.main_pid("run")
    listener = Listener(daemon.address)
    try:
        listener.sync()
        listener.messages.clear()
        listener.call(MANAGER, U, "ReloadConfiguration")
        assert listener.signals() == [("JobRemoved", MANAGER, daemon.job("idle")), ("JobAdded", MANAGER, daemon.job("idle"))]
    finally:
        listener.close()
    assert daemon.main_pid("run") == pid
    assert daemon.errors == ""


def test_d85_overrides_at_run_time(launch: Launch) -> None:
    daemon = launch({"j.conf": "start on a\n" + OLD}, level="--debug")
    daemon.write("j.override", "manual\n")
    wait_pending(daemon, "j")
    daemon.emit("a")
    assert daemon.instances("j") == {}
    (daemon.conf / "j.override").unlink()
    wait_pending(daemon, "j", 2)
    daemon.emit("a")
    daemon.wait_running("j")


def test_d104_more_file_changes_than_the_kernel_keeps(launch: Launch) -> None:
    daemon = launch({"j.conf": OLD, "run.conf": OLD})
    daemon.start("run")
    pid = daemon.main_pid("run")
    limit = int(pathlib.Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        eventually(lambda: daemon.status("State").startswith("T"))
        path = daemon.conf / "noise.conf"
        for number in range(limit // 3 + 100):
            path.write_text(f"author {number}\n")
            path.unlink()
        daemon.write("j.conf", "author new\n")
        daemon.write("last.conf", "author last\n")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    daemon.wait_known("last")
    eventually(lambda: author(daemon, "j") == "new")
    assert not daemon.knows("noise")
    assert daemon.main_pid("run") == pid


def test_d133_reload_configuration_while_calls_come_in(launch: Launch) -> None:
    daemon = launch({f"j{number}.conf": "exec sleep 1000\n" for number in range(30)})
    failures: list[BaseException] = []

    def reloads() -> None:
        try:
            client = daemon.connect()
            for _ in range(20):
                client.call(MANAGER, U, "ReloadConfiguration")
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=reloads)
    thread.start()
    for number in range(30):
        daemon.start(f"j{number}")
    thread.join()
    assert failures == []
    assert all(daemon.running(f"j{number}") for number in range(30))
    with pytest.raises(Failed) as caught:
        daemon.start("none")
    assert caught.value.name == E + "UnknownJob"

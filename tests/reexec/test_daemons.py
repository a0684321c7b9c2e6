"""A real daemon over a re-exec: callers, output, timers, what happens meanwhile, and what goes wrong (D175-D197, D208-D247)."""
from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import stat
import sys
import threading
import time
from typing import Any, List

import pytest

from compat.state.document import FORMAT
from tests.daemon.conftest import Launch
from tests.daemon.running import MANAGER, PROPERTIES, ROOT, Daemon, E, F, Failed, U, after, alive, eventually
from tests.reexec.re_executing import Waiting, descriptors, lines, re_execute, runs

SLEEP = "exec sleep 100000\n"


def arguments(daemon: Daemon) -> List[str]:
    return pathlib.Path(f"/proc/{daemon.pid}/cmdline").read_text().split("\0")[:-1]


# -- callers (D239) ----------------------------------------------------------------------------------------------------


def test_d239_callers_get_their_answers_over_the_same_connection(launch: Launch, place: pathlib.Path) -> None:
    go = place / "go"
    wait = f"while ! [ -e {go} ]; do sleep 0.05; done"
    daemon = launch({
        "slow.conf": f"pre-start script\n{wait}\nend script\n{SLEEP}",
        "bad.conf": f"pre-start script\n{wait}\nexit 1\nend script\n{SLEEP}",
        "many.conf": f"instance $N\npre-start script\n{wait}\nend script\n{SLEEP}",
        "held.conf": f"post-stop script\n{wait}\nend script\n{SLEEP}",
        "again.conf": f"pre-stop script\n{wait}\nend script\n{SLEEP}",
        "work.conf": f"task\nstart on work\nscript\n{wait}\nend script\n",
        "fails.conf": f"task\nstart on failing\nscript\n{wait}\nexit 7\nend script\n"})
    for name in ("held", "again"):
        daemon.start(name)

    def call(path: str, interface: str, member: str, signature: str, *values: object) -> Waiting:
        return Waiting(daemon.connect(), path, interface, member, signature, *values)

    job, instance = U + ".Job", U + ".Instance"
    paths = {name: daemon.job(name) for name in ("slow", "bad", "many", "held", "again")}
    callers = {
        "start": call(paths["slow"], job, "Start", "asb", [], True),
        "start that fails": call(paths["bad"], job, "Start", "asb", [], True),
        "start of an instance": call(paths["many"], job, "Start", "asb", ["N=1"], True),
        "stop": call(paths["held"] + "/_", instance, "Stop", "b", True),
        "restart": call(paths["again"], job, "Restart", "asb", [], True),
        "emit": call(MANAGER, U, "EmitEvent", "sasb", "work", ["A=b"], True),
        "emit that fails": call(MANAGER, U, "EmitEvent", "sasb", "failing", [], True)}
    states = {"slow": "pre-start", "bad": "pre-start", "held": "post-stop", "again": "pre-stop", "work": "running", "fails": "running"}
    eventually(lambda: all(daemon.instances(name).get("", ("", ""))[1] == state for name, state in states.items())
               and daemon.instances("many").get("1") == ("start", "pre-start"))
    # Twice: connections that were kept once are kept again.
    re_execute(daemon)
    re_execute(daemon)
    assert not any(caller.over for caller in callers.values())
    # The same connections are good for more.
    go.touch()
    assert callers["start"].wait() == paths["slow"] + "/_"
    assert callers["start of an instance"].wait() == paths["many"] + "/1"
    assert callers["stop"].wait() is None and callers["emit"].wait() is None
    assert callers["restart"].wait() == paths["again"] + "/_"
    for name, error, text in (("start that fails", "JobFailed", "Job failed to start"), ("emit that fails", "EventFailed", "Event failed")):
        with pytest.raises(Failed) as caught:
            callers[name].wait()
        assert (caught.value.name, caught.value.text) == (E + error, text)


def test_d239_initctl_notices_nothing(launch: Launch, place: pathlib.Path) -> None:
    go = place / "go"
    daemon = launch({"work.conf": f"task\nstart on work\nscript\nwhile ! [ -e {go} ]; do sleep 0.05; done\nend script\n",
                     "slow.conf": f"pre-start script\nwhile ! [ -e {go} ]; do sleep 0.05; done\nend script\n{SLEEP}"})
    with daemon.initctl_process("emit", "work") as emit, daemon.initctl_process("start", "slow") as start:
        eventually(lambda: daemon.running("work") and daemon.instances("slow").get("") == ("start", "pre-start"))
        re_execute(daemon)
        go.touch()
        assert emit.communicate(timeout=20) == ("", "") and emit.returncode == 0
        output, errors = start.communicate(timeout=20)
    assert (start.returncode, errors) == (0, "")
    assert output == f"slow start/running, process {daemon.main_pid('slow')}\n"


def test_d242_whoever_connects_meanwhile_waits(launch: Launch) -> None:
    daemon = launch({"a.conf": SLEEP})
    stop = threading.Event()
    failures: List[BaseException] = []

    def connect_and_ask() -> None:
        try:
            while not stop.is_set():
                client = daemon.connect()
                daemon.clients.remove(client)
                client.get(MANAGER, U, "version")
                client.close()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=connect_and_ask)
    thread.start()
    for _ in range(3):
        re_execute(daemon)
    stop.set()
    thread.join(20)
    assert failures == [] and not thread.is_alive()


def test_d239_nobody_is_cut_off_who_takes_long_to_say_who_it_is(launch: Launch) -> None:
    """There is always one of them in the midst of it, as on a busy machine."""
    daemon = launch({"a.conf": SLEEP})
    stop = threading.Event()
    failures: List[BaseException] = []

    def connect_slowly_and_say_something() -> None:
        try:
            while not stop.is_set():
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(30)
                    client.connect("\0" + daemon.address.partition("abstract=")[2])
                    client.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
                    assert client.recv(1000).startswith(b"OK ")
                    time.sleep(0.2)
                    client.sendall(b"NEGOTIATE_UNIX_FD\r\n")
                    assert client.recv(1000) == b"AGREE_UNIX_FD\r\n"
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=connect_slowly_and_say_something) for _ in range(4)]
    for number, thread in enumerate(threads):
        thread.start()
        # So that their pauses do not coincide.
        time.sleep(0.05 * number)
    for _ in range(2):
        re_execute(daemon)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failures == [] and not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("kept", [False, True])
def test_d162_who_does_not_read_does_not_hold_up_the_end(launch: Launch, kept: bool) -> None:
    daemon = launch({"none.conf": "start on work\ninstance $N\n"})
    for number in range(1000):
        daemon.emit("work", f"N={number}", wait=False)
    deaf = daemon.connect()
    deaf.get(MANAGER, U, "version")
    if kept:
        re_execute(daemon)
    # Each of them is told in signals, all at once, and that is more than a socket takes.
    assert daemon.terminate() == 0


def test_c48_restarted_is_announced_on_kept_connections(launch: Launch) -> None:
    daemon = launch({"a.conf": SLEEP})
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect("\0" + daemon.address.partition("abstract=")[2])
        client.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        heard = b""
        while b"OK " not in heard:
            heard += client.recv(1000)
        assert daemon.client.get(MANAGER, U, "version")
        re_execute(daemon)
        while b"Restarted" not in heard:
            heard += client.recv(1000)


# -- jobs -----------------------------------------------------------------------------------------------------------------


def test_d215_no_line_of_output_is_lost(launch: Launch) -> None:
    daemon = launch({"talk.conf": "script\ni=0\nwhile [ $i -lt 100000 ]; do i=$((i+1)); echo line $i; sleep 0.01; done\nend script\n"})
    daemon.start("talk")
    for _ in range(3):
        re_execute(daemon)
    said = len(daemon.job_log("talk").splitlines())
    eventually(lambda: len(daemon.job_log("talk").splitlines()) > said + 20)
    found = daemon.job_log("talk").splitlines()[:said + 20]
    assert found == [f"line {number}" for number in range(1, said + 21)]


def test_d206_output_that_could_not_be_written_is_not_lost(launch: Launch) -> None:
    daemon = launch({"talk.conf": "script\necho first\nread x < /dev/null || true\nwhile sleep 0.05; do echo more; done\nend script\n"})
    # A directory in the place of the file: nothing can be written.
    (daemon.logs / "talk.log").mkdir()
    daemon.start("talk")
    time_to_talk = daemon.main_pid("talk")
    eventually(lambda: alive(time_to_talk) and daemon.cpu_seconds() >= 0)
    re_execute(daemon)
    (daemon.logs / "talk.log").rmdir()
    daemon.wait_job_log("talk", "more\nmore")
    assert daemon.job_log("talk").startswith("first\nmore\n")


def test_d232_the_kill_timer_goes_on(launch: Launch) -> None:
    daemon = launch({"deaf.conf": "kill timeout 3\nscript\ntrap '' TERM\necho deaf\nwhile :; do sleep 0.1; done\nend script\n"})
    daemon.start("deaf")
    daemon.wait_job_log("deaf", "deaf")
    pid = daemon.main_pid("deaf")
    begin = time.monotonic()
    daemon.stop("deaf", wait=False)
    re_execute(daemon)
    assert daemon.instances("deaf") == {"": ("stop", "killed")}
    eventually(lambda: not alive(pid))
    assert 2.9 <= time.monotonic() - begin < 10
    daemon.wait_stopped("deaf")
    assert daemon.output.count("Sending KILL signal to deaf main process") == 1


def test_d236_d237_what_ends_meanwhile_ended_as_it_did(launch: Launch, place: pathlib.Path) -> None:
    """The daemon is stopped, so that it cannot see the ends before it is asked to re-execute; it sees all of that in one turn."""
    wait = "script\nwhile ! [ -e %s ]; do sleep 0.02; done\nexit 3\nend script\n"
    go = place / "go"
    daemon = launch({
        "task.conf": "task\nstart on work\n" + wait % go,
        "note.conf": f"task\nstart on stopped task\nscript\nenv > {place}/note\nend script\n",
        "server.conf": "respawn\n" + SLEEP})
    daemon.start("server")
    emitter = Waiting(daemon.connect(), MANAGER, U, "EmitEvent", "sasb", "work", [], True)
    eventually(lambda: daemon.running("task"))
    server, task = daemon.main_pid("server"), daemon.main_pid("task")
    # The trial takes much longer than it takes these to end.
    restart = Waiting(daemon.connect(), MANAGER, U, "Restart")
    daemon.wait_output("Restarting")
    os.kill(daemon.pid, signal.SIGSTOP)
    go.touch()
    os.kill(server, signal.SIGKILL)
    eventually(lambda: not alive(task) and not alive(server))
    os.kill(daemon.pid, signal.SIGCONT)
    with pytest.raises(Failed):
        restart.wait()
    eventually(lambda: runs(daemon) == 1)
    with pytest.raises(Failed, match="Event failed"):
        emitter.wait()
    daemon.wait_respawned("server", server)
    assert daemon.output.count("server goal changed from stop to start") == 1
    eventually(lambda: {"RESULT=failed", "EXIT_STATUS=3", "PROCESS=main"} <= set(lines(place / "note")))


def test_d210_the_respawn_limit_is_counted_over_it(launch: Launch) -> None:
    daemon = launch({"dies.conf": "respawn\nrespawn limit 3 100\n" + SLEEP})
    daemon.start("dies")
    for number in range(4):
        pid = daemon.main_pid("dies")
        os.kill(pid, signal.SIGKILL)
        if number < 3:
            daemon.wait_respawned("dies", pid)
        if number == 1:
            re_execute(daemon)
    daemon.wait_errors("dies respawning too fast, stopped")


def test_d183_files_that_changed_meanwhile(launch: Launch) -> None:
    daemon = launch({"running.conf": "env A=old\nexport A\n" + SLEEP, "idle.conf": "description old\nexec true\n", "gone.conf": SLEEP,
                     "gone-too.conf": "exec true\n", "over.conf": "exec true\n", "half.conf": "start on one and two\n" + SLEEP})
    for name in ("running", "gone"):
        daemon.start(name)
    daemon.emit("one", wait=False)
    os.kill(daemon.pid, signal.SIGSTOP)
    restart = Waiting(daemon.connect(), MANAGER, U, "Restart")
    daemon.write("running.conf", "env A=new\nexport A\n" + SLEEP)
    daemon.write("idle.conf", "description new\nexec true\n")
    daemon.write("fresh.conf", "exec true\n")
    daemon.write("over.override", "description overridden\n")
    for name in ("gone", "gone-too"):
        (daemon.conf / f"{name}.conf").unlink()
    os.kill(daemon.pid, signal.SIGCONT)
    with pytest.raises(Failed):
        restart.wait()
    eventually(lambda: runs(daemon) == 1)

    def description(name: str) -> str:
        return str(daemon.client.get(daemon.job(name), U + ".Job", "description"))

    assert description("idle") == "new" and description("over") == "overridden" and daemon.knows("fresh")
    assert not daemon.knows("gone-too") and daemon.running("gone")
    daemon.stop("gone")
    daemon.wait_unknown("gone")
    assert daemon.client.call(MANAGER, U, "GetEnv", "ass", ["running", ""], "A") == "old", "D240: the old definition until it stops"
    daemon.stop("running")
    daemon.start("running")
    assert daemon.client.call(MANAGER, U, "GetEnv", "ass", ["running", ""], "A") == "new"
    daemon.emit("two", wait=False)
    daemon.wait_running("half")


def test_d208_environment_tables_priority_and_descriptor_limit(launch: Launch) -> None:
    limits = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 1000))"
    daemon = launch({"a.conf": "script\necho limit $(ulimit -n) $A\nend script\n"}, prefix=after(limits))
    daemon.client.call(MANAGER, U, "SetEnv", "assb", [], "A=1", True)
    daemon.client.call(MANAGER, PROPERTIES, "Set", "ssv", U, "log_priority", "info")
    for _ in range(2):
        re_execute(daemon)
    assert daemon.client.call(MANAGER, U, "GetEnv", "ass", [], "A") == "1"
    daemon.client.call(MANAGER, PROPERTIES, "Set", "ssv", U, "log_priority", "error")
    with pytest.raises(Failed):
        daemon.connect().call(MANAGER, U, "Restart")
    eventually(lambda: daemon.client.get(MANAGER, U, "log_priority") == "error" and "--verbose" not in arguments(daemon), "D245")
    daemon.start("a", wait=False)
    daemon.wait_job_log("a", "limit 200 1")


def test_d179_the_command_line_does_not_grow(launch: Launch) -> None:
    daemon = launch({}, ["--write-state-file"])
    first = arguments(daemon)
    re_execute(daemon)
    second = arguments(daemon)
    for _ in range(2):
        re_execute(daemon)
    third = arguments(daemon)
    assert sorted(word for word in second if not word.isdigit()) == sorted(word for word in third if not word.isdigit())
    assert second.count("--verbose") == 1 and second.count("--restart") == 1 and second.count("--state-fd") == 1
    assert set(first) <= set(second)
    state = json.loads((daemon.logs / "upstart.state").read_text())
    assert {"sessions", "events", "job_environment", "job_classes", "conf_sources"} <= set(state), "D25"
    assert stat.S_IMODE((daemon.logs / "upstart.state").stat().st_mode) == 0o400


def test_d45_nothing_is_started_or_lost_in_many_of_them(launch: Launch) -> None:
    daemon = launch({"boot.conf": "start on startup\ntask\nexec true\n", "a.conf": SLEEP, "b.conf": "respawn\n" + SLEEP})
    daemon.start("a")
    daemon.start("b")
    pids = daemon.main_pid("a"), daemon.main_pid("b")
    re_execute(daemon)
    before = descriptors(daemon.pid)
    for _ in range(5):
        re_execute(daemon)
    assert (daemon.main_pid("a"), daemon.main_pid("b")) == pids
    assert descriptors(daemon.pid) <= before + 1
    assert daemon.output.count("boot main process") == 2, "it ran once: its start and its end"
    assert daemon.terminate() == 0
    assert not any(map(alive, pids))


# -- asking ----------------------------------------------------------------------------------------------------------------


def test_c47_get_state(launch: Launch) -> None:
    daemon = launch({"a.conf": SLEEP, "b.conf": "exec true\n"})
    daemon.start("a")
    state = json.loads(daemon.client.call(MANAGER, U, "GetState"))
    assert state["meta"]["format"] == FORMAT
    assert [job["name"] for job in state["job_classes"]] == ["a", "b"] or [job["name"] for job in state["job_classes"]] == ["b", "a"]
    assert [job["pid"][0] for each in state["job_classes"] for job in each["jobs"]] == [daemon.main_pid("a")]
    assert {entry["path"] for source in state["conf_sources"] for entry in source["conf_files"]} == {
        str(daemon.conf / "a.conf"), str(daemon.conf / "b.conf")}


def test_d247_not_while_the_session_ends(launch: Launch) -> None:
    daemon = launch({"a.conf": "kill timeout 30\nscript\ntrap '' TERM\necho deaf\nwhile :; do sleep 0.1; done\nend script\n"})
    daemon.start("a")
    daemon.wait_job_log("a", "deaf")
    daemon.client.call(MANAGER, U, "EndSession")
    with pytest.raises(Failed, match="The session is ending"):
        daemon.client.call(MANAGER, U, "Restart")


def test_d243_a_second_request_meanwhile(launch: Launch) -> None:
    daemon = launch({"a.conf": SLEEP})
    requests = [Waiting(daemon.connect(), MANAGER, U, "Restart") for _ in range(3)]
    for each in requests:
        with pytest.raises(Failed):
            each.wait()
    eventually(lambda: runs(daemon) >= 1)
    assert daemon.client.get(MANAGER, U, "version")


# -- what goes wrong ---------------------------------------------------------------------------------------------------------


def script(place: pathlib.Path, text: str = "") -> pathlib.Path:
    """The daemon as a program of its own, which a test can break."""
    path = place / "program"
    path.write_text(f"#!{sys.executable}\nimport os, sys\nsys.path.insert(0, {str(ROOT)!r})\n{text}\n"
                    "from compat.daemon import main\nsys.exit(main())\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("break_it, reason", [
    (lambda path: path.unlink(), "No such file or directory"),
    (lambda path: path.write_text("#!/no/such/python\n"), "No such file or directory"),
    (lambda path: path.write_text(f"#!{sys.executable}\nimport no_such_module\n"), "No module named 'no_such_module'"),
    (lambda path: path.write_text(f"#!{sys.executable}\n"), "it ended without a word"),
    (lambda path: path.chmod(0o644), "Permission denied"),
], ids=["missing", "no interpreter", "half an upgrade", "silent", "not executable"])
def test_d244_a_program_that_does_not_start_changes_nothing(launch: Launch, place: pathlib.Path, break_it: Any, reason: str) -> None:
    program = script(place)
    daemon = launch({"a.conf": SLEEP}, python=(str(program),))
    daemon.start("a")
    pid = daemon.main_pid("a")
    break_it(program)
    with pytest.raises(Failed, match=reason) as caught:
        daemon.client.call(MANAGER, U, "Restart")
    assert caught.value.name == F + "Failed"
    daemon.wait_errors(reason)
    check_at_work(daemon, pid)
    daemon.start("a")
    pid = daemon.main_pid("a")
    script(place)
    re_execute(daemon)
    assert daemon.main_pid("a") == pid


def check_at_work(daemon: Daemon, pid: int) -> None:
    """The old daemon does everything that it did, for old and new connections."""
    assert daemon.main_pid("a") == pid and runs(daemon) == 0
    assert daemon.connect().get(MANAGER, U, "version")
    daemon.stop("a")
    assert not alive(pid)
    daemon.start("a")
    os.kill(daemon.main_pid("a"), signal.SIGKILL)
    daemon.wait_stopped("a")
    daemon.write("b.conf", "exec true\n")
    daemon.wait_known("b")


def test_d182_an_exec_that_fails_after_a_good_trial(launch: Launch, place: pathlib.Path) -> None:
    """The program is gone right after it was tried out."""
    program = script(place, "if '--version' in sys.argv: os.unlink(sys.argv[0])")
    daemon = launch({"a.conf": SLEEP}, python=(str(program),))
    daemon.start("a")
    pid = daemon.main_pid("a")
    before = descriptors(daemon.pid)
    with pytest.raises(Failed, match="Failed to re-execute .*program: No such file or directory"):
        daemon.client.call(MANAGER, U, "Restart")
    eventually(lambda: descriptors(daemon.pid) <= before)
    check_at_work(daemon, pid)


def test_d182_after_a_failure_clients_that_were_kept_before_go_on(launch: Launch, place: pathlib.Path) -> None:
    program = script(place)
    daemon = launch({"a.conf": SLEEP}, python=(str(program),))
    kept = daemon.connect()
    kept.get(MANAGER, U, "version")
    re_execute(daemon)
    script(place, "if '--version' in sys.argv: os.unlink(sys.argv[0])")
    with pytest.raises(Failed, match="Failed to re-execute"):
        daemon.connect().call(MANAGER, U, "Restart")
    assert kept.get(MANAGER, U, "version")


def given(state: bytes) -> List[str]:
    """A command prefix: the daemon finds this text at descriptor 9."""
    return after(f"fd=os.memfd_create('state', 0); os.write(fd, {state!r}); os.lseek(fd, 0, 0); os.dup2(fd, 9)")


def test_d186_text_that_is_no_state(launch: Launch) -> None:
    daemon = launch({"a.conf": "start on startup\nexec true\n"}, ["--restart", "--state-fd", "9"], prefix=given(b'{"sessions":'))
    assert "Detected invalid serialisation data" in daemon.errors
    assert "Failed to read serialisation data - reverting to stateless re-exec" in daemon.errors
    saved = daemon.logs / "upstart.state"
    assert saved.read_bytes() == b'{"sessions":' and stat.S_IMODE(saved.stat().st_mode) == 0o400
    assert daemon.knows("a") and "a goal changed" not in daemon.output, "no start-up event"


def test_d228_what_the_state_does_not_say_the_journal_says(launch: Launch, place: pathlib.Path) -> None:
    """The state is damaged on its way, and still no job is lost or doubled."""
    damage = "if '--state-fd' in sys.argv: os.ftruncate(int(sys.argv[sys.argv.index('--state-fd') + 1]), 100)"
    program = script(place, damage)
    daemon = launch({"a.conf": "respawn\n" + SLEEP, "b.conf": SLEEP}, python=(str(program),))
    for name in ("a", "b"):
        daemon.start(name)
    pids = daemon.main_pid("a"), daemon.main_pid("b")
    with pytest.raises(Failed):
        daemon.connect().call(MANAGER, U, "Restart")
    daemon._client = None
    daemon.wait_ready()
    daemon.wait_errors("Detected invalid serialisation data")
    assert (daemon.main_pid("a"), daemon.main_pid("b")) == pids
    assert "no longer supervised" not in daemon.errors
    os.kill(pids[0], signal.SIGKILL)
    daemon.wait_respawned("a", pids[0])
    daemon.stop("b")
    assert not alive(pids[1])


def test_d227_a_state_of_a_later_program(launch: Launch) -> None:
    state = {"sessions": [], "events": [], "job_classes": [], "meta": {"format": FORMAT + 1, "version": "99.0"}}
    daemon = launch({"a.conf": SLEEP}, ["--restart", "--state-fd", "9"], prefix=given(json.dumps(state).encode()))
    assert "version 99.0" in daemon.errors and (daemon.logs / "upstart.state").exists()
    daemon.start("a")


def test_d188_a_state_of_upstarts_without_sources(launch: Launch) -> None:
    state = {"sessions": [], "events": [], "job_classes": [], "job_environment": ["A=b"]}
    daemon = launch({"a.conf": SLEEP}, ["--restart", "--state-fd", "9"], prefix=given(json.dumps(state).encode()))
    assert daemon.knows("a") and daemon.client.call(MANAGER, U, "GetEnv", "ass", [], "A") == "b"
    assert "Stateful re-exec completed" in daemon.output


def test_d228_processes_that_nobody_supervises_any_more_are_named(launch: Launch) -> None:
    code = "pid=os.fork(); pid or os.execvp('sleep', ['sleep', '100']); " + given(b"x")[2].split("; ", 1)[1]
    daemon = launch({}, ["--restart", "--state-fd", "9"], prefix=[sys.executable, "-c", "import os, resource, socket, sys; " + code])
    assert "Processes that are no longer supervised: " in daemon.errors


def test_d229_a_process_that_is_not_there_counts_as_ended(launch: Launch) -> None:
    donor = launch({"a.conf": SLEEP, "b.conf": "respawn\n" + SLEEP})
    donor.start("a")
    donor.start("b")
    state = donor.client.call(MANAGER, U, "GetState")
    heir = launch({"a.conf": SLEEP, "b.conf": "respawn\n" + SLEEP}, ["--restart", "--state-fd", "9"], prefix=given(state.encode()))
    eventually(lambda: heir.instances("a") == {} and heir.running("b"))
    assert alive(donor.main_pid("a")) and alive(donor.main_pid("b")), "somebody else's, and left alone"
    assert heir.main_pid("b") != donor.main_pid("b")


def test_d185_a_pipe_that_never_delivers(launch: Launch) -> None:
    prefix = after("r, w = os.pipe(); os.set_inheritable(w, True); os.dup2(r, 9)")
    begin = time.monotonic()
    daemon = launch({"a.conf": SLEEP}, ["--restart", "--state-fd", "9"], prefix=prefix, environment={"UPSTART_STATE_WAIT_SECS": "1"})
    assert time.monotonic() - begin >= 1
    assert "nothing more came within 1 seconds" in daemon.errors and daemon.knows("a")


def test_d186_restart_alone(launch: Launch) -> None:
    daemon = launch({"a.conf": "start on startup\nexec true\n"}, ["--restart"])
    assert "Stateful re-exec supported but stateless re-exec requested" in daemon.errors
    assert "a goal changed" not in daemon.output
    daemon.emit("startup")
    assert "a goal changed" in daemon.output


def test_d2_a_descriptor_is_a_number(launch: Launch) -> None:
    daemon = launch({}, ["--restart", "--state-fd", "x"], wait=False)
    assert daemon.wait_end() == 1
    assert daemon.errors.startswith("init: illegal argument: x\nTry `init --help'")

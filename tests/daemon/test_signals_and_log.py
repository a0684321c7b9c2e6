"""Signals and the daemon's own log (D52-D69; checklist 15-20, 29, 35, 54-58)."""
from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.daemon.conftest import Launch
from tests.daemon.running import MANAGER, ROOT, F, Failed, U, alive, eventually


def test_d55_hangup_reloads(launch: Launch) -> None:
    daemon = launch({"a.conf": "exec sleep 1000\n"})
    before = daemon.output.count(f"Loading configuration from {daemon.conf}\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_output(f"Reloading configuration\nLoading configuration from {daemon.conf}\n")
    assert before == 1


def test_d57_terminate_ends_the_session(launch: Launch) -> None:
    daemon = launch({"a.conf": "exec sleep 1000\n"})
    daemon.start("a")
    pid = daemon.main_pid("a")
    assert daemon.terminate() == 0
    assert not alive(pid)


def test_d62_interrupt_is_like_terminate(launch: Launch) -> None:
    daemon = launch()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.wait_end() == 0
    assert "Quiescing due to shutdown request\n" in daemon.output
    assert list((daemon.runtime / "upstart/sessions").iterdir()) == []


def test_d62_stray_signals_do_not_end_a_session(launch: Launch) -> None:
    daemon = launch({"a.conf": "exec sleep 1000\n"})
    daemon.start("a")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPWR, signal.SIGWINCH, signal.SIGALRM, signal.SIGPIPE, signal.SIGCHLD):
        daemon.process.send_signal(number)
        # The hangup after it is handled, so it was survived.
        before = daemon.output.count("Reloading configuration")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda before=before: daemon.output.count("Reloading configuration") > before, daemon.log)
    assert daemon.running("a")
    assert daemon.errors == ""


def test_d64_log_priority_at_run_time(launch: Launch) -> None:
    daemon = launch(level="")
    assert daemon.initctl("log-priority") == (0, "message\n", "")
    daemon.emit("unseen")
    assert daemon.initctl("log-priority", "info") == (0, "", "")
    assert daemon.initctl("log-priority") == (0, "info\n", "")
    daemon.emit("seen")
    assert daemon.output.count("Handling unseen event") == 0
    assert daemon.output.count("Handling seen event\n") == 1
    assert daemon.initctl("log-priority", "bogus") == (1, "", "initctl: The log priority given was not recognised\n")
    assert daemon.initctl("log-priority") == (0, "info\n", "")
    with pytest.raises(Failed) as caught:
        daemon.client.call(MANAGER, "org.freedesktop.DBus.Properties", "Set", "ssv", U, "log_priority", "bogus")
    assert (caught.value.name, caught.value.text) == (F + "InvalidArgs", "The log priority given was not recognised")
    daemon.initctl("log-priority", "debug")
    daemon.emit("deep")
    assert "event_finished: Finished deep event\n" in daemon.output


@pytest.mark.parametrize(("level", "shown"), [
    ("", {"warn", "error"}), ("--quiet", {"error"}), ("-q", {"error"}), ("--verbose", {"info", "warn", "error"}),
    ("-v", {"info", "warn", "error"}), ("--debug", {"debug", "info", "warn", "error"}),
])
def test_d63_d26_d28_levels_and_d65_destinations(launch: Launch, level: str, shown: set[str]) -> None:
    daemon = launch({"bad.conf": "exec x\n\nbogus\n", "w.conf": "task\nexec sh -c 'exit 3'\n"}, level=level)
    with pytest.raises(Failed):
        daemon.start("w")
    found = set()
    if "event_finished: " in daemon.output:
        found.add("debug")
    if "\nw goal changed from stop to start\n" in daemon.output:
        found.add("info")
    if "init: w main process (" in daemon.errors and ") terminated with status 3\n" in daemon.errors:
        found.add("warn")
    # P25: no blank here, but one before a warning that begins with a job's name.
    if f"init:{daemon.conf}/bad.conf:3: Unknown stanza\n" in daemon.errors:
        found.add("error")
    assert found == shown
    assert "Unknown stanza" not in daemon.output


def test_d54_d58_environment_commands(launch: Launch) -> None:
    daemon = launch({"e.conf": "task\nexec env\n"}, ("--no-inherit-env",))

    def initctl(*arguments: str) -> tuple[int, str, str]:
        return daemon.initctl(*arguments)

    assert initctl("set-env", "A=1") == (0, "", "")
    daemon.start("e")
    daemon.wait_job_log("e", "A=1\n")
    assert initctl("set-env", "--retain", "A=2") == (0, "", "")
    assert initctl("get-env", "A") == (0, "1\n", "")
    assert initctl("unset-env", "A") == (0, "", "")
    assert initctl("get-env", "A") == (1, "", "initctl: No such variable: A\n")
    assert initctl("set-env", "X") == (0, "", "")
    assert initctl("get-env", "X") == (0, "\n", "")
    assert initctl("set-env", "FOO=1") == (0, "", "")
    assert initctl("unset-env", "FOOBAR") == (0, "", "")
    assert initctl("get-env", "FOO") == (0, "1\n", "")
    assert initctl("reset-env") == (0, "", "")
    assert initctl("list-env") == (0, f"PATH={os.environ['PATH']}\nTERM={daemon.mark}\n", "")


def test_d150_set_env_inside_a_job_is_the_instance_s_own(launch: Launch) -> None:
    initctl = f"env PYTHONPATH={ROOT} {sys.executable} -m compat.initctl"
    daemon = launch({"pre.conf": f"pre-start exec {initctl} set-env Q=1\nexec sh -c 'echo Q is $Q.; exec sleep 1000'\n",
                     "other.conf": "task\nexec sh -c 'echo Q is $Q.'\n",
                     "global.conf": f"task\nexec {initctl} set-env --global G=7\n"}, ("--no-inherit-env",))
    daemon.start("pre")
    daemon.wait_job_log("pre", "Q is 1.\n")
    daemon.start("other")
    daemon.wait_job_log("other", "Q is .\n")
    daemon.start("global")
    assert "G=7\n" in daemon.initctl("list-env", "--global")[1]

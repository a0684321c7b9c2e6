"""The socket of requests, with the launcher that asks."""
from __future__ import annotations

import errno
import os
import pathlib
import socket
import stat
import subprocess
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from compat.backends.native import LAUNCHER
from compat.units.request_socket import Asker, RequestSocket
from tests.daemon.running import eventually


class Loop:
    """As little of a main loop as is needed: ``turn`` calls every reader that is ready."""

    def __init__(self) -> None:
        self.readers: Dict[int, Callable[[], None]] = {}
        self.timers: List[Tuple[float, Callable[[], None]]] = []

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        assert fd not in self.readers
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.timers.append((seconds, callback))

    def turn(self) -> bool:
        for callback in list(self.readers.values()):
            callback()
        return True


class Served:
    def __init__(self, path: pathlib.Path) -> None:
        self.loop = Loop()
        self.lines: List[str] = []
        self.questions: List[Tuple[Asker, str, str]] = []
        self.socket = RequestSocket(str(path), self.loop, lambda priority, text: self.lines.append(text),
                                    lambda asker, verb, unit: self.questions.append((asker, verb, unit)))
        self.socket.open()
        self.socket.serve()

    def wait(self, count: int = 1) -> None:
        eventually(lambda: self.loop.turn() and len(self.questions) >= count)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "state" / "requests"


@pytest.fixture
def served(path: pathlib.Path) -> Iterator[Served]:
    served = Served(path)
    yield served
    served.socket.close()


def ask(path: pathlib.Path, verb: str, unit: str = "web.service", notify: Optional[pathlib.Path] = None, main: str = "7") -> Any:
    environment = {"MAINPID": main} if main else {}
    if notify is not None:
        environment["NOTIFY_SOCKET"] = str(notify)
    return subprocess.Popen([LAUNCHER, "ask", str(path), verb, unit], env=environment, stderr=subprocess.PIPE, text=True)


def ended(process: Any) -> Tuple[int, str]:
    errors = process.communicate(timeout=20)[1]
    return process.returncode, errors


def test_only_its_owner_may_ask(served: Served, path: pathlib.Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("verb", ["start", "stop", "reload"])
def test_done_and_failed(served: Served, path: pathlib.Path, verb: str) -> None:
    process = ask(path, verb)
    served.wait()
    asker, asked, unit = served.questions.pop()
    assert (asked, unit) == (verb, "web.service")
    asker.done()
    assert ended(process) == (0, "")
    process = ask(path, verb)
    served.wait()
    served.questions.pop()[0].failed("a reason")
    assert ended(process) == (1, "a reason\n")
    assert len(served.loop.readers) == 1


def test_systemd_hears_when_the_job_runs(served: Served, path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        process = ask(path, "start", notify=tmp_path / "notify")
        served.wait()
        served.questions[0][0].ready()
        assert notify.recv(100) == b"READY=1"
        assert process.poll() is None
        served.questions[0][0].failed("it died")
        assert ended(process) == (1, "it died\n")
        # A task: it is over when it has been started.
        process = ask(path, "start", notify=tmp_path / "notify")
        served.wait(2)
        served.questions[1][0].done()
        assert notify.recv(100) == b"READY=1" and ended(process)[0] == 0


def test_b204_a_question_is_put_again_to_the_next_daemon(path: pathlib.Path) -> None:
    first = Served(path)
    process = ask(path, "start")
    first.wait()
    dies(first)
    second = Served(path)
    second.wait()
    assert second.questions[0][1:] == ("start", "web.service")
    second.questions[0][0].taken()
    dies(second)
    second = Served(path)
    second.wait()
    assert second.questions[0][1:] == ("await", "web.service"), "it is under way"
    second.questions[0][0].ready()
    dies(second)
    third = Served(path)
    third.wait()
    assert third.questions[0][1:] == ("hold", "web.service"), "it runs already"
    third.questions[0][0].done()
    assert ended(process) == (0, "")
    third.socket.close()


def dies(served: Served) -> None:
    """As a daemon that is killed: its socket's name stays."""
    for asker in list(served.socket._askers.values()):
        asker.connection.detach()
    for descriptor in list(served.loop.readers):
        os.close(descriptor)
    served.socket._listener.detach()


def test_without_a_daemon(path: pathlib.Path) -> None:
    """No socket: it has ended in good order, and its jobs with it."""
    assert ended(ask(path, "stop")) == (0, "")
    code, errors = ended(ask(path, "start"))
    assert code == 1 and "does not answer" in errors


def test_who_holds_ends_with_the_daemon(path: pathlib.Path) -> None:
    served = Served(path)
    process = ask(path, "start")
    served.wait()
    served.questions[0][0].ready()
    served.socket.close()
    assert ended(process) == (0, "")


def test_a_stop_that_nobody_asked_for(served: Served, path: pathlib.Path) -> None:
    """systemd runs ExecStop after the end of the main process, without MAINPID."""
    assert ended(ask(path, "stop", main="")) == (0, "")
    served.loop.turn()
    assert served.questions == []


def test_who_hangs_up(served: Served, path: pathlib.Path) -> None:
    gone = []
    process = ask(path, "start")
    served.wait()
    served.questions[0][0].gone = lambda: gone.append(True)
    process.kill()
    process.communicate()
    eventually(lambda: served.loop.turn() and gone)
    assert len(served.loop.readers) == 1
    served.questions[0][0].done()


def test_nonsense(served: Served, path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect(str(path))
        peer.send(b"\xff\xfe")
        served.wait()
        served.questions[0][0].failed("no")
        assert peer.recv(100) == b"fno"


def test_too_many_connections_are_no_busy_loop(served: Served, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = served.socket._listener

    class Full:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        def __getattr__(self, name: str) -> Any:
            return getattr(listener, name)

    monkeypatch.setattr(served.socket, "_listener", Full())
    served.loop.turn()
    assert not served.loop.readers and served.lines == ["Unable to accept a request of a unit: Too many open files"]
    monkeypatch.undo()
    process = ask(path, "stop")
    served.loop.timers.pop()[1]()
    served.wait()
    served.questions[0][0].done()
    assert ended(process)[0] == 0

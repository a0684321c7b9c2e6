"""What the new program finds (D185, D186, D191, D196)."""
from __future__ import annotations

import os
import pathlib
import stat
import threading
import time
from typing import Dict, List, Optional, Tuple

import pytest

from compat.engine.core import Core
from compat.reexec import arrival
from compat.reexec.arrival import Inherited, patience, read_all, receive, save


@pytest.mark.parametrize("text, seconds", [(None, 3.0), ("7", 7.0), ("0", 0.0), ("-1", None), ("x", 3.0)])
def test_d38_how_long_to_wait(text: Optional[str], seconds: Optional[float]) -> None:
    environment: Dict[str, str] = {} if text is None else {"UPSTART_STATE_WAIT_SECS": text}
    assert patience(environment) == seconds


def test_d185_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    data = os.urandom(300_000)

    def write() -> None:
        with open(writing, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    assert read_all(reading, 10.0) == data
    thread.join()
    with pytest.raises(OSError):
        os.fstat(reading)


@pytest.mark.parametrize("said", [b"", b"half"])
def test_d185_a_pipe_that_does_not_end_is_given_up(said: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, said)
    begin, cpu = time.monotonic(), time.process_time()
    with pytest.raises(TimeoutError):
        read_all(reading, 0.3)
    assert time.monotonic() - begin >= 0.3 and time.process_time() - cpu < 0.2
    os.close(writing)


def test_d227_a_text_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "LARGEST", 1000)
    with pytest.raises(OSError, match="larger"):
        read_all(os.open("/dev/zero", os.O_RDONLY), 10.0)


def test_d196_the_state_file(tmp_path: pathlib.Path) -> None:
    for text in (b"first", b"second"):
        path = pathlib.Path(save(str(tmp_path), text))
        assert path == tmp_path / "upstart.state"
        assert path.read_bytes() == text and stat.S_IMODE(path.stat().st_mode) == 0o400


def test_d196_a_link_in_its_place_is_not_followed(tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "upstart.state").symlink_to(victim)
    save(str(tmp_path), b"text")
    assert victim.read_text() == "mine" and not (tmp_path / "upstart.state").is_symlink()


def test_d186_where_the_state_file_cannot_be_written_the_daemon_goes_on(tmp_path: pathlib.Path) -> None:
    said: List[Tuple[int, str]] = []
    reading, writing = os.pipe()
    os.write(writing, b"{")
    os.close(writing)
    log = lambda priority, text: said.append((priority, text))  # noqa: E731
    assert receive(reading, {}, Core({}, False, False, None), 0.0, Inherited(), str(tmp_path / "none"), False, log) is None
    assert any("Failed to write the state file" in text for _, text in said)


def test_d191_what_nobody_claims_is_closed() -> None:
    kept, unwanted = os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDONLY)
    inherited = Inherited()
    mine = set(map(int, os.listdir("/proc/self/fd"))) - {unwanted}
    later = os.open(os.devnull, os.O_RDONLY)
    for fd in mine:
        inherited.claim(fd)
    assert inherited.claim(kept) and not inherited.claim(later) and not inherited.claim(10 ** 6)
    inherited.close_rest()
    os.fstat(kept)
    os.fstat(later)
    with pytest.raises(OSError):
        os.fstat(unwanted)
    os.close(kept)
    os.close(later)

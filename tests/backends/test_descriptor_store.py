"""Descriptors in the service manager's store: kept, taken back once, and never mistaken (X260)."""
from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import List, Sequence, Tuple

import pytest

from compat.backends.descriptor_store import DescriptorStore
from compat.notify import Notifier
from tests.service_manager import ServiceManager

Sent = List[Tuple[str, Tuple[int, ...]]]


@pytest.fixture
def sent() -> Sent:
    return []


def store(sent: Sent, **given: str) -> DescriptorStore:
    def send(text: str, descriptors: Sequence[int]) -> bool:
        sent.append((text, tuple(descriptors)))
        return True

    return DescriptorStore(send, given)


def test_messages(sent: Sent) -> None:
    kept = store(sent)
    assert kept.keep("log.7", 5)
    kept.drop("log.7")
    assert sent == [("FDSTORE=1\nFDNAME=log.7\nFDPOLL=0", (5,)), ("FDSTOREREMOVE=1\nFDNAME=log.7", ())]


@pytest.mark.parametrize("given", [
    {}, {"LISTEN_FDS": "2"}, {"LISTEN_FDS": "2", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b"},
    {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())}, {"LISTEN_FDS": "-1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "a"}])
def test_what_is_not_meant_for_this_process_is_not_touched(sent: Sent, given: "dict[str, str]") -> None:
    kept = store(sent, **given)
    assert kept.take("a") == -1
    kept.forget_the_rest()
    assert sent == []


_CHILD = """
import os, sys
from compat.backends.descriptor_store import DescriptorStore
sent = []
store = DescriptorStore(lambda text, fds: sent.append(text), {
    "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "4", "LISTEN_FDNAMES": "log.1:stored:log.2:log.2"})
one, two = store.take("log.1"), store.take("log.2")
assert (one, two) == (3, 5) and not os.get_inheritable(3) and store.take("log.1") == store.take("other") == -1
store.forget_the_rest()
assert sent == ["FDSTOREREMOVE=1\\nFDNAME=stored"]
open_now = []
for fd in (3, 4, 5, 6):
    try:
        os.fstat(fd)
        open_now.append(fd)
    except OSError:
        pass
assert open_now == [3, 5], open_now
"""


def test_descriptors_are_taken_once_and_the_rest_is_given_up() -> None:
    """Two of the same name are one too many."""
    code = f"import os\nfor fd in (3, 4, 5, 6): os.dup2(0, fd)\n{_CHILD}"
    done = subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_descriptor_comes_through_a_real_socket(tmp_path: pathlib.Path) -> None:
    manager = ServiceManager(tmp_path / "notify")
    notifier = Notifier(manager.address)
    kept = DescriptorStore(notifier.send, {})
    read, write = os.pipe()
    kept.keep("log.1", write)
    names, [copy] = manager.passed()
    assert names == ["log.1"]
    os.write(copy, b"x")
    assert os.read(read, 1) == b"x"
    kept.drop("log.1")
    assert manager.passed() == ([], [])
    os.close(read)
    os.close(write)
    notifier.close()
    manager.close()

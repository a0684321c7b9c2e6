"""Throws calls with arbitrary arguments, and damaged messages, at the D-Bus service.

``python -m tests.fuzz.fuzz_dbus [examples]`` from the top of the checkout. Whatever comes, each
call gets exactly one reply and the service lives.
"""
from __future__ import annotations

import os
import socket
import sys
from typing import Any, NamedTuple, Optional, Tuple

from dbus.types import UnixFd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from compat.engine.actions import Answer, Refuse
from tests.control.client import INSTANCE, INTROSPECTABLE, JOB, MANAGER, PROPERTIES, Client, U
from tests.control.service_process import Service

OBJECTS = (MANAGER, MANAGER + "/jobs", MANAGER + "/jobs/svc", MANAGER + "/jobs/svc/_", MANAGER + "/jobs/svc/1", MANAGER + "/jobs/nosuch")
INTERFACES = (None, U, JOB, INSTANCE, PROPERTIES, INTROSPECTABLE, "a.b")
#: Members with the signatures they want.
MEMBERS = {
    "ReloadConfiguration": "", "GetJobByName": "s", "GetAllJobs": "", "EmitEvent": "sasb", "EmitEventWithFile": "sasbh", "GetEnv": "ass",
    "SetEnv": "assb", "SetEnvList": "asasb", "UnsetEnv": "ass", "UnsetEnvList": "asas", "ListEnv": "as", "ResetEnv": "as",
    "NotifyDiskWriteable": "", "NotifyDBusAddress": "s", "NotifyCGroupManagerAddress": "s", "EndSession": "", "GetInstance": "as",
    "GetInstanceByName": "s", "GetAllInstances": "", "Start": "asb", "Stop": "b", "Restart": "asb", "Reload": "", "Get": "ss", "Set": "ssv",
    "GetAll": "s", "Introspect": "", "GetState": "", "Nonsense": "",
}
_TEXT = st.one_of(st.sampled_from(("", "svc", "1", "A=1", "=", "version", "log_priority", "refuse", "raise", U, JOB, "unix:path=/none")),
                  st.text(st.characters(min_codepoint=1, max_codepoint=0xD7FF), max_size=12))
_PATH = st.from_regex(r"/([A-Za-z0-9_]{1,4}(/[A-Za-z0-9_]{1,4}){0,4})?", fullmatch=True)
_VALUES = {
    "y": st.integers(0, 255), "b": st.booleans(), "n": st.integers(-2**15, 2**15 - 1), "q": st.integers(0, 2**16 - 1),
    "i": st.integers(-2**31, 2**31 - 1), "u": st.integers(0, 2**32 - 1), "x": st.integers(-2**63, 2**63 - 1),
    "t": st.integers(0, 2**64 - 1), "d": st.floats(), "s": _TEXT, "o": _PATH, "g": st.sampled_from(("", "s", "a{sv}")),
    "h": st.builds(lambda: UnixFd(0)), "v": st.one_of(_TEXT, st.booleans(), st.integers(-2**31, 2**31 - 1)),
}
_SINGLE_TYPES = st.recursive(
    st.sampled_from(sorted(_VALUES)),
    lambda inner: st.one_of(inner.map(lambda each: "a" + each), inner.map(lambda each: "a{s" + each + "}"),
                            st.lists(inner, min_size=1, max_size=3).map(lambda types: f"({''.join(types)})")),
    max_leaves=4)


def split(signature: str) -> list[str]:
    """The complete types that a signature consists of."""
    types: list[str] = []
    start = depth = 0
    for index, character in enumerate(signature):
        depth += (character in "({") - (character in ")}")
        if depth == 0 and character != "a":
            types.append(signature[start:index + 1])
            start = index + 1
    return types


def values(single: str) -> Any:
    """Values of one complete type."""
    if single in _VALUES:
        return _VALUES[single]
    if single.startswith("a{"):
        return st.dictionaries(_TEXT, values(single[3:-1]), max_size=2)
    if single.startswith("a"):
        return st.lists(values(single[1:]), max_size=3)
    return st.tuples(*map(values, split(single[1:-1])))


class Thrown(NamedTuple):
    """One call to be made."""

    path: str
    interface: Optional[str]
    member: str
    signature: str
    arguments: Tuple[Any, ...]
    no_reply: bool


@st.composite
def thrown_calls(draw: Any) -> Thrown:
    """Calls of which many have the arguments that their member wants, and many have not."""
    member = draw(st.sampled_from(sorted(MEMBERS)))
    signature = MEMBERS[member] if draw(st.booleans()) else "".join(draw(st.lists(_SINGLE_TYPES, max_size=4)))
    arguments = tuple(draw(values(single)) for single in split(signature))
    path = draw(st.one_of(st.sampled_from(OBJECTS), _PATH))
    return Thrown(path, draw(st.sampled_from(INTERFACES)), member, signature, arguments, draw(st.integers(0, 9)) == 0)


class Target:
    """A service with a job, and a client of it."""

    def __init__(self) -> None:
        self.service = Service()
        self.client = Client(self.service.address)
        self.client.sync()
        self.descriptors = self.service.status()[0]

    def throw(self, call: Thrown) -> None:
        """Make the call and see that it is answered once; not at all, if it is accepted and wants no reply or re-executes the daemon."""
        self.service.reset()
        self.service.define("svc", instances=(("",), ("1",)))
        client = self.client
        client.messages.clear()
        serial = client.send(call.path, call.interface, call.member, call.signature, *call.arguments, no_reply=call.no_reply)
        client.sync()
        # A NotifyDBusAddress may still be about to fail; everything else that waits, waits for the engine.
        for fed in self.service.fed():
            if getattr(fed, "wait", False):
                self.service.perform([Answer(fed.call, "1") if len(call.arguments) % 2 else Refuse(fed.call, "JobFailed", "x")])
            if getattr(fed, "fd", -1) >= 0:
                self.service.close_descriptor(fed.fd)
        # There is nobody any more who would answer (C48).
        replaced = "re-execute" in self.service.service_calls()
        if not call.no_reply and not replaced:
            client.wait(lambda: client.answered(serial), f"the answer to {call}")
        client.sync()
        answers = [message for message in client.messages if message.get_reply_serial() == serial]
        if replaced:
            assert not answers, call
        else:
            assert len(answers) == 1 or (call.no_reply and len(answers) <= 1 and all(answer.is_error for answer in answers)), call
        assert self.service.status() == (self.descriptors, 1, 0), call

    def throw_bytes(self, data: bytes) -> None:
        """Send bytes over a connection of their own; the service must go on serving others."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect("\0" + self.service.address.split("=", 1)[1])
            connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\nBEGIN\r\n" + data)
        self.client.messages.clear()
        self.client.sync()

    def close(self) -> None:
        self.client.close()
        self.service.stop()


#: Ping, as it is on the wire.
PING = (b"l\x01\0\x01\0\0\0\0\x01\0\0\0\x4c\0\0\0\x01\x01o\0\x01\0\0\0/\0\0\0\0\0\0\0\x02\x01s\0\x19\0\0\0org.freedesktop.DBus.Peer"
        b"\0\0\0\0\0\0\0\x03\x01s\0\x04\0\0\0Ping\0\0\0\0")


@st.composite
def damaged_messages(draw: Any) -> bytes:
    """A good message in which a few bytes are changed, cut or doubled."""
    data = bytearray(PING)
    for _ in range(draw(st.integers(1, 6))):
        index = draw(st.integers(0, len(data) - 1))
        data[index] = draw(st.integers(0, 255))
    return bytes(data[:draw(st.integers(1, len(data)))]) * draw(st.integers(1, 3))


def fuzz(target: Target, examples: int) -> None:
    """Throw that many calls, and as many damaged messages."""
    limits = settings(max_examples=examples, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
                      suppress_health_check=list(HealthCheck))
    limits(given(thrown_calls())(target.throw))()
    limits(given(damaged_messages())(target.throw_bytes))()


if __name__ == "__main__":
    running = Target()
    fuzz(running, int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
    running.close()

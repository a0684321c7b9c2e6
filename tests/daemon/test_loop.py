"""The main loop; every test in a process of its own, because GLib has one default context a process."""
from __future__ import annotations

import ctypes
import functools
import gc
import os
import pickle
import select
import signal
import time
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from compat.loop import MainLoop

_LIMIT = 30


def in_a_process(function: Callable[[], Any]) -> Callable[[], None]:
    @functools.wraps(function)
    def run() -> None:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            failure = "".join(traceback.format_stack())
            try:
                os.close(read)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(_LIMIT)
                function()
                failure = ""
            except BaseException:
                failure = traceback.format_exc()
            finally:
                with open(write, "wb") as stream:
                    pickle.dump(failure, stream)
                os._exit(0)
        os.close(write)
        with open(read, "rb") as stream:
            data = stream.read()
        _, status = os.waitpid(child, 0)
        assert not os.WIFSIGNALED(status), "the loop did not end" if os.WTERMSIG(status) == signal.SIGALRM else (
            f"the process died of {signal.Signals(os.WTERMSIG(status)).name}")
        failure = pickle.loads(data)
        if failure:
            pytest.fail(failure)

    return run


class Recorded:
    """A loop whose callbacks note down their names; it ends when ``last`` was noted."""

    def __init__(self, last: str) -> None:
        self.seen: list[str] = []
        self.errors: list[tuple[str, BaseException]] = []
        self.loop = MainLoop(lambda what, error: self.errors.append((what, error)))
        self._last = last

    def note(self, name: str) -> Callable[[], None]:
        def call() -> None:
            self.seen.append(name)
            if name == self._last:
                self.loop.quit()

        return call


@in_a_process
def test_d47_order_of_one_turn() -> None:
    recorded = Recorded("events")
    loop = recorded.loop
    reader, writer = os.pipe()
    for number, name in ((signal.SIGINT, "INT"), (signal.SIGHUP, "HUP"), (signal.SIGUSR1, "USR1"), (signal.SIGTERM, "TERM"),
                         (signal.SIGCHLD, "CHLD")):
        loop.add_signal(number, recorded.note(name))
    loop.children = recorded.note("children")
    loop.later(0, recorded.note("timer"))
    note = recorded.note("events")

    def events() -> bool:
        note()
        return False

    loop.events = events
    loop.add_reader(reader, recorded.note("input"))
    os.write(writer, b"x")
    # The reverse of the order in which they are to be handled.
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT):
        signal.raise_signal(number)
    loop.run()
    assert recorded.seen == ["input", "INT", "HUP", "USR1", "TERM", "CHLD", "children", "timer", "events"]
    assert recorded.errors == []


@in_a_process
def test_d47_a_signal_caught_three_times_is_handled_once() -> None:
    recorded = Recorded("end")
    loop = recorded.loop
    loop.add_signal(signal.SIGHUP, recorded.note("HUP"))
    for _ in range(3):
        signal.raise_signal(signal.SIGHUP)
    loop.later(0.01, recorded.note("end"))
    loop.run()
    assert recorded.seen == ["HUP", "end"]


@in_a_process
def test_a_loop_that_its_maker_has_forgotten_is_still_there_for_glib() -> None:
    first = MainLoop(lambda what, error: None)
    first.later(0, first.quit)
    first.run()
    known = weakref.ref(first)
    del first
    gc.collect()
    assert known() is not None
    recorded = Recorded("last")
    reader, writer = os.pipe()
    recorded.loop.later(0.001, lambda: os.write(writer, b"x") and None)
    recorded.loop.add_reader(reader, recorded.note("last"))
    recorded.loop.run()
    assert recorded.seen == ["last"]


@in_a_process
def test_a_signal_from_outside_wakes_a_sleeping_loop() -> None:
    recorded = Recorded("HUP")
    recorded.loop.add_signal(signal.SIGHUP, recorded.note("HUP"))
    parent = os.getpid()
    if os.fork() == 0:
        # Once the parent sleeps in poll.
        while True:
            with open(f"/proc/{parent}/wchan") as stream:
                if "poll" in stream.read():
                    break
            with open(f"/proc/{parent}/status") as stream:
                if "State:\tS" in stream.read():
                    break
        os.kill(parent, signal.SIGHUP)
        os._exit(0)
    recorded.loop.run()
    assert recorded.seen == ["HUP"]


@in_a_process
def test_no_signal_is_lost_in_a_flood_of_others() -> None:
    loop = MainLoop(lambda what, error: None)
    received = 0

    def count() -> None:
        nonlocal received
        received += 1
        if received == 200:
            loop.quit()
        else:
            # Handled in the turn after the one it was sent in, every time.
            os.kill(os.getpid(), signal.SIGUSR1)

    loop.add_signal(signal.SIGUSR1, count)
    loop.add_signal(signal.SIGHUP, lambda: None)
    parent = os.getpid()
    disturber = os.fork()
    if disturber == 0:
        while os.getppid() == parent:
            os.kill(parent, signal.SIGHUP)
            # Without any pause the kernel would have the next one ready whenever the handler returns, and no
            # instruction of the loop would ever run.
            time.sleep(0.00005)
        os._exit(0)
    os.kill(parent, signal.SIGUSR1)
    try:
        loop.run()
    finally:
        os.kill(disturber, signal.SIGKILL)
    assert received == 200


@in_a_process
def test_timers_in_order_of_time_and_then_of_registration() -> None:
    recorded = Recorded("last")
    begin = time.monotonic()
    for seconds, name in ((0.04, "last"), (0.02, "second"), (0.01, "first"), (0.02, "third")):
        recorded.loop.later(seconds, recorded.note(name))
    recorded.loop.run()
    assert recorded.seen == ["first", "second", "third", "last"]
    assert time.monotonic() - begin >= 0.04


@in_a_process
def test_a_cancelled_timer_does_not_run() -> None:
    recorded = Recorded("end")
    loop = recorded.loop
    cancelled = [loop.later(0.001 * each, recorded.note("cancelled")) for each in range(3)]
    loop.later(0, lambda: cancelled[1].cancel())
    cancelled[0].cancel()
    cancelled[2].cancel()
    ended = loop.later(0.02, recorded.note("end"))
    loop.run()
    ended.cancel()
    assert [each for each in recorded.seen if each != "cancelled"] == ["end"]
    assert "cancelled" not in recorded.seen


@in_a_process
def test_a_timer_set_by_a_timer_runs_in_a_later_turn() -> None:
    recorded = Recorded("inner")
    loop = recorded.loop

    def events() -> bool:
        recorded.seen.append("events")
        return False

    loop.events = events
    loop.later(0, lambda: (recorded.seen.append("outer"), loop.later(0.005, recorded.note("inner"))))  # type: ignore[func-returns-value]
    loop.run()
    assert [each for each in recorded.seen if each != "events"] == ["outer", "inner"]
    assert "events" in recorded.seen[recorded.seen.index("outer"):recorded.seen.index("inner")]


@in_a_process
def test_an_exception_is_reported_and_the_rest_of_the_turn_goes_on() -> None:
    recorded = Recorded("end")
    loop = recorded.loop

    def fail() -> None:
        raise ZeroDivisionError

    reader, writer = os.pipe()

    def fail_reading() -> None:
        os.read(reader, 1)
        raise ZeroDivisionError

    def fail_polling() -> bool:
        raise ZeroDivisionError

    loop.add_reader(reader, fail_reading)
    os.write(writer, b"x")
    loop.add_signal(signal.SIGHUP, fail)
    signal.raise_signal(signal.SIGHUP)
    loop.children = fail
    loop.events = fail_polling
    loop.later(0, fail)
    loop.later(0, recorded.note("end"))
    loop.run()
    assert recorded.seen == ["end"]
    assert [what for what, _ in recorded.errors] == ["input", "signal", "children", "timer", "events"]
    assert all(isinstance(error, ZeroDivisionError) for _, error in recorded.errors)


@in_a_process
def test_events_with_more_to_do_take_turns_at_once() -> None:
    recorded = Recorded("never")
    turns = 0

    def events() -> bool:
        nonlocal turns
        turns += 1
        if turns == 1000:
            recorded.loop.quit()
        return turns < 1000

    recorded.loop.events = events
    recorded.loop.later(0, lambda: None)
    recorded.loop.run()
    assert turns == 1000


@in_a_process
def test_a_removed_reader_is_not_called_even_if_it_was_ready() -> None:
    recorded = Recorded("end")
    loop = recorded.loop
    pipes = [os.pipe(), os.pipe()]

    def first_removes_all() -> None:
        recorded.seen.append("input")
        for reader, _ in pipes:
            loop.remove_reader(reader)

    for reader, writer in pipes:
        loop.add_reader(reader, first_removes_all)
        os.write(writer, b"x")
    loop.later(0.01, recorded.note("end"))
    loop.run()
    assert recorded.seen == ["input", "end"]


@in_a_process
def test_a_descriptor_that_is_always_ready_does_not_hold_up_dbus() -> None:
    """D-Bus connections are sources of GLib's default priority, as the idle source here."""
    loop = MainLoop(lambda what, error: None)
    reader, writer = os.pipe()
    os.write(writer, b"x")
    turns = 0

    def endless() -> None:
        nonlocal turns
        turns += 1

    loop.add_reader(reader, endless)
    glib = ctypes.CDLL("libglib-2.0.so.0")
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)

    def dispatched(data: Any) -> int:
        loop.quit()
        return 0

    callback = kind(dispatched)
    glib.g_timeout_add_full(0, 0, callback, None, None)
    loop.run()
    assert turns < 100


@in_a_process
def test_an_idle_loop_does_not_wake_up() -> None:
    loop = MainLoop(lambda what, error: None)
    turns = 0

    def events() -> bool:
        nonlocal turns
        turns += 1
        return False

    loop.events = events
    reader, writer = os.pipe()

    def stop() -> None:
        os.read(reader, 1)
        loop.quit()

    loop.add_reader(reader, stop)
    loop.later(3600, lambda: None)
    loop.later(3600, lambda: None).cancel()
    parent = os.getpid()
    if os.fork() == 0:
        # The parent has slept for a second, as far as its processor time tells, before it is woken up.
        select.select([], [], [], 1)
        if os.getppid() == parent:
            os.write(writer, b"x")
        os._exit(0)
    loop.run()
    assert turns <= 3

"""The main loop: GLib's, because dbus-python needs it, with Upstart's order of work on top.

One turn does what D47 says, in that order: ready descriptors, signals, children, timers, the event
queue; and then, at the start of the next turn, D-Bus calls. D-Bus connections live in GLib's
default context. Everything else is in one epoll set of our own, which is a single source to GLib;
so GLib decides when to wake up, and ``_turn`` decides what is done first.

libglib is reached through ctypes: dbus-python's own GLib binding has it loaded already, and
PyGObject would double the daemon's memory. An idle loop sleeps without a time limit.
"""
from __future__ import annotations

import ctypes
import heapq
import itertools
import os
import select
import signal
import time
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Tuple

_glib = ctypes.CDLL("libglib-2.0.so.0")
_FdCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_TimeoutCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_glib.g_unix_fd_add_full.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, _FdCallback, ctypes.c_void_p, ctypes.c_void_p]
_glib.g_unix_fd_add_full.restype = ctypes.c_uint
_glib.g_timeout_add_full.argtypes = [ctypes.c_int, ctypes.c_uint, _TimeoutCallback, ctypes.c_void_p, ctypes.c_void_p]
_glib.g_timeout_add_full.restype = ctypes.c_uint
_glib.g_source_remove.argtypes = [ctypes.c_uint]
_glib.g_main_context_iteration.argtypes = [ctypes.c_void_p, ctypes.c_int]
_glib.g_main_context_iteration.restype = ctypes.c_int
_glib.g_main_context_pending.argtypes = [ctypes.c_void_p]
_glib.g_main_context_pending.restype = ctypes.c_int
_libc = ctypes.CDLL(None)
_libc.poll.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int]
_PollFunction = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_glib.g_main_context_set_poll_func.argtypes = [ctypes.c_void_p, _PollFunction]
_G_IO_IN, _G_IO_PRI, _G_IO_OUT, _G_IO_ERR = 1, 2, 4, 8
#: Every loop there was: GLib goes on calling one, so none may be collected, however soon its maker has forgotten it.
_loops: "List[MainLoop]" = []
# That of D-Bus connections: with a higher one, a descriptor that is always ready would keep calls waiting for ever.
_PRIORITY = 0


class _PollFD(ctypes.Structure):
    """struct pollfd, and GPollFD."""

    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


def _entries(descriptors: int, count: int) -> "List[_PollFD]":
    return list((_PollFD * count).from_address(descriptors)) if count else []


def _poll_without(fd: int, descriptors: int, count: int, timeout: int) -> int:
    """poll(2), but for one descriptor."""
    left_out = [each for each in _entries(descriptors, count) if each.fd == fd]
    for each in left_out:
        each.fd = -1
    try:
        result: int = _libc.poll(descriptors, count, timeout)
        # A signal is seen to in the next turn, as anything else.
        return max(0, result)
    finally:
        for each in left_out:
            each.fd = fd


class Timer:
    """One pending call; ``cancel`` may be called at any time, also after it ran."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Optional[Callable[[], None]] = callback

    def cancel(self) -> None:
        """Make sure that the callback is not called any more."""
        self.callback = None


class MainLoop:
    """Runs callbacks, one at a time, in one thread.

    ``on_error`` is told of every exception that a callback lets out, as (what, exception); the loop
    goes on. ``children`` is called once a turn in which SIGCHLD arrived or a descriptor was ready,
    ``events`` at the end of every turn; what it returns says whether it has more to do, and then the
    next turn follows at once.
    """

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        self._on_error = on_error
        self.children: Callable[[], None] = lambda: None
        self.events: Callable[[], bool] = lambda: False
        self._more = False
        self._epoll = select.epoll()
        self._readers: Dict[int, Callable[[], None]] = {}
        self._urgent: Dict[int, Tuple[int, Any]] = {}
        self._signals: Dict[int, Callable[[], None]] = {}
        self._caught: List[int] = []
        self._timers: List[Tuple[float, int, Timer]] = []
        self._serial = itertools.count()
        self._timeout_source = 0
        self._timeout_due = 0.0
        self._quit = False
        self._child_signal = False
        _loops.append(self)
        # A null pointer stands for poll(2).
        self._poll = _PollFunction()
        self._ready = _FdCallback(lambda fd, condition, data: 1)
        self._expired = _TimeoutCallback(self._on_timeout)
        self._epoll_source = self._add_epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self.add_reader(self._wake_read, self._drain_wakeups)

    # -- registration ------------------------------------------------------------------------------

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` in every turn in which ``fd`` is readable or hung up."""
        self._epoll.register(fd, select.EPOLLIN)
        self._readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        """Forget a descriptor; call it before closing the descriptor."""
        del self._readers[fd]
        self._epoll.unregister(fd)

    def add_urgent_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` after each change of a file of /proc that tells of its changes (by POLLPRI).

        Not by way of the epoll set: such a file forgets the change once it was asked, and GLib and the set each ask.
        """
        def ready(fd: int, condition: int, data: Any) -> int:
            self._call("input", callback)
            return 1

        called = _FdCallback(ready)
        self._urgent[fd] = (_glib.g_unix_fd_add_full(_PRIORITY, fd, _G_IO_PRI | _G_IO_ERR, called, None, None), called)

    def remove_urgent_reader(self, fd: int) -> None:
        """Forget such a file; call it before closing it."""
        _glib.g_source_remove(self._urgent.pop(fd)[0])

    def add_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` once for all deliveries of a signal since the last turn (D47)."""
        self._signals[number] = callback
        signal.signal(number, self._on_signal)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` once, ``seconds`` from now."""
        timer = Timer(time.monotonic() + seconds, callback)
        heapq.heappush(self._timers, (timer.due, next(self._serial), timer))
        return timer

    # -- running -------------------------------------------------------------------------------------

    def quit(self) -> None:
        """Leave ``run`` at the end of the current turn."""
        self._quit = True

    def leave_out(self, fd: int) -> None:
        """Do not look at a descriptor of GLib's any more: that of a listening socket, so that nobody new comes. -1: look at all."""
        self._poll = _PollFunction(partial(_poll_without, fd)) if fd >= 0 else _PollFunction()
        _glib.g_main_context_set_poll_func(None, self._poll)

    def work_off_calls(self, seconds: float) -> None:
        """Do only what D-Bus connections have to do, until there is nothing or the time is over."""
        self._work_off(seconds, self._poll)

    def finish_calls(self) -> None:
        """Handle what D-Bus connections have read already, and read nothing more: afterwards it is all in the sockets."""
        self._work_off(float("inf"), _PollFunction(lambda descriptors, count, timeout: 0))

    def write_calls(self, seconds: float) -> bool:
        """Let D-Bus connections write what there is room for, and read nothing; whether one has something left."""
        left = False

        def poll(descriptors: int, count: int, timeout: int) -> int:
            nonlocal left
            entries = _entries(descriptors, count)
            wanted = [(each.fd, each.events) for each in entries]
            for each in entries:
                each.fd, each.events = each.fd if each.events & _G_IO_OUT else -1, _G_IO_OUT
            left = any(each.fd >= 0 for each in entries)
            try:
                return max(0, int(_libc.poll(descriptors, count, 0)))
            finally:
                for each, (fd, events) in zip(entries, wanted):
                    each.fd, each.events = fd, events

        self._work_off(seconds, _PollFunction(poll))
        return left

    def _work_off(self, seconds: float, poll: Any) -> None:
        end = time.monotonic() + seconds
        _glib.g_source_remove(self._epoll_source)
        _glib.g_main_context_set_poll_func(None, poll)
        try:
            while _glib.g_main_context_pending(None) and time.monotonic() < end:
                _glib.g_main_context_iteration(None, 0)
        finally:
            _glib.g_main_context_set_poll_func(None, self._poll)
            self._epoll_source = self._add_epoll()

    def run(self) -> None:
        """Work until ``quit``."""
        while not self._quit:
            self._turn()
            if self._quit:
                break
            self._arm_timeout()
            _glib.g_main_context_iteration(None, 0 if self._more else 1)

    def _turn(self) -> None:
        readers = self._readers
        ready = False
        for fd, _ in self._epoll.poll(0):
            callback = readers.get(fd)
            if callback is not None:
                ready = True
                self._call("input", callback)
        self.handle_signals()
        if ready or self._child_signal:
            self._child_signal = False
            self._call("children", self.children)
        if self._timers:
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                timer = heapq.heappop(self._timers)[2]
                callback, timer.callback = timer.callback, None
                if callback is not None:
                    self._call("timer", callback)
        self._more = False
        self._call("events", self._poll_events)

    def handle_signals(self) -> None:
        """Call what is registered for the signals that came, in the order in which it was registered, each once (D47)."""
        if self._caught:
            # Two steps: one that comes between them must be in one of the lists.
            caught = self._caught
            self._caught = []
            for number, callback in self._signals.items():
                if number in caught:
                    self._call("signal", callback)

    def _add_epoll(self) -> int:
        source: int = _glib.g_unix_fd_add_full(_PRIORITY, self._epoll.fileno(), _G_IO_IN, self._ready, None, None)
        return source

    def _poll_events(self) -> None:
        self._more = self.events()

    def _call(self, what: str, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            self._on_error(what, error)

    # -- waking up ------------------------------------------------------------------------------------

    def _on_signal(self, number: int, frame: Any) -> None:
        if number == signal.SIGCHLD:
            self._child_signal = True
        self._caught.append(number)

    def _drain_wakeups(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass

    def _arm_timeout(self) -> None:
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        due = timers[0][0] if timers else 0.0
        if self._timeout_source:
            if due == self._timeout_due:
                return
            _glib.g_source_remove(self._timeout_source)
            self._timeout_source = 0
        if due:
            # Rounded up, so that the turn it causes finds the timer due.
            milliseconds = max(0, int((due - time.monotonic()) * 1000) + 1)
            self._timeout_source = _glib.g_timeout_add_full(
                _PRIORITY, min(milliseconds, 0x7FFFFFFF), self._expired, None, None)
            self._timeout_due = due

    def _on_timeout(self, data: Any) -> int:
        self._timeout_source = 0
        return 0

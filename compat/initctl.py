"""initctl, and start, stop, restart, reload, status, telinit and runlevel: the client's entry point (C93-C143).

It talks D-Bus to whatever daemon is there, a real Upstart too, and knows nothing else of this
project. What a command does is in ``compat.client``, of which only that command's module is loaded.
"""
from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` itself imports enum, which takes longer than the call to the daemon.
import errno
import os
import sys

from .client.options import COMMANDS, Invocation, parse
from .client.output import Failure, UsageError, complain, decoded, fill_standard_descriptors, hint


def main(argv: list[str] | None = None) -> int:
    """Run the command line ``argv`` (default: sys.argv), whose first word may name the command; the exit status, 0 or 1."""
    words = [decoded(word) for word in (sys.argv if argv is None else argv)]
    program = _program_name(words[0] if words else "")
    fill_standard_descriptors()
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        # libdbus goes on waiting when a handler returns, so the signal has to end the process: status 130 for a shell.
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    try:
        if program in ("telinit", "runlevel"):
            # Not commands of initctl: their command lines are their own.
            from .client import runlevels
            return runlevels.telinit(words[1:]) if program == "telinit" else runlevels.runlevel(words[1:])
        return _run(parse(program, words[1:]))
    except UsageError as error:
        complain(program, error.text)
        hint(program)
    except Failure as failure:
        complain(program, failure.text)
    except OSError as error:
        # Output is the only thing that is written; whoever closed the pipe needs no message.
        if error.errno != errno.EPIPE:
            complain(program, f"write error: {error.strerror}")
    return 1


def run() -> None:
    """``main``, and the end of the process at once: taking the interpreter down takes a fifth of the whole time, for nothing."""
    status = 1
    try:
        status = main()
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(status)


def _program_name(path: str) -> str:
    """The name called by, without the ``-`` of a login shell (C93); ``python -m`` gives the module's file."""
    name = path.rpartition("/")[2]
    if name.startswith("-"):
        name = name[1:]
    return "initctl" if name in ("", "c", "m", "initctl.py", "__main__.py") else name


def _run(invocation: Invocation) -> int:
    if invocation.information:
        module_name, function = "help", "show_" + invocation.information
    else:
        module_name, function = COMMANDS[invocation.command]
    # What importlib.import_module does, without importing importlib.
    module_name = f"{__package__}.client.{module_name}"
    __import__(module_name)
    status: int = getattr(sys.modules[module_name], function)(invocation)
    return status


if __name__ == "__main__":
    run()

"""help, --help and --version (C99-C101). Only these need the texts, so only these load them."""
from __future__ import annotations

import os

from .. import UPSTART_VERSION
from .options import COMMAND_OPTIONS, GLOBAL_OPTIONS, VALUES, Invocation
from .output import environment, write

#: Where the second column begins, and its continuation lines.
_COLUMN = 30

_ABOUT_TARGET = """\
JOB is the name of a job: the name of its file below the configuration directory, without ".conf". \
KEY=VALUE pairs tell which instance is meant, for jobs that have several, and are set in the environment of the job's processes. \
In a process of a job, without arguments, that job's own instance is meant."""
_ABOUT_TABLE = """\
In a process of a job this is about the environment of that job's instance only. Elsewhere, and with --global, it is about \
the table that every instance gets its first variables from."""

#: The groups of C99: title, and each command with its arguments, its synopsis and its help text.
_GROUPS = (
    ("Job commands:", (
        ("start", "JOB [KEY=VALUE]...", "Start job.",
         _ABOUT_TARGET + "\n\nReturns when the job runs, or, for a task, when it is done; with --no-wait, when it has been told to start. "
         "What is printed is the state at that time. A job that runs already is an error."),
        ("stop", "JOB [KEY=VALUE]...", "Stop job.",
         _ABOUT_TARGET + "\n\nReturns when the job has stopped; with --no-wait, when it has been told to. A job that is stopped already "
         "is an error."),
        ("restart", "JOB [KEY=VALUE]...", "Restart job.",
         _ABOUT_TARGET + "\n\nThe job keeps the definition that it was started with: to use a file that has changed since, stop it and "
         "start it. A job that is stopped is an error."),
        ("reload", "JOB [KEY=VALUE]...", "Send the reload signal to job.",
         _ABOUT_TARGET + "\n\nThe job's main process gets SIGHUP, or the signal that its file names."),
        ("status", "JOB [KEY=VALUE]...", "Query status of job.",
         _ABOUT_TARGET + "\n\nPrints the goal and the state of the instance, and its processes. A job of which nothing runs is "
         "\"stop/waiting\", and no error."),
        ("list", "", "List known jobs.", "Prints the status of every instance, and of every job that has none."),
        ("show-backend", "[JOB]", "Show who runs the processes of jobs.",
         "Prints for each process of JOB, or of all jobs, whether it is a service of systemd, is in a scope of systemd, or is run by the "
         "daemon itself (native), the unit, and why. Only for daemons of this project."),
        ("explain", "JOB", "Explain why job starts and stops.",
         "Prints the conditions of the job's file part by part: what is met, what is waited for, who would emit it on this host, and "
         "when it was last seen. Only for daemons of this project."),
    )),
    ("Event commands:", (
        ("emit", "EVENT [KEY=VALUE]...", "Emit an event.",
         "EVENT is the name of an event that jobs start on or stop on, KEY=VALUE pairs its environment. Returns when everything that it "
         "set going has come to its end: services run, tasks are done, stopped jobs have stopped. It fails if one of them failed. "
         "With --no-wait, returns at once."),
    )),
    ("Environment commands:", (
        ("get-env", "VARIABLE", "Retrieve value of a job environment variable.", _ABOUT_TABLE),
        ("list-env", "", "Show all job environment variables.", _ABOUT_TABLE),
        ("reset-env", "", "Revert all job environment variable changes.", _ABOUT_TABLE),
        ("set-env", "VARIABLE[=VALUE]...", "Set job environment variables.",
         "A VARIABLE without a value becomes empty. Processes that run already do not notice.\n\n" + _ABOUT_TABLE),
        ("unset-env", "VARIABLE...", "Remove job environment variables.", _ABOUT_TABLE),
    )),
    ("Other commands:", (
        ("reload-configuration", "", "Reload the configuration of the init daemon.",
         "All job files are read again. Needed where changes of files are not noticed by themselves. No job is started or stopped by it."),
        ("version", "", "Request the version of the init daemon.", "The client's own version is printed by --version."),
        ("log-priority", "[PRIORITY]", "Change the minimum priority of log messages from the init daemon.",
         "PRIORITY is one of debug, info, message, warn, error and fatal. Without it, prints the present one."),
        ("show-config", "[CONF]", "Show emits, start on and stop on details for job configurations.",
         "CONF is the name of a job; without it, all are shown."),
        ("check-config", "[CONF]", "Check for unreachable jobs/event conditions.",
         "Reports conditions that cannot become true, because no job emits an event or has a name. CONF is the name of a job; without it, "
         "all are checked. EVENT_LIST is a list of events, separated by commas, that come from elsewhere. With --warn, both sides of an "
         "\"or\" must be possible. The exit status is 1 if anything is reported."),
        ("usage", "JOB", "Show job usage message if available.", "Prints what the job's file says about the variables that it takes."),
        ("notify-cgroup-manager-address", "ADDRESS", "Inform the init daemon of the D-Bus address of the cgroup manager.",
         "Jobs that use cgroups wait for this."),
        ("notify-dbus-address", "ADDRESS", "Inform the init daemon of a D-Bus address to connect to.",
         "A daemon that has a connection to a message bus already ignores it."),
        ("notify-disk-writeable", "", "Inform the init daemon that the disk is now writeable.",
         "Output of jobs that was kept in memory until now is written to their logs."),
        ("list-sessions", "", "List all sessions.",
         "Prints the process and the address of each session's daemon of this user, for UPSTART_SESSION. They are found by their files "
         "below XDG_RUNTIME_DIR."),
        ("help", "", "Display list of commands.", "For a single command, use COMMAND --help."),
    )),
)

_OPTION_TEXTS = {
    "session": "use D-Bus session bus to connect to init daemon (for testing)",
    "system": "use D-Bus system bus to connect to init daemon",
    "dest": "destination well-known name on D-Bus bus",
    "user": "run in user mode (as used for user sessions)",
    "quiet": "reduce output to errors only",
    "verbose": "increase output to include informational messages",
    "help": "display this help and exit",
    "version": "output version information and exit",
    "no-wait": "do not wait for operation to complete before exiting",
    "enumerate": "enumerate list of events and jobs",
    "ignore-events": "ignore specified list of events (comma-separated)",
    "warn": "consider any unknown jobs or events as an error",
    "global": "act on the global job environment",
    "retain": "do not replace the value if already set",
}


def list_commands(invocation: Invocation) -> int:
    """help (C99)."""
    width = max(_screen_width(), 50) - _COLUMN
    lines = []
    for title, commands in _GROUPS:
        lines.append(title)
        for name, _, synopsis, _ in commands:
            lines += _two_columns("  " + name, synopsis, width)
        lines.append("")
    lines.append(f"For more information on a command, try `{invocation.program} COMMAND --help'.")
    return _print(lines)


def show_help(invocation: Invocation) -> int:
    """--help, of a command or of the program (C100)."""
    screen = _screen_width()
    command = next((entry for _, commands in _GROUPS for entry in commands if entry[0] == invocation.command), None)
    if command is None:
        words = "[OPTION]... COMMAND [OPTION]... [ARG]..."
        synopsis = "Control the init daemon and its jobs."
        text = (f"For a list of commands, try `{invocation.program} help'.\n\nWithout --system, --session and --user, root talks to the "
                "init daemon's own socket and everybody else to it over the system bus. Where UPSTART_SESSION is set, the session's daemon "
                "is meant.")
    else:
        name, arguments, synopsis, text = command
        words = " ".join(filter(None, ["" if invocation.linked else name, "[OPTION]...", arguments]))
    lines = [f"Usage: {invocation.program} {words}", synopsis, "", "Options:"]
    for option, letter in {**COMMAND_OPTIONS.get(invocation.command, {}), **GLOBAL_OPTIONS}.items():
        if option in _OPTION_TEXTS:
            value = "=" + VALUES[option] if option in VALUES else ""
            lines += _two_columns(f"  -{letter}, --{option}{value}" if letter else f"      --{option}{value}", _OPTION_TEXTS[option],
                                  max(screen, 50) - _COLUMN)
    for paragraph in text.split("\n\n"):
        lines += ["", *wrapped(paragraph, max(screen - 1, 1))]
    return _print([*lines, "", "Report bugs to the maintainers of upstart-compat."])


def show_version(invocation: Invocation) -> int:
    """--version: the client's own (C101)."""
    return _print([
        f"{invocation.program} (upstart {UPSTART_VERSION})",
        f"upstart-compat, which answers as Upstart {UPSTART_VERSION} does. Copyright: the maintainers of upstart-compat.",
        "",
        "This is free software under the Apache License 2.0; there is NO WARRANTY, to the extent permitted by law.",
    ])


def _print(lines: list[str]) -> int:
    """Print what was asked for, also with --quiet."""
    write(1, "\n".join(lines) + "\n")
    return 0


def _two_columns(left: str, right: str, width: int) -> list[str]:
    """One entry: the right side wrapped to ``width``, in lines of its own if the left side is too long."""
    first, *others = wrapped(right, width, 2)
    lines = [left.ljust(_COLUMN) + first] if len(left) <= _COLUMN - 2 else [left, " " * _COLUMN + first]
    return lines + [" " * (_COLUMN + 2) + line for line in others]


def wrapped(text: str, width: int, less: int = 0) -> list[str]:
    """The words of a text in lines of at most ``width`` characters, all but the first ``less`` shorter. At least one line.

    A word that is longer than that has a line of its own.
    """
    lines = [""]
    for word in text.split():
        line = f"{lines[-1]} {word}".lstrip()
        if len(line) > width - (less if len(lines) > 1 else 0) and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = line
    return lines


def _screen_width() -> int:
    """Columns of the screen: COLUMNS, else the terminal's, else 80."""
    columns = environment("COLUMNS") or ""
    if columns.isascii() and columns.isdigit() and 0 < len(columns) < 6 and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80

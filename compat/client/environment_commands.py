"""get-env, set-env, list-env, unset-env and reset-env: the job environment table (C133-C135).

Within a job's process they act on that instance's table, elsewhere or with --global on the daemon's.
"""
from __future__ import annotations

from .connection import MANAGER, UPSTART, connect
from .options import Invocation
from .output import UsageError, environment


def _table(invocation: Invocation) -> list[str]:
    """The ``job_details`` that name the table (C81, C133)."""
    job = environment("UPSTART_JOB")
    if invocation.has("global") or job is None:
        return []
    instance = environment("UPSTART_INSTANCE")
    if instance is None:
        raise UsageError("missing job name")
    return [job, instance]


def _arguments(invocation: Invocation, what: str) -> list[str]:
    if not invocation.arguments:
        raise UsageError(f"missing variable {what}")
    return invocation.arguments


def get_env(invocation: Invocation) -> int:
    """get-env VARIABLE: its value."""
    name = _arguments(invocation, "name")[0]
    table = _table(invocation)
    invocation.say(connect(invocation).begin(MANAGER, UPSTART, "GetEnv", "ass", table, name, reply="s").text())
    return 0


def set_env(invocation: Invocation) -> int:
    """set-env VARIABLE[=VALUE]...; with --retain, variables that exist keep their values."""
    variables, table = _arguments(invocation, "value"), _table(invocation)
    connect(invocation).call(MANAGER, UPSTART, "SetEnvList", "asasb", table, variables, not invocation.has("retain"))
    return 0


def unset_env(invocation: Invocation) -> int:
    """unset-env VARIABLE..."""
    names, table = _arguments(invocation, "name"), _table(invocation)
    connect(invocation).call(MANAGER, UPSTART, "UnsetEnvList", "asas", table, names)
    return 0


def list_env(invocation: Invocation) -> int:
    """list-env: all variables, sorted by their bytes (C134)."""
    table = _table(invocation)
    variables = connect(invocation).begin(MANAGER, UPSTART, "ListEnv", "as", table, reply="as").texts()
    if variables:
        invocation.say("\n".join(sorted(variables, key=str.encode)))
    return 0


def reset_env(invocation: Invocation) -> int:
    """reset-env: back to what it was at first (C89)."""
    table = _table(invocation)
    connect(invocation).call(MANAGER, UPSTART, "ResetEnv", "as", table)
    return 0

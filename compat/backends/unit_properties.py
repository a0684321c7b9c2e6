"""The properties of the transient units (X251, X254).

The program in a service is the launcher, and it does all the set-up of a process as it does for a process of
ours: environment, directories, identity, limits, streams. So a job behaves the same, down to the texts of
errors (X40), and what systemd is told of these things is for who looks at the unit with systemd's tools, and
for what systemd would otherwise do itself. Not told are the identity, because the launcher needs its privileges
until it has done the rest, and the environment, which may hold secrets: any user can read a unit's properties.

RemainAfterExit and CollectMode keep the unit of a process that has ended until the daemon has read how: that
is how an exit status outlives the daemon. KillSignal is CONT, which does nothing to a process that runs: a
stop by ``systemctl`` becomes a stop of the job, and the engine stops it with pre-stop, the job's own signal
and its timeout (X257). Should nobody do that, systemd kills it a good while later.
"""
from __future__ import annotations

import os
import signal
from typing import Dict, List

from ..engine.actions import SpawnProcess
from ..parser.definition import SECURITY
from .protocol import ProcessDefaults
from .unit_names import SLICE
from .unit_property import UNLIMITED, Property
from .unit_resources import resources

_NEVER = UNLIMITED
_MICROSECONDS = 1000000
#: What a stop by systemctl may take beyond the job's kill timeout, in seconds: pre-stop, and jobs that hold it up.
STOP_GRACE = 90

_LIMITS: Dict[str, bytes] = {
    "cpu": b"LimitCPU", "fsize": b"LimitFSIZE", "data": b"LimitDATA", "stack": b"LimitSTACK", "core": b"LimitCORE", "rss": b"LimitRSS",
    "nproc": b"LimitNPROC", "nofile": b"LimitNOFILE", "memlock": b"LimitMEMLOCK", "as": b"LimitAS", "locks": b"LimitLOCKS",
    "sigpending": b"LimitSIGPENDING", "msgqueue": b"LimitMSGQUEUE", "nice": b"LimitNICE", "rtprio": b"LimitRTPRIO",
}


def _common(request: SpawnProcess, description: str) -> List[Property]:
    definition = request.definition
    found = [
        Property(b"Description", b"s", description.encode("utf-8", "replace")),
        Property(b"Slice", b"s", SLICE.encode()),
        Property(b"DefaultDependencies", b"b", False, True),
        # The daemon stops jobs at a change of the runlevel, in their own order; systemctl isolate must not.
        Property(b"IgnoreOnIsolate", b"b", True),
        Property(b"KillMode", b"s", b"process", True),
        Property(b"TasksMax", b"t", UNLIMITED),
        # Or systemd asks for a stop of the whole unit; scopes have it since systemd 253, and before that nothing of the kind happens.
        Property(b"OOMPolicy", b"s", b"continue"),
        Property(b"TimeoutStopUSec", b"t", (definition.kill_timeout + STOP_GRACE) * _MICROSECONDS),
    ]
    if request.process == SECURITY:
        return found
    # What the job says of itself instead of what is said of all (X143, X148).
    asked = {each.name: each for each in resources(definition.cgroups).properties}
    return [asked.pop(each.name, each) for each in found] + list(asked.values())


def service_properties(request: SpawnProcess, defaults: ProcessDefaults, description: str, launcher: str, channel: int) -> List[Property]:
    """Those of the transient service of a main process; ``channel`` is the launcher's end of the socket."""
    definition = request.definition
    program = os.fsencode(launcher)
    properties = [
        *_common(request, description),
        Property(b"Type", b"s", b"exec", True),
        # Not ExecStartEx, which systemd 252 writes down in a way that it cannot read again after daemon-reload.
        Property(b"ExecStart", b"a(sasb)", [(program, [program, b"unit"], False)], True),
        Property(b"StandardInputFileDescriptor", b"h", channel, True),
        Property(b"StandardOutput", b"s", b"null"),
        Property(b"StandardError", b"s", b"null"),
        Property(b"RemainAfterExit", b"b", True, True),
        Property(b"CollectMode", b"s", b"inactive", True),
        Property(b"NotifyAccess", b"s", b"all"),
        Property(b"Restart", b"s", b"no"),
        Property(b"StartLimitIntervalUSec", b"t", 0),
        Property(b"TimeoutStartUSec", b"t", _NEVER),
        Property(b"KillSignal", b"i", int(signal.SIGCONT), True),
        Property(b"IgnoreSIGPIPE", b"b", False),
        Property(b"UMask", b"u", defaults.umask if definition.umask is None else definition.umask),
    ]
    if definition.nice is not None:
        properties.append(Property(b"Nice", b"i", definition.nice))
    if definition.oom_score_adj:
        properties.append(Property(b"OOMScoreAdjust", b"i", definition.oom_score_adj))
    for limit in definition.limits:
        soft, hard = (UNLIMITED if value is None or value < 0 else min(value, UNLIMITED) for value in (limit.soft, limit.hard))
        name = _LIMITS[limit.resource]
        if soft <= hard:
            properties += [Property(name, b"t", hard), Property(name + b"Soft", b"t", soft)]
    if definition.chroot is None:
        chdir = defaults.chdir if definition.chdir is None else definition.chdir
        if chdir.startswith("/"):
            # With -, a folder that is not there is the launcher's to complain of.
            properties.append(Property(b"WorkingDirectory", b"s", b"-" + os.fsencode(os.path.normpath(chdir))))
    return properties


def scope_properties(request: SpawnProcess, description: str, *pids: int) -> List[Property]:
    """Those of the scope around one of our own processes (X251), and what else is to be in it."""
    return [
        *_common(request, description),
        Property(b"PIDs", b"au", list(pids), True),
        Property(b"SendSIGKILL", b"b", False, True),
        Property(b"CollectMode", b"s", b"inactive-or-failed"),
    ]


def unit_description(request: SpawnProcess, name: str) -> str:
    """What systemd's tools call the unit: the job's own description, with its name."""
    text = request.definition.description
    return f"{name}: {text}" if text else name

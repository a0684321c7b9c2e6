"""A daemon for the end of the host, where that of the service has died and systemd starts no other any more (B204, B218).

From the moment on at which the host goes down systemd restarts nothing, and a daemon that is killed then would leave its jobs to
systemd, which knows nothing of their way to stop. So whoever is waited for starts a daemon of its own, which goes on where the
dead one was, and ends it when all is done.
"""
from __future__ import annotations

import os
import sys
from typing import Any, Optional

PROGRAM = "/usr/lib/upstart-compat/bin/upstart-compat"
#: From the same file as that of the service (EnvironmentFile=).
_OPTIONS = "OPTIONS"
#: Not for a daemon that systemd does not know.
_NOT_ITS_OWN = (_OPTIONS, "NOTIFY_SOCKET")
#: Seconds for it to come, and to end.
_COMES, _ENDS = 15.0, 5.0


class StandIn:
    """``program``: the daemon's."""

    def __init__(self, program: str = PROGRAM) -> None:
        self._program = program
        self._process: Optional[Any] = None

    def start(self) -> float:
        """Start it, once; how many seconds it may take to be there, 0 if there is none to wait for."""
        if self._process is not None or not os.access(self._program, os.X_OK):
            return 0.0
        # Rarely needed, and the host waits for this program.
        import shlex
        import subprocess
        options = shlex.split(os.environ.get(_OPTIONS, ""))
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_ITS_OWN}
        print("upstart-host-bridge: the daemon has died, another one goes on until the jobs are down", file=sys.stderr)
        try:
            self._process = subprocess.Popen([self._program, "--host=systemd", "--expose-units=no", *options],
                                             stdin=subprocess.DEVNULL, env=environment)
        except OSError as error:
            print(f"upstart-host-bridge: {self._program}: {error.strerror}", file=sys.stderr)
            return 0.0
        return _COMES

    def end(self) -> None:
        """End it, if it was started."""
        if self._process is None:
            return
        import subprocess
        self._process.terminate()
        try:
            self._process.wait(_ENDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

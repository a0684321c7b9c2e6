"""Jobs that belong to the host's init: their files are read, and then not registered (B198).

A folder of an old system holds the jobs that brought it up: mounting, consoles, runlevels. Where another init
does that, they must not run. ``OwnedJobs`` stands between the catalogue and the engine. Until ``loaded`` it keeps
back what it masks: which profile this is shows only when all names are known.
"""
from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Callable, Dict, Optional, Set, Union

from ..engine.actions import INFO
from ..engine.inputs import DefineJob, ForgetJob
from .configuration import HostConfiguration
from .profile import CHROMEOS, MINIMAL, detect_profile

#: Names and shell patterns, group by group.
OWNED = (
    # runlevels
    "rc", "rcS", "rc-sysinit", "rcS-sulogin", "rcS-emergency", "failsafe", "failsafe-x", "friendly-recovery", "control-alt-delete",
    "shutdown", "halt", "reboot", "pre-shutdown", "startpar-bridge", "kexec-disable",
    # consoles, splash
    "tty", *(f"tty{number}" for number in range(1, 13)), "ttyS*", "console", "serial", "start-ttys", "prefdm", "setvtrgb", "console-font",
    "console-setup", "plymouth", "plymouth-*", "splash-manager", "quit-plymouth",
    # file systems
    "mountall", "mountall-*", "mountall.sh", "mounted-*", "mountkernfs.sh", "mountdevsubfs.sh", "mountnfs.sh", "mountnfs-bootclean.sh",
    "mountall-bootclean.sh", "checkroot.sh", "checkroot-bootclean.sh", "checkfs.sh", "bootmisc.sh", "mtab.sh", "ureadahead",
    "ureadahead-other",
    # devices
    "udev", "udevtrigger", "udevmonitor", "udev-finish", "udev-fallback-graphics", "kmod", "module-init-tools", "hwclock", "hwclock-save",
    "hwclock.sh",
    # network
    "network-interface", "network-interface-security", "network-interface-container", "networking", "network-manager", "resolvconf",
    # base
    "hostname", "hostname.sh", "procps", "procps-instance", "dmesg", "container-detect", "flush-early-job-log", "cgroup-lite", "cgmanager",
    "cgproxy", "init-system-dbus", "upstart-*-bridge",
)
#: In profile chromeos these are the system's own milestones.
_NOT_ON_CHROMEOS = ("halt", "reboot", "pre-shutdown")

_Definition = Union[DefineJob, ForgetJob]


def is_owned(name: str, profile: str, configuration: HostConfiguration) -> bool:
    """Whether the host does what the job of this name did. The configuration's lines go before the list."""
    if name in configuration.unmask:
        return False
    if name in configuration.mask:
        return True
    if profile == MINIMAL or not configuration.default_masks or (profile == CHROMEOS and name in _NOT_ON_CHROMEOS):
        return False
    return any(fnmatchcase(name, pattern) for pattern in OWNED)


class OwnedJobs:
    """Hands on what is registered. ``profile``: configured, or None to tell it from the names."""

    def __init__(self, configuration: HostConfiguration, profile: Optional[str], feed: Callable[[_Definition], object],
                 log: Callable[[int, str], None]) -> None:
        self._configuration = configuration
        self._configured_profile = profile
        self._feed = feed
        self._log = log
        self._names: Set[str] = set()
        #: what is masked, or may be
        self._kept: Dict[str, DefineJob] = {}
        self._registered: Set[str] = set()
        self._loading = True
        self.profile = profile or ""

    def feed(self, happened: _Definition) -> None:
        """A definition from the catalogue."""
        name = happened.job
        if isinstance(happened, ForgetJob):
            self._names.discard(name)
            self._kept.pop(name, None)
            self._registered.discard(name)
            # The engine ignores names that it does not know.
            self._feed(happened)
            return
        self._names.add(name)
        if self._loading and is_owned(name, "", self._configuration):
            self._kept[name] = happened
        elif not self._loading and is_owned(name, self.profile, self._configuration):
            self._keep(happened)
        else:
            self._kept.pop(name, None)
            self._registered.add(name)
            self._feed(happened)

    def loaded(self) -> None:
        """Everything was read: find out the profile and decide about what was kept back."""
        self._loading = False
        self.profile = self._configured_profile or detect_profile(self._names)
        self._decide()

    def reconfigure(self, configuration: HostConfiguration, profile: Optional[str]) -> None:
        """Other lines; to be followed by a reload of the catalogue and ``loaded`` (B271)."""
        self._configuration = configuration
        self._configured_profile = profile
        self._loading = True

    def masked(self) -> Set[str]:
        """The names that are masked now; they count as native (B224)."""
        return set(self._kept)

    def _decide(self) -> None:
        for name, definition in list(self._kept.items()):
            if is_owned(name, self.profile, self._configuration):
                self._keep(definition)
            else:
                del self._kept[name]
                self._registered.add(name)
                self._feed(definition)

    def _keep(self, definition: DefineJob) -> None:
        name = definition.job
        self._kept[name] = definition
        self._log(INFO, f"{name}: owned by the host, not loaded (unmask in {self._configuration.path})")
        if name in self._registered:
            self._registered.discard(name)
            self._feed(ForgetJob(name))

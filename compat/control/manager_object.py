"""The manager object: interface com.ubuntu.Upstart0_6 (C38-C53, C81-C89)."""
from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from ..engine import inputs
from ..engine.actions import INFO
from ..engine.view import EngineView, Refused
from .bus import Bus
from .calls import Call, PendingCalls
from .interfaces import Interface, Method, Property, Signal
from .paths import job_path
from .permissions import Permissions
from .services import DaemonServices
from .wire import INTERFACE

_LOG_PRIORITIES = ("debug", "info", "message", "warn", "error", "fatal")


class ManagerObject:
    """Serves the manager's methods."""

    def __init__(self, engine: EngineView, feed: Callable[[Any], None], pending: PendingCalls, permissions: Permissions,
                 services: DaemonServices, bus: Bus, log: Callable[[int, str], None]) -> None:
        self._engine = engine
        self._feed = feed
        self._pending = pending
        self._check = permissions.check
        self._services = services
        self._bus = bus
        self._log = log

    def interface(self) -> Interface:
        """The table of C4.5, in the order of upstream's introspection data."""
        return Interface(INTERFACE, (
            Method("ReloadConfiguration", "", "", self._reload_configuration, guarded=True),
            Method("GetJobByName", "name:s", "job:o", self._get_job_by_name),
            Method("GetAllJobs", "", "jobs:ao", self._get_all_jobs),
            Method("EmitEvent", "name:s env:as wait:b", "", self._emit_event, guarded=True, later=True),
            Method("EmitEventWithFile", "name:s env:as wait:b file:h", "", self._emit_event, guarded=True, later=True),
            Method("GetState", "", "state:s", self._get_state, guarded=True),
            Method("Restart", "", "", self._restart, guarded=True, later=True),
            Method("GetEnv", "job_details:as name:s", "value:s", self._get_env, guarded=True),
            Method("SetEnv", "job_details:as var:s replace:b", "", self._set_env, guarded=True, later=True),
            Method("SetEnvList", "job_details:as vars:as replace:b", "", self._set_env_list, guarded=True, later=True),
            Method("UnsetEnv", "job_details:as name:s", "", self._unset_env, guarded=True, later=True),
            Method("UnsetEnvList", "job_details:as name:as", "", self._unset_env_list, guarded=True, later=True),
            Method("ListEnv", "job_details:as", "env:as", self._list_env, guarded=True),
            Method("ResetEnv", "job_details:as", "", self._reset_env, guarded=True, later=True),
            Method("NotifyDiskWriteable", "", "", self._notify_disk_writeable, guarded=True),
            Method("NotifyDBusAddress", "address:s", "", self._notify_dbus_address, guarded=True, later=True),
            Method("NotifyCGroupManagerAddress", "address:s", "", self._notify_cgroup_manager_address, guarded=True),
            Method("EndSession", "", "", self._end_session, guarded=True),
        ), (
            Property("version", "s", lambda target: self._services.version()),
            Property("log_priority", "s", lambda target: self._services.log_priority(), self._set_log_priority),
        ), (
            Signal("JobAdded", "job:o"),
            Signal("JobRemoved", "job:o"),
            Signal("EventEmitted", "name:s env:as"),
            Signal("Restarted", ""),
        ))

    # -- jobs --------------------------------------------------------------------------------------

    def _reload_configuration(self, call: Call, target: None) -> None:
        self._check(call, "You do not have permission to reload configuration")
        self._log(INFO, "Reloading configuration")
        self._services.reload_configuration()

    def _get_job_by_name(self, call: Call, target: None, name: str) -> str:
        if not name:
            raise Refused("InvalidArgs", "Name may not be empty string")
        if self._engine.job(name) is None:
            raise Refused("UnknownJob", f"Unknown job: {name}")
        return job_path(name)

    def _get_all_jobs(self, call: Call, target: None) -> List[str]:
        return list(map(job_path, self._engine.job_names()))

    # -- events --------------------------------------------------------------------------------------

    def _emit_event(self, call: Call, target: None, name: str, env: Tuple[str, ...], wait: bool, file: Any = None) -> None:
        self._check(call, "You do not have permission to emit an event")
        if not name:
            raise Refused("InvalidArgs", "Name may not be empty string")
        for variable in env:
            if "=" not in variable:
                raise Refused("InvalidArgs", "Env must be KEY=VALUE pairs")
        # From here on the descriptor is the engine's; it was closed with `file` before.
        fd = -1 if file is None else file.take()
        self._feed(inputs.EmitEvent(self._pending.enter(call), name, env, wait, fd))

    # -- the job environment table -------------------------------------------------------------------

    def _get_env(self, call: Call, target: None, job_details: Tuple[str, ...], name: str) -> str:
        self._check(call, "You do not have permission to query job environment")
        return self._engine.get_env(*_table(job_details), name)

    def _list_env(self, call: Call, target: None, job_details: Tuple[str, ...]) -> List[str]:
        self._check(call, "You do not have permission to query job environment")
        return list(self._engine.list_env(*_table(job_details)))

    def _set_env(self, call: Call, target: None, job_details: Tuple[str, ...], variable: str, replace: bool) -> None:
        self._set_env_list(call, target, job_details, (variable,), replace)

    def _set_env_list(self, call: Call, target: None, job_details: Tuple[str, ...], variables: Tuple[str, ...],
                      replace: bool) -> None:
        table = self._table_to_modify(call, job_details)
        self._feed(inputs.SetEnv(self._pending.enter(call), *table, variables, replace))

    def _unset_env(self, call: Call, target: None, job_details: Tuple[str, ...], name: str) -> None:
        self._unset_env_list(call, target, job_details, (name,))

    def _unset_env_list(self, call: Call, target: None, job_details: Tuple[str, ...], names: Tuple[str, ...]) -> None:
        table = self._table_to_modify(call, job_details)
        self._feed(inputs.UnsetEnv(self._pending.enter(call), *table, names))

    def _reset_env(self, call: Call, target: None, job_details: Tuple[str, ...]) -> None:
        table = self._table_to_modify(call, job_details)
        self._feed(inputs.ResetEnv(self._pending.enter(call), *table))

    def _table_to_modify(self, call: Call, job_details: Tuple[str, ...]) -> Tuple[Optional[str], Optional[str]]:
        self._check(call, "You do not have permission to modify job environment")
        if self._services.pid1:
            raise Refused("PermissionDenied", "Not permissible to modify PID 1 job environment")
        return _table(job_details)

    # -- re-execution ------------------------------------------------------------------------------------

    def _get_state(self, call: Call, target: None) -> str:
        self._check(call, "You do not have permission to request state")
        return self._services.state()

    def _restart(self, call: Call, target: None) -> None:
        self._check(call, "You do not have permission to request restart")
        self._log(INFO, "Restarting")
        self._services.re_execute(call)

    # -- the daemon ------------------------------------------------------------------------------------

    def _set_log_priority(self, call: Call, target: None, priority: str) -> None:
        self._check(call, "You do not have permission to set log priority")
        if priority not in _LOG_PRIORITIES:
            raise Refused("InvalidArgs", "The log priority given was not recognised")
        self._services.set_log_priority(priority)

    def _notify_disk_writeable(self, call: Call, target: None) -> None:
        self._check(call, "You do not have permission to notify disk is writeable")
        self._services.write_held_output()

    def _notify_dbus_address(self, call: Call, target: None, address: str) -> None:
        if self._services.pid1:
            raise Refused("PermissionDenied", "Not permissible to notify D-Bus address for PID 1")
        self._check(call, "You do not have permission to notify D-Bus address")
        number = self._pending.enter(call)

        def done(error: Optional[Tuple[str, str]]) -> None:
            waiting = self._pending.leave(number)
            if waiting is None:
                return
            if error is None:
                waiting.succeed_with_instance(None)
            else:
                waiting.fail(*error)

        self._bus.connect_notified(address, done)

    def _notify_cgroup_manager_address(self, call: Call, target: None, address: str) -> None:
        # Accepted without effect, as by an Upstart built without cgroup support (C51).
        self._check(call, "You do not have permission to notify cgroup manager address")

    def _end_session(self, call: Call, target: None) -> None:
        self._check(call, "You do not have permission to end session")
        if not self._services.pid1:
            self._services.end_session()


def _table(job_details: Tuple[str, ...]) -> Tuple[Optional[str], Optional[str]]:
    """Which table ``job_details`` means: that of (class, instance), or the global one, (None, None) (C81)."""
    if not job_details:
        return None, None
    if not job_details[0]:
        raise Refused("InvalidArgs", "Job may not be empty string")
    return job_details[0], job_details[1] if len(job_details) > 1 else None

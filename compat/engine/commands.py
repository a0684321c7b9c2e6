"""What a caller asks of a job, an instance or the environment table, and what is refused (E31, C54-C89)."""
from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

from .actions import ActivationEnvironment, Answer, CloseDescriptor, SignalProcess
from .core import Core, default_environment
from .environment import Table, add_entries, add_entry, as_entries
from .expansion import ExpansionError, expand
from .inputs import (
    AwaitInstance,
    EmitEvent,
    ReloadInstance,
    ResetEnv,
    RestartInstance,
    RestartJob,
    SetEnv,
    StartInstance,
    StartJob,
    StopFromOutside,
    StopInstance,
    StopJob,
    UnsetEnv,
)
from .jobs import Instance, JobClass
from .lifecycle import all_instances, change_goal, new_instance, plan_start, release_owners, request_restart, request_stop
from .session_end import refuses_starts
from .states import RUNNING, START, STOP
from .view import Refused

_TO_START, _TO_STOP, _TO_RESTART = "Job failed to start", "Job failed while stopping", "Job failed to restart"


# -- finding what is meant ----------------------------------------------------------------------------------


def check_env(env: Sequence[str]) -> None:
    """Raises Refused if an entry has no ``=`` (C55)."""
    for entry in env:
        if "=" not in entry:
            raise Refused("InvalidArgs", "Env must be KEY=VALUE pairs")


def job_class(core: Core, name: str) -> JobClass:
    """The registered class. Raises Refused UnknownJob."""
    job = core.registry.classes.get(name)
    if job is None:
        raise Refused("UnknownJob", "Unknown job: " + name)
    return job


def instance_name(core: Core, job: JobClass, env: Sequence[str], with_usage: bool) -> Tuple[str, Table]:
    """The instance name that ``env`` gives, and the table it came from (C54-C56). Raises Refused."""
    check_env(env)
    table = core.class_environment(job)
    add_entries(table, env, core.inherited)
    try:
        return expand(job.definition.instance or "", table), table
    except ExpansionError as error:
        message = str(error)
        if with_usage and job.definition.usage is not None:
            message += "\nUsage: " + job.definition.usage
        raise Refused("InvalidArgs", message) from None


def existing_instance(job: JobClass, name: str) -> Instance:
    """Raises Refused UnknownInstance (C57)."""
    instance = job.instances.get(name)
    if instance is None:
        raise Refused("UnknownInstance", "Unknown instance: " + name)
    return instance


def _named_instance(core: Core, job: str, name: str) -> Instance:
    return existing_instance(job_class(core, job), name)


# -- start, stop, restart -------------------------------------------------------------------------------------


def _check_not_started(core: Core, instance: Optional[Instance], display_name: str) -> None:
    # A job about to be respawned is as good as started; accepting would forget the respawn (E30).
    if instance is not None and instance.goal != STOP:
        raise Refused("AlreadyStarted", "Job is already running: " + display_name)
    if refuses_starts(core):
        raise Refused("JobFailed", "Job failed to start: the session is ending")


def _check_not_stopped(instance: Instance) -> None:
    if instance.goal == STOP:
        raise Refused("AlreadyStopped", "Job has already been stopped: " + instance.display_name)


def _accept(core: Core, instance: Instance, call: int, wait: bool, failure: str, result: Optional[str]) -> None:
    """The waiters so far are released, and the caller takes their place if it waits (E106)."""
    release_owners(core, instance)
    core.changed(instance)
    if wait:
        instance.owners.append(("call", call, failure, result))


def start_job(core: Core, request: StartJob) -> None:
    """C59."""
    job = job_class(core, request.job)
    name, table = instance_name(core, job, request.env, with_usage=True)
    instance = job.instances.get(name)
    _check_not_started(core, instance, job.name + " (" + name + ")" if name else job.name)
    if instance is None:
        instance = new_instance(core, job, name)
    plan_start(core, instance, table)
    _accept(core, instance, request.call, request.wait, _TO_START, name)
    change_goal(core, instance, START)
    if not request.wait:
        core.out.append(Answer(request.call, name))


def stop_job(core: Core, request: StopJob) -> None:
    """C62."""
    job = job_class(core, request.job)
    instance = existing_instance(job, instance_name(core, job, request.env, with_usage=False)[0])
    _check_not_stopped(instance)
    stop_env: Table = {}
    add_entries(stop_env, request.env, core.inherited)
    instance.stop_env = stop_env
    _accept(core, instance, request.call, request.wait, _TO_STOP, None)
    request_stop(core, instance)
    if not request.wait:
        core.out.append(Answer(request.call))


def restart_job(core: Core, request: RestartJob) -> None:
    """C63."""
    job = job_class(core, request.job)
    name, table = instance_name(core, job, request.env, with_usage=False)
    instance = existing_instance(job, name)
    _check_not_stopped(instance)
    plan_start(core, instance, table)
    instance.stop_env = None
    _accept(core, instance, request.call, request.wait, _TO_RESTART, name)
    request_restart(core, instance)
    if not request.wait:
        core.out.append(Answer(request.call, name))


def start_instance(core: Core, request: StartInstance) -> None:
    """C67: the environment stays (E68)."""
    instance = _named_instance(core, request.job, request.instance)
    _check_not_started(core, instance, instance.display_name)
    _accept(core, instance, request.call, request.wait, _TO_START, None)
    change_goal(core, instance, START)
    if not request.wait:
        core.out.append(Answer(request.call))


def stop_instance(core: Core, request: StopInstance) -> None:
    """C68."""
    instance = _named_instance(core, request.job, request.instance)
    _check_not_stopped(instance)
    instance.stop_env = None
    _accept(core, instance, request.call, request.wait, _TO_STOP, None)
    request_stop(core, instance)
    if not request.wait:
        core.out.append(Answer(request.call))


def await_instance(core: Core, request: AwaitInstance) -> None:
    """The caller joins those who wait for the instance (E106)."""
    instance = _named_instance(core, request.job, request.instance)
    if instance.goal == START and instance.state == RUNNING and not instance.definition.task:
        core.out.append(Answer(request.call))
        return
    core.changed(instance)
    failure = _TO_STOP if instance.goal == STOP else _TO_START
    instance.owners.append(("call", request.call, failure, None))


def stop_from_outside(core: Core, request: StopFromOutside) -> None:
    """X252, X257: as StopInstance without a caller; one that is being stopped already needs no more."""
    found = core.find(request.job, request.instance)
    if found is None or found[1].goal == STOP:
        return
    instance = found[1]
    instance.stop_env = None
    release_owners(core, instance)
    request_stop(core, instance)


def restart_instance(core: Core, request: RestartInstance) -> None:
    """C69."""
    instance = _named_instance(core, request.job, request.instance)
    _check_not_stopped(instance)
    instance.stop_env = None
    _accept(core, instance, request.call, request.wait, _TO_RESTART, None)
    request_restart(core, instance)
    if not request.wait:
        core.out.append(Answer(request.call))


def reload_instance(core: Core, request: ReloadInstance) -> None:
    """C70. If the signal cannot be sent, its failure is the answer, and the Answer here is void."""
    instance = _named_instance(core, request.job, request.instance)
    main = instance.main
    if main is None or not main.pid:
        raise Refused("NotRunning", "Job is not running: " + instance.display_name)
    core.reloads[main.spawn] = request.call
    core.out.append(SignalProcess(main.spawn, instance.definition.reload_signal, False, True))
    core.out.append(Answer(request.call))


def emit_event(core: Core, request: EmitEvent) -> None:
    """C41, C42."""
    try:
        if not request.name:
            raise Refused("InvalidArgs", "Name may not be empty string")
        check_env(request.env)
    except Refused:
        if request.fd >= 0:
            core.out.append(CloseDescriptor(request.fd))
        raise
    event = core.queue_event(request.name, request.env, request.fd)
    if request.call is not None:
        if request.wait:
            event.waiters.append(("call", request.call))
        else:
            core.out.append(Answer(request.call))


# -- the job environment table ----------------------------------------------------------------------------------


def table_of(core: Core, job: Optional[str], instance: Optional[str]) -> Tuple[Table, Optional[Instance]]:
    """The global table, or that of an instance (C81). Raises Refused."""
    if job is None:
        return core.job_environment, None
    if not job:
        raise Refused("InvalidArgs", "Job may not be empty string")
    found = job_class(core, job).instances.get(instance) if instance is not None else None
    if found is None:
        job_class(core, job)
        name = "(null)" if instance is None else instance
        raise Refused("UnknownJobInstance", f"Unknown instance: {name} of job {job}")
    return found.env, found


def _table_to_change(core: Core, job: Optional[str], instance: Optional[str]) -> Tuple[Table, Optional[Instance]]:
    table, found = table_of(core, job, instance)
    if found is not None:
        core.changed(found)
    elif core.changes is not None:
        core.changes.environment = True
    return table, found


def set_env(core: Core, request: SetEnv) -> None:
    """C83, C84; the first bad variable ends the call, earlier ones stay."""
    table, instance = _table_to_change(core, request.job, request.instance)
    for variable in request.variables:
        key, separator, value = variable.partition("=")
        if not key:
            raise Refused("InvalidArgs", "Variable may not be empty string")
        entry = key + "=" + value
        add_entry(table, entry, core.inherited, request.replace)
        if instance is None:
            for each in all_instances(core):
                core.changed(each)
                add_entry(each.env, entry, core.inherited, request.replace)
            core.out.append(ActivationEnvironment(key, table[key]))
    core.out.append(Answer(request.call))


def unset_env(core: Core, request: UnsetEnv) -> None:
    """C85, with whole names compared (C86)."""
    table, instance = _table_to_change(core, request.job, request.instance)
    for name in request.names:
        if not table:
            raise Refused("InvalidArgs", "No such variable: " + name)
        table.pop(name, None)
        if instance is None:
            for each in all_instances(core):
                core.changed(each)
                each.env.pop(name, None)
    core.out.append(Answer(request.call))


def reset_env(core: Core, request: ResetEnv) -> None:
    """C89."""
    table, instance = _table_to_change(core, request.job, request.instance)
    fresh: Dict[str, str]
    if instance is None:
        fresh = default_environment(core.inherited, core.inherit_all)
    else:
        fresh = dict(core.job_environment)
        add_entries(fresh, instance.definition.env, core.inherited)
    table.clear()
    table.update(fresh)
    core.out.append(Answer(request.call))


def get_env(core: Core, job: Optional[str], instance: Optional[str], name: str) -> str:
    """C87. Raises Refused."""
    table = table_of(core, job, instance)[0]
    if not name:
        raise Refused("InvalidArgs", "Variable may not be empty string")
    if name not in table:
        raise Refused("InvalidArgs", "No such variable: " + name)
    return table[name]


def list_env(core: Core, job: Optional[str], instance: Optional[str]) -> Tuple[str, ...]:
    """C88. Raises Refused."""
    return as_entries(table_of(core, job, instance)[0])

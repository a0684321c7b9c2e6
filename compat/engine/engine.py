"""The engine: what happened goes in, what is to be done comes out.

``feed`` is the only way to change anything and ``Core`` is all there is to change. The engine does no
I/O and reads no clock; the same inputs at the same times give the same actions. See inputs.py and
actions.py for the two languages, lifecycle.py for how a job moves.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..parser.definition import MAIN, PROCESS_NAMES
from ..parser.signals import signal_name
from . import classes, commands, condition_report, delivery, inputs, lifecycle, restore, session_end
from .actions import Refuse, SignalProcess
from .condition_report import ConditionReport
from .core import Changes, Core, default_environment
from .environment import Table
from .events import Event
from .jobs import Instance, JobClass
from .states import KILLED, SPAWNED
from .view import Refused

_SIGCONT, _SIGSTOP = 18, 19


class Engine:
    """The event and state engine of chapter 2.

    ``inherited`` is the daemon's own environment; ``inherit_all`` puts all of it into the job
    environment table (E65); ``apparmor`` says whether AppArmor profiles can be loaded (X136);
    ``session`` is the address that jobs of a session get as UPSTART_SESSION (E72).
    """

    def __init__(self, inherited: Optional[Mapping[str, str]] = None, inherit_all: bool = False,
                 apparmor: bool = False, session: Optional[str] = None) -> None:
        self._core = Core(dict(inherited or {}), inherit_all, apparmor, session)

    def feed(self, happened: Tuple[Any, ...], now: float) -> List[Any]:
        """Tell the engine one input (see inputs.py) at a monotonic time in seconds; returns actions.

        Raises only on a defect of the engine itself; ``take`` then gives the actions made so far.
        """
        core = self._core
        core.now = now
        handler = _HANDLERS[type(happened)]
        try:
            handler(core, happened)
        except Refused as refusal:
            core.out.append(Refuse(happened.call, refusal.error, refusal.message))  # type: ignore[attr-defined]
        return self.take()

    def take(self) -> List[Any]:
        """The actions that were not handed out yet."""
        out, self._core.out = self._core.out, []
        return out

    @property
    def core(self) -> Core:
        """All that there is, for whoever writes it down or fills a fresh engine with it (compat.state)."""
        return self._core

    def has_work(self) -> bool:
        """Whether PollEvents would do anything."""
        return self._core.queue.has_work()

    # -- what a journal keeps --------------------------------------------------------------------------------

    def track_changes(self) -> None:
        """From now on ``take_changes`` says what to write down."""
        self._core.changes = Changes()

    def take_changes(self) -> Optional[Changes]:
        """What changed since the last time, None if nothing did."""
        changes = self._core.changes
        if changes is None or not (changes.instances or changes.events or changes.conditions or changes.environment):
            return None
        self._core.changes = Changes()
        return changes

    def everything(self) -> Changes:
        """As if all there is had just changed."""
        core = self._core
        every = Changes()
        every.events.update(dict.fromkeys(core.queue.events))
        for job in core.registry.classes.values():
            if job.start_on is not None and job.start_on.held:
                every.conditions[job.name] = None
            every.instances.update(dict.fromkeys((job.name, name) for name in job.instances))
        every.environment = True
        return every

    @property
    def serial(self) -> int:
        """The highest number that was given to a spawn or a timer."""
        return self._core.serial

    def event(self, number: int) -> Optional[Event]:
        """An event that is not finished."""
        return self._core.queue.events.get(number)

    def changed_environment(self) -> Optional[Table]:
        """The global job environment table; None if it is as it was at the start."""
        core = self._core
        table = core.job_environment
        return None if list(table.items()) == list(default_environment(core.inherited, core.inherit_all).items()) else table

    # -- what can be asked (view.EngineView) ------------------------------------------------------------

    def job_names(self) -> List[str]:
        """Names of the registered jobs in the order of E83 (C40)."""
        return [job.name for job in self._core.registry.ordered()]

    def job(self, name: str) -> Optional[JobClass]:
        """The registered job of that name."""
        return self._core.registry.classes.get(name)

    def select_instance(self, job: str, env: Sequence[str]) -> str:
        """For GetInstance: the existing instance that ``env`` selects (C54-C57). Raises Refused."""
        found = commands.job_class(self._core, job)
        return commands.existing_instance(found, commands.instance_name(self._core, found, env, with_usage=True)[0]).name

    def conditions(self, job: str) -> List[ConditionReport]:
        """How far the conditions of a registered job are met; none for a name that is not registered."""
        found = self._core.registry.classes.get(job)
        return condition_report.report(self._core, found) if found is not None else []

    def list_env(self, job: Optional[str], instance: Optional[str]) -> Tuple[str, ...]:
        """C88. Raises Refused."""
        return commands.list_env(self._core, job, instance)

    def get_env(self, job: Optional[str], instance: Optional[str], name: str) -> str:
        """C87. Raises Refused."""
        return commands.get_env(self._core, job, instance, name)

    def names_event(self, name: str) -> bool:
        """Whether a condition of some job or instance names this event, by its name or by a pattern."""
        return self._core.registry.names_event(name)

    def largest_kill_timeout(self) -> int:
        """Of all instances, in seconds; 0 without any (B220)."""
        return max((instance.definition.kill_timeout for instance in lifecycle.all_instances(self._core)), default=0)

    def held_events(self) -> List[Tuple[str, Table]]:
        """Events that something holds, oldest first: (name, variables)."""
        return [(event.name, dict(entry.partition("=")[::2] for entry in event.env))
                for _, event in sorted(self._core.queue.events.items())]


# -- one handler an input ----------------------------------------------------------------------------------

_Handler = Callable[[Core, Any], None]


def _define(core: Core, happened: inputs.DefineJob) -> None:
    job = classes.define(core, happened.job, happened.definition)
    if job is not None:
        delivery.start_on_fired(core, job)


def _forget(core: Core, happened: inputs.ForgetJob) -> None:
    classes.forget(core, happened.job)


def _poll(core: Core, happened: inputs.PollEvents) -> None:
    delivery.poll(core)


def _timer(core: Core, happened: inputs.TimerFired) -> None:
    if not session_end.tick(core, happened.timer):
        lifecycle.kill_timer_fired(core, happened.timer)


def _quiesce(core: Core, happened: inputs.Quiesce) -> None:
    session_end.begin(core, happened.reason, happened.limit)


def _host_goes_down(core: Core, happened: inputs.HostGoesDown) -> None:
    core.host_goes_down = happened.down


_ProcessHandler = Callable[[Core, Instance, int, Any], None]


def _of_process(handle: _ProcessHandler) -> _Handler:
    """Resolve a spawn number; what is not known any more is ignored (E36)."""

    def handler(core: Core, happened: Any) -> None:
        place = core.spawns.get(happened.spawn)
        if place is None:
            return
        found = core.find(place[0], place[1])
        if found is not None:
            handle(core, found[1], place[2], happened)

    return handler


def _line(instance: Instance, slot: int) -> str:
    process = instance.processes[slot]
    return f"{instance.display_name} {PROCESS_NAMES[slot]} process ({process.pid if process else 0})"


def _signal_text(number: int) -> str:
    name = signal_name(number)
    return f"{name} signal" if name else f"signal {number}"


def _spawned(core: Core, instance: Instance, slot: int, happened: inputs.ProcessSpawned) -> None:
    process = instance.processes[slot]
    if process is not None:
        core.changed(instance)
        process.pid = happened.pid
    core.info(_line(instance, slot))
    lifecycle.process_spawned(core, instance, slot)


def _executed(core: Core, instance: Instance, slot: int, happened: inputs.ProcessExecuted) -> None:
    # For its handle.
    core.changed(instance)
    lifecycle.process_executed(core, instance, slot)


def _spawn_failed(core: Core, instance: Instance, slot: int, happened: inputs.ProcessSpawnFailed) -> None:
    lifecycle.process_spawn_failed(core, instance, slot, happened.reason)


def _ended(core: Core, instance: Instance, slot: int, happened: inputs.ProcessEnded) -> None:
    lifecycle.process_ended(core, instance, slot, happened.status)


def _stopped(core: Core, instance: Instance, slot: int, happened: inputs.ProcessStopped) -> None:
    core.info(f"{_line(instance, slot)} stopped by {_signal_text(happened.signal)}")
    if (slot == MAIN and instance.state == SPAWNED and instance.definition.expect == "stop"
            and happened.signal == _SIGSTOP):
        core.out.append(SignalProcess(happened.spawn, _SIGCONT, False))
        lifecycle.process_ready(core, instance, slot)


def _continued(core: Core, instance: Instance, slot: int, happened: inputs.ProcessContinued) -> None:
    core.info(f"{_line(instance, slot)} continued by {_signal_text(_SIGCONT)}")


def _forked(core: Core, instance: Instance, slot: int, happened: inputs.ProcessForked) -> None:
    core.info(f"{_line(instance, slot)} became new process ({happened.pid})")
    process = instance.processes[slot]
    if process is not None:
        core.changed(instance)
        process.pid = happened.pid


def _replaced(core: Core, instance: Instance, slot: int, happened: inputs.ProcessReplaced) -> None:
    core.info(f"{_line(instance, slot)} executable changed")


def _ready(core: Core, instance: Instance, slot: int, happened: inputs.ProcessReady) -> None:
    lifecycle.process_ready(core, instance, slot)


def _vanished(core: Core, instance: Instance, slot: int, happened: inputs.ProcessVanished) -> None:
    call = core.reloads.pop(happened.spawn, None)
    if call is not None:
        core.out.append(Refuse(call, "NotRunning", "Job is not running: " + instance.display_name))
    lifecycle.process_vanished(core, instance, slot)


def _never_ran(core: Core, instance: Instance, slot: int, happened: inputs.ProcessNeverRan) -> None:
    restore.process_never_ran(core, instance, slot)


def _lost(core: Core, instance: Instance, slot: int, happened: inputs.ProcessLost) -> None:
    lifecycle.process_lost(core, instance, slot)


def _signalled(core: Core, instance: Instance, slot: int, happened: inputs.SignalSent) -> None:
    process = instance.processes[slot]
    if process is not None and slot == MAIN and instance.state == KILLED and not process.signalled:
        core.changed(instance)
        process.signalled = True


def _not_signalled(core: Core, instance: Instance, slot: int, happened: inputs.SignalNotSent) -> None:
    call = core.reloads.pop(happened.spawn, None)
    if call is not None:
        core.out.append(Refuse(call, "Failed", happened.reason))
        return
    core.warn(f"Failed to send {_signal_text(happened.signal)} to {_line(instance, slot)}: {happened.reason}")


_HANDLERS: Dict[type, _Handler] = {
    inputs.DefineJob: _define,
    inputs.ForgetJob: _forget,
    inputs.Restore: restore.restore,
    inputs.EmitEvent: commands.emit_event,
    inputs.PollEvents: _poll,
    inputs.StartJob: commands.start_job,
    inputs.StopJob: commands.stop_job,
    inputs.RestartJob: commands.restart_job,
    inputs.StartInstance: commands.start_instance,
    inputs.StopInstance: commands.stop_instance,
    inputs.AwaitInstance: commands.await_instance,
    inputs.StopFromOutside: commands.stop_from_outside,
    inputs.RestartInstance: commands.restart_instance,
    inputs.ReloadInstance: commands.reload_instance,
    inputs.SetEnv: commands.set_env,
    inputs.UnsetEnv: commands.unset_env,
    inputs.ResetEnv: commands.reset_env,
    inputs.ProcessSpawned: _of_process(_spawned),
    inputs.ProcessExecuted: _of_process(_executed),
    inputs.ProcessSpawnFailed: _of_process(_spawn_failed),
    inputs.ProcessEnded: _of_process(_ended),
    inputs.ProcessStopped: _of_process(_stopped),
    inputs.ProcessContinued: _of_process(_continued),
    inputs.ProcessForked: _of_process(_forked),
    inputs.ProcessReplaced: _of_process(_replaced),
    inputs.ProcessReady: _of_process(_ready),
    inputs.ProcessVanished: _of_process(_vanished),
    inputs.ProcessNeverRan: _of_process(_never_ran),
    inputs.ProcessLost: _of_process(_lost),
    inputs.SignalSent: _of_process(_signalled),
    inputs.SignalNotSent: _of_process(_not_signalled),
    inputs.TimerFired: _timer,
    inputs.Quiesce: _quiesce,
    inputs.HostGoesDown: _host_goes_down,
}

"""A catalogue and its watcher over real directories, with the two ends (engine and log) recorded."""
from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple, Union

from compat.config.catalogue import Catalogue
from compat.config.inotify import Inotify
from compat.config.sources import Source
from compat.config.watcher import Watcher
from compat.engine.actions import ERROR, INFO, WARN
from compat.engine.inputs import DefineJob, ForgetJob
from compat.parser import JobDefinition

_PATIENCE = 20.0


class Configuration:
    """``fed`` is what the engine was told, as ("+", job) and ("-", job); ``jobs`` what it knows by now."""

    def __init__(self, *sources: Union[Path, Source], inotify: Callable[[], Inotify] = Inotify) -> None:
        self.fed: List[Tuple[str, str]] = []
        self.jobs: Dict[str, JobDefinition] = {}
        self.lines: List[Tuple[int, str]] = []
        #: Gets what the engine is told as well.
        self.engine: Callable[[Union[DefineJob, ForgetJob]], None] = lambda happened: None
        self.catalogue = Catalogue(
            [source if isinstance(source, Source) else Source(str(source)) for source in sources], self._feed, self._log)
        self.watcher = Watcher(self.catalogue, self._log, inotify)

    def _feed(self, happened: Union[DefineJob, ForgetJob]) -> None:
        if isinstance(happened, DefineJob):
            self.fed.append(("+", happened.job))
            self.jobs[happened.job] = happened.definition
        else:
            self.fed.append(("-", happened.job))
            del self.jobs[happened.job]
        self.engine(happened)

    def _log(self, priority: int, text: str) -> None:
        self.lines.append((priority, text))

    # -- acting ------------------------------------------------------------------------------------------------

    def load(self) -> "Configuration":
        """The first load without watching anything."""
        self.catalogue.load()
        return self

    def watch(self) -> "Configuration":
        """The first load with watches."""
        self.watcher.start()
        return self

    def readable(self) -> bool:
        poll = select.poll()
        poll.register(self.watcher.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def settle(self) -> "Configuration":
        """Handle every event that is there: what this process did to files is in the queue at once."""
        while self.readable():
            self.watcher.dispatch()
        return self

    def until(self, condition: Callable[[], bool]) -> None:
        """Handle events until the condition holds."""
        deadline = time.monotonic() + _PATIENCE
        poll = select.poll()
        poll.register(self.watcher.fileno(), select.POLLIN)
        while not condition():
            assert time.monotonic() < deadline, (self.fed, self.lines)
            if poll.poll(100):
                self.watcher.dispatch()

    def forget_record(self) -> None:
        self.fed.clear()
        self.lines.clear()

    # -- looking -----------------------------------------------------------------------------------------------

    def author(self, job: str) -> Optional[str]:
        """What the job's ``author`` stanza says; the tests use it to tell files apart."""
        return self.jobs[job].author

    def complaints(self) -> List[str]:
        return [text for priority, text in self.lines if priority in (WARN, ERROR)]

    def said(self, priority: int = INFO) -> List[str]:
        return [text for each, text in self.lines if each == priority]


def write(path: Path, text: Union[str, bytes] = "") -> Path:
    """Create or rewrite a file, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    return path


def author(who: str) -> str:
    return f"author {who}\n"


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))

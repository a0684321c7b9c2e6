"""Which definition of each job is the best one, and telling the engine when that changes.

For every source the catalogue knows the names of its ``.conf`` files, each with its parsed
definition or, if it did not parse, with None. The best definition of a name is that of the first
source that has one (E116, D78). Whatever happens to a file ends in ``_replace``, which compares the
best before and after (D114, D120-D128):

* a file that was read and is the best now gives DefineJob, even if its content is the old one;
* if the best one went away or no longer parses, the next source's gives DefineJob, or there is
  none and the name is forgotten;
* what happens below the best changes nothing.

When the change takes effect on a job with instances is the engine's business (P20). A definition
that another one hid is handed out again as the same object, so the engine can tell it from a new one.

An override is looked for, from the first source down to the one of the ``.conf``, each time that
the ``.conf`` is read (P10, D85). It is applied whole or not at all (B1), and never to a ``.conf``
that does not parse (B2).
"""
from __future__ import annotations

import errno
import os
from typing import AbstractSet, Callable, Dict, FrozenSet, List, Optional, Protocol, Sequence, Set, Tuple, Union

from ..engine.actions import DEBUG, ERROR, INFO, WARN
from ..engine.inputs import DefineJob, ForgetJob
from ..parser import JobDefinition, ParseError, parse_job
from ..parser.errors import UNKNOWN_STANZA
from ..parser.tokens import Tokens
from .names import CONF, OVERRIDE
from .read_ahead import ReadAhead
from .sources import Log, Source
from .tree import Found, NotRegular, read_regular, walk

Feed = Callable[[Union[DefineJob, ForgetJob]], object]
_NOTHING: FrozenSet[Tuple[int, str]] = frozenset()
#: There is no such file; the last is for a name that only with the longer suffix is too long.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class Observer(Protocol):
    """Whoever wants to know which directories the sources consist of. ``index`` is the source's place in the list."""

    def source_begins(self, index: int) -> None:
        """A source is about to be read as a whole."""

    def enter(self, index: int, relative: str) -> bool:
        """A directory is about to be listed; False if that is not needed."""

    def source_ends(self, index: int) -> None:
        """Every directory of the source was entered since ``source_begins``."""


class _Nobody:
    def source_begins(self, index: int) -> None:
        pass

    def enter(self, index: int, relative: str) -> bool:
        return True

    def source_ends(self, index: int) -> None:
        pass


class _Files:
    """What is known of one source. ``overridden``: the source that a job's override is of, for jobs that have one."""

    __slots__ = ("jobs", "overridden")

    def __init__(self) -> None:
        self.jobs: Dict[str, Optional[JobDefinition]] = {}
        self.overridden: Dict[str, int] = {}


class Catalogue:
    """All sources, highest priority first.

    ``feed`` gets DefineJob and ForgetJob; ``log`` gets a priority of engine.actions and a text.
    Nothing here raises for what is in, or wrong with, a file or a directory.
    """

    def __init__(self, sources: Sequence[Source], feed: Feed, log: Log) -> None:
        self.sources: Tuple[Source, ...] = tuple(sources)
        self.observer: Observer = _Nobody()
        #: What a load need not read, because it was read before.
        self.read_ahead: Optional[ReadAhead] = None
        self._feed = feed
        self._log = log
        self._files = [_Files() for _ in self.sources]
        #: While all sources are read: of each that was listed the names of jobs with an override.
        self._listed: Dict[int, AbstractSet[str]] = {}

    def best(self, name: str) -> Optional[JobDefinition]:
        """The best definition of a job name, None if there is none (E116)."""
        index = self._best(name)
        return None if index < 0 else self._files[index].jobs[name]

    def listing(self) -> List[Tuple[Source, List[Tuple[str, bool]]]]:
        """Every source with the names of its jobs, and for each whether its file could be read."""
        return [(source, [(name, definition is not None) for name, definition in files.jobs.items()])
                for source, files in zip(self.sources, self._files)]

    # -- whole sources -------------------------------------------------------------------------------------

    def load(self) -> None:
        """The first load: every source in order (D43)."""
        for source in self.sources:
            for path in source.create:
                try:
                    os.mkdir(path, 0o700)
                except OSError:
                    pass
        self.reload()

    def reload(self) -> None:
        """Read every ``.conf`` of every source again and forget those that are gone (D134-D137, P16)."""
        try:
            for index in range(len(self.sources)):
                self._load_source(index)
        finally:
            self._listed = {}

    def load_source(self, index: int) -> None:
        """The same for one source: its directory has appeared (D112, D113 BEYOND)."""
        affected = {name for files in self._files[index + 1:] for name, place in files.overridden.items() if place == index}
        try:
            affected.update(self._load_source(index).overrides)
        finally:
            self._listed = {}
        for below in range(index + 1, len(self.sources)):
            for name in sorted(affected & self._files[below].jobs.keys()):
                self.conf_written(below, name)

    def _load_source(self, index: int) -> Found:
        source, files = self.sources[index], self._files[index]
        self._log(INFO, f"Loading configuration from {source.path}")
        self.observer.source_begins(index)
        found = Found([], [])
        try:
            if source.is_file:
                self._check_file(source)
            else:
                found = walk(source, "", lambda relative: self.observer.enter(index, relative), self._log)
                self._listed[index] = frozenset(found.overrides)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._log(ERROR, f"{source.path}: Unable to load configuration: {error.strerror}")
        self.observer.source_ends(index)
        for name in found.jobs:
            self.conf_written(index, name)
        present = set(found.jobs)
        for name in [name for name in files.jobs if name not in present]:
            self._log(INFO, f"Handling deletion of {source.text(name + CONF)}")
            self.conf_gone(index, name)
        return found

    def _check_file(self, source: Source) -> None:
        """/etc/init.conf: no stanza is valid in it, so it never defines anything (P2, D71)."""
        try:
            data = read_regular(source.encoded(""))
        except NotRegular:
            return
        self._log(DEBUG, f"conf_reload_path: Loading configuration from file {source.path}")
        tokens = Tokens(data.decode("utf-8", "surrogateescape"))
        try:
            if tokens.next_stanza():
                tokens.fail(UNKNOWN_STANZA, tokens.start)
        except ParseError as error:
            self._log(ERROR, error.describe(source.path))

    # -- single files and directories --------------------------------------------------------------------------

    def conf_written(self, index: int, name: str) -> None:
        """``NAME.conf`` of a source is there, and new or changed (D79-D81, D90-D92)."""
        path = self.sources[index].text(name + CONF)
        self._log(DEBUG, f"conf_load_path_with_override: Loading configuration file {path}")
        self._files[index].overridden.pop(name, None)
        encoded = self.sources[index].encoded(name + CONF)
        definition = self.read_ahead.definition(encoded) if self.read_ahead is not None else None
        data = b""
        if definition is None:
            try:
                data = read_regular(encoded)
            except NotRegular:
                self.conf_gone(index, name)
                return
            except OSError as error:
                # P18: no class is left, nor the file itself.
                self._log(ERROR, f"{path}: Error while loading configuration file: {error.strerror}")
                self.conf_gone(index, name)
                return
        self._log(DEBUG, f"conf_reload_path: Loading {name} from {path}")
        if definition is None:
            definition = self._parsed(data, path)
        if definition is not None:
            self._log(DEBUG, f"parse_job: Creating new JobClass {name}")
            definition = self._overridden(index, name, path, definition)
        self._replace(index, name, definition)

    def _parsed(self, data: bytes, path: str) -> Optional[JobDefinition]:
        try:
            return parse_job(data)
        except ParseError as error:
            self._log(ERROR, error.describe(path))
        except Exception as error:
            # A defect of the parser costs this file, not those after it.
            self._log(ERROR, f"{path}: Internal error: {type(error).__name__}: {error}")
        return None

    def conf_gone(self, index: int, name: str) -> None:
        """``NAME.conf`` of a source is not there any more (D96, D123); nothing if it was not known."""
        if name not in self._files[index].jobs:
            return
        before = self._best(name)
        del self._files[index].jobs[name]
        self._files[index].overridden.pop(name, None)
        self._report(name, before, index)

    def override_changed(self, name: str, already: AbstractSet[Tuple[int, str]] = _NOTHING) -> None:
        """A ``NAME.override`` came, changed or went: read every ``NAME.conf`` again (D85, D106).

        ``already``: (source, name) of files that were read since.
        """
        for index, files in enumerate(self._files):
            if name in files.jobs and (index, name) not in already:
                self.conf_written(index, name)

    def directory_appeared(self, index: int, relative: str) -> None:
        """A sub-directory of a source was made, moved in or linked (D99)."""
        source = self.sources[index]
        try:
            found = walk(source, relative, lambda path: self.observer.enter(index, path), self._log)
        except OSError as error:
            if error.errno not in _ABSENT:
                self._log(WARN, f"{source.text(relative)}: {error.strerror}")
            return
        for name in found.jobs:
            self.conf_written(index, name)
        already = {(index, name) for name in found.jobs}
        for name in found.overrides:
            self.override_changed(name, already)

    def directory_gone(self, index: int, relative: str) -> None:
        """A sub-directory of a source was deleted or moved away, and all that was in it (D101 BEYOND)."""
        prefix = relative + "/"
        for name in [name for name in self._files[index].jobs if name.startswith(prefix)]:
            self.conf_gone(index, name)
        lost: Set[str] = set()
        for files in self._files:
            lost.update(name for name, place in files.overridden.items() if place == index and name.startswith(prefix))
        for name in sorted(lost):
            self.override_changed(name)

    def file_written(self, index: int) -> None:
        """The file of a single-file source was written (D88)."""
        source = self.sources[index]
        try:
            self._check_file(source)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._log(ERROR, f"{source.path}: Unable to load configuration: {error.strerror}")

    # -- overrides ---------------------------------------------------------------------------------------------

    def _overridden(self, index: int, name: str, path: str, definition: JobDefinition) -> JobDefinition:
        """The definition with its override, if there is one and it is valid (P10, P12, B1)."""
        for place in range(index + 1):
            source = self.sources[place]
            if source.is_file or name not in self._listed.get(place, (name,)):
                continue
            try:
                data = read_regular(source.encoded(name + OVERRIDE))
            except NotRegular:
                continue
            except OSError as error:
                if error.errno in _ABSENT:
                    continue
                self._files[index].overridden[name] = place
                self._log(ERROR, f"{source.text(name + OVERRIDE)}: Error while loading configuration file: {error.strerror}")
                return definition
            self._files[index].overridden[name] = place
            override = source.text(name + OVERRIDE)
            self._log(DEBUG, f"conf_load_path_with_override: Loading override file {override} for {path}")
            self._log(DEBUG, f"conf_reload_path: Updating {name} ({path}) with {override}")
            try:
                return parse_job(data, definition)
            except ParseError as error:
                self._log(ERROR, error.describe(override))
            return definition
        return definition

    # -- the best definition -----------------------------------------------------------------------------------

    def _best(self, name: str) -> int:
        """The source of the best definition, -1 if there is none."""
        for index, files in enumerate(self._files):
            if files.jobs.get(name) is not None:
                return index
        return -1

    def _replace(self, index: int, name: str, definition: Optional[JobDefinition]) -> None:
        before = self._best(name)
        self._files[index].jobs[name] = definition
        self._report(name, before, index)

    def _report(self, name: str, before: int, changed: int) -> None:
        after = self._best(name)
        if after < 0:
            if before >= 0:
                self._feed(ForgetJob(name))
        elif after != before or after == changed:
            definition = self._files[after].jobs[name]
            assert definition is not None
            self._feed(DefineJob(name, definition))

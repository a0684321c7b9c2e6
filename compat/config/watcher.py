"""From file notifications to changes of the catalogue (D88-D113, P15, P17).

One inotify instance serves all sources, so events of different sources keep their order (D102). A
watch, a number that the kernel gave for a directory, can have several roles at once:

* a *directory of a tree*: (source, path below it). Its entries are job files and sub-directories.
* a *lookout*: the directory that holds, or would hold, a source. If that does not exist either, the
  nearest one above it that does. So a source that is made or made again later is noticed (D112 and
  D113, BEYOND); the file of a single-file source is watched this way too (D88).

The watch is always set before the directory is looked at, and a directory that already has its
watch is not walked again: nothing is missed, and nothing is read twice. When events were lost, all
is read again (D104 BEYOND). Where something cannot be watched, a reload still works (D89, D103).

An event is about the past: the file may have changed again. It is taken as a hint to look, except
for the deletion of a file, which is believed: if the file is back, an event that says so is to come.
"""
from __future__ import annotations

import errno
import os
import select
import stat
from typing import Callable, Dict, List, Optional, Set, Tuple

from ..engine.actions import DEBUG, INFO, WARN
from .catalogue import Catalogue
from .changes import Changes
from .inotify import CLOSE_WRITE, CREATE, DELETE, IGNORED, ISDIR, MOVE_SELF, MOVED_FROM, MOVED_TO, OVERFLOW, Event, Inotify
from .names import is_ignored_directory, suffix_of
from .sources import Log

_APPEARED = CREATE | MOVED_TO
_VANISHED = DELETE | MOVED_FROM
_TREE = CLOSE_WRITE | _APPEARED | _VANISHED | MOVE_SELF
#: Not CLOSE_WRITE: what others write in, say, a home directory need not wake the daemon.
_ABOVE = _APPEARED | _VANISHED | MOVE_SELF

_MISSING = (errno.ENOENT, errno.ENOTDIR)
#: How often the directory to look out from may change while it is being found.
_ATTEMPTS = 20


class Watcher:
    """Keeps a catalogue up to date. ``start`` loads it; then call ``dispatch`` whenever ``fileno()`` is readable.

    ``inotify`` makes the instance; it is tried again at every reload for as long as it fails.
    """

    def __init__(self, catalogue: Catalogue, log: Log, inotify: Callable[[], Inotify] = Inotify) -> None:
        self._catalogue = catalogue
        self._log = log
        self._make = inotify
        self._inotify: Optional[Inotify] = None
        self._problem: Optional[OSError] = None
        self._missing_module = False
        # A descriptor of its own, so that it stays the same when an instance is made only at a reload.
        self._ready = select.epoll()
        self._changes = Changes(catalogue, log)
        count = len(catalogue.sources)
        #: The tree of each source: path below it → watch; what it was when a reload of the source began.
        self._trees: List[Dict[str, int]] = [{} for _ in range(count)]
        self._before: List[Dict[str, int]] = [{} for _ in range(count)]
        self._directories: Dict[int, Set[Tuple[int, str]]] = {}
        #: Each source's lookout: (watch, name to look out for).
        self._lookout: List[Tuple[int, bytes]] = [(-1, b"")] * count
        #: Watch → name → source → whether the name is the source's own, not that of a directory above it.
        self._lookouts: Dict[int, Dict[bytes, Dict[int, bool]]] = {}

    def start(self) -> None:
        """Watch and load all sources."""
        self._catalogue.observer = self
        self._catalogue.load()

    def fileno(self) -> int:
        """The descriptor to wait for; always valid, never readable without inotify."""
        return self._ready.fileno()

    def dispatch(self) -> None:
        """Work off some hundred events at most. If there are more, ``fileno()`` stays readable."""
        if self._inotify is None:
            return
        try:
            for event in self._inotify.read():
                self._handle(event)
        finally:
            self._changes.flush()

    def close(self) -> None:
        """Stop watching."""
        self._ready.close()
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    # -- what the catalogue tells (catalogue.Observer) -----------------------------------------------------------

    def source_begins(self, index: int) -> None:
        """Set the lookout and begin a new tree; a missing instance is tried for again (D134)."""
        if self._inotify is None:
            self._connect()
        source = self._catalogue.sources[index]
        problem = self._look_out(index) or self._problem
        if source.is_file and problem is not None and problem.errno not in (*_MISSING, errno.ENOSYS):
            self._log(WARN, f"{source.path}: Unable to watch configuration file: {problem.strerror}")
        self._before[index], self._trees[index] = self._trees[index], {}

    def enter(self, index: int, relative: str) -> bool:
        """Watch a directory of a tree. False: it was watched before, so all that is in it is known."""
        source = self._catalogue.sources[index]
        path = source.encoded(relative)
        problem = self._problem
        if self._inotify is not None:
            try:
                return self._add_directory(index, relative, self._inotify.add(path, _TREE))
            except OSError as error:
                problem = error
        # What cannot be read either is complained of when it is listed (P17).
        if problem is not None and problem.errno not in (*_MISSING, errno.ENOSYS) and os.access(path, os.R_OK | os.X_OK):
            if not relative:
                self._log(WARN, f"{source.path}: Unable to watch configuration directory: {problem.strerror}")
            elif self._inotify is not None:
                self._log(WARN, f"{source.text(relative)}: Unable to watch directory: {problem.strerror}")
        return True

    def source_ends(self, index: int) -> None:
        """Let go of what was in the tree before and is not any more."""
        before, self._before[index] = self._before[index], {}
        tree = self._trees[index]
        for relative, watch in before.items():
            if tree.get(relative) != watch:
                self._drop_directory(index, relative, watch)

    def _connect(self) -> None:
        if self._missing_module:
            return
        try:
            self._inotify = self._make()
            self._ready.register(self._inotify.fileno(), select.EPOLLIN)
            self._problem = None
        except OSError as error:
            self._problem = error
        except ImportError as error:
            self._missing_module = True
            self._log(WARN, f"Changes of job files are seen on reload only: {error}")

    # -- roles of watches ------------------------------------------------------------------------------------------

    def _add_directory(self, index: int, relative: str, watch: int) -> bool:
        known = self._trees[index].get(relative)
        if known == watch:
            return False
        if known is not None:
            self._drop_directory(index, relative, known)
        self._trees[index][relative] = watch
        self._directories.setdefault(watch, set()).add((index, relative))
        return True

    def _drop_directory(self, index: int, relative: str, watch: int) -> None:
        roles = self._directories.get(watch)
        if roles is not None:
            roles.discard((index, relative))
            self._release(watch)

    def _set_lookout(self, index: int, watch: int, name: bytes, own: bool) -> None:
        old_watch, old_name = self._lookout[index]
        self._lookout[index] = (watch, name)
        if watch >= 0:
            self._lookouts.setdefault(watch, {}).setdefault(name, {})[index] = own
        if (old_watch, old_name) != (watch, name) and old_watch in self._lookouts:
            names = self._lookouts[old_watch]
            names[old_name].pop(index, None)
            if not names[old_name]:
                del names[old_name]
            self._release(old_watch)

    def _release(self, watch: int) -> None:
        """Remove a watch that has no role left."""
        if not self._directories.get(watch):
            self._directories.pop(watch, None)
            if not self._lookouts.get(watch):
                self._lookouts.pop(watch, None)
                if self._inotify is not None:
                    self._inotify.remove(watch)

    # -- sources as wholes -----------------------------------------------------------------------------------------

    def _look_out(self, index: int) -> Optional[OSError]:
        """Watch the directory above a source or the nearest one that exists. Returns why that is impossible."""
        if self._inotify is None:
            return None
        source = self._catalogue.sources[index]
        for _ in range(_ATTEMPTS):
            directory, name = os.path.split(source.encoded("").rstrip(b"/"))
            own, watch, problem = True, -1, None
            while name:
                try:
                    watch = self._inotify.add(directory or b".", _TREE if own and source.is_file else _ABOVE)
                    break
                except OSError as error:
                    if error.errno not in _MISSING:
                        problem = error
                        break
                directory, name = os.path.split(directory)
                own = False
            self._set_lookout(index, watch, name, own)
            # The missing one may have been made before the watch was set.
            if watch < 0 or own or not os.path.isdir(os.path.join(directory, name)):
                return problem
        return None

    def _find_source(self, index: int) -> None:
        """Something appeared, or moved, where a source is or should be."""
        self._changes.flush()
        self._look_out(index)
        source = self._catalogue.sources[index]
        if source.is_file:
            self._catalogue.file_written(index)
        elif not self._in_place(index, "") and os.path.isdir(source.encoded("")):
            self._catalogue.load_source(index)

    def _in_place(self, index: int, relative: str) -> bool:
        """Whether the directory at a path of a tree is the one that is watched there."""
        known = self._trees[index].get(relative)
        if known is None or self._inotify is None:
            return False
        try:
            watch = self._inotify.add(self._catalogue.sources[index].encoded(relative), _TREE)
        except OSError:
            return False
        if watch != known:
            self._release(watch)
        return watch == known

    def _source_gone(self, index: int) -> None:
        """A source's directory was deleted or moved: its watches go, jobs stay that no event took away (D112)."""
        tree = self._trees[index]
        if not tree:
            return
        self._changes.flush()
        self._trees[index] = {}
        for relative, watch in tree.items():
            self._drop_directory(index, relative, watch)
        source = self._catalogue.sources[index]
        self._log(DEBUG, f"nih_watch_handle: Ceasing watch on {source.path}")
        self._log(WARN, f"{source.path}: Configuration directory deleted")
        self._find_source(index)

    # -- events ----------------------------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        watch, mask, name = event
        if mask & OVERFLOW:
            self._overflowed()
        elif mask & IGNORED:
            self._watch_ended(watch)
        elif mask & MOVE_SELF:
            self._watched_moved(watch)
        else:
            looking = self._lookouts.get(watch)
            if looking is not None and name in looking:
                for index, own in list(looking[name].items()):
                    self._looked_for(index, own, mask)
            roles = self._directories.get(watch)
            # Most events of a busy directory are none of ours: nothing is decoded or looked up for them.
            if roles and (mask & ISDIR or name.endswith((b".conf", b".override"))):
                text = name.decode("utf-8", "surrogateescape")
                for index, relative in sorted(roles):
                    self._entry_changed(index, relative, text, mask)

    def _overflowed(self) -> None:
        self._log(INFO, "Too many file changes at once, reading all configuration again")
        self._changes.clear()
        self._catalogue.reload()

    def _watch_ended(self, watch: int) -> None:
        """The watched directory is gone or its file system was unmounted."""
        if self._inotify is not None:
            self._inotify.forget(watch)
        names = self._lookouts.pop(watch, {})
        self._directory_left(watch)
        self._directories.pop(watch, None)
        for index in sorted({index for sources in names.values() for index in sources}):
            self._find_source(index)

    def _watched_moved(self, watch: int) -> None:
        """The watched directory has another path now; where it was in a tree, that event came before (D101)."""
        self._directory_left(watch)
        names = self._lookouts.get(watch, {})
        for index in sorted({index for sources in names.values() for index in sources}):
            if not self._in_place(index, ""):
                self._source_gone(index)
            self._find_source(index)

    def _directory_left(self, watch: int) -> None:
        for index, relative in sorted(self._directories.get(watch, ())):
            if not relative:
                self._source_gone(index)
            else:
                self._directory_gone(index, relative)
                # Below an unmounted file system there is a directory again.
                self._catalogue.directory_appeared(index, relative)

    def _looked_for(self, index: int, own: bool, mask: int) -> None:
        source = self._catalogue.sources[index]
        if mask & _APPEARED and (not own or not source.is_file):
            self._find_source(index)
        elif own and source.is_file:
            if mask & (CLOSE_WRITE | MOVED_TO) or (mask & CREATE and _is_link(source.encoded(""))):
                self._catalogue.file_written(index)
        elif own and mask & _VANISHED and not self._in_place(index, ""):
            self._source_gone(index)

    def _entry_changed(self, index: int, directory: str, name: str, mask: int) -> None:
        """Something happened to an entry of a directory of a tree."""
        path = f"{directory}/{name}" if directory else name
        if mask & ISDIR:
            if is_ignored_directory(name):
                return
            if mask & _APPEARED:
                self._directory_appeared(index, path)
            elif mask & _VANISHED and not self._in_place(index, path):
                self._directory_gone(index, path)
        elif suffix_of(name):
            if path in self._trees[index] and not self._in_place(index, path):
                # It was a link to a directory.
                self._directory_gone(index, path)
            if mask & _VANISHED:
                self._changes.gone(index, path)
            elif mask & CLOSE_WRITE:
                self._changes.written(index, path)
            elif mask & _APPEARED:
                self._file_appeared(index, path, bool(mask & MOVED_TO))

    def _file_appeared(self, index: int, path: str, complete: bool) -> None:
        """A new name. Unless it is ``complete`` (moved here), it is being written, or it is a link (D97 BEYOND)."""
        encoded = self._catalogue.sources[index].encoded(path)
        try:
            found = os.lstat(encoded)
            linked = stat.S_ISLNK(found.st_mode)
            if linked and stat.S_ISDIR(os.stat(encoded).st_mode):
                self._directory_appeared(index, path)
                return
        except OSError:
            # Dangling, as emacs's lock links are (D107), or gone again; in any case not what was there before.
            if complete:
                self._changes.gone(index, path)
            return
        if complete or linked or found.st_nlink > 1:
            self._changes.written(index, path)

    def _directory_appeared(self, index: int, path: str) -> None:
        if not is_ignored_directory(path.rpartition("/")[2]):
            self._changes.flush()
            self._catalogue.directory_appeared(index, path)

    def _directory_gone(self, index: int, path: str) -> None:
        self._changes.flush()
        tree = self._trees[index]
        for relative in [each for each in tree if each == path or each.startswith(path + "/")]:
            self._log(DEBUG, f"nih_watch_handle: Ceasing watch on {self._catalogue.sources[index].text(relative)}")
            self._drop_directory(index, relative, tree.pop(relative))
        self._catalogue.directory_gone(index, path)


def _is_link(path: bytes) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(found.st_mode) or found.st_nlink > 1

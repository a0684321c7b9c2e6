"""The file changes of one batch of events, merged before they are acted on.

What is loaded is what is on the disk at that moment, so several writes of one file need one load.
What may not be merged away is a deletion before a write: the job is forgotten and then defined
anew, and loses its half-matched condition (D93).
"""
from __future__ import annotations

from typing import Dict, Set, Tuple

from ..engine.actions import DEBUG
from .catalogue import Catalogue
from .names import OVERRIDE, job_name
from .sources import Log


class Changes:
    """Collects changes of job files; ``flush`` tells the catalogue."""

    def __init__(self, catalogue: Catalogue, log: Log) -> None:
        self._catalogue = catalogue
        self._log = log
        #: (source, path below it) → (gone before, written since), in the order of each file's last event.
        self._files: Dict[Tuple[int, str], Tuple[bool, bool]] = {}

    def written(self, index: int, relative: str) -> None:
        """A ``.conf`` or ``.override`` of a directory source is new or changed."""
        gone, _ = self._files.pop((index, relative), (False, False))
        self._files[(index, relative)] = (gone, True)

    def gone(self, index: int, relative: str) -> None:
        """It was deleted or moved away."""
        self._files.pop((index, relative), None)
        self._files[(index, relative)] = (True, False)

    def clear(self) -> None:
        """Forget what was collected: everything is going to be read again."""
        self._files.clear()

    def flush(self) -> None:
        """Tell the catalogue. Each ``.conf`` is read once at most."""
        files, self._files = self._files, {}
        loaded: Set[Tuple[int, str]] = set()
        overrides: Dict[str, None] = {}
        for (index, relative), (gone, written) in files.items():
            name = job_name(relative)
            if relative.endswith(OVERRIDE):
                overrides[name] = None
                if not written:
                    path = self._catalogue.sources[index].text(relative)
                    self._log(DEBUG, "conf_delete_handler: Reloading configuration for matching configs"
                                     f" on deletion of override ({path})")
                continue
            if gone:
                self._catalogue.conf_gone(index, name)
            if written:
                self._catalogue.conf_written(index, name)
                loaded.add((index, name))
        for name in overrides:
            self._catalogue.override_changed(name, loaded)

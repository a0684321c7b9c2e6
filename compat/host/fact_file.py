"""The fact table on disk: how a daemon that is started again knows what this boot has seen already (B203).

Written as a whole beside its place and renamed, so a reader finds the old table or the new one. A table of
another boot is not used. One that makes no sense is put aside with a warning, and the boot counts as unseen.
"""
from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict

from ..engine.actions import WARN
from .facts import FactTable

PATH = "/run/upstart-compat/facts.json"
_FORMAT = 1


def load(table: FactTable, path: str, boot: str, log: Callable[[int, str], None]) -> bool:
    """Fill a new table from the file; whether there was one of this boot. Never raises."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        log(WARN, f"{path}: {getattr(error, 'strerror', None) or error}, taking this boot for a new one")
        return False
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']!r:.20}")
        if not boot or content["boot"] != boot:
            return False
        table.restore(content["table"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        log(WARN, f"{path}: cannot be used ({type(error).__name__}: {error}), kept as {path}.bad; taking this boot for a new one")
        try:
            os.replace(path, path + ".bad")
        except OSError:
            pass
        return False
    return True


def save(table: FactTable, path: str, boot: str) -> None:
    """Write the table. Raises OSError."""
    content: Dict[str, Any] = {"format": _FORMAT, "boot": boot, "table": table.state()}
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    fresh = path + ".new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        # Not json.dump, which takes ten times as long, and this is done for every event.
        file.write(json.dumps(content))
    os.replace(fresh, path)

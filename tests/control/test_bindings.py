"""What of dbus-python's bindings may not be used, because one of its versions cannot bear it."""
from __future__ import annotations

import re

from tests.daemon.running import ROOT


def test_no_connection_is_of_the_bindings_own_class() -> None:
    """With 1.4.0 on Python 3.13 (Debian 13) that corrupts memory, and the process crashes, now or later (compat/control/wire.py)."""
    sources = {path: path.read_text("utf-8") for path in (ROOT / "compat").rglob("*.py")}
    assert [path for path, text in sources.items() if re.search(r"\bclass \w+\(_?bindings\.Connection\)", text)], "they are made somewhere"
    named = {path: re.findall(r"^.*bindings\.(?:Connection|_Server)\b.*$", text, re.MULTILINE) for path, text in sources.items()}
    assert not [(path, line) for path, lines in named.items() for line in lines if not line.startswith("class ")]

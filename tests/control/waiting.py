from __future__ import annotations

import time
from typing import Any, Callable


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until the condition holds; fail after 20 seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.01)

"""``python -m compat.bridges.host``: how the daemon starts the bridge as its child."""
from __future__ import annotations

import sys

from .main import main

sys.exit(main())

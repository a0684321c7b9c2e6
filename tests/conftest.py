"""What holds for the whole suite: settings of Hypothesis, and signals.

``--hypothesis-profile=deep`` looks for a long time, ``brief`` only now and then; tests take their share of ``max_examples``.
"""
from __future__ import annotations

import signal

from hypothesis import settings

# It is ignored in what a shell starts in the background, and so it would be in all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: a busy machine is no defect.
settings.register_profile("suite", deadline=None)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.register_profile("brief", deadline=None, max_examples=20)
settings.load_profile("suite")

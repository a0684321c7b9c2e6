"""Settings of Hypothesis for the whole suite.

``--hypothesis-profile=deep`` looks for a long time, ``brief`` only now and then; tests take their share of ``max_examples``.
"""
from __future__ import annotations

from hypothesis import settings

# No deadline: a busy machine is no defect.
settings.register_profile("suite", deadline=None)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.register_profile("brief", deadline=None, max_examples=20)
settings.load_profile("suite")

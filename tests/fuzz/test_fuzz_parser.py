from __future__ import annotations

import random

from tests.fuzz.fuzz_parser import SEEDS, check, fuzz


def test_the_undamaged_files() -> None:
    for data in SEEDS:
        check(data)


def test_damaged_files() -> None:
    assert fuzz(600, SEEDS, random.Random(1), most=1000) == 1000
